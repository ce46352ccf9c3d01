"""Metrics over the steps of all sequences, as scorers: held against the steps by hand."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    hamming_loss,
    log_loss,
    max_error,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _factories import (
    classifier,
    holed,
    make_step_data,
    regressor,
    replaced,
    step_classifier,
    step_regressor,
)
from skrnn import as_sequences, pad_sequences
from skrnn.metrics import step_scorer
from skrnn.preprocessing import StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LENGTHS = (3, 5, 4, 2, 5, 7, 3, 6, 4, 5, 6, 2)
X, CODES, LABELS, REAL = make_step_data(LENGTHS)
TWO = [np.where(x[:, 0] > 0, "up", "down") for x in X]
WIDE = [np.column_stack([y, y**2]) for y in REAL]
SEVERAL = [np.column_stack([x[:, 0] > 0, x[:, 1] > 0]).astype(int) for x in X]
WEIGHTS = [np.arange(1.0, len(x) + 1) for x in X]
MACRO = step_scorer(f1_score, average="macro")


def flat(parts):
    return np.concatenate(list(parts))


def fitted(make, y, **parameters):
    return make(**{"max_iter": 8, "tol": 0} | parameters).fit(X, y)


# what a metric is given -----------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHTS, np.arange(1.0, len(X) + 1)])
def test_a_metric_of_labels_is_over_the_steps(weight):
    clf = fitted(step_classifier, LABELS)
    steps = None
    if weight is not None:
        steps = np.concatenate([np.broadcast_to(w, len(x)) for w, x in zip(weight, X, strict=True)])
    expected = f1_score(flat(LABELS), flat(clf.predict(X)), average="macro", sample_weight=steps)
    assert MACRO(clf, X, LABELS, sample_weight=weight) == expected
    assert step_scorer(accuracy_score)(clf, X, LABELS, weight) == clf.score(X, LABELS, weight)


def test_a_metric_of_numbers_is_over_the_steps():
    reg = fitted(step_regressor, REAL)
    loss = step_scorer(mean_absolute_error, greater_is_better=False)
    assert loss(reg, X, REAL) == -mean_absolute_error(flat(REAL), flat(reg.predict(X)))
    assert step_scorer(r2_score)(reg, X, REAL, WEIGHTS) == reg.score(X, REAL, WEIGHTS)
    wide = fitted(step_regressor, WIDE)
    assert step_scorer(r2_score)(wide, X, WIDE) == wide.score(X, WIDE)
    bands = fitted(step_regressor, REAL, loss="quantile", quantile=(0.9, 0.1, 0.5))
    assert step_scorer(r2_score)(bands, X, REAL) == bands.score(X, REAL)


def test_a_metric_that_takes_no_weights_is_given_none():
    reg = fitted(step_regressor, REAL)
    assert step_scorer(max_error)(reg, X, REAL) == max_error(flat(REAL), flat(reg.predict(X)))


def test_probabilities_of_many_classes():
    clf = fitted(step_classifier, LABELS)
    p = flat(clf.predict_proba(X))
    scorer = step_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    assert scorer(clf, X, LABELS) == -log_loss(flat(LABELS), p)
    auc = step_scorer(roc_auc_score, response_method="predict_proba", multi_class="ovr")
    assert auc(clf, X, LABELS) == roc_auc_score(flat(LABELS), p, multi_class="ovr")


@pytest.mark.parametrize("pos_label", ["down", "up"])
def test_probabilities_and_decisions_of_two_classes_are_those_of_the_positive_one(pos_label):
    clf = fitted(step_classifier, TWO)
    y, k = flat(TWO), ["down", "up"].index(pos_label)
    p, decision = flat(clf.predict_proba(X))[:, k], flat(clf.decision_function(X)) * (2 * k - 1)
    for method, response in (("predict_proba", p), ("decision_function", decision)):
        scorer = step_scorer(average_precision_score, response_method=method, pos_label=pos_label)
        expected = average_precision_score(y, response, pos_label=pos_label)
        assert scorer(clf, X, TWO) == expected
    brier = step_scorer(brier_score_loss, response_method="predict_proba", pos_label=pos_label)
    assert brier(clf, X, TWO) == brier_score_loss(y, p, pos_label=pos_label)


def test_the_second_class_is_the_positive_one_unless_the_metric_says_otherwise():
    clf = fitted(step_classifier, TWO)
    decision = flat(clf.decision_function(X))
    for methods in ("decision_function", ["decision_function", "predict_proba"]):
        auc = step_scorer(roc_auc_score, response_method=methods)
        assert auc(clf, X, TWO) == roc_auc_score(flat(TWO) == "up", decision)
    with pytest.raises(ValueError, match=r"pos_label=1 is none of the classes \['down', 'up'\]"):
        step_scorer(average_precision_score, response_method="predict_proba")(clf, X, TWO)


def test_several_labels():
    clf = fitted(step_classifier, SEVERAL)
    y, p = flat(SEVERAL), flat(clf.predict_proba(X))
    assert step_scorer(hamming_loss)(clf, X, SEVERAL) == hamming_loss(y, p > 0.5)
    auc = step_scorer(roc_auc_score, response_method="predict_proba")
    assert auc(clf, X, SEVERAL) == roc_auc_score(y, p)


# what does not count --------------------------------------------------------------------------


def test_absent_steps_and_missing_targets_do_not_count():
    clf = fitted(step_classifier, LABELS)
    expected = MACRO(clf, X, LABELS)
    assert MACRO(clf, holed(X), [np.insert(y, [0, len(y) // 2, len(y)], "?") for y in LABELS]) == (
        expected
    )
    longest = max(LENGTHS)
    rectangle = np.array([[*y.tolist(), *[None] * (longest - len(y))] for y in LABELS], object)
    assert MACRO(clf, pad_sequences(X), rectangle) == expected
    some = [np.where(np.arange(len(y)) % 2, None, y.astype(object)) for y in LABELS]
    known = flat(some) != None  # noqa: E711
    predicted = flat(clf.predict(X))[known]
    assert MACRO(clf, X, some) == f1_score(flat(LABELS)[known], predicted, average="macro")
    weight = [1.0 - np.arange(len(y)) % 2 for y in LABELS]
    kept = flat(weight) > 0
    assert MACRO(clf, X, LABELS, weight) == f1_score(
        flat(LABELS)[kept], flat(clf.predict(X))[kept], average="macro"
    )


def test_missing_outputs_do_not_count():
    holes = [np.column_stack([np.arange(len(y)) % 2, np.arange(len(y)) % 2 == 0]) for y in WIDE]
    some = [np.where(h, np.nan, y) for h, y in zip(holes, WIDE, strict=True)]
    reg = fitted(step_regressor, WIDE)
    assert step_scorer(r2_score)(reg, X, some) == reg.score(X, some)
    assert step_scorer(mean_absolute_error)(reg, X, some) == pytest.approx(
        np.nanmean(np.abs(flat(some) - flat(reg.predict(X))), axis=0).mean()
    )
    labels = [y.astype(float) for y in SEVERAL]
    labels = replaced(labels, np.where(np.arange(LENGTHS[2]) == 1, np.nan, labels[2].T).T)
    labels[0][0, 1] = np.nan
    clf = fitted(step_classifier, SEVERAL)
    known = ~np.isnan(flat(labels)).any(axis=1)
    assert step_scorer(hamming_loss)(clf, X, labels) == hamming_loss(
        flat(SEVERAL)[known], flat(clf.predict(X))[known]
    )


# the tools of scikit-learn --------------------------------------------------------------------


def by_hand(estimator, X, y, cv):
    scores = []
    for train, test in cv.split(X):
        fold = clone(estimator).fit(X[train], y[train])
        predicted = flat(fold.predict(X[test]))
        scores.append(f1_score(flat(y[test]), predicted, average="macro"))
    return scores


@pytest.mark.parametrize("kind", ["ragged", "rectangle"])
def test_searches_and_cross_validation(kind):
    data, _, labels, _ = make_step_data(LENGTHS if kind == "ragged" else [4] * 12)
    data, y = (
        (as_sequences(data), as_sequences(labels))
        if kind == "ragged"
        else map(np.stack, (data, labels))
    )
    cv, clf = KFold(3), step_classifier()
    expected = by_hand(clf, data, y, cv)
    assert cross_val_score(clf, data, y, scoring=MACRO, cv=cv).tolist() == expected
    scores = cross_validate(
        clf, data, y, cv=cv, scoring={"f1": MACRO, "accuracy": step_scorer(accuracy_score)}
    )
    assert scores["test_f1"].tolist() == expected
    np.testing.assert_array_equal(scores["test_accuracy"], cross_val_score(clf, data, y, cv=cv))
    search = GridSearchCV(clf, {"cell": ["rnn_tanh", "gru"]}, scoring=MACRO, cv=cv).fit(data, y)
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(np.mean(expected))
    assert search.score(data, y) == MACRO(search, data, y) == MACRO(search.best_estimator_, data, y)


def test_steps_that_are_absent_are_found_behind_a_pipeline():
    pipe = make_pipeline(StepTransformer(StandardScaler()), step_classifier())
    gap = [np.vstack([x, np.full((1, 2), np.nan)]) for x in X]
    labels = [np.append(y, "?") for y in LABELS]
    pipe.fit(gap, labels)
    predicted = flat(part[:-1] for part in pipe.predict(gap))
    assert MACRO(pipe, gap, labels) == f1_score(flat(LABELS), predicted, average="macro")
    alone = make_pipeline(step_classifier()).fit(X, LABELS)
    assert MACRO(alone, X, LABELS) == MACRO(alone[-1], X, LABELS)


def test_weights_are_routed():
    X_, y, cv = as_sequences(X), as_sequences(LABELS), KFold(3)
    weight = np.arange(1.0, len(X) + 1)
    with config_context(enable_metadata_routing=True):
        scorer = step_scorer(f1_score, average="macro").set_score_request(sample_weight=True)
        clf = step_classifier().set_fit_request(sample_weight=True)
        scores = cross_validate(
            clf, X_, y, cv=cv, scoring={"f1": scorer}, params={"sample_weight": weight}
        )["test_f1"]
        with pytest.raises(ValueError, match="sample_weight"):
            cross_val_score(clf, X_, y, scoring=MACRO, cv=cv, params={"sample_weight": weight})
    for score, (train, test) in zip(scores, cv.split(X_), strict=True):
        fold = step_classifier().fit(X_[train], y[train], weight[train])
        assert score == MACRO(fold, X_[test], y[test], weight[test])


def test_scorers_are_copied_pickled_and_shown():
    clf = fitted(step_classifier, LABELS)
    search = clone(GridSearchCV(clf, {}, scoring=MACRO))
    assert search.scoring(clf, X, LABELS) == MACRO(clf, X, LABELS)
    assert pickle.loads(pickle.dumps(MACRO))(clf, X, LABELS) == MACRO(clf, X, LABELS)
    assert repr(MACRO) == "step_scorer(f1_score, average='macro')"
    loss = step_scorer(log_loss, response_method="predict_proba", greater_is_better=False)
    assert repr(loss) == (
        "step_scorer(log_loss, response_method='predict_proba', greater_is_better=False)"
    )


# what is refused ------------------------------------------------------------------------------


def test_what_is_no_metric_is_refused():
    with pytest.raises(TypeError, match=r"metric must be a function.*'accuracy'"):
        step_scorer("accuracy")
    with pytest.raises(ValueError, match=r"response_method='transform'"):
        step_scorer(log_loss, response_method="transform")
    with pytest.raises(AttributeError, match=r"RNNRegressor has none of .*predict_proba"):
        step_scorer(log_loss, response_method="predict_proba")(
            fitted(step_regressor, REAL), X, REAL
        )


@pytest.mark.parametrize("make", [classifier, regressor])
def test_estimators_without_outputs_per_step_are_refused(make):
    y = np.arange(len(X)) % 2
    with pytest.raises(ValueError, match=r'readout="step".*readout=\'last\'.*make_scorer'):
        MACRO(make().fit(X, y), X, y)
    with pytest.raises(TypeError, match=r"nets of skrnn.*LogisticRegression"):
        MACRO(LogisticRegression().fit(np.eye(2), [0, 1]), np.eye(2), [0, 1])
