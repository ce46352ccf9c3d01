"""What users hand in, as steps of sequences one below the other."""

from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from typing import Any, NoReturn

import narwhals as nw
import numpy as np
from numpy.lib.stride_tricks import as_strided

from skrnn._data.numeric import (
    LAYOUT,
    NARROW,
    as_array,
    computing_dtype,
    fill_masked,
    known_table,
    numbers_of,
)
from skrnn._data.sequences import Sequences, present_steps
from skrnn._typing import Booleans, Integers, Rows


def kind_of(X: Any, fitted: str | None = None) -> str:
    """Kind of X: "tabular" (every row is a flattened sequence) or "sequences".

    Nested lists of numbers can be either: they follow the kind `fitted`, else their shape.
    """
    if isinstance(X, np.ndarray) and (X.ndim >= 3 or X.dtype != object):
        return "sequences" if X.ndim >= 3 else "tabular"
    items = items_of(X)
    if items is None:
        return "tabular"
    if len(items) == 0:
        return fitted or "sequences"
    ndims = [_ndim(item) for item in items]
    if not isinstance(X, (list, tuple)) or max(ndims) == 0:
        return "sequences" if max(ndims) >= 1 else "tabular"
    nested = all(isinstance(item, (list, tuple)) for item in items) and set(ndims) == {1}
    if not nested:
        return "sequences"
    ragged = len({len(item) for item in items}) > 1
    return "sequences" if ragged else fitted or "tabular"


def is_nested_list(X: Any) -> bool:
    """Whether X is a list of lists of numbers."""
    lists = (list, tuple)
    return (
        isinstance(X, lists)
        and len(X) > 0
        and all(isinstance(item, lists) and _ndim(item) == 1 for item in X)
    )


def unwrap(X: Any) -> Any:
    """Convert what is no known container but turns into an array; refuse what would mislead."""
    if isinstance(X, np.ndarray):
        if X.dtype.names:
            raise ValueError(f"X is a structured array. {LAYOUT}")
        return fill_masked(X) if isinstance(X, np.ma.MaskedArray) else X
    if type(X) in (list, tuple) or known_table(X) is not None:
        return X
    if hasattr(X, "batch_sizes"):
        raise TypeError(
            f"X is a {type(X).__name__}, whose rows are steps of many sequences: pass "
            "torch.nn.utils.rnn.unpack_sequence(X)."
        )
    _require_order(X, "X")
    return as_array(X, "X") if hasattr(X, "__array__") else X


TIME = {"time", "times", "t", "step", "steps", "timestep", "timesteps", "time_step", "time_steps"}
FEATURE = {"feature", "features", "channel", "channels", "variable", "variables", "band", "sensor"}


def _require_order(x: Any, what: str) -> None:
    """Refuse an array whose dimensions have names (xarray's) that say another order.

    X is to be (n, time, feature), or a table (n, p); its items (time, feature).
    """
    dims = getattr(x, "dims", None)
    if not isinstance(dims, tuple) or len(dims) not in (2, 3):
        return
    time = [i for i, dim in enumerate(dims) if str(dim).lower() in TIME]
    features = [i for i, dim in enumerate(dims) if str(dim).lower() in FEATURE]
    alone = what == "X" and len(dims) == 2 and time and features  # one sequence, not a table
    wrong = alone or features == [0]
    if len(dims) == 3:
        wrong = wrong or features == [1] or time in ([0], [2])
    elif what != "X":
        wrong = wrong or time == [1]
    if not wrong:
        return
    rest = [i for i in range(len(dims)) if i not in (*time, *features)]
    turned = ", ".join(repr(dims[i]) for i in rest + time + features)
    raise ValueError(
        f"{what} has the dimensions {dims}, but sequences are read as (n, time, feature), and each "
        f"as (time, feature): pass {'[' * bool(alone)}x.transpose({turned}){']' * bool(alone)}."
    )


def require_container(X: Any) -> None:
    """Refuse what holds sequences in a way that cannot be indexed, or not in this order."""
    plain = X is None or isinstance(X, (np.ndarray, list, tuple, str, bytes)) or np.isscalar(X)
    if not (plain or hasattr(X, "toarray") or known_table(X) is not None):
        _refuse_container(X)


