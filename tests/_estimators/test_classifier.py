"""The classifier: classes and their weights, probabilities, several labels, partial_fit."""

from decimal import Decimal

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss
from sklearn.utils.class_weight import compute_class_weight

from _factories import NAMES, assert_same_net, classifier, make_ragged, make_sequences
from skrnn._nn.cells import CELLS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, LABELS, _ = make_ragged()
MULTILABEL = np.column_stack([LABELS == "ant", LABELS != "cow"]).astype(int)


def unfitted(**parameters):
    return classifier(**{"max_iter": 8, "batch_size": 16} | parameters)


def fitted(X, y, sample_weight=None, **parameters):
    return unfitted(**parameters).fit(X, y, sample_weight)


def assert_same_logits(a, b, **close):
    np.testing.assert_allclose(a.decision_function(X), b.decision_function(X), **close)


# probabilities --------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [LABELS, LABELS == "ant"], ids=["three classes", "two classes"])
@pytest.mark.parametrize("cell", CELLS)
def test_probabilities_agree_with_decisions(cell, y):
    clf = fitted(X, y, cell=cell)
    p, raw = clf.predict_proba(X), clf.decision_function(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    log_p = clf.predict_log_proba(X)
    np.testing.assert_allclose(log_p.clip(np.log(p.min()), np.log(p.max())), np.log(p), atol=1e-15)
    np.testing.assert_array_equal(clf.classes_[p.argmax(axis=1)], clf.predict(X))
    if raw.ndim == 1:
        np.testing.assert_array_equal(raw > 0, clf.predict(X) == clf.classes_[1])
    assert clf.score(X, y) == accuracy_score(y, clf.predict(X))


def test_multilabel_probabilities_are_independent():
    clf = fitted(X, MULTILABEL)
    p = clf.predict_proba(X)
    assert p.shape == MULTILABEL.shape and not np.allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(X), (p > 0.5).astype(int))
    log_p = clf.predict_log_proba(X)
    np.testing.assert_allclose(log_p.clip(np.log(p.min()), np.log(p.max())), np.log(p), atol=1e-15)


# class weights --------------------------------------------------------------------------------


def test_class_weights_are_weights_of_the_sequences():
    factors = {"ant": 1.0, "bee": 3.0, "cow": 0.5}
    by_class = fitted(X, LABELS, class_weight=factors)
    by_row = fitted(X, LABELS, [factors[label] for label in LABELS])
    assert_same_logits(by_class, by_row, rtol=1e-7, atol=1e-9)


def test_balanced_classes_weigh_the_same():
    kept = np.concatenate([np.flatnonzero(LABELS == "ant")[:3], np.flatnonzero(LABELS == "bee")])
    items, labels = [X[i] for i in kept], LABELS[kept]
    classes, counts = np.unique(labels, return_counts=True)
    factors = dict(zip(classes, len(labels) / (2 * counts), strict=True))
    balanced = fitted(items, labels, class_weight="balanced")
    assert_same_logits(balanced, fitted(items, labels, class_weight=factors), rtol=1e-7)


@pytest.mark.parametrize("class_weight", [{0: 0.5, 1: 3.0}, [{0: 0.5, 1: 3.0}] * 2])
def test_class_weights_of_equal_labels_are_weights_of_the_sequences(class_weight):
    Y = MULTILABEL[:, [0, 0]]
    by_class = fitted(X, Y, class_weight=class_weight)
    by_row = fitted(X, Y, np.where(Y[:, 0], 3.0, 0.5))
    assert_same_logits(by_class, by_row, rtol=1e-7, atol=1e-9)


def test_every_label_has_class_weights_of_its_own():
    Y, sample_weight = MULTILABEL, np.random.default_rng(5).integers(1, 4, size=len(X))
    params = {"learning_rate_init": 1e-12, "alpha": 0, "batch_size": len(X), "max_iter": 1}
    clf = fitted(X, Y, sample_weight, **params, class_weight=[{0: 1.0, 1: 3.0}, {0: 2.0}])
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
    factors = [
        dict(enumerate(compute_class_weight("balanced", classes=np.arange(2), y=y)))
        for y in MULTILABEL.T
    ]
    balanced = fitted(X, MULTILABEL, class_weight="balanced")
    assert_same_logits(balanced, fitted(X, MULTILABEL, class_weight=factors), rtol=1e-7)


