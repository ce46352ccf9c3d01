"""Checking what users hand in against what an estimator was fitted on."""

from contextlib import contextmanager
from functools import update_wrapper
from numbers import Integral
from typing import NamedTuple

import narwhals as nw
import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skrnn._data.containers import (
    LAYOUT,
    items_of,
    kind_of,
    place_of,
    stack_items,
    stack_table,
    unwrap,
)
from skrnn._data.sequences import Sequences


class Reading(NamedTuple):
    """X as sequences; the lengths it was given in, and which of these steps are there.

    `present` is None for all of them; what is `rectangular` came as one array.
    """

    sequences: Sequences
    lengths: np.ndarray
    present: np.ndarray | None
    rectangular: bool

    def carried(self, values, first):
        """Values of all steps as given: a step that is absent has that of the step before.

        Before the first step that is there, `first` (1, ...).
        """
        if self.present is None:
            return values
        latest = np.cumsum(self.present) - 1
        begun = latest >= np.repeat(self.sequences.starts, self.lengths)
        return np.concatenate([values, first])[np.where(begun, latest, len(values))]

    def boxed(self, values):
        """Values of all steps as an array (n, T, ...) or an object array of arrays (T_i, ...)."""
        if self.rectangular:
            return values.reshape(len(self.lengths), -1, *values.shape[1:])
        boxes = np.empty(len(self.lengths), dtype=object)
        boxes[:] = np.split(values, np.cumsum(self.lengths)[:-1])
        return boxes


def read_steps(estimator, X, features_per_step, *, reset, dtype=None):
    """X as steps (sum of T_i, D) one below the other, and the lengths T_i.

    Sets `_kind`, `n_features_in_` and `feature_names_in_` of the estimator if `reset`, else holds
    X against them.
    """
    X = unwrap(X)
    kind = kind_of(X, None if reset else estimator._kind)
    if not reset and kind != estimator._kind:
        raise ValueError(_WRONG_KIND[kind].format(name=type(estimator).__name__))
    if kind == "tabular":
        steps, lengths = stack_table(read_table(estimator, X, reset), features_per_step)
    else:
        steps, lengths, names = stack_items(X)
        _check_step_features(estimator, steps.shape[1], names, features_per_step, reset)
    if reset:
        estimator._kind = kind
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return steps if dtype is None else steps.astype(dtype, copy=False), lengths


def read_table(estimator, X, reset):
    frame = nw.from_native(X, pass_through=True)
    check = {"dtype": [np.float64, np.float32], "order": "C", "ensure_all_finite": False}
    try:
        if isinstance(frame, nw.DataFrame) and not frame.implementation.is_pandas():
            # scikit-learn would make polars' float32 wider
            validate_data(estimator, X, skip_check_array=True, reset=reset)
            return check_array(frame.to_numpy(), **check)
        return validate_data(estimator, X, reset=reset, **check)
    except OverflowError:
        raise ValueError("X holds an integer that is too large for a float.") from None
    except ValueError as error:
        if "could not convert" in str(error):
            raise ValueError(_not_a_number(X)) from None
        if "setting an array element" not in str(error):
            raise
        raise ValueError(
            f"X is neither a table of numbers nor a list or column of sequences. {LAYOUT}"
        ) from None


def _not_a_number(X):
    """Say which row of a table holds text."""
    for i, row in enumerate(np.atleast_1d(np.asarray(X, dtype=object))):
        try:
            np.asarray(row, dtype=np.float64)
        except (TypeError, ValueError) as error:
            return f"Sequence {i} is not made of numbers: {error}. Turn text into numbers first."
    return "X holds what is not a number."


_WRONG_KIND = {
    "tabular": (
        "X is a table of two dimensions, but this {name} was fitted on sequences. Reshape your "
        "data: X[None] if X is a single sequence (steps, features), or a list of sequences."
    ),
    "sequences": (
        "X holds sequences, but this {name} was fitted on a table of two dimensions whose rows are "
        "flattened sequences. Flatten each sequence into a row, or pad_sequences(X, flatten=True); "
        "or fit on sequences."
    ),
}


