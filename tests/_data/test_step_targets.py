"""Targets and weights per step: containers that do not matter, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from _factories import (
    LENGTHS,
    NUMPYS_WORDS,
    assert_same_net,
    make_step_data,
    objects,
    outputs,
    state,
    step_classifier,
    step_regressor,
)
from skrnn import as_sequences
from skrnn._nn.pooling import READOUTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, T = len(LENGTHS), 4
X, CODES, LABELS, REAL = make_step_data()
WIDE = [np.column_stack([y, y**2]) for y in REAL]
CUBE, CUBE_CODES, CUBE_LABELS, CUBE_REAL = map(np.stack, make_step_data([T] * N))
RAGGED_KINDS = pytest.mark.parametrize(
    ("make", "y"), [(step_classifier, LABELS), (step_regressor, REAL)]
)
CUBE_KINDS = pytest.mark.parametrize(
    ("make", "y"), [(step_classifier, CUBE_LABELS), (step_regressor, CUBE_REAL)]
)


# targets --------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("build", [list, lambda y: np.stack(y)])
def test_a_last_axis_of_one_stays(build):
    y = CUBE_REAL[:, :, None]
    estimator = step_regressor().fit(CUBE, build(list(y)))
    assert estimator.predict(CUBE).shape == (N, T, 1)
    assert_same_net(estimator, step_regressor().fit(CUBE, CUBE_REAL))
    assert estimator.score(CUBE, build(list(y))) == step_regressor().fit(CUBE, CUBE_REAL).score(
        CUBE, CUBE_REAL
    )


# predictions ----------------------------------------------------------------------------------


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
    boxes = step_regressor().fit(X, REAL).predict([np.ones((T, 2))] * n)
    assert boxes.shape == (n,) and [box.shape for box in boxes] == [(T,)] * n
    many = step_regressor().fit(X, WIDE).predict([np.ones((T, 2))] * n)
    assert [box.shape for box in many] == [(T, 2)] * n


# weights --------------------------------------------------------------------------------------

WEIGHTS = {
    "list": list,
    "tuple": tuple,
    "objects": objects,
    "nested lists": lambda w: [part.tolist() for part in w],
    "pandas Series": pd.Series,
}


@pytest.mark.parametrize("build", WEIGHTS.values(), ids=WEIGHTS)
def test_the_container_of_step_weights_does_not_matter(build):
    rng = np.random.default_rng(3)
    weight = [rng.random(len(x)) for x in X]
    assert_same_net(
        step_regressor().fit(X, REAL, build(weight)), step_regressor().fit(X, REAL, weight)
    )


@pytest.mark.parametrize("build", [np.asarray, pd.DataFrame, list, lambda w: w.tolist()])
def test_weights_of_a_rectangle(build):
    weight = np.random.default_rng(3).random((N, T))
    assert_same_net(
        step_regressor().fit(CUBE, CUBE_REAL, build(weight)),
        step_regressor().fit(CUBE, CUBE_REAL, weight),
    )


@pytest.mark.parametrize("build", [list, np.asarray, pd.Series, tuple])
def test_weights_of_sequences_are_weights_of_all_their_steps(build):
    weight = np.arange(1.0, N + 1)
    steps = [np.full(len(x), w) for x, w in zip(X, weight, strict=True)]
    assert_same_net(
        step_regressor().fit(X, REAL, build(weight)), step_regressor().fit(X, REAL, steps)
    )


WIDE_WEIGHTS = [np.random.default_rng(5).integers(0, 3, size=y.shape) for y in WIDE]


@pytest.mark.parametrize("build", WEIGHTS.values(), ids=WEIGHTS)
def test_every_output_of_a_step_may_have_its_weight(build):
    weighted = step_regressor().fit(X, WIDE, build(WIDE_WEIGHTS))
    twice = [x for x in X for _ in range(2)]
    repeated = step_regressor().fit(
        twice, [y for y in WIDE for _ in range(2)], [w for w in WIDE_WEIGHTS for _ in range(2)]
    )
    assert_same_net(repeated, weighted)
    other = [np.where(w == 0, 1e6, y) for w, y in zip(WIDE_WEIGHTS, WIDE, strict=True)]
    assert_same_net(step_regressor().fit(X, other, WIDE_WEIGHTS), weighted)
    assert weighted.score(X, other, WIDE_WEIGHTS) == weighted.score(X, WIDE, build(WIDE_WEIGHTS))


def test_weights_of_a_rectangle_are_per_step():
    y, weight = np.stack([CUBE_REAL, CUBE_REAL**2], axis=2), np.ones((N, T))
    weight[:, 1] = 3
    wide = np.repeat(weight[:, :, None], 2, axis=2)
    expected = step_regressor().fit(CUBE, y, weight)
    assert_same_net(step_regressor().fit(CUBE, y, wide), expected)


# what is refused ------------------------------------------------------------------------------

PER_SEQUENCE = r'y has one value for sequence 0, not one per step.*readout="step".*another readout'
BAD_TARGETS = {
    "one per sequence": (step_classifier, np.arange(N) % 2, PER_SEQUENCE),
    "one per sequence, list": (step_classifier, [0, 1] * 4, PER_SEQUENCE),
    "one per sequence, text": (step_classifier, ["a", "b"] * 4, PER_SEQUENCE),
    "one per sequence, Series": (step_classifier, pd.Series([0, 1] * 4), PER_SEQUENCE),
    "too few": (step_classifier, LABELS[:5], r"8 sequences.*y has 5"),
    "too short": (
        step_regressor,
        [*REAL[:4], REAL[4][:3], *REAL[5:]],
        r"Sequence 4 has 5 steps.*y\[4\] has 3",
    ),
    "too long": (
        step_regressor,
        [np.append(y, 0) for y in REAL],
        r"Sequence 0 has 3 steps.*y\[0\] has 4",
    ),
    "other width": (
        step_regressor,
        [*WIDE[:7], REAL[7]],
        r"y\[7\] has shape \(6,\).*y\[0\] has \(3, 2\)",
    ),
    "four dimensions": (
        step_regressor,
        [y[..., None] for y in WIDE],
        r"y\[0\] has shape \(3, 2, 1\)",
    ),
    "a number": (step_regressor, 5.0, r"y is a float.*one target per step"),
    "a string": (step_classifier, "abc", r"y is a str.*one target per step"),
    "a dict": (step_classifier, {"a": 1}, r"y is a dict.*one target per step"),
    "sparse": (
        step_classifier,
        sparse.csr_array(np.eye(N)),
        r"y is a csr_array.*one target per step",
    ),
    "none": (step_classifier, None, r"requires y"),
    "ragged steps": (step_regressor, [[[1.0], [1.0, 2.0]]] * N, r"y\[0\] is not rectangular"),
    "NaN": (step_regressor, [np.full(len(x), np.nan) for x in X], r"y contains NaN"),
    "infinity": (step_regressor, [*REAL[:7], np.full(6, np.inf)], r"y contains infinity"),
    "text": (step_regressor, LABELS, r"y holds text, such as '(ant|bee|cow)'.*RNNClassifier"),
    "None": (step_classifier, [np.full(len(x), None) for x in X], r"y contains NaN"),
    "dates": (step_regressor, [np.zeros(len(x), "M8[s]") for x in X], r"y holds dates.*t\[0"),
    "real labels": (step_classifier, REAL, r"Unknown label type"),
    "numbers and text": (
        step_classifier,
        [*LABELS[:7], CODES[7]],
        r"y mixes text with other labels",
    ),
    "one class": (step_classifier, [np.zeros(len(x)) for x in X], r"at least 2 classes"),
    "two columns of classes": (
        step_classifier,
        [np.column_stack([c, c]) for c in CODES],
        r"several columns",
    ),
}


@pytest.mark.parametrize(("make", "y", "words"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_bad_targets_are_refused_in_words(make, y, words):
    estimator = make()
    before = state(estimator)
    with pytest.raises(ValueError, match=words):
        estimator.fit(X, y)
    assert state(estimator) == before


@pytest.mark.parametrize("name", ["one per sequence", "too few", "too short", "a number", "sparse"])
def test_bad_targets_are_refused_by_score(name):
    _, y, words = BAD_TARGETS[name]
    estimator = step_regressor().fit(X, REAL)
    with pytest.raises(ValueError, match=words):
        estimator.score(X, y)


@pytest.mark.parametrize("make", [step_classifier, step_regressor])
@pytest.mark.parametrize("build", [list, objects, lambda y: [part.tolist() for part in y]])
@pytest.mark.parametrize("readout", [name for name in READOUTS if name != "step"])
def test_targets_of_steps_without_the_readout_name_it(readout, build, make):
    with pytest.raises(ValueError, match=r'y is ragged.*set readout="step"'):
        make(readout=readout).fit(X, build(CODES))
    with pytest.raises(ValueError, match=r'y has shape \(8, 4, 2\).*set readout="step"'):
        make(readout=readout).fit(CUBE, CUBE)


def test_classes_of_steps_without_the_readout_name_it():
    with pytest.raises(ValueError, match=r'several columns.*readout="step"'):
        step_classifier(readout="last").fit(CUBE, CUBE_CODES)


BAD_WEIGHTS = {
    "too few": (np.ones(3), r"shape \(3,\), expected \(8,\)"),
    "a number": (2.0, r"shape \(\), expected \(8,\)"),
    "text": ("abc", r"must be numbers"),
    "too few steps": ([np.ones(2)] * N, r"Sequence 0 has 3 steps, but sample_weight\[0\] has 2"),
    "(n, 1)": (np.ones((N, 1)), r"Sequence 0 has 3 steps, but sample_weight\[0\] has 1"),
    "two columns": (
        [np.ones((len(x), 2)) for x in X],
        r"sample_weight has shape .*one weight per step",
    ),
    "dates": ([np.zeros(len(x), "m8[s]") for x in X], r"sample_weight holds dates.*numbers"),
    "ragged steps": ([[[1.0], [1.0, 2.0]]] * N, r"sample_weight\[0\] is not rectangular"),
    "negative": ([-np.ones(len(x)) for x in X], r"-1.*>= 0"),
    "NaN": ([np.full(len(x), np.nan) for x in X], r"nan.*>= 0"),
    "text of steps": ([["a"] * len(x) for x in X], r"must be numbers, one for every step"),
    "all zero": ([np.zeros(len(x)) for x in X], r"every step is zero"),
    "all zero, sequences": (np.zeros(N), r"every sequence is zero"),
}


@pytest.mark.parametrize(("weight", "words"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_are_refused_in_words(weight, words):
    estimator = step_regressor().fit(X, REAL)
    before = state(estimator)
    for read in (estimator.fit, estimator.score, estimator.partial_fit):
        with pytest.raises(ValueError, match=words) as caught:
            read(X, REAL, weight)
        assert not NUMPYS_WORDS.search(str(caught.value))
    assert state(estimator) == before
