"""What all transformers need: fitted attributes set at once, and outputs in the container of X."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from skrnn._data.containers import items_of, unwrap
from skrnn._data.inputs import InputSchema
from skrnn._typing import Floats, Integers, Rows

Names: TypeAlias = Sequence[str] | NDArray[np.object_]


class Transformer(TransformerMixin, BaseEstimator):
    """A transformer that sets its fitted attributes together, at the end of a fit."""

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # scikit-learn would wrap outputs into frames, but sequences fit into none
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit to X, and transform it.

        Parameters
        ----------
        X, y, **fit_params : as in `fit`

        Returns
        -------
        as of `transform`
            If fitting or transforming fails, the transformer is exactly as it was before.
        """
        before = vars(self).copy()
        try:
            return super().fit_transform(X, y, **fit_params)
        except BaseException:
            self.__dict__ = before
            raise

    def __getstate__(self) -> dict[str, Any]:
        """Plain values by name."""
        state = {**super().__getstate__()}
        if "_schema" in state:
            state["_schema"] = state["_schema"]._asdict()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_schema" in state:
            state = state | {"_schema": InputSchema(**state["_schema"])}
        super().__setstate__(state)


def like_container(X: Any, parts: list[Any]) -> Any:
    """Sequences in a container like X: a list, a tuple, an object array, a Series or a frame."""
    if isinstance(X, (list, tuple)):
        return tuple(parts) if isinstance(X, tuple) else parts
    if isinstance(X, np.ndarray):
        return np.fromiter(parts, object, len(parts)).reshape(X.shape)
    return _like_column(X, parts)


def _like_column(X: Any, parts: list[Any]) -> Any:
    """Sequences as a Series or a frame of one column like X."""
    known = nw.from_native(X, allow_series=True)
    column = known[:, 0] if isinstance(known, nw.DataFrame) else known
    lists = column.dtype in (nw.List, nw.Array)
    values = [part.tolist() if lists else part for part in parts]
    dtype = _polars_type(parts[0], lists) if column.implementation.is_polars() else None
    new = nw.new_series(column.name, values, dtype, backend=column.implementation)
    return _with_index_of(X, new.to_frame() if isinstance(known, nw.DataFrame) else new)


def _polars_type(part: Any, lists: bool) -> Any:
    """The type of a column of parts; None leaves it to polars, which makes floats 64 bits wide."""
    if not lists:
        return nw.Object
    if part.dtype != np.float32:
        return None
    return nw.List(nw.List(nw.Float32)) if part.ndim == 2 else nw.List(nw.Float32)


def _with_index_of(X: Any, new: nw.DataFrame[Any] | nw.Series[Any]) -> Any:
    """A frame or Series of narwhals as its library's own, with the index of X if it is as long."""
    known = nw.from_native(X, pass_through=True, allow_series=True)
    native = new.to_native()
    if isinstance(known, (nw.DataFrame, nw.Series)) and nw.maybe_get_index(new) is not None:
        index = nw.maybe_get_index(known)
        if index is not None and len(index) == len(native):
            native.index = index
    return native


def like_sequences(
    X: Any, steps: Rows, lengths: Integers, find_names: Callable[[], Names | None]
) -> Any:
    """Concatenated steps as sequences in a container like X; frames get the names of features."""
    X = unwrap(X)
    if isinstance(X, np.ndarray) and X.ndim == 3:
        return steps.reshape(len(X), -1, steps.shape[1])
    names, parts = find_names(), np.split(steps, np.cumsum(lengths)[:-1])
    items = [_like_item(item, part, names) for item, part in zip(items_of(X), parts, strict=True)]
    return like_container(X, items)


def like_rows(X: Any, steps: Rows, lengths: Integers) -> Any:
    """Concatenated steps as nested lists like X: each sequence flattened, as a row of a table."""
    rows = [part.ravel().tolist() for part in np.split(steps, np.cumsum(lengths)[:-1])]
    return tuple(rows) if isinstance(X, tuple) else rows


def _like_item(item: Any, steps: Rows, names: Names | None) -> Any:
    """Steps as one sequence like item: a frame if they have names, a Series, or an array."""
    array = steps[:, 0] if steps.shape[1] == 1 and np.ndim(item) == 1 else steps
    if isinstance(item, (np.ndarray, list, tuple)):
        return array
    known = nw.from_native(item, pass_through=True, allow_series=True)
    if isinstance(known, nw.DataFrame) and names is not None:
        return frame_of(known.implementation, item, steps, names)
    if isinstance(known, nw.Series) and array.ndim == 1:
        series = nw.new_series(known.name, array, backend=known.implementation)
        return _with_index_of(item, series)
    return array


def like_table(X: Any, table: Rows, find_names: Callable[[], Names | None]) -> Any:
    """A table as a frame of the library of X, as an array if X is none or there are no names."""
    frame = nw.from_native(X, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return table
    names = find_names()
    return table if names is None else frame_of(frame.implementation, X, table, names)


def frame_of(library: Any, X: Any, values: Floats, names: Names | None) -> Any:
    """Values (n, features) as a frame of the library, with the index of X where there is one."""
    schema = None if names is None else list(names)
    return _with_index_of(X, nw.from_numpy(values, schema, backend=library))
