"""One target per time step, `readout="step"`: outputs, score, weights, absent steps."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score

from _factories import (
    LENGTHS,
    METHODS,
    assert_same_net,
    filled,
    holed,
    make_step_data,
    outputs,
    raw,
    step_classifier,
    step_regressor,
)
from skrnn import pad_sequences
from skrnn._nn.cells import CELLS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, T = len(LENGTHS), 4
X, CODES, LABELS, REAL = make_step_data()
WIDE = [np.column_stack([y, y**2]) for y in REAL]
CUBE, CUBE_CODES, CUBE_LABELS, CUBE_REAL = map(np.stack, make_step_data([T] * N))
RAGGED_KINDS = pytest.mark.parametrize(
    ("make", "y"), [(step_classifier, LABELS), (step_regressor, REAL)]
)


def raw_of_steps(estimator, X):
    """Raw outputs of all steps, one below the other."""
    return np.concatenate(list(raw(estimator, X)))


def padded(items, value):
    out = np.full((len(items), max(map(len, items)), *items[0].shape[1:]), value)
    for row, item in zip(out, items, strict=True):
        row[: len(item)] = item
    return out


# outputs --------------------------------------------------------------------------------------


def test_many_sequences_are_put_back_in_their_order():
    estimator = step_regressor().fit(X, REAL)
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


def test_labels_come_back_as_they_were():
    estimator = step_classifier().fit(X, LABELS)
    assert estimator.classes_.tolist() == ["ant", "bee", "cow"]
    for predicted, x in zip(estimator.predict(X), X, strict=True):
        assert predicted.dtype == estimator.classes_.dtype and predicted.shape == (len(x),)
    for p, logs, raws, predicted in zip(
        *(getattr(estimator, name)(X) for name in METHODS[1:]), estimator.predict(X), strict=True
    ):
        np.testing.assert_allclose(p.sum(axis=1), 1)
        np.testing.assert_allclose(np.exp(logs), p)
        np.testing.assert_array_equal(estimator.classes_[raws.argmax(axis=1)], predicted)


def test_two_classes_have_one_decision_per_step():
    estimator = step_classifier().fit(X, [codes > 0 for codes in CODES])
    for raws, predicted, x in zip(
        estimator.decision_function(X), estimator.predict(X), X, strict=True
    ):
        assert raws.shape == (len(x),)
        np.testing.assert_array_equal(raws > 0, predicted)


def test_several_labels_per_step():
    y = np.stack([CUBE_CODES > 0, CUBE_CODES > 1], axis=2).astype(int)
    estimator = step_classifier().fit(CUBE, y)
    predicted, p = estimator.predict(CUBE), estimator.predict_proba(CUBE)
    assert predicted.shape == p.shape == (N, T, 2)
    np.testing.assert_array_equal(predicted, p > 0.5)
    assert_same_net(step_classifier().fit(list(CUBE), list(y)), estimator)
    exact = (predicted == y).all(axis=2).mean()
    assert estimator.score(CUBE, y) == pytest.approx(exact, abs=1e-12)


def test_several_outputs_per_step_each_with_its_own_scale():
    a, b = np.array([1e-3, 1e4]), np.array([5.0, -7.0])
    p, q = (
        step_regressor().fit(X, WIDE).predict(X),
        step_regressor().fit(X, [y * a + b for y in WIDE]).predict(X),
    )
    for one, other, x in zip(p, q, X, strict=True):
        assert one.shape == (len(x), 2)
        np.testing.assert_allclose((other - b) / a, one, rtol=1e-6, atol=1e-7)


@RAGGED_KINDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_x_is_that_of_the_arithmetic(dtype, make, y):
    narrow = [x.astype(dtype) for x in X]
    estimator = make().fit(narrow, y)
    assert {weight.dtype for weight in estimator.weights_.values()} == {np.dtype(dtype)}
    for boxes in outputs(estimator, holed(narrow)):
        assert {box.dtype for box in boxes} <= {np.dtype(dtype), np.array(y[0]).dtype}
        assert make is step_classifier or {box.dtype for box in boxes} == {np.dtype(dtype)}


# loss and score are means over the steps ------------------------------------------------------


@RAGGED_KINDS
def test_sequences_of_one_step_are_rows(make, y):
    """With T = 1 a step is a sequence, whatever the readout."""
    x, targets = np.concatenate(X)[:, None], np.concatenate(y)
    one_step = {"batch_size": 100, "features_per_step": x.shape[2]}
    per_step = make(**one_step).fit(x, targets[:, None])
    last = make(readout="last", **one_step).fit(x, targets)
    for name, weight in per_step.weights_.items():
        np.testing.assert_allclose(weight, last.weights_[name], rtol=1e-9, atol=1e-12)
    assert per_step.loss_ == pytest.approx(last.loss_)


def test_bias_starts_at_the_share_of_the_steps():
    estimator = step_classifier(learning_rate_init=1e-300, alpha=0, max_iter=1).fit(X, LABELS)
    counts = np.bincount(np.concatenate(CODES)) + 0.5
    logits = estimator.weights_["b_o"]
    np.testing.assert_allclose(logits - logits[0], np.log(counts / counts[0]), atol=1e-12)


def test_score_counts_every_step_alike():
    rng = np.random.default_rng(3)
    weight = [rng.random(len(x)) for x in X]
    flat = np.concatenate(weight)
    for make, y, metric in (
        (step_classifier, LABELS, accuracy_score),
        (step_regressor, REAL, r2_score),
    ):
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
def test_targets_of_steps_of_weight_zero_change_nothing(shuffle, make, y):
    weight = [np.where(np.arange(len(x)) % 2, 0.0, 1.5) for x in X]
    other = [np.where(w > 0, t, t[::-1]) for t, w in zip(y, weight, strict=True)]
    assert any((a != b).any() for a, b in zip(y, other, strict=True))
    make = make(shuffle=shuffle, batch_size=2)
    assert_same_net(clone(make).fit(X, other, weight), clone(make).fit(X, y, weight))
    assert clone(make).fit(X, y, weight).score(X, y, weight) == clone(make).fit(
        X, other, weight
    ).score(X, other, weight)


def test_steps_of_weight_zero_are_read():
    weight = [np.arange(len(x)) == len(x) - 1 for x in X]
    other = [np.where(w[:, None], x, -x) for x, w in zip(X, weight, strict=True)]
    a, b = (step_regressor().fit(inputs, REAL, weight) for inputs in (X, other))
    assert not np.array_equal(a.weights_["W_hh_0"], b.weights_["W_hh_0"])


@RAGGED_KINDS
def test_weight_on_the_last_step_alone_is_the_readout_last(make, y):
    weight = [np.arange(len(x)) == len(x) - 1 for x in X]
    settings = {"batch_size": N, "standardize": False}  # by all steps of all sequences
    steps = make(**settings).fit(X, y, weight)
    last = make(**settings, readout="last").fit(X, np.array([t[-1] for t in y]))
    for name, values in steps.weights_.items():
        np.testing.assert_allclose(values, last.weights_[name], rtol=1e-9, atol=1e-11)


def test_labels_of_weight_zero_alone_are_no_classes():
    weight = [(codes < 2).astype(float) for codes in CODES]
    assert step_classifier().fit(X, LABELS, weight).classes_.tolist() == ["ant", "bee"]
    gone = [np.where(codes < 2, labels, "ant") for codes, labels in zip(CODES, LABELS, strict=True)]
    assert_same_net(
        step_classifier().fit(X, LABELS, weight), step_classifier().fit(X, gone, weight)
    )


def test_class_weights_are_weights_of_the_steps():
    factors = {"ant": 1.0, "bee": 3.0, "cow": 0.5}
    by_class = step_classifier(batch_size=N, class_weight=factors).fit(X, LABELS)
    weight = [np.array([factors[label] for label in labels]) for labels in LABELS]
    by_step = step_classifier(batch_size=N).fit(X, LABELS, weight)
    for a, b in zip(raw_of_steps(by_class, X), raw_of_steps(by_step, X), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


def test_balanced_classes_weigh_the_same_over_the_steps():
    counts = np.bincount(np.concatenate(CODES))
    factors = dict(zip(("ant", "bee", "cow"), counts.sum() / (3 * counts), strict=True))
    balanced = step_classifier(class_weight="balanced").fit(X, LABELS)
    np.testing.assert_allclose(
        raw_of_steps(balanced, X),
        raw_of_steps(step_classifier(class_weight=factors).fit(X, LABELS), X),
        rtol=1e-8,
    )


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_batch_in_which_no_step_counts_changes_nothing(batch_size):
    y = [np.zeros(len(x), int) if len(x) < 3 else np.arange(len(x)) % 2 for x in X]
    estimator = step_classifier(class_weight={0: 0, 1: 1}, batch_size=batch_size).fit(X, y)
    assert (
        np.isfinite(estimator.loss_curve_).all() and np.isfinite(raw_of_steps(estimator, X)).all()
    )


# absent steps ---------------------------------------------------------------------------------


@RAGGED_KINDS
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("settings", [{}, {"bidirectional": True}, {"initial_state": "learned"}])
def test_absent_steps_change_no_bit_of_the_fit_and_repeat_the_output_before(
    settings, cell, make, y
):
    value = np.nan if make is step_regressor else ""
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
    fitted = step_classifier().fit(holed(X), y)
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert_same_net(fitted, step_classifier().fit(X, CODES))
    y = filled([part.astype(object) if ignored is None else part for part in REAL], ignored)
    assert_same_net(step_regressor().fit(holed(X), y), step_regressor().fit(X, REAL))


def test_weights_at_absent_steps_are_ignored():
    rng = np.random.default_rng(3)
    weight = [rng.random(len(x)) for x in X]
    for value in (0.0, 7.0, np.nan):
        fitted = step_regressor().fit(holed(X), filled(REAL, np.nan), filled(weight, value))
        assert_same_net(fitted, step_regressor().fit(X, REAL, weight))


def test_padded_arrays_are_their_ragged_lists():
    expected = step_regressor().fit(X, REAL)
    fitted = step_regressor().fit(pad_sequences(X), padded(REAL, np.nan))
    assert_same_net(fitted, expected)
    rectangle = fitted.predict(pad_sequences(X))
    assert rectangle.shape == (N, max(LENGTHS)) and np.isfinite(rectangle).all()
    for row, part in zip(rectangle, expected.predict(X), strict=True):
        np.testing.assert_array_equal(row[: len(part)], part)
        np.testing.assert_array_equal(row[len(part) :], part[-1])
    table = step_regressor(features_per_step=2).fit(
        pad_sequences(X, flatten=True), padded(REAL, np.nan)
    )
    assert_same_net(table, expected)


@pytest.mark.parametrize("initial_state", ["zeros", "normal", "learned"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_leading_absent_steps_get_the_output_of_the_initial_state(initial_state, bidirectional):
    estimator = step_regressor(initial_state=initial_state, bidirectional=bidirectional).fit(
        X, REAL
    )
    w = estimator.weights_
    names = ["h0_0", "h0_0_reverse"][: 1 + bidirectional]
    zeros = np.zeros(4 * (1 + bidirectional))
    h = np.concatenate([w[name] for name in names]) if initial_state == "learned" else zeros
    y = np.concatenate(REAL)
    first = (w["W_ho"] @ h + w["b_o"]) * y.std() + y.mean()
    predicted = estimator.predict([np.insert(x, [0, 0], np.nan, axis=0) for x in X])
    for part in predicted:
        np.testing.assert_allclose(part[:2], np.repeat(first, 2), rtol=1e-12)
