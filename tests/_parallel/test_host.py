"""The guard around BLAS."""

import os
import threading

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from skrnn._parallel.host import blas_guard, computing


def counts():
    return [pool["num_threads"] for pool in ThreadpoolController().select(user_api="blas").info()]


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def test_one_thread_inside_and_the_callers_settings_afterwards():
    before = counts()
    assert set(before) == {2}, "these tests need a BLAS that can use two threads"
    with computing(), computing():
        assert set(counts()) == {1}
    assert counts() == before


def test_settings_come_back_after_an_exception():
    before = counts()
    with pytest.raises(KeyError), computing():
        raise KeyError
    assert counts() == before


def test_settings_come_back_after_overlapping_threads():
    before, inside, leave = counts(), threading.Barrier(3), threading.Event()

    def hold():
        with computing():
            inside.wait()
            leave.wait()

    threads = [threading.Thread(target=hold, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait()
    with computing():
        assert set(counts()) == {1}
    assert set(counts()) == {1}, "the other threads are still inside"
    leave.set()
    for thread in threads:
        thread.join()
    assert counts() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_inside_the_guard_has_the_callers_settings_after_a_computation():
    with computing():
        child = os.fork()
        if child == 0:
            with computing():
                inside = set(counts())
            os._exit(0 if inside == {1} and set(counts()) == {2} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_guard_knows_how_many_threads_there_are_outside():
    with computing():
        assert blas_guard.n_threads == 2
        with computing():
            assert blas_guard.n_threads == 2


def test_a_limit_that_is_set_inside_is_not_undone():
    with computing():
        with threadpool_limits(2, user_api="blas"):
            assert set(counts()) == {2}
            with computing():  # which limits once more, and finds the others still inside
                assert set(counts()) == {1}
        threadpool_limits(2, user_api="blas")
    assert set(counts()) == {2}
