"""Shortened sequences are compared with slices, and means of slices, of each sequence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline

from skrnn import pad_sequences
from skrnn.preprocessing import SequenceShortener

NAN = np.nan
VALUES = st.integers(-9, 9).map(float)
WHOLE = st.lists(
    npst.arrays(np.float64, st.tuples(st.integers(1, 9), st.just(2)), elements=VALUES),
    min_size=1,
    max_size=5,
)
pytestmark = pytest.mark.filterwarnings("ignore:Every sequence of X has one step")
# The methods, on a sequence without absent steps.
BY_HAND = {
    "first": lambda x, k: x[:k],
    "last": lambda x, k: x[-k:],
    "every": lambda x, k: x[::k],
    "mean": lambda x, k: [x[t : t + k].mean(axis=0) for t in range(0, len(x), k)],
}
METHODS = st.sampled_from(list(BY_HAND))


@given(WHOLE, METHODS, st.integers(1, 10))
def test_sequences_are_shortened_as_by_hand(X, method, k):
    out = SequenceShortener(method, k=k).fit_transform(X)
    for shortened, x in zip(out, X, strict=True):
        assert_allclose(shortened, BY_HAND[method](x, k), rtol=1e-12, atol=1e-12)


@given(WHOLE, METHODS, st.integers(1, 10))
def test_padding_is_not_part_of_a_sequence(X, method, k):
    ragged = SequenceShortener(method, k=k).fit_transform(X)
    padded = SequenceShortener(method, k=k).fit_transform(pad_sequences(X))
    assert_array_equal(padded, pad_sequences(ragged))


@given(WHOLE, st.sampled_from(["first", "every", "mean"]), st.integers(1, 10))
def test_no_value_comes_from_later_than_the_same_k_steps(X, method, k):
    shortener = SequenceShortener(method, k=k).fit(X)
    for x, whole in zip(X, shortener.transform(X), strict=True):
        for t in range(k, len(x) + 1, k):
            (prefix,) = shortener.transform([x[:t]])
            assert_array_equal(prefix, whole[: len(prefix)])


X_ABSENT = np.array([NAN, 1.0, NAN, 3.0, 4.0, NAN, NAN, 8.0, NAN])


@pytest.mark.parametrize(
    ("method", "k", "expected"),
    [
        ("first", 3, [1, NAN, 3]),
        ("last", 3, [NAN, NAN, 8]),
        ("last", 9, X_ABSENT),
        ("every", 2, [1, 3, NAN, 8, NAN]),
        ("every", 5, [1, NAN]),
        ("mean", 2, [1, 3.5, NAN, 8, NAN]),
        ("mean", 4, [8 / 3, 8, NAN]),
        ("mean", 1, X_ABSENT),
    ],
)
def test_absent_steps_count_between_others(method, k, expected):
    assert_allclose(SequenceShortener(method, k=k).fit_transform([X_ABSENT])[0], expected)


@pytest.mark.parametrize("method", BY_HAND)
def test_a_sequence_of_absent_steps_alone_stays_absent(method):
    X = [np.full((5, 2), NAN), np.ones((5, 2))]
    absent, present = SequenceShortener(method, k=3).fit_transform(X)
    assert np.isnan(absent).all() and absent.shape == present.shape
    assert_array_equal(SequenceShortener(method, k=3).fit_transform(X[:1])[0], absent)


def test_a_mean_is_that_of_the_observed_values():
    x = np.array([[1.0, NAN], [3.0, NAN], [5.0, 6.0], [NAN, 8.0]])
    assert_array_equal(SequenceShortener("mean", k=2).fit_transform([x])[0], [[2, NAN], [5, 7]])


def test_two_methods_are_combined_in_a_pipeline():
    both = make_pipeline(SequenceShortener("last", k=4), SequenceShortener("mean", k=2))
    assert_array_equal(both.fit_transform([np.arange(9.0)])[0], [5.5, 7.5])


@pytest.mark.parametrize(
    ("parameter", "value"), [("method", "median"), ("k", 0), ("k", 1.5), ("features_per_step", 0)]
)
def test_parameters_out_of_range_are_named(parameter, value):
    message = f"The '{parameter}' parameter of SequenceShortener must be"
    with pytest.raises(ValueError, match=message):
        SequenceShortener(**{parameter: value}).fit([[1.0]])
