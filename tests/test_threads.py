"""Parts of a batch at once."""

import threading

import numpy as np
import pytest

from skrnn._threads import at_once


def test_results_come_in_the_order_of_the_functions():
    assert at_once(lambda: 1, lambda: 2, lambda: 3) == [1, 2, 3]


def test_the_functions_run_at_the_same_time():
    meet = threading.Barrier(2, timeout=30)
    assert len(at_once(meet.wait, meet.wait)) == 2


@pytest.mark.parametrize("i", [0, 1])
def test_an_error_is_raised_when_all_have_ended(i):
    ended = []

    def fail():
        raise KeyError(i)

    def work():
        ended.append(True)

    functions = [work, work]
    functions[i] = fail
    with pytest.raises(KeyError):
        at_once(*functions)
    assert ended == [True]


def test_floating_point_errors_are_treated_as_by_the_caller():
    big = np.array([1e308])
    with np.errstate(over="ignore"):
        at_once(lambda: big * 10, lambda: big * 10)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        at_once(lambda: 0, lambda: big * 10)
