"""Targets, weights, groups and single steps, as users hand them in."""

from typing import Any

import numpy as np
from sklearn.utils import check_array

from skrnn._data.containers import as_computed, items_of
from skrnn._data.numeric import numbers_of
from skrnn._typing import Booleans, Floats, Integers, Rows


def check_target(y: Any, dtype: Any) -> Any:
    """y as a finite array of one or two dimensions."""
    try:
        y = check_array(y, ensure_2d=False, allow_nd=True, dtype=dtype, input_name="y")
    except ValueError as error:
        if not any(words in str(error) for words in ("setting an array element", "ambiguous")):
            raise
        raise ValueError(f"y is ragged, or holds arrays. {_TARGET}") from None
    if y.ndim not in (1, 2):
        raise ValueError(f"y has shape {y.shape}. {_TARGET}")
    if y.dtype == object and len({isinstance(label, str) for label in y.ravel()}) > 1:
        raise ValueError("y mixes text with other labels: make all of them text.")
    return y


_TARGET = (
    "Expected one target per sequence, (n,) or (n, n_outputs). For one target per step, set "
    'readout="step".'
)


def check_sample_weight(sample_weight: Any, n: int, of: str = "sequence") -> Floats:
    """Weights as float64 of shape (n,), none of them negative, not all zero."""
    if sample_weight is None:
        return np.ones(n)
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"sample_weight must be numbers, one for every {of}.") from None
    if weight.shape != (n,):
        raise ValueError(
            f"sample_weight has shape {weight.shape}, expected ({n},): one weight per {of}."
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        i = np.flatnonzero(~np.isfinite(weight) | (weight < 0))[0]
        raise ValueError(f"sample_weight of {of} {i} is {weight[i]}, expected a number >= 0.")
    if not weight.any():
        raise ValueError(f"The sample_weight of every {of} is zero: no weight is left to fit.")
    return weight


def step_targets(y: Any, lengths: Integers, present: Booleans | None) -> Any:
    """Targets of the steps that are present, one below the other, from one for every step."""
    flat = _stack_steps(y, lengths, "y", _STEP_TARGETS)
    flat = flat if present is None else flat[present]
    if flat.dtype == object and not any(isinstance(value, str) for value in flat.flat):
        return np.array(flat.tolist())  # numbers, whatever there was at absent steps
    return flat


def check_step_weight(sample_weight: Any, lengths: Integers, present: Booleans | None) -> Floats:
    """Weights of the steps that are present, from weights of sequences or of steps."""
    n = len(lengths)
    if sample_weight is None or not _is_per_step(sample_weight):
        weight = np.repeat(check_sample_weight(sample_weight, n), lengths)
        return weight if present is None else weight[present]
    weight = _stack_steps(sample_weight, lengths, "sample_weight", _STEP_WEIGHTS)
    weight = weight if present is None else weight[present]
    return check_sample_weight(weight, len(weight), "step")


_STEP_TARGETS = (
    'With readout="step", y has one target per step: (n, T), (n, T, n_outputs), or n arrays, each '
    "as long as its sequence. For one target per sequence use another readout."
)
_STEP_WEIGHTS = "Expected one weight per sequence, (n,), or one per step as y."


def _is_per_step(weight: Any) -> bool:
    items = items_of(weight)
    if items is None:
        return np.ndim(weight) > 1
    return any(hasattr(item, "__len__") and not isinstance(item, str) for item in items)


def _stack_steps(values: Any, lengths: Integers, name: str, expected: str) -> Any:
    """Stack values of the steps of all sequences, one below the other."""
    if hasattr(values, "columns"):  # a wide frame
        values = np.asarray(values)
    items = items_of(values)
    items = np.asarray(values) if items is None else items
    if isinstance(items, np.ndarray) and items.ndim == 0:
        raise ValueError(f"{name} is a {type(values).__name__}. {expected}")
    if len(items) != len(lengths):
        raise ValueError(
            f"X has {len(lengths)} sequences, but {name} has {len(items)} targets: found input "
            f"variables with inconsistent numbers of samples. {expected}"
        )
    parts = [_steps_of(item, f"{name}[{i}]", expected) for i, item in enumerate(items)]
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
    texts = {part.dtype.kind in "US" for part in parts}
    return np.concatenate(parts, dtype=object if len(texts) > 1 else None)  # no number as text


def _steps_of(item: Any, name: str, expected: str) -> Any:
    try:
        part = np.asarray(item)
    except ValueError:
        raise ValueError(f"{name} is not rectangular. {expected}") from None
    if part.ndim > 2:
        raise ValueError(f"{name} has shape {part.shape}. {expected}")
    return part


def read_step(x_t: Any, D: int, dtype: Any) -> Rows:
    """Features (n, D) of one step of n sequences; or (n,) where D is 1."""
    x = x_t
    if type(x) is not np.ndarray or x.dtype != dtype:
        expected = f"Expected an array of real numbers of shape (n, {D})."
        try:
            x = as_computed(numbers_of(x, "x_t", expected), dtype)
        except TypeError as error:
            raise ValueError(str(error)) from None
    x = x[:, None] if x.ndim == 1 and D == 1 else x
    if x.ndim != 2 or x.shape[1] != D:
        raise ValueError(
            f"x_t has shape {np.shape(x_t)}, expected (n, {D}): one step of n sequences, one row "
            "each. For a single sequence pass x_t[None]."
        )
    return x


def require_valid_rows(x: Rows) -> None:
    """Refuse infinity, and rows that are NaN in part."""
    bad = np.isinf(x).any(axis=1)
    if bad.any():
        raise ValueError(
            f"x_t contains infinity, or what is too large for {x.dtype}, in row {bad.argmax()}."
        )
    missing = np.isnan(x)
    bad = missing.any(axis=1) & ~missing.all(axis=1)
    if bad.any():
        raise ValueError(
            f"x_t contains NaN in some features of row {bad.argmax()} but not in all: impute them, "
            "or make the whole row NaN where there is no step."
        )


def check_groups(groups: Any, n: int) -> Integers:
    """The number of the group of each sequence, in the order of the groups' names."""
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(
            f"groups has shape {groups.shape}, expected ({n},): the group of each sequence."
        )
    return np.unique(groups, return_inverse=True)[1]
