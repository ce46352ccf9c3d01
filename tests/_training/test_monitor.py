"""What is told of training: lines, scikit-learn's callbacks, and what Ctrl-C leaves."""

import pickle
import re
import signal
import warnings

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNClassifier, RNNRegressor, as_sequences
from skrnn._parallel.host import interrupts
from skrnn._training.loops import Epoch, Updater
from skrnn.preprocessing import StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((T, 2)) for T in rng.integers(2, 7, 40)]
    return as_sequences(X), np.array([x.sum() > 0 for x in X]).astype(int)


def net(kind=RNNClassifier, **parameters):
    settings = {"hidden_layer_sizes": 3, "max_iter": 5, "batch_size": 10, "random_state": 0}
    return kind(**settings | parameters)


def same_weights(a, b):
    return all(np.array_equal(a.weights_[name], b.weights_[name]) for name in a.weights_)


class StopAfter:
    """Follows scikit-learn's protocol of callbacks; keeps what it is given."""

    def __init__(self, n=None):
        self.n, self.epochs, self.estimators, self.calls = n, 0, [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.calls.append(f"{context.task_name} ends")
        if context.task_name == "epoch":
            self.epochs += 1
            self.estimators.append(fitted_estimator)
            return self.epochs == self.n
        return False


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_stops_a_fit_with_a_usable_estimator(solver, data):
    pytest.importorskip("sklearn.callback")
    callback = StopAfter(2)
    clf = net(solver=solver).set_callbacks(callback).fit(*data)
    assert callback.epochs == clf.n_iter_ == 2
    expected = net(solver=solver, max_iter=2).fit(*data)
    np.testing.assert_allclose(clf.predict_proba(data[0]), expected.predict_proba(data[0]))
    assert callback.calls[:3] == ["setup", "fit begins", "epoch begins"]
    assert callback.calls[-3:] == ["epoch ends", "fit ends", "teardown"]


def test_every_epoch_gives_a_fitted_estimator_of_its_own(data):
    pytest.importorskip("sklearn.callback")
    callback = StopAfter()
    net().set_callbacks(callback).fit(*data)
    assert len(callback.estimators) == 5
    for epochs, estimator in enumerate(callback.estimators, start=1):
        assert same_weights(estimator, net(max_iter=epochs).fit(*data))


def test_callbacks_watch_partial_fit_too(data):
    pytest.importorskip("sklearn.callback")
    callback = StopAfter()
    net().set_callbacks(callback).partial_fit(*data, classes=[0, 1])
    assert callback.epochs == 1 and callback.calls[-1] == "teardown"


def test_a_callback_that_fails_leaves_a_fitted_estimator_as_it_was(data):
    pytest.importorskip("sklearn.callback")

    class Failing(StopAfter):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("no")

    clf = net().fit(*data)
    before, callback = pickle.dumps(clf.weights_), Failing()
    with pytest.raises(RuntimeError, match="no"):
        clf.set_callbacks(callback).fit(*data)
    assert pickle.dumps(clf.weights_) == before and callback.calls[-1] == "teardown"


def test_scoring_monitor_logs_each_epoch(data):
    callbacks = pytest.importorskip("sklearn.callback")
    monitor = callbacks.ScoringMonitor(scoring="accuracy")
    net().set_callbacks(monitor).fit(*data)
    log = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert log == [net(max_iter=n).fit(*data).score(*data) for n in range(1, 6)]


def test_callbacks_go_with_a_search_over_a_pipeline(data):
    pytest.importorskip("sklearn.callback")
    callback = StopAfter()
    pipeline = make_pipeline(StepTransformer(StandardScaler()), net().set_callbacks(callback))
    GridSearchCV(pipeline, {"rnnclassifier__cell": ["rnn_tanh", "gru"]}, cv=2).fit(*data)
    assert callback.epochs == 5 * (2 * 2 + 1)


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_verbose_prints_a_line_per_epoch(settings, data, capsys):
    estimator = net(verbose=1, max_iter=3, **settings).fit(*data)
    lines = capsys.readouterr().out.splitlines()
    parts = [re.split(": |, ", line) for line in lines]
    names = [part.rpartition(" ")[0] for part in parts[0][1:]]
    wanted = ["loss", "validation loss", "gradient norm", "learning rate", "seconds"]
    left_out = {"validation loss"} if "early_stopping" not in settings else set()
    left_out |= {"learning rate"} if "solver" in settings else set()
    assert names == [name for name in wanted if name not in left_out]
    for n, part in enumerate(parts, start=1):
        assert part[0] == f"Epoch {n}"
        assert float(part[1].split()[1]) == pytest.approx(estimator.loss_curve_[n - 1], abs=1e-6)


def test_callbacks_are_told_the_weights(data):
    callbacks = pytest.importorskip("sklearn.callback")
    weight = np.arange(40.0)
    monitor = callbacks.ScoringMonitor(scoring="accuracy")
    net(max_iter=2).set_callbacks(monitor).fit(*data, sample_weight=weight)
    log = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    for n, score in enumerate(log, start=1):
        alone = net(max_iter=n).fit(*data, sample_weight=weight)
        assert score == pytest.approx(alone.score(*data, sample_weight=weight))


def test_a_callback_that_fails_at_the_very_end_leaves_the_estimator_as_it_was(data):
    pytest.importorskip("sklearn.callback")

    class FailingAtLast(StopAfter):
        def on_fit_task_end(self, estimator, context):
            if context.task_name != "epoch":
                raise RuntimeError("no")

    clf = net().fit(*data)
    before = pickle.dumps(vars(clf))
    clf.set_callbacks(FailingAtLast())
    with pytest.raises(RuntimeError, match="no"):
        clf.fit(data[0], 1 - data[1])
    for name in ("_skl_callbacks", "_callbacks"):
        vars(clf).pop(name, None)
    assert pickle.dumps(vars(clf)) == before


@pytest.fixture
def interrupt_batch(monkeypatch):
    """Let Ctrl-C come in the batch of a number, from 0 on, so many times."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(interrupts, "_latest", -np.inf)
    step, count = Updater.step, iter(range(10**6))

    def interrupt(number, times=1):
        def interrupted(self, *arguments):
            if next(count) == number:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
            return step(self, *arguments)

        monkeypatch.setattr(Updater, "step", interrupted)

    yield interrupt
    signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
@pytest.mark.parametrize("number", [1, 4, 10])
def test_ctrl_c_warns_and_leaves_what_was_learned(kind, number, data, interrupt_batch):
    interrupt_batch(number)
    with pytest.warns(UserWarning, match="interrupted by the user"):
        estimator = net(kind).fit(*data)
    assert estimator.n_iter_ == max(1, (number + 1) // 4)  # 4 batches an epoch
    assert np.isfinite(estimator.predict(data[0])).all()
    pickle.loads(pickle.dumps(estimator)).predict(data[0])


def test_ctrl_c_between_epochs_leaves_the_weights_of_the_epoch(data, interrupt_batch):
    expected = net(max_iter=2).fit(*data)
    interrupt_batch(7)  # the last of the second epoch
    with pytest.warns(UserWarning, match="interrupted by the user"):
        assert same_weights(net().fit(*data), expected)


def test_ctrl_c_leaves_the_best_weights_with_early_stopping(data, interrupt_batch):
    X, y = data
    parameters = {"early_stopping": True, "max_iter": 4, "scoring": None}
    expected = net(**parameters).fit(X, y, X_val=X, y_val=y)
    interrupt_batch(4 * 4 - 2)
    with pytest.warns(UserWarning, match="interrupted by the user"):
        clf = net(**parameters).fit(X, y, X_val=X, y_val=y)
    assert clf.validation_scores_ == expected.validation_scores_[:3]
    assert clf.validation_scores_[clf.best_epoch_ - 1] == max(clf.validation_scores_)
    assert clf.score(X, y) == pytest.approx(max(clf.validation_scores_))


def test_ctrl_c_in_partial_fit(data, interrupt_batch):
    clf = net().partial_fit(*data, classes=[0, 1])
    interrupt_batch(2)
    with pytest.warns(UserWarning, match="interrupted by the user"):
        clf.partial_fit(*data)
    assert clf.n_iter_ == 2 and np.isfinite(clf.predict_proba(data[0])).all()


def test_ctrl_c_before_anything_is_learned_leaves_the_estimator_as_it_was(
    data, interrupt_batch, monkeypatch
):
    clf = net().fit(*data)
    before, run = pickle.dumps(vars(clf)), Epoch.run
    monkeypatch.setattr(
        Epoch, "run", lambda *given: signal.raise_signal(signal.SIGINT) or run(*given)
    )
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*data)
    assert pickle.dumps(vars(clf)) == before


@pytest.mark.parametrize("number", [0, 5])
def test_ctrl_c_twice_leaves_the_estimator_as_it_was(number, data, interrupt_batch):
    clf = net().fit(*data)
    before = pickle.dumps(vars(clf))
    interrupt_batch(number, times=2)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*data)
    assert pickle.dumps(vars(clf)) == before


def test_a_fit_cut_in_two_by_pickling_gives_the_bits_of_one(data):
    for parameters in ({}, {"dropout": 0.3, "initial_state": "normal", "solver": "adamw"}):
        whole = net(max_iter=6, n_iter_no_change=100, **parameters).fit(*data)
        half = net(max_iter=3, n_iter_no_change=100, warm_start=True, **parameters).fit(*data)
        half = pickle.loads(pickle.dumps(half)).fit(*data)
        assert same_weights(whole, half) and half.loss_curve_ == whole.loss_curve_


def test_no_warning_of_max_iter_where_the_user_stopped(data, interrupt_batch):
    interrupt_batch(4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net().fit(*data)
    assert len(caught) == 1
