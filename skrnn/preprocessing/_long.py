"""Long frames, one row a step, as sequences; and predictions back beside their rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import fit_context
from skrnn._data.containers import items_of


class FromLong(NamedTuple):
    """Sequences of a long frame, their targets and their ids, one below the other."""

    X: np.ndarray
    y: np.ndarray | None
    ids: np.ndarray


class _Order(NamedTuple):
    """Numbers of the rows of a frame, sorted by id and within an id by time; and those times."""

    rows: np.ndarray
    times: np.ndarray
    ids: np.ndarray
    lengths: np.ndarray

    @property
    def starts(self):
        return np.cumsum(self.lengths) - self.lengths

    def cut(self, values):
        """What belongs to the rows in this order, as one array an id."""
        return np.fromiter(np.split(values, self.starts[1:]), object, len(self.ids))

    def deltas(self):
        """Time since the step before, 0 at the first; in seconds where times are dates."""
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
) -> FromLong:
    """Cut a long frame, one row a step, into sequences.

    The rows may be in any order: those of an id, sorted by time, are its sequence.

    Parameters
    ----------
    frame : DataFrame of pandas or polars, or pyarrow Table
        One row for each step of each sequence.
    id : str
        The column that says which sequence a row belongs to.
    time : str
        The column to sort by: numbers, dates or durations. It is not a feature, unless it is
        among `columns`.
    columns : str, list of str or None, default=None
        The features, in this order: columns of numbers or booleans, a missing value being NaN.
        None takes all columns but `id`, `time` and `target`.
    target : str, list of str or None, default=None
        The column of targets; several columns for several outputs.
    target_per_step : bool, default=False
        Whether every step has a target, for `readout="step"`. If not, every sequence has one, and
        a column that is not constant within an id is an error.
    time_delta : bool, default=False
        Whether to append one more feature: the time since the step before, 0 at the first step.
        It is in the unit of `time`, and in seconds where that holds dates or durations.

    Returns
    -------
    X : ndarray of shape (n,) and dtype object
        Sequences (T_i, D), one for each id; float32 if all columns are, else float64.
    y : ndarray of shape (n,) or (n, K), or None
        Targets of the sequences, None without `target`; with a list of K columns (n, K). With
        `target_per_step`, an array of dtype object that holds n arrays (T_i,) or (T_i, K).
    ids : ndarray of shape (n,)
        The ids, ascending. The three are the fields of a named tuple.

    Raises
    ------
    ValueError
        If a column is not there or not of numbers; an id, a time or the target of a sequence is
        missing; two rows have the same id and time; or a target varies within an id and
        `target_per_step` is false.
    TypeError
        If `frame` is no frame, or its ids cannot be sorted.

    See Also
    --------
    to_long : Puts predictions beside the rows of the frame.
    SequencesFromLong : The same as the first step of a pipeline.

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
    >>> X[1]  # pulse, and days since the visit before
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
    X = order.cut(_steps(known, features, order, time_delta))
    if target is None:
        return FromLong(X, None, order.ids)
    _require_columns(known, targets)
    values = [known[name].to_numpy()[order.rows] for name in targets]
    if not target_per_step:
        _require_constant(known, targets, values, order, id)
        values = [column[order.starts] for column in values]
    y = values[0] if isinstance(target, str) else np.stack(values, axis=1)
    return FromLong(X, order.cut(y) if target_per_step else y, order.ids)


