"""Windows of long series: what is known, and what comes next."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import Interval, fit_context
from skrnn._data.containers import kind_of, stack_items, unwrap
from skrnn._data.inputs import InputSchema, parse_table


class Windows(NamedTuple):
    """Windows, what follows them, and the series they are of, one below the other."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray


def make_windows(
    series: Any,
    length: int,
    horizon: int = 1,
    step: int = 1,
    *,
    targets: int | str | Sequence | None = None,
    per_step: bool = False,
    short: str = "raise",
) -> Windows:
    """Cut series into windows and what follows them, to learn to forecast.

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
    targets : int, str, list of them or None, default=None
        Which columns to forecast, by number or, where the series are frames, by name. None is all.
        Windows always have all columns.
    per_step : bool, default=False
        Whether to give what follows each step of a window, for `readout="step"`, in place of what
        follows the window.
    short : {"raise", "skip"}, default="raise"
        What to do about a series of fewer than `length + horizon` steps.

    Returns
    -------
    X : ndarray of shape (n_windows, length, D)
        The windows, those of a series in order of time. Those of a single series share memory, and
        cannot be written to.
    y : ndarray of shape (n_windows,) or (n_windows, horizon * K)
        The next `horizon` steps of K targets, step after step: `y.reshape(-1, horizon, K)` takes
        them apart. (n_windows,) where it is one number a window. With `per_step`, (n_windows,
        length) or (n_windows, length, horizon * K).
    groups : ndarray of shape (n_windows,)
        Number of the series that each window is of. The three are the fields of a named tuple.

    Raises
    ------
    ValueError
        If series are not as described, `targets` are not among their columns, or a series is too
        short (all of them, with `short="skip"`).

    See Also
    --------
    SlidingWindows : Windows in a pipeline, one for each row of a table.
    skrnn.RNNRegressor.forecast : Forecasts by feeding predictions back.

    Notes
    -----
    Windows of a series overlap, so cross-validation must not mix them. For one series, use
    `TimeSeriesSplit(gap=ceil(horizon / step) - 1)`: with a smaller gap, targets to train on reach
    into those to test on. For many, use `GroupKFold` and pass `groups`; or, to test on the future
    of each, cut the series before making windows of the parts.

    A missing step stays NaN: within a window the estimators skip it, as a target they refuse it.
    Leave out such windows by `known = ~np.isnan(y)`.

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
    if len(lengths) == 1:
        starts = slice(0, int(starts[-1]) + 1, step)  # which copies nothing
    columns = _numbers_of(targets, steps.shape[1], names)
    ahead = _windows(steps[1:, columns], horizon)
    ahead = ahead.reshape(len(ahead), -1)
    ahead = ahead[:, 0] if ahead.shape[1] == 1 else ahead
    y = _windows(ahead, length) if per_step else ahead[length - 1 :]
    return Windows(_windows(steps, length)[starts], y[starts].copy(), groups)


class SlidingWindows(
    OneToOneFeatureMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """The window of the last rows, for every row of a table: a series in a pipeline.

    The rows of X are the steps of one series, in order of time. Each becomes a sequence: itself and
    the `length - 1` rows before it. Rows stay rows, so targets, weights and splits in order of time
    go through pipelines and searches, and the length of the window can be searched for.

    Nothing is taken from later rows. To forecast `horizon` steps ahead, pair each row with the
    target that many rows later: `X[:-horizon]` and `y[horizon:]`, and split by
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
        Their names, where X is a frame and they are all strings.

    See Also
    --------
    make_windows : Whole windows with their targets, of one series or many.

    Notes
    -----
    The first rows have fewer rows before them: the missing steps are NaN, which the estimators
    skip. `transform` remembers nothing of `fit`: to predict for row t as in training, pass the
    `length - 1` rows before it as well.

    The rows have an order, for which scikit-learn has no tag. Its common checks shuffle and cut the
    rows of tables, so the tags say that this takes no table.

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

    _parameter_constraints: dict = {"length": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, length=10):
        self.length = length

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn how many columns there are.

        Parameters
        ----------
        X : array or frame of shape (T, D)
            The steps of one series, in order of time.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.
        """
        table, names = parse_table(self, X, None)
        schema = InputSchema("tabular", table.shape[1], table.shape[1], names)
        vars(self).update({"_schema": schema} | schema.attributes())
        if names is None:
            vars(self).pop("feature_names_in_", None)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Give each row its window.

        Parameters
        ----------
        X : array or frame of shape (T, D)
            The steps of one series, in order of time.

        Returns
        -------
        ndarray of shape (T, length, D)
            Row t has rows t - length + 1 to t, NaN where there are none. Windows share memory, and
            cannot be written to.
        """
        check_is_fitted(self)
        steps, _ = parse_table(self, X, self._schema)
        before = np.full((self.length - 1, steps.shape[1]), np.nan, steps.dtype)
        return _windows(np.concatenate([before, steps]), self.length)


def _windows(steps, length):
    """All windows (n, length, ...) of steps (T, ...), as a view."""
    return np.moveaxis(sliding_window_view(steps, length, axis=0), -1, 1)


def _starts(lengths, length, horizon, step, short):
    """Where windows start among the steps of all series, and of which series they are."""
    if short not in ("raise", "skip"):
        raise ValueError(f"short={short!r}, expected 'raise' or 'skip'.")
    too_short = lengths < length + horizon
    if too_short.all() or (short == "raise" and too_short.any()):
        i = too_short.argmax()
        raise ValueError(
            f"Series {i} has {lengths[i]} steps, but a window and what follows it take length + "
            f"horizon = {length + horizon}. Take shorter ones, or leave such series out by "
            "short='skip', which has to leave one."
        )
    counts = np.where(too_short, 0, (lengths - length - horizon) // step + 1)
    groups = np.repeat(np.arange(len(lengths)), counts)
    within = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    return (np.cumsum(lengths) - lengths)[groups] + step * within, groups


def _numbers_of(targets, D, names):
    """Numbers of the columns that are targets."""
    if targets is None:
        return list(range(D))
    known = {k: k % D for k in range(-D, D)} | {name: k for k, name in enumerate(names or ())}
    wanted = list(targets) if np.ndim(targets) else [targets]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        columns = f"from 0 to {D - 1}" if names is None else f"of {names}"
        raise ValueError(f"targets={targets!r} must name columns {columns}.")
    return [known[name] for name in wanted]
