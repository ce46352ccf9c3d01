"""Searches, cross-validation and meta-estimators, of ragged lists and of targets per step."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _factories import (
    ESTIMATORS,
    KINDS,
    LENGTHS,
    SMALL,
    assert_same_net,
    classifier,
    make_coded,
    make_ragged,
    make_step_data,
    make_targets,
    step_classifier,
    step_regressor,
)
from skrnn import as_sequences
from skrnn.preprocessing import StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# one target per sequence ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def pipeline():
    return make_pipeline(StepTransformer(StandardScaler()), classifier(max_iter=5, batch_size=32))


def test_grid_search_over_ragged_lists_in_two_processes(pipeline):
    X, labels, _ = make_ragged()
    grid = {
        "rnnclassifier__cell": ["rnn_tanh", "gru"],
        "steptransformer__transformer__with_mean": [True, False],
    }
    serial = GridSearchCV(pipeline, grid, cv=3).fit(X, labels)
    parallel = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, labels)
    for key in ("mean_test_score", "split0_test_score"):
        np.testing.assert_array_equal(parallel.cv_results_[key], serial.cv_results_[key])
    np.testing.assert_array_equal(parallel.predict_proba(X), serial.predict_proba(X))


def test_cross_val_predict_of_probabilities(pipeline):
    X, labels, _ = make_ragged()
    p = cross_val_predict(pipeline, X, labels, method="predict_proba", cv=3)
    assert p.shape == (len(X), 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_cross_validation_is_stratified(pipeline):
    X, labels, _ = make_ragged()
    order = np.argsort(labels)  # unstratified folds would each miss a class and score 0
    scores = cross_val_score(pipeline, [X[i] for i in order], labels[order], cv=3)
    assert scores.min() > 0.3


@pytest.mark.parametrize(
    "wrap",
    [
        lambda net: StackingClassifier([("net", net)], LogisticRegression(), cv=2),
        lambda net: CalibratedClassifierCV(net, cv=2),
        lambda net: TunedThresholdClassifierCV(net, cv=2),
    ],
    ids=["stacking", "calibrated", "threshold"],
)
def test_ragged_lists_go_through_meta_estimators(pipeline, wrap):
    X, labels, _ = make_ragged(n_classes=2)
    meta = wrap(pipeline).fit(X, labels)
    assert meta.predict(X).shape == (len(X),)
    assert meta.predict_proba(X).shape == (len(X), 2)


OPTIONS = {
    "all": {"bidirectional": True, "initial_state": "learned", "readout": "mean"},
    "all drawn": {"initial_state": "normal", "readout": "max", "bptt_steps": 2},
}


@KINDS
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_folds_in_two_processes_score_the_bits_of_one(options, kind):
    coded = make_coded(np.random.default_rng(0).integers(1, 8, size=24))
    drawn = {"dropout": 0.3, "categorical_features": [1], "embedding_dim": 2}
    estimator = ESTIMATORS[kind](**SMALL | drawn | options)
    y = make_targets(kind, list(map(len, coded)))
    one, two = (cross_val_score(estimator, coded, y, cv=2, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


# one target per step --------------------------------------------------------------------------

N, T = len(LENGTHS), 4
X, CODES, LABELS, REAL = make_step_data()
WIDE = [np.column_stack([y, y**2]) for y in REAL]
CUBE, CUBE_CODES, CUBE_LABELS, CUBE_REAL = map(np.stack, make_step_data([T] * N))
RAGGED_KINDS = pytest.mark.parametrize(
    ("make", "y"), [(step_classifier, LABELS), (step_regressor, REAL)]
)


SEARCHES = pytest.mark.parametrize(
    ("make", "X", "y"),
    [
        (step_classifier, X, as_sequences(LABELS)),
        (step_regressor, X, as_sequences(REAL)),
        (step_regressor, as_sequences(X), as_sequences(WIDE)),
        (step_classifier, X, LABELS),
        (step_classifier, CUBE, CUBE_LABELS),
        (step_regressor, CUBE, CUBE_REAL),
        (step_regressor, CUBE, CUBE),
        (step_classifier, CUBE, np.stack([CUBE_CODES > 0, CUBE_CODES > 1], axis=2).astype(int)),
    ],
    ids=["ragged", "real", "wide", "lists", "(n, T)", "real (n, T)", "(n, T, K)", "multilabel"],
)


@SEARCHES
def test_grid_search_scores_steps_without_a_scorer(make, X, y):
    pipeline = make_pipeline(StepTransformer(StandardScaler()), make())
    name = pipeline.steps[-1][0]
    search = GridSearchCV(pipeline, {f"{name}__hidden_layer_sizes": [2, 3]}, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(X, y) == search.best_estimator_.score(X, y)


@SEARCHES
def test_cross_validation_predicts_every_step_once(make, X, y):
    predicted = cross_val_predict(make(), X, y, cv=2)
    assert len(predicted) == N
    for p, one in zip(predicted, y, strict=True):
        assert p.shape == one.shape
    halves = np.arange(N // 2), np.arange(N // 2, N)
    expected = [
        make().fit([X[i] for i in train], [y[i] for i in train]).predict([X[i] for i in test])
        for test, train in (halves, halves[::-1])
    ]
    for p, one in zip(predicted, np.concatenate(expected), strict=True):
        np.testing.assert_array_equal(p, one)
    scores = cross_val_score(make(), X, y, cv=2)
    assert scores.shape == (2,) and np.isfinite(scores).all()


@RAGGED_KINDS
def test_searches_in_two_processes_give_the_bits_of_one(make, y):
    y, grid = as_sequences(y), {"cell": ["rnn_tanh", "lstm"]}
    one = GridSearchCV(make(), grid, cv=2).fit(X, y)
    two = GridSearchCV(make(), grid, cv=2, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    assert_same_net(one.best_estimator_, two.best_estimator_)