def to_long(
    predictions: Any,
    *,
    like: Any,
    id: str,
    time: str,
    name: str | Sequence[str] = "prediction",
    ids: Any = None,
) -> Any:
    """Put predictions beside the rows of the long frame that they belong to.

    Parameters
    ----------
    predictions : array-like of n predictions
        One for each id of `like`. What is (n,) is one a sequence, and repeated in all its rows.
        Else there is one a step: n arrays (T_i,) or (T_i, K), or an array (n, T) or (n, T, K).
    like : DataFrame of pandas or polars, or pyarrow Table
        The frame that `from_long` made the sequences of, its rows in any order.
    id, time : str
        Its columns of ids and times.
    name : str or list of str, default="prediction"
        Name of the new column. K outputs make K columns: a list names each, a single name numbers
        them, "prediction_0", "prediction_1", ...
    ids : array-like of shape (n,) or None, default=None
        The id of each prediction. None: they are in the order of `from_long`, ids ascending. Give
        them where sequences were shuffled, as by `train_test_split`.

    Returns
    -------
    frame of the library of `like`
        `like`, its rows in their order, with the new columns at the end.

    Raises
    ------
    ValueError
        If there is not one prediction for each id, or each row, of `like`; or there is such a
        column already.
    TypeError
        If `like` is no frame, or its ids cannot be sorted.

    See Also
    --------
    from_long : The way there.

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
    items = items_of(predictions)
    items = np.asarray(predictions) if items is None else items
    sorted_items = [items[i] for i in _positions(len(items), ids, order, id)]
    values = _rows_of(sorted_items, order, id)
    names = _names_of_outputs(name, values, known)
    back = np.empty_like(values)
    back[order.rows] = values
    new = [
        # lists, for polars would hold an array of objects as objects
        nw.new_series(n, v.tolist() if v.dtype == object else v, backend=known.implementation)
        for n, v in zip(names, back.reshape(len(back), -1).T, strict=True)
    ]
    return known.with_columns(*new).to_native()


class SequencesFromLong(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Cut a long frame into sequences: `from_long` as the first step of a pipeline.

    The pipeline then takes long frames, one row a step: `fit(frame, y)` with one target for each
    id, ids ascending, and `predict(frame)`, whose predictions `to_long` puts beside the rows of the
    frame.

    Parameters
    ----------
    id : str, default="id"
        The column that says which sequence a row belongs to.
    time : str, default="time"
        The column to sort by: numbers, dates or durations.
    columns : str, list of str or None, default=None
        The features, in this order. None takes all columns at fit but `id` and `time`; leave out a
        column of targets by naming the others.
    time_delta : bool, default=False
        Whether to append one more feature: the time since the step before, 0 at the first step, in
        seconds where `time` holds dates or durations.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns that are features.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Their names. At `transform` other columns, and the order of columns, do not matter.

    See Also
    --------
    from_long : Gives targets and ids as well.

    Notes
    -----
    Rows go in and sequences come out, so cross-validation cannot cut the frame: to split or search,
    call `from_long` first, and split what it returns.

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

    _parameter_constraints: dict = {
        "id": [str],
        "time": [str],
        "columns": [str, "array-like", None],
        "time_delta": ["boolean"],
    }

    def __init__(self, id="id", time="time", *, columns=None, time_delta=False):
        self.id = id
        self.time = time
        self.columns = columns
        self.time_delta = time_delta

    def __sklearn_tags__(self):
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
            One row for each step of each sequence, in any order.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        ValueError, TypeError
            As by `from_long`.
        """
        known = _read_frame(X)
        _require_columns(known, [self.id, self.time])
        names = _features(known, self.columns, {self.id, self.time}, [], self.time_delta)
        self.feature_names_in_ = np.fromiter(names, object, len(names))
        self.n_features_in_ = len(names)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Cut a frame into sequences.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,) and dtype object
            Sequences (T_i, D), one for each id, ids ascending.
        """
        check_is_fitted(self)
        columns = self.feature_names_in_.tolist()
        return from_long(
            X, id=self.id, time=self.time, columns=columns, time_delta=self.time_delta
        ).X

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features of a step.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
            `feature_names_in_`, and with `time_delta` the name of the time with `_delta` appended.
        """
        check_is_fitted(self)
        more = [f"{self.time}_delta"] if self.time_delta else []
        return np.array([*self.feature_names_in_, *more], dtype=object)


# What users hand in ---------------------------------------------------------------------------


def _read_frame(frame):
    known = nw.from_native(frame, pass_through=True)
    if isinstance(known, nw.LazyFrame):
        raise TypeError("The frame is lazy: pass frame.collect().")
    if not isinstance(known, nw.DataFrame):
        raise TypeError(
            f"The frame is of type {type(frame).__name__}: pass a DataFrame of pandas or polars, "
            "or a pyarrow Table, with one row for each step of each sequence."
        )
    if len(known) == 0:
        raise ValueError("Found 0 sample(s): the frame has no rows.")
    return known


def _as_list(names):
    return [names] if isinstance(names, str) else list(names)


def _require_columns(known, names):
    for name in names:
        if name not in known.columns:
            raise ValueError(f"There is no column {name!r}: the frame has {known.columns}.")


def _require_present(known, name):
    column = known[name]
    missing = column.is_null().to_numpy().astype(bool)
    if column.dtype.is_float():
        missing |= column.fill_null(np.nan).is_nan().to_numpy().astype(bool)
    if missing.any():
        raise ValueError(
            f"Row {missing.argmax()} has no {name!r}: it is null or NaN, as in "
            f"{missing.sum()} rows. Leave them out, or fill them."
        )


def _features(known, columns, keys, targets, time_delta):
    """Names of the columns that are features."""
    if columns is None:
        columns = [name for name in known.columns if name not in keys.union(targets)]
    columns = _as_list(columns)
    _require_columns(known, columns)
    for name in columns:
        if name in targets:
            raise ValueError(
                f"Column {name!r} is both the target and among columns: the answer would be in the "
                "question. To predict a series from its own past, see make_windows."
            )
        _require_numbers(known, name)
    if not columns and not time_delta:
        raise ValueError("No column is left to be a feature.")
    return columns


