"""The network: exact gradients, and predictions that depend on nothing but the sequence."""

import tracemalloc
from itertools import combinations, product

import numpy as np
import pytest
from scipy.special import expit

from skrnn._data.samples import Rows
from skrnn._data.sequences import Sequences
from skrnn._nn.blas import one_thread
from skrnn._nn.cells import CELLS
from skrnn._nn.losses import LOSSES
from skrnn._nn.network import Design, make_network
from skrnn._nn.pooling import READOUTS
from skrnn._nn.streaming import Stream

LENGTHS = {"equal": [5, 5, 5, 5], "ragged": [3, 6, 1, 6, 4], "one": [4], "many": [2, 7, 4] * 7}
D = 2
CODED = {"embedded": ((1, 4, 3),)}  # the second feature holds codes 0 to 3
FACTORS = {
    "cell": CELLS,
    "loss": LOSSES,
    "readout": READOUTS,
    "bidirectional": (False, True),
    "initial_state": ("zeros", "normal", "learned"),
    "dropout": (0.0, 0.4),
    "embedded": ((), CODED["embedded"]),
    "sizes": ((3,), (3, 2)),
    "lengths": LENGTHS,
}


def pairwise(factors):
    """Settings of all factors so that every pair of values of two factors is in one of them."""
    pairs = {
        frozenset([(f, a), (g, b)])
        for f, g in combinations(factors, 2)
        for a, b in product(factors[f], factors[g])
    }
    rng = np.random.default_rng(0)
    while pairs:
        drawn = [
            {f: list(values)[rng.integers(len(values))] for f, values in factors.items()}
            for _ in range(200)
        ]
        covered = [set(map(frozenset, combinations(d.items(), 2))) & pairs for d in drawn]
        best = max(range(len(drawn)), key=lambda i: len(covered[i]))
        pairs -= covered[best]
        if covered[best]:
            yield drawn[best]


def make_sequences(lengths, rng, dtype=np.float64, coded=False):
    lengths = np.array(lengths)
    steps = rng.standard_normal((lengths.sum(), D)).astype(dtype)
    if coded:
        steps[:, 1] = rng.integers(4, size=len(steps))
    return Sequences.stacked(steps, lengths)


def make_targets(loss, K, n, rng):
    if loss == "multinomial_log_loss":
        return rng.integers(K, size=(n, 1))
    if loss == "binary_log_loss":
        return rng.integers(2, size=(n, K)).astype(float)
    if loss == "poisson":
        return rng.poisson(1.0, size=(n, K)).astype(float)
    return rng.standard_normal((n, K))


def make_rows(sequences, loss, K, rng, readout="last"):
    """Rows longest first, with weights between 0 and 1."""
    per_step = readout == "step"
    n = sequences.lengths.sum() if per_step else len(sequences)
    y, weight = make_targets(loss, K, n, rng), rng.random(n).astype(sequences.values.dtype)
    y = y if y.dtype.kind == "i" else y.astype(sequences.values.dtype)
    return Rows(sequences, y, weight, per_step=per_step).longest_first()


def make_net(cell, sizes, K, rng, dtype=np.float64, **design):
    """A net with all weights away from zero, biases too."""
    network = make_network(Design(cell, D, sizes, K, np.dtype(dtype).name, **design))
    theta = network.initialize(np.random.RandomState(0))
    return network, theta + 0.1 * rng.standard_normal(theta.size).astype(dtype)


def learn(network, theta, rows, loss="squared_error", **settings):
    """Loss and gradient."""
    gradient = np.full_like(theta, np.nan)
    settings = {"total": 1.0} | settings
    with one_thread:
        value = network.loss_and_gradient(theta, gradient, rows, LOSSES[loss](), **settings)
    return value, gradient


def assert_exact(network, theta, rows, loss, assert_gradient, **settings):
    _, gradient = learn(network, theta, rows, loss, **settings)
    assert_gradient(lambda theta: learn(network, theta, rows, loss, **settings)[0], theta, gradient)


@pytest.mark.parametrize("lengths", ["equal", "ragged"])
@pytest.mark.parametrize("sizes", [(3,), (3, 2)])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_exact(cell, loss, sizes, lengths, assert_gradient):
    rng = np.random.default_rng(0)
    rows = make_rows(make_sequences(LENGTHS[lengths], rng), loss, 3, rng)
    network, theta = make_net(cell, sizes, 3, rng)
    assert_exact(network, theta, rows, loss, assert_gradient)


