"""Targets that are missing: not learned from and not scored, in every container, to the bit."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.metrics import r2_score

from _factories import (
    LENGTHS,
    assert_same_net,
    classifier,
    make_sequences,
    make_step_data,
    objects,
    outputs,
    regressor,
    state,
    step_classifier,
    step_regressor,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, CODES, LABELS, REAL = make_step_data()
N = len(LENGTHS)
MORE = make_sequences((3, 2, 4, 2, 5, 3, 1, 2, 6, 3), seed=4)
Y = np.random.default_rng(0).normal(size=(len(MORE), 3))
HOLES = np.random.default_rng(1).random(Y.shape) < 0.4
HOLES[:, 0] = False  # no sequence has none
STEP_HOLES = [np.arange(len(x)) % 3 == 1 for x in X]  # every sequence keeps its first step
LOSSES = (
    {},
    {"loss": "absolute_error"},
    {"loss": "huber"},
    {"loss": "quantile", "quantile": 0.3},
    {"loss": "poisson"},
)


def gone(values, holes, value=np.nan):
    return np.where(holes, value, values)


# one target per sequence ----------------------------------------------------------------------

NONE = [0.0, None, 2.0, 1.0, np.nan, 1.0]
SHORT = make_sequences((3, 2, 4, 2, 5, 3))
KNOWN = [0, 2, 3, 5]
TARGETS = {
    "list": NONE,
    "array": np.array(NONE, float),
    "float32": np.array(NONE, np.float32),
    "objects": np.array(NONE, object),
    "masked": np.ma.masked_invalid(np.array(NONE, float)),
    "list with masked": [0.0, np.ma.masked, 2.0, 1.0, np.ma.masked, 1.0],
    "pandas": pd.Series(NONE),
    "pandas nullable": pd.Series(NONE, dtype="Float64"),
    "pandas Int64": pd.Series([0, None, 2, 1, None, 1], dtype="Int64"),
    "pandas Arrow": pd.Series([0, None, 2, 1, None, 1], dtype="float64[pyarrow]"),
    "pandas column": pd.DataFrame({"y": pd.Series(NONE, dtype="Float64")})["y"],
    "polars": pl.Series([0.0, None, 2.0, 1.0, None, 1.0]),
    "polars integers": pl.Series([0, None, 2, 1, None, 1]),
    "NA": [0, pd.NA, 2, 1, pd.NA, 1],
}


@pytest.mark.filterwarnings("ignore:2 of 6 sequences have no target")
@pytest.mark.parametrize("make", [regressor, classifier])
@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_a_sequence_without_target_is_as_if_it_were_not_there(y, make):
    kept, targets = [SHORT[i] for i in KNOWN], [0, 2, 1, 1]
    expected, fitted = make().fit(kept, targets), make().fit(SHORT, y)
    assert_same_net(fitted, expected)
    assert fitted.score(SHORT, y) == expected.score(kept, targets)
    assert make is regressor or fitted.classes_.tolist() == [0, 1, 2]


TEXT = ["a", None, "c", "b", None, "b"]
TEXTS = {
    "list": TEXT,
    "NaN in a list": ["a", np.nan, "c", "b", float("nan"), "b"],
    "objects": np.array(TEXT, object),
    "masked": np.ma.array(["a", "z", "c", "b", "z", "b"], mask=[0, 1, 0, 0, 1, 0]),
    "pandas": pd.Series(TEXT),
    "pandas objects": pd.Series(TEXT, dtype=object),
    "pandas string": pd.Series(TEXT, dtype="string"),
    "pandas category": pd.Series(TEXT, dtype="category"),
    "polars": pl.Series(TEXT),
}


@pytest.mark.filterwarnings("ignore:2 of 6 sequences have no target")
@pytest.mark.parametrize("y", TEXTS.values(), ids=TEXTS)
def test_what_is_missing_among_text_is_no_class(y):
    fitted = classifier().fit(SHORT, y)
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    kept, targets = [SHORT[i] for i in KNOWN], ["a", "c", "b", "b"]
    assert_same_net(fitted, classifier().fit(kept, targets))
    assert fitted.score(SHORT, y) == fitted.score(kept, targets)


def test_sequences_left_out_are_counted_and_the_first_is_named():
    words = "2 of 6 sequences have no target and are left out, the first of them is sequence 1"
    fitted = regressor()
    for call in (fitted.fit, fitted.score, fitted.partial_fit):
        with pytest.warns(UserWarning, match=words):
            call(SHORT, NONE)
        call(SHORT, TARGETS["masked"])  # masks are meant
        call(SHORT, NONE, sample_weight=[1, 0, 1, 1, 0, 1])  # what has no weight is not there


@pytest.mark.parametrize("value", [np.nan, None])
def test_targets_that_are_all_missing_or_infinite_are_an_error(value):
    estimator = regressor()
    before = state(estimator)
    for y in ([value] * 6, [value] * 5 + [np.inf], np.ma.masked_all(6)):
        with warnings.catch_warnings(), pytest.raises(ValueError, match="y contains"):
            warnings.simplefilter("ignore")
            estimator.fit(SHORT, y)
    with pytest.raises(ValueError, match="wherever it has a weight"):
        estimator.fit(SHORT, NONE, sample_weight=[0, 1, 0, 0, 0, 0])
    assert state(estimator) == before


# several outputs ------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_missing_output_is_any_number_of_weight_0(loss, shuffle, solver):
    make = lambda: regressor(**loss, shuffle=shuffle, solver=solver)  # noqa: E731
    y = np.abs(Y) if loss.get("loss") == "poisson" else Y
    expected = make().fit(MORE, gone(y, HOLES))
    weight = np.where(HOLES, 0.0, 1.0)
    for value in (0.0, -7.0, 1e9):
        assert_same_net(make().fit(MORE, gone(y, HOLES, value), weight), expected)
    masked = np.ma.array(gone(y, HOLES, np.inf), mask=HOLES)
    assert_same_net(make().fit(MORE, masked), expected)
    score = expected.score(MORE, gone(y, HOLES))
    assert score == expected.score(MORE, gone(y, HOLES, 3.0), weight)
    assert np.isfinite(score) and np.isfinite(expected.predict(MORE)).all()


def test_the_score_is_the_mean_over_the_outputs_of_what_is_known():
    y = gone(Y, HOLES)
    fitted = regressor().fit(MORE, y)
    p = fitted.predict(MORE)
    parts = [r2_score(y[~h, k], p[~h, k]) for k, h in enumerate(HOLES.T)]
    assert fitted.score(MORE, y) == pytest.approx(np.mean(parts), rel=1e-12)


def test_outputs_have_the_units_of_what_is_known_of_them():
    a, b = np.array([1e-3, 1e4, 1.0]), np.array([5.0, -7.0, 1e3])
    p, q = (regressor().fit(MORE, gone(y, HOLES)).predict(MORE) for y in (Y, Y * a + b))
    np.testing.assert_allclose((q - b) / a, p, rtol=1e-6, atol=1e-7)


def test_targets_that_are_missing_make_no_infinity_of_float32():
    items = [x.astype(np.float32) for x in MORE]
    y = gone(np.column_stack([Y[:, 0], np.full(len(Y), 2.0**100), 1e30 + 1e24 * Y[:, 2]]), HOLES)
    fitted = regressor().fit(items, y)
    assert np.isfinite(fitted.loss_) and np.isfinite(fitted.predict(items)).all()


def test_a_row_whose_outputs_are_all_missing_is_not_there():
    y = gone(Y, HOLES)
    y[[2, 5]] = np.nan
    kept = np.delete(np.arange(len(Y)), [2, 5])
    with pytest.warns(UserWarning, match="2 of 10 sequences.*sequence 2"):
        fitted = regressor().fit(MORE, y)
    assert_same_net(fitted, regressor().fit([MORE[i] for i in kept], y[kept]))


def test_rows_without_target_leave_weights_of_one_column():
    y = Y.copy()
    y[[2, 5]] = np.nan
    kept = np.delete(np.arange(len(Y)), [2, 5])
    fitted = regressor().fit(MORE, np.ma.masked_invalid(y))
    assert_same_net(fitted, regressor().fit([MORE[i] for i in kept], y[kept]))


def test_an_output_of_which_nothing_is_known_is_refused():
    y = Y.copy()
    y[:, 1] = np.nan
    with pytest.raises(ValueError, match="Output 1 of y has no target"):
        regressor().fit(MORE, y)


MULTILABEL = (Y > 0).astype(float)


@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 3.0}])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_missing_label_is_any_label_of_weight_0(shuffle, class_weight):
    make = lambda: classifier(shuffle=shuffle, class_weight=class_weight)  # noqa: E731
    y, weight = gone(MULTILABEL, HOLES), np.where(HOLES, 0.0, 1.0)
    expected = make().fit(MORE, y)
    for value in (0.0, 1.0):
        fitted = make().fit(MORE, gone(MULTILABEL, HOLES, value), weight)
        assert_same_net(fitted, expected)
    assert_same_net(make().fit(MORE, np.ma.array(MULTILABEL.astype(int), mask=HOLES)), expected)
    right = ((expected.predict(MORE) == MULTILABEL) | HOLES).all(axis=1)
    assert expected.score(MORE, y) == pytest.approx(right.mean())
    assert expected.predict(MORE).shape == MULTILABEL.shape


# one target per step --------------------------------------------------------------------------

STEPS = pytest.mark.parametrize(("make", "y"), [(step_classifier, LABELS), (step_regressor, REAL)])


def holed(y, value):
    return [
        np.array([value if hole else v for v, hole in zip(part, holes, strict=True)], object)
        for part, holes in zip(y, STEP_HOLES, strict=True)
    ]


@STEPS
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_missing_step_is_any_step_of_weight_0(shuffle, make, y):
    weight = [1.0 - holes for holes in STEP_HOLES]
    other = "bee" if make is step_classifier else -5.0
    expected = make(shuffle=shuffle).fit(X, holed(y, other), weight)
    score = expected.score(X, holed(y, other), weight)
    for value in (None, np.nan, pd.NA):
        fitted = make(shuffle=shuffle).fit(X, holed(y, value))
        assert_same_net(fitted, expected)
        assert fitted.score(X, holed(y, value)) == score
    masked = [np.ma.array(p, mask=h) for p, h in zip(y, STEP_HOLES, strict=True)]
    for build in (list, lambda y: [part.tolist() for part in y], objects):
        fitted = make(shuffle=shuffle).fit(X, build(holed(y, None)))
        assert_same_net(fitted, expected)
    assert_same_net(make(shuffle=shuffle).fit(X, masked), expected)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_missing_outputs_of_steps(loss):
    wide = [np.abs(np.column_stack([y, y**2])) for y in REAL]
    holes = [
        np.column_stack([np.arange(len(y)) % 2 == 1, np.arange(len(y)) % 3 == 2]) for y in REAL
    ]
    pairs = list(zip(wide, holes, strict=True))
    expected = step_regressor(**loss).fit(X, [gone(y, h) for y, h in pairs])
    weight = [1.0 - h for h in holes]
    fitted = step_regressor(**loss).fit(X, [gone(y, h, 9.0) for y, h in pairs], weight)
    assert_same_net(fitted, expected)
    scores = (
        expected.score(X, [gone(y, h) for y, h in pairs]),
        expected.score(X, [gone(y, h, 9.0) for y, h in pairs], weight),
    )
    assert scores[0] == scores[1] and np.isfinite(scores[0])


@STEPS
@pytest.mark.parametrize("whole", ["array", "None", "masked", "masked item", "masked boxes"])
def test_a_sequence_none_of_whose_steps_has_a_target_is_not_there(whole, make, y):
    kept = np.delete(np.arange(N), [2, 4])
    expected = make().fit([X[i] for i in kept], [y[i] for i in kept])
    some = list(y)
    for i in (2, 4):
        empty = {
            "array": np.full(len(X[i]), np.nan),
            "None": None,
            "masked": np.ma.array(y[i], mask=True),
            "masked item": np.ma.masked,
        }
        some[i] = empty.get(whole, y[i])
    if whole == "masked boxes":
        some = np.ma.array(objects(some), mask=np.isin(np.arange(N), [2, 4]))
    if whole.startswith("masked"):
        fitted = make().fit(X, some)
    else:
        with pytest.warns(UserWarning, match="2 of 8 sequences .*sequence 2"):
            fitted = make().fit(X, some)
    assert_same_net(fitted, expected)
    for a, b in zip(outputs(fitted, X), outputs(expected, X), strict=True):
        assert [part.tolist() for part in a] == [part.tolist() for part in b]


def test_a_rectangle_of_steps_may_be_masked():
    items = np.stack(make_sequences([4] * 5))
    y = np.random.default_rng(2).normal(size=(5, 4))
    holes = np.arange(20).reshape(5, 4) % 3 == 1
    expected = step_regressor().fit(items, gone(y, holes))
    masked = np.ma.array(y, mask=holes)
    assert_same_net(step_regressor().fit(items, masked), expected)
    wide = np.ma.array(y[..., None], mask=holes[..., None])
    assert_same_net(step_regressor().fit(items, wide), expected)
    assert_same_net(step_regressor().fit(items, pd.DataFrame(gone(y, holes))), expected)
    assert_same_net(
        step_regressor().fit(items, y, np.ma.array(np.ones((5, 4)), mask=holes)), expected
    )
    for estimator in (expected, step_regressor().partial_fit(items, masked)):
        assert estimator.score(items, masked) == estimator.score(items, gone(y, holes))


def test_what_is_missing_at_absent_steps_does_not_count():
    gap = [np.insert(x, 0, np.nan, axis=0) for x in X]
    y = [np.ma.array(np.insert(part, 0, 1e9), mask=np.arange(len(part) + 1) == 0) for part in REAL]
    assert_same_net(step_regressor().fit(gap, y), step_regressor().fit(X, REAL))


# where else targets are -----------------------------------------------------------------------


PARTLY_KNOWN = {
    "sequences": (
        regressor,
        MORE,
        gone(Y, HOLES),
        gone(Y, HOLES, 4.0),
        np.where(HOLES, 0.0, 1.0),
    ),
    "steps": (
        step_regressor,
        X,
        holed(REAL, np.nan),
        holed(REAL, 4.0),
        [1.0 - holes for holes in STEP_HOLES],
    ),
}


@pytest.mark.parametrize(
    ("make", "X", "y", "other", "weight"), PARTLY_KNOWN.values(), ids=PARTLY_KNOWN
)
def test_missing_targets_do_not_count_in_the_score_of_early_stopping(make, X, y, other, weight):
    estimators = [make(early_stopping=True, validation_fraction=0.4) for _ in range(4)]
    estimators[0].fit(X, y)
    estimators[1].fit(X, other, weight)
    estimators[2].fit(X, y, X_val=X, y_val=y)
    estimators[3].fit(X, other, weight, X_val=X, y_val=other, sample_weight_val=weight)
    for a, b in (estimators[:2], estimators[2:]):
        assert_same_net(a, b)
        assert a.validation_scores_ == b.validation_scores_
        assert np.isfinite(a.validation_scores_).all()


def test_repetition_is_weight_where_targets_are_missing():
    y = gone(Y, HOLES)
    times = np.random.default_rng(3).integers(1, 4, len(Y))
    rows = np.repeat(np.arange(len(Y)), times)
    repeated = regressor().fit([MORE[i] for i in rows], y[rows])
    assert_same_net(repeated, regressor().fit(MORE, y, times))


def test_several_quantiles_of_targets_some_of_which_are_missing():
    make = lambda: regressor(loss="quantile", quantile=(0.9, 0.1))  # noqa: E731
    y = np.ma.array(Y[:, 0], mask=HOLES[:, 1])
    kept = np.flatnonzero(~HOLES[:, 1])
    assert_same_net(make().fit(MORE, y), make().fit([MORE[i] for i in kept], Y[kept, 0]))