def _require_numbers(known, name):
    dtype = known[name].dtype
    if not (dtype.is_numeric() or dtype == nw.Boolean):
        raise ValueError(
            f"Column {name!r} has the type {dtype}, and features are numbers. Encode it first, for "
            "example by OrdinalEncoder, or name other columns by columns=[...]."
        )


def _steps(known, columns, order, time_delta):
    """Features of all steps, (rows, D), in order."""
    narrow = columns and all(known[name].dtype == nw.Float32 for name in columns)
    features = [_numbers(known[name])[order.rows] for name in columns]
    features += [order.deltas()] if time_delta else []
    return np.stack(features, axis=1).astype(np.float32 if narrow else np.float64, copy=False)


def _numbers(column):
    return (column if column.dtype == nw.Float32 else column.cast(nw.Float64)).to_numpy()


# The order of the rows ------------------------------------------------------------------------


def _sort(known, id, time):
    """The order of the rows by id and time, which have to differ."""
    _require_columns(known, [id, time])
    for name in (id, time):
        _require_present(known, name)
    times = _times(known[time])
    ids, codes = _factorize(known[id].to_numpy(), id)
    rows = np.lexsort((times, codes))
    codes, times = codes[rows], times[rows]
    twice = (codes[1:] == codes[:-1]) & (times[1:] == times[:-1])
    if twice.any():
        first = twice.argmax()
        raise ValueError(
            f"Two rows have {id}={ids[codes[first]]} and {time}={times[first]}, the first of "
            f"{twice.sum()} such pairs, and a step is one row. Merge them first, for example into "
            "their mean, or drop all but one."
        )
    return _Order(rows, times, ids, np.bincount(codes))


def _factorize(labels, id):
    """The labels, each once and ascending, and for every row the number of its own."""
    listed = labels.tolist()
    try:
        a_row = {label: row for row, label in enumerate(listed)}  # sorting all texts takes long
        ids = np.sort(labels[list(a_row.values())])
    except TypeError:
        raise TypeError(f"The ids in {id!r} cannot be sorted: make all of them text.") from None
    number = {label: k for k, label in enumerate(ids.tolist())}
    return ids, np.fromiter(map(number.__getitem__, listed), np.intp, len(listed))


def _times(column):
    """Times that can be sorted and subtracted."""
    dtype = column.dtype
    if dtype == nw.Datetime and dtype.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    elif dtype == nw.Decimal:
        column = column.cast(nw.Float64)
    elif not (dtype.is_numeric() or dtype in (nw.Date, nw.Datetime, nw.Duration)):
        raise ValueError(
            f"Column {column.name!r} has the type {dtype}, and times are numbers, dates or "
            "durations. Parse it first, for example by pandas.to_datetime."
        )
    times = column.to_numpy()
    return times.astype(np.int64) if times.dtype.kind == "i" else times


def _require_constant(known, names, values, order, id):
    """Refuse targets, a column each, that are missing or differ within an id."""
    for name, column in zip(names, values, strict=True):
        _require_present(known, name)
        differs = column != np.repeat(column[order.starts], order.lengths)
        if differs.any():
            row = differs.argmax()
            i = np.searchsorted(order.starts, row, side="right") - 1
            raise ValueError(
                f"Target {name!r} is not constant for {id}={order.ids[i]}: it is "
                f"{column[order.starts[i]]} and {column[row]}. For one target a step set "
                "target_per_step=True; for one a sequence, give all its rows the same."
            )


# Predictions ----------------------------------------------------------------------------------


def _positions(n, ids, order, id):
    """Where the prediction of each id, ascending, is among n."""
    if n != len(order.ids):
        raise ValueError(
            f"There are {n} predictions, but the frame has {len(order.ids)} different {id!r}: one "
            "for each is expected. Keep the rows of the ids that were predicted."
        )
    if ids is None:
        return range(n)
    ids = np.asarray(ids)
    positions = np.argsort(ids, kind="stable")
    if not np.array_equal(ids[positions], order.ids):
        raise ValueError(
            f"ids are not those of the column {id!r}, each once. Keep the rows of the ids that "
            "were predicted."
        )
    return positions


def _rows_of(items, order, id):
    """Predictions of sequences as those of rows, (rows,) or (rows, K), in order."""
    if np.ndim(items[0]) == 0:
        return np.repeat(np.asarray(items), order.lengths)
    for item, length, label in zip(items, order.lengths.tolist(), order.ids, strict=True):
        if len(item) != length:
            raise ValueError(
                f"There are {len(item)} predictions for {id}={label}, which has {length} rows: one "
                "a row is expected, or a single one for the id. Give several outputs of sequences "
                "column by column, predictions[:, k]."
            )
    return np.concatenate([np.asarray(item) for item in items])


def _names_of_outputs(name, values, known):
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
