"""Samples: what belongs to what, and an order that depends on nothing the user chose."""

import numpy as np
import pytest

from skrnn._data.samples import Samples, sort_ties
from skrnn._data.sequences import Sequences


def make(lengths, D=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(T, D)) for T in lengths]


def batch(items):
    return Sequences.stacked(np.concatenate(items), np.array([len(x) for x in items]))


# targets and weights --------------------------------------------------------------------------


def make_samples(*, per_step, n_outputs=1):
    rng, sequences = np.random.default_rng(1), batch(make([3, 1, 4, 2]))
    n = 10 if per_step else 4
    weight = np.array([1.0, 0.0, 2.0, 0.0, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0])[:n]
    return Samples(sequences, rng.normal(size=(n, n_outputs)), weight, per_step=per_step)


def test_targets_are_taken_with_their_sequences():
    samples = make_samples(per_step=False)._replace(groups=np.array([7, 8, 9, 7]))
    taken = samples.take(np.array([2, 0]))
    for i, own in enumerate((2, 0)):
        np.testing.assert_array_equal(taken.sequences[i], samples.sequences[own])
    np.testing.assert_array_equal(taken.targets, samples.targets[[2, 0]])
    np.testing.assert_array_equal(taken.weight, samples.weight[[2, 0]])
    assert taken.groups.tolist() == [9, 7]


def test_targets_of_steps_are_taken_with_their_sequences():
    samples = make_samples(per_step=True)
    targets, weight = samples.take(np.array([2, 1])).flat()
    np.testing.assert_array_equal(targets, samples.targets[[4, 5, 6, 7, 3]])
    np.testing.assert_array_equal(weight, samples.weight[[4, 5, 6, 7, 3]])
    assert samples.take(np.array([2, 1])).weights_of_sequences().tolist() == [1.5, 0.0]
    lengths = samples.longest_first().sequences.lengths
    assert lengths.tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize("per_step", [False, True])
def test_valid_are_targets_whose_weight_is_not_zero(per_step):
    samples = make_samples(per_step=per_step)
    targets, weight = samples.valid()
    kept = samples.weight > 0
    np.testing.assert_array_equal(targets, samples.targets[kept])
    np.testing.assert_array_equal(weight, samples.weight[kept])


def test_valid_goes_by_any_weight_of_several_outputs():
    samples = make_samples(per_step=False, n_outputs=2)
    weight = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    np.testing.assert_array_equal(samples._replace(weight=weight).valid()[1], weight[[0, 2]])


def test_numbers_of_classes_stay_integers():
    samples = make_samples(per_step=False).astype(np.dtype(np.float32))
    assert samples.targets.dtype == samples.weight.dtype == np.float32
    codes = samples._replace(targets=np.zeros((4, 1), int)).astype(np.dtype(np.float32))
    assert codes.targets.dtype == int


# canonical order ------------------------------------------------------------------------------


def described(items, y, weight):
    """What becomes of samples in canonical order: (sequence, target, weight)."""
    samples = Samples(batch(items), y, weight).in_canonical_order()
    return [
        (sequence.tobytes(), tuple(target), w)
        for sequence, target, w in zip(
            samples.sequences, samples.targets, samples.weight, strict=True
        )
    ]


def test_weights_of_steps_add_up_step_by_step_where_the_same_steps_count():
    items = make([3, 2])
    items = [items[0], items[1], items[0].copy(), items[0].copy()]
    y = [np.array([[0.0], [1.0], [0.0]]), np.array([[1.0], [1.0]])]
    weight = np.array([1.0, 0.0, 2.0, 1.0, 1.0, 3.0, 0.0, 0.5, 1.0, 1.0, 1.0])
    targets = np.concatenate([y[0], y[1], y[0], y[0]])
    merged = Samples(batch(items), targets, weight, per_step=True).in_canonical_order()
    assert merged.sequences.lengths.tolist() == [2, 3, 3]
    targets, weights = merged.flat()
    np.testing.assert_array_equal(targets, np.concatenate([y[1], y[0], y[0]]))
    np.testing.assert_array_equal(weights, [1, 1, 4, 0, 2.5, 1, 1, 1])


def test_what_is_missing_tells_samples_apart_whatever_stands_in_its_place():
    items, y = make([2, 2, 2]), np.array([[0.0, 3.0], [2.0, 0.0], [1.0, 2.0]])
    items[1] = items[0].copy()
    weight = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    orders = []
    for shift in (-10.0, 0.0, 10.0):
        targets = np.where(weight > 0, y + shift, 0.0)
        ordered = Samples(batch(items), targets, weight).in_canonical_order()
        orders.append(ordered.weight.tolist())
    assert orders == [orders[0]] * 3 and len(orders[0]) == 3