def _refuse_container(X: Any) -> NoReturn:
    name = type(X).__name__
    if isinstance(X, Mapping):
        way_out = "pass its values, skrnn.as_sequences(list(X.values())), in the order of y"
    elif "groupby" in name.lower():
        way_out = (
            "pass [group for _, group in X], with the columns that are features, or let "
            "skrnn.preprocessing.from_long(frame, id=..., time=...) make sequences of the frame"
        )
    elif name == "Expr" or hasattr(X, "collect"):
        way_out = "collect it first: frame.collect(), or frame.select(X).collect()"
    elif hasattr(X, "toarray"):
        way_out = "it is sparse; dense arrays are required: X.toarray()"
    elif isinstance(X, Set):
        way_out = "it has no order; pass a list"
    elif _is_iterable(X):
        way_out = (
            "pass skrnn.as_sequences(list(X)) if its items are sequences, or "
            "[x for batch in X for x in batch] if they are batches of them"
        )
    else:
        way_out = f"pass an array, a frame or a list of sequences. {LAYOUT}"
    raise TypeError(f"X is of type {name}: {way_out.rstrip('.')}.")


def items_of(X: Any) -> Any:
    """Return the items of a container that may hold sequences, None for any other."""
    if isinstance(X, (list, tuple)):
        return X
    if isinstance(X, np.ndarray):
        if X.ndim >= 3:
            return X
        one_column = X.dtype == object and (X.ndim == 1 or X.shape[1:] == (1,))
        return X.ravel() if one_column else None
    column = _column_of(X)
    nested = column is not None and column.dtype in (nw.Object, nw.List, nw.Array)
    return column.to_list() if nested else None


def _column_of(X: Any) -> Any:
    """A Series, or the only column of a frame; None for anything else."""
    table = known_table(X)
    if isinstance(table, nw.DataFrame):
        return table[:, 0] if table.shape[1] == 1 else None
    return table


def _typed_items(X: Any) -> Any:
    """The items of a container; lists from a column of numbers of one type as arrays of it."""
    items, column = items_of(X), _column_of(X)
    if items is None or column is None:
        return items
    dtype = column.dtype
    while dtype in (nw.List, nw.Array):
        dtype = dtype.inner
    narrow = NARROW.get(str(dtype))
    if narrow is None:
        return items
    return [_typed(item, narrow) if isinstance(item, (list, tuple)) else item for item in items]


def _typed(item: Any, dtype: Any) -> Any:
    with suppress(TypeError, ValueError):  # not rectangular, which is said elsewhere
        array = np.asarray(item)
        return array.astype(dtype if array.dtype.kind in "biuf" else np.float32)  # None as NaN
    return item


def _ndim(item: Any) -> int:
    if isinstance(item, (list, tuple)):
        return 1 + (_ndim(item[0]) if len(item) else 0)
    if hasattr(item, "shape"):
        return len(item.shape)
    return as_array(item, "An item of X").ndim if hasattr(item, "__array__") else 0


