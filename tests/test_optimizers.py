"""Optimisers against their papers' equations written out for one weight at a time."""

import numpy as np
import pytest

from skrnn._optimizers import OPTIMIZERS, SGD, Adam

GRADIENTS = np.random.default_rng(0).standard_normal((7, 3))


def run(optimizer):
    theta = np.ones(3)
    for gradient in GRADIENTS:
        optimizer.step(theta, gradient.copy())
    return theta


def test_adam_is_the_paper_with_epsilon_after_the_correction():
    theta, m, v = np.ones(3), 0, 0
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        theta = theta - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
    adam = Adam(3, np.float64, learning_rate=0.1, beta_1=0.8, beta_2=0.9, epsilon=1e-3)
    np.testing.assert_allclose(run(adam), theta, rtol=1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_looks_ahead_if_momentum_is_nesterovs(nesterov):
    theta, velocity = np.ones(3), 0
    for g in GRADIENTS:
        velocity = 0.7 * velocity - 0.1 * g
        theta = theta + (0.7 * velocity - 0.1 * g if nesterov else velocity)
    sgd = SGD(3, np.float64, learning_rate=0.1, momentum=0.7, nesterovs_momentum=nesterov)
    np.testing.assert_allclose(run(sgd), theta, rtol=1e-13)


SETTINGS = {
    "adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
    "sgd": {"momentum": 0.9, "nesterovs_momentum": True},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_solver_goes_down_a_bowl_in_place_and_keeps_the_dtype(name):
    theta = np.array([3.0, -2.0], np.float32)
    optimizer = OPTIMIZERS[name](2, np.float32, learning_rate=0.05, **SETTINGS[name])
    start = theta
    for _ in range(300):
        optimizer.step(theta, 2 * theta)
    assert theta is start and theta.dtype == np.float32
    assert np.abs(theta).max() < 1e-2
