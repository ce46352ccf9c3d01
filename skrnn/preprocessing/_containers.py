"""Back into the container that came in."""

import narwhals as nw
import numpy as np


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
    """What narwhals made as its library has it, with the index of X where both have one."""
    known = nw.from_native(X, pass_through=True, allow_series=True)
    native = new.to_native()
    if isinstance(known, (nw.DataFrame, nw.Series)) and nw.maybe_get_index(new) is not None:
        index = nw.maybe_get_index(known)
        if index is not None:
            native.index = index
    return native
