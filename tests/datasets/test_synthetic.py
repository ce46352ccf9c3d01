"""Targets are computed again from the sequences, step by step."""

from collections import Counter
from functools import reduce
from itertools import pairwise
from operator import xor

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from skrnn.datasets import (
    make_adding_problem,
    make_copy,
    make_delayed_recall,
    make_parity,
    make_phonotactics,
    make_temporal_order,
)


def sum_of_marked(x):
    return sum(value for value, marker in x.tolist() if marker == 1)


def order_of_relevant(x):
    word = "".join("XY"[s] for s in (x.argmax(axis=1) - (x.shape[1] - 2)) if s >= 0)
    return ["XX", "XY", "YX", "YY"].index(word)


def parity_of_bits(x):
    return reduce(xor, (int(bit) for (bit,) in x))


def first_symbol(x):
    return x[0].tolist().index(1)


def language(word):
    consonants, vowels = word[::2], word[1::2]
    agree = [(v in "aou") == (w in "aou") for v, w in pairwise(vowels)]
    assert all(agree) or not any(agree)
    return 2 * (not agree[0]) + (consonants[0] != consonants[-1])


# The function that computes the target, the features per step, the shortest length.
TASKS = {
    make_adding_problem: (sum_of_marked, 2, 2),
    make_temporal_order: (order_of_relevant, 6, 2),
    make_parity: (parity_of_bits, 1, 1),
    make_delayed_recall: (first_symbol, 4, 1),
}
CLASSES = {make_temporal_order: 4, make_parity: 2, make_delayed_recall: 4, make_phonotactics: 4}
SHORTEST = {**{make: shortest for make, (*_, shortest) in TASKS.items()}, make_phonotactics: 2}
every_task = pytest.mark.parametrize("make", TASKS)
every_generator = pytest.mark.parametrize("make", SHORTEST)


@every_task
@pytest.mark.parametrize("min_length", [None, 3, 17])
def test_target_follows_from_the_sequence(make, min_length):
    X, y = make(300, length=17, min_length=min_length, random_state=0)
    solve = TASKS[make][0]
    assert [solve(x) for x in X] == y.tolist()


@every_task
def test_shortest_sequences(make):
    solve, width, shortest = TASKS[make]
    X, y = make(50, length=shortest, random_state=0)
    assert X.shape == (50, shortest, width)
    assert [solve(x) for x in X] == y.tolist()


@every_task
def test_equal_lengths_are_one_array(make):
    X, y = make(7, length=11, random_state=0)
    assert (X.dtype, X.shape) == (np.float64, (7, 11, TASKS[make][1]))
    assert y.shape == (7,)


@every_task
def test_ragged_lengths_fill_their_range(make):
    X, y = make(400, length=12, min_length=4, random_state=0)
    assert X.dtype == object
    assert X.shape == y.shape == (400,)
    assert {len(x) for x in X} == set(range(4, 13))
    assert all(x.dtype == np.float64 and x.shape[1:] == (TASKS[make][1],) for x in X)


@every_task
@pytest.mark.parametrize("n_samples", [1, 3])
def test_min_length_alone_decides_the_container(make, n_samples):
    X, _ = make(n_samples, length=6, min_length=6, random_state=0)
    assert X.shape == (n_samples,)
    assert X[0].shape == (6, TASKS[make][1])


@every_task
@pytest.mark.parametrize("min_length", [None, 5])
def test_seed_determines_the_data(make, min_length):
    def flat(seed):
        X, y = make(30, length=9, min_length=min_length, random_state=seed)
        return np.concatenate([*X, np.repeat(y[:, None], X[0].shape[1], axis=1)]).tolist()

    assert flat(3) == flat(3) == flat(np.random.RandomState(3))
    assert flat(3) != flat(4)


@pytest.mark.parametrize("make", CLASSES)
@pytest.mark.parametrize("min_length", [None, 5])
def test_classes_are_balanced(make, min_length):
    _, y = make(4000, length=10, min_length=min_length, random_state=0)
    assert y.dtype.kind == "i"
    fractions = np.bincount(y) / len(y)
    assert len(fractions) == CLASSES[make]
    assert np.abs(fractions - 1 / CLASSES[make]).max() < 0.03


