"""The promises of the estimators, each a test."""

import copy
import pickle
import threading

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import shuffle
from sklearn.utils.class_weight import compute_class_weight
from threadpoolctl import ThreadpoolController

from skrnn import RNNClassifier, RNNRegressor, pad_sequences
from skrnn._nn.cells import CELLS
from skrnn.preprocessing import StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": (7, 5), "max_iter": 8, "random_state": 0, "batch_size": 16}


def make_ragged(n=60, seed=0, dtype=np.float64, binary=False):
    """Sequences whose class is the one of their first feature's level, and a real target."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(2 if binary else 3, size=n)
    X = [
        (rng.standard_normal((rng.integers(1, 25), 2)) + k).astype(dtype) for k in classes.tolist()
    ]
    return X, np.array(["ant", "bee", "cow"])[classes], classes + 0.1 * rng.standard_normal(n)


def fitted(kind, X=None, y=None, **params):
    X0, labels, real = make_ragged()
    X = X0 if X is None else X
    if kind == "classifier":
        return RNNClassifier(**{**SMALL, **params}).fit(X, labels if y is None else y)
    return RNNRegressor(**{**SMALL, **params}).fit(X, real if y is None else y)


def output(estimator, X):
    name = "decision_function" if isinstance(estimator, RNNClassifier) else "predict"
    return getattr(estimator, name)(X)


KINDS = pytest.mark.parametrize("kind", ["classifier", "regressor"])


@KINDS
@pytest.mark.parametrize("cell", CELLS)
def test_predictions_do_not_depend_on_order_company_or_padding(kind, cell):
    X, _, _ = make_ragged(n=80, seed=1)
    estimator = fitted(kind, cell=cell)
    together = output(estimator, X)
    np.testing.assert_allclose(output(estimator, X[::-1])[::-1], together, rtol=0, atol=1e-10)
    alone = np.concatenate([output(estimator, [x]) for x in X])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-10)
    padded = pad_sequences(X)
    np.testing.assert_allclose(output(estimator, padded), together, rtol=0, atol=1e-10)
    left = np.roll(padded, 3, axis=1)  # absent steps in front and in the middle
    rolled = [np.concatenate([s[~np.isnan(s[:, 0])]]) for s in left]
    np.testing.assert_allclose(output(estimator, left), output(estimator, rolled), atol=1e-10)


@KINDS
@pytest.mark.parametrize("cell", CELLS)
def test_padding_at_fit_changes_nothing(kind, cell):
    X, _, _ = make_ragged()
    ragged, padded = fitted(kind, cell=cell), fitted(kind, pad_sequences(X), cell=cell)
    np.testing.assert_array_equal(output(padded, X), output(ragged, X))


@KINDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_has_the_dtype_of_the_data(kind, dtype):
    X, _, _ = make_ragged(dtype=dtype)
    estimator = fitted(kind, X)
    assert all(weight.dtype == dtype for weight in estimator.weights_.values())
    assert output(estimator, X).dtype == dtype
    if kind == "classifier":
        assert estimator.predict_proba(X).dtype == dtype


@KINDS
@pytest.mark.parametrize("batch_size", [1, 7, 16, 1000])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_weights_are_repetitions_to_the_bit(kind, batch_size, early_stopping):
    X, labels, real = make_ragged()
    y = labels if kind == "classifier" else real
    counts = np.random.default_rng(2).integers(4, size=len(X))
    params = {"batch_size": batch_size, "early_stopping": early_stopping, "max_iter": 4}
    if early_stopping:
        params["validation_fraction"] = 0.3
    weighted = clone(fitted(kind)).set_params(**params)
    repeated = clone(weighted)
    weighted.fit(*shuffle(X, y, counts, random_state=3))
    rows = np.repeat(np.arange(len(X)), counts)
    repeated.fit([X[i] for i in rows], y[rows])
    np.testing.assert_array_equal(output(weighted, X), output(repeated, X))


@KINDS
def test_order_of_the_rows_does_not_matter_to_fit(kind):
    X, labels, real = make_ragged()
    y = labels if kind == "classifier" else real
    expected = output(fitted(kind, X, y), X)
    for seed in range(3):
        np.testing.assert_array_equal(
            output(fitted(kind, *shuffle(X, y, random_state=seed)), X), expected
        )


def test_without_shuffle_weights_are_repetitions_to_rounding():
    X, _, real = make_ragged()
    params = {**SMALL, "shuffle": False, "batch_size": 1000, "max_iter": 3}
    twice = RNNRegressor(**params).fit(X + X, np.concatenate([real, real]))
    weighted = RNNRegressor(**params).fit(X, real, sample_weight=np.full(len(X), 2.0))
    np.testing.assert_allclose(twice.predict(X), weighted.predict(X), rtol=1e-9)


@KINDS
@pytest.mark.parametrize("cell", CELLS)
def test_same_seed_same_bits(kind, cell):
    X, _, _ = make_ragged()
    first, second = fitted(kind, cell=cell), fitted(kind, cell=cell)
    np.testing.assert_array_equal(output(first, X), output(second, X))
    other = fitted(kind, cell=cell, random_state=1)
    assert not np.array_equal(output(first, X), output(other, X))


@pytest.mark.parametrize("a, b", [(2.0, 0.0), (1e-6, 3.0), (1e9, -1e10), (3.7, 0.1)])
@pytest.mark.parametrize("outputs", [1, 2])
def test_predictions_follow_any_affine_change_of_the_target(a, b, outputs):
    X, _, real = make_ragged()
    y = real if outputs == 1 else np.column_stack([real, real**2])
    p, q = fitted("regressor", X, y).predict(X), fitted("regressor", X, a * y + b).predict(X)
    np.testing.assert_allclose(q, a * p + b, rtol=1e-6, atol=1e-6 * a)


def test_each_output_has_its_own_scale():
    X, _, real = make_ragged()
    Y, a, b = np.column_stack([real, real**2, np.ones(len(X))]), [1e-6, 1e6, 3.0], [5.0, 0.0, -1.0]
    p, q = fitted("regressor", X, Y).predict(X), fitted("regressor", X, Y * a + b).predict(X)
    np.testing.assert_allclose((q - b)[:, :2] / a[:2], p[:, :2], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        q[:, 2] - 2, p[:, 2] - 1, rtol=1e-6, atol=1e-8
    )  # the scale of a constant is 1


@KINDS
def test_pickled_copied_and_cloned(kind):
    X, _, _ = make_ragged()
    estimator = fitted(kind)
    expected = output(estimator, X)
    for twin in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        np.testing.assert_array_equal(output(twin, X), expected)
    with pytest.raises(NotFittedError):
        clone(estimator).predict(X)


@KINDS
def test_nothing_fitted_holds_a_view_or_a_function(kind):
    for name, value in vars(fitted(kind)).items():
        assert not callable(value), name
        assert not isinstance(value, np.ndarray) or value.base is None, name


@KINDS
def test_eight_threads_predict_the_bits_of_one(kind):
    X, _, _ = make_ragged(n=200, seed=4)
    estimator = fitted(kind)
    expected, results = output(estimator, X), [None] * 8
    before = [pool["num_threads"] for pool in ThreadpoolController().info()]

    def predict(i):
        results[i] = output(estimator, X)

    threads = [threading.Thread(target=predict, args=(i,), daemon=True) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)
    assert [pool["num_threads"] for pool in ThreadpoolController().info()] == before


@KINDS
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_fit_cut_in_two_by_pickling_gives_the_bits_of_one(kind, solver):
    X, labels, real = make_ragged()
    y = labels if kind == "classifier" else real
    whole = fitted(kind, solver=solver, max_iter=6)
    half = fitted(kind, solver=solver, max_iter=3, warm_start=True)
    half = pickle.loads(pickle.dumps(half)).fit(X, y)
    np.testing.assert_array_equal(output(half, X), output(whole, X))
    assert half.loss_curve_ == whole.loss_curve_ and half.n_iter_ == 6


@KINDS
def test_partial_fit_goes_on_where_it_stopped(kind):
    X, labels, real = make_ragged()
    y = labels if kind == "classifier" else real
    once = {"classes": np.unique(labels)} if kind == "classifier" else {}
    estimator = clone(fitted(kind)).partial_fit(X, y, **once)
    for _ in range(7):
        estimator.partial_fit(X, y)
    np.testing.assert_array_equal(output(estimator, X), output(fitted(kind), X))


def test_partial_fit_takes_classes_that_come_later():
    X, labels, _ = make_ragged()
    clf = RNNClassifier(**SMALL)
    first = labels != "cow"
    clf.partial_fit(
        [x for x, keep in zip(X, first, strict=True) if keep], labels[first], ["ant", "bee", "cow"]
    )
    assert clf.predict_proba(X).shape == (len(X), 3)
    clf.partial_fit(X, labels)


@KINDS
def test_warm_start_refuses_another_architecture(kind):
    estimator = fitted(kind, warm_start=True)
    X, labels, real = make_ragged()
    with pytest.raises(ValueError, match="warm_start"):
        estimator.set_params(cell="lstm").fit(X, labels if kind == "classifier" else real)


def test_early_stopping_keeps_the_best_epoch():
    X, labels, _ = make_ragged(n=120)
    params = {"early_stopping": True, "validation_fraction": 0.25, "max_iter": 30, "tol": 0}
    clf = fitted("classifier", X, labels, **params)
    assert len(clf.validation_scores_) == clf.n_iter_
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    best = clf.n_iter_ - np.argmax(clf.validation_scores_[::-1])
    again = fitted("classifier", X, labels, **{**params, "max_iter": int(best)})
    np.testing.assert_array_equal(output(again, X), output(clf, X))


def test_early_stopping_takes_every_class_into_the_validation_part():
    X, labels, _ = make_ragged(n=100)
    clf = RNNClassifier(**SMALL, early_stopping=True, validation_fraction=0.2)
    seen = []
    clf._score_raw = lambda targets, raw, weight: seen.append(np.bincount(targets[:, 0])) or 0.0
    clf.fit(X, labels)
    _, counts = np.unique(labels, return_counts=True)
    np.testing.assert_allclose(seen[0], 0.2 * counts, atol=1)


@KINDS
@pytest.mark.parametrize("cell", CELLS)
def test_truncation_behind_the_end_changes_nothing(kind, cell):
    X, _, _ = make_ragged()
    full, truncated = fitted(kind, cell=cell), fitted(kind, cell=cell, bptt_steps=24)
    np.testing.assert_array_equal(output(truncated, X), output(full, X))
    assert not np.array_equal(output(fitted(kind, cell=cell, bptt_steps=5), X), output(full, X))


@KINDS
def test_little_working_memory_changes_only_rounding(kind):
    X, _, _ = make_ragged()
    expected = output(fitted(kind, max_iter=2), X)
    with config_context(working_memory=0):
        np.testing.assert_allclose(output(fitted(kind, max_iter=2), X), expected, rtol=1e-9)


def test_class_weights_are_weights_of_the_sequences():
    X, labels, _ = make_ragged()
    factors = {"ant": 1.0, "bee": 3.0, "cow": 0.5}
    by_class = fitted("classifier", class_weight=factors)
    by_row = RNNClassifier(**SMALL).fit(X, labels, [factors[label] for label in labels])
    np.testing.assert_allclose(output(by_class, X), output(by_row, X), rtol=1e-7, atol=1e-9)


def test_balanced_classes_weigh_the_same():
    X, labels, _ = make_ragged()
    kept = np.concatenate([np.flatnonzero(labels == "ant")[:3], np.flatnonzero(labels == "bee")])
    X, labels = [X[i] for i in kept], labels[kept]
    classes, counts = np.unique(labels, return_counts=True)
    factors = dict(zip(classes, len(labels) / (2 * counts), strict=True))
    balanced = fitted("classifier", X, labels, class_weight="balanced")
    np.testing.assert_allclose(
        output(balanced, X), output(fitted("classifier", X, labels, class_weight=factors), X)
    )


def make_multilabel():
    X, labels, _ = make_ragged()
    return X, np.column_stack([labels == "ant", labels != "cow"]).astype(int)


@pytest.mark.parametrize("class_weight", [{0: 0.5, 1: 3.0}, [{0: 0.5, 1: 3.0}] * 2])
def test_class_weights_of_equal_labels_are_weights_of_the_sequences(class_weight):
    X, Y = make_multilabel()
    Y = Y[:, [0, 0]]
    by_class = fitted("classifier", X, Y, class_weight=class_weight)
    by_row = RNNClassifier(**SMALL).fit(X, Y, np.where(Y[:, 0], 3.0, 0.5))
    np.testing.assert_allclose(output(by_class, X), output(by_row, X), rtol=1e-7, atol=1e-9)


def test_every_label_has_class_weights_of_its_own():
    X, Y = make_multilabel()
    sample_weight = np.random.default_rng(5).integers(1, 4, size=len(X))
    params = {"learning_rate_init": 1e-12, "alpha": 0, "batch_size": len(X), "max_iter": 1}
    clf = RNNClassifier(**{**SMALL, **params}, class_weight=[{0: 1.0, 1: 3.0}, {0: 2.0}])
    clf.fit(X, Y, sample_weight)
    weight = np.where(Y, [3.0, 1.0], [1.0, 2.0]) * sample_weight[:, None]
    weight /= weight.mean()
    ones = (weight * Y).sum(axis=0)
    prior = (ones + 0.5) / (weight.sum(axis=0) - ones + 0.5)
    np.testing.assert_allclose(clf.weights_["b_o"], np.log(prior))
    losses = [
        log_loss(y, p, sample_weight=w) * w.sum()
        for y, p, w in zip(Y.T, clf.predict_proba(X).T, weight.T, strict=True)
    ]
    assert clf.loss_ == pytest.approx(sum(losses) / len(X))


def test_balanced_labels_weigh_the_same_each_by_itself():
    X, Y = make_multilabel()
    factors = [
        dict(enumerate(compute_class_weight("balanced", classes=np.arange(2), y=y))) for y in Y.T
    ]
    balanced = fitted("classifier", X, Y, class_weight="balanced")
    np.testing.assert_allclose(
        output(balanced, X), output(fitted("classifier", X, Y, class_weight=factors), X)
    )


def test_weights_of_labels_are_those_of_the_whole_in_parts(monkeypatch):
    X, Y = make_multilabel()
    params = {"class_weight": [{1: 3.0}, {0: 2.0}], "max_iter": 2}
    expected = output(fitted("classifier", X, Y, **params), X)
    monkeypatch.setattr("skrnn._parallel.shards.PRODUCTS_OF_PART", 1)
    monkeypatch.setattr("skrnn._parallel.shards.COLUMNS_OF_PART", 16)
    np.testing.assert_allclose(
        output(fitted("classifier", X, Y, **params), X), expected, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("multilabel", [False, True])
def test_class_weights_count_in_every_partial_fit(multilabel):
    X, Y = make_multilabel()
    y = Y if multilabel else Y[:, 0]
    whole = fitted("classifier", X, y, class_weight={1: 3.0})
    clf = clone(whole)
    for _ in range(whole.n_iter_):
        clf.partial_fit(X, y)
    np.testing.assert_array_equal(output(clf, X), output(whole, X))
    assert not np.array_equal(output(fitted("classifier", X, y), X), output(whole, X))


def test_probabilities_agree_with_decisions():
    X, labels, _ = make_ragged()
    for y in (labels, labels == "ant"):
        clf = fitted("classifier", X, y)
        p, raw = clf.predict_proba(X), clf.decision_function(X)
        np.testing.assert_allclose(p.sum(axis=1), 1)
        np.testing.assert_allclose(clf.predict_log_proba(X), np.log(p))
        np.testing.assert_array_equal(clf.classes_[p.argmax(axis=1)], clf.predict(X))
        if raw.ndim == 1:
            np.testing.assert_array_equal(raw > 0, clf.predict(X) == clf.classes_[1])
        assert clf.score(X, y) == accuracy_score(y, clf.predict(X))


def test_multilabel_probabilities_are_independent():
    X, Y = make_multilabel()
    clf = fitted("classifier", X, Y)
    p = clf.predict_proba(X)
    assert p.shape == Y.shape and not np.allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(X), (p > 0.5).astype(int))
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(p))


def test_history_is_told():
    clf = fitted("classifier")
    assert clf.n_iter_ == len(clf.loss_curve_) == len(clf.grad_norm_curve_) == 8
    assert clf.loss_ == clf.loss_curve_[-1] and clf.best_loss_ == min(clf.loss_curve_)
    assert clf.validation_scores_ is None


def test_verbose_prints_a_line_an_epoch(capsys):
    fitted("classifier", verbose=True, max_iter=3)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["Epoch 1", "Epoch 2", "Epoch 3"]


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_warns_at_max_iter_from_the_callers_line():
    with pytest.warns(ConvergenceWarning, match="max_iter=8") as caught:
        fitted("classifier")
    assert caught[0].filename == __file__


def test_interrupted_fit_leaves_the_estimator_as_it_was(monkeypatch):
    X, labels, _ = make_ragged()
    clf = fitted("classifier")
    expected, state = output(clf, X), set(vars(clf))
    monkeypatch.setattr(RNNClassifier, "_remember", lambda *_: (_ for _ in ()).throw(KeyError))
    with pytest.raises(KeyError):
        clf.fit([x[:, :1] for x in X], labels)
    assert clf.n_features_in_ == 2 and set(vars(clf)) == state
    np.testing.assert_array_equal(output(clf, X), expected)


@pytest.fixture(scope="module")
def pipeline():
    return make_pipeline(
        StepTransformer(StandardScaler()),
        RNNClassifier(hidden_layer_sizes=8, max_iter=5, random_state=0),
    )


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
    X, labels, _ = make_ragged(binary=True)
    meta = wrap(pipeline).fit(X, labels)
    assert meta.predict(X).shape == (len(X),)
    assert meta.predict_proba(X).shape == (len(X), 2)
