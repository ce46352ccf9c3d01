"""Padded arrays are compared with sequences padded one by one, and restored from them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skrnn import pad_sequences
from skrnn.preprocessing import SequencePadder, SequenceShortener

pytestmark = pytest.mark.filterwarnings("ignore:Every sequence of X has one step")

NAN = np.nan
WHOLE = st.lists(
    npst.arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.just(2)),
        elements=st.integers(-3, 3).map(float),
    ),
    min_size=1,
    max_size=5,
)
SIDES = st.sampled_from(["right", "left"])
VALUE = st.sampled_from([NAN, 0.0, -1.0])


def padded_by_hand(X, T, value, side):
    rows = []
    for x in X:
        padding = np.full((T - len(x), 2), value)
        rows.append(np.concatenate([x, padding] if side == "right" else [padding, x]))
    return np.stack(rows)


@given(WHOLE, VALUE, SIDES, st.booleans(), st.integers(0, 3))
def test_sequences_are_padded_as_by_hand_and_restored(X, value, side, flatten, more):
    T = max(map(len, X)) + more
    padder = SequencePadder(T if more else None, value=value, side=side, flatten=flatten)
    out = padder.fit_transform(X)
    expected = padded_by_hand(X, T, value, side)
    assert_array_equal(out, expected.reshape(len(X), -1) if flatten else expected)
    assert padder.length_ == T
    lengths = None if np.isnan(value) else [len(x) for x in X]
    back = padder.inverse_transform(out, lengths)
    assert back.dtype == object and back.shape == (len(X),)
    assert all(np.array_equal(b, x) for b, x in zip(back, X, strict=True))


@given(WHOLE)
def test_by_default_it_is_pad_sequences(X):
    assert_array_equal(SequencePadder().fit_transform(X), pad_sequences(X))


def test_steps_equal_to_padding_are_kept_by_lengths():
    padded = np.array([[[0.0], [1.0], [0.0], [0.0]]])
    for side, found, by_lengths in (("right", [0, 1], [0, 1, 0]), ("left", [1, 0, 0], [1, 0, 0])):
        padder = SequencePadder(value=0.0, side=side).fit(padded)
        assert padder.inverse_transform(padded)[0].ravel().tolist() == found
        assert padder.inverse_transform(padded, [3])[0].ravel().tolist() == by_lengths


def test_nothing_but_padding_is_restored_as_an_empty_sequence():
    padder = SequencePadder().fit([[1.0, 2.0]])
    assert [len(x) for x in padder.inverse_transform([[[NAN], [NAN]], [[1.0], [NAN]]])] == [0, 1]


def test_masked_values_are_padding():
    padded = np.ma.masked_equal([[1, 9, 9], [2, 3, 9]], 9)
    padder = SequencePadder().fit(padded)
    assert_array_equal(padder.transform(padded)[..., 0], [[1, NAN], [2, 3]])
    assert [x.ravel().tolist() for x in padder.inverse_transform(padded)] == [[1], [2, 3]]


def test_restored_sequences_are_copies():
    padded = np.ones((2, 3, 1))
    padder = SequencePadder(value=0.0).fit(padded)
    padder.inverse_transform(padded)[0][:] = 5
    assert_array_equal(padded, 1)


def test_absent_steps_between_others_are_not_padding():
    out = SequencePadder(value=0.0).fit_transform([[NAN, 1.0, NAN, 2.0, NAN, NAN], [3.0]])
    assert_array_equal(out[:, :, 0], [[1, NAN, 2], [3, 0, 0]])


def test_frames_of_padded_sequences_are_restored_too():
    X = pd.DataFrame([[1.0, 2.0, NAN, NAN], [3.0, 4.0, 5.0, 6.0]])
    padder = SequencePadder(flatten=True, features_per_step=2)
    out = padder.fit_transform(X)
    assert [x.tolist() for x in padder.inverse_transform(out)] == [[[1, 2]], [[3, 4], [5, 6]]]


def test_the_length_is_that_of_the_fit_and_longer_ones_are_refused():
    X = [[1.0], [2.0, 3.0], [4.0, 5.0, 6.0]]
    padder = SequencePadder().fit(X[:2])
    assert padder.transform(X[:1]).shape == (1, 2, 1)
    message = r'Sequence 2 has 3 steps.*\(length=3\).*SequenceShortener\("last", k=2\)'
    with pytest.raises(ValueError, match=message):
        padder.transform(X)
    with pytest.raises(ValueError, match=message):
        SequencePadder(length=2).fit(X)
    cut = make_pipeline(SequenceShortener("last", k=2), padder).fit(X[:2])
    assert_array_equal(cut.transform(X)[:, :, 0], [[1, NAN], [2, 3], [5, 6]])


def test_flattened_and_without_nan_it_suits_any_estimator_of_tables():
    X, y = [[1.0], [1.0, 2.0], [3.0, 4.0, 5.0], [3.0, 4.0]], [0, 0, 1, 1]
    model = make_pipeline(SequencePadder(value=0.0, flatten=True), LogisticRegression())
    assert model.fit(X, y).predict(X).tolist() == y


@pytest.mark.parametrize(
    "X", [np.ones(3), np.ones((2, 3)), np.ones((2, 2, 4)), np.ones((1, 1, 1, 2)), np.ones((0, 2))]
)
def test_what_is_not_padded_sequences_is_refused(X):
    padder = SequencePadder().fit([np.ones((3, 2))])
    with pytest.raises(ValueError, match=r"X has shape .*, expected padded sequences of 2"):
        padder.inverse_transform(X)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1], r"2 integers, .* got shape \(1,\)"),
        ([1.0, 2.0], "2 integers, .* float64"),
        ([1, 4], r"lengths\[1\] is 4, expected a number from 1 to 3"),
        ([0, 1], r"lengths\[0\] is 0"),
    ],
)
def test_lengths_out_of_range_are_named(lengths, message):
    padder = SequencePadder(value=0.0).fit(np.ones((2, 3, 1)))
    with pytest.raises(ValueError, match=message):
        padder.inverse_transform(np.ones((2, 3, 1)), lengths=lengths)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("length", 0), ("value", "nan"), ("side", "post"), ("flatten", 2), ("features_per_step", 0)],
)
def test_parameters_out_of_range_are_named(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of SequencePadder must be"):
        SequencePadder(**{parameter: value}).fit([[1.0]])
