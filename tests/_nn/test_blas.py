"""Sums of products."""

import numpy as np
import pytest

from skrnn._nn.blas import GEMM, ProductSum


@pytest.mark.parametrize("by_address", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 16, 48])
def test_products_are_added_in_place(dtype, width, by_address, monkeypatch):
    if not by_address:
        monkeypatch.setitem(GEMM, np.dtype(dtype), None)
    rng = np.random.default_rng(0)
    around = np.ones((8, 9), dtype)
    result = around[1:7, 2:6]
    products = ProductSum(result)
    a, blocks = np.empty((9, width), dtype), np.empty((5, 7, width), dtype)
    add = products.adder(a[1:7], blocks[:, 2:6])
    total = np.ones((6, 4))
    for t in (4, 0, 3):
        a[:], blocks[:] = rng.standard_normal(a.shape), rng.standard_normal(blocks.shape)
        add(t)
        total += a[1:7].astype(float) @ blocks[t, 2:6].T.astype(float)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12}
    np.testing.assert_allclose(result, total, **tolerance)
    result[:] = 1
    assert (around == 1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_keeps_its_arrays(dtype):
    """It goes by their addresses, so that nobody else may hold them any more."""
    total = np.zeros((2, 3), dtype)
    add = ProductSum(total).adder(np.ones((2, 4), dtype), np.ones((5, 3, 4), dtype))
    junk = [np.full(shape, 7, dtype) for shape in ((2, 4), (5, 3, 4)) * 50]
    add(4)
    np.testing.assert_array_equal(total, 4)
    del junk