def _check_step_features(estimator, D, names, features_per_step, reset):
    name = type(estimator).__name__
    if features_per_step not in (None, D):
        raise ValueError(
            f"features_per_step={features_per_step}, but the sequences of X have steps of {D} "
            f"features: leave it at None for sequences. {LAYOUT}"
        )
    if reset:
        estimator.n_features_in_ = D
        vars(estimator).pop("feature_names_in_", None)
        if names is not None and all(isinstance(name, str) for name in names):
            estimator.feature_names_in_ = np.array(names, dtype=object)
        return
    if estimator.n_features_in_ != D:
        raise ValueError(
            f"X has {D} features, but {name} is expecting {estimator.n_features_in_} features as "
            f"input at every step of a sequence. {LAYOUT}"
        )
    expected = getattr(estimator, "feature_names_in_", None)
    if names is not None and expected is not None and names != expected.tolist():
        raise ValueError(
            f"The frames of X have the columns {names}, but {name} was fitted on "
            f"{expected.tolist()}, and they must be in the same order."
        )


def check_target(y, dtype):
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
    "Expected one target a sequence, (n,) or (n, n_outputs). For one target a step, set "
    'readout="step".'
)


def check_sample_weight(sample_weight, n, of="sequence"):
    """Weights as float64 of shape (n,), none of them negative, not all zero."""
    if sample_weight is None:
        return np.ones(n)
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"sample_weight must be numbers, one for every {of}.") from None
    if weight.shape != (n,):
        raise ValueError(
            f"sample_weight has shape {weight.shape}, expected ({n},): one weight a {of}."
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        i = np.flatnonzero(~np.isfinite(weight) | (weight < 0))[0]
        raise ValueError(f"sample_weight of {of} {i} is {weight[i]}, expected a number >= 0.")
    if not weight.any():
        raise ValueError(f"The sample_weight of every {of} is zero: no weight is left to fit.")
    return weight


def step_targets(y, lengths, present):
    """Targets of the steps that are there, one below the other, from one target for every step."""
    flat = _stack_steps(y, lengths, "y", _STEP_TARGETS)
    flat = flat if present is None else flat[present]
    if flat.dtype == object and not any(isinstance(value, str) for value in flat.flat):
        return np.array(flat.tolist())  # numbers, whatever may have stood at absent steps
    return flat


def check_step_weight(sample_weight, lengths, present):
    """Weights of the steps that are there, from weights of sequences or of steps."""
    n = len(lengths)
    if sample_weight is None or not _is_per_step(sample_weight):
        weight = np.repeat(check_sample_weight(sample_weight, n), lengths)
        return weight if present is None else weight[present]
    weight = _stack_steps(sample_weight, lengths, "sample_weight", _STEP_WEIGHTS)
    weight = weight if present is None else weight[present]
    return check_sample_weight(weight, len(weight), "step")


_STEP_TARGETS = (
    'With readout="step", y has one target a step: (n, T), (n, T, n_outputs), or n arrays each as '
    "long as its sequence. For one target a sequence use another readout."
)
_STEP_WEIGHTS = "Expected one weight a sequence, (n,), or one a step as y."


def _is_per_step(weight):
    items = items_of(weight)
    if items is None:
        return np.ndim(weight) > 1
    return any(hasattr(item, "__len__") and not isinstance(item, str) for item in items)


def _stack_steps(values, lengths, name, expected):
    """What belongs to the steps of all sequences, one below the other."""
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
            raise ValueError(f"{name} has one value for sequence {i}, not one a step. {expected}")
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


def _steps_of(item, name, expected):
    try:
        part = np.asarray(item)
    except ValueError:
        raise ValueError(f"{name} is not rectangular. {expected}") from None
    if part.ndim > 2:
        raise ValueError(f"{name} has shape {part.shape}. {expected}")
    return part


def read_step(x_t, D, dtype):
    """Features (n, D) of one step of n sequences; (n,) will do where D is 1."""
    try:
        x = np.asarray(x_t)
        if x.dtype.kind in "cUSmM":
            raise TypeError
        if x.dtype != dtype:
            with np.errstate(over="ignore"):  # infinity is refused
                x = x.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"x_t must be an array of real numbers of shape (n, {D}), got {x_t!r:.80}."
        ) from None
    x = x[:, None] if x.ndim == 1 and D == 1 else x
    if x.ndim != 2 or x.shape[1] != D:
        raise ValueError(
            f"x_t has shape {np.shape(x_t)}, expected (n, {D}): one step of n sequences, a row "
            "each. For a single sequence pass x_t[None]."
        )
    return x


