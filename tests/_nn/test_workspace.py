"""The workspace: exact gradients, and outputs that depend on nothing but the sequence."""

from itertools import combinations, product

import numpy as np
import pytest

from _nn import _textbook
from _nn._nets import (
    CODED,
    LENGTHS,
    assert_exact,
    assert_same_gradient,
    check_checkpointing,
    check_gradient,
    check_outputs_are_those_of_the_gradient,
    check_truncation_to_last_steps,
    check_truncation_to_windows,
    learn,
    loss_of,
    make_batch,
    make_net,
    make_samples,
    outputs_of,
    traced,
)
from skrnn._data.samples import Samples
from skrnn._nn.backprop import TrainingWorkspace
from skrnn._nn.cells import CELLS
from skrnn._nn.losses import LOSSES
from skrnn._nn.network import Architecture, Network
from skrnn._nn.pooling import READOUTS
from skrnn._nn.streaming import FittedNetwork
from skrnn._parallel.host import computing

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


# Gradients ------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("lengths", ["equal", "ragged"])
@pytest.mark.parametrize("sizes", [(3,), (3, 2)])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_is_exact(cell, loss, sizes, lengths, assert_gradient):
    rng = np.random.default_rng(0)
    samples = make_samples(make_batch(LENGTHS[lengths], rng), loss, 3, rng)
    network, theta = make_net(cell, sizes, 3, rng)
    assert_exact(network, theta, samples, loss, assert_gradient)


@pytest.mark.parametrize("factors", pairwise(FACTORS), ids=lambda f: "-".join(map(str, f.values())))
def test_gradient_of_every_pair_of_options_is_exact(factors, assert_gradient):
    check_gradient(assert_gradient, **factors)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_working_memory_of_one_batch_does_not_leak_into_the_next(cell, bidirectional):
    """Batches of other lengths and sizes go through the same arrays."""
    rng = np.random.default_rng(3)
    network, theta = make_net(cell, (4, 3), 1, rng, bidirectional=bidirectional)
    batches = [make_batch(rng.integers(1, 12, size=n), rng) for n in (40, 3, 17, 40, 1)]
    batches = [make_samples(batch, "squared_error", 1, rng) for batch in batches]
    space = TrainingWorkspace(network)
    for samples in [*batches, *batches]:
        value, gradient = learn(network, theta, samples, space=space)
        expected, fresh = learn(Network(network.architecture), theta, samples)
        np.testing.assert_array_equal(gradient, fresh)
        assert value == expected


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_workspace_that_was_freed_gives_the_same_bits(bidirectional):
    rng = np.random.default_rng(3)
    network, theta = make_net("gru", (4, 3), 1, rng, bidirectional=bidirectional)
    samples, space = make_samples(make_batch([7, 4], rng), "squared_error", 1, rng), None
    space = TrainingWorkspace(network)
    assert space.n_bytes == 0
    _, expected = learn(network, theta, samples, space=space)
    assert space.n_bytes > 0
    with computing():
        outputs = space.outputs(network.weights(theta), samples.sequences)
        space.free()
        assert space.n_bytes == 0
        again = space.outputs(network.weights(theta), samples.sequences)  # still packed
    np.testing.assert_array_equal(again, outputs)
    np.testing.assert_array_equal(learn(network, theta, samples, space=space)[1], expected)


def test_a_mask_of_dropout_is_one_for_all_steps():
    """Dropping units of the first layer is a zero row in what reads them, at every step."""
    rng = np.random.default_rng(8)
    samples = make_samples(make_batch([5], rng), "squared_error", 1, rng)
    network, theta = make_net("gru", (4, 3), 1, rng)
    noise = network.draw(np.random.RandomState(0), 1, 0.5)
    below, top = (mask[:, 0] for mask in noise.masks)
    assert set(below) | set(top) == {0.0, 2.0}
    dropped = theta.copy()
    weights = network.weights(dropped)
    weights["W_xh_1"] *= below
    weights["W_ho"] *= top
    value, _ = learn(network, theta, samples, noise=noise)
    assert value == pytest.approx(learn(network, dropped, samples)[0], rel=1e-12)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_many_columns_give_the_gradient_and_the_outputs_of_few(cell, readout):
    rng = np.random.default_rng(14)
    lengths = [3] * 1024 + [2] * 1030
    samples = make_samples(make_batch(lengths, rng), "squared_error", 1, rng, readout)
    network, theta = make_net(cell, (3,), 1, rng, readout=readout)
    parts = [samples.take(np.arange(i, len(lengths), 7)) for i in range(7)]
    value, gradient = learn(network, theta, samples)
    values, gradients = zip(*(learn(network, theta, part) for part in parts), strict=True)
    assert sum(values) == pytest.approx(value, rel=1e-12)
    assert_same_gradient(gradient, np.sum(gradients, axis=0))
    outputs = samples.sequences.of(outputs_of(network, theta, samples.sequences))
    for i, part in enumerate(parts):
        few = outputs_of(network, theta, part.sequences)
        own = outputs.take(slice(i, None, 7)).rows() if readout == "step" else slice(i, None, 7)
        np.testing.assert_allclose(outputs.values[own], few, rtol=0, atol=1e-13)


