"""Searches and predictions on dask: two worker processes, and what is left when one is killed."""

import os
import signal
from contextlib import contextmanager
from itertools import chain

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNClassifier, RNNRegressor, as_sequences
from skrnn.preprocessing import StepTransformer

pytestmark = pytest.mark.dask
N = 150
SETTINGS = {"hidden_layer_sizes": 8, "max_iter": 4, "tol": 100, "n_iter_no_change": 3}


def make_ragged():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=N)
    lengths = rng.integers(3, 12, size=N)
    steps = (rng.normal(label, size=(n, 2)) for label, n in zip(labels, lengths, strict=True))
    return as_sequences(list(steps)), labels


@contextmanager
def two_workers():
    """A client of two worker processes, where a copy of what is scattered stays on each."""
    import dask
    from distributed import Client, LocalCluster

    keep_copies = {"distributed.scheduler.active-memory-manager.start": False}
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        dask.config.set(keep_copies),
        LocalCluster(processes=True, **options) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


def make_search(cv=3, scoring=None):
    net = RNNClassifier(**SETTINGS, random_state=0)
    grid = {
        "rnnclassifier__cell": ["rnn_tanh", "gru"],
        "rnnclassifier__hidden_layer_sizes": [4, 8],
    }
    pipeline = make_pipeline(StepTransformer(StandardScaler()), net)
    return GridSearchCV(pipeline, grid, cv=cv, scoring=scoring)


def assert_same(search, expected):
    scores = [key for key in expected.cv_results_ if key.endswith("test_score")]
    assert len(scores) == 6  # three folds, their mean, deviation and rank
    for key in scores:
        np.testing.assert_array_equal(search.cv_results_[key], expected.cv_results_[key])
    assert search.best_params_ == expected.best_params_
    weights = search.best_estimator_[-1].weights_
    for name, expected_weights in expected.best_estimator_[-1].weights_.items():
        np.testing.assert_array_equal(weights[name], expected_weights)


@pytest.mark.parametrize("contain", [as_sequences, list])
def test_a_search_has_the_bits_of_the_serial_one(client, contain):
    X, y = make_ragged()
    with joblib.parallel_config("dask"):
        search = make_search().fit(contain(X), y)
    assert_same(search, make_search().fit(X, y))


def map_over_parts(client, predict, parts):
    return client.gather(client.map(predict, parts))


def map_over_a_bag(client, predict, parts):
    from dask import bag

    sequences = bag.from_sequence(chain(*parts), partition_size=len(parts[0]))
    rows = sequences.map_partitions(predict).compute()
    return np.split(np.array(rows), np.cumsum([len(part) for part in parts])[:-1])


@pytest.mark.parametrize("predict_parts", [map_over_parts, map_over_a_bag])
@pytest.mark.parametrize(
    "estimator, method",
    [(RNNClassifier, "predict"), (RNNClassifier, "predict_proba"), (RNNRegressor, "predict")],
)
def test_parts_are_predicted_as_the_whole_is(client, estimator, method, predict_parts):
    X, y = make_ragged()
    predict = getattr(estimator(**SETTINGS, random_state=0).fit(X, y), method)
    parts = [X[i : i + 40] for i in range(0, N, 40)]
    predicted = predict_parts(client, predict, parts)
    for values, part in zip(predicted, parts, strict=True):
        np.testing.assert_array_equal(values, predict(part))
    np.testing.assert_allclose(np.concatenate(predicted), predict(X), rtol=1e-12)


def fatal_scorer(mark):
    """Accuracy; but the first GRU scored takes its process with it, and leaves a mark."""

    def score(estimator, X, y):
        if estimator[-1].cell == "gru" and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return estimator.score(X, y)

    return score


def test_a_search_survives_the_loss_of_a_worker(tmp_path):
    X, y = make_ragged()
    folds, mark = list(StratifiedKFold(3).split(X, y)), tmp_path / "killed"
    with two_workers() as client:
        before = set(client.ncores())
        with joblib.parallel_config("dask", scatter=[X, y, *chain(*folds)]):
            search = make_search(folds, fatal_scorer(mark)).fit(X, y)
        assert mark.exists() and before - set(client.ncores())
    assert_same(search, make_search(folds).fit(X, y))
