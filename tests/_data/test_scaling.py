"""Mean and deviation of clipped features, over sequences and their weights."""

import numpy as np
import pytest

from _factories import make_sequences
from skrnn._data import scaling
from skrnn._data.scaling import LIMIT, REACH, TAIL, Scaling
from skrnn._data.sequences import Sequences


def stacked(items):
    return Sequences.stacked(np.concatenate(items), np.array([len(x) for x in items]))


def learn(items, weight=None, categorical=()):
    weight = np.ones(len(items)) if weight is None else np.asarray(weight, dtype=float)
    return Scaling.learn(stacked(items), weight, categorical)


def reference(column):
    """Moments within the fences by their definition, of equal weights."""
    ordered = np.sort(column.astype(np.float64))
    k = int(np.ceil(TAIL * len(ordered))) - 1
    low, high = ordered[k], ordered[-1 - k]
    reach = REACH * (high - low)
    clipped = ordered.clip(low - reach, high + reach)
    return clipped.mean(), clipped.std()


@pytest.mark.parametrize("n", [1, 7, 60])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_are_those_of_the_clipped_values(n, dtype):
    items = make_sequences(np.arange(1, n + 1), 3, dtype=dtype)
    found, values = learn(items), np.concatenate(items)
    assert {array.dtype for array in found} == {np.dtype(dtype)}
    for j, column in enumerate(values.T):
        mean, deviation = reference(column)
        if n > 1:
            np.testing.assert_allclose(
                [found.mean[j], found.scale[j]], [mean, deviation], rtol=1e-5
            )
    np.testing.assert_allclose(
        found.apply(values), (values - found.mean) / found.scale, rtol=1e-5, atol=1e-6
    )


def test_beyond_the_limit_features_grow_as_the_logarithm():
    found = Scaling(*np.array([[1.0, 0.0], [2.0, 1.0], [LIMIT, np.inf]]))
    z = np.array([0.0, 9.0, 10.0, 10.01, -10.01, 100.0, -1e300])
    expected = [0, 9, 10, 10.003, -10.003, 10 + 3 * np.log(10), -10 - 3 * 299 * np.log(10)]
    scaled = found.apply(np.column_stack([1 + 2 * z, z]))
    np.testing.assert_allclose(scaled[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(scaled[:, 1], z)
    np.testing.assert_array_equal(scaled[[1]], found.apply_to_few(np.array([[19.0, 9.0]])))


@pytest.mark.parametrize("offset", [0.0, 1e4, 1.7e9])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e6])
def test_what_the_net_reads_does_not_depend_on_units(offset, spread):
    items = make_sequences([50] * 20, 1)
    moved = [offset + spread * x for x in items]
    np.testing.assert_allclose(
        learn(moved).apply(np.concatenate(moved)),
        learn(items).apply(np.concatenate(items)),
        atol=1e-8 + 1e-5 * (offset == 1.7e9) / spread,
    )


@pytest.mark.parametrize("share", [0.001, 0.02])
@pytest.mark.parametrize("size", [-999.0, 1e6])
def test_glitches_hardly_matter(size, share):
    items = make_sequences([50] * 40, 1)
    rng = np.random.default_rng(0)
    glitched = [np.where(rng.random(x.shape) < share, size, x) for x in items]
    found = learn(glitched)
    assert found.scale[0] < 5 * learn(items).scale[0]
    assert np.abs(found.apply(np.concatenate(glitched))).max() < 50


def test_rare_events_are_of_the_order_of_their_usual_size():
    """Zero but for one step in a hundred; and but for a single one."""
    rng = np.random.default_rng(0)
    events = np.where(rng.random((5000, 1)) < 0.01, rng.uniform(2, 4, (5000, 1)), 0.0)
    events[7] = 1e9
    found = learn([events])
    scaled = found.apply(events)
    assert 5 < scaled[events == events[events > 0].min()][0] < np.median(scaled[events > 0]) < 40
    single = np.zeros((1000, 1))
    single[5] = 4.0
    assert learn([single]).apply(single)[5] > 10


@pytest.mark.parametrize("value", [0.0, 3.0, -1e9, 1e-30])
def test_a_constant_becomes_0(value):
    found = learn([np.full((9, 1), value)])
    assert found.scale[0] == 1 and (found.apply(np.full((2, 1), value)) == 0).all()


def test_weights_are_repetitions_to_the_bit():
    items, weight = make_sequences([5, 300, 2, 80], 2), [3, 1, 4, 2]
    repeated = [x for x, w in zip(items, weight, strict=True) for _ in range(w)]
    for a, b in zip(learn(items, weight), learn(repeated), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    doubled = learn(items, [6, 2, 8, 4])
    for a, b in zip(learn(items, weight), doubled, strict=True):
        np.testing.assert_array_equal(a, b)


def test_categories_stay_as_they_are():
    items = [np.column_stack([x[:, 0], np.full(len(x), 300.0)]) for x in make_sequences([9, 4])]
    found = learn(items, categorical=(1,))
    assert (found.apply(np.concatenate(items))[:, 1] == 300).all()


def test_blocks_change_rounding_alone(monkeypatch):
    items = make_sequences([700, 3, 40, 1], 3)
    whole = learn(items)
    monkeypatch.setattr(scaling, "VALUES_AT_ONCE", 64)
    for a, b in zip(learn(items), whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    values = np.concatenate(items)
    np.testing.assert_array_equal(whole.apply(values), whole.apply_to_few(values))


def test_features_whose_spread_float32_cannot_hold():
    times = 1.7e9 + np.arange(400.0)[:, None]
    columns = np.hstack([times, np.arange(400.0)[:, None], np.ones((400, 1))])
    for dtype, expected in ((np.float32, [0]), (np.float64, [])):
        values = columns.astype(dtype)
        assert learn([values]).coarse(values) == expected


def test_features_too_far_apart_are_refused():
    with (
        pytest.raises(ValueError, match="Feature 0 of X is too far apart"),
        np.errstate(all="ignore"),
    ):
        learn([np.array([[1.7e308], [-1.7e308]])])


def table(levels, spread=1.0, n=50):
    rng = np.random.default_rng(0)
    rows = np.asarray(levels) + spread * rng.standard_normal((n, len(levels)))
    return Sequences.stacked(rows.reshape(-1, 1), np.full(n, len(levels)))


def apart(sequences):
    learned = Scaling.learn(sequences, np.ones(len(sequences)), ())
    return scaling.columns_apart(sequences, learned)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0, 0, 0, 0], []),
        ([0, 1, 2, 3], []),
        ([0, 3, -3, 4, 2], []),
        ([0, 0, 500, 0, 0, -90], [2, 5]),
        (np.arange(10) * 100, [0, 1, 7, 8, 9]),
    ],
    ids=str,
)
def test_columns_that_differ_in_level(levels, expected):
    assert apart(table(levels)) == expected


def test_constant_columns_and_ragged_sequences_are_not_compared():
    assert apart(table([0, 500], spread=0.0)) == []
    assert apart(stacked(make_sequences([3, 4], 1))) == []
    assert apart(table([0, 2.7e154], n=1)) == []