# Truncation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("sizes", [(3,), (3, 2)])
@pytest.mark.parametrize("cell", CELLS)
def test_truncated_gradient_is_that_of_the_last_steps(cell, sizes, k, assert_gradient):
    """What comes before the last k steps gives a state that does not move with the weights."""
    rng = np.random.default_rng(6)
    sequences = make_batch([9, 7, 4, 3, 2], rng)
    network, theta = make_net(cell, sizes, 1, rng)
    y, weight = rng.standard_normal((1, 5)), rng.random(5)
    zeros = _textbook.zero_states(network)
    fixed = [_textbook.unroll(network, theta, s[: max(0, len(s) - k)], zeros) for s in sequences]

    def loss(theta):
        weights = network.weights(theta)
        h = [
            _textbook.unroll(network, theta, s[max(0, len(s) - k) :], state)[-1][0]
            for s, state in zip(sequences, fixed, strict=True)
        ]
        o = weights["W_ho"] @ np.transpose(h) + weights["b_o"][:, None]
        return loss_of("squared_error").value_and_gradient(y, o, weight)[0]

    samples = Samples(sequences, y.T, weight)
    value, gradient = learn(network, theta, samples, bptt_steps=k)
    assert value == pytest.approx(loss(theta), rel=1e-12)
    assert_gradient(loss, theta, gradient)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("sizes", [(3,), (3, 2)])
@pytest.mark.parametrize("readout", ["mean", "max", "step"])
@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_truncated_gradient_stops_where_windows_start(cell, readout, sizes, k, assert_gradient):
    rng = np.random.default_rng(11)
    sequences = make_batch([8, 7, 4, 2] + [1] * 14, rng)
    samples = make_samples(sequences, "squared_error", 1, rng, readout)
    network, theta = make_net(cell, sizes, 1, rng, readout=readout)
    fixed = theta.copy()

    def loss(theta):
        weights, total = network.weights(theta), 0.0
        for i, sequence in enumerate(sequences):
            h = _textbook.windowed_states(network, theta, fixed, sequence, k)
            if readout != "step":
                h = {"mean": np.mean, "max": np.max}[readout](h, axis=0)[None]
            own = samples.take([i]).flat()
            o = h @ weights["W_ho"].T + weights["b_o"]
            total += loss_of("squared_error").value_and_gradient(own[0].T, o.T, own[1])[0]
        return total

    value, gradient = learn(network, theta, samples, bptt_steps=k)
    assert value == pytest.approx(loss(theta), rel=1e-12)
    assert_gradient(loss, theta, gradient)


@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
@pytest.mark.parametrize("cell", CELLS)
def test_truncated_gradient_is_that_of_steps_from_fixed_states(cell, initial_state):
    check_truncation_to_last_steps(cell, 3, initial_state=initial_state)
    check_truncation_to_windows(cell, 3, initial_state=initial_state)


@pytest.mark.parametrize("readout", READOUTS)
def test_truncation_past_the_longest_sequence_changes_no_bit(readout):
    rng = np.random.default_rng(12)
    samples = make_samples(make_batch([8, 7, 4, 2], rng), "squared_error", 1, rng, readout)
    network, theta = make_net("lstm", (4, 3), 1, rng, readout=readout, initial_state="learned")
    _, whole = learn(network, theta, samples)
    np.testing.assert_array_equal(learn(network, theta, samples, bptt_steps=8)[1], whole)


# Memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bptt_steps", [None, 50])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("sizes", [(3,), (4, 3)])
@pytest.mark.parametrize("cell", CELLS)
def test_states_that_are_computed_again_give_the_same_gradient(cell, sizes, readout, bptt_steps):
    check_checkpointing(cell, sizes=sizes, readout=readout, bptt_steps=bptt_steps)


@pytest.mark.parametrize("initial_state", ["normal", "learned"])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("sizes", [(3,), (4, 3)])
@pytest.mark.parametrize("cell", CELLS)
def test_both_directions_may_compute_states_again(cell, sizes, readout, initial_state):
    options = {"bidirectional": True, "initial_state": initial_state}
    check_checkpointing(cell, sizes=sizes, readout=readout, **options)