def stack_table(X: Rows, features_per_step: int | None) -> tuple[Rows, Integers]:
    """Rows (n, p), each a flattened sequence, as steps (n T, D) and lengths."""
    D = features_per_step or 1
    n, p = X.shape
    if p % D:
        raise ValueError(
            f"features_per_step={D} must divide the number of columns (n_features={p}): every row "
            "is one sequence, its steps one after the other."
        )
    return X.reshape(n * (p // D), D), np.full(n, p // D)


def stack_items(X: Any, dtype: Any = None) -> tuple[Rows, Integers, list[Any] | None]:
    """Sequences (T_i, D) or (T_i,) as steps (sum of T_i, D), lengths and step feature names.

    The dtype is that in which X is computed, if none is given.
    """
    items = _typed_items(X)
    if len(items) == 0:
        raise ValueError("Found 0 sample(s): X holds no sequence, and at least one is required.")
    if isinstance(X, np.ndarray) and X.ndim == 3 and X.dtype != object and X.size:
        cube = numbers_of(X, "X")
        n, T, D = cube.shape
        return as_computed(cube, dtype).reshape(n * T, D), np.full(n, T), None
    names = [_names(item) for item in items]
    arrays = [_as_sequence(item, i) for i, item in enumerate(items)]
    D = arrays[0].shape[1]
    for i, array in enumerate(arrays):
        if array.shape[1] != D:
            raise ValueError(
                f"Sequence {i} has steps of {array.shape[1]} features, but sequence 0 has steps "
                f"of {D}. {LAYOUT}"
            )
        if names[i] != names[0]:
            raise ValueError(
                f"Sequence {i} has the columns {names[i]}, but sequence 0 has {names[0]}. All "
                "frames need the same columns in the same order."
            )
    dtype = dtype or computing_dtype(array.dtype for array in arrays)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        steps = np.concatenate(arrays, dtype=dtype, casting="unsafe")
    return steps, np.array([len(array) for array in arrays]), names[0]


def series_of(X: Any) -> tuple[Any, Integers]:
    """Windows (n, T, D) that share memory as the series (1, rows, D) they are cut from.

    And the row at which each starts. Any other X as it is, and no rows.
    """
    nothing = X, np.empty(0, dtype=np.intp)
    if type(X) is not np.ndarray or X.ndim != 3 or X.dtype.kind not in "biuf" or not X.size:
        return nothing
    (n, T, D), (ahead, row, value) = X.shape, X.strides
    if not (row > 0 and 0 <= ahead < T * row and ahead % row == 0):
        return nothing
    starts = ahead // row * np.arange(n)
    series = as_strided(X, (1, starts[-1] + T, D), (0, row, value), writeable=False)
    return series, starts


def as_computed(array: Any, dtype: Any = None) -> Rows:
    """A real array, C-contiguous, in this dtype or in that in which it is computed."""
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype or computing_dtype([array.dtype]), order="C")


def _names(item: Any) -> list[Any] | None:
    frame = known_table(item)
    return list(frame.columns) if isinstance(frame, nw.DataFrame) else None


def _as_sequence(item: Any, i: int) -> Rows:
    what = f"Sequence {i}"
    if hasattr(item, "toarray"):
        raise TypeError(f"{what} is sparse; dense arrays are required: use x.toarray().")
    if not isinstance(item, (np.ndarray, list)):
        _require_order(item, what)
    array = numbers_of(item, what)
    if array.ndim not in (1, 2):
        raise ValueError(f"{what} has {array.ndim} dimensions. {LAYOUT}")
    if array.size == 0:
        raise ValueError(
            f"{what} is empty (shape {array.shape}). Every sequence needs at least one step "
            "of at least one feature: leave it out, with its target."
        )
    return array[:, None] if array.ndim == 1 else array


def without_absent(sequences: Sequences) -> tuple[Sequences, Booleans | None]:
    """Sequences as given without the steps that are NaN; which rows are present, None for all.

    Refuses infinity, steps that are partly NaN, and sequences with no step left.
    """
    present = present_steps(sequences.values)
    if present is None:
        return sequences, None
    require_no_infinity(sequences)
    bad = np.any(np.isnan(sequences.values), axis=1) & present
    if bad.any():
        raise ValueError(
            f"Input X contains NaN in some features of a step but not in all: "
            f"{place_of(sequences, bad)}. Impute them by skrnn.preprocessing.StepImputer(), or "
            "mark the whole step as absent by NaN."
        )
    left = sequences.only(present)
    empty = left.lengths == 0
    if empty.any():
        raise ValueError(
            f"Sequence {empty.argmax()} has no step left: all its features are NaN. Leave it out, "
            "with its target."
        )
    return left, present


def require_no_infinity(sequences: Sequences) -> None:
    bad = np.any(np.isinf(sequences.values), axis=1)
    if bad.any():
        raise ValueError(
            f"Input X contains infinity: {place_of(sequences, bad)}, or what is too large for "
            f"{sequences.values.dtype}. Replace it, or mark the whole step as absent by NaN."
        )


def place_of(sequences: Sequences, bad: Booleans) -> str:
    """Say where the first bad row is, in sequences as given: every row is a step of one."""
    row = bad.argmax()
    i = np.searchsorted(sequences.starts + sequences.lengths, row, side="right")
    return f"sequence {i}, step {row - sequences.starts[i]}"


def _require_items(X: Any) -> Any:
    """The items of a container, those of a plain array or an iterator being its rows."""
    X = unwrap(X)
    items = _typed_items(X)
    if items is not None:
        return items
    if known_table(X) is not None and len(X.shape) == 2:
        raise ValueError(
            "X is a frame of several columns, not sequences: pass one frame or array per sequence."
        )
    keyed = isinstance(X, (Mapping, Set)) or "groupby" in type(X).__name__.lower()
    if keyed or hasattr(X, "toarray") or isinstance(X, (str, bytes)) or not _is_iterable(X):
        _refuse_container(X)
    return list(X)


def _is_iterable(X: Any) -> bool:
    """Whether X has items; a lazy frame, or an array of no dimension, has none."""
    if isinstance(X, np.ndarray):
        return X.ndim > 0
    sized = isinstance(X, Iterable) or hasattr(X, "__getitem__")
    return (
        sized
        and not isinstance(X, type)
        and not hasattr(X, "collect")
        and type(X).__name__ != "Expr"
    )


def _item_as_array(item: Any, i: int) -> Any:
    """A sequence of whatever as an array; frames of numbers as an array of them."""
    _require_order(item, f"Sequence {i}")
    table = known_table(item)
    try:
        return as_array(item, f"Sequence {i}") if table is None else numbers_of(item, "")
    except (TypeError, ValueError):
        if table is None:
            raise
        columns = table.iter_columns() if isinstance(table, nw.DataFrame) else [table]
        lists = [column.to_list() for column in columns]
        arrays = [np.fromiter(values, object, len(values)) for values in lists]
        return np.stack(arrays, axis=1) if isinstance(table, nw.DataFrame) else arrays[0]


def as_sequences(X: Any) -> np.ndarray:
    """Put sequences into a one-dimensional object array, one array per sequence.

    The container that every splitter and search of scikit-learn takes: `np.array` would turn
    sequences of equal length into one numeric array instead. Targets of every step that come as a
    list of lists, which scikit-learn refuses, go through it likewise.

    Parameters
    ----------
    X : iterable of n array-likes, each (T_i, D) or (T_i,)

    Returns
    -------
    ndarray of shape (n,) and dtype object
        Item i is the i-th sequence as an array.

    Examples
    --------
    >>> from skrnn import as_sequences
    >>> X = as_sequences([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]])
    >>> X.shape, X[1].shape
    ((2,), (2, 2))
    """
    items = _require_items(X)
    boxes = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        boxes[i] = _item_as_array(item, i)
        if boxes[i].ndim == 0:
            raise ValueError(f"Item {i} is {item!r}, not a sequence.")
    return boxes


def pad_sequences(X: Any, *, flatten: bool = False) -> np.ndarray:
    """Put sequences into one array, the shorter ones followed by NaN.

    The estimators skip steps that are NaN, so the padded array trains and predicts as the ragged
    sequences do; tools that accept nothing but one numeric array can hold it.

    Parameters
    ----------
    X : sequences of n arrays, each (T_i, D) or (T_i,)
    flatten : bool, default=False
        Return the table (n, T D) of flattened sequences instead, for the tools of scikit-learn
        that want two dimensions; the estimator then needs `features_per_step=D`.

    Returns
    -------
    ndarray of shape (n, T, D) or (n, T D)
        T is the length of the longest sequence; float32 if it holds all values exactly, as those of
        float32 and of integers of up to 16 bits, else float64.

    Examples
    --------
    >>> from skrnn import pad_sequences
    >>> pad_sequences([[1.0], [2.0, 3.0]], flatten=True)
    array([[ 1., nan],
           [ 2.,  3.]])
    """
    steps, lengths, _ = stack_items(_require_items(X))
    padded = np.full((len(lengths), lengths.max(), steps.shape[1]), np.nan, steps.dtype)
    padded[np.arange(lengths.max()) < lengths[:, None]] = steps
    return padded.reshape(len(padded), -1) if flatten else padded
