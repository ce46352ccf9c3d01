"""Long frames, one row per step, as sequences; and predictions joined to their rows."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self, TypeAlias

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import fit_context
from skrnn._data.containers import items_of
from skrnn._data.inputs import assign
from skrnn._data.numeric import TIME_TYPES
from skrnn._typing import Floats, Integers, Rows
from skrnn.preprocessing._containers import Transformer

Frame: TypeAlias = nw.DataFrame[Any]


class FromLong(NamedTuple):
    """Sequences of a long frame, their targets, and their ids."""

    X: NDArray[np.object_]
    y: NDArray[Any] | None
    ids: NDArray[Any]


class _Order(NamedTuple):
    """The order of the rows of a frame by id, and within an id by time.

    `rows` are their numbers in that order and `times` their times; `ids` are the distinct ids,
    sorted, and `lengths` the number of rows of each.
    """

    rows: Integers
    times: NDArray[Any]
    ids: NDArray[Any]
    lengths: Integers

    @property
    def starts(self) -> Integers:
        return np.cumsum(self.lengths) - self.lengths

    def split(self, values: NDArray[Any]) -> NDArray[np.object_]:
        """Values of the rows in this order, as an object array of one array per id."""
        return np.fromiter(np.split(values, self.starts[1:]), object, len(self.ids))

    def deltas(self) -> NDArray[np.float64]:
        """Time since the previous step, 0 at the first; in seconds where times are dates."""
        deltas = np.diff(self.times, prepend=self.times[:1])
        if deltas.dtype.kind == "m":
            deltas = deltas / np.timedelta64(1, "s")
        deltas = deltas.astype(np.float64)
        deltas[self.starts] = 0.0
        return deltas


def from_long(
    frame: Any,
    *,
    id: str,
    time: str,
    columns: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    target_per_step: bool = False,
    time_delta: bool = False,
    y: Any = None,
) -> FromLong:
    """Convert a long frame, one row per step, to sequences.

    The rows may be in any order: those of an id, sorted by time, are its sequence.

    Parameters
    ----------
    frame : DataFrame of pandas or polars, or pyarrow Table
        One row per step of each sequence.
    id : str
        Column with the id of the sequence that a row belongs to.
    time : str
        Column to sort by: numbers, dates or durations. It is not a feature, unless it is among
        `columns`.
    columns : str, list of str or None, default=None
        Features, in this order: columns of numbers or booleans, whose missing values become NaN.
        None takes all columns but `id`, `time` and `target`.
    target : str, list of str or None, default=None
        Column of targets, or a list of columns for several outputs.
    target_per_step : bool, default=False
        Whether `target` is one target per step, for `readout="step"`. If False, it is one per
        sequence, and a column that is not constant within an id is an error.
    time_delta : bool, default=False
        Whether to append a feature: the time since the previous step, 0 at the first step. It is in
        the unit of `time`, and in seconds where that holds dates or durations.
    y : array-like of shape (n,) or (n, K), or None, default=None
        Targets of the sequences, where they are not in the frame. Those of a Series or DataFrame of
        pandas are matched with the sequences by its index, which must have every id once. Those of
        any other container must be in the order of the ids. Excludes `target`.

    Returns
    -------
    X : ndarray of shape (n,) and dtype object
        Sequences (T_i, D), one per id; float32 if all columns are, else float64.
    y : ndarray of shape (n,) or (n, K), or None
        Targets of the sequences, (n, K) for a list of K columns; None without `target` and `y`.
        With `target_per_step`, an array of dtype object of n arrays (T_i,) or (T_i, K).
    ids : ndarray of shape (n,)
        The ids, ascending; categories of pandas and an Enum of polars in the order of the
        categories. Dates with a time zone are objects, as in a list of the column. The three are
        the fields of a named tuple.

    Raises
    ------
    ValueError
        If a column does not exist or is not of numbers; an id, a time or the target of a sequence
        is missing; two rows have the same id and time; a target varies within an id and
        `target_per_step` is False; targets are dates, times or durations; or `y` does not have one
        target per id.
    TypeError
        If `frame` is not a frame, or its ids are not sortable.

    See Also
    --------
    to_long : Joins predictions to the rows of the frame.
    SequencesFromLong : Does the same as the first step of a pipeline.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrnn.preprocessing import from_long
    >>> visits = pd.DataFrame(
    ...     {
    ...         "patient": ["b", "a", "b", "a", "b"],
    ...         "day": [9, 1, 2, 3, 4],
    ...         "pulse": [70.0, 80.0, 72.0, 84.0, 71.0],
    ...         "ill": [0, 1, 0, 1, 0],
    ...     }
    ... )
    >>> X, y, ids = from_long(visits, id="patient", time="day", target="ill", time_delta=True)
    >>> X[1]  # pulse, and days since the previous visit
    array([[72.,  0.],
           [71.,  2.],
           [70.,  5.]])
    >>> y, ids
    (array([1, 0]), array(['a', 'b'], dtype=object))
    """
    known = _read_frame(frame)
    order = _sort(known, id, time)
    targets = [] if target is None else _as_list(target)
    features = _features(known, columns, {id, time}, targets, time_delta)
    X = order.split(_steps(known, features, order, time_delta))
    if y is not None:
        if target is not None or target_per_step:
            raise ValueError(
                "y has one target per sequence, beside the frame: it excludes target and "
                "target_per_step, which are for a column of targets in the frame."
            )
        return FromLong(X, _aligned(y, order.ids, id), order.ids)
    if target is None:
        return FromLong(X, None, order.ids)
    return FromLong(X, _targets(known, target, target_per_step, order, id), order.ids)


def to_long(
    predictions: Any,
    *,
    like: Any,
    id: str,
    time: str,
    name: str | Sequence[str] = "prediction",
    ids: ArrayLike | None = None,
    per_step: bool | None = None,
) -> Any:
    """Join predictions to the rows of the long frame that they belong to.

    Parameters
    ----------
    predictions : array-like of n predictions
        One per id of `like`. An array (n,), or (n, K) for K outputs, has one prediction per
        sequence, which is repeated in all its rows. Predictions per step are n arrays (T_i,) or
        (T_i, K), or an array (n, T, K); see also `per_step`. Masked ones become NaN or None.
    like : DataFrame of pandas or polars, or pyarrow Table
        The frame that was passed to `from_long`, its rows in any order.
    id : str
        Column with the id of the sequence that a row of `like` belongs to.
    time : str
        Column of times in `like`.
    name : str or list of str, default="prediction"
        Name of the new column. K outputs become K columns: a list names each, a single name is
        numbered, "prediction_0", "prediction_1", ...
    ids : array-like of shape (n,) or None, default=None
        Id of each prediction. None is the order of the ids of `from_long`, or that of the index of
        a Series or DataFrame of pandas, unless this just counts its rows. Pass them where sequences
        were shuffled, as by `train_test_split`.
    per_step : bool or None, default=None
        Whether predictions are per step, or per sequence. None decides by their shape, as above,
        and refuses an array (n, K) where the longest sequence has K steps: it may be either.

    Returns
    -------
    frame of the library of `like`
        `like`, with its rows in their order and the new columns at the end.

    Raises
    ------
    ValueError
        If there is not one prediction per id, or per row, of `like`; it is unclear which; or the
        new column exists already.
    TypeError
        If `like` is not a frame, or its ids are not sortable.

    See Also
    --------
    from_long : Converts a long frame to sequences.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrnn.preprocessing import from_long, to_long
    >>> frame = pd.DataFrame({"id": [7, 3, 7], "t": [2, 1, 1], "x": [0.5, 0.25, 1.0]})
    >>> X, _, ids = from_long(frame, id="id", time="t")
    >>> to_long([x[:, 0].cumsum() for x in X], like=frame, id="id", time="t", name="sum")
       id  t     x   sum
    0   7  2  0.50  1.50
    1   3  1  0.25  0.25
    2   7  1  1.00  1.00
    """
    known = _read_frame(like)
    order = _sort(known, id, time)
    items, per_step = _read_predictions(predictions, per_step, order.lengths)
    ids = _index_of(predictions) if ids is None else ids
    sorted_items = [items[i] for i in _positions(len(items), ids, order, id)]
    values = _per_row(sorted_items, order, id) if per_step else _repeat(sorted_items, order)
    names = _names_of_outputs(name, values, known)
    in_rows = np.empty_like(values)
    in_rows[order.rows] = values
    columns = zip(names, in_rows.reshape(len(in_rows), -1).T, strict=True)
    return known.with_columns(*[_column(n, v, known) for n, v in columns]).to_native()


class SequencesFromLong(Transformer):
    """Convert a long frame to sequences: `from_long` as the first step of a pipeline.

    The pipeline then accepts long frames, one row per step: `fit(frame, y)` with one target per id,
    in the order of the ids of `from_long`, and `predict(frame)`, whose predictions `to_long` joins
    to the rows of the frame. `from_long(frame, ..., y=y).y` brings a Series that is indexed by id
    into this order; `fit` does not look at its index.

    Parameters
    ----------
    id : str, default="id"
        Column with the id of the sequence that a row belongs to.
    time : str, default="time"
        Column to sort by: numbers, dates or durations.
    columns : str, list of str or None, default=None
        Features, in this order. None takes all columns at fit but `id` and `time`; to leave out a
        column of targets, name the others.
    time_delta : bool, default=False
        Whether to append a feature: the time since the previous step, 0 at the first step. It is in
        the unit of `time`, and in seconds where that holds dates or durations.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns that are features.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Names of the features. At `transform`, other columns and the order of columns are ignored.

    See Also
    --------
    from_long : Returns targets and ids as well.

    Notes
    -----
    Many rows become one sequence, so cross-validation cannot split the frame: to cross-validate or
    search, call `from_long` first and split what it returns.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrnn.preprocessing import SequencesFromLong
    >>> frame = pd.DataFrame({"id": [7, 3, 7], "t": [2, 1, 1], "x": [0.5, 0.25, 1.0]})
    >>> for x in SequencesFromLong(time="t", time_delta=True).fit_transform(frame):
    ...     print(x)
    [[0.25 0.  ]]
    [[1.  0. ]
     [0.5 1. ]]
    """

    _parameter_constraints: dict[str, Any] = {
        "id": [str],
        "time": [str],
        "columns": [str, "array-like", None],
        "time_delta": ["boolean"],
    }

    def __init__(
        self,
        id: str = "id",
        time: str = "time",
        *,
        columns: str | Sequence[str] | None = None,
        time_delta: bool = False,
    ):
        self.id = id
        self.time = time
        self.columns = columns
        self.time_delta = time_delta

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which columns are features.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or pyarrow Table
            One row per step of each sequence, in any order.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer. If fitting fails, it is exactly as it was before.

        Raises
        ------
        ValueError, TypeError
            As in `from_long`.
        """
        known = _read_frame(X)
        _require_columns(known, [self.id, self.time])
        names = _features(known, self.columns, {self.id, self.time}, [], self.time_delta)
        features = np.fromiter(names, object, len(names))
        assign(self, {"feature_names_in_": features, "n_features_in_": len(names)})
        return self

    def transform(self, X: Any) -> NDArray[np.object_]:
        """Convert a frame to sequences.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,) and dtype object
            Sequences (T_i, D), one per id, in the order of the ids of `from_long`.
        """
        check_is_fitted(self)
        columns = self.feature_names_in_.tolist()
        return from_long(
            X, id=self.id, time=self.time, columns=columns, time_delta=self.time_delta
        ).X

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the features per step.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
            `feature_names_in_`; with `time_delta` also the name of the time, followed by `_delta`.
        """
        check_is_fitted(self)
        more = [f"{self.time}_delta"] if self.time_delta else []
        return np.array([*self.feature_names_in_, *more], dtype=object)


# Parsing frames -------------------------------------------------------------------------------


def _read_frame(frame: Any) -> Frame:
    known = nw.from_native(frame, pass_through=True)
    if isinstance(known, nw.LazyFrame):
        raise TypeError("The frame is lazy: pass frame.collect().")
    if not isinstance(known, nw.DataFrame):
        raise TypeError(
            f"The frame is of type {type(frame).__name__}: pass a DataFrame of pandas or polars, "
            "or a pyarrow Table, with one row per step of each sequence."
        )
    if len(known) == 0:
        raise ValueError("Found 0 sample(s): the frame has no rows.")
    return known


def _as_list(names: Any) -> list[Any]:
    one = isinstance(names, str) or not isinstance(names, Iterable)
    return [names] if one else list(names)


def _require_columns(known: Frame, names: Iterable[str]) -> None:
    for name in names:
        if isinstance(name, bool) or name not in known.columns:  # True == 1 could be one
            raise ValueError(f"There is no column {name!r}: the frame has {known.columns}.")


def _require_present(known: Frame, name: str) -> None:
    column = known.get_column(name)
    missing = column.is_null().to_numpy().astype(bool)
    if column.dtype.is_float():
        missing |= column.fill_null(np.nan).is_nan().to_numpy().astype(bool)
    if missing.any():
        raise ValueError(
            f"Row {missing.argmax()} has no {name!r}: it is null or NaN, as in "
            f"{missing.sum()} rows. Leave them out, or fill them."
        )


def _features(
    known: Frame,
    columns: str | Iterable[str] | None,
    keys: set[str],
    targets: list[str],
    time_delta: bool,
) -> list[str]:
    """Names of the columns that are features."""
    if columns is None:
        columns = [name for name in known.columns if name not in keys.union(targets)]
    names = _as_list(columns)
    _require_columns(known, names)
    for name in names:
        if name in targets:
            raise ValueError(
                f"Column {name!r} is both the target and among columns: the target would be a "
                "feature. To predict a series from its own past, see make_windows."
            )
        _require_numbers(known, name)
    if not names and not time_delta:
        raise ValueError("No column is left to be a feature.")
    return names


def _require_numbers(known: Frame, name: str) -> None:
    dtype = known.get_column(name).dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return
    if _is_temporal(known.get_column(name).to_numpy()):
        raise ValueError(
            f"Column {name!r} has the type {dtype}, but dates, times and durations are no numbers, "
            "which features are. Make one of it, for example the hour of the day, frame[name].dt."
            'hour, or seconds since a date t0, (frame[name] - t0) / pd.Timedelta("1s"); append the '
            "time since the previous step by time_delta=True; or name other columns by "
            "columns=[...]."
        )
    raise ValueError(
        f"Column {name!r} has the type {dtype}, but features are numbers. Encode it first, for "
        "example by OrdinalEncoder, or name other columns by columns=[...]."
    )


def _is_temporal(values: NDArray[Any]) -> bool:
    """Whether values are dates, times or durations."""
    if values.dtype != object:
        return values.dtype.kind in "mM"
    first = next((value for value in values.flat if value is not None), None)
    return isinstance(first, TIME_TYPES)


def _steps(known: Frame, columns: list[str], order: _Order, time_delta: bool) -> Rows:
    """Features of all steps, (rows, D), in order."""
    single = columns and all(known.get_column(name).dtype == nw.Float32 for name in columns)
    features = [_numbers(known.get_column(name))[order.rows] for name in columns]
    features += [order.deltas()] if time_delta else []
    return np.stack(features, axis=1).astype(np.float32 if single else np.float64, copy=False)


def _numbers(column: nw.Series[Any]) -> Floats:
    return (column if column.dtype == nw.Float32 else column.cast(nw.Float64)).to_numpy()


# The order of the rows ------------------------------------------------------------------------


def _sort(known: Frame, id: str, time: str) -> _Order:
    """The order of the rows by id and time; no two rows may have the same."""
    _require_columns(known, [id, time])
    for name in (id, time):
        _require_present(known, name)
    times = _times(known.get_column(time))
    ids, codes = _factorize(known.get_column(id))
    rows = np.lexsort((times, codes))
    codes, times = codes[rows], times[rows]
    twice: NDArray[np.bool_] = (codes[1:] == codes[:-1]) & (times[1:] == times[:-1])
    if twice.any():
        first = twice.argmax()
        raise ValueError(
            f"Two rows have {id}={ids[codes[first]]} and {time}={times[first]}, the first of "
            f"{twice.sum()} such pairs, but each step is one row. Merge them first, for example "
            "into their mean, or drop all but one."
        )
    return _Order(rows, times, ids, np.bincount(codes))


def _factorize(column: nw.Series[Any]) -> tuple[NDArray[Any], Integers]:
    """The distinct labels of a column, sorted, and the number of the label of each row."""
    listed = column.to_numpy().tolist()
    try:
        # sorting distinct labels only: sorting all of them is slow where they are text
        row_of = {label: row for row, label in enumerate(listed)}
        ids = _sorted(column[list(row_of.values())])
    except TypeError:
        raise TypeError(
            f"The ids in {column.name!r} are not sortable: make all of them text."
        ) from None
    number = {label: k for k, label in enumerate(ids.to_numpy().tolist())}
    return _labels(ids), np.fromiter(map(number.__getitem__, listed), np.intp, len(listed))


def _sorted(column: nw.Series[Any]) -> nw.Series[Any]:
    """A column, sorted; categories in the order that its library sorts them in."""
    if column.dtype in (nw.Categorical, nw.Enum):
        return column.sort()
    return column[np.argsort(column.to_numpy(), kind="stable")]


def _labels(column: nw.Series[Any]) -> NDArray[Any]:
    """Values of a column; dates with a time zone, which NumPy does not have, as objects."""
    dtype = column.dtype
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        return np.fromiter(column.to_list(), object, len(column))
    return column.to_numpy()


def _times(column: nw.Series[Any]) -> NDArray[Any]:
    """Times as an array that can be sorted and subtracted."""
    dtype = column.dtype
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    elif dtype == nw.Decimal:
        column = column.cast(nw.Float64)
    elif not (dtype.is_numeric() or dtype in (nw.Date, nw.Datetime, nw.Duration)):
        raise ValueError(
            f"Column {column.name!r} has the type {dtype}, but times are numbers, dates or "
            "durations. Parse it first, for example by pandas.to_datetime."
        )
    times = column.to_numpy()
    if dtype == nw.Date:
        return times.astype("M8[D]")  # pandas has objects in its columns of pyarrow's dates
    return times.astype(np.int64) if times.dtype.kind == "i" else times


# Targets --------------------------------------------------------------------------------------


def _targets(
    known: Frame, target: str | Sequence[str], per_step: bool, order: _Order, id: str
) -> NDArray[Any]:
    """Targets in columns of the frame, per sequence or per step."""
    names = _as_list(target)
    _require_columns(known, names)
    values = [known.get_column(name).to_numpy()[order.rows] for name in names]
    for name, column in zip(names, values, strict=True):
        _require_no_dates(column, f"Target {name!r}")
    if not per_step:
        _require_constant(known, names, values, order, id)
        values = [column[order.starts] for column in values]
    y = values[0] if isinstance(target, str) else np.stack(values, axis=1)
    return order.split(y) if per_step else y


def _require_no_dates(values: NDArray[Any], what: str) -> None:
    if _is_temporal(values):
        raise ValueError(
            f"{what} holds dates, times or durations, which are neither numbers nor classes. For a "
            'time to predict, pass the seconds since a date t0, (times - t0) / pd.Timedelta("1s"); '
            "for classes, pass text, times.astype(str)."
        )


def _require_constant(
    known: Frame, names: list[str], values: list[NDArray[Any]], order: _Order, id: str
) -> None:
    """Refuse columns of targets that have missing values or differ within an id."""
    for name, column in zip(names, values, strict=True):
        _require_present(known, name)
        differs = column != np.repeat(column[order.starts], order.lengths)
        if differs.any():
            row = differs.argmax()
            i = np.searchsorted(order.starts, row, side="right") - 1
            raise ValueError(
                f"Target {name!r} is not constant for {id}={order.ids[i]}: it is "
                f"{column[order.starts[i]]} and {column[row]}. For one target per step set "
                "target_per_step=True; for one per sequence, all its rows must have the same."
            )


def _aligned(y: Any, ids: NDArray[Any], id: str) -> NDArray[Any]:
    """Targets in the order of the ids, by the index of y where it has one."""
    values = y if isinstance(y, np.ndarray) else np.asarray(y)  # masked ones stay masked
    _require_no_dates(values, "y")
    if values.ndim == 0:
        raise ValueError(f"y is {y!r:.40}: expected one target for each {id!r} of the frame.")
    index = _native_index(y)
    if index is not None:
        what = (
            f"The index of y must have each {id!r} of the frame once, as that of "
            f"frame.groupby({id!r})[target].first(), but"
        )
        return values[_match(index, ids, what)]
    if len(values) != len(ids):
        raise ValueError(
            f"y has {len(values)} targets, but the frame has {len(ids)} different {id!r}: expected "
            "one for each, in the order of the ids, or a Series of pandas that is indexed by id."
        )
    return values


# Predictions ----------------------------------------------------------------------------------


def _native_index(values: Any) -> Any:
    """The index of a Series or DataFrame of pandas, None for anything else."""
    known = nw.from_native(values, pass_through=True, allow_series=True)
    return nw.maybe_get_index(known) if isinstance(known, (nw.Series, nw.DataFrame)) else None


def _index_of(predictions: Any) -> Any:
    """The ids in the index of predictions, None if there is none but the numbers of the rows."""
    index = _native_index(predictions)
    counts_rows = index is None or np.array_equal(index, np.arange(len(index)))
    return None if counts_rows else index


def _match(labels: Any, ids: NDArray[Any], what: str) -> Integers:
    """Where among labels each of the ids is; errors begin with `what`."""
    listed = _hashable(labels, ids)
    row_of = {label: row for row, label in enumerate(listed)}
    wanted = dict.fromkeys(ids.tolist())
    twice = (label for row, label in enumerate(listed) if row_of[label] != row)
    lacking = (label for label in wanted if label not in row_of)
    unknown = (label for label in listed if label not in wanted)
    for found, problem in (
        (twice, "is there twice"),
        (lacking, "is missing"),
        (unknown, "is no id of the frame: leave it out"),
    ):
        for label in found:
            raise ValueError(f"{what} {label} {problem}.")
    return np.fromiter(map(row_of.__getitem__, wanted), np.intp, len(ids))


def _hashable(labels: Any, ids: NDArray[Any]) -> list[Any]:
    """Labels as a list that can be compared with that of the ids."""
    known = nw.from_native(labels, pass_through=True, allow_series=True)
    array = _labels(known) if isinstance(known, nw.Series) else np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"ids have the shape {array.shape}, expected one id each, ({len(ids)},).")
    if ids.dtype.kind in "mM" and not any(getattr(x, "tzinfo", None) for x in array.flat):
        array = array.astype(ids.dtype) if _is_temporal(array) else array
    listed: list[Any] = array.tolist()
    return listed


def _read_predictions(
    predictions: Any, per_step: bool | None, lengths: Integers
) -> tuple[Sequence[Any], bool]:
    """Predictions of each sequence, and whether they are per step."""
    items = items_of(predictions)
    if items is None:
        items = np.asanyarray(predictions)
        if items.ndim == 0:
            raise ValueError(
                f"predictions are {predictions!r:.40}: expected one item per sequence, as predict "
                "returns them."
            )
        if items.ndim == 2 and per_step is None:
            _require_clear(items, lengths)
            per_step = False
    items = [_without_mask(item) for item in _without_mask(items)]
    shapes = {np.shape(item) for item in items}
    alone = () in shapes
    if alone and per_step:
        raise ValueError(
            "per_step=True, but predictions are one number or label per sequence: expected n "
            "arrays (T_i,) or (T_i, K), or an array (n, T) or (n, T, K)."
        )
    per_step = not alone if per_step is None else per_step
    if len({shape[1:] for shape in shapes} if per_step else shapes) > 1:
        raise ValueError(
            "Predictions of sequences differ in shape: expected an array (n,) or (n, K) or, per "
            "step, arrays (T_i,) or (T_i, K) of the same K."
        )
    return items, per_step


def _require_clear(predictions: NDArray[Any], lengths: Integers) -> None:
    """Refuse an array that can have its columns for outputs and for steps."""
    n, K = predictions.shape
    if lengths.max() == K:
        raise ValueError(
            f"predictions have the shape ({n}, {K}), and the longest sequence has {K} steps, so "
            f"they may be {K} outputs per sequence, or one per step. Pass per_step=False or "
            "per_step=True."
        )


def _without_mask(values: Any) -> Any:
    """Masked numbers are NaN, any other masked values None."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    if values.dtype.kind in "biuf":
        numbers: Any = values if values.dtype.kind == "f" else values.astype(np.float64)
        return numbers.filled(np.nan)
    objects = np.asarray(values, dtype=object)
    objects[np.ma.getmaskarray(values)] = None
    return objects


