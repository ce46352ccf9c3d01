"""Data, targets and small estimators that the tests share, and how two fits are compared."""

import pickle
import re

import numpy as np
import pytest

from skrnn import RNNClassifier, RNNRegressor

SMALL = {"hidden_layer_sizes": 4, "max_iter": 3, "batch_size": 3, "random_state": 0}
ESTIMATORS = {"classifier": RNNClassifier, "regressor": RNNRegressor}
NAMES = np.array(["ant", "bee", "cow"])
LENGTHS = (3, 1, 4, 2, 5, 2, 1, 6)
NUMPYS_WORDS = re.compile(
    "broadcast|inhomogeneous|setting an array|reshape array|out of bounds|aligned|"
    "iteration over|not iterable|Cannot cast|unsupported operand|ufunc|subscriptable|has no attr|"
    r"range\(\)"
)


def classifier(**parameters):
    return RNNClassifier(**(SMALL | parameters))


def regressor(**parameters):
    return RNNRegressor(**(SMALL | parameters))


def step_classifier(**parameters):
    return classifier(**{"readout": "step"} | parameters)


def step_regressor(**parameters):
    return regressor(**{"readout": "step"} | parameters)


KINDS = pytest.mark.parametrize("kind", ESTIMATORS)
BOTH = pytest.mark.parametrize("make", [classifier, regressor])


# sequences ------------------------------------------------------------------------------------


def make_sequences(lengths, n_features=2, *, seed=0, dtype=np.float64):
    """Sequences (T_i, D) of noise."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((length, n_features)).astype(dtype) for length in lengths]


def make_cube(n, T, n_features=2, *, seed=0):
    """Sequences of equal length, an array (n, T, D)."""
    return np.stack(make_sequences([T] * n, n_features, seed=seed))


def make_coded(lengths, n_codes=4, *, seed=1, dtype=np.float64):
    """Sequences of a real feature and an integer code."""
    rng = np.random.default_rng(seed)
    return [
        np.column_stack([rng.standard_normal(T), rng.integers(n_codes, size=T)]).astype(dtype)
        for T in lengths
    ]


def make_ragged(n=60, *, seed=0, dtype=np.float64, n_classes=3):
    """Sequences whose class is the one of their features' level, and a real target."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(n_classes, size=n)
    X = [
        (rng.standard_normal((rng.integers(1, 25), 2)) + k).astype(dtype) for k in classes.tolist()
    ]
    return X, NAMES[classes], classes + 0.1 * rng.standard_normal(n)


# targets --------------------------------------------------------------------------------------


def make_step_data(lengths=LENGTHS):
    """Sequences; a class for each of their steps as number and as name, and a real target."""
    rng, X = np.random.default_rng(1), make_sequences(lengths)
    codes = [rng.integers(len(NAMES), size=length) for length in lengths]
    real = [x[:, 0] + rng.standard_normal(len(x)) for x in X]
    return X, codes, [NAMES[part] for part in codes], real


def make_targets(kind, lengths, readout="last", *, seed=0):
    """Targets for estimators of that kind, per step or per sequence as the readout wants them."""
    rng = np.random.default_rng(seed)
    n = sum(lengths) if readout == "step" else len(lengths)
    y = NAMES[rng.integers(3, size=n)] if kind == "classifier" else rng.standard_normal(n)
    return np.split(y, np.cumsum(lengths)[:-1]) if readout == "step" else y


# containers -----------------------------------------------------------------------------------


def objects(items, shape=(-1,)):
    """An object array that holds the items as they are."""
    boxes = np.empty(len(items), dtype=object)
    boxes[:] = list(items)
    return boxes.reshape(shape)


def replaced(items, item, i=2):
    """The same items but for one."""
    return [item if j == i else x for j, x in enumerate(items)]


def with_value(items, value, whole_step=False):
    """Sequences of which number 2 has that value at step 1, in one or in all features."""
    item = items[2].copy()
    item[1, slice(None) if whole_step else 0] = value
    return replaced(items, item)


def holed(items):
    """Steps that are absent before, between and after the real ones."""
    return filled(items, np.nan)


def filled(items, value):
    """What belongs to these steps."""
    return [np.insert(y, [0, len(y) // 2, len(y)], value, axis=0) for y in items]


# what a fit says ------------------------------------------------------------------------------

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def outputs(estimator, X):
    """All predictions of an estimator for X."""
    return [getattr(estimator, name)(X) for name in METHODS if hasattr(estimator, name)]


def raw(estimator, X):
    """Logits of a classifier, predictions of a regressor."""
    return getattr(estimator, "decision_function", estimator.predict)(X)


def state(estimator):
    """All that an estimator holds, to be compared with what it holds later."""
    return pickle.dumps(vars(estimator))


def assert_same_bits(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
        assert np.asarray(x).dtype == np.asarray(y).dtype


def assert_same_net(a, b):
    """Weights of the same names, to the bit."""
    assert a.weights_.keys() == b.weights_.keys()
    assert_same_bits(a.weights_.values(), b.weights_.values())


def assert_close_nets(a, b, **close):
    """Weights of the same names, to rounding."""
    assert a.weights_.keys() == b.weights_.keys()
    for name, weight in a.weights_.items():
        np.testing.assert_allclose(weight, b.weights_[name], **close)


class Silence:
    """A monitor of training that reports nothing and never stops it."""

    def begin_epoch(self):
        """Do nothing."""

    def end_epoch(self, history, theta):
        return False
