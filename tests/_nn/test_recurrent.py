"""A recurrent layer: how its weights are packed, and columns that are no sequence."""

import numpy as np
import pytest

from skrnn._data.sequences import Segment
from skrnn._nn.cells import CELLS
from skrnn._nn.recurrent import Recurrent, RecurrentWorkspace
from skrnn._parallel.host import computing

D, H = 3, 4


def make(cell, *, learned_start=False):
    layer = Recurrent(CELLS[cell], D, H, learned_start=learned_start)
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal(p.shape) for name, p in layer.parameters.items()}
    return layer, weights, RecurrentWorkspace(layer, np.dtype(float))


@pytest.mark.parametrize("cell", CELLS)
def test_unpacking_is_the_transpose_of_packing(cell):
    """W is linear in the weights, so that the gradient of the one is that of the other."""
    layer, weights, space = make(cell)
    space.pack(weights)
    rng = np.random.default_rng(1)
    dW, gradient = rng.standard_normal(space.W.shape), {k: v * np.nan for k, v in weights.items()}
    layer.unpack(dW * layer.scale(np.dtype(float)), gradient)
    own = sum(np.vdot(gradient[name], weights[name]) for name in weights)
    assert own == pytest.approx(np.vdot(dW, space.W), rel=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_packing_again_leaves_nothing_of_before(cell):
    layer, weights, space = make(cell)
    other = {name: 2 - view for name, view in weights.items()}
    space.pack_transposed(other)
    space.pack(weights)
    _, _, fresh = make(cell)
    fresh.pack(weights)
    np.testing.assert_array_equal(space.W, fresh.W)
    space.pack_transposed(weights)
    np.testing.assert_array_equal(space.W, fresh.W)
    unscaled = fresh.W / layer.scale(np.dtype(float))
    np.testing.assert_allclose(space.W_h_T.T, unscaled[layer.reads_h, :H], rtol=1e-15)
    np.testing.assert_allclose(space.W_x_T.T, unscaled[layer.reads_x, H + 1 :], rtol=1e-15)
    assert not space.dW.any()


@pytest.mark.parametrize("cell", CELLS)
def test_columns_past_the_sequences_are_zero_and_stay_zero(cell):
    layer, weights, space = make(cell)
    space.pack_transposed(weights)
    rng, steps, n = np.random.default_rng(2), 6, 3
    wide, narrow = Segment(0, steps, 16, 16, ()), Segment(0, steps, n, 16, ())
    space.begin((steps + 1) * 16)
    with computing():
        space.forward(space.unroll(wide, 0), 16, rng.standard_normal((steps, D, 16)), None)
        arrays = space.unroll(narrow, 0)  # which hold another batch
        space.forward(arrays, n, rng.standard_normal((steps, D, n)), None)
        d_state = [np.zeros((H, 16)) for _ in layer.cell.states]
        d_state[0][:, :n] = rng.standard_normal((H, n))
        dx = np.full((steps, D, 16), np.nan)
        space.backward(arrays, d_state, {}, dx)
    assert not arrays.hidden()[:, :, n:].any() and arrays.hidden()[:, :, :n].any()
    assert all(not d[:, n:].any() for d in d_state)
    assert not dx[:, :, n:].any() and np.isfinite(dx).all()


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_is_a_segment_of_one_step(cell):
    _, weights, space = make(cell)
    space.pack(weights)
    rng = np.random.default_rng(3)
    x, state = rng.standard_normal((5, D, 7)), space.layer.zero_state(7, np.dtype(float))
    with computing():
        for x_t in x:
            state = space.step(x_t, state)
        space.begin(6 * 16)
        arrays = space.unroll(Segment(0, 5, 7, 16, ()), 0)
        after = space.forward(arrays, 7, x, None)
    for own, expected in zip(state, after, strict=True):
        np.testing.assert_allclose(own, expected[:, :7], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("cell", CELLS)
def test_learned_starts_are_those_of_every_column(cell):
    layer, weights, _ = make(cell, learned_start=True)
    names = [f"{state}0" for state in CELLS[cell].states]
    for name, state in zip(names, layer.start(weights, 5), strict=True):
        np.testing.assert_array_equal(state, np.tile(weights[name][:, None], 5))
    gradient = {name: np.zeros(H) for name in names}
    layer.start_backward(gradient, [np.ones((H, 5)) for _ in names])
    for name in names:
        np.testing.assert_array_equal(gradient[name], 5)
