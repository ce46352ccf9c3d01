"""Ctrl-C at exact points: what it ends, what is kept, and that nothing of the process is changed.

The signal is raised by the process itself, so that its handler runs before the next line.
"""

import os
import pickle
import signal
import sys
import threading
import warnings
import weakref
from contextlib import suppress

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from threadpoolctl import ThreadpoolController, threadpool_limits

from skrnn import RNNClassifier, RNNRegressor
from skrnn._estimators import base
from skrnn._nn.recurrent import RecurrentWorkspace
from skrnn._nn.streaming import FittedNetwork
from skrnn._parallel import host
from skrnn._parallel.host import computing, interrupts
from skrnn._parallel.shards import ShardedObjective
from skrnn._parallel.threads import in_threads
from skrnn._training.loops import Updater
from skrnn._training.monitor import FitMonitor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="not a POSIX system"),
]
BATCHES = 4  # per epoch
BLAS = ThreadpoolController().select(user_api="blas")
LEARNED = "interrupted by the user"


def snapshot():
    """All of the process that a computation borrows, or could leave changed."""
    return {
        "handler": signal.getsignal(signal.SIGINT),
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "BLAS": [pool["num_threads"] for pool in BLAS.info()],
        "errors": np.geterr(),
        "files": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None,
        "threads": set(threading.enumerate()),
        "environment": {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"},
    }


@pytest.fixture(autouse=True)
def nothing_is_left_changed(monkeypatch):
    """Python's own handler, two threads of BLAS, no Ctrl-C lately; and the same afterwards."""
    monkeypatch.setattr(interrupts, "_latest", -np.inf)
    own = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with threadpool_limits(2, user_api="blas"):
            before = snapshot()
            yield
            assert snapshot() == before
            assert not (interrupts.requested or interrupts.insisted or interrupts.listens)
    finally:
        signal.signal(signal.SIGINT, own)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that stand still, in a list."""
    now = [1000.0]
    monkeypatch.setattr(host, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def ctrl_c(monkeypatch):
    """Let Ctrl-C come just before the call of that number, from 0 on, so many times."""

    def arrange(owner, name, number=0, times=1):
        original, calls = getattr(owner, name), []

        def interrupted(*given, **options):
            calls.append(name)
            if len(calls) == number + 1:
                press(times)
            return original(*given, **options)

        monkeypatch.setattr(owner, name, interrupted)
        return calls

    return arrange


def press(times=1):
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


def make_data(kind=RNNClassifier, n=40, T=6):
    X = np.random.default_rng(0).standard_normal((n, T, 2))
    y = X.sum(axis=(1, 2))
    return X, y > 0 if kind is RNNClassifier else y


def net(kind=RNNClassifier, **params):
    settings = {"hidden_layer_sizes": 3, "max_iter": 3, "batch_size": 10, "random_state": 0}
    return kind(**settings | params)


def state(estimator):
    return pickle.dumps(vars(estimator))


def thetas_after_batches(estimator, X, y, monkeypatch):
    """The weights of an undisturbed fit after every batch."""
    step, thetas = Updater.step, []

    def recorded(self, theta, *given):
        result = step(self, theta, *given)
        thetas.append(theta.copy())
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "step", recorded)
        estimator.fit(X, y)
    return thetas


# The first, in a fit --------------------------------------------------------------------------


@pytest.mark.parametrize("owner, name", [(base, "fit_network"), (base.BaseRNN, "_parse")])
def test_before_the_first_batch_the_estimator_is_as_it_was(owner, name, ctrl_c):
    X, y = make_data()
    fitted, fresh = net().fit(X[:30], y[:30]), net()
    before, before_fresh = state(fitted), state(fresh)
    ctrl_c(owner, name)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X, y)
    assert state(fitted) == before
    ctrl_c(owner, name)
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(X, y)
    assert state(fresh) == before_fresh


@pytest.mark.parametrize("owner, name", [(ShardedObjective, "__call__"), (Updater, "step")])
@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
@pytest.mark.parametrize("number", [0, 1, 3, 4, 6, 11])
def test_a_batch_is_finished_and_no_other_begun(number, kind, owner, name, ctrl_c, monkeypatch):
    X, y = make_data(kind)
    thetas = thetas_after_batches(net(kind), X, y, monkeypatch)
    calls = ctrl_c(owner, name, number)
    with pytest.warns(UserWarning, match=LEARNED):
        estimator = net(kind, warm_start=True).fit(X, y)
    assert len(calls) == estimator._training.optimizer.t == number + 1
    np.testing.assert_array_equal(estimator._model.network.theta, thetas[number])
    assert estimator.n_iter_ == max(1, (number + 1) // BATCHES)
    assert estimator.fit(X, y)._training.optimizer.t == number + 1 + 3 * BATCHES


@pytest.mark.parametrize("method", ["begin_epoch", "end_epoch"])
def test_between_epochs(method, ctrl_c):
    X, y = make_data()
    expected = net(max_iter=1).fit(X, y)
    ctrl_c(FitMonitor, method, 1 if method == "begin_epoch" else 0)
    with pytest.warns(UserWarning, match=LEARNED):
        estimator = net().fit(X, y)
    np.testing.assert_equal(estimator.weights_, expected.weights_)
    assert estimator.loss_curve_ == expected.loss_curve_


def test_in_scoring_the_epoch_is_finished(ctrl_c):
    X, y = make_data()
    expected = net(early_stopping=True, max_iter=2).fit(X, y)
    ctrl_c(FittedNetwork, "outputs", 1)
    with pytest.warns(UserWarning, match=LEARNED):
        estimator = net(early_stopping=True).fit(X, y)
    assert estimator.validation_scores_ == expected.validation_scores_
    np.testing.assert_equal(estimator.weights_, expected.weights_)


@pytest.mark.parametrize("number", [0, 2, 3])
def test_an_iteration_of_lbfgs_is_finished(number, ctrl_c):
    X, y = make_data()
    settings = {"solver": "lbfgs", "max_iter": 9}
    whole = net(**settings).fit(X, y)
    ctrl_c(ShardedObjective, "__call__", number)
    with pytest.warns(UserWarning, match=LEARNED):
        estimator = net(**settings).fit(X, y)
    assert 1 <= estimator.n_iter_ < whole.n_iter_
    assert estimator.loss_curve_ == whole.loss_curve_[: estimator.n_iter_]
    stopped = net(solver="lbfgs", max_iter=estimator.n_iter_).fit(X, y)
    np.testing.assert_equal(estimator.weights_, stopped.weights_)


def test_in_partial_fit(ctrl_c):
    X, y = make_data()
    estimator = net().partial_fit(X, y, classes=[0, 1])
    ctrl_c(Updater, "step", 1)
    with pytest.warns(UserWarning, match=LEARNED):
        estimator.partial_fit(X, y)
    assert estimator._training.optimizer.t == BATCHES + 2
    before = state(estimator)
    ctrl_c(Updater, "step", 1, times=2)
    with pytest.raises(KeyboardInterrupt):
        estimator.partial_fit(X, y)
    assert state(estimator) == before


# The second -----------------------------------------------------------------------------------

POINTS = [
    (ShardedObjective, "__call__", {}),
    (Updater, "step", {}),
    (FitMonitor, "begin_epoch", {}),
    (FitMonitor, "end_epoch", {}),
    (FittedNetwork, "outputs", {"early_stopping": True}),
    (ShardedObjective, "__call__", {"solver": "lbfgs"}),
]


@pytest.mark.parametrize("owner, name, params", POINTS)
@pytest.mark.parametrize("number", [0, 1])
def test_twice_leaves_the_estimator_as_it_was(owner, name, params, number, ctrl_c):
    X, y = make_data()
    estimator = net(**params).fit(X[:30], y[:30])
    before = state(estimator)
    ctrl_c(owner, name, number, times=2)
    with pytest.raises(KeyboardInterrupt) as error:
        estimator.fit(X, y)
    assert state(estimator) == before
    assert error.value.__context__ is None, "one error, not one during another"


def test_twice_ends_in_the_next_segment_of_a_batch(ctrl_c):
    X, y = make_data(n=60, T=1)
    X = [np.resize(x, (T, 2)) for x, T in zip(X, range(1, 61), strict=True)]  # of many segments
    estimator = net(batch_size=60, max_iter=1)
    whole = ctrl_c(RecurrentWorkspace, "forward", -2)
    estimator.fit(X, y)
    calls = ctrl_c(RecurrentWorkspace, "forward", 2, times=2)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    assert len(calls) == 3 < len(whole)


@pytest.mark.parametrize("seconds, ends", [(1.9, True), (2.1, False)])
def test_two_seconds_part_insisting_from_asking_again(seconds, ends, ctrl_c, clock):
    X, y = make_data()
    ctrl_c(Updater, "step", 2)
    with pytest.warns(UserWarning, match=LEARNED):
        estimator = net().fit(X, y)
    before = state(estimator)
    clock[0] += seconds
    ctrl_c(Updater, "step", 2)
    if ends:
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(X, y)
        assert state(estimator) == before
    else:
        with pytest.warns(UserWarning, match=LEARNED):
            estimator.fit(X, y)


@pytest.mark.parametrize("seconds, ends", [(1.0, True), (3.0, False)])
def test_a_second_one_in_the_next_fit_ends_a_whole_search(seconds, ends, monkeypatch, clock):
    X, y = make_data()
    step, calls = Updater.step, []

    def interrupted(*given):
        calls.append(None)
        if len(calls) in (2, 4):  # of the first and the second fit
            press()
            clock[0] += seconds
        return step(*given)

    monkeypatch.setattr(Updater, "step", interrupted)
    search = GridSearchCV(net(max_iter=1), {"alpha": [0.0, 0.1]}, cv=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if ends:
            with pytest.raises(KeyboardInterrupt):
                search.fit(X, y)
            assert len(calls) == 4 and not hasattr(search, "best_estimator_")
        else:
            search.fit(X, y)
    assert sum(LEARNED in str(one.message) for one in caught) == (1 if ends else 2)


def test_a_callback_that_hangs_is_ended_where_it_is(clock, monkeypatch):
    """Nobody looks at the notes while it waits; two seconds after the second, a third is enough."""
    X, y = make_data()
    estimator, pressed = net().fit(X[:30], y[:30]), []
    before = state(estimator)

    def hang(*given):
        while len(pressed) < 9:
            pressed.append(clock[0])
            press()
            clock[0] += 1.0

    monkeypatch.setattr(FitMonitor, "end_epoch", hang)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)
    assert [now - pressed[0] for now in pressed] == [0, 1, 2, 3, 4]
    assert state(estimator) == before


@pytest.mark.parametrize("times", [1, 2])
def test_when_all_is_learned(times, ctrl_c):
    X, y = make_data()
    estimator = net().fit(X[:30], y[:30])
    before, ended = state(estimator), False
    ctrl_c(base, "histories", times=times)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(X, y)
        except KeyboardInterrupt:
            ended = True
    assert (LEARNED in str([one.message for one in caught])) == (times == 1)
    assert ended == (times == 2) and (state(estimator) == before) == ended


# Predictions and steps ------------------------------------------------------------------------

CALLS = {
    "predict": lambda net, X, y: net.predict(X),
    "score": lambda net, X, y: net.score(X, y),
    "hidden_states": lambda net, X, y: net.hidden_states(X),
    "step": lambda net, X, y: net.step(X[:, 0])[0],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_prediction_raises_and_the_next_one_is_right(name, times, ctrl_c, monkeypatch):
    X, y = make_data()
    estimator, call = net().fit(X, y), CALLS[name]
    expected, before = call(estimator, X, y), state(estimator)
    with monkeypatch.context() as patch:
        method = "step" if name == "step" else "unroll"
        owner = FittedNetwork if name == "step" else RecurrentWorkspace
        original = getattr(owner, method)
        patch.setattr(owner, method, lambda *given: press(times) or original(*given))
        with pytest.raises(KeyboardInterrupt):
            call(estimator, X, y)
    assert state(estimator) == before
    np.testing.assert_array_equal(call(estimator, X, y), expected)


def test_a_prediction_ends_after_a_segment(ctrl_c, monkeypatch):
    monkeypatch.setattr("skrnn._nn.stack.BLOCK_BYTES", 1)
    X, y = make_data(T=50)
    estimator = net().fit(X, y)
    calls = ctrl_c(RecurrentWorkspace, "forward", 7)
    with pytest.raises(KeyboardInterrupt):
        estimator.predict(X)
    assert len(calls) == 8


def test_a_state_survives_a_step_that_is_interrupted(ctrl_c):
    X, y = make_data(RNNRegressor)
    estimator = net(RNNRegressor).fit(X, y)
    _, before = estimator.step(X[:, 0])
    expected, bits = estimator.step(X[:, 1], before)[0], pickle.dumps(before)
    ctrl_c(FittedNetwork, "read_out")
    with pytest.raises(KeyboardInterrupt):
        estimator.step(X[:, 1], before)
    assert pickle.dumps(before) == bits
    np.testing.assert_array_equal(estimator.step(X[:, 1], before)[0], expected)


def test_the_threads_of_a_prediction_hear_it():
    noted, both = [], threading.Barrier(2, timeout=30)

    def work():
        both.wait()
        if threading.current_thread() is threading.main_thread():
            press()
        both.wait()
        noted.append(interrupts.insisted)

    with pytest.raises(KeyboardInterrupt), computing():
        in_threads([work, work], 2)
    assert noted == [True, True]


# Computations inside computations, and beside -------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
def test_in_a_prediction_inside_a_fit(times, monkeypatch):
    """The first leaves the prediction alone, and ends the fit after the epoch."""
    X, y = make_data()
    estimator, fitted, predictions = net().fit(X[:30], y[:30]), net().fit(X, y), []
    before = state(estimator)

    def end_epoch(*given):
        original = RecurrentWorkspace.unroll
        with monkeypatch.context() as patch:
            patch.setattr(RecurrentWorkspace, "unroll", lambda *a: press(times) or original(*a))
            predictions.append(fitted.predict(X))
        return False

    monkeypatch.setattr(FitMonitor, "end_epoch", end_epoch)
    if times == 1:
        with pytest.warns(UserWarning, match=LEARNED):
            estimator.fit(X, y)
        assert len(predictions) == estimator.n_iter_ == 1
    else:
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(X, y)
        assert not predictions and state(estimator) == before


def in_a_thread(call):
    """What a call in a thread of its own returns or raises."""
    results = []

    def work():
        try:
            results.append(call())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return results[0]


def test_a_fit_in_another_thread_leaves_ctrl_c_to_the_main_one(monkeypatch):
    X, y = make_data()
    step, handlers = Updater.step, []

    def watched(*given):
        handlers.append(signal.getsignal(signal.SIGINT))
        return step(*given)

    monkeypatch.setattr(Updater, "step", watched)
    estimator = in_a_thread(lambda: net().fit(X, y))
    assert estimator.n_iter_ == 3 and set(handlers) == {signal.default_int_handler}


@pytest.mark.parametrize("times", [1, 2])
def test_a_fit_in_another_thread_does_not_take_the_main_ones(times):
    X, y = make_data()
    with pytest.raises(KeyboardInterrupt), computing(patient=True):
        press(times)
        estimator = in_a_thread(lambda: net().fit(X, y))
        assert estimator.n_iter_ == 3
        assert interrupts.requested and interrupts.insisted == (times == 2)


def test_a_users_handler_stays_and_is_called(ctrl_c):
    X, y = make_data()
    expected, received = net().fit(X, y), []
    signal.signal(signal.SIGINT, lambda *given: received.append(given))
    ctrl_c(Updater, "step", 2, times=3)
    estimator = net().fit(X, y)
    assert len(received) == 3
    np.testing.assert_equal(estimator.weights_, expected.weights_)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_users_handler_that_raises_ends_a_fit(ctrl_c):
    X, y = make_data()
    estimator = net().fit(X[:30], y[:30])
    before = state(estimator)

    def fail(*given):
        raise TimeoutError

    signal.signal(signal.SIGINT, fail)
    ctrl_c(ShardedObjective, "__call__", 2)
    with pytest.raises(TimeoutError):
        estimator.fit(X, y)
    assert state(estimator) == before and signal.getsignal(signal.SIGINT) is fail
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_handler_that_a_callback_sets_stays(monkeypatch):
    X, y = make_data()

    def own(*given):
        pass

    monkeypatch.setattr(
        FitMonitor, "end_epoch", lambda *given: bool(signal.signal(signal.SIGINT, own)) and False
    )
    net().fit(X, y)
    assert signal.getsignal(signal.SIGINT) is own
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_error_of_the_fit_gives_everything_back(ctrl_c, monkeypatch):
    X, y = make_data()
    monkeypatch.setattr(Updater, "step", lambda *given: press() or 1 / 0)
    with pytest.raises(KeyboardInterrupt) as error:
        net().fit(X, y)
    assert isinstance(error.value.__context__, ZeroDivisionError)


# Every window of entering and leaving ---------------------------------------------------------


def at_window(number, act, call):
    """Call, and act in the window of that number inside host.py; whether there was one.

    Python looks for signals where a function begins, and where one of C's has returned.
    """
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        code = frame.f_code
        if code.co_filename == host.__file__ and code.co_name != "_note":
            count += event in ("call", "c_return")
            if count == number + 1:
                count += 1
                act()

    profiling = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(profiling)
    return count > number


@pytest.mark.parametrize("patient", [False, True])
def test_ctrl_c_in_every_window_is_raised_once(patient):
    before, number, there_was = snapshot(), 0, True

    def call():
        with computing(patient):
            pass

    while there_was:
        try:
            there_was = at_window(number, press, call)
            assert not there_was, f"window {number}: swallowed"
        except KeyboardInterrupt:
            pass
        assert snapshot() == before, f"window {number}"
        with computing():
            assert not interrupts.requested and not interrupts.insisted, f"window {number}"
        number += 1
    assert number > 15


def test_another_error_in_every_window_is_healed_by_the_next_computation():
    before, number, there_was = snapshot(), 0, True

    def fail():
        raise TimeoutError

    def call():
        with computing():
            pass

    while there_was:
        with suppress(TimeoutError):
            there_was = at_window(number, fail, call)
        with computing():
            assert set(snapshot()["BLAS"]) == {1}
        assert snapshot() == before, f"window {number}"
        number += 1
    assert number > 15


def test_ctrl_c_after_an_error_that_kept_a_computation_from_leaving_is_raised():
    computation = computing()
    computation.__enter__()
    gone = weakref.ref(computation)
    del computation
    assert gone() is None and signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with computing():
        pass


# Child processes ------------------------------------------------------------------------------


def fork(check):
    """Whether a check holds in a child process; it has five seconds."""
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        os._exit(0 if check() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


forks = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@forks
def test_a_child_of_another_thread_has_pythons_handler():
    def check():
        return signal.getsignal(signal.SIGINT) is signal.default_int_handler

    with computing():
        assert in_a_thread(lambda: fork(check)) is True


@forks
def test_a_child_of_the_computing_thread_hears_ctrl_c():
    def check():
        press()
        return interrupts.requested

    with computing():
        assert fork(check)


@forks
def test_a_child_can_compute_while_another_thread_does():
    """Of its counts, those that a thread had limited come back with the first computation."""
    X, y = make_data()
    estimator, started, stop = net().fit(X, y), threading.Event(), threading.Event()
    before = snapshot()["BLAS"]

    def hold():
        with computing():
            started.set()
            stop.wait()

    def check():
        return np.isfinite(estimator.predict(X)).all() and snapshot()["BLAS"] == before

    thread = threading.Thread(target=hold)
    thread.start()
    started.wait()
    assert fork(check)
    stop.set()
    thread.join()