def require_valid_rows(x):
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


def which_features(features, D, names):
    """Numbers of features given by number, mask or name; None is none of them."""
    if features is None:
        return ()
    names = [] if names is None else names.tolist()
    numbers = _numbers_of(list(features), D, names)
    if numbers is not None and len(set(numbers)) == len(numbers):
        return numbers
    known = f", or of the names {names}" if names else ""
    raise ValueError(
        f"categorical_features={features!r} must be different numbers of features from 0 to "
        f"{D - 1}, or a mask of {D} booleans{known}."
    )


def _numbers_of(features, D, names):
    """The same where they are a mask, names or numbers; None where they are something else."""
    if len(features) == D and all(isinstance(f, (bool, np.bool_)) for f in features):
        return tuple(np.flatnonzero(features).tolist())
    if all(isinstance(f, str) and f in names for f in features):
        return tuple(names.index(f) for f in features)
    if all(_is_integer(f) and -D <= f < D for f in features):
        return tuple(int(f) % D for f in features)
    return None


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def require_codes(steps, lengths, features):
    """Refuse steps at which one of these features is no integer."""
    codes = steps[:, features]
    bad = ((codes != np.rint(codes)) & ~np.isnan(codes)).any(axis=1)
    if bad.any():
        raise ValueError(
            f"A categorical feature is no integer code: {place_of(lengths, bad)} has "
            f"{codes[bad.argmax()].tolist()}. Turn categories into integers, for example by "
            "skrnn.preprocessing.TokenEncoder, or by StepTransformer(OrdinalEncoder())."
        )


def check_groups(groups, n):
    """The number of the group of each sequence, in the order of the groups' names."""
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(
            f"groups has shape {groups.shape}, expected ({n},): the group of each sequence."
        )
    return np.unique(groups, return_inverse=True)[1]


@contextmanager
def unchanged_on_error(estimator):
    """Give the estimator back as it was if anything goes wrong; arrays are never changed."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


_FINE_WITH_LBFGS = {
    "early_stopping": (False,),
    "bptt_steps": (None,),
    "dropout": (0.0,),
    "initial_state": ("zeros", "learned"),
}


def check_for_lbfgs(estimator):
    """Refuse what does not go with L-BFGS, which needs one loss and its exact gradient."""
    if estimator.solver != "lbfgs":
        return
    for name, fine in _FINE_WITH_LBFGS.items():
        value = getattr(estimator, name)
        if value not in fine:
            raise ValueError(
                f'{name}={value!r} is not supported by solver="lbfgs": take another solver, or '
                f"leave {name} at {fine[0]!r}."
            )


class UnavailableError(AttributeError, ValueError):
    """A method that parameters rule out; `hasattr` is False, which scikit-learn goes by."""


class unavailable_with_lbfgs:  # noqa: N801
    """Decorator of a method that goes over the data batch by batch."""

    def __init__(self, method):
        self.method = method
        update_wrapper(self, method)

    def __get__(self, estimator, owner=None):
        if estimator is not None and estimator.solver == "lbfgs":
            raise UnavailableError(
                f'{self.method.__name__} is not supported by solver="lbfgs", which needs all of '
                "the data at once: take another solver, or fit."
            )
        return self.method.__get__(estimator, owner)


def check_integers(value, name, of_what):
    """One integer or several, all >= 1, as a tuple."""
    values = [value] if isinstance(value, Integral) or np.ndim(value) == 0 else list(value)
    if not values or not all(isinstance(v, Integral) and v >= 1 for v in values):
        raise ValueError(f"{name} must be integers >= 1, one {of_what}, got {value!r}.")
    return tuple(int(v) for v in values)
