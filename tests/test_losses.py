"""Losses: values against scikit-learn's and SciPy's, gradients against finite differences."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss, mean_squared_error

from skrnn._losses import LOSSES

K, B = 3, 6


def make(name, rng):
    o, weight = rng.standard_normal((K, B)), rng.random(B)
    if name == "multinomial_log_loss":
        return rng.integers(K, size=(1, B)), o, weight
    if name == "binary_log_loss":
        return rng.integers(2, size=(K, B)).astype(float), o, weight
    return rng.standard_normal((K, B)), o, weight


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_exact(name, assert_gradient):
    y, o, weight = make(name, np.random.default_rng(0))
    _, d_o = LOSSES[name].value_and_gradient(y, o, weight)
    assert_gradient(lambda o: LOSSES[name].value_and_gradient(y, o, weight)[0], o, d_o)


def by_hand(name, y, o, weight):
    if name == "multinomial_log_loss":
        return log_loss(
            y[0], softmax(o.T, axis=1), sample_weight=weight, labels=range(K), normalize=False
        )
    if name == "binary_log_loss":
        return sum(
            log_loss(t, expit(s), sample_weight=weight, labels=[0, 1], normalize=False)
            for t, s in zip(y, o, strict=True)
        )
    mean = mean_squared_error(y.T, o.T, sample_weight=weight, multioutput="raw_values").sum()
    return mean * weight.sum() / 2


@pytest.mark.parametrize("name", LOSSES)
def test_value_is_that_of_scikit_learn(name):
    y, o, weight = make(name, np.random.default_rng(1))
    value, _ = LOSSES[name].value_and_gradient(y, o, weight)
    assert value == pytest.approx(by_hand(name, y, o, weight), rel=1e-12)


@pytest.mark.parametrize("name", ["binary_log_loss", "multinomial_log_loss"])
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_log_losses_survive_logits_far_from_zero(name, size):
    y, o, weight = make(name, np.random.default_rng(2))
    value, d_o = LOSSES[name].value_and_gradient(y, size * o, weight)
    assert np.isfinite(value) and np.isfinite(d_o).all()
    assert np.isfinite(LOSSES[name].inverse_link(size * o.T)).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_keeps_the_dtype(name, dtype):
    y, o, weight = make(name, np.random.default_rng(3))
    y = y if y.dtype.kind == "i" else y.astype(dtype)
    _, d_o = LOSSES[name].value_and_gradient(y, o.astype(dtype), weight.astype(dtype))
    assert d_o.dtype == dtype
