"""Imputed values are compared with those of pandas and SimpleImputer, sequence by sequence."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline

from skrnn import RNNRegressor, pad_sequences
from skrnn.preprocessing import StepImputer

pytestmark = [
    pytest.mark.filterwarnings("ignore:Every sequence of X has one step"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

NAN = np.nan
SEQUENCE = npst.arrays(
    np.float64,
    st.tuples(st.integers(1, 7), st.just(2)),
    elements=st.one_of(st.just(NAN), st.integers(-3, 3).map(float)),
)
SEQUENCES = st.lists(SEQUENCE, min_size=1, max_size=5)
STRATEGIES = ["mean", "median", "constant"]


def statistics(X, strategy, fill_value=0.0):
    """What SimpleImputer learns; `fill_value` where nothing was observed."""
    steps = np.concatenate(X)
    imputer = SimpleImputer(strategy=strategy, fill_value=fill_value, keep_empty_features=True)
    learned = imputer.fit(steps).statistics_.astype(np.float64)
    return np.where(np.isnan(steps).all(axis=0), fill_value, learned)


def without_absent(X, imputed):
    """Imputed steps, but NaN where they were absent."""
    absent = [np.isnan(x).all(axis=1)[:, None] for x in X]
    return [np.where(a, NAN, x) for a, x in zip(absent, imputed, strict=True)]


def assert_same(X, Y):
    assert len(X) == len(Y)
    for x, y in zip(X, Y, strict=True):
        assert_allclose(x, y, rtol=1e-12, atol=1e-12)


# Values ---------------------------------------------------------------------------------------


@given(SEQUENCES, st.sampled_from(STRATEGIES))
def test_statistics_are_imputed_as_by_simple_imputer(X, strategy):
    values = statistics(X, strategy, 7.0)
    imputer = StepImputer(strategy, fill_value=7.0)
    out = imputer.fit_transform(X)
    assert_allclose(imputer.statistics_, values, rtol=1e-12, atol=1e-12)
    assert_same(out, without_absent(X, [np.where(np.isnan(x), values, x) for x in X]))


@given(SEQUENCES, st.sampled_from(STRATEGIES))
def test_ffill_is_that_of_pandas_and_a_statistic_before_it(X, leading):
    values = statistics(X, leading, 7.0)
    out = StepImputer(leading=leading, fill_value=7.0).fit_transform(X)
    filled = [pd.DataFrame(x).ffill().fillna(dict(enumerate(values))).to_numpy() for x in X]
    assert_same(out, without_absent(X, filled))


@given(SEQUENCES)
def test_bfill_is_that_of_pandas_for_leading_gaps(X):
    values = statistics(X, "mean")
    out = StepImputer(leading="bfill").fit_transform(X)
    filled = [pd.DataFrame(x).ffill().bfill().fillna(dict(enumerate(values))) for x in X]
    assert_same(out, without_absent(X, filled))


def test_statistics_are_those_of_the_fit():
    imputer = StepImputer("mean").fit([np.array([[1.0, 2.0], [3.0, NAN]])])
    assert_array_equal(imputer.transform([[[NAN, 9.0]], [[9.0, NAN]]]), [[[2, 9]], [[9, 2]]])


ABSENT = ["keep", "impute", "impute_end"]


@given(SEQUENCES, st.sampled_from(["ffill", *STRATEGIES]), st.sampled_from(ABSENT))
def test_no_value_comes_from_later_in_the_sequence(X, strategy, absent):
    imputer = StepImputer(strategy, absent=absent, add_indicator=True, add_time_since=True).fit(X)
    for x, whole in zip(X, imputer.transform(X), strict=True):
        present = np.flatnonzero(~np.isnan(x).all(axis=1))
        for t in present + 1 if absent == "impute" else range(1, len(x) + 1):
            assert_array_equal(imputer.transform([x[:t]])[0], whole[:t])


# Absent steps ---------------------------------------------------------------------------------


def test_absent_steps_stay_absent_unless_they_are_to_be_imputed():
    x = np.array([[NAN, NAN], [1.0, 2.0], [NAN, NAN], [3.0, NAN], [NAN, NAN]])
    kept = [[NAN, NAN], [1, 2], [NAN, NAN], [3, 2], [NAN, NAN]]
    assert_array_equal(StepImputer().fit_transform([x])[0], kept)
    imputed = [[NAN, NAN], [1, 2], [1, 2], [3, 2], [NAN, NAN]]
    assert_array_equal(StepImputer(absent="impute").fit_transform([x])[0], imputed)
    to_the_end = [[NAN, NAN], [1, 2], [1, 2], [3, 2], [3, 2]]
    assert_array_equal(StepImputer(absent="impute_end").fit_transform([x])[0], to_the_end)
    means = [[NAN, NAN], [1, 2], [2, 2], [3, 2], [2, 2]]
    assert_array_equal(StepImputer("mean", absent="impute_end").fit_transform([x])[0], means)
    nothing = np.full((2, 2), NAN)
    for absent in ("impute", "impute_end"):
        assert_array_equal(StepImputer(absent=absent).fit([x]).transform([nothing])[0], nothing)


@pytest.mark.parametrize(
    "X",
    [
        [[NAN, 1.0, NAN, NAN], [NAN], [NAN, NAN, 2.0]],
        np.array([[[NAN], [1.0], [NAN]], [[NAN], [NAN], [NAN]], [[1.0], [2.0], [NAN]]]),
        np.array([[NAN, 1.0, NAN], [NAN, NAN, NAN], [1.0, NAN, NAN]]),
        [np.float32([1.0, NAN]), np.float32([2.0])],
    ],
    ids=["lists", "array", "table", "float32"],
)
def test_the_ends_of_sequences_are_imputed_in_every_container(X):
    imputer = StepImputer(absent="impute_end", add_indicator=True, add_time_since=True)
    for x, out in zip(X, imputer.fit_transform(X), strict=True):
        steps = np.reshape(out, (len(x), 3))
        expected = pd.Series(np.ravel(x)).ffill().to_numpy()
        assert_array_equal(steps[:, 0], expected)
        known = ~np.isnan(expected)
        assert_array_equal(steps[known, 1], np.isnan(np.ravel(x)[known]))
        assert_array_equal(steps[known, 2], time_since(np.reshape(x, (-1, 1)))[known, 0])
        assert steps.dtype == np.asarray(x).dtype


def test_with_one_feature_every_missing_value_is_an_absent_step():
    X = [[1.0, NAN, 3.0, NAN], [4.0]]
    assert_array_equal(StepImputer().fit_transform(X)[0], X[0])
    assert_array_equal(StepImputer(absent="impute").fit_transform(X)[0], [1, 1, 3, NAN])


@given(SEQUENCES, st.sampled_from(ABSENT[:2]), st.sampled_from(["mean", "bfill"]))
def test_padded_sequences_are_imputed_as_ragged_ones(X, absent, leading):
    imputer = StepImputer(leading=leading, absent=absent, add_indicator=True, add_time_since=True)
    ragged = imputer.fit_transform(X)
    padded = imputer.fit_transform(pad_sequences(X))
    assert_array_equal(padded, pad_sequences(ragged))


# Masks and times ------------------------------------------------------------------------------


@given(SEQUENCES)
def test_the_indicator_is_that_of_scikit_learn_for_all_features(X):
    out = StepImputer(add_indicator=True).fit_transform(X)
    masks = [MissingIndicator(features="all").fit_transform(x) for x in X]
    assert_same([x[:, 2:] for x in out], without_absent(X, masks))


def time_since(x):
    """Che et al. (2018), eq. 2, with steps as times, from the first step that is present."""
    observed = ~np.isnan(x)
    delta, start = np.zeros(x.shape), observed.any(axis=1).argmax()
    for t in range(start + 1, len(x)):
        delta[t] = 1 + np.where(observed[t - 1], 0, delta[t - 1])
    return delta


@given(SEQUENCES)
def test_time_since_is_that_of_the_recursion(X):
    out = StepImputer(add_time_since=True).fit_transform(X)
    assert_same([x[:, 2:] for x in out], without_absent(X, [time_since(x) for x in X]))


# In a pipeline --------------------------------------------------------------------------------


def test_the_estimators_point_to_it_and_learn_from_its_output():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(T, 3)) for T in (4, 2, 5, 3, 4, 2)]
    X[1][1, 0] = X[4][0, 2] = NAN
    net = RNNRegressor(hidden_layer_sizes=3, max_iter=2, tol=0.1, n_iter_no_change=1)
    net.set_params(random_state=0)
    message = "sequence 1, step 1. Impute them by skrnn.preprocessing.StepImputer()"
    with pytest.raises(ValueError, match=re.escape(message)):
        net.fit(X, np.arange(6.0))
    model = make_pipeline(StepImputer(add_indicator=True, add_time_since=True), net)
    expected = model.fit(X, np.arange(6.0)).predict(X)
    assert_allclose(model.predict(pad_sequences(X)), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("strategy", "bfill"),
        ("leading", "ffill"),
        ("fill_value", NAN),
        ("absent", "drop"),
        ("add_indicator", "yes"),
        ("add_time_since", 1.5),
        ("features_per_step", 0),
    ],
)
def test_parameters_out_of_range_are_named(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of StepImputer must be"):
        StepImputer(**{parameter: value}).fit([[1.0]])