def peak_of(T, readout="last", *, n=4, sizes=(8,), bidirectional=False, **limits):
    """Memory of one gradient."""
    rng = np.random.default_rng(8)
    options = {"readout": readout, "bidirectional": bidirectional}
    network, theta = make_net("gru", sizes, 1, rng, **options)
    samples = make_samples(make_batch([T] * n, rng), "squared_error", 1, rng, readout)
    return traced(lambda: learn(network, theta, samples, **limits))[1]


def test_memory_of_the_gradient_grows_with_the_length_and_with_its_root_where_it_must():
    assert peak_of(4000) > 3 * peak_of(1000)
    assert peak_of(16000, max_bytes=0) < 5 * peak_of(1000, max_bytes=0)
    assert peak_of(16000, max_bytes=0) < peak_of(16000) / 10


@pytest.mark.parametrize("readout", READOUTS)
def test_memory_of_both_directions_is_that_of_states_between_levels_where_it_must(readout):
    """States (T, 2 H), those of their gradients, and for every step those at the top; no more."""
    T, both = 2000, {"n": 16, "sizes": (8, 8), "bidirectional": True}
    free, bounded = peak_of(T, readout, **both), peak_of(T, readout, **both, max_bytes=0)
    states = 16 * T * 2 * 8 * 8  # bytes
    assert bounded < (7 if readout == "step" else 5) * states
    assert bounded < free / 3


@pytest.mark.parametrize("readout", READOUTS)
def test_memory_of_the_truncated_gradient_is_that_of_its_steps(readout):
    assert peak_of(8000, readout, bptt_steps=20) < 1.5 * peak_of(1000, readout, bptt_steps=20)


@pytest.mark.parametrize("readout", ["last", "mean", "max"])
def test_memory_of_the_outputs_grows_with_neither_rows_nor_steps(readout):
    rng = np.random.default_rng(9)

    def peak(lengths):
        network, theta = make_net("lstm", (8, 8), 1, rng, readout=readout)
        sequences, space = make_batch(lengths, rng), TrainingWorkspace(network)
        with computing():
            space.pack(network.weights(theta))
            return traced(lambda: space.outputs(network.weights(theta), sequences))[1]

    assert peak([20000]) < 1.5 * peak([2000])
    assert peak([20] * 8000) < 1.5 * peak([20] * 1000)


# Outputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(20,), (9, 5)])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_do_not_depend_on_the_other_sequences(cell, sizes, dtype):
    rng = np.random.default_rng(1)
    sequences = make_batch(rng.integers(1, 90, size=300), rng, dtype)
    network, theta = make_net(cell, sizes, 2, rng, dtype)
    together = outputs_of(network, theta, sequences)
    order = rng.permutation(300)
    permuted = outputs_of(network, theta, sequences.take(order))
    alone = np.concatenate([outputs_of(network, theta, sequences.take([i])) for i in range(20)])
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    tolerances = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(permuted, together[order], **tolerances)
    np.testing.assert_allclose(alone, together[:20], **tolerances)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
def test_outputs_with_options_do_not_depend_on_the_other_sequences(readout, bidirectional):
    rng = np.random.default_rng(1)
    sequences = make_batch(rng.integers(1, 50, size=300), rng)
    network, theta = make_net("gru", (9, 5), 2, rng, readout=readout, bidirectional=bidirectional)
    together = outputs_of(network, theta, sequences)
    alone = [outputs_of(network, theta, sequences.take([i])) for i in range(30)]
    alone = np.concatenate(alone)
    np.testing.assert_allclose(alone, together[: len(alone)], rtol=0, atol=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_are_those_that_the_gradient_is_taken_of(cell, readout, bidirectional):
    check_outputs_are_those_of_the_gradient(cell, readout, bidirectional)


@pytest.mark.parametrize("cell", CELLS)
def test_reverse_half_is_a_net_that_reads_the_sequence_backward(cell):
    rng = np.random.default_rng(7)
    sequences = make_batch([7, 3, 9, 1], rng)
    network, theta = make_net(cell, (4,), 2, rng, bidirectional=True, readout="step")
    weights = network.weights(theta)
    one_way = Network(Architecture(cell, network.architecture.n_in, (4,), 2, "float64"))
    halves = []
    for suffix, stride in (("", 1), ("_reverse", -1)):
        own = np.zeros(one_way.n_weights)
        for name, view in one_way.weights(own).items():
            if name.endswith("_0"):
                view[:] = weights[name + suffix]
        states = [_textbook.top_states(one_way, own, s[::stride])[::stride] for s in sequences]
        halves.append(np.vstack(states))
    expected = np.hstack(halves)
    with computing():
        states = FittedNetwork(network, theta).hidden_states(sequences)
    np.testing.assert_allclose(states, expected, atol=1e-12)
    expected = expected @ weights["W_ho"].T + weights["b_o"]
    np.testing.assert_allclose(outputs_of(network, theta, sequences), expected, atol=1e-12)
