"""What users hand in, as steps of sequences one below the other."""

from typing import Any

import narwhals as nw
import numpy as np

from skrnn._data.sequences import is_finite, starts_of
from skrnn._typing import Booleans, Floats, Integers, Rows


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


def unwrap(X: Any) -> Any:
    """Convert what is no known container but turns into an array."""
    if isinstance(X, np.ndarray) and X.dtype.names:
        raise ValueError(f"X is a structured array. {LAYOUT}")
    if isinstance(X, np.ma.MaskedArray):
        return _fill_masked(X)
    known = (
        isinstance(X, (np.ndarray, list, tuple))
        or nw.from_native(X, pass_through=True, allow_series=True) is not X
    )
    return np.asarray(X) if not known and hasattr(X, "__array__") else X


def _fill_masked(array: Any) -> Any:
    """Masked values are missing: NaN."""
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    return array.filled(np.nan)


def items_of(X: Any) -> Any:
    """Return the items of a container that may hold sequences, None for any other."""
    if isinstance(X, (list, tuple)):
        return X
    if isinstance(X, np.ndarray):
        if X.ndim >= 3:
            return X
        one_column = X.dtype == object and (X.ndim == 1 or X.shape[1:] == (1,))
        return X.ravel() if one_column else None
    table = nw.from_native(X, pass_through=True, allow_series=True)
    if isinstance(table, nw.DataFrame) and table.shape[1] == 1:
        table = table[:, 0]
    if isinstance(table, nw.Series) and table.dtype in (nw.Object, nw.List, nw.Array):
        items = table.to_list()
        return [_as_float32(item) for item in items] if _is_float32(table.dtype) else items
    return None


def _is_float32(dtype: Any) -> bool:
    while dtype in (nw.List, nw.Array):
        dtype = dtype.inner
    return bool(dtype == nw.Float32)


def _as_float32(item: Any) -> Any:
    try:
        return np.asarray(item, dtype=np.float32)
    except (TypeError, ValueError):  # not rectangular, which is said elsewhere
        return item


def _ndim(item: Any) -> int:
    if isinstance(item, (list, tuple)):
        return 1 + (_ndim(item[0]) if len(item) else 0)
    if hasattr(item, "shape"):
        return len(item.shape)
    return np.ndim(item) if hasattr(item, "__array__") else 0


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


def stack_items(X: Any) -> tuple[Rows, Integers, list[Any] | None]:
    """Sequences (T_i, D) or (T_i,) as steps (sum of T_i, D), lengths and step feature names."""
    items = items_of(X)
    if len(items) == 0:
        raise ValueError("Found 0 sample(s): X holds no sequence, and at least one is required.")
    if isinstance(X, np.ndarray) and X.ndim == 3 and X.dtype != object and X.size:
        cube = _as_numbers(X, "X", None)
        n, T, D = cube.shape
        return cube.reshape(n * T, D), np.full(n, T), None
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
    if any(array.dtype != np.float32 for array in arrays):
        arrays = [array.astype(np.float64, copy=False) for array in arrays]
    return np.concatenate(arrays), np.array([len(array) for array in arrays]), names[0]


LAYOUT = (
    "Each sequence is an array of shape (steps, features), or (steps,) for one feature; an array "
    "of shape (channels, time), as in aeon, is turned by x.T."
)


def _frame(item: Any) -> Any:
    """A frame of any library, None for anything else."""
    if isinstance(item, (np.ndarray, list, tuple)):  # narwhals takes its time to say so
        return None
    frame = nw.from_native(item, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def _names(item: Any) -> list[Any] | None:
    frame = _frame(item)
    return None if frame is None else list(frame.columns)


def _as_sequence(item: Any, i: int) -> Rows:
    if hasattr(item, "toarray"):
        raise TypeError(f"Sequence {i} is sparse; dense arrays are required: use x.toarray().")
    array = _as_numbers(_as_array(item, i), f"Sequence {i}", item)
    if array.ndim not in (1, 2):
        raise ValueError(f"Sequence {i} has {array.ndim} dimensions. {LAYOUT}")
    if array.size == 0:
        raise ValueError(
            f"Sequence {i} is empty (shape {array.shape}). Every sequence needs at least one step "
            "of at least one feature: leave it out, with its target."
        )
    return array[:, None] if array.ndim == 1 else array


def _as_array(item: Any, i: int) -> Any:
    if isinstance(item, np.ma.MaskedArray):
        return _fill_masked(item)
    frame = _frame(item)
    try:
        return np.asarray(item) if frame is None else frame.to_numpy()
    except ValueError:
        raise ValueError(f"Sequence {i} is not rectangular. {LAYOUT}") from None


def _as_numbers(array: Any, what: str, item: Any) -> Floats:
    """The array in float32 if it is, else in float64."""
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {what} is complex. Pass x.real, x.imag.")
    if array.dtype.kind in "USmM":
        raise ValueError(
            f"{what} holds {array.dtype}, but numbers are required: turn text and categories into "
            "numbers first."
        )
    try:
        return array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} holds what is not a number: {item!r:.80}. {LAYOUT}") from None


def require_valid_steps(steps: Rows, lengths: Integers) -> None:
    """Refuse infinity, steps that are partly NaN, and sequences with no step left."""
    if is_finite(steps):
        return
    require_no_infinity(steps, lengths)
    starts = starts_of(lengths)
    missing = np.isnan(steps)
    absent = np.all(missing, axis=1)
    bad = np.any(missing, axis=1) & ~absent
    if bad.any():
        raise ValueError(
            f"Input X contains NaN in some features of a step but not in all: "
            f"{place_of(lengths, bad)}. Impute them by skrnn.preprocessing.StepImputer(), or mark "
            "the whole step as absent by NaN."
        )
    empty = np.logical_and.reduceat(absent, starts)
    if empty.any():
        raise ValueError(
            f"Sequence {empty.argmax()} has no step left: all its features are NaN. Leave it out, "
            "with its target."
        )


def require_no_infinity(steps: Rows, lengths: Integers) -> None:
    bad = np.any(np.isinf(steps), axis=1)
    if bad.any():
        raise ValueError(
            f"Input X contains infinity: {place_of(lengths, bad)}, or what is too large for "
            f"{steps.dtype}. Replace it, or mark the whole step as absent by NaN."
        )


def place_of(lengths: Integers, bad: Booleans) -> str:
    """Say where the first bad one of the steps of all sequences is."""
    row, starts = bad.argmax(), starts_of(lengths)
    i = np.searchsorted(starts, row, side="right") - 1
    return f"sequence {i}, step {row - starts[i]}"


def _require_items(X: Any) -> Any:
    """The items of a container, those of a plain array or an iterator being its rows."""
    X = unwrap(X)
    items = items_of(X)
    if items is None and hasattr(X, "columns"):
        raise ValueError(
            "X is a frame of several columns, not sequences: pass one frame or array per sequence."
        )
    return list(X) if items is None else items


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
        boxes[i] = _as_array(item, i)
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
        T is the length of the longest sequence; float32 if all sequences are, else float64.

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
