"""Work in threads: results, errors, and systems that have no thread to give."""

import threading

import numpy as np
import pytest

from skrnn._parallel.threads import in_threads


@pytest.mark.parametrize("n_threads", [1, 2, 3, 9])
def test_results_come_in_the_order_of_the_functions(n_threads):
    assert in_threads([lambda i=i: i for i in range(5)], n_threads) == list(range(5))


def test_the_functions_run_at_the_same_time():
    meet = threading.Barrier(2, timeout=30)
    assert len(in_threads([meet.wait, meet.wait], 2)) == 2


def test_one_thread_is_the_callers():
    (name,) = set(in_threads([threading.get_ident] * 4, 1))
    assert name == threading.get_ident()


def test_the_caller_does_the_work_of_threads_that_do_not_start(monkeypatch):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", fail)
    assert in_threads([lambda i=i: i for i in range(5)], 4) == list(range(5))


@pytest.mark.parametrize("i", [0, 1])
def test_an_error_is_raised_when_all_have_ended(i):
    ended, both = [], threading.Barrier(2, timeout=30)

    def fail():
        both.wait()
        raise KeyError(i)

    def work():
        both.wait()
        ended.append(True)

    functions = [work, work]
    functions[i] = fail
    with pytest.raises(KeyError):
        in_threads(functions, 2)
    assert ended == [True]
    assert threading.active_count() == 1 or all(
        "work" not in thread.name for thread in threading.enumerate()
    )


def test_floating_point_errors_are_treated_as_by_the_caller():
    big = np.array([1e308])
    with np.errstate(over="ignore"):
        in_threads([lambda: big * 10, lambda: big * 10], 2)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        in_threads([lambda: 0, lambda: big * 10], 2)