@pytest.mark.parametrize("length", [2, 7, 10])
def test_adding_marks_any_step_of_either_half(length):
    X, _ = make_adding_problem(1000, length=length, random_state=0)
    samples, steps = np.nonzero(X[:, :, 1])
    assert_array_equal(samples, np.repeat(np.arange(1000), 2))
    assert set(steps[::2].tolist()) == set(range(length // 2))
    assert set(steps[1::2].tolist()) == set(range(length // 2, length))


def test_adding_values_are_uniform_and_markers_binary():
    X, y = make_adding_problem(2000, length=20, random_state=0)
    counts, _ = np.histogram(X[:, :, 0], bins=10, range=(0, 1))
    assert counts.sum() == 40_000
    assert np.abs(counts / 4000 - 1).max() < 0.1
    assert set(X[:, :, 1].ravel().tolist()) == {0, 1}
    assert abs(np.mean((y - 1) ** 2) - 1 / 6) < 0.01


def test_order_shows_relevant_symbols_where_the_paper_does():
    X, _ = make_temporal_order(1000, random_state=0)
    samples, steps = np.nonzero(X[:, :, 4:].any(axis=2))
    assert_array_equal(samples, np.repeat(np.arange(1000), 2))
    assert set(steps[::2].tolist()) == set(range(10, 21))
    assert set(steps[1::2].tolist()) == set(range(50, 61))


@pytest.mark.parametrize("length", range(2, 30))
def test_order_keeps_early_before_late(length):
    X, y = make_temporal_order(40, length=length, n_distractors=1, random_state=0)
    assert_array_equal(X[:, :, 1:].sum(axis=(1, 2)), 2)
    assert [order_of_relevant(x) for x in X] == y.tolist()


WORDS = {
    "one length": {"length": 7},
    "any length": {"length": 9, "min_length": 3},
    "shortest": {"length": 2},
}


@pytest.mark.parametrize("sizes", WORDS.values(), ids=WORDS)
def test_language_follows_from_the_word(sizes):
    X, y = make_phonotactics(300, **sizes, random_state=0)
    assert X.dtype == object and X.shape == y.shape == (300,)
    assert all(type(word) is str for word in X)
    assert [language(word) for word in X] == y.tolist()
    longest = sizes["length"]
    syllables = range(sizes.get("min_length", longest), longest + 1)
    assert {len(word) for word in X} == {2 * n for n in syllables}


def test_seed_determines_the_words():
    def pairs(seed):
        X, y = make_phonotactics(30, min_length=3, random_state=seed)
        return list(zip(X, y.tolist(), strict=True))

    assert pairs(3) == pairs(3) == pairs(np.random.RandomState(3))
    assert pairs(3) != pairs(4)


def test_n_grams_determine_the_rule_of_vowels_and_not_that_of_consonants():
    X, y = make_phonotactics(4000, length=6, min_length=3, random_state=0)
    counts = CountVectorizer(analyzer="char", ngram_range=(1, 3)).fit_transform(X)
    model = LogisticRegression(C=0.1, max_iter=1000).fit(counts[:2000], y[:2000])
    predicted, actual = model.predict(counts[2000:]), y[2000:]
    assert np.mean(predicted // 2 == actual // 2) > 0.98
    assert abs(np.mean(predicted % 2 == actual % 2) - 0.5) < 0.04


@pytest.mark.parametrize(
    ("make", "alphabet"),
    [
        (make_temporal_order, {"n_distractors": 3}),
        (make_delayed_recall, {"n_symbols": 5}),
    ],
)
def test_symbols_are_one_hot_and_all_occur(make, alphabet):
    X, _ = make(200, length=10, **alphabet, random_state=0)
    assert X.shape[2] == 5
    assert set(X.ravel().tolist()) == {0, 1}
    assert_array_equal(X.sum(axis=2), 1)
    assert X.any(axis=(0, 1)).all()


def test_recall_hides_the_class_in_the_first_step_alone():
    X, y = make_delayed_recall(4000, length=3, n_symbols=2, random_state=0)
    pairs = Counter(zip(y.tolist(), X[:, -1].argmax(axis=1).tolist(), strict=True))
    assert len(pairs) == 4
    assert all(abs(count / 4000 - 0.25) < 0.03 for count in pairs.values())


@pytest.mark.parametrize("min_length", [None, 1])
def test_parity_per_step_is_that_of_every_prefix(min_length):
    task = {"length": 9, "min_length": min_length, "random_state": 0}
    X, y = make_parity(200, per_step=True, **task)
    X_whole, y_whole = make_parity(200, **task)
    assert y.shape == X.shape[:2]
    for x, classes, x_whole, last in zip(X, y, X_whole, y_whole, strict=True):
        assert classes.tolist() == [parity_of_bits(x[: t + 1]) for t in range(len(x))]
        assert_array_equal(x, x_whole)
        assert classes[-1] == last


def copied(x, n_copied):
    """The classes: blank at each step up to the marker, then the word."""
    shown, marker = x.argmax(axis=1), x.shape[1] - 1
    until_marker = shown.tolist().index(marker) + 1
    return [marker - 1] * until_marker + shown[:n_copied].tolist()


@pytest.mark.parametrize("min_delay", [None, 1])
@pytest.mark.parametrize("n_copied", [1, 4])
def test_copy_follows_from_the_sequence(n_copied, min_delay):
    X, y = make_copy(300, delay=7, min_delay=min_delay, n_copied=n_copied, random_state=0)
    assert [copied(x, n_copied) for x in X] == [classes.tolist() for classes in y]
    assert {len(x) - 2 * n_copied for x in X} == set(range(min_delay or 7, 8))


def test_copy_shows_a_word_a_marker_and_blanks():
    X, _ = make_copy(500, delay=4, n_copied=3, n_symbols=5, random_state=0)
    assert (X.dtype, X.shape) == (np.float64, (500, 10, 7))
    assert_array_equal(X.sum(axis=2), 1)
    shown = X.argmax(axis=2)
    assert set(shown[:, :3].ravel().tolist()) == set(range(5))
    assert_array_equal(shown[:, 3:], np.tile([5, 5, 5, 6, 5, 5, 5], (500, 1)))


@pytest.mark.parametrize("min_delay", [None, 2])
def test_copy_seed_determines_the_data(min_delay):
    def flat(seed):
        X, y = make_copy(30, delay=9, min_delay=min_delay, random_state=seed)
        return np.column_stack([np.concatenate(list(X)), np.concatenate(list(y))]).tolist()

    assert flat(3) == flat(3) == flat(np.random.RandomState(3))
    assert flat(3) != flat(4)


@pytest.mark.parametrize("name", ["n_samples", "delay", "min_delay", "n_copied", "n_symbols"])
def test_copy_refuses_by_name(name):
    with pytest.raises(ValueError, match=f"^{name} "):
        make_copy(**{name: 0})
    with pytest.raises(TypeError, match=f"^{name} "):
        make_copy(**{name: 2.5})


@every_generator
@pytest.mark.parametrize(
    ("name", "value"),
    [("n_samples", 0), ("length", 0), ("min_length", 0), ("min_length", 100)],
)
def test_sizes_out_of_range_are_refused_by_name(make, name, value):
    with pytest.raises(ValueError, match=f"^{name} "):
        make(**{"n_samples": 5, "length": 9, name: value})


@every_generator
@pytest.mark.parametrize("name", ["length", "min_length"])
def test_lengths_below_the_shortest_are_refused(make, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        make(**{"length": 9, name: SHORTEST[make] - 1})


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [(make_temporal_order, "n_distractors", 0), (make_delayed_recall, "n_symbols", 1)],
)
def test_alphabets_too_small_are_refused_by_name(make, name, value):
    with pytest.raises(ValueError, match=f"^{name} "):
        make(**{name: value})


@every_generator
@pytest.mark.parametrize("name", ["n_samples", "length", "min_length"])
def test_fractions_are_refused_by_name(make, name):
    with pytest.raises(TypeError, match=f"^{name} "):
        make(**{name: 7.5})
