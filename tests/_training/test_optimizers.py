"""Optimisers against their papers' equations written out, and PyTorch's; schedules by hand."""

import math
import tracemalloc

import numpy as np
import pytest

from skrnn._training.optimizers import OPTIMIZERS, SGD, Adam, AdamW, RMSprop
from skrnn._training.schedules import SCHEDULES

GRADIENTS = np.random.default_rng(0).standard_normal((7, 3))
RATES = 0.1 / np.arange(1, 8)
PENALTY = np.array([0.5, 0.0, 0.2])  # the second is a bias
SETTINGS = {
    "adam": {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
    "adamw": {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
    "rmsprop": {"beta_2": 0.9, "epsilon": 1e-3},
    "sgd": {"momentum": 0.7, "nesterovs_momentum": True},
}


def run(optimizer, penalty=PENALTY):
    theta, scratch = np.ones(3), np.empty(3)
    for rate, g in zip(RATES, GRADIENTS, strict=True):
        gradient = g.copy()
        optimizer.penalize(theta, gradient, rate, penalty, scratch)
        optimizer.step(theta, gradient, rate, scratch)
    return theta


def adam_by_hand(*, decoupled):
    theta, m, v = np.ones(3), 0, 0
    for t, (rate, g) in enumerate(zip(RATES, GRADIENTS, strict=True), start=1):
        if not decoupled:
            g = g + PENALTY * theta
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        step = (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
        theta = theta - rate * (step + decoupled * PENALTY * theta)
    return theta


def test_adam_is_the_paper_with_epsilon_after_the_correction():
    adam = Adam(3, np.float64, **SETTINGS["adam"])
    np.testing.assert_allclose(run(adam), adam_by_hand(decoupled=False), rtol=1e-13)


def test_adamw_decays_weights_beside_the_gradient():
    adamw = AdamW(3, np.float64, **SETTINGS["adamw"])
    np.testing.assert_allclose(run(adamw), adam_by_hand(decoupled=True), rtol=1e-13)
    assert not np.allclose(adam_by_hand(decoupled=True), adam_by_hand(decoupled=False), rtol=1e-3)


def test_rmsprop_divides_by_the_root_of_the_mean_square():
    theta, v = np.ones(3), 0
    for rate, g in zip(RATES, GRADIENTS, strict=True):
        g = g + PENALTY * theta
        v = 0.9 * v + 0.1 * g * g
        theta = theta - rate * g / (np.sqrt(v) + 1e-3)
    rmsprop = RMSprop(3, np.float64, **SETTINGS["rmsprop"])
    np.testing.assert_allclose(run(rmsprop), theta, rtol=1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_looks_ahead_if_momentum_is_nesterovs(nesterov):
    theta, velocity = np.ones(3), 0
    for rate, g in zip(RATES, GRADIENTS, strict=True):
        g = g + PENALTY * theta
        velocity = 0.7 * velocity - rate * g
        theta = theta + (0.7 * velocity - rate * g if nesterov else velocity)
    sgd = SGD(3, np.float64, momentum=0.7, nesterovs_momentum=nesterov)
    np.testing.assert_allclose(run(sgd), theta, rtol=1e-13)


def torch_optimizer(name, parameters, decay):
    optim = pytest.importorskip("torch").optim
    settings = {"lr": RATES[0], "weight_decay": decay}
    adam = {"betas": (0.8, 0.9), "eps": 1e-3, **settings}
    return {
        "adam": lambda: optim.Adam(parameters, **adam),
        "adamw": lambda: optim.AdamW(parameters, **adam),
        "rmsprop": lambda: optim.RMSprop(parameters, alpha=0.9, eps=1e-3, **settings),
        "sgd": lambda: optim.SGD(parameters, momentum=0.7, nesterov=True, **settings),
    }[name]()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_solver_agrees_with_pytorchs(name):
    torch = pytest.importorskip("torch")
    theta = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch_optimizer(name, [theta], decay=0.5)
    for g in GRADIENTS:
        theta.grad = torch.tensor(g)
        optimizer.step()
    ours, scratch = np.ones(3), np.empty(3)
    own = OPTIMIZERS[name](3, np.float64, **SETTINGS[name])
    for g in GRADIENTS:
        gradient = g.copy()
        own.penalize(ours, gradient, RATES[0], np.full(3, 0.5), scratch)
        own.step(ours, gradient, RATES[0], scratch)
    np.testing.assert_allclose(ours, theta.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_solver_goes_down_a_bowl_in_place_and_keeps_the_dtype(name):
    theta, scratch = np.array([3.0, -2.0], np.float32), np.empty(2, np.float32)
    optimizer = OPTIMIZERS[name](2, np.float32, **SETTINGS[name])
    start = theta
    for i in range(600):
        optimizer.step(theta, 2 * theta, 0.05 / (1 + i / 200), scratch)
    assert theta is start and theta.dtype == np.float32
    assert np.abs(theta).max() < 1e-2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_allocates_no_vector(name):
    n = 100_000
    theta, gradient, scratch, penalty = np.ones((4, n))
    optimizer = OPTIMIZERS[name](n, np.float64, **SETTINGS[name])
    tracemalloc.start()
    optimizer.penalize(theta, gradient, 0.1, penalty, scratch)
    optimizer.step(theta, gradient, 0.1, scratch)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "adamw"])
def test_coupled_penalty_is_a_part_of_the_loss_and_its_gradient(name, assert_gradient):
    at = np.array([1.0, -2.0, 3.0])
    optimizer = OPTIMIZERS[name](3, np.float64, **SETTINGS[name])

    def value(theta):
        return optimizer.penalize(theta, np.zeros(3), 0.1, PENALTY, np.empty(3))

    gradient = np.zeros(3)
    optimizer.penalize(at.copy(), gradient, 0.1, PENALTY, np.empty(3))
    assert_gradient(value, at, gradient)


# Schedules ------------------------------------------------------------------------------------


def schedule(name, **settings):
    kind = SCHEDULES[name]
    default = {"learning_rate_init": 0.3, "power_t": 0.5, "max_iter": 4} | settings
    return kind(**{name: default[name] for name in kind.settings})


def rates(schedule, n_epochs):
    out = []
    for _ in range(n_epochs):
        out.append(schedule.rate())
        schedule.end_epoch()
    return out


BY_HAND = {
    "constant": [0.3] * 6,
    "invscaling": [0.3 / math.sqrt(t) for t in range(1, 7)],
    "adaptive": [0.3] * 6,
    "cosine": [0.15 * (1 + math.cos(math.pi * t / 4)) for t in (0, 1, 2, 3, 0, 1)],
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_of_the_first_epochs(name):
    np.testing.assert_allclose(rates(schedule(name), 6), BY_HAND[name], rtol=1e-14)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_starts_at_learning_rate_init_and_never_rises_within_max_iter(name):
    values = rates(schedule(name, max_iter=50, power_t=1.5), 50)
    assert values[0] == 0.3 and all(np.diff(values) <= 0) and values[-1] > 0


@pytest.mark.parametrize("power_t", [0, 0.0, 1, 1e6, 10**6])
def test_inverse_scaling_bears_any_power(power_t):
    values = rates(schedule("invscaling", power_t=power_t), 300)
    assert values[0] == 0.3 and 0 <= values[-1] <= 0.3


@pytest.mark.parametrize("name", SCHEDULES)
def test_only_the_adaptive_schedule_has_a_lower_rate_to_offer(name):
    plan, offered = schedule(name), 0
    while plan.lower():
        offered += 1
        np.testing.assert_allclose(plan.rate(), 0.3 / 5**offered, rtol=1e-14)
    assert offered == (8 if name == "adaptive" else 0)  # 0.3 / 5^8 is the first below 1e-6
