"""Shards of a batch: by shapes alone, and to the same bits however many threads there are."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skrnn import RNNClassifier, RNNRegressor
from skrnn._nn.cells import CELLS
from skrnn._parallel.threads import in_threads

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
T = 6


def shard_everything(monkeypatch):
    """Batches of any size are worth shards."""
    monkeypatch.setattr("skrnn._parallel.shards.PRODUCTS_PER_SHARD", 1)
    monkeypatch.setattr("skrnn._parallel.shards.COLUMNS_OF_SHARD", 16)


def count_calls(monkeypatch):
    """List of (shards, threads), of all calls from now on, whether to learn or to predict."""
    calls = []

    def counted(functions, n_threads):
        calls.append((len(functions), n_threads))
        return in_threads(functions, n_threads)

    for module in ("_parallel.shards", "_nn.streaming"):
        monkeypatch.setattr(f"skrnn.{module}.in_threads", counted)
    return calls


@pytest.fixture
def in_shards(monkeypatch):
    """Batches of any size are worth shards; calls are counted with how many these were."""
    shard_everything(monkeypatch)
    return count_calls(monkeypatch)


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


PARAMS = [
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
    {"batch_size": 64, "shuffle": False},
]


def problem(kind, params):
    X, y = make_data(kind, readout=params.get("readout"))
    if "categorical_features" in params:
        X[:, :, 1] = X[:, :, 1].round().clip(-2, 2) + 2
    return make(kind, **({"batch_size": 40} | params)), X, y


@pytest.mark.parametrize("params", PARAMS, ids=str)
@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
def test_no_number_of_threads_changes_a_bit(kind, params, in_shards):
    estimator, X, y = problem(kind, params)
    fits, outputs = [], []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, user_api="blas"):
            fits.append(type(estimator)(**estimator.get_params()).fit(X, y))
            outputs.append(fits[-1].predict(X))
        assert in_shards[-1] == (4, n_threads)
    for fit, output in zip(fits[1:], outputs[1:], strict=True):
        assert_equal_fits(fit, fits[0])
        np.testing.assert_array_equal(output, outputs[0])


@pytest.mark.parametrize("params", PARAMS, ids=str)
@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
def test_gradients_of_shards_add_up_to_that_of_the_whole(kind, params, monkeypatch):
    estimator, X, y = problem(kind, params)
    X = X.astype(np.float64)
    whole = type(estimator)(**estimator.get_params()).fit(X, y)
    shard_everything(monkeypatch)
    sharded = estimator.fit(X, y)
    np.testing.assert_allclose(sharded.loss_curve_, whole.loss_curve_, rtol=1e-7)


def test_a_fit_goes_on_where_no_thread_starts(in_shards, monkeypatch):
    X, y = make_data()
    expected = make(batch_size=64).fit(X, y)

    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", fail)
    with threadpool_limits(2, user_api="blas"):
        assert_equal_fits(make(batch_size=64).fit(X, y), expected)


def test_shards_are_of_like_lengths_and_of_enough_columns(in_shards):
    X, y = make_data()
    X = [x[: 1 + i % T] for i, x in enumerate(X)]
    make(batch_size=31, max_iter=1).fit(X, y)
    assert not in_shards  # two shards of 16 need 32 columns
    make(batch_size=32, max_iter=1).fit(X, y)
    assert {n for n, _ in in_shards} == {2}


def test_small_steps_are_not_worth_shards(monkeypatch):
    calls = count_calls(monkeypatch)
    X, y = make_data(n=256)
    make(batch_size=128, hidden_layer_sizes=300, max_iter=1).fit(X[:128], y[:128])
    make(batch_size=256, hidden_layer_sizes=16, max_iter=1).fit(X, y)
    assert not calls
    make(batch_size=256, hidden_layer_sizes=256, max_iter=1).fit(X, y)
    assert [n for n, _ in calls] == [2, 2]  # to learn, to look at outputs