def test_the_weight_of_a_sequence_is_the_sum_over_its_outputs():
    weight = np.array([[1.0, 0.5], [0.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    samples = make_samples(per_step=False, n_outputs=2)._replace(weight=weight)
    assert samples.weights_of_sequences().tolist() == [1.5, 0.0, 2.0, 2.0]
    per_step = make_samples(per_step=True, n_outputs=2)._replace(weight=np.ones((10, 2)))
    assert per_step.weights_of_sequences().tolist() == [6.0, 2.0, 8.0, 4.0]


@pytest.fixture
def data():
    items = make([3, 1, 3, 2, 2, 3])
    items[2] = items[0].copy()  # the same sequence, another target
    items[4] = items[3].copy()  # a sample that comes twice
    y = np.array([[0.0], [1.0], [1.0], [2.0], [2.0], [0.0]])
    return items, y, np.array([1.0, 2.0, 3.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_samples_does_not_matter(data, seed):
    items, y, weight = data
    p = np.random.default_rng(seed).permutation(len(items))
    assert described([items[i] for i in p], y[p], weight[p]) == described(*data)


def test_a_sample_repeated_is_one_of_that_weight(data):
    items, y, weight = data
    repeats = np.repeat(np.arange(len(items)), weight.astype(int))
    again = described([items[i] for i in repeats], y[repeats], np.ones(len(repeats)))
    assert again == described(*data)


def test_equal_samples_are_merged_and_their_weights_add_up(data):
    items, _, weight = data
    merged = {(sequence, target): w for sequence, target, w in described(*data)}
    assert merged[items[3].tobytes(), (2.0,)] == 2
    assert len(merged) == len(described(*data)) == 5
    assert sum(merged.values()) == weight.sum()


def test_samples_of_equal_sequence_and_other_target_are_not_merged(data):
    items, _, _ = data
    targets = {
        target: w for sequence, target, w in described(*data) if sequence == items[0].tobytes()
    }
    assert targets == {(0.0,): 1, (1.0,): 3}


def order_of(sequences):
    """Numbers of sequences of one length in the order of their values, and which are tied."""
    order = np.arange(len(sequences))
    tied = order > 0
    sort_ties(order, tied, sequences)
    return order, tied


AT_ONCE = pytest.mark.parametrize("at_once", [1, 7, 2**16])


@AT_ONCE
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.intp, np.uint8])
def test_order_is_that_of_values_however_many_are_compared_at_once(dtype, at_once, monkeypatch):
    monkeypatch.setattr("skrnn._data.samples.VALUES_AT_ONCE", at_once)
    rng = np.random.default_rng(5)
    values = rng.standard_normal(300) * 10.0 ** rng.integers(-30, 30, 300)
    values = np.concatenate([values, [0.0, 1.0, -1.0], [1e-40, -1e-40]])
    if np.dtype(dtype).kind != "f":
        values = rng.integers(0 if dtype is np.uint8 else -9, 256, 300)
    values = values.astype(dtype)
    sequences = Sequences.stacked(values[:, None], np.ones(len(values), dtype=int))
    order, tied = order_of(sequences)
    np.testing.assert_array_equal(values[order], np.sort(values))
    assert np.count_nonzero(~tied) == len(np.unique(values))


def test_zero_and_minus_zero_are_tied():
    sequences = Sequences.stacked(np.array([[0.0], [-0.0], [0.0]]), np.ones(3, dtype=int))
    order, tied = order_of(sequences)
    assert order.tolist() == [0, 1, 2] and tied.tolist() == [False, True, True]


def by_definition(samples):
    """Order, number of the first of its equals for each, and added weights: one by one."""
    n = len(samples.sequences)
    each = samples.sequences.of if samples.per_step else list
    targets, weights = each(samples.targets), each(samples.weight.copy())

    def key(i):
        counts = [weights[i] > 0, targets[i], samples.sequences[i] + 0.0]
        numbers = [np.ravel(values).tolist() for values in counts]
        group = 0 if samples.groups is None else samples.groups[i]
        return len(samples.sequences[i]), *numbers[:2], group, numbers[2]

    bits = [weights[i].tobytes() for i in range(n)]
    keys = [key(i) for i in range(n)]
    order = sorted(range(n), key=lambda i: (*keys[i], bits[i]))
    firsts = {}
    for i in order:
        first = firsts.setdefault(str(keys[i]), i)
        if first != i:
            weights[first] += weights[i]
    kept = list(firsts.values())
    return kept, [firsts[str(keys[i])] for i in range(n)], [weights[i] for i in kept]


@AT_ONCE
@pytest.mark.parametrize("per_step", [False, True])
def test_order_and_merging_are_those_of_the_definition(per_step, at_once, monkeypatch):
    monkeypatch.setattr("skrnn._data.samples.VALUES_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    for _ in range(100):
        n, D, K = rng.integers(1, 30), rng.integers(1, 4), rng.integers(1, 3)
        lengths = rng.integers(1, rng.integers(2, 6), n)
        values = rng.integers(-1, rng.integers(1, 3), (lengths.sum(), D)) * rng.choice([-1.0, 0.5])
        n_rows = lengths.sum() if per_step else n
        targets = rng.integers(0, 2, (n_rows, K)) * rng.choice([1, -0.3])
        weight = rng.choice([0.1, 0.2, 0.3], (n_rows, K))
        weight = weight * rng.integers(0, 2, (n_rows, K)) if rng.integers(2) else weight[:, 0]
        groups = rng.integers(0, 3, n) if rng.integers(2) else None
        sequences = Sequences.stacked(values.astype(rng.choice([np.float32, np.float64])), lengths)
        samples = Samples(sequences, targets, weight, groups, per_step).numbered()
        kept, merged_into, weights = by_definition(samples)
        ordered = samples.in_canonical_order()
        assert ordered.rows.tolist() == kept
        assert ordered.merged_into.tolist() == merged_into
        np.testing.assert_array_equal(
            ordered.flat()[1],
            np.concatenate(weights).reshape(len(ordered.flat()[1]), *weight.shape[1:])
            if per_step
            else weights,
        )
