"""`hidden_states`: those of the steps, from which the outputs are read."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from _factories import classifier, make_cube, make_sequences, make_targets, regressor
from skrnn import as_sequences, pad_sequences
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LENGTHS = (3, 1, 4, 2, 5, 2)
N, T = len(LENGTHS), 5
X = make_sequences(LENGTHS)
CUBE = make_cube(N, T)
SIZES = pytest.mark.parametrize("sizes", [(4,), (3, 4), (3, 2, 4)])


def clf(*, readout="last", **parameters):
    y = make_targets("classifier", LENGTHS, readout)
    return classifier(readout=readout, **parameters).fit(X, y)


def reg(*, X=X, readout="last", **parameters):
    y = make_targets("regressor", LENGTHS, readout)
    return regressor(readout=readout, **parameters).fit(X, y)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
@SIZES
def test_hidden_states_are_those_of_the_steps(sizes, cell, readout):
    estimator = reg(cell=cell, readout=readout, hidden_layer_sizes=sizes, initial_state="learned")
    states, state = estimator.hidden_states(CUBE), None
    assert states.shape == (N, T, 4)
    for t in range(T):
        _, state = estimator.step(CUBE[:, t], state)
        np.testing.assert_allclose(states[:, t], state[f"h_{len(sizes) - 1}"], rtol=0, atol=1e-12)


POOLS = {
    "last": lambda h: h[:, -1],
    "mean": lambda h: h.mean(axis=1),
    "max": lambda h: h.max(axis=1),
    "step": lambda h: h,
}


@pytest.mark.parametrize(
    ("readout", "bidirectional"), [*product(READOUTS, [False]), ("mean", True), ("step", True)]
)
def test_the_output_is_read_from_the_hidden_states(readout, bidirectional):
    estimator = clf(readout=readout, bidirectional=bidirectional)
    h, w = POOLS[readout](estimator.hidden_states(CUBE)), estimator.weights_
    raw = h @ w["W_ho"].T + w["b_o"]
    np.testing.assert_allclose(estimator.decision_function(CUBE), raw, rtol=0, atol=1e-10)


def test_the_last_state_of_each_half_is_at_its_own_end():
    estimator = clf(bidirectional=True)
    h, w = estimator.hidden_states(X), estimator.weights_
    ends = np.array([np.append(states[-1, :4], states[0, 4:]) for states in h])
    raw = ends @ w["W_ho"].T + w["b_o"]
    np.testing.assert_allclose(estimator.decision_function(X), raw, rtol=0, atol=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_hidden_states_come_in_the_container_of_the_input(bidirectional):
    estimator = reg(bidirectional=bidirectional)
    H = 4 * (1 + bidirectional)
    ragged = estimator.hidden_states(X)
    assert ragged.shape == (N,) and [h.shape for h in ragged] == [(length, H) for length in LENGTHS]
    for i, x in enumerate(X):
        np.testing.assert_allclose(estimator.hidden_states([x])[0], ragged[i], rtol=0, atol=1e-12)
    cube = estimator.hidden_states(CUBE)
    assert cube.shape == (N, T, H)
    for given in (list(CUBE), as_sequences(CUBE), pd.Series(list(CUBE))):
        np.testing.assert_array_equal(np.stack(estimator.hidden_states(given)), cube)
    padded = estimator.hidden_states(pad_sequences(X))
    assert padded.shape == (N, max(LENGTHS), H)
    for row, h in zip(padded, ragged, strict=True):
        np.testing.assert_array_equal(row[: len(h)], h)
        np.testing.assert_array_equal(row[len(h) :], np.tile(h[-1], (len(row) - len(h), 1)))
    table = regressor(features_per_step=2).fit(CUBE.reshape(N, -1), np.arange(N))
    assert table.hidden_states(CUBE.reshape(N, -1)).shape == (N, T, 4)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("initial_state", ["zeros", "normal", "learned"])
def test_before_the_first_step_the_hidden_state_is_the_initial_one(initial_state, bidirectional):
    estimator = reg(initial_state=initial_state, bidirectional=bidirectional, max_iter=9)
    absent = [np.insert(x, 0, np.nan, axis=0) for x in X]
    w = estimator.weights_
    names = ["h0_0", "h0_0_reverse"][: 1 + bidirectional]
    learned = initial_state == "learned"
    h0 = np.concatenate([w[name] for name in names]) if learned else np.zeros(4 * len(names))
    for h, without in zip(estimator.hidden_states(absent), estimator.hidden_states(X), strict=True):
        np.testing.assert_allclose(h[0], h0, rtol=0, atol=1e-15)
        np.testing.assert_array_equal(h[1:], without)


def test_hidden_states_keep_float32():
    estimator = reg(X=[x.astype(np.float32) for x in X])
    assert {h.dtype for h in estimator.hidden_states(X)} == {np.dtype(np.float32)}
    assert estimator.hidden_states(pad_sequences(X)).dtype == np.float32
