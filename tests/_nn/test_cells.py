"""Each cell alone: its equations, and its derivative against finite differences."""

import numpy as np
import pytest
from scipy.special import expit

from skrnn._nn.cells import CELLS

H, B = 3, 4
SCRATCH = np.empty((H, B)), np.array(1.0), np.array(0.5)


def unrolled_once(cell, a, h_prev, m_prev):
    """One step on copies: the new h, the new memory, and what backward needs."""
    a, h = np.concatenate([a, m_prev]), np.empty((H, B))
    if len(cell.blocks) == 1:  # the layer puts pre-activations and h in one place
        h = a[0]
    m = np.empty((cell.memory, H, B))
    step = cell.view(a, h_prev, h, m)
    cell.forward(step, SCRATCH)
    return h, m, step


@pytest.fixture(params=CELLS)
def case(request):
    cell, rng = CELLS[request.param], np.random.default_rng(0)
    a = rng.standard_normal((len(cell.blocks), H, B))
    return cell, a, rng.standard_normal((H, B)), rng.standard_normal((cell.memory, H, B)), rng


def scaled(cell, a):
    """Pre-activations as the layer's products give them."""
    return a * np.array([block.scale for block in cell.blocks])[:, None, None]


def reference(name, a, h_prev, c_prev):
    """The textbook's equations, and torch's."""
    if name == "rnn_tanh":
        return np.tanh(a[0]), None
    if name == "rnn_relu":
        return np.maximum(a[0], 0), None
    if name == "gru":
        u, r, z, n = a[0], expit(a[1]), expit(a[2]), a[3]
        n = np.tanh(n + r * u)
        return (1 - z) * n + z * h_prev, None
    o, i, f, g = expit(a[0]), expit(a[1]), expit(a[2]), np.tanh(a[3])
    c = f * c_prev + i * g
    return o * np.tanh(c), c


@pytest.mark.parametrize("name", CELLS)
def test_forward_is_the_textbook_equation(name):
    cell, rng = CELLS[name], np.random.default_rng(1)
    a, h_prev = rng.standard_normal((len(cell.blocks), H, B)), rng.standard_normal((H, B))
    m_prev = rng.standard_normal((cell.memory, H, B))
    h, m, _ = unrolled_once(cell, scaled(cell, a), h_prev, m_prev)
    expected_h, expected_c = reference(name, a, h_prev, m_prev[0] if cell.memory else None)
    np.testing.assert_allclose(h, expected_h, rtol=1e-13, atol=1e-14)
    if cell.memory:
        np.testing.assert_allclose(m[0], expected_c, rtol=1e-13, atol=1e-14)


def test_derivative_of_every_input_is_exact(case, assert_gradient):
    cell, a, h_prev, m_prev, rng = case
    weight_h, weight_c = rng.standard_normal((2, H, B))

    def value(a, h_prev, m_prev):
        h, m, _ = unrolled_once(cell, scaled(cell, a), h_prev, m_prev)
        return (weight_h * h).sum() + sum((weight_c * c).sum() for c in m[:1])

    _, _, step = unrolled_once(cell, scaled(cell, a), h_prev, m_prev)
    dh, dc, da = weight_h.copy(), weight_c.copy(), np.empty_like(a)
    cell.backward(step, cell.view_gradient(da), dh, dc if cell.memory else None, SCRATCH)
    assert_gradient(lambda a: value(a, h_prev, m_prev), a, da)
    if cell.keeps_h:
        assert_gradient(lambda h: value(a, h, m_prev), h_prev, dh)
    if cell.memory:
        d_m = np.stack([dc, np.zeros_like(dc)])
        assert_gradient(lambda m: value(a, h_prev, m), m_prev, d_m)


@pytest.mark.parametrize("name", CELLS)
def test_columns_of_zeros_stay_zero(name):
    """What a batch is padded with, up to a multiple of 16 columns, never wakes up."""
    cell = CELLS[name]
    h, m, _ = unrolled_once(
        cell,
        np.zeros((len(cell.blocks), H, B)),
        np.zeros((H, B)),
        np.zeros((cell.memory, H, B)),
    )
    assert not h.any() and not m.any()
