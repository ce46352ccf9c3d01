"""Windows of long series, and the values that follow them."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import Interval, fit_context
from skrnn._data.containers import kind_of, stack_items, unwrap
from skrnn._data.inputs import InputSchema, assign, parse_table
from skrnn._typing import Floats, Integers
from skrnn.preprocessing._containers import Transformer


class Windows(NamedTuple):
    """Windows (n, length, D), the targets that follow them, and the series number of each."""

    X: Floats
    y: Floats
    groups: Integers


def make_windows(
    series: Any,
    length: int,
    horizon: int = 1,
    step: int = 1,
    *,
    targets: int | str | Sequence[int | str] | None = None,
    per_step: bool = False,
    short: Literal["raise", "skip"] = "raise",
) -> Windows:
    """Cut series into windows and the values that follow them, for forecasting.

    A window is `length` successive steps; its target is the next `horizon` steps, which are not in
    it. Windows start every `step` steps, and lie within one series each.

    Parameters
    ----------
    series : array (T,) or (T, D), Series or frame; or many of them
        One series, or a list or object array of n series, or an array (n, T, D). A list of numbers
        is one series, a list of lists is many.
    length : int
        Steps of a window.
    horizon : int, default=1
        Steps to forecast.
    step : int, default=1
        Steps from the start of one window to the start of the next.
    targets : int, str, list of these or None, default=None
        Columns to forecast, by index or, where the series are frames, by name. None is all.
        Windows always have all columns.
    per_step : bool, default=False
        Whether targets follow each step of a window, for `readout="step"`, rather than the window.
    short : {"raise", "skip"}, default="raise"
        What to do with a series of fewer than `length + horizon` steps: raise an error, or skip it.

    Returns
    -------
    X : ndarray of shape (n_windows, length, D)
        The windows, those of one series in order of time. For a single series they share memory,
        and are read-only.
    y : ndarray of shape (n_windows,) or (n_windows, horizon * K)
        The next `horizon` steps of K targets, step after step, which `y.reshape(-1, horizon, K)`
        separates; (n_windows,) where that is one number per window. With `per_step`, (n_windows,
        length, horizon * K), or (n_windows, length) for one number per step.
    groups : ndarray of shape (n_windows,)
        Number of the series of each window. The three are the fields of a named tuple.

    Raises
    ------
    ValueError
        If series are not as described, `targets` are not among their columns, or a series is too
        short (all of them, with `short="skip"`).

    See Also
    --------
    SlidingWindows : Windows in a pipeline, one per row of a table.
    skrnn.RNNRegressor.forecast : Forecasts by feeding predictions back.

    Notes
    -----
    Windows of a series overlap, so a shuffled split would test on values that were trained on. For
    one series, use `TimeSeriesSplit(gap=ceil(horizon / step) - 1)`: with a smaller gap, the last
    training targets are among the first test targets. For many series, use `GroupKFold` and pass
    `groups`; or, to test on the future of each, split every series in time before making windows
    of the parts.

    A missing step stays NaN: within a window the estimators skip it, as a target they refuse it.
    Drop such windows by `known = ~np.isnan(y)`.

    Examples
    --------
    >>> from skrnn.preprocessing import make_windows
    >>> X, y, groups = make_windows([1.0, 2.0, 3.0, 4.0, 5.0], length=2)
    >>> X[:, :, 0]
    array([[1., 2.],
           [2., 3.],
           [3., 4.]])
    >>> y
    array([3., 4., 5.])
    >>> make_windows([1.0, 2.0, 3.0, 4.0, 5.0], length=2, horizon=2, step=2).y
    array([[3., 4.]])
    """
    for value, name in ((length, "length"), (horizon, "horizon"), (step, "step")):
        check_scalar(value, name, Integral, min_val=1)
    series = unwrap(series)
    alone = kind_of(series, fitted="sequences") == "tabular"
    steps, lengths, names = stack_items([series] if alone else series)
    starts, groups = _starts(lengths, length, horizon, step, short)
    # a slice copies no windows
    chosen = slice(0, int(starts[-1]) + 1, step) if len(lengths) == 1 else starts
    columns = _target_columns(targets, steps.shape[1], names)
    ahead = _windows(steps[1:, columns], horizon)
    ahead = ahead.reshape(len(ahead), -1)
    ahead = ahead[:, 0] if ahead.shape[1] == 1 else ahead
    y = _windows(ahead, length) if per_step else ahead[length - 1 :]
    return Windows(_windows(steps, length)[chosen], y[chosen].copy(), groups)


class SlidingWindows(OneToOneFeatureMixin, Transformer):
    """Replace each row of a table by the window that ends with it: a series in a pipeline.

    The rows of X are the steps of one series, in order of time. Each becomes a sequence: itself and
    the `length - 1` rows before it. The number of rows does not change, so targets, weights and
    splits in order of time work in pipelines and searches, and `length` can be searched over.

    No window contains later rows. To forecast `horizon` steps ahead, pair each row with the target
    that many rows later, `X[:-horizon]` and `y[horizon:]`, and split by
    `TimeSeriesSplit(gap=horizon - 1)`.

    Parameters
    ----------
    length : int, default=10
        Steps of a window.

    Attributes
    ----------
    n_features_in_ : int
        Columns D of the table.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Names of the columns, where X is a frame and they are all strings.

    See Also
    --------
    make_windows : Makes full windows and their targets, of one series or many.

    Notes
    -----
    Windows of the first rows are padded by NaN at the start, which the estimators skip. No rows of
    `fit` are stored: to predict for row t as in training, pass the `length - 1` rows before it as
    well.

    The rows are ordered, and scikit-learn has no tag for that. Its common checks shuffle the rows
    of tables and cut them into batches, so this transformer is tagged as accepting no table.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.preprocessing import SlidingWindows
    >>> series = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> SlidingWindows(length=3).fit_transform(series)[:, :, 0]
    array([[nan, nan,  1.],
           [nan,  1.,  2.],
           [ 1.,  2.,  3.],
           [ 2.,  3.,  4.]])
    """

    _parameter_constraints: dict[str, Any] = {
        "length": [Interval(Integral, 1, None, closed="left")]
    }

    _schema: InputSchema

    def __init__(self, length: int = 10):
        self.length = length

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the columns.

        Parameters
        ----------
        X : array or frame of shape (T, D)
            The steps of one series, in order of time.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer. If fitting fails, it is exactly as it was before.
        """
        table, names = parse_table(self, X, None)
        schema = InputSchema("tabular", table.shape[1], table.shape[1], names)
        assign(self, schema.attributes() | {"_schema": schema})
        return self

    def transform(self, X: Any) -> Floats:
        """Return the window of each row.

        Parameters
        ----------
        X : array or frame of shape (T, D)
            The steps of one series, in order of time.

        Returns
        -------
        ndarray of shape (T, length, D)
            Window t has rows t - length + 1 to t, NaN where there are none. Windows share memory,
            and are read-only.
        """
        check_is_fitted(self)
        steps, _ = parse_table(self, X, self._schema)
        before = np.full((self.length - 1, steps.shape[1]), np.nan, steps.dtype)
        return _windows(np.concatenate([before, steps]), self.length)


