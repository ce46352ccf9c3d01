"""What holds numbers, as an array of them: gaps are NaN; dates, text and the like are refused."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import date, time, timedelta
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from skrnn._typing import Floats

TEXT = (
    "turn text and categories into numbers first, for example by StepTransformer(OrdinalEncoder())"
)
TIMES = (
    "dates, times and durations are not numbers. Make a feature of them, for example "
    '(t - t[0]) / np.timedelta64(1, "s")'
)
LAYOUT = (
    "Each sequence is an array of shape (steps, features), or (steps,) for one feature; an array "
    "of shape (channels, time), as in aeon, is turned by x.T."
)
SPREAD = (
    "If every row is one sequence whose features are in columns of sequences, as in sktime's "
    "nested_univ, pass [np.column_stack(row) for row in X.to_numpy()]."
)


TIME_TYPES = date, time, timedelta, np.datetime64, np.timedelta64


def computing_dtype(dtypes: Iterable[Any]) -> np.dtype[Any]:
    """float32 where it holds all values of these dtypes exactly, else float64."""
    exact = np.can_cast(np.result_type(*set(dtypes)), np.float32)
    return np.dtype(np.float32 if exact else np.float64)


def known_table(values: Any) -> Any:
    """A frame or Series of any library as one of narwhals, None for anything else."""
    if isinstance(values, (np.ndarray, list, tuple)):  # narwhals takes its time to say so
        return None
    try:
        table = nw.from_native(values, pass_through=True, allow_series=True)
    except ValueError as error:
        raise ValueError(f"The columns of a frame need different names. {error}") from None
    return table if isinstance(table, (nw.DataFrame, nw.Series)) else None


def numbers_of(values: Any, what: str, hint: str = "") -> NDArray[Any]:
    """Values as a real array in their own dtype, or in a float's where some are missing.

    They may be an array, nested lists, or a frame or Series of any library. Messages begin with
    `what` and end in `hint`.
    """
    if type(values) is np.ndarray and values.dtype.kind in "biuf":
        return values
    table = known_table(values)
    if isinstance(table, nw.DataFrame):
        return _from_frame(table, what, hint)
    if isinstance(table, nw.Series):
        return _from_column(table, what, "", hint)
    return _from_array(as_array(values, what, hint), what, "", hint)


def as_array(values: Any, what: str, hint: str = "") -> NDArray[Any]:
    """An array-like as an array of whatever it holds; what is masked is missing."""
    if isinstance(values, np.ma.MaskedArray):
        return fill_masked(values)
    if isinstance(values, (list, tuple)) and not MASKED.isdisjoint(map(type, values)):
        values = [fill_masked(v) if isinstance(v, np.ma.MaskedArray) else v for v in values]
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{what} is not rectangular. {hint or LAYOUT}") from None
    except (TypeError, RuntimeError) as error:
        raise ValueError(
            f"{what} is a {type(values).__name__} that NumPy cannot read. A tensor is passed "
            f"as x.detach().cpu().float().numpy(). ({error})"
        ) from None


MASKED: set[type] = {np.ma.MaskedArray, type(np.ma.masked)}


def fill_masked(array: Any) -> NDArray[Any]:
    """Masked values are missing: NaN."""
    if array.dtype.kind not in "biufcO" or not np.ma.is_masked(array):
        return array.data
    if array.dtype.kind in "biu":
        array = array.astype(computing_dtype([array.dtype]))
    return array.filled(np.nan)


def _from_frame(frame: nw.DataFrame[Any], what: str, hint: str) -> NDArray[Any]:
    if frame.shape[1] == 0:
        return np.empty(frame.shape)
    pandas = frame.implementation.is_pandas_like()
    if pandas or all(t.is_numeric() or t == nw.Boolean for t in frame.schema.values()):
        with suppress(TypeError):  # of columns that have no type in common
            array = frame.to_numpy()  # in which polars would make numbers of dates
            if array.dtype.kind in "biuf" and not _widened(frame, array):
                return array
    columns = [
        _from_column(frame[:, j], what, f" in column {name!r}", hint)
        for j, name in enumerate(frame.columns)
    ]
    return np.stack(columns, axis=1)


NARROW: dict[str, Any] = {  # types of columns all values of which float32 holds
    "Boolean": np.bool_,
    "Int8": np.int8,
    "Int16": np.int16,
    "UInt8": np.uint8,
    "UInt16": np.uint16,
    "Float16": np.float16,
    "Float32": np.float32,
}


def _widened(frame: nw.DataFrame[Any], array: NDArray[Any]) -> bool:
    """Whether gaps have made float64 of columns that need no more than float32."""
    gaps = array.dtype == np.float64 and bool(np.isnan(array).any())
    return gaps and all(str(dtype) in NARROW for dtype in frame.schema.values())


def _from_column(column: nw.Series[Any], what: str, place: str, hint: str) -> NDArray[Any]:
    if column.dtype.is_temporal():
        _refuse(what, str(column.dtype).partition("(")[0], place, TIMES, hint)
    if place and column.dtype.is_nested():
        _refuse_sequences(what, place, hint)
    missing = column.is_null().to_numpy().astype(bool)
    if not missing.any() or column.dtype == nw.Object:
        return _from_array(column.to_numpy(), what, place, hint)
    values = _from_array(column.drop_nulls().to_numpy(), what, place, hint)
    filled = np.full(len(missing), np.nan, computing_dtype([values.dtype]))
    filled[~missing] = values
    return filled


def _from_array(array: NDArray[Any], what: str, place: str, hint: str) -> NDArray[Any]:
    kind = array.dtype.kind
    if kind in "biuf":
        return array
    if kind == "O":
        return _from_objects(array, what, place, hint)
    if kind == "c":
        _refuse_complex(what, hint)
    if kind == "V":
        raise ValueError(f"{what} is a structured array. {LAYOUT}")
    held = str(array.dtype) if kind in "mM" or not place else "text"
    _refuse(what, held, place, TIMES if kind in "mM" else TEXT, hint)
    return array


def _from_objects(array: NDArray[Any], what: str, place: str, hint: str) -> Floats:
    """Python's numbers, and what stands for a missing one, in float64; its booleans in float32."""
    values = array.ravel().tolist()
    types = set(map(type, values))
    for found, why in ((_is_time, TIMES), (_is_text, TEXT)):
        if any(map(found, types)):
            i = next(i for i, value in enumerate(values) if found(type(value)))
            _refuse(what, f"{values[i]!r:.40}", place or _index(array, i), why, hint)
    if any(issubclass(t, (complex, np.complexfloating)) for t in types):
        _refuse_complex(what, hint)
    if array.ndim and any(map(_is_sequence, types)):
        _refuse_sequences(what, place, hint)
    absent = {t for t in types if t.__name__ == "NAType" or t in MASKED}
    if absent:
        values = [np.nan if type(value) in absent else value for value in values]
        array = np.array(values, dtype=object).reshape(array.shape)
    booleans = types - absent - {type(None)} <= {bool, np.bool_}
    try:
        return array.astype(np.float32 if booleans else np.float64)
    except (TypeError, ValueError, OverflowError):
        _refuse_first_bad(array, what, place, hint)
        raise


