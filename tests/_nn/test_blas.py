"""The guard around BLAS, and the sum of products."""

import os
import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from skrnn._nn.blas import ProductSum, one_thread


def counts():
    return [pool["num_threads"] for pool in ThreadpoolController().select(user_api="blas").info()]


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def test_one_thread_inside_and_the_callers_settings_afterwards():
    before = counts()
    assert set(before) == {2}, "these tests need a BLAS that can use two threads"
    with one_thread, one_thread:
        assert set(counts()) == {1}
    assert counts() == before


def test_settings_come_back_after_an_exception():
    before = counts()
    with pytest.raises(KeyError), one_thread:
        raise KeyError
    assert counts() == before


def test_settings_come_back_after_overlapping_threads():
    before, inside, leave = counts(), threading.Barrier(3), threading.Event()

    def hold():
        with one_thread:
            inside.wait()
            leave.wait()

    threads = [threading.Thread(target=hold, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    with one_thread:
        assert set(counts()) == {1}
    assert set(counts()) == {1}, "the other threads are still inside"
    leave.set()
    for thread in threads:
        thread.join()
    assert counts() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_inside_the_guard_has_the_callers_settings():
    with one_thread:
        child = os.fork()
        if child == 0:
            os._exit(0 if set(counts()) == {2} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("by_address", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 16, 48])
def test_products_are_added_in_place(dtype, width, by_address, monkeypatch):
    if not by_address:
        monkeypatch.setattr("skrnn._nn.blas._gemm", lambda dtype: None)
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
