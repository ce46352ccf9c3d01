"""Targets, weights, groups, classes and single steps, checked."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_scalar

from skrnn._data.containers import as_computed, items_of
from skrnn._data.numeric import numbers_of
from skrnn._data.targets import (
    TEXT,
    as_array,
    kinds_of,
    missing_in,
    refuse_dates,
    stack_steps,
    without_missing,
)
from skrnn._typing import Booleans, Floats, Integers, Rows


def check_target(y: Any, dtype: Any) -> Any:
    """Targets, none of them missing, as a finite array of one or two dimensions."""
    try:
        return check_array(y, ensure_2d=False, dtype=dtype, input_name="y")
    except OverflowError:
        raise ValueError("y holds an integer that is too large for a float.") from None
    except TypeError as error:
        raise TypeError(f"y holds what is no number: {error}.") from None


def check_sample_weight(
    sample_weight: Any, n: int, of: str = "sequence", n_outputs: int | None = None
) -> Floats:
    """Weights as float64 of shape (n,), none of them negative, not all zero.

    Or of shape (n, n_outputs), if that is not None. A weight that is masked is 0.
    """
    if sample_weight is None:
        return np.ones(n)
    weight = _weights_as_numbers(sample_weight, of)
    shapes = {(n,): f"one weight per {of}", (n, n_outputs): "or one per output"}
    if n_outputs is None:
        del shapes[n, None]
    if weight.shape not in shapes:
        expected = ", ".join(f"{shape}: {words}" for shape, words in shapes.items())
        raise ValueError(f"sample_weight has shape {weight.shape}, expected {expected}.")
    bad = ~np.isfinite(weight) | (weight < 0)
    if bad.any():
        i = np.argwhere(bad)[0]
        raise ValueError(
            f"sample_weight of {of} {i[0]} is {weight[tuple(i)]}, expected a number >= 0."
        )
    if not weight.any():
        raise ValueError(f"The sample_weight of every {of} is zero: no weight is left.")
    return weight


def _weights_as_numbers(sample_weight: Any, of: str) -> Floats:
    no_numbers = ValueError(f"sample_weight must be numbers, one for every {of}.")
    try:
        array, masked = as_array(sample_weight)
    except ValueError:  # ragged
        raise no_numbers from None
    refuse_dates(array, "sample_weight")
    if array.dtype.kind in "USc" or any(issubclass(kind, TEXT) for kind in kinds_of(array)):
        raise no_numbers
    try:
        weight: Floats = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise no_numbers from None
    return weight if masked is None else np.where(masked, 0.0, weight)


def check_step_weight(
    sample_weight: Any,
    lengths: Integers,
    present: Booleans | None,
    n_outputs: int | None = None,
) -> Floats:
    """Weights of the steps that are present, from weights of sequences or of steps."""
    n = len(lengths)
    if sample_weight is None or not _is_per_step(sample_weight):
        weight = np.repeat(check_sample_weight(sample_weight, n), lengths)
        return weight if present is None else weight[present]
    weight, masked = stack_steps(sample_weight, lengths, "sample_weight", _STEP_WEIGHTS)
    weight = weight if masked is None else np.ma.array(weight, mask=masked)
    weight = weight if present is None else weight[present]
    return check_sample_weight(weight, len(weight), "step", n_outputs)


_STEP_WEIGHTS = "Expected one weight per sequence, (n,), or one per step as y."


def _is_per_step(weight: Any) -> bool:
    items = items_of(weight)
    if items is None:
        return np.ndim(weight) > 1
    return any(hasattr(item, "__len__") and not isinstance(item, str) for item in items)


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
    if len(x) == 0:
        raise ValueError("Found 0 sample(s): x_t has no row, and needs one per sequence.")
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


def check_count(value: Any, name: str) -> None:
    """Refuse all but an integer >= 1."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an instance of int, not bool.")
    check_scalar(value, name, Integral, min_val=1)


def check_groups(groups: Any, n: int) -> Integers:
    """The number of the group of each sequence, in the order of the groups' names."""
    names, masked = as_array(groups)
    if names.shape != (n,):
        raise ValueError(
            f"groups has shape {names.shape}, expected ({n},): the group of each sequence."
        )
    missing = missing_in(names) if masked is None else masked
    if missing is not None:
        raise ValueError(f"groups has no group for sequence {missing.argmax()}.")
    return _unique(names, "groups", return_inverse=True)[1]


def _unique(values: Any, name: str, **options: Any) -> Any:
    try:
        return np.unique(values, **options)
    except TypeError:
        raise ValueError(
            f"{name} holds values that cannot be compared, such as text beside numbers: make all "
            "of them text."
        ) from None


def check_classes(classes: Any) -> Any:
    """The labels given as `classes`, sorted."""
    try:
        labels, masked = as_array(classes)
    except ValueError:
        raise ValueError(f"classes is ragged, or holds arrays. {_CLASSES}") from None
    if labels.shape == (0,):
        raise ValueError(
            "partial_fit needs, at its first call, all labels that y will ever hold: pass classes="
            "np.unique(y) of the whole y."
        )
    given = without_missing(labels, masked, "classes", _CLASSES)
    if labels.ndim != 1 or given.missing is not None:
        raise ValueError(f"{_CLASSES} Got classes={classes!r:.80}.")
    return _unique(given.values, "classes")


_CLASSES = "Expected as classes all labels that y will ever hold, (n_classes,), none missing."
