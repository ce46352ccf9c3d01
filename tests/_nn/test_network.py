"""The network: where its weights are, what they are called, how they start, what is drawn."""

from itertools import product

import numpy as np
import pytest

from _nn._nets import CODED, D, make_net
from skrnn._nn.cells import CELLS
from skrnn._nn.network import Architecture, Network


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
    assert shapes == {name: parameter.shape for name, parameter in network.parameters.items()}


def test_weights_of_all_options_have_names_of_their_own():
    architecture = Architecture("lstm", D, (4, 3), 2, "float64", "last", True, "learned", **CODED)
    parameters = Network(architecture).parameters
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    directions = ["0", "0_reverse", "1", "1_reverse"]
    kinds = ["W_xh", "W_hh", "b_h", "h0", "c0"]
    names = {f"{kind}_{direction}" for kind, direction in product(kinds, directions)}
    assert shapes.keys() == names | {"E_0", "W_ho", "b_o"}
    assert shapes["E_0"] == (4, 3)
    assert shapes["W_xh_0_reverse"] == (16, D - 1 + 3)  # the code's vector for the code
    assert shapes["W_xh_1"] == (12, 8)  # both directions below
    assert shapes["W_ho"] == (2, 6)


@pytest.mark.parametrize("cell", CELLS)
def test_recurrence_starts_orthogonal(cell):
    H = 6
    network = Network(Architecture(cell, D, (H,), 1, "float64"))
    weights = network.weights(network.initialize(np.random.RandomState(0)))
    for gate in weights["W_hh_0"].reshape(-1, H, H):
        np.testing.assert_allclose(gate @ gate.T, np.eye(H), atol=1e-12)
    biases = np.zeros(len(weights["b_h_0"]))
    if cell in ("gru", "lstm"):
        biases[H : 2 * H] = 1  # z and f, the gates that keep the state
    np.testing.assert_array_equal(weights["b_h_0"], biases)


def test_both_precisions_start_at_the_same_weights():
    thetas = [
        Network(Architecture("gru", D, (4,), 1, dtype)).initialize(np.random.RandomState(0))
        for dtype in ("float32", "float64")
    ]
    np.testing.assert_array_equal(thetas[0], thetas[1].astype(np.float32))


def test_biases_embeddings_and_initial_states_are_not_penalized():
    architecture = Architecture("lstm", D, (4, 3), 1, "float64", initial_state="learned", **CODED)
    network = Network(architecture)
    penalty = network.weights(network.penalty(0.25))
    assert {name[:2] for name, view in penalty.items() if (view == 0.25).all()} == {"W_"}
    free = {name[:2] for name, view in penalty.items() if not view.any()}
    assert free == {"b_", "E_", "h0", "c0"}


def test_dropout_keeps_the_expected_share_and_the_mean():
    network, _ = make_net("gru", (30, 20), 1, np.random.default_rng(9))
    for mask in network.draw(np.random.RandomState(0), 500, 0.25).masks:
        assert np.mean(mask == 0) == pytest.approx(0.25, abs=0.02)
        assert mask.mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_that_are_drawn_have_a_deviation_of_a_tenth(bidirectional):
    options = {"initial_state": "normal", "bidirectional": bidirectional}
    network, _ = make_net("lstm", (30, 20), 1, np.random.default_rng(9), **options)
    noise = network.draw(np.random.RandomState(0), 500, 0.0)
    assert noise.masks == [None, None] and len(noise.starts) == len(network.stacks)
    states = [h for stack in noise.starts for state in stack for h in state]
    assert len(states) == 2 * 2 * (1 + bidirectional)  # h and c of every layer and direction
    for h in states:
        assert h.shape[1] == 500 and h.std() == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_noise_of_some_columns_is_that_of_their_sequences(bidirectional):
    options = {"initial_state": "normal", "bidirectional": bidirectional}
    network, _ = make_net("lstm", (3, 2), 1, np.random.default_rng(9), **options)
    noise = network.draw(np.random.RandomState(0), 7, 0.5)
    taken = noise.take(slice(1, None, 3))
    for mask, part in zip(noise.masks, taken.masks, strict=True):
        np.testing.assert_array_equal(part, mask[:, 1::3])
    for stack, own in zip(noise.starts, taken.starts, strict=True):
        for state, part in zip(stack, own, strict=True):
            np.testing.assert_array_equal(part, np.array(state)[:, :, 1::3])
    assert network.silence.take(slice(2)) == network.silence._replace(starts=[])
