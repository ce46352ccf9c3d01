"""The network: exact gradients, and predictions that depend on nothing but the sequence."""

import tracemalloc

import numpy as np
import pytest
from scipy.special import expit

from skrnn._blas import one_thread
from skrnn._cells import CELLS
from skrnn._losses import LOSSES
from skrnn._network import Network, ParallelNetwork
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


def reference_state(name, weights, layer, x, h, c):
    """The textbook's step for one sequence, weight by weight."""
    W_xh, W_hh, b_h = (weights[f"{key}_{layer}"] for key in ("W_xh", "W_hh", "b_h"))
    if name.startswith("rnn"):
        a = W_xh @ x + W_hh @ h + b_h
        return (np.tanh(a) if name == "rnn_tanh" else np.maximum(a, 0)), c
    if name == "gru":
        xr, xz, xn = np.split(W_xh @ x + b_h, 3)
        hr, hz, hn = np.split(W_hh @ h, 3)
        r, z = expit(xr + hr), expit(xz + hz)
        n = np.tanh(xn + r * (hn + weights[f"b_hn_{layer}"]))
        return (1 - z) * n + z * h, c
    i, f, g, o = np.split(W_xh @ x + W_hh @ h + b_h, 4)
    c = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def reference_unroll(name, network, theta, steps, states):
    """States of all layers after the steps of one sequence."""
    weights, states = network.weights(theta), [tuple(state) for state in states]
    for x in steps:
        for layer, (h, c) in enumerate(states):
            states[layer] = reference_state(name, weights, layer, x, h, c)
            x = states[layer][0]
    return states


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("sizes", [(3,), (3, 2)])
@pytest.mark.parametrize("cell", CELLS)
def test_truncated_gradient_is_that_of_the_last_steps(cell, sizes, k, assert_gradient):
    """What comes before the last k steps gives a state that does not move with the weights."""
    rng = np.random.default_rng(6)
    sequences = make_sequences([9, 7, 4, 3, 2], rng)
    network, theta = make_network(cell, sizes, 1, rng)
    y, weight = rng.standard_normal((1, 5)), rng.random(5)
    zeros = [(np.zeros(H), np.zeros(H)) for H in sizes]
    fixed = [
        reference_unroll(cell, network, theta, s[: max(0, len(s) - k)], zeros) for s in sequences
    ]

    def loss(theta):
        weights = network.weights(theta)
        h = [
            reference_unroll(cell, network, theta, s[max(0, len(s) - k) :], state)[-1][0]
            for s, state in zip(sequences, fixed, strict=True)
        ]
        o = weights["W_ho"] @ np.transpose(h) + weights["b_o"][:, None]
        return LOSSES["squared_error"].value_and_gradient(y, o, weight)[0]

    gradient = np.empty_like(theta)
    with one_thread:
        value = network.loss_and_gradient(
            theta, gradient, sequences, y, weight, LOSSES["squared_error"], bptt_steps=k
        )
    assert value == pytest.approx(loss(theta), rel=1e-12)
    assert_gradient(loss, theta, gradient)


def gradient_of(network, theta, batch, **limits):
    """Gradient of the mean of the outputs, and the greatest memory that it took."""
    n, gradient = len(batch), np.empty_like(theta)
    y, weight = np.zeros((1, n), theta.dtype), np.full(n, 1 / n, theta.dtype)
    tracemalloc.start()
    with one_thread:
        network.loss_and_gradient(
            theta, gradient, batch, y, weight, LOSSES["squared_error"], **limits
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return gradient, peak


@pytest.mark.parametrize("bptt_steps", [None, 50])
@pytest.mark.parametrize("sizes", [(3,), (4, 3)])
@pytest.mark.parametrize("cell", CELLS)
def test_states_that_are_computed_again_give_the_same_gradient(cell, sizes, bptt_steps):
    rng = np.random.default_rng(7)
    batch = make_sequences(np.sort(rng.integers(1, 200, size=40))[::-1], rng)
    network, theta = make_network(cell, sizes, 1, rng)
    expected, _ = gradient_of(network, theta, batch, bptt_steps=bptt_steps)
    again, _ = gradient_of(network, theta, batch, bptt_steps=bptt_steps, max_bytes=0)
    np.testing.assert_allclose(again, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def peak_of(T, **limits):
    rng = np.random.default_rng(8)
    network, theta = make_network("gru", (8,), 1, rng)
    return gradient_of(network, theta, make_sequences([T] * 4, rng), **limits)[1]


def test_memory_of_the_gradient_grows_with_the_length_and_with_its_root_where_it_must():
    assert peak_of(4000) > 3 * peak_of(1000)
    assert peak_of(16000, max_bytes=0) < 5 * peak_of(1000, max_bytes=0)
    assert peak_of(16000, max_bytes=0) < peak_of(16000) / 10


def test_memory_of_the_truncated_gradient_is_that_of_its_steps():
    assert peak_of(8000, bptt_steps=20) < 1.5 * peak_of(1000, bptt_steps=20)


def test_memory_of_the_outputs_grows_with_neither_rows_nor_steps():
    rng = np.random.default_rng(9)

    def peak(lengths):
        network, theta = make_network("lstm", (8, 8), 1, rng)
        sequences = make_sequences(lengths, rng)
        tracemalloc.start()
        with one_thread:
            network.outputs(theta, sequences)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak([20000]) < 1.5 * peak([2000])
    assert peak([20] * 8000) < 1.5 * peak([20] * 1000)


@pytest.mark.parametrize("lengths", [[6] * 9, [5, 9, 2, 7, 7, 1, 3]])
@pytest.mark.parametrize("cell", CELLS)
def test_two_threads_give_the_gradient_and_the_outputs_of_one(cell, lengths, monkeypatch):
    monkeypatch.setattr("skrnn._network.PRODUCTS_TO_TRAIN_IN_TWO", 0)
    monkeypatch.setattr("skrnn._network.PRODUCTS_TO_PREDICT_IN_TWO", 0)
    rng = np.random.default_rng(10)
    sequences = make_sequences(lengths, rng)
    network, theta = make_network(cell, (5, 4), 2, rng)
    in_two = ParallelNetwork(CELLS[cell], D, (5, 4), 2, np.float64)
    batch = sequences.take(sequences.longest_first())
    y, weight = rng.standard_normal((2, len(batch))), rng.random(len(batch))
    with one_thread:
        values, gradients = [], []
        for net in (network, in_two):
            gradients.append(np.empty_like(theta))
            values.append(
                net.loss_and_gradient(
                    theta, gradients[-1], batch, y, weight, LOSSES["squared_error"], bptt_steps=4
                )
            )
        np.testing.assert_array_equal(
            in_two.outputs(theta, sequences), network.outputs(theta, sequences)
        )
    assert values[1] == pytest.approx(values[0], rel=1e-12)
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-10, atol=1e-12)


def test_large_steps_alone_are_done_in_two_threads(monkeypatch):
    calls = []
    monkeypatch.setattr("skrnn._network.at_once", lambda *f: calls.append(f) or [g() for g in f])
    rng = np.random.default_rng(11)
    for H, n in [(8, 64), (128, 64)]:
        network = ParallelNetwork(CELLS["lstm"], D, (H,), 1, np.float32)
        gradient_of(
            network,
            network.initialize(np.random.RandomState(0)),
            make_sequences([2] * n, rng, np.float32),
        )
        assert bool(calls) == (H == 128)
