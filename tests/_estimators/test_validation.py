"""Losses on a validation part, and what they are measured against."""

import numpy as np
import pytest
import scipy.optimize

from _factories import make_sequences
from skrnn._data.samples import Samples
from skrnn._data.sequences import Sequences
from skrnn._estimators import validation
from skrnn._estimators.validation import mean_loss, yardstick_of
from skrnn._nn.losses import LOSSES, REGRESSION_LOSSES

RNG = np.random.default_rng(0)
N = 40


def make_samples(name, weight=None):
    items = make_sequences([2] * N)
    sequences = Sequences.stacked(np.concatenate(items), np.full(N, 2))
    if name in REGRESSION_LOSSES:
        y = RNG.poisson(3.0, (N, 1)).astype(float)
        shift, scale = LOSSES[name]().units(y, np.ones(N))
        y = (y - shift) / scale
    elif name == "multilabel_log_loss":
        y = RNG.integers(2, size=(N, 3)).astype(float)
    else:
        y = RNG.integers(2, size=(N, 1))
        y = y.astype(float) if name == "binary_log_loss" else y
    return Samples(sequences, y, np.ones(N) if weight is None else weight)


def start_of(name, samples):
    n_outputs = {"multinomial_log_loss": 2, "multilabel_log_loss": 3}.get(name, 1)
    return LOSSES[name]().start(*samples.valid(), n_outputs)


@pytest.mark.parametrize("name", LOSSES)
def test_the_yardstick_is_the_best_constant_and_the_perfect_prediction(name):
    loss, samples = LOSSES[name](), make_samples(name)
    start = start_of(name, samples)

    def loss_at(o):
        return mean_loss(loss, samples, np.broadcast_to(o, (N, len(start))))

    found = yardstick_of(loss, samples, start)
    best = scipy.optimize.minimize(loss_at, start, method="Nelder-Mead").fun
    assert found.constant == pytest.approx(loss_at(start))
    assert best <= found.constant < best + 0.02
    if name == "poisson":
        y = samples.targets
        perfect = mean_loss(loss, samples, np.log(np.maximum(y, 1e-300)))
        assert found.perfect == pytest.approx(perfect)
    else:
        assert found.perfect == 0


@pytest.mark.parametrize("name", LOSSES)
def test_a_mean_loss_is_one_over_all_rows_in_any_blocks(name, monkeypatch):
    weight = RNG.integers(0, 3, N).astype(float)
    loss, samples = LOSSES[name](), make_samples(name, weight)
    o = RNG.standard_normal((N, len(start_of(name, samples))))
    whole = mean_loss(loss, samples, o)
    rows = [mean_loss(loss, samples.take([i]), o[[i]]) for i in np.flatnonzero(weight).tolist()]
    assert whole == pytest.approx(np.average(rows, weights=weight[weight > 0]))
    monkeypatch.setattr(validation, "ROWS_AT_ONCE", 7)
    assert mean_loss(loss, samples, o) == pytest.approx(whole)