def _positions(n: int, ids: ArrayLike | None, order: _Order, id: str) -> Sequence[int] | Integers:
    """Where among n predictions that of each id is."""
    if n != len(order.ids):
        raise ValueError(
            f"There are {n} predictions, but the frame has {len(order.ids)} different {id!r}: "
            "expected one for each. Keep only the rows of the ids that were predicted."
        )
    if ids is None:
        return range(n)
    return _match(ids, order.ids, f"ids are not those of the column {id!r}, each once:")


def _repeat(items: list[Any], order: _Order) -> NDArray[Any]:
    """Predictions of sequences, (n,) or (n, K), in all their rows."""
    values = np.asarray(items)
    if values.ndim > 2:
        raise ValueError(
            f"per_step=False, but predictions have the shape {values.shape}: expected an array "
            "(n,) or (n, K)."
        )
    return np.repeat(values, order.lengths, axis=0)


def _per_row(items: list[Any], order: _Order, id: str) -> NDArray[Any]:
    """Predictions per step as those of rows, (rows,) or (rows, K), in order."""
    for item, length, label in zip(items, order.lengths.tolist(), order.ids, strict=True):
        if len(item) != length:
            raise ValueError(
                f"There are {len(item)} predictions for {id}={label}, which has {length} rows: "
                "expected one per row. For several outputs per sequence pass an array (n, K), and "
                "per_step=False."
            )
    return np.concatenate([np.asarray(item) for item in items])


def _column(name: str, values: NDArray[Any], known: Frame) -> nw.Series[Any]:
    # as lists, since polars would keep an array of objects as objects
    listed: Any = values.tolist() if values.dtype == object else values
    try:
        return nw.new_series(name, listed, backend=known.implementation)
    except Exception as error:  # whatever the library raises
        raise ValueError(
            f"predictions, of dtype {values.dtype}, cannot be a column of the frame: {error}"
        ) from None


def _names_of_outputs(name: str | Sequence[str], values: NDArray[Any], known: Frame) -> list[str]:
    """A name for each of K columns."""
    numbered = isinstance(name, str) and values.ndim > 1
    names = [f"{name}_{k}" for k in range(values.shape[1])] if numbered else _as_list(name)
    outputs = values.shape[1] if values.ndim > 1 else 1
    if len(names) != outputs:
        raise ValueError(f"name={name!r} has {len(names)} names for {outputs} outputs.")
    for column in names:
        if column in known.columns:
            raise ValueError(f"The frame has a column {column!r} already: choose another by name=.")
    return names
