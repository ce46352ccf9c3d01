"""Each cell alone: its equations, and its derivative against finite differences."""

import numpy as np
import pytest
from scipy.special import expit

from _nn._nets import (
    check_cell_derivative,
    check_zeros_stay_zero,
    draw_cell_inputs,
    scaled,
    unroll_once,
)
from skrnn._nn.cells import CELLS

NAMES = pytest.mark.parametrize("name", CELLS)


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


@NAMES
def test_forward_is_the_textbook_equation(name):
    cell = CELLS[name]
    a, h_prev, m_prev = draw_cell_inputs(cell, np.random.default_rng(1))
    h, m, _ = unroll_once(cell, scaled(cell, a), h_prev, m_prev)
    expected_h, expected_c = reference(name, a, h_prev, m_prev[0] if cell.n_memory else None)
    np.testing.assert_allclose(h, expected_h, rtol=1e-13, atol=1e-14)
    if cell.n_memory:
        np.testing.assert_allclose(m[0], expected_c, rtol=1e-13, atol=1e-14)


@NAMES
def test_derivative_of_every_input_is_exact(name, assert_gradient):
    check_cell_derivative(assert_gradient, name)


@NAMES
def test_columns_of_zeros_stay_zero(name):
    """What a batch is padded with, up to a multiple of 16 columns, never wakes up."""
    check_zeros_stay_zero(name)


@NAMES
def test_blocks_that_read_h_come_first_and_those_that_read_x_alone_last(name):
    reads = [block.reads for block in CELLS[name].blocks]
    assert reads == sorted(reads, key=["h", "hx", "x"].index)
    assert {block.gate for block in CELLS[name].blocks} == set(CELLS[name].gates)


def test_gates_that_keep_the_state_start_open():
    assert {name: cell.biases for name, cell in CELLS.items()} == {
        "rnn_tanh": {},
        "rnn_relu": {},
        "gru": {"z": 1.0},
        "lstm": {"f": 1.0},
    }
