"""Checking what users hand in against what an estimator was fitted on."""

from contextlib import contextmanager

import narwhals as nw
import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from ._sequences import LAYOUT, kind_of, stack_items, stack_table, unwrap


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
        steps, lengths = stack_table(_read_table(estimator, X, reset), features_per_step)
    else:
        steps, lengths, names = stack_items(X)
        _check_step_features(estimator, steps.shape[1], names, features_per_step, reset)
    if reset:
        estimator._kind = kind
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return steps if dtype is None else steps.astype(dtype, copy=False), lengths


def _read_table(estimator, X, reset):
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
        if "setting an array element" not in str(error):
            raise
        raise ValueError(f"y is ragged. {_TARGET}") from None
    if y.ndim not in (1, 2):
        raise ValueError(f"y has shape {y.shape}. {_TARGET}")
    if y.dtype == object and len({isinstance(label, str) for label in y.ravel()}) > 1:
        raise ValueError("y mixes text with other labels: make all of them text.")
    return y


_TARGET = "Expected one target a sequence, (n,) or (n, n_outputs)."


def check_sample_weight(sample_weight, n):
    """Weights as float64 of shape (n,), none of them negative, not all zero."""
    if sample_weight is None:
        return np.ones(n)
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("sample_weight must be numbers, one for every sequence.") from None
    if weight.shape != (n,):
        raise ValueError(
            f"sample_weight has shape {weight.shape}, expected ({n},): one weight a sequence."
        )
    if not np.isfinite(weight).all() or (weight < 0).any():
        i = np.flatnonzero(~np.isfinite(weight) | (weight < 0))[0]
        raise ValueError(f"sample_weight of sequence {i} is {weight[i]}, expected a number >= 0.")
    if not weight.any():
        raise ValueError("The sample_weight of every sequence is zero: no weight is left to fit.")
    return weight


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
