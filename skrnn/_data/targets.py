"""Targets and weights as users hand them in: arrays, and which of their values are missing."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from skrnn._data.containers import items_of
from skrnn._data.numeric import TIME_TYPES
from skrnn._data.sequences import starts_of
from skrnn._typing import Booleans, Floats, Integers

ONE_PER_SEQUENCE = (
    "Expected one target per sequence, (n,) or (n, n_outputs). For one target per step, set "
    'readout="step".'
)
STEP_TARGETS = (
    'With readout="step", y has one target per step: (n, T), (n, T, n_outputs), or n arrays, each '
    "as long as its sequence. For one target per sequence use another readout."
)


class Given(NamedTuple):
    """Values without the missing ones, which are masked, NaN, None or pandas' NA.

    `missing` and `masked` are of the shape of `values`, `missing` None where nothing is. In place
    of what is missing stands another of the values, so that it is one of them.
    """

    values: Any
    missing: Booleans | None = None
    masked: Booleans | None = None

    def weigh(self, weight: Floats, lengths: Integers | None) -> Floats:
        """The weights (n,) or (n, K), 0 where a target is missing; (n,) if columns are equal.

        `lengths` are those of the sequences whose steps the targets belong to, None if every target
        belongs to a sequence.
        """
        if self.missing is not None:
            missing: Booleans = self.missing.reshape(len(weight), -1)
            known = np.where(missing, 0.0, weight.reshape(len(weight), -1))
            if not known.any():
                raise ValueError("Input y contains NaN, or is missing, wherever it has a weight.")
            self._warn_of_sequences_left_out(np.all(missing, axis=1), weight, lengths)
            weight = known
        if weight.ndim == 2 and (weight == weight[:, :1]).all():
            return weight[:, 0].copy()
        return weight

    def _warn_of_sequences_left_out(
        self, missing: Booleans, weight: Floats, lengths: Integers | None
    ) -> None:
        """Those with a weight and no target, unless all their targets are masked."""
        starts = np.arange(len(weight)) if lengths is None else starts_of(lengths)
        weighed = weight.reshape(len(weight), -1).any(axis=1)
        left_out = np.logical_and.reduceat(missing, starts)
        left_out &= np.logical_or.reduceat(weighed, starts)
        if self.masked is not None:
            masked = self.masked.reshape(len(weight), -1).all(axis=1)
            left_out &= ~np.logical_and.reduceat(masked, starts)
        if left_out.any():
            warnings.warn(
                f"{np.count_nonzero(left_out)} of {len(starts)} sequences have no target and are "
                f"left out, the first of them is sequence {left_out.argmax()}. Mask their targets "
                "(np.ma) where this is meant.",
                stacklevel=2,
            )


# One target per sequence ----------------------------------------------------------------------


def sequence_targets(y: Any) -> Given:
    """Targets (n,) or (n, K)."""
    try:
        array, masked = as_array(y.toarray() if issparse(y) else y)
    except ValueError:
        raise ValueError(f"y is ragged, or holds arrays. {ONE_PER_SEQUENCE}") from None
    if array.ndim not in (1, 2):
        raise ValueError(f"y has shape {array.shape}. {ONE_PER_SEQUENCE}")
    return without_missing(array, masked, "y", ONE_PER_SEQUENCE)


# One per step ---------------------------------------------------------------------------------


def step_targets(y: Any, lengths: Integers, present: Booleans | None) -> Given:
    """Targets of the steps that are present, one below the other, from one for every step."""
    array, masked = stack_steps(y, lengths, "y", STEP_TARGETS)
    if present is not None:
        array, masked = array[present], masked if masked is None else masked[present]
    return without_missing(array, masked, "y", STEP_TARGETS)


def stack_steps(
    values: Any, lengths: Integers, name: str, expected: str
) -> tuple[Any, Booleans | None]:
    """Values of the steps of all sequences, one below the other, and which are masked."""
    items = _items(values, name, expected)
    if len(items) != len(lengths):
        raise ValueError(
            f"X has {len(lengths)} sequences, but {name} has {len(items)} targets: found input "
            f"variables with inconsistent numbers of samples. {expected}"
        )
    read = [_steps_of(item, f"{name}[{i}]", expected) for i, item in enumerate(items)]
    parts, masks = _fill_empty([part for part, _ in read], lengths), [mask for _, mask in read]
    _require_lengths(parts, lengths, name, expected)
    kinds = {part.dtype.kind for part in parts}
    if kinds & {"m", "M"}:
        raise ValueError(_DATES.format(name=name))
    mixed = len({kind in "US" for kind in kinds}) > 1  # no number as text
    stacked = np.concatenate(parts, dtype=object if mixed else None)
    if all(mask is None for mask in masks):
        return stacked, None
    masked = [
        np.broadcast_to(False if mask is None else mask, part.shape)
        for mask, part in zip(masks, parts, strict=True)
    ]
    return stacked, np.concatenate(masked)


def _items(values: Any, name: str, expected: str) -> Any:
    """What belongs to each sequence."""
    if hasattr(values, "columns"):  # a wide frame
        values = np.asarray(values)
    items = items_of(values)
    if items is None:
        items = values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    if isinstance(items, np.ndarray) and items.ndim == 0:
        raise ValueError(f"{name} is a {type(values).__name__}. {expected}")
    return items


def _steps_of(item: Any, name: str, expected: str) -> tuple[Any, Booleans | None]:
    try:
        part, masked = as_array(item)
    except ValueError:
        raise ValueError(f"{name} is not rectangular. {expected}") from None
    if part.ndim > 2:
        raise ValueError(f"{name} has shape {part.shape}. {expected}")
    return part, masked


def _require_lengths(parts: list[Any], lengths: Integers, name: str, expected: str) -> None:
    for i, (part, length) in enumerate(zip(parts, lengths.tolist(), strict=True)):
        if part.ndim == 0:
            raise ValueError(f"{name} has one value for sequence {i}, not one per step. {expected}")
        if len(part) != length:
            raise ValueError(
                f"Sequence {i} has {length} steps, but {name}[{i}] has {len(part)}. {expected}"
            )
        if part.shape[1:] != parts[0].shape[1:]:
            raise ValueError(
                f"{name}[{i}] has shape {part.shape}, but {name}[0] has {parts[0].shape}. "
                f"{expected}"
            )


def _fill_empty(parts: list[Any], lengths: Integers) -> list[Any]:
    """Put missing values in place of a None, or the like, for a whole sequence."""
    if all(part.ndim for part in parts):
        return parts
    shape = next((part.shape[1:] for part in parts if part.ndim), ())
    return [
        np.full((length, *shape), np.nan) if part.ndim == 0 and is_missing(part[()]) else part
        for part, length in zip(parts, lengths.tolist(), strict=True)
    ]


# Values ---------------------------------------------------------------------------------------


def as_array(values: Any) -> tuple[Any, Booleans | None]:
    """Values as a plain array, and which of them are masked; what is no text is not made text."""
    if type(values) is np.ndarray:
        return values, None
    if values is np.ma.masked:
        return np.array(None), np.array(True)
    kinds = set(map(type, values)) if isinstance(values, (list, tuple)) else set()
    if type(np.ma.masked) in kinds:
        masked = np.array([value is np.ma.masked for value in values])
        return as_array([None if value is np.ma.masked else value for value in values])[0], masked
    if np.ma.MaskedArray in kinds:
        values = np.ma.array(values)
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(values.data), np.ma.getmaskarray(values) if values.mask.any() else None
    array = np.asarray(values)
    if kinds and kinds != {str} and array.dtype.kind == "U":
        objects = np.asarray(values, dtype=object)
        if not kinds_of(objects) <= {str, np.str_}:
            return objects, None
    return array, None


def without_missing(array: Any, masked: Booleans | None, name: str, expected: str) -> Given:
    """Tell what is missing from the rest; objects become numbers, or text."""
    refuse_dates(array, name)
    refuse_complex(array, name)
    if any(hasattr(kind, "__len__") and not issubclass(kind, TEXT) for kind in kinds_of(array)):
        raise ValueError(f"{name} is ragged, or holds arrays. {expected}")
    missing = missing_in(array)
    if masked is not None:
        missing = masked if missing is None else missing | masked
    if missing is None:
        return Given(_told(array, name))
    if missing.all():
        raise ValueError(f"Input {name} contains NaN. Every value of it is missing.")
    known = _told(array[~missing], name)
    values = np.full(array.shape, known[0], known.dtype)
    values[~missing] = known
    return Given(values, missing, masked)


def _told(array: Any, name: str) -> Any:
    """An array of objects as one of numbers; text stays as it is."""
    texts = {issubclass(kind, TEXT) for kind in kinds_of(array)}
    if len(texts) > 1:
        raise ValueError(f"{name} mixes text with other labels: make all of them text.")
    return np.array(array.tolist()) if False in texts else array


def missing_in(array: Any) -> Booleans | None:
    """Which values are NaN, None or pandas' NA, None if none is."""
    if array.dtype == object:
        if kinds_of(array) <= {str, int, bool}:
            return None
        missing = np.array([is_missing(value) for value in array.flat], bool).reshape(array.shape)
    elif array.dtype.kind == "f":
        missing = np.isnan(array)
    else:
        return None
    return missing if missing.any() else None


def is_missing(value: Any) -> bool:
    if value is None or value is np.ma.masked or type(value).__name__ == "NAType":
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


TEXT = str, bytes


def kinds_of(array: Any) -> set[type]:
    """The types in an array of objects; none of any other."""
    return set(map(type, array.ravel().tolist())) if array.dtype == object else set()


def refuse_dates(array: Any, name: str) -> None:
    """Refuse dates, times and durations, which are no numbers."""
    kinds = kinds_of(array)
    dated = any(issubclass(kind, TIME_TYPES) or kind.__name__ == "Period" for kind in kinds)
    if dated or array.dtype.kind in "mM":
        raise ValueError(_DATES.format(name=name))


def refuse_complex(array: Any, name: str) -> None:
    kinds = kinds_of(array)
    complex_ = any(issubclass(kind, (complex, np.complexfloating)) for kind in kinds)
    if complex_ or array.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} is complex. Pass {name}.real, {name}.imag."
        )


_DATES = (
    "{name} holds dates, times or durations, which are no numbers. Make numbers of them, such as "
    '(t - t[0]) / np.timedelta64(1, "s"). Dates that are classes can be text.'
)