def test_weights_of_labels_are_those_of_the_whole_in_parts(monkeypatch):
    params = {"class_weight": [{1: 3.0}, {0: 2.0}], "max_iter": 2, "batch_size": 60}
    whole = fitted(X, MULTILABEL, **params)
    monkeypatch.setattr("skrnn._parallel.shards.PRODUCTS_PER_SHARD", 1)
    monkeypatch.setattr("skrnn._parallel.shards.COLUMNS_OF_SHARD", 16)
    assert_same_logits(fitted(X, MULTILABEL, **params), whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("y", [MULTILABEL[:, 0], MULTILABEL], ids=["classes", "multilabel"])
def test_class_weights_count_in_every_partial_fit(y):
    whole = fitted(X, y, class_weight={1: 3.0})
    clf = clone(whole)
    for _ in range(whole.n_iter_):
        clf.partial_fit(X, y, classes=None if y.ndim == 2 else [0, 1])
    assert_same_net(clf, whole)
    assert not np.array_equal(fitted(X, y).decision_function(X), whole.decision_function(X))


FEW = make_sequences((3, 2, 4, 2, 5, 3))
TWO = np.array([0, 1] * 3)
TWO_LABELS = np.column_stack([TWO, [1, 1, 0, 0, 1, 0]])


@pytest.mark.parametrize(
    ("y", "class_weight"),
    [
        (TWO, {0: -1.0, 1: 1.0}),
        (TWO, {0: np.nan}),
        (TWO, {0: 0.0, 1: 0.0}),
        (TWO, [{0: 1.0, 1: 2.0}]),
        (TWO_LABELS, [{0: 1.0, 1: 2.0}]),
        (TWO_LABELS, [{0: 1.0}] * 3),
        (TWO_LABELS, ["balanced", "balanced"]),
        (TWO_LABELS, {0: 1.0, 2: 2.0}),
        (TWO_LABELS, {0: -1.0, 1: 1.0}),
    ],
    ids=str,
)
def test_class_weights_that_are_no_weights_or_do_not_fit_the_labels_are_refused(y, class_weight):
    with pytest.raises(ValueError, match="class_weight"):
        classifier(class_weight=class_weight).fit(FEW, y)


NAMED = np.array(["a", "b"] * 3)
BAD_CLASS_WEIGHTS = {
    "no class": (
        NAMED,
        {"a": 1, "z": 2},
        r"class_weight.*\['z'\].*none of the classes: \['a', 'b'",
    ),
    "numbers for names": (NAMED, {0: 1, 1: 2}, r"class_weight.*\[0, 1\].*\['a', 'b'\]"),
    "None as a class": (NAMED, {None: 1}, r"class_weight.*\[None\].*\['a', 'b'\]"),
    "None as a weight": (NAMED, {"a": None}, r"class_weight.*must give a number"),
    "text as a weight": (NAMED, {"a": "x"}, r"class_weight.*must give a number"),
    "classes of one-hot": (TWO_LABELS, {"a": 1}, r"class_weight.*\['a'\].*0 and 1.*argmax"),
    "third class of one-hot": (TWO_LABELS, {0: 1, 1: 1, 2: 3}, r"class_weight.*\[2\].*argmax"),
}


@pytest.mark.parametrize(
    ("y", "class_weight", "words"), BAD_CLASS_WEIGHTS.values(), ids=BAD_CLASS_WEIGHTS
)
def test_class_weights_that_belong_to_no_class_are_named(y, class_weight, words):
    with pytest.raises(ValueError, match=words):
        classifier(class_weight=class_weight).fit(FEW, y)


def test_a_weight_of_a_class_that_is_not_there_is_warned_of_where_all_others_have_one():
    factors = {"a": 1.0, "b": 2.0}
    with pytest.warns(UserWarning, match=r"weights for \['z'\].*\['a', 'b'\]"):
        fitted = classifier(class_weight=factors | {"z": 3.0}).fit(FEW, NAMED)
    assert_same_net(fitted, classifier(class_weight=factors).fit(FEW, NAMED))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_one_hot_classes_are_learned_as_labels_with_a_hint(n_classes):
    y = np.arange(6) % n_classes
    with pytest.warns(UserWarning, match=r"independent.*y.argmax\(axis=-1\)"):
        assert classifier().fit(FEW, np.eye(n_classes)[y]).predict(FEW).shape == (6, n_classes)
    steps = [np.eye(n_classes)[np.arange(len(x)) % n_classes] for x in FEW]
    with pytest.warns(UserWarning, match=r"argmax\(axis=-1\)"):
        classifier(readout="step").fit(FEW, steps)
    classifier().fit(FEW, TWO_LABELS)  # without a hint


@pytest.mark.parametrize("y", [TWO, TWO_LABELS], ids=["classes", "multilabel"])
def test_balanced_classes_need_all_the_labels_at_once(y):
    with pytest.raises(ValueError, match=r'class_weight="balanced".*dict'):
        classifier(class_weight="balanced").partial_fit(FEW, y)


# classes of partial_fit -----------------------------------------------------------------------


def test_partial_fit_takes_classes_that_come_later():
    clf, first = unfitted(), np.flatnonzero(LABELS != "cow")
    clf.partial_fit([X[i] for i in first], LABELS[first], NAMES)
    assert clf.predict_proba(X).shape == (len(X), 3)
    clf.partial_fit(X, LABELS)


def test_the_first_partial_fit_must_be_given_two_classes():
    with pytest.raises(ValueError, match="at least 2 classes"):
        classifier().partial_fit(FEW, ["a"] * 6, classes=["a"])
    classifier().partial_fit(FEW, ["a"] * 6, classes=["a", "b"])


BAD_CLASSES = {
    "None": ([0, None], r"none missing.*classes=\[0, None\]"),
    "NaN": ([0, 1, np.nan], r"as classes all labels.*none missing"),
    "masked": (np.ma.array([0, 1, 2], mask=[0, 0, 1]), r"as classes all labels.*none missing"),
    "text beside numbers": ([0, "a"], r"classes mixes text"),
    "text beside None": (["a", None], r"as classes all labels.*none missing"),
    "two dimensions": ([[0, 1]], r"as classes all labels.*\(n_classes,\)"),
    "a string": ("ab", r"as classes all labels.*\(n_classes,\)"),
    "a number": (2, r"as classes all labels.*\(n_classes,\)"),
    "nothing": ([], r"first call, all labels.*classes=np\.unique\(y\)"),
    "ragged": ([[0], [0, 1]], r"classes is ragged"),
    "arrays": (np.array([np.ones(1), 1, 2], dtype=object), r"classes is ragged, or holds arrays"),
    "not sortable": ([Decimal("1.5"), "a"], r"classes mixes text"),
    "objects": ([len, int], r"classes holds values that cannot be compared"),
    "dates": (np.array(["2020", "2021"], "M8[Y]"), r"classes holds dates"),
}


@pytest.mark.parametrize(("classes", "words"), BAD_CLASSES.values(), ids=BAD_CLASSES)
def test_bad_classes_are_named(classes, words):
    started = classifier().partial_fit(FEW, TWO, [0, 1])
    for clf in (classifier(), started):
        with pytest.raises(ValueError, match=words):
            clf.partial_fit(FEW, TWO, classes=classes)


# labels that are new --------------------------------------------------------------------------

NEW = pytest.mark.parametrize("labels", [list("abcabc"), [0, 1] * 3], ids=["text", "numbers"])
STAY = r"not in classes_, \['a', 'b'\]: "


@NEW
def test_new_labels_of_a_warm_start_say_what_goes_on(labels):
    clf = classifier(warm_start=True).fit(FEW, NAMED)
    with pytest.raises(ValueError, match=STAY + ".*warm_start=True") as caught:
        clf.fit(FEW, labels)
    assert "partial_fit" not in str(caught.value)


@NEW
def test_new_labels_of_a_validation_set_say_where_they_are(labels):
    clf = classifier(early_stopping=True)
    with pytest.raises(ValueError, match="In X_val, y_val.*" + STAY) as caught:
        clf.fit(FEW, NAMED, X_val=FEW, y_val=labels)
    assert "partial_fit" not in str(caught.value) and "warm_start" not in str(caught.value)


@NEW
def test_new_labels_of_a_partial_fit_ask_for_all_classes(labels):
    clf = classifier().partial_fit(FEW, NAMED, ["a", "b"])
    with pytest.raises(ValueError, match=STAY + ".*partial_fit must be given all classes"):
        clf.partial_fit(FEW, labels)


@pytest.mark.parametrize("values", [(-1, 0), (1, 2), (0, 2)])
def test_labels_in_columns_are_zero_or_one(values):
    y = np.array(values)[np.arange(12).reshape(6, 2) * 3 // 4 % 2]
    with pytest.raises(ValueError, match=r"several columns.*has, 1, or has not, 0.*hold"):
        classifier().fit(FEW, y)
    assert classifier().fit(FEW, y == y.max()).n_outputs_ == 2


def test_labels_that_cannot_be_sorted_are_refused_by_name():
    with pytest.raises((TypeError, ValueError), match=r"y holds labels|y mixes"):
        classifier().fit(FEW, [b"a", "a"] * 3)


@pytest.mark.parametrize("y", [[1e300, 0.0] * 3, [1e19, 1.0] * 3])
def test_numbers_beyond_all_integers_are_no_classes_or_classes_without_a_warning(y):
    try:
        assert len(classifier().fit(FEW, y).classes_) == 2
    except ValueError as error:
        assert "Unknown label type" in str(error)


def test_scores_need_targets_of_the_kind_of_the_fit():
    y = np.array([0, 1] * 3)
    clf = classifier().fit(FEW, y)
    with pytest.raises(ValueError, match="y is not of the kind and width"):
        clf.score(FEW, np.column_stack([y, y]))