def _windows(steps: Floats, length: int) -> Floats:
    """All windows (n, length, ...) of steps (T, ...), as a view."""
    return np.moveaxis(sliding_window_view(steps, length, axis=0), -1, 1)


def _starts(
    lengths: Integers, length: int, horizon: int, step: int, short: str
) -> tuple[Integers, Integers]:
    """Rows of all series at which windows start, and the number of the series of each."""
    if short not in ("raise", "skip"):
        raise ValueError(f"short={short!r}, expected 'raise' or 'skip'.")
    too_short = lengths < length + horizon
    if too_short.all() or (short == "raise" and too_short.any()):
        i = too_short.argmax()
        raise ValueError(
            f"Series {i} has {lengths[i]} steps, but a window and its targets need length + "
            f"horizon = {length + horizon}. Reduce them, or skip short series by short='skip'; at "
            "least one series must be long enough."
        )
    counts = np.where(too_short, 0, (lengths - length - horizon) // step + 1)
    groups = np.repeat(np.arange(len(lengths)), counts)
    within = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    return (np.cumsum(lengths) - lengths)[groups] + step * within, groups


def _target_columns(targets: Any, D: int, names: list[Any] | None) -> list[int]:
    """Indices of the columns that are targets."""
    if targets is None:
        return list(range(D))
    known: dict[Any, int] = {k: k % D for k in range(-D, D)}
    known |= {name: k for k, name in enumerate(names or ())}
    wanted = list(targets) if np.ndim(targets) else [targets]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        columns = f"from 0 to {D - 1}" if names is None else f"of {names}"
        raise ValueError(f"targets={targets!r} must name columns {columns}.")
    return [known[name] for name in wanted]
