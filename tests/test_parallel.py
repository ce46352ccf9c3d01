"""Fits by two processes: the bits of a fit by one, and nothing of them left behind."""

import os
import signal
import sys
import time
from collections import deque

import numpy as np
import pytest
from sklearn import config_context
from threadpoolctl import threadpool_limits

import skrnn
from skrnn import RNNClassifier, RNNRegressor
from skrnn._cells import CELLS
from skrnn._partner import Partner

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="no partner on this system"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
T = 6


class Watched(Partner):
    """A partner that is waited for until it is ready, and whose answers are counted."""

    made = []

    def __init__(self, *args):
        super().__init__(*args)
        self.made.append(self)
        self.first_call, self.answers = args[1], 0

    def is_ready(self):
        return self._ready or (self._pipe.poll(30) and super().is_ready())

    def answer(self):
        answer = super().answer()
        self.answers += 1
        return answer

    @property
    def is_alive(self):
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        return True


@pytest.fixture
def partners(monkeypatch):
    """Every fit has a partner, on any number of cores; those that there were."""
    monkeypatch.setattr(Watched, "made", [])
    monkeypatch.setattr("skrnn._parallel.Partner", Watched)
    monkeypatch.setattr("skrnn._parallel.PRODUCTS_OF_HALVES", (0, 0))
    monkeypatch.setattr("skrnn._parallel.PRODUCTS_OF_A_FORK", 0)
    monkeypatch.setattr("skrnn._parallel.cpu_count", lambda: 2)
    monkeypatch.setattr("skrnn._parallel.can_fork", lambda: True)  # pytest-xdist's thread waits
    with threadpool_limits(2, user_api="blas"):
        yield Watched.made
    assert not any(partner.is_alive for partner in Watched.made)


def make_data(kind=RNNClassifier, n=70, readout="last"):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, T, 2)).astype(np.float32)
    y = X[:, :, 0].cumsum(axis=1)
    y = y if readout == "step" else y[:, -1]
    return X, y > 0 if kind is RNNClassifier else y


def make(kind=RNNClassifier, **params):
    settings = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}
    return kind(**(settings | params))


def assert_equal_fits(one, other):
    np.testing.assert_equal(one.weights_, other.weights_)
    assert one.loss_curve_ == other.loss_curve_
    assert one.grad_norm_curve_ == other.grad_norm_curve_


def alone(estimator, X, y, monkeypatch, **settings):
    with monkeypatch.context() as patch:
        patch.setattr("skrnn._parallel.can_fork", lambda: False)
        return type(estimator)(**estimator.get_params()).fit(X, y, **settings)


