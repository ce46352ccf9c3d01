"""Sequences: the segments their time is cut into, strides, and what users hand in."""

from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skrnn import as_sequences, pad_sequences
from skrnn._data.containers import kind_of
from skrnn._data.sequences import COLUMNS, Sequences, is_finite, present_steps, width_of


def make(lengths, D=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(T, D)) for T in lengths]


def lengths_of(items):
    return np.array([len(x) for x in items])


def batch(items):
    steps = np.concatenate(items)
    sequences, present = Sequences.stacked(steps, lengths_of(items)), present_steps(steps)
    return sequences if present is None else sequences.only(present)


LENGTHS = {
    "one step": [1],
    "one sequence": [7],
    "equal": [4] * 5,
    "all different": [9, 7, 4, 2, 1],
    "ties": [5, 5, 3, 3, 3, 1],
    "more than a block of columns": [*range(40, 0, -1)],
    "unsorted": [2, 8, 1, 8, 3, 3],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scale", [0, 1e-30, 1, "max"])
def test_is_finite_whatever_the_squares_are(scale, bad, dtype):
    scale = np.finfo(dtype).max if scale == "max" else scale
    values = np.full((6, 4), scale, dtype)[::2].T
    if bad is not None:
        values[1, 2] = bad
    assert is_finite(values) == (bad is None)


def test_a_width_has_room_and_is_none_that_is_slow():
    widths = [width_of(n) for n in range(2100)]
    assert widths[0] == 0
    assert widths == sorted(widths)
    for n, width in enumerate(widths):
        assert width >= n and width % COLUMNS == 0
        assert width % 1024 or not n
        assert width - n < COLUMNS or width - COLUMNS in (1024, 2048)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("longest", [None, 1, 3])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_segments_cover_each_real_step_exactly_once(lengths, longest, exact):
    lengths = sorted(lengths, reverse=True)
    segments = list(batch(make(lengths)).segments(longest=longest, exact=exact))
    covered = Counter(
        (t, i)
        for segment in segments
        for t in range(segment.start, segment.start + segment.steps)
        for i in range(segment.n)
        if exact or t < lengths[i]
    )
    assert covered == Counter((t, i) for i, T in enumerate(lengths) for t in range(T))
    starts = np.cumsum([0, *(segment.steps for segment in segments)])
    assert [segment.start for segment in segments] == starts[:-1].tolist()
    for segment in segments:
        assert segment.steps >= 1
        assert longest is None or segment.steps <= longest
        assert segment.width % COLUMNS == 0
        assert 0 <= segment.width - segment.n < COLUMNS


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("longest", [None, 1, 3])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_every_sequence_ends_once_after_its_last_step(lengths, longest, exact):
    lengths = sorted(lengths, reverse=True)
    segments = list(batch(make(lengths)).segments(longest=longest, exact=exact))
    ends = [
        (j, segment.start + t)
        for segment in segments
        for t, first, last in segment.ends
        for j in range(first, last)
    ]
    assert sorted(ends) == list(enumerate(lengths))
    assert all(0 < t <= segment.steps for segment in segments for t, _, _ in segment.ends)


@pytest.mark.parametrize("longest", [None, 3])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_steps_of_the_segments_are_the_inputs_the_last_again_after_the_end(lengths, longest):
    items = make(lengths)
    sequences = batch(items)
    order = sequences.longest_first()
    assert [len(items[i]) for i in order] == sorted(lengths, reverse=True)
    sequences = sequences.take(order)
    for segment in sequences.segments(longest=longest):
        x = sequences.steps(segment)
        assert x.shape == (segment.steps, 2, segment.n)
        for s in range(segment.steps):
            for j in range(segment.n):
                item = items[order[j]]
                t = min(segment.start + s, len(item) - 1)
                np.testing.assert_array_equal(x[s, :, j], item[t])


def test_steps_all_nan_are_dropped_and_values_stay():
    items = make([3, 5, 2])
    holes = [x.copy() for x in items]
    holes[0][1] = holes[1][[0, 4]] = np.nan
    sequences = batch(holes)
    assert sequences.lengths.tolist() == [2, 3, 2]
    for i, kept in enumerate([[0, 2], [1, 2, 3], [0, 1]]):
        np.testing.assert_array_equal(sequences[i], items[i][kept])


def test_take_of_take_is_the_same_sequence():
    items = make([3, 5, 2, 4])
    taken = batch(items).take(np.array([3, 1, 1])).take(np.array([2, 0]))
    assert len(taken) == 2
    np.testing.assert_array_equal(taken[0], items[1])
    np.testing.assert_array_equal(taken[1], items[3])


# strides --------------------------------------------------------------------------------------

A = np.arange(20.0).reshape(10, 2)
STRIDED = {
    "forward": (Sequences.stacked(A[:5], np.array([3, 2])), [[0, 1, 2], [3, 4]]),
    "backward": (Sequences.stacked(A[:5], np.array([3, 2])).reversed(), [[2, 1, 0], [4, 3]]),
    "every other": (
        Sequences(A, np.array([0, 1, 7]), np.array([5, 3, 1]), 2),
        [[0, 2, 4, 6, 8], [1, 3, 5], [7]],
    ),
    "every other, backward": (
        Sequences(A, np.array([0, 1, 7]), np.array([5, 3, 1]), 2).reversed(),
        [[8, 6, 4, 2, 0], [5, 3, 1], [7]],
    ),
    "to the first row, backward": (
        Sequences(A, np.array([2, 9, 0]), np.array([2, 5, 1]), -2),
        [[2, 0], [9, 7, 5, 3, 1], [0]],
    ),
}
STRIDES = pytest.mark.parametrize(("sequences", "rows"), STRIDED.values(), ids=STRIDED)


@STRIDES
def test_indexing_iteration_and_rows_obey_the_stride(sequences, rows):
    assert len(sequences) == len(rows)
    for i, own in enumerate(rows):
        np.testing.assert_array_equal(sequences[i], A[own])
        assert np.shares_memory(sequences[i], sequences.values)
    for steps, own in zip(sequences, rows, strict=True):
        np.testing.assert_array_equal(steps, A[own])
    assert sequences.rows().tolist() == [row for own in rows for row in own]
    apart = sequences.apart()
    np.testing.assert_array_equal(apart.values, A[np.concatenate(rows)])
    assert apart.apart() is apart and apart.lengths.tolist() == [len(own) for own in rows]


def test_sequences_that_share_rows():
    windows = Sequences(A, np.array([0, 2, 4]), np.array([4, 4, 3]))
    assert windows.times_read().tolist() == [1, 1, 2, 2, 2, 2, 1, 0, 0, 0]
    present = np.array([True, False, True, True, False, False, True, True, True, True])
    left = windows.only(present)
    assert len(left.values) == 7
    rows = [[0, 2, 3], [2, 3], [6]]
    assert [steps.tolist() for steps in left] == [A[own].tolist() for own in rows]
    np.testing.assert_array_equal(left.apart().values, A[np.concatenate(rows)])


@STRIDES
def test_assignment_obeys_the_stride(sequences, rows):
    for i, own in enumerate(rows):
        copy, expected = sequences.of(A.copy()), A.copy()
        copy[i] = expected[own] = np.arange(2 * len(own)).reshape(-1, 2) - 100.0
        np.testing.assert_array_equal(copy.values, expected)


@STRIDES
def test_reversed_is_each_sequence_backward_and_twice_the_same(sequences, rows):
    for steps, again, own in zip(
        sequences.reversed(), sequences.reversed().reversed(), rows, strict=True
    ):
        np.testing.assert_array_equal(steps, A[own[::-1]])
        np.testing.assert_array_equal(again, A[own])


@STRIDES
def test_what_is_taken_keeps_the_stride(sequences, rows):
    for steps, own in zip(sequences.take([1, 0, 1]), [rows[i] for i in (1, 0, 1)], strict=True):
        np.testing.assert_array_equal(steps, A[own])
    (steps,) = sequences.take(slice(1, 2))
    np.testing.assert_array_equal(steps, A[rows[1]])


@STRIDES
@pytest.mark.parametrize("longest", [None, 1, 2])
def test_segments_obey_the_stride(sequences, rows, longest):
    order = sequences.longest_first()
    sequences, rows = sequences.take(order), [rows[i] for i in order]
    written = sequences.of(np.full_like(A, np.nan))
    for segment in sequences.segments(longest=longest):
        x = sequences.steps(segment)
        for j, own in enumerate(rows[: segment.n]):
            steps = (own + own[-1:] * segment.steps)[segment.start :][: segment.steps]
            np.testing.assert_array_equal(x[:, :, j], A[steps])
        written.put(segment, x)
    all_rows = sequences.rows()
    np.testing.assert_array_equal(written.values[all_rows], A[all_rows])
    assert np.isnan(np.delete(written.values, all_rows, axis=0)).all()


def test_put_writes_what_steps_reads_forward_and_backward():
    sequences = batch(make([7, 3, 20, 1] * 6))
    sequences = sequences.take(sequences.longest_first())
    for read in (sequences, sequences.reversed()):
        copy = Sequences.empty(sequences.lengths, 2, np.float64)
        write = copy if read.stride == 1 else copy.reversed()
        for segment in read.segments(longest=4):
            write.put(segment, read.steps(segment))
        np.testing.assert_array_equal(copy.values, sequences.values[sequences.rows()])
    np.testing.assert_array_equal(sequences.reversed().rows()[:20], sequences.rows()[:20][::-1])


# kind_of --------------------------------------------------------------------------------------


def objects(items, shape=(-1,)):
    boxes = np.empty(len(items), dtype=object)
    boxes[:] = items
    return boxes.reshape(shape)


RAGGED, UNIVARIATE, EQUAL = make([3, 1, 2]), [x[:, 0] for x in make([3, 1, 2])], make([4] * 3)
TABLE = np.arange(12.0).reshape(3, 4)
FRAMES = [pd.DataFrame(x, columns=["a", "b"]) for x in RAGGED]

TABULAR = {
    "2-D array": TABLE,
    "2-D object array": TABLE.astype(object),
    "array of one column": TABLE[:, :1],
    "pandas": pd.DataFrame(TABLE),
    "pandas of one numeric column": pd.DataFrame(TABLE[:, :1]),
    "polars": pl.DataFrame(TABLE),
    "rectangular list": TABLE.tolist(),
    "rectangular tuple of tuples": tuple(map(tuple, TABLE.tolist())),
}
SEQUENCES = {
    "3-D array": np.stack(EQUAL),
    "3-D object array": np.stack(EQUAL).astype(object),
    "list of (T, D)": RAGGED,
    "tuple of (T, D)": tuple(RAGGED),
    "list of (T,)": UNIVARIATE,
    "list of equal (T,)": list(TABLE),
    "list of one (T,)": [TABLE[0]],
    "list of equal (T, D)": EQUAL,
    "1-D object array": objects(RAGGED),
    "(n, 1) object array": objects(RAGGED, (-1, 1)),
    "1-D object array of (T,)": objects(UNIVARIATE),
    "pandas Series": pd.Series(RAGGED),
    "pandas one column": pd.DataFrame({"x": UNIVARIATE}),
    "pandas Series of lists": pd.Series([x.tolist() for x in UNIVARIATE]),
    "polars Series of lists": pl.Series([x.tolist() for x in UNIVARIATE]),
    "polars Series of objects": pl.Series(RAGGED, dtype=pl.Object),
    "polars one column": pl.DataFrame({"x": [x.tolist() for x in UNIVARIATE]}),
    "pandas frames": FRAMES,
    "polars frames": [pl.DataFrame(x, schema=["a", "b"]) for x in RAGGED],
    "list of pandas Series": [pd.Series(x) for x in UNIVARIATE],
    "ragged list": [x.tolist() for x in UNIVARIATE],
    "list of lists of steps": [x.tolist() for x in RAGGED],
    "rectangular list of lists of steps": np.stack(EQUAL).tolist(),
    # equal lengths do not turn a column of sequences into a table
    "pandas Series of equal lists": pd.Series(TABLE.tolist()),
    "polars Series of equal lists": pl.Series(TABLE.tolist()),
    "polars Series of arrays": pl.Series(TABLE.tolist(), dtype=pl.Array(pl.Float64, 4)),
    "1-D object array of equal lists": objects(TABLE.tolist()),
}


@pytest.mark.parametrize("X", TABULAR.values(), ids=TABULAR)
def test_kind_is_tabular(X):
    assert kind_of(X) == "tabular"


@pytest.mark.parametrize("X", SEQUENCES.values(), ids=SEQUENCES)
def test_kind_is_sequences(X):
    assert kind_of(X) == "sequences"


@pytest.mark.parametrize("fitted", ["tabular", "sequences"])
def test_rectangular_nested_lists_follow_the_kind_of_the_fit(fitted):
    assert kind_of(TABLE.tolist(), fitted) == fitted


@pytest.mark.parametrize("name", ["2-D array", "pandas", "polars", "2-D object array"])
def test_what_is_itself_a_table_does_not_follow_the_fit(name):
    assert kind_of(TABULAR[name], "sequences") == "tabular"


@pytest.mark.parametrize("name", ["3-D array", "list of equal (T,)", "list of (T, D)"])
def test_arrays_are_always_sequences(name):
    assert kind_of(SEQUENCES[name], "tabular") == "sequences"


# as_sequences and pad_sequences ---------------------------------------------------------------


@pytest.mark.parametrize("X", SEQUENCES.values(), ids=SEQUENCES)
def test_as_sequences_is_a_flat_object_array_of_arrays(X):
    boxes = as_sequences(X)
    assert boxes.dtype == object
    assert boxes.ndim == 1
    assert all(type(x) is np.ndarray and x.ndim in (1, 2) for x in boxes)
    assert len(boxes) == len(X)


def test_as_sequences_keeps_values_shapes_and_dtypes():
    items = [np.ones((3, 2), np.float32), np.arange(4), np.zeros((1, 5))]
    for box, item in zip(as_sequences(items), items, strict=True):
        np.testing.assert_array_equal(box, item)
        assert box.dtype == item.dtype


def test_as_sequences_of_equal_lengths_stays_a_list_of_sequences():
    assert as_sequences(EQUAL).shape == (3,)
    assert as_sequences(np.stack(EQUAL)).shape == (3,)
    assert as_sequences([[1.0, 2.0], [3.0, 4.0]]).shape == (2,)


def test_as_sequences_reads_the_rows_of_a_2d_array():
    np.testing.assert_array_equal(np.stack(as_sequences(TABLE)), TABLE)


def test_as_sequences_twice_is_as_sequences_once():
    once = as_sequences(RAGGED)
    for a, b in zip(as_sequences(once), once, strict=True):
        np.testing.assert_array_equal(a, b)


def test_as_sequences_takes_a_generator():
    assert [x.shape for x in as_sequences(x for x in RAGGED)] == [x.shape for x in RAGGED]


def test_pad_sequences_puts_nan_after_each_sequence_and_nothing_else():
    padded = pad_sequences(RAGGED)
    assert padded.shape == (3, 3, 2)
    for row, x in zip(padded, RAGGED, strict=True):
        np.testing.assert_array_equal(row[: len(x)], x)
        assert np.isnan(row[len(x) :]).all()


@pytest.mark.parametrize("name", SEQUENCES)
def test_pad_sequences_is_the_same_for_every_container(name):
    X = SEQUENCES[name]
    reference = [np.asarray(x, dtype=float) for x in as_sequences(X)]
    np.testing.assert_array_equal(pad_sequences(X), pad_sequences(reference))


def test_pad_sequences_flattened_is_time_major():
    np.testing.assert_array_equal(
        pad_sequences(RAGGED, flatten=True), pad_sequences(RAGGED).reshape(3, -1)
    )


def test_pad_sequences_of_equal_lengths_adds_nothing():
    np.testing.assert_array_equal(pad_sequences(EQUAL), np.stack(EQUAL))


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((np.float32, np.float32), np.float32),
        ((np.float32, np.float64), np.float64),
        ((np.float32, np.int64), np.float64),
        ((np.int32, np.bool_), np.float64),
    ],
)
def test_pad_sequences_is_float32_only_where_all_are(dtypes, expected):
    assert (
        pad_sequences([np.ones(3 - i, dtype) for i, dtype in enumerate(dtypes)]).dtype == expected
    )


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([], "no sequence"),
        ([np.ones((2, 2)), np.ones((2, 3))], "Sequence 1.*3 features.*of 2"),
        ([np.ones(2), np.ones(0)], "Sequence 1 is empty"),
        ([np.ones(2), np.array(["a"])], "Sequence 1.*numbers"),
        ([np.ones(2), np.ones((1, 1, 1))], "Sequence 1 has 3 dimensions"),
        ([[[1.0, 2.0]], [[1.0, 2.0], [3.0]]], "Sequence 1 is not rectangular"),
    ],
)
def test_pad_sequences_names_the_bad_sequence(X, words):
    with pytest.raises(ValueError, match=words):
        pad_sequences(X)


def test_as_sequences_names_the_sequence_that_is_not_rectangular():
    with pytest.raises(ValueError, match=r"Sequence 1 is not rectangular"):
        as_sequences([[[1.0, 2.0]], [[1.0, 2.0], [3.0]]])


@pytest.mark.parametrize("function", [as_sequences, pad_sequences])
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_wide_frame_is_read_by_rows_or_refused_but_never_by_columns(function, frame):
    try:
        result = function(frame(dict(zip("abcd", TABLE.T, strict=True))))
    except (TypeError, ValueError) as error:
        assert "frame" in str(error) or "table" in str(error)
    else:
        np.testing.assert_array_equal(np.stack(result).reshape(3, 4), TABLE)
