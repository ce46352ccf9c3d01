"""Back into the container that came in."""

import narwhals as nw
import numpy as np

from skrnn._data.containers import items_of, unwrap


def like_container(X, parts):
    """Sequences in a container like X: a list, a tuple, an object array, a Series or a frame."""
    if isinstance(X, (list, tuple)):
        return tuple(parts) if isinstance(X, tuple) else parts
    if isinstance(X, np.ndarray):
        return np.fromiter(parts, object, len(parts)).reshape(X.shape)
    return _like_column(X, parts)


def _like_column(X, parts):
    """Sequences as a Series or a frame of one column like X."""
    known = nw.from_native(X, allow_series=True)
    column = known[:, 0] if isinstance(known, nw.DataFrame) else known
    lists = column.dtype in (nw.List, nw.Array)
    values = [part.tolist() if lists else part for part in parts]
    dtype = _type_in_polars(parts[0], lists) if column.implementation.is_polars() else None
    new = nw.new_series(column.name, values, dtype, backend=column.implementation)
    return with_index_of(X, new.to_frame() if isinstance(known, nw.DataFrame) else new)


def _type_in_polars(part, lists):
    """The type of a column of parts; None leaves it to polars, which makes floats 64 bits wide."""
    if not lists:
        return nw.Object
    if part.dtype != np.float32:
        return None
    return nw.List(nw.List(nw.Float32)) if part.ndim == 2 else nw.List(nw.Float32)


def with_index_of(X, new):
    """What narwhals made as its library has it, with the index of X if it has one as long."""
    known = nw.from_native(X, pass_through=True, allow_series=True)
    native = new.to_native()
    if isinstance(known, (nw.DataFrame, nw.Series)) and nw.maybe_get_index(new) is not None:
        index = nw.maybe_get_index(known)
        if index is not None and len(index) == len(native):
            native.index = index
    return native


def like_sequences(X, steps, lengths, names):
    """Steps one below the other as sequences in a container like X; names is called for frames."""
    X = unwrap(X)
    if isinstance(X, np.ndarray) and X.ndim == 3:
        return steps.reshape(len(X), -1, steps.shape[1])
    names, parts = names(), np.split(steps, np.cumsum(lengths)[:-1])
    parts = [_like_item(item, part, names) for item, part in zip(items_of(X), parts, strict=True)]
    return like_container(X, parts)


def _like_item(item, steps, names):
    """Steps as one sequence like item: a frame if they have names, a Series, or an array."""
    array = steps[:, 0] if steps.shape[1] == 1 and np.ndim(item) == 1 else steps
    if isinstance(item, (np.ndarray, list, tuple)):
        return array
    known = nw.from_native(item, pass_through=True, allow_series=True)
    if isinstance(known, nw.DataFrame) and names is not None:
        return frame_of(known.implementation, item, steps, names)
    if isinstance(known, nw.Series) and array.ndim == 1:
        series = nw.new_series(known.name, array, backend=known.implementation)
        return with_index_of(item, series)
    return array


def like_table(X, table, names):
    """A table as a frame of the library of X, as an array if X is none or there are no names."""
    frame = nw.from_native(X, pass_through=True)
    names = names() if isinstance(frame, nw.DataFrame) else None
    return table if names is None else frame_of(frame.implementation, X, table, names)


def frame_of(library, X, values, names):
    """Values (n, features) as a frame of the library, with the index of X where there is one."""
    names = None if names is None else list(names)
    return with_index_of(X, nw.from_numpy(values, names, backend=library))