@pytest.mark.parametrize("factors", pairwise(FACTORS), ids=lambda f: "-".join(map(str, f.values())))
def test_gradient_of_every_pair_of_options_is_exact(factors, assert_gradient):
    rng = np.random.default_rng(1)
    cell, loss, sizes, lengths, dropout = (
        factors.pop(name) for name in ("cell", "loss", "sizes", "lengths", "dropout")
    )
    sequences = make_sequences(LENGTHS[lengths], rng, coded=factors["embedded"])
    rows = make_rows(sequences, loss, 3, rng, factors["readout"])
    network, theta = make_net(cell, sizes, 3, rng, **factors)
    draws = network.draw(np.random.RandomState(2), len(sequences), dropout)
    assert_exact(network, theta, rows, loss, assert_gradient, draws=draws, total=3.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(20,), (9, 5)])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_do_not_depend_on_the_other_sequences(cell, sizes, dtype):
    rng = np.random.default_rng(1)
    sequences = make_sequences(rng.integers(1, 90, size=300), rng, dtype)
    network, theta = make_net(cell, sizes, 2, rng, dtype)
    with one_thread:
        together = network.outputs(theta, sequences)
        order = rng.permutation(300)
        permuted = network.outputs(theta, sequences.take(order))
        alone = np.concatenate([network.outputs(theta, sequences.take([i])) for i in range(20)])
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    tolerances = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(permuted, together[order], **tolerances)
    np.testing.assert_allclose(alone, together[:20], **tolerances)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
