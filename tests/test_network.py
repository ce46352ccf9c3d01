"""The network: exact gradients, and predictions that depend on nothing but the sequence."""

import numpy as np
import pytest

from skrnn._blas import one_thread
from skrnn._cells import CELLS
from skrnn._losses import LOSSES
from skrnn._network import Network
from skrnn._sequences import Sequences

LENGTHS = {"equal": [5, 5, 5, 5], "ragged": [3, 6, 1, 6, 4], "one": [4]}
D = 2


def make_sequences(lengths, rng, dtype=np.float64):
    lengths = np.array(lengths)
    return Sequences.from_steps(rng.standard_normal((lengths.sum(), D)).astype(dtype), lengths)


def make_targets(loss, K, n, rng):
    if loss == "multinomial_log_loss":
        return rng.integers(K, size=(n, 1))
    if loss == "binary_log_loss":
        return rng.integers(2, size=(n, K)).astype(float)
    return rng.standard_normal((n, K))


def make_network(cell, sizes, K, rng, dtype=np.float64):
    """A net with all weights away from zero, biases too."""
    network = Network(CELLS[cell], D, sizes, K, dtype)
    theta = network.initialize(np.random.RandomState(0))
    return network, theta + 0.1 * rng.standard_normal(theta.size).astype(dtype)


@pytest.mark.parametrize("weights", ["equal", "different"])
@pytest.mark.parametrize("lengths", ["equal", "ragged"])
@pytest.mark.parametrize("sizes", [(3,), (3, 2)])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_exact(cell, loss, sizes, lengths, weights, assert_gradient):
    rng = np.random.default_rng(0)
    sequences = make_sequences(LENGTHS[lengths], rng)
    n, K = len(sequences), 3
    y = make_targets(loss, K, n, rng)
    weight = np.full(n, 1 / n) if weights == "equal" else rng.random(n)
    order = sequences.longest_first()
    batch = sequences.take(order), np.ascontiguousarray(y[order].T), weight[order], LOSSES[loss]
    network, theta = make_network(cell, sizes, K, rng)
    gradient = np.full_like(theta, np.nan)
    with one_thread:
        network.loss_and_gradient(theta, gradient, *batch)
        scratch = np.empty_like(theta)
        assert_gradient(
            lambda theta: network.loss_and_gradient(theta, scratch, *batch), theta, gradient
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(20,), (9, 5)])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_do_not_depend_on_the_other_sequences(cell, sizes, dtype):
    rng = np.random.default_rng(1)
    sequences = make_sequences(rng.integers(1, 90, size=300), rng, dtype)
    network, theta = make_network(cell, sizes, 2, rng, dtype)
    with one_thread:
        together = network.outputs(theta, sequences)
        order = rng.permutation(300)
        permuted = network.outputs(theta, sequences.take(order))
        alone = np.concatenate([network.outputs(theta, sequences.take([i])) for i in range(20)])
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(permuted, together[order], rtol=0, atol=tolerance)
    np.testing.assert_allclose(alone, together[:20], rtol=0, atol=tolerance)


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_are_those_that_the_gradient_is_taken_of(cell):
    rng = np.random.default_rng(2)
    sequences = make_sequences([7, 3, 9, 9, 1], rng)
    network, theta = make_network(cell, (4, 3), 2, rng)
    order = sequences.longest_first()
    y = rng.standard_normal((5, 2))
    with one_thread:
        raw = network.outputs(theta, sequences)
        value = network.loss_and_gradient(
            theta,
            np.empty_like(theta),
            sequences.take(order),
            np.ascontiguousarray(y[order].T),
            np.ones(5),
            LOSSES["squared_error"],
        )
    assert value == pytest.approx(((raw - y) ** 2).sum() / 2, rel=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_working_memory_of_one_batch_does_not_leak_into_the_next(cell):
    """Batches of other lengths and sizes go through the same arrays."""
    rng = np.random.default_rng(3)
    network, theta = make_network(cell, (4, 3), 1, rng)
    batches = [make_sequences(rng.integers(1, 12, size=n), rng) for n in (40, 3, 17, 40, 1)]
    batches = [batch.take(batch.longest_first()) for batch in batches]

    def gradient(network, batch):
        gradient, n = np.empty_like(theta), len(batch)
        y, weight = np.ones((1, n)), np.ones(n)
        network.loss_and_gradient(theta, gradient, batch, y, weight, LOSSES["squared_error"])
        return gradient

    with one_thread:
        for batch in [*batches, *batches]:
            fresh, _ = make_network(cell, (4, 3), 1, np.random.default_rng(3))
            np.testing.assert_array_equal(gradient(network, batch), gradient(fresh, batch))


@pytest.mark.parametrize("cell", CELLS)
def test_weights_are_views_that_cover_theta_once(cell):
    network, theta = make_network(cell, (4, 3), 2, np.random.default_rng(4))
    for number, view in enumerate(network.weights(theta).values()):
        assert np.shares_memory(view, theta)
        view[...] = number
    counts = [view.size for view in network.weights(theta).values()]
    np.testing.assert_array_equal(theta, np.repeat(range(len(counts)), counts))


def test_weights_have_the_shapes_of_the_textbook():
    G, H = 3, 5
    network, theta = make_network("gru", (H,), 4, np.random.default_rng(5))
    shapes = {name: view.shape for name, view in network.weights(theta).items()}
    assert shapes == {
        "W_xh_0": (G * H, D),
        "W_hh_0": (G * H, H),
        "b_h_0": (G * H,),
        "b_hn_0": (H,),
        "W_ho": (4, H),
        "b_o": (4,),
    }


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_starts_orthogonal(cell):
    H = 6
    network = Network(CELLS[cell], D, (H,), 1, np.float64)
    weights = network.weights(network.initialize(np.random.RandomState(0)))
    for gate in weights["W_hh_0"].reshape(-1, H, H):
        np.testing.assert_allclose(gate @ gate.T, np.eye(H), atol=1e-12)
    forget = np.zeros(len(weights["b_h_0"]))
    if cell == "lstm":
        forget[H : 2 * H] = 1
    np.testing.assert_array_equal(weights["b_h_0"], forget)


def test_both_precisions_start_at_the_same_weights():
    thetas = [
        Network(CELLS["gru"], D, (4,), 1, dtype).initialize(np.random.RandomState(0))
        for dtype in (np.float32, np.float64)
    ]
    np.testing.assert_array_equal(thetas[0], thetas[1].astype(np.float32))


def test_biases_are_not_penalized():
    network = Network(CELLS["gru"], D, (4, 3), 1, np.float64)
    for name, mask in network.weights(network.is_penalized()).items():
        assert (mask == (0 if name.startswith("b") else 1)).all()