@pytest.mark.parametrize(
    "params",
    [
        *({"cell": cell} for cell in CELLS),
        {"solver": "lbfgs"},
        {"early_stopping": True},
        {"readout": "step"},
        {"bidirectional": True, "hidden_layer_sizes": (8, 5)},
        {"dropout": 0.3, "initial_state": "normal"},
        {"bptt_steps": 3},
        {"bptt_steps": 3, "readout": "mean"},
        {"initial_state": "learned", "hidden_layer_sizes": (8, 5)},
        {"categorical_features": [1], "readout": "mean"},
        {"batch_size": 40, "readout": "mean"},
        {"batch_size": 64, "shuffle": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
def test_with_a_partner_a_fit_has_the_bits_of_a_fit_alone(kind, params, partners, monkeypatch):
    monkeypatch.setattr("skrnn._chain.BLOCK_BYTES", 10_000)  # passes over some steps at a time
    X, y = make_data(kind, readout=params.get("readout"))
    if "categorical_features" in params:
        X[:, :, 1] = X[:, :, 1].round().clip(-2, 2) + 2
    estimator = make(kind, **params)
    weight = None if "solver" in params else np.linspace(0.1, 1, y.size).reshape(y.shape)
    for megabytes in (1024, 0.062, 0.02):  # the second is short for a whole batch of 40 alone
        with config_context(working_memory=megabytes):
            estimator.fit(X, y, sample_weight=weight)
            assert partners[-1].answers > 3
            expected = alone(estimator, X, y, monkeypatch, sample_weight=weight)
            assert_equal_fits(estimator, expected)


def test_batches_with_few_sequences_a_step_are_not_halved(partners):
    X, y = make_data()
    X = [x if i % 20 == 0 else x[:1] for i, x in enumerate(X)]
    make(batch_size=64).fit(X, y)
    assert not partners


@pytest.mark.parametrize("n", [112, 120, 128])
def test_no_width_from_which_blas_goes_another_way_changes_a_bit(n, partners, monkeypatch):
    X, y = make_data()
    clf = make(cell="lstm", hidden_layer_sizes=n, max_iter=2).fit(X, y)
    assert_equal_fits(clf, alone(clf, X, y, monkeypatch))


def test_it_begins_with_one_step(partners):
    X, y = make_data()
    make().fit(X, y)
    assert partners[-1].first_call[1].tolist() == [1]


@pytest.mark.parametrize("kind", ["warm_start", "partial_fit"])
def test_fits_that_go_on_have_the_same_bits_too(kind, partners, monkeypatch):
    X, y = make_data()

    def go_on():
        clf = make(warm_start=kind == "warm_start")
        for _ in range(3):
            clf = clf.fit(X, y) if clf.warm_start else clf.partial_fit(X, y)
        return clf

    clf = go_on()
    assert [partner.answers > 2 for partner in partners] == [True] * 3
    monkeypatch.setattr("skrnn._parallel.can_fork", lambda: False)
    assert_equal_fits(clf, go_on())


@pytest.mark.parametrize("readout", ["last", "max"])
def test_ragged_batches_are_halved_too(readout, partners, monkeypatch):
    X, y = make_data()
    X = [x[: 1 + i % T] for i, x in enumerate(X)]
    clf = make(readout=readout, cell="lstm", batch_size=64).fit(X, y)
    assert partners[-1].answers > 3
    assert_equal_fits(clf, alone(clf, X, y, monkeypatch))


@pytest.mark.parametrize(
    "params", [{"readout": "mean"}, {"readout": "step"}, {"bidirectional": True}], ids=str
)
def test_ragged_batches_whose_halves_have_other_sums_are_halved_if_steps_are_large(
    params, partners, monkeypatch
):
    X, y = make_data(readout=params.get("readout"))
    X = [x[: 1 + i % T] for i, x in enumerate(X)]
    y = [list(target[: len(x)]) if target.ndim else target for x, target in zip(X, y, strict=True)]
    y = skrnn.as_sequences(y) if "step" in params.values() else y
    make(**params).fit(X, y)
    assert not partners
    monkeypatch.setattr("skrnn._parallel.PRODUCTS_IN_TWO", 0)
    clf = make(**params).fit(X, y)
    assert partners[-1].answers > 3
    assert_equal_fits(clf, alone(clf, X, y, monkeypatch))


def test_a_fit_goes_on_without_a_partner_that_died(partners, monkeypatch):
    X, y = make_data()
    calls = []

    def outputs(network, theta, sequences):
        calls.append(sequences)
        if len(calls) == 2:  # scores of the second epoch
            os.kill(partners[-1]._pid, signal.SIGKILL)
        return original(network, theta, sequences)

    original = skrnn._parallel.ParallelNetwork.outputs
    monkeypatch.setattr("skrnn._parallel.ParallelNetwork.outputs", outputs)
    clf = make(early_stopping=True, max_iter=5).fit(X, y)
    assert 3 < partners[-1].answers < 10
    assert len(clf.loss_curve_) == 5
    monkeypatch.setattr("skrnn._parallel.ParallelNetwork.outputs", original)
    assert_equal_fits(clf, alone(clf, X, y, monkeypatch))


def test_a_fit_does_not_wait_for_a_partner_that_never_gets_ready(partners, monkeypatch):
    X, y = make_data()
    with monkeypatch.context() as patch:
        network = "skrnn._parallel.ParallelNetwork._learn_beside"
        patch.setattr(network, lambda *args: time.sleep(1000))
        patch.setattr(Watched, "is_ready", Partner.is_ready)
        clf = make().fit(X, y)
    assert [partner.answers for partner in partners] == [0]
    assert_equal_fits(clf, alone(clf, X, y, monkeypatch))


def test_a_fit_goes_on_where_the_system_has_no_room(partners, monkeypatch):
    calls = []

    def fail(*args):
        calls.append(args)
        raise BlockingIOError

    X, y = make_data()
    monkeypatch.setattr("skrnn._parallel.Partner", fail)
    clf = make().fit(X, y)
    assert len(calls) == 1
    assert_equal_fits(clf, alone(clf, X, y, monkeypatch))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_no_partner_outlives_a_fit_that_ends_by_an_error(error, partners, monkeypatch):
    def fail(*args):
        raise error

    X, y = make_data()
    monkeypatch.setattr("skrnn._training.Descent.step", fail)
    with pytest.raises(error):
        make().fit(X, y)
    assert partners[0].answers > 0  # and the fixture looks whether it is alive


def test_a_fit_that_is_interrupted_keeps_what_it_learned(partners, monkeypatch):
    X, y = make_data()
    step, steps = skrnn._training.Descent.step, []

    def interrupt(*args):
        steps.append(args)
        if len(steps) == 5:
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr("skrnn._training.Descent.step", interrupt)
    clf = make()
    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X, y)
    assert clf.n_iter_ == 1
    assert clf.predict(X).shape == y.shape


def test_who_gives_blas_one_thread_gets_no_second_process(partners):
    X, y = make_data()
    with threadpool_limits(1, user_api="blas"):
        make().fit(X, y)
    assert not partners


def test_who_computes_in_another_thread_gets_no_second_process(partners, monkeypatch):
    monkeypatch.setattr("skrnn._parallel.can_fork", lambda: False)
    make().fit(*make_data())
    assert not partners


def test_who_has_one_core_gets_no_second_process(partners, monkeypatch):
    monkeypatch.setattr("skrnn._parallel.cpu_count", lambda: 1)  # a container may say so
    make().fit(*make_data())
    assert not partners


def test_small_fits_start_no_process_and_small_batches_are_not_halved(partners, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("skrnn._parallel.Partner", Watched)
    monkeypatch.setattr("skrnn._parallel.cpu_count", lambda: 2)
    monkeypatch.setattr("skrnn._parallel.can_fork", lambda: True)
    with threadpool_limits(2, user_api="blas"):
        X, y = make_data(n=600)
        make(max_iter=1).fit(X, y)
        assert not Watched.made
        monkeypatch.setattr("skrnn._parallel.PRODUCTS_OF_A_FORK", 0)
        make(max_iter=1).fit(X, y)
        assert not Watched.made
        X = np.concatenate([X] * 100, axis=1)
        make(max_iter=1, hidden_layer_sizes=64).fit(X, y)
        assert Watched.made.pop().answers > 1


def test_a_fit_is_as_large_as_all_its_layers_together(partners, monkeypatch):
    X, y = make_data()
    steps = 3 * len(X) * T
    monkeypatch.setattr("skrnn._parallel.PRODUCTS_OF_A_FORK", 3 * 8 * (8 + 1 + 8) * steps)
    make().fit(X, y)
    assert not partners
    make(hidden_layer_sizes=(8, 8)).fit(X, y)
    assert len(partners) == 1


def test_nothing_of_it_is_kept(partners):
    X, y = make_data()
    clf = make(warm_start=True).fit(X, y)
    files, processes = os.listdir("/proc/self/fd"), len(partners)
    clf.fit(X, y).partial_fit(X, y)
    assert len(partners) == processes + 2
    assert os.listdir("/proc/self/fd") == files
    assert not any("partner" in name.lower() for name in vars(clf))


# the net that waits for the next prediction ---------------------------------------------------


@pytest.fixture
def idle(monkeypatch):
    monkeypatch.setattr("skrnn._parallel._idle", deque(maxlen=1))
    return skrnn._parallel._idle


def predictions(clf):
    """Of many sequences and few, in turns."""
    X, _ = make_data(n=200)
    return [clf.predict_proba(part) for part in (X[:3], X, X[:40, :2], X[:150], X[:3])]


@pytest.mark.parametrize("in_two", [0, np.inf])
@pytest.mark.parametrize("cell", CELLS)
def test_a_net_that_served_before_gives_the_same_bits(cell, in_two, idle, monkeypatch):
    monkeypatch.setattr("skrnn._parallel.PRODUCTS_IN_TWO", in_two)
    X, y = make_data()
    nets = [make(cell=cell, random_state=i).fit(X, y) for i in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr("skrnn._parallel.BYTES_IDLE", -1)
        expected = [predictions(net) for net in nets]
    assert not idle
    for _ in range(2):
        for net, outputs in zip(nets, expected, strict=True):
            for out, again in zip(outputs, predictions(net), strict=True):
                np.testing.assert_array_equal(again, out)


def test_one_net_waits_and_serves_those_of_its_design(idle):
    X, y = make_data()
    first, second = (make(random_state=i).fit(X, y) for i in range(2))
    other = make(cell="lstm").fit(X, y)
    first.predict(X)
    (waiting,) = idle
    second.predict(X)
    assert list(idle) == [waiting]
    other.predict(X)
    assert [net.design.cell for net in idle] == ["lstm"]


def test_a_large_net_or_one_that_failed_does_not_wait(idle, monkeypatch):
    X, y = make_data()
    clf = make(hidden_layer_sizes=600, max_iter=1).fit(X[:2], y[:2])
    clf.predict(X)
    assert not idle
    clf = make().fit(X, y)
    clf.predict(X)
    assert len(idle) == 1
    with monkeypatch.context() as patch:
        patch.setattr("skrnn._network.Network._load", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            clf.predict(X)
    assert not idle
