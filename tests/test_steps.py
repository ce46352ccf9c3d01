"""One target a time step, `readout="step"`: containers, weights, absent steps, scikit-learn."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNClassifier, RNNRegressor, as_sequences, pad_sequences
from skrnn._nn.cells import CELLS
from skrnn.preprocessing import StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": 4, "max_iter": 3, "batch_size": 3, "random_state": 0}
RNG = np.random.default_rng(0)
LENGTHS = [3, 1, 4, 2, 5, 2, 1, 6]
N, T = len(LENGTHS), 4
X = [RNG.standard_normal((length, 2)) for length in LENGTHS]
CODES = [RNG.integers(3, size=length) for length in LENGTHS]
LABELS = [np.array(["ant", "bee", "cow"])[codes] for codes in CODES]
REAL = [x[:, 0] + RNG.standard_normal(len(x)) for x in X]
WIDE = [np.column_stack([y, y**2]) for y in REAL]
CUBE = RNG.standard_normal((N, T, 2))
CUBE_CODES = RNG.integers(3, size=(N, T))
CUBE_LABELS = np.array(["ant", "bee", "cow"])[CUBE_CODES]
CUBE_REAL = CUBE[..., 0] + RNG.standard_normal((N, T))


def clf(**parameters):
    return RNNClassifier(**(SMALL | {"readout": "step"} | parameters))


def reg(**parameters):
    return RNNRegressor(**(SMALL | {"readout": "step"} | parameters))


RAGGED_KINDS = pytest.mark.parametrize(("make", "y"), [(clf, LABELS), (reg, REAL)])
CUBE_KINDS = pytest.mark.parametrize(("make", "y"), [(clf, CUBE_LABELS), (reg, CUBE_REAL)])
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def outputs(estimator, X):
    return [getattr(estimator, name)(X) for name in METHODS if hasattr(estimator, name)]


def raw(estimator, X):
    """Outputs of all steps, one below the other."""
    method = estimator.decision_function if isinstance(estimator, RNNClassifier) else None
    return np.concatenate(list((method or estimator.predict)(X)))


def objects(items, shape=(-1,)):
    boxes = np.empty(len(items), dtype=object)
    boxes[:] = list(items)
    return boxes.reshape(shape)


def assert_same_net(a, b):
    assert a.weights_.keys() == b.weights_.keys()
    for name, weight in a.weights_.items():
        np.testing.assert_array_equal(weight, b.weights_[name])


def holed(items):
    """Steps that are absent before, between and after the real ones."""
    return [np.insert(x, [0, len(x) // 2, len(x)], np.nan, axis=0) for x in items]


def filled(items, value):
    """What belongs to these steps."""
    return [np.insert(y, [0, len(y) // 2, len(y)], value, axis=0) for y in items]


def padded(items, value):
    out = np.full((len(items), max(map(len, items)), *items[0].shape[1:]), value)
    for row, item in zip(out, items, strict=True):
        row[: len(item)] = item
    return out


# containers -----------------------------------------------------------------------------------

RAGGED_TARGETS = {
    "tuple": tuple,
    "object array": objects,
    "(n, 1) object array": lambda y: objects(y, (-1, 1)),
    "as_sequences": as_sequences,
    "nested lists": lambda y: [part.tolist() for part in y],
    "lists boxed": lambda y: objects([part.tolist() for part in y]),
    "as_sequences of lists": lambda y: as_sequences([part.tolist() for part in y]),
    "arrays of objects": lambda y: [part.astype(object) for part in y],
    "pandas Series": lambda y: pd.Series(list(y), index=list("hgfedcba")),
    "pandas column": lambda y: pd.DataFrame({"y": list(y)}),
    "polars Series of lists": lambda y: pl.Series([part.tolist() for part in y]),
    "list of pandas Series": lambda y: [
        pd.Series(part, index=range(9, 9 + len(part))) for part in y
    ],
    "list of polars Series": lambda y: [pl.Series(part) for part in y],
}
CUBE_TARGETS = RAGGED_TARGETS | {
    "Fortran": np.asfortranarray,
    "nested lists": lambda y: y.tolist(),
    "list of arrays": list,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "objects": lambda y: y.astype(object),
}


@RAGGED_KINDS
@pytest.mark.parametrize("build", RAGGED_TARGETS.values(), ids=RAGGED_TARGETS)
def test_the_container_of_ragged_targets_does_not_matter(build, make, y):
    expected, fitted = make().fit(X, y), make().fit(X, build(y))
    assert_same_net(fitted, expected)
    assert fitted.score(X, build(y)) == expected.score(X, y)


@CUBE_KINDS
@pytest.mark.parametrize("build", CUBE_TARGETS.values(), ids=CUBE_TARGETS)
def test_the_container_of_rectangular_targets_does_not_matter(build, make, y):
    expected, fitted = make().fit(CUBE, y), make().fit(CUBE, build(y))
    assert_same_net(fitted, expected)
    assert fitted.score(CUBE, build(y)) == expected.score(CUBE, y)


@CUBE_KINDS
def test_arrays_lists_and_tables_of_the_same_sequences_agree(make, y):
    expected = make().fit(CUBE, y)
    assert_same_net(make().fit(list(CUBE), list(y)), expected)
    table = make(features_per_step=2).fit(CUBE.reshape(N, -1), y)
    assert_same_net(table, expected)
    for a, b in zip(outputs(table, CUBE.reshape(N, -1)), outputs(expected, CUBE), strict=True):
        np.testing.assert_array_equal(a, b)


@CUBE_KINDS
def test_predictions_come_in_the_container_of_the_input(make, y):
    estimator = make().fit(CUBE, y)
    for rectangular in outputs(estimator, CUBE):
        assert rectangular.shape[:2] == (N, T)
    for given in (
        list(CUBE),
        as_sequences(CUBE),
        pd.Series(list(CUBE)),
        objects(list(CUBE), (-1, 1)),
    ):
        for boxes, whole in zip(outputs(estimator, given), outputs(estimator, CUBE), strict=True):
            assert boxes.shape == (N,) and boxes.dtype == object
            np.testing.assert_array_equal(np.stack(boxes), whole)


@pytest.mark.parametrize("T", [1, 3])
@pytest.mark.parametrize("n", [1, 2])
def test_few_sequences_of_equal_length_in_a_list_are_boxed(n, T):
    boxes = reg().fit(X, REAL).predict([np.ones((T, 2))] * n)
    assert boxes.shape == (n,) and [box.shape for box in boxes] == [(T,)] * n
    many = reg().fit(X, WIDE).predict([np.ones((T, 2))] * n)
    assert [box.shape for box in many] == [(T, 2)] * n


@RAGGED_KINDS
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("settings", [{}, {"bidirectional": True}, {"hidden_layer_sizes": (3, 2)}])
def test_ragged_predictions_are_those_of_each_alone(cell, settings, make, y):
    estimator = make(cell=cell, **settings).fit(X, y)
    together = raw(estimator, X)
    alone = np.concatenate([raw(estimator, [x]) for x in X])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        np.concatenate([raw(estimator, x[None]) for x in X]), together, rtol=0, atol=1e-10
    )


def test_many_sequences_are_put_back_in_their_order():
    estimator = reg().fit(X, REAL)
    rows = np.random.default_rng(1).integers(N, size=700)  # more than a block of columns
    expected = estimator.predict(X)
    for i, predicted in zip(rows, estimator.predict([X[i] for i in rows]), strict=True):
        np.testing.assert_allclose(predicted, expected[i], rtol=0, atol=1e-12)


@RAGGED_KINDS
def test_an_output_does_not_depend_on_later_steps(make, y):
    estimator = make().fit(X, y)
    whole = outputs(estimator, X[-1:])[-1][0]
    for t in range(1, len(X[-1]) + 1):
        prefix = outputs(estimator, [X[-1][:t]])[-1][0]
        np.testing.assert_allclose(prefix, whole[:t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("build", [list, lambda y: np.stack(y)])
def test_a_last_axis_of_one_stays(build):
    y = CUBE_REAL[:, :, None]
    estimator = reg().fit(CUBE, build(list(y)))
    assert estimator.predict(CUBE).shape == (N, T, 1)
    assert_same_net(estimator, reg().fit(CUBE, CUBE_REAL))
    assert estimator.score(CUBE, build(list(y))) == reg().fit(CUBE, CUBE_REAL).score(
        CUBE, CUBE_REAL
    )


def test_labels_come_back_as_they_were():
    estimator = clf().fit(X, LABELS)
    assert estimator.classes_.tolist() == ["ant", "bee", "cow"]
    for predicted, x in zip(estimator.predict(X), X, strict=True):
        assert predicted.dtype == estimator.classes_.dtype and predicted.shape == (len(x),)
    for p, logs, raws, predicted in zip(
        *(getattr(estimator, name)(X) for name in METHODS[1:]), estimator.predict(X), strict=True
    ):
        np.testing.assert_allclose(p.sum(axis=1), 1)
        np.testing.assert_allclose(np.exp(logs), p)
        np.testing.assert_array_equal(estimator.classes_[raws.argmax(axis=1)], predicted)


def test_two_classes_have_one_decision_a_step():
    estimator = clf().fit(X, [codes > 0 for codes in CODES])
    for raws, predicted, x in zip(
        estimator.decision_function(X), estimator.predict(X), X, strict=True
    ):
        assert raws.shape == (len(x),)
        np.testing.assert_array_equal(raws > 0, predicted)


def test_several_labels_a_step():
    y = np.stack([CUBE_CODES > 0, CUBE_CODES > 1], axis=2).astype(int)
    estimator = clf().fit(CUBE, y)
    predicted, p = estimator.predict(CUBE), estimator.predict_proba(CUBE)
    assert predicted.shape == p.shape == (N, T, 2)
    np.testing.assert_array_equal(predicted, p > 0.5)
    assert_same_net(clf().fit(list(CUBE), list(y)), estimator)
    exact = (predicted == y).all(axis=2).mean()
    assert estimator.score(CUBE, y) == pytest.approx(exact, abs=1e-12)


def test_several_outputs_a_step_each_with_its_own_scale():
    a, b = np.array([1e-3, 1e4]), np.array([5.0, -7.0])
    p, q = reg().fit(X, WIDE).predict(X), reg().fit(X, [y * a + b for y in WIDE]).predict(X)
    for one, other, x in zip(p, q, X, strict=True):
        assert one.shape == (len(x), 2)
        np.testing.assert_allclose((other - b) / a, one, rtol=1e-6, atol=1e-7)


# the loss is the mean over the steps ----------------------------------------------------------


@RAGGED_KINDS
def test_sequences_of_one_step_are_rows(make, y):
    """With T = 1 a step is a sequence, whatever the readout."""
    x, targets = np.concatenate(X)[:, None], np.concatenate(y)
    per_step = make(batch_size=100).fit(x, targets[:, None])
    last = make(readout="last", batch_size=100).fit(x, targets)
    for name, weight in per_step.weights_.items():
        np.testing.assert_allclose(weight, last.weights_[name], rtol=1e-9, atol=1e-12)
    assert per_step.loss_ == pytest.approx(last.loss_)


def test_bias_starts_at_the_share_of_the_steps():
    estimator = clf(learning_rate_init=1e-300, alpha=0, max_iter=1).fit(X, LABELS)
    counts = np.bincount(np.concatenate(CODES)) + 0.5
    logits = estimator.weights_["b_o"]
    np.testing.assert_allclose(logits - logits[0], np.log(counts / counts[0]), atol=1e-12)


# score and scikit-learn -----------------------------------------------------------------------


def test_score_counts_every_step_alike():
    weight = [RNG.random(len(x)) for x in X]
    flat = np.concatenate(weight)
    for make, y, metric in ((clf, LABELS, accuracy_score), (reg, REAL, r2_score)):
        estimator = make().fit(X, y)
        true, predicted = np.concatenate(y), np.concatenate(list(estimator.predict(X)))
        assert estimator.score(X, y) == pytest.approx(metric(true, predicted))
        assert estimator.score(X, y, weight) == pytest.approx(
            metric(true, predicted, sample_weight=flat)
        )
        of_sequences = np.arange(1.0, N + 1)
        assert estimator.score(X, y, of_sequences) == pytest.approx(
            metric(true, predicted, sample_weight=np.repeat(of_sequences, LENGTHS))
        )


SEARCHES = pytest.mark.parametrize(
    ("make", "X", "y"),
    [
        (clf, X, as_sequences(LABELS)),
        (reg, X, as_sequences(REAL)),
        (reg, as_sequences(X), as_sequences(WIDE)),
        (clf, X, LABELS),
        (clf, CUBE, CUBE_LABELS),
        (reg, CUBE, CUBE_REAL),
        (reg, CUBE, CUBE),
        (clf, CUBE, np.stack([CUBE_CODES > 0, CUBE_CODES > 1], axis=2).astype(int)),
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


# weights --------------------------------------------------------------------------------------


@RAGGED_KINDS
@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True, "validation_fraction": 0.4}])
def test_weights_are_repetitions_to_the_bit(settings, batch_size, make, y):
    counts = np.array([1, 2, 0, 3, 1, 1, 2, 1])
    weighted, repeated = (make(batch_size=batch_size, **settings) for _ in range(2))
    rows = np.random.default_rng(5).permutation(np.repeat(np.arange(N), counts))
    repeated.fit([X[i] for i in rows], [y[i] for i in rows])
    assert_same_net(weighted.fit(X, y, counts), repeated)
    per_step = [np.full(len(x), count) for x, count in zip(X, counts, strict=True)]
    assert_same_net(weighted.fit(X, y, per_step), repeated)
    assert_same_net(weighted.fit(X[::-1], y[::-1], per_step[::-1]), repeated)


@RAGGED_KINDS
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_step_of_weight_zero_has_no_say(shuffle, make, y):
    weight = [np.where(np.arange(len(x)) % 2, 0.0, 1.5) for x in X]
    other = [np.where(w > 0, t, t[::-1]) for t, w in zip(y, weight, strict=True)]
    assert any((a != b).any() for a, b in zip(y, other, strict=True))
    make = make(shuffle=shuffle, batch_size=2)
    assert_same_net(clone(make).fit(X, other, weight), clone(make).fit(X, y, weight))
    assert clone(make).fit(X, y, weight).score(X, y, weight) == clone(make).fit(
        X, other, weight
    ).score(X, other, weight)


def test_a_step_of_weight_zero_is_read():
    weight = [np.arange(len(x)) == len(x) - 1 for x in X]
    other = [np.where(w[:, None], x, -x) for x, w in zip(X, weight, strict=True)]
    a, b = (reg().fit(inputs, REAL, weight) for inputs in (X, other))
    assert not np.array_equal(a.weights_["W_hh_0"], b.weights_["W_hh_0"])


@RAGGED_KINDS
def test_weight_on_the_last_step_alone_is_the_readout_last(make, y):
    weight = [np.arange(len(x)) == len(x) - 1 for x in X]
    steps = make(batch_size=N).fit(X, y, weight)
    last = make(batch_size=N, readout="last").fit(X, np.array([t[-1] for t in y]))
    for name, values in steps.weights_.items():
        np.testing.assert_allclose(values, last.weights_[name], rtol=1e-9, atol=1e-11)


def test_labels_of_weight_zero_alone_are_no_classes():
    weight = [(codes < 2).astype(float) for codes in CODES]
    assert clf().fit(X, LABELS, weight).classes_.tolist() == ["ant", "bee"]
    gone = [np.where(codes < 2, labels, "ant") for codes, labels in zip(CODES, LABELS, strict=True)]
    assert_same_net(clf().fit(X, LABELS, weight), clf().fit(X, gone, weight))


WEIGHTS = {
    "list": list,
    "tuple": tuple,
    "objects": objects,
    "nested lists": lambda w: [part.tolist() for part in w],
    "pandas Series": pd.Series,
}


@pytest.mark.parametrize("build", WEIGHTS.values(), ids=WEIGHTS)
def test_the_container_of_step_weights_does_not_matter(build):
    weight = [RNG.random(len(x)) for x in X]
    assert_same_net(reg().fit(X, REAL, build(weight)), reg().fit(X, REAL, weight))


@pytest.mark.parametrize("build", [np.asarray, pd.DataFrame, list, lambda w: w.tolist()])
def test_weights_of_a_rectangle(build):
    weight = RNG.random((N, T))
    assert_same_net(reg().fit(CUBE, CUBE_REAL, build(weight)), reg().fit(CUBE, CUBE_REAL, weight))


@pytest.mark.parametrize("build", [list, np.asarray, pd.Series, tuple])
def test_weights_of_sequences_are_weights_of_all_their_steps(build):
    weight = np.arange(1.0, N + 1)
    steps = [np.full(len(x), w) for x, w in zip(X, weight, strict=True)]
    assert_same_net(reg().fit(X, REAL, build(weight)), reg().fit(X, REAL, steps))


def test_class_weights_are_weights_of_the_steps():
    factors = {"ant": 1.0, "bee": 3.0, "cow": 0.5}
    by_class = clf(batch_size=N, class_weight=factors).fit(X, LABELS)
    weight = [np.array([factors[label] for label in labels]) for labels in LABELS]
    by_step = clf(batch_size=N).fit(X, LABELS, weight)
    for a, b in zip(raw(by_class, X), raw(by_step, X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


def test_balanced_classes_weigh_the_same_over_the_steps():
    counts = np.bincount(np.concatenate(CODES))
    factors = dict(zip(("ant", "bee", "cow"), counts.sum() / (3 * counts), strict=True))
    balanced = clf(class_weight="balanced").fit(X, LABELS)
    np.testing.assert_allclose(
        raw(balanced, X), raw(clf(class_weight=factors).fit(X, LABELS), X), rtol=1e-8
    )


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_batch_in_which_no_step_counts_changes_nothing(batch_size):
    y = [np.zeros(len(x), int) if len(x) < 3 else np.arange(len(x)) % 2 for x in X]
    estimator = clf(class_weight={0: 0, 1: 1}, batch_size=batch_size).fit(X, y)
    assert np.isfinite(estimator.loss_curve_).all() and np.isfinite(raw(estimator, X)).all()


# absent steps ---------------------------------------------------------------------------------


@RAGGED_KINDS
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("settings", [{}, {"bidirectional": True}, {"initial_state": "learned"}])
def test_absent_steps_change_no_bit_of_the_fit_and_repeat_the_output_before(
    settings, cell, make, y
):
    value = np.nan if make is reg else ""
    expected = make(cell=cell, **settings).fit(X, y)
    fitted = make(cell=cell, **settings).fit(holed(X), filled(y, value))
    assert_same_net(fitted, expected)
    assert fitted.score(holed(X), filled(y, value)) == expected.score(X, y)
    for full, holes, x in zip(
        outputs(expected, X)[-1], outputs(expected, holed(X))[-1], X, strict=True
    ):
        half = len(x) // 2
        assert len(holes) == len(x) + 3
        np.testing.assert_array_equal(np.delete(holes, [0, half + 1, len(x) + 2], axis=0), full)
        np.testing.assert_array_equal(holes[half + 1], holes[half])
        np.testing.assert_array_equal(holes[-1], full[-1])


@pytest.mark.parametrize(
    "ignored", [np.nan, 99.0, -np.inf, None], ids=["NaN", "a number", "infinity", "None"]
)
def test_what_y_says_at_absent_steps_is_ignored(ignored):
    y = [part.astype(object) for part in CODES] if ignored is None else CODES
    y = filled([part.astype(float) if ignored is not None else part for part in y], ignored)
    fitted = clf().fit(holed(X), y)
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert_same_net(fitted, clf().fit(X, CODES))
    y = filled([part.astype(object) if ignored is None else part for part in REAL], ignored)
    assert_same_net(reg().fit(holed(X), y), reg().fit(X, REAL))


def test_weights_at_absent_steps_are_ignored():
    weight = [RNG.random(len(x)) for x in X]
    for value in (0.0, 7.0, np.nan):
        fitted = reg().fit(holed(X), filled(REAL, np.nan), filled(weight, value))
        assert_same_net(fitted, reg().fit(X, REAL, weight))


def test_padded_arrays_are_their_ragged_lists():
    expected = reg().fit(X, REAL)
    fitted = reg().fit(pad_sequences(X), padded(REAL, np.nan))
    assert_same_net(fitted, expected)
    rectangle = fitted.predict(pad_sequences(X))
    assert rectangle.shape == (N, max(LENGTHS)) and np.isfinite(rectangle).all()
    for row, part in zip(rectangle, expected.predict(X), strict=True):
        np.testing.assert_array_equal(row[: len(part)], part)
        np.testing.assert_array_equal(row[len(part) :], part[-1])
    table = reg(features_per_step=2).fit(pad_sequences(X, flatten=True), padded(REAL, np.nan))
    assert_same_net(table, expected)


@pytest.mark.parametrize("initial_state", ["zeros", "normal", "learned"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_leading_absent_steps_get_the_output_of_the_initial_state(initial_state, bidirectional):
    estimator = reg(initial_state=initial_state, bidirectional=bidirectional).fit(X, REAL)
    w = estimator.weights_
    names = ["h0_0", "h0_0_reverse"][: 1 + bidirectional]
    zeros = np.zeros(4 * (1 + bidirectional))
    h = np.concatenate([w[name] for name in names]) if initial_state == "learned" else zeros
    y = np.concatenate(REAL)
    first = (w["W_ho"] @ h + w["b_o"]) * y.std() + y.mean()
    predicted = estimator.predict([np.insert(x, [0, 0], np.nan, axis=0) for x in X])
    for part in predicted:
        np.testing.assert_allclose(part[:2], np.repeat(first, 2), rtol=1e-12)


# training goes on, stops, is stored -----------------------------------------------------------


@RAGGED_KINDS
def test_early_stopping_scores_the_steps_of_the_validation_part(make, y):
    estimator = make(early_stopping=True, validation_fraction=0.4, max_iter=5, tol=0).fit(X, y)
    assert len(estimator.validation_scores_) == estimator.n_iter_
    best = estimator.n_iter_ - np.argmax(estimator.validation_scores_[::-1])
    again = make(early_stopping=True, validation_fraction=0.4, max_iter=int(best), tol=0).fit(X, y)
    assert_same_net(again, estimator)


@RAGGED_KINDS
def test_partial_fit_and_warm_start_go_on(make, y):
    whole = make(max_iter=4).fit(X, y)
    once = {"classes": ["ant", "bee", "cow"]} if make is clf else {}
    parts = make().partial_fit(X, y, **once)
    for _ in range(3):
        parts.partial_fit(X, y)
    assert_same_net(parts, whole)
    warm = make(max_iter=2, warm_start=True).fit(X, y)
    assert_same_net(pickle.loads(pickle.dumps(warm)).fit(X, y), whole)


@RAGGED_KINDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_x_is_that_of_the_arithmetic(dtype, make, y):
    narrow = [x.astype(dtype) for x in X]
    estimator = make().fit(narrow, y)
    assert {weight.dtype for weight in estimator.weights_.values()} == {np.dtype(dtype)}
    for boxes in outputs(estimator, holed(narrow)):
        assert {box.dtype for box in boxes} <= {np.dtype(dtype), np.array(y[0]).dtype}
        assert make is clf or {box.dtype for box in boxes} == {np.dtype(dtype)}


@RAGGED_KINDS
def test_pickled_and_cloned(make, y):
    estimator = make().fit(X, y)
    twin = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(raw(twin, X), raw(estimator, X))
    assert_same_net(clone(estimator).fit(X, y), estimator)


@RAGGED_KINDS
def test_the_parameter_set_later_does_not_change_what_was_fitted(make, y):
    estimator = make().fit(X, y)
    expected = raw(estimator, X), estimator.score(X, y)
    estimator.set_params(readout="mean")
    np.testing.assert_array_equal(raw(estimator, X), expected[0])
    assert estimator.score(X, y) == expected[1]


# what is refused ------------------------------------------------------------------------------

PER_SEQUENCE = r'y has one value for sequence 0, not one a step.*readout="step".*another readout'
BAD_TARGETS = {
    "one a sequence": (clf, np.arange(N) % 2, PER_SEQUENCE),
    "one a sequence, list": (clf, [0, 1] * 4, PER_SEQUENCE),
    "one a sequence, text": (clf, ["a", "b"] * 4, PER_SEQUENCE),
    "one a sequence, Series": (clf, pd.Series([0, 1] * 4), PER_SEQUENCE),
    "too few": (clf, LABELS[:5], r"8 sequences.*y has 5"),
    "too short": (
        reg,
        [*REAL[:4], REAL[4][:3], *REAL[5:]],
        r"Sequence 4 has 5 steps.*y\[4\] has 3",
    ),
    "too long": (reg, [np.append(y, 0) for y in REAL], r"Sequence 0 has 3 steps.*y\[0\] has 4"),
    "other width": (reg, [*WIDE[:7], REAL[7]], r"y\[7\] has shape \(6,\).*y\[0\] has \(3, 2\)"),
    "four dimensions": (reg, [y[..., None] for y in WIDE], r"y\[0\] has shape \(3, 2, 1\)"),
    "a number": (reg, 5.0, r"y is a float.*one target a step"),
    "a string": (clf, "abc", r"y is a str.*one target a step"),
    "a dict": (clf, {"a": 1}, r"y is a dict.*one target a step"),
    "sparse": (clf, sparse.csr_array(np.eye(N)), r"y is a csr_array.*one target a step"),
    "none": (clf, None, r"requires y"),
    "ragged steps": (reg, [[[1.0], [1.0, 2.0]]] * N, r"y\[0\] is not rectangular"),
    "NaN": (reg, [*REAL[:7], np.full(6, np.nan)], r"y contains NaN"),
    "text": (reg, LABELS, r"'ant'|string"),
    "None": (clf, [np.full(len(x), None) for x in X], r"label"),
    "real labels": (clf, REAL, r"Unknown label type"),
    "numbers and text": (clf, [*LABELS[:7], CODES[7]], r"y mixes text with other labels"),
    "one class": (clf, [np.zeros(len(x)) for x in X], r"at least 2 classes"),
    "two columns of classes": (clf, [np.column_stack([c, c]) for c in CODES], r"several columns"),
}


@pytest.mark.parametrize(("make", "y", "words"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_bad_targets_are_refused_in_words(make, y, words):
    estimator = make()
    before = pickle.dumps(vars(estimator))
    with pytest.raises(ValueError, match=words):
        estimator.fit(X, y)
    assert pickle.dumps(vars(estimator)) == before


@pytest.mark.parametrize("name", ["one a sequence", "too few", "too short", "a number", "sparse"])
def test_bad_targets_are_refused_by_score(name):
    _, y, words = BAD_TARGETS[name]
    estimator = reg().fit(X, REAL)
    with pytest.raises(ValueError, match=words):
        estimator.score(X, y)


@pytest.mark.parametrize("make", [clf, reg])
@pytest.mark.parametrize("build", [list, objects, lambda y: [part.tolist() for part in y]])
@pytest.mark.parametrize("readout", ["last", "mean", "max"])
def test_targets_of_steps_without_the_readout_name_it(readout, build, make):
    with pytest.raises(ValueError, match=r'y is ragged.*set readout="step"'):
        make(readout=readout).fit(X, build(CODES))
    with pytest.raises(ValueError, match=r'y has shape \(8, 4, 2\).*set readout="step"'):
        make(readout=readout).fit(CUBE, CUBE)


def test_classes_of_steps_without_the_readout_name_it():
    with pytest.raises(ValueError, match=r'several columns.*readout="step"'):
        clf(readout="last").fit(CUBE, CUBE_CODES)


BAD_WEIGHTS = {
    "too few": (np.ones(3), r"shape \(3,\), expected \(8,\)"),
    "a number": (2.0, r"shape \(\), expected \(8,\)"),
    "text": ("abc", r"must be numbers"),
    "too few steps": ([np.ones(2)] * N, r"Sequence 0 has 3 steps, but sample_weight\[0\] has 2"),
    "(n, 1)": (np.ones((N, 1)), r"Sequence 0 has 3 steps, but sample_weight\[0\] has 1"),
    "two columns": (
        [np.ones((len(x), 2)) for x in X],
        r"sample_weight has shape .*one weight a step",
    ),
    "ragged steps": ([[[1.0], [1.0, 2.0]]] * N, r"sample_weight\[0\] is not rectangular"),
    "negative": ([-np.ones(len(x)) for x in X], r"-1.*>= 0"),
    "NaN": ([np.full(len(x), np.nan) for x in X], r"nan.*>= 0"),
    "text of steps": ([["a"] * len(x) for x in X], r"must be numbers, one for every step"),
    "all zero": ([np.zeros(len(x)) for x in X], r"every step is zero"),
    "all zero, sequences": (np.zeros(N), r"every sequence is zero"),
}


@pytest.mark.parametrize(("weight", "words"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_are_refused_in_words(weight, words):
    estimator = reg().fit(X, REAL)
    before = pickle.dumps(vars(estimator))
    for read in (estimator.fit, estimator.score, estimator.partial_fit):
        with pytest.raises(ValueError, match=words) as caught:
            read(X, REAL, weight)
        assert not re.search("inhomogeneous|setting an array", str(caught.value))
    assert pickle.dumps(vars(estimator)) == before