def test_outputs_with_options_do_not_depend_on_the_other_sequences(readout, bidirectional):
    rng = np.random.default_rng(1)
    sequences = make_sequences(rng.integers(1, 50, size=300), rng)
    network, theta = make_net("gru", (9, 5), 2, rng, readout=readout, bidirectional=bidirectional)
    with one_thread:
        together = network.outputs(theta, sequences)
        alone = [network.outputs(theta, sequences.take([i])) for i in range(30)]
    alone = np.concatenate(alone)
    np.testing.assert_allclose(alone, together[: len(alone)], rtol=0, atol=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_are_those_that_the_gradient_is_taken_of(cell, readout, bidirectional):
    rng = np.random.default_rng(2)
    rows = make_rows(make_sequences([7, 3, 9, 9, 1] * 5, rng), "squared_error", 2, rng, readout)
    design = {"readout": readout, "bidirectional": bidirectional, "initial_state": "learned"}
    network, theta = make_net(cell, (4, 3), 2, rng, **design)
    with one_thread:
        raw = network.outputs(theta, rows.sequences)
    y, weight = rows.flat()
    value, _ = learn(network, theta, rows)
    assert value == pytest.approx((weight[:, None] * (raw - y) ** 2).sum() / 2, rel=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_working_memory_of_one_batch_does_not_leak_into_the_next(cell, bidirectional):
    """Batches of other lengths and sizes go through the same arrays."""
    rng = np.random.default_rng(3)
    network, theta = make_net(cell, (4, 3), 1, rng, bidirectional=bidirectional)
    batches = [make_sequences(rng.integers(1, 12, size=n), rng) for n in (40, 3, 17, 40, 1)]
    batches = [make_rows(batch, "squared_error", 1, rng) for batch in batches]
    for rows in [*batches, *batches]:
        fresh = make_network(network.design)
        np.testing.assert_array_equal(learn(network, theta, rows)[1], learn(fresh, theta, rows)[1])


@pytest.mark.parametrize("cell", CELLS)
def test_weights_are_views_that_cover_theta_once(cell):
    network, theta = make_net(cell, (4, 3), 2, np.random.default_rng(4))
    for number, view in enumerate(network.weights(theta).values()):
        assert np.shares_memory(view, theta)
        view[...] = number
    counts = [view.size for view in network.weights(theta).values()]
    np.testing.assert_array_equal(theta, np.repeat(range(len(counts)), counts))


def test_weights_have_the_shapes_of_the_textbook():
    G, H = 3, 5
    network, theta = make_net("gru", (H,), 4, np.random.default_rng(5))
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
    network = make_network(Design(cell, D, (H,), 1, "float64"))
    weights = network.weights(network.initialize(np.random.RandomState(0)))
    for gate in weights["W_hh_0"].reshape(-1, H, H):
        np.testing.assert_allclose(gate @ gate.T, np.eye(H), atol=1e-12)
    biases = np.zeros(len(weights["b_h_0"]))
    if cell in ("gru", "lstm"):
        biases[H : 2 * H] = 1  # z and f, the gates that keep the state
    np.testing.assert_array_equal(weights["b_h_0"], biases)


def test_both_precisions_start_at_the_same_weights():
    thetas = [
        make_network(Design("gru", D, (4,), 1, dtype)).initialize(np.random.RandomState(0))
        for dtype in ("float32", "float64")
    ]
    np.testing.assert_array_equal(thetas[0], thetas[1].astype(np.float32))


def test_biases_embeddings_and_initial_states_are_not_penalized():
    design = Design("lstm", D, (4, 3), 1, "float64", initial_state="learned", **CODED)
    network = make_network(design)
    masks = network.weights(network.is_penalized())
    assert {name[:2] for name, mask in masks.items() if mask.all()} == {"W_"}
    assert {name[:2] for name, mask in masks.items() if not mask.any()} == {"b_", "E_", "h0", "c0"}


def test_weights_of_all_options_have_names_of_their_own():
    design = Design("lstm", D, (4, 3), 2, "float64", "last", True, "learned", **CODED)
    shapes = make_network(design).shapes
    directions = ["0", "0_reverse", "1", "1_reverse"]
    kinds = ["W_xh", "W_hh", "b_h", "h0", "c0"]
    names = {f"{kind}_{direction}" for kind, direction in product(kinds, directions)}
    assert shapes.keys() == names | {"E_0", "W_ho", "b_o"}
    assert shapes["E_0"] == (4, 3)
    assert shapes["W_xh_0_reverse"] == (16, D - 1 + 3)  # the code's vector for the code
    assert shapes["W_xh_1"] == (12, 8)  # both directions below
    assert shapes["W_ho"] == (2, 6)


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


def reference_outputs(name, network, theta, sequence):
    """Top states after every step of one sequence."""
    zeros = [(np.zeros(H), np.zeros(H)) for H in network.design.hidden_layer_sizes]
    states = [zeros]
    for x in sequence:
        states.append(reference_unroll(name, network, theta, [x], states[-1]))
    return np.array([state[-1][0] for state in states[1:]])


@pytest.mark.parametrize("cell", CELLS)
def test_readouts_are_those_of_the_textbook(cell):
    rng = np.random.default_rng(5)
    sequences = make_sequences([7, 3, 9, 1], rng)
    pools = {"last": lambda h: h[-1], "mean": np.mean, "max": np.max, "step": lambda h: h}
    for readout, pool in pools.items():
        network, theta = make_net(cell, (4, 3), 2, np.random.default_rng(6), readout=readout)
        weights = network.weights(theta)
        axis = {"axis": 0} if pool in (np.mean, np.max) else {}
        h = [pool(reference_outputs(cell, network, theta, s), **axis) for s in sequences]
        expected = np.vstack(h) @ weights["W_ho"].T + weights["b_o"]
        with one_thread:
            np.testing.assert_allclose(network.outputs(theta, sequences), expected, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_reverse_half_is_a_net_that_reads_the_sequence_backward(cell):
    rng = np.random.default_rng(7)
    sequences = make_sequences([7, 3, 9, 1], rng)
    network, theta = make_net(cell, (4,), 2, rng, bidirectional=True, readout="step")
    weights = network.weights(theta)
    one_way = make_network(Design(cell, D, (4,), 2, "float64"))
    halves = []
    for suffix, stride in (("", 1), ("_reverse", -1)):
        own = np.zeros(one_way.n_weights)
        for name, view in one_way.weights(own).items():
            if name.endswith("_0"):
                view[:] = weights[name + suffix]
        states = [reference_outputs(cell, one_way, own, s[::stride])[::stride] for s in sequences]
        halves.append(np.vstack(states))
    expected = np.hstack(halves)
    with one_thread:
        np.testing.assert_allclose(network.hidden_states(theta, sequences), expected, atol=1e-12)
        expected = expected @ weights["W_ho"].T + weights["b_o"]
        np.testing.assert_allclose(network.outputs(theta, sequences), expected, atol=1e-12)


def test_a_mask_of_dropout_is_one_for_all_steps():
    """Dropping units of the first layer is a zero row in what reads them, at every step."""
    rng = np.random.default_rng(8)
    rows = make_rows(make_sequences([5], rng), "squared_error", 1, rng)
    network, theta = make_net("gru", (4, 3), 1, rng)
    draws = network.draw(np.random.RandomState(0), 1, 0.5)
    below, top = (mask[:, 0] for mask in draws.masks)
    assert set(below) | set(top) == {0.0, 2.0}
    dropped = theta.copy()
    weights = network.weights(dropped)
    weights["W_xh_1"] *= below
    weights["W_ho"] *= top
    value, _ = learn(network, theta, rows, draws=draws)
    assert value == pytest.approx(learn(network, dropped, rows)[0], rel=1e-12)


def test_dropout_keeps_the_expected_share_and_the_mean():
    network, _ = make_net("gru", (30, 20), 1, np.random.default_rng(9))
    for mask in network.draw(np.random.RandomState(0), 500, 0.25).masks:
        assert np.mean(mask == 0) == pytest.approx(0.25, abs=0.02)
        assert mask.mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("sizes", [(3,), (3, 2)])
@pytest.mark.parametrize("cell", CELLS)
def test_truncated_gradient_is_that_of_the_last_steps(cell, sizes, k, assert_gradient):
    """What comes before the last k steps gives a state that does not move with the weights."""
    rng = np.random.default_rng(6)
    sequences = make_sequences([9, 7, 4, 3, 2], rng)
    network, theta = make_net(cell, sizes, 1, rng)
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

    rows = Rows(sequences, y.T, weight)
    value, gradient = learn(network, theta, rows, bptt_steps=k)
    assert value == pytest.approx(loss(theta), rel=1e-12)
    assert_gradient(loss, theta, gradient)


def reference_windows(cell, network, theta, fixed_theta, sequence, k):
    """Top states of one sequence; those a window starts from move with fixed_theta alone."""
    state = [(np.zeros(H), np.zeros(H)) for H in network.design.hidden_layer_sizes]
    tops = []
    for start in range(0, len(sequence), k):
        window, moving = sequence[start : start + k], state
        for x in window:
            moving = reference_unroll(cell, network, theta, [x], moving)
            tops.append(moving[-1][0])
        state = reference_unroll(cell, network, fixed_theta, window, state)
    return np.array(tops)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("sizes", [(3,), (3, 2)])
@pytest.mark.parametrize("readout", ["mean", "max", "step"])
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_truncated_gradient_stops_where_windows_start(cell, readout, sizes, k, assert_gradient):
    rng = np.random.default_rng(11)
    sequences = make_sequences([8, 7, 4, 2] + [1] * 14, rng)
    rows = make_rows(sequences, "squared_error", 1, rng, readout)
    network, theta = make_net(cell, sizes, 1, rng, readout=readout)
    fixed = theta.copy()

    def loss(theta):
        weights, total = network.weights(theta), 0.0
        for i, sequence in enumerate(sequences):
            h = reference_windows(cell, network, theta, fixed, sequence, k)
            if readout != "step":
                h = {"mean": np.mean, "max": np.max}[readout](h, axis=0)[None]
            own = rows.take([i]).flat()
            o = h @ weights["W_ho"].T + weights["b_o"]
            total += LOSSES["squared_error"].value_and_gradient(own[0].T, o.T, own[1])[0]
        return total

    value, gradient = learn(network, theta, rows, bptt_steps=k)
    assert value == pytest.approx(loss(theta), rel=1e-12)
    assert_gradient(loss, theta, gradient)


@pytest.mark.parametrize("readout", READOUTS)
def test_truncation_past_the_longest_sequence_changes_no_bit(readout):
    rng = np.random.default_rng(12)
    rows = make_rows(make_sequences([8, 7, 4, 2], rng), "squared_error", 1, rng, readout)
    network, theta = make_net("lstm", (4, 3), 1, rng, readout=readout, initial_state="learned")
    _, whole = learn(network, theta, rows)
    np.testing.assert_array_equal(learn(network, theta, rows, bptt_steps=8)[1], whole)


def traced(call):
    """What a call returns, and the greatest memory that it took."""
    tracemalloc.start()
    result = call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, peak


@pytest.mark.parametrize("bptt_steps", [None, 50])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("sizes", [(3,), (4, 3)])
@pytest.mark.parametrize("cell", CELLS)
def test_states_that_are_computed_again_give_the_same_gradient(cell, sizes, readout, bptt_steps):
    rng = np.random.default_rng(7)
    sequences = make_sequences(rng.integers(1, 200, size=40), rng)
    rows = make_rows(sequences, "squared_error", 1, rng, readout)
    network, theta = make_net(cell, sizes, 1, rng, readout=readout, initial_state="normal")
    draws = network.draw(np.random.RandomState(0), 40, 0.2)
    settings = {"bptt_steps": bptt_steps, "draws": draws}
    _, expected = learn(network, theta, rows, **settings)
    _, again = learn(network, theta, rows, max_bytes=0, **settings)
    np.testing.assert_allclose(again, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_many_columns_give_the_gradient_and_the_outputs_of_few(cell, readout):
    rng = np.random.default_rng(14)
    lengths = [3] * 1024 + [2] * 1030
    rows = make_rows(make_sequences(lengths, rng), "squared_error", 1, rng, readout)
    network, theta = make_net(cell, (3,), 1, rng, readout=readout)
    parts = [rows.take(np.arange(i, len(lengths), 7)) for i in range(7)]
    value, gradient = learn(network, theta, rows)
    values, gradients = zip(*(learn(network, theta, part) for part in parts), strict=True)
    assert sum(values) == pytest.approx(value, rel=1e-12)
    expected = np.sum(gradients, axis=0)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    outputs = rows.sequences.of(network.outputs(theta, rows.sequences))
    for i, part in enumerate(parts):
        few = network.outputs(theta, part.sequences)
        own = outputs.take(slice(i, None, 7)).rows() if readout == "step" else slice(i, None, 7)
        np.testing.assert_allclose(outputs.values[own], few, rtol=0, atol=1e-13)


def peak_of(T, readout="last", **limits):
    rng = np.random.default_rng(8)
    network, theta = make_net("gru", (8,), 1, rng, readout=readout)
    rows = make_rows(make_sequences([T] * 4, rng), "squared_error", 1, rng, readout)
    return traced(lambda: learn(network, theta, rows, **limits))[1]


def test_memory_of_the_gradient_grows_with_the_length_and_with_its_root_where_it_must():
    assert peak_of(4000) > 3 * peak_of(1000)
    assert peak_of(16000, max_bytes=0) < 5 * peak_of(1000, max_bytes=0)
    assert peak_of(16000, max_bytes=0) < peak_of(16000) / 10


@pytest.mark.parametrize("readout", READOUTS)
def test_memory_of_the_truncated_gradient_is_that_of_its_steps(readout):
    assert peak_of(8000, readout, bptt_steps=20) < 1.5 * peak_of(1000, readout, bptt_steps=20)


@pytest.mark.parametrize("readout", ["last", "mean", "max"])
def test_memory_of_the_outputs_grows_with_neither_rows_nor_steps(readout):
    rng = np.random.default_rng(9)

    def peak(lengths):
        network, theta = make_net("lstm", (8, 8), 1, rng, readout=readout)
        sequences = make_sequences(lengths, rng)
        with one_thread:
            return traced(lambda: network.outputs(theta, sequences))[1]

    assert peak([20000]) < 1.5 * peak([2000])
    assert peak([20] * 8000) < 1.5 * peak([20] * 1000)


@pytest.mark.parametrize("embedded", [(), CODED["embedded"]])
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_step_at_a_time_gives_the_outputs_of_every_prefix(cell, readout, initial_state, embedded):
    rng = np.random.default_rng(13)
    design = {"readout": readout, "initial_state": initial_state, "embedded": embedded}
    network, theta = make_net(cell, (4, 3), 2, rng, **design)
    sequences, stream = make_sequences([6, 6, 6], rng, coded=embedded), Stream(network, theta)
    standing = stream.standing_of(None, 3)
    for t in range(6):
        standing = stream.step(np.stack([s[t] for s in sequences], axis=1), standing)
        prefixes = sequences.of(sequences.values)
        prefixes.lengths = np.full(3, t + 1)
        with one_thread:
            expected = network.outputs(theta, prefixes)
            after = network.after(theta, prefixes)
        expected = expected[t :: t + 1] if readout == "step" else expected
        np.testing.assert_allclose(stream.read_out(standing), expected, atol=1e-12)
        np.testing.assert_allclose(stream.read_out(after), expected, atol=1e-12)
