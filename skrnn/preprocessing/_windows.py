"""Windows of long series, and the values that follow them."""

import warnings
from collections.abc import Hashable, Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple, Self

import narwhals as nw
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import Interval, fit_context
from skrnn._data.containers import items_of, kind_of, stack_items, unwrap
from skrnn._data.inputs import InputSchema, assign, parse_table
from skrnn._data.validation import check_count
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
    targets: int | str | Sequence[int | str | bool] | None = None,
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
        is one series, a list of lists is many. Where pandas has the times of the steps as index,
        they must be ascending, without duplicates.
    length : int
        Steps of a window.
    horizon : int, default=1
        Steps to forecast.
    step : int, default=1
        Steps from the start of one window to the start of the next.
    targets : int, str, list of these, mask of D booleans or None, default=None
        Columns to forecast, by index or, where the series are frames, by name, or as a mask. None
        is all. Windows always have all columns.
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
        If series are not as described, `targets` are not among their columns, the times of a
        series are not ascending, or a series is too short (all of them, with `short="skip"`).

    Warns
    -----
    UserWarning
        If the times of a series are not evenly spaced, or the last step of windows is missing.

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

    A missing step stays NaN, and the estimators skip it. A window whose last steps are missing thus
    ends earlier than others, and its target is further ahead than `horizon`, which no input says:
    fill such steps first (`frame.ffill()`, or `StepImputer(absent="impute_end")` on the windows),
    or drop these windows by `present = ~np.isnan(X[:, -1]).all(axis=-1)`. Drop windows of which a
    target is missing by `known = ~np.isnan(y)`.

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
        check_count(value, name)
    series = unwrap(series)
    if kind_of(series, fitted="sequences") == "tabular":
        series = [series]
    for i, one in enumerate(items_of(series)):
        _check_times(one, f"series {i}")
    steps, lengths, names = stack_items(series)
    starts, groups = _starts(lengths, length, horizon, step, short)
    # a slice copies no windows
    chosen = slice(0, int(starts[-1]) + 1, step) if len(lengths) == 1 else starts
    columns = _target_columns(targets, steps.shape[1], names)
    ahead = _windows(steps[1:, columns], horizon)
    ahead = ahead.reshape(len(ahead), -1)
    ahead = ahead[:, 0] if ahead.shape[1] == 1 else ahead
    y = _windows(ahead, length) if per_step else ahead[length - 1 :]
    X = _windows(steps, length)[chosen]
    if not per_step:  # else the target after a missing step is ignored, as that step is
        _warn_of_missing_ends(X[:, -1])
    return Windows(X, y[chosen].copy(), groups)


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

    The estimators skip a row of X that is missing, all NaN, too. The window that ends with it thus
    ends with an earlier row, and its target is further ahead than that of others, of which
    `transform` warns. Fill such rows first, or by `StepImputer(absent="impute_end")` after this
    transformer.

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
        table, names = parse_table(self, unwrap(X), None)
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

        Raises
        ------
        ValueError
            If X is not as at fit, or is a frame of pandas whose index has times that are not
            ascending.

        Warns
        -----
        UserWarning
            If these times are not evenly spaced, or rows are missing.
        """
        check_is_fitted(self)
        steps, _ = parse_table(self, unwrap(X), self._schema)
        _check_times(X, "X")
        _warn_of_missing_ends(steps)
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
    wanted = list(targets) if np.ndim(targets) else [targets]
    booleans = [isinstance(name, (bool, np.bool_)) for name in wanted]
    if all(booleans) and any(wanted) and np.ndim(targets) and len(wanted) == D:
        return np.flatnonzero(wanted).tolist()
    known: dict[Any, int] = {k: k % D for k in range(-D, D)}
    known |= {name: k for k, name in enumerate(names or ())}
    # True == 1, but is no number of a column
    hashable = all(isinstance(name, Hashable) for name in wanted)
    if not (wanted and hashable) or any(booleans) or any(name not in known for name in wanted):
        columns = f"from 0 to {D - 1}" if names is None else f"of {names}"
        raise ValueError(
            f"targets={targets!r} must name columns {columns}, or be a mask of {D} booleans."
        )
    return [known[name] for name in wanted]


# Times and missing steps ----------------------------------------------------------------------


TIMES = "datetime64", "datetime", "date", "timedelta64", "timedelta", "period"


def _check_times(series: Any, what: str) -> None:
    """Refuse times, in an index of pandas, that do not ascend; warn where they are uneven."""
    index = _index_of(series, what)
    kind = getattr(index, "inferred_type", None)
    if kind not in TIMES:
        return
    if index.hasnans:
        raise ValueError(f"The index of {what} has times that are missing: drop these rows.")
    if not index.is_monotonic_increasing:
        raise ValueError(
            f"The times in the index of {what} are not ascending, but windows take rows in the "
            "order of time: pass x.sort_index()."
        )
    if not index.is_unique:
        raise ValueError(
            f"The index of {what} has the time {index[index.duplicated()][0]} twice, but each step "
            "is one row: merge such rows, for example by x.groupby(level=0).mean()."
        )
    starts = index.to_timestamp() if kind == "period" else index
    if getattr(starts, "freq", None) is None:
        _warn_of_uneven_times(index, starts, what)


def _index_of(series: Any, what: str) -> Any:
    """The index of a Series or frame of pandas, its last level where it has several."""
    if isinstance(series, (np.ndarray, list, tuple)):
        return None
    known = nw.from_native(series, pass_through=True, allow_series=True)
    if not isinstance(known, (nw.Series, nw.DataFrame)):
        return None
    index: Any = nw.maybe_get_index(known)
    if getattr(index, "nlevels", 1) == 1:
        return index
    if len(index.droplevel(-1).unique()) > 1:
        raise ValueError(
            f"The index of {what} has several levels: there are many series in one frame. Pass a "
            "list of them, [x for _, x in frame.groupby(level=0)], or see from_long."
        )
    return index.get_level_values(-1)


def _warn_of_uneven_times(index: Any, starts: Any, what: str) -> None:
    """Warn where a step takes 1.5 times as long as usual or half as long: not of months."""
    spans: Any = np.diff(starts.to_numpy())
    relative = (spans / spans[:1]).astype(np.float64)
    usual = np.median(relative) if len(spans) else 1.0
    uneven = (relative >= 1.5 * usual) | (relative <= 0.5 * usual)
    if uneven.any():
        k = uneven.argmax()
        warnings.warn(
            f"The times in the index of {what} are not evenly spaced: {index[k + 1]} comes after "
            f"{index[k]}. Windows count steps, not time. If steps are missing, make them NaN by "
            "x.asfreq(...); if times are irregular, see x.resample(...); if neither matters, pass "
            "x.to_numpy().",
            stacklevel=4,
        )


def _warn_of_missing_ends(last_steps: Floats) -> None:
    """Warn of windows whose last step, one row each, is missing."""
    missing = np.isnan(last_steps).all(axis=1)
    if missing.any():
        warnings.warn(
            f"The last step of {missing.sum()} of {len(last_steps)} windows is missing. The "
            "estimators skip such steps, so that these windows end earlier, and their targets are "
            "further ahead. Fill them, for example by frame.ffill() before or by "
            'StepImputer(absent="impute_end") after; or drop these windows, '
            "X[~np.isnan(X[:, -1]).all(axis=-1)].",
            stacklevel=3,
        )