def _is_time(kind: type) -> bool:
    return issubclass(kind, TIME_TYPES) or kind.__name__ in ("NaTType", "Period")


def _is_text(kind: type) -> bool:
    return issubclass(kind, (str, bytes))


def _is_sequence(kind: type) -> bool:
    return hasattr(kind, "__len__") and not issubclass(kind, (dict, set, np.ma.MaskedArray))


def _index(array: NDArray[Any], i: int) -> str:
    """Where the i-th value is."""
    idx = [int(j) for j in np.unravel_index(i, array.shape)]
    return "" if not idx else f" at {idx[0] if len(idx) == 1 else tuple(idx)}"


def _refuse(what: str, held: str, place: str, why: str, hint: str) -> None:
    message = f"{what} holds {held}{place}, but numbers are required: {why}."
    raise ValueError(f"{message} {hint}".rstrip())


def _refuse_sequences(what: str, place: str, hint: str) -> None:
    way_out = SPREAD if what == "X" else hint or LAYOUT
    raise ValueError(f"{what} holds sequences{place} where there should be numbers. {way_out}")


def _refuse_complex(what: str, hint: str) -> None:
    message = f"Complex data not supported: {what} is complex. Pass x.real, x.imag. {hint}"
    raise ValueError(message.rstrip())


def _refuse_first_bad(array: NDArray[Any], what: str, place: str, hint: str) -> None:
    for i, value in enumerate(array.ravel().tolist()):
        try:
            float(value)
        except OverflowError:
            raise ValueError(
                f"{what} holds an integer that is too large for a floating-point number"
                f"{place or _index(array, i)}."
            ) from None
        except (TypeError, ValueError) as error:
            held = f"holds {value!r:.40}{place or _index(array, i)}"
            if array.ndim == 0 and not place:
                held = f"is of type {type(value).__name__}"
            raise type(error)(f"{what} {held}: {error}. {hint}".rstrip()) from None
