"""Readouts: the textbook's pooling, its derivative, and the same one step at a time."""

import numpy as np
import pytest

from _nn import _textbook
from _nn._nets import check_pooling, make_batch, make_net, outputs_of
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS

POOLS = {
    "last": lambda h: h[-1],
    "mean": lambda h: h.mean(axis=0),
    "max": lambda h: h.max(axis=0),
    "step": lambda h: h,
}


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_readouts_are_those_of_the_textbook(cell, readout):
    sequences = make_batch([7, 3, 9, 1], np.random.default_rng(5))
    network, theta = make_net(cell, (4, 3), 2, np.random.default_rng(6), readout=readout)
    weights = network.weights(theta)
    h = [POOLS[readout](_textbook.top_states(network, theta, s)) for s in sequences]
    expected = np.vstack(h) @ weights["W_ho"].T + weights["b_o"]
    np.testing.assert_allclose(outputs_of(network, theta, sequences), expected, atol=1e-12)


@pytest.mark.parametrize("longest", [None, 1, 3])
@pytest.mark.parametrize("lengths", [[5, 5], [7, 4, 4, 1], [9] * 17 + [2]], ids=len)
@pytest.mark.parametrize("readout", READOUTS)
def test_pooling_is_exact_however_time_is_cut(readout, lengths, longest, assert_gradient):
    check_pooling(assert_gradient, readout, lengths, longest)
