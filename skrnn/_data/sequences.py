"""Sequences of any length, batches of them as columns, and the segments their time is cut into."""

from collections.abc import Iterator
from itertools import groupby, pairwise
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrnn._typing import Booleans, Columns, Floats, Integers, Rows, Steps

COLUMNS = 16  # widths are multiples of it, so that products of few sequences take the same kernel


class Segment(NamedTuple):
    """Steps `start` to `start + steps` of a batch sorted longest first, in arrays of one width.

    The first `n` columns are sequences that have step `start`. Those that end inside the segment
    are padded by repeating their last input; the padding gets zero gradient. `ends` lists them as
    (steps from start, first column, last column).
    """

    start: int
    steps: int
    n: int
    width: int
    ends: tuple[tuple[int, int, int], ...]

    @property
    def spans(self) -> tuple[tuple[int, int, int], ...]:
        """All steps but padding: (steps, first, last), where columns first to last have these."""
        n_beyond = self.ends[-1][1] if self.ends else self.n
        return ((self.steps, 0, n_beyond), *self.ends) if n_beyond else self.ends

    def running(self) -> list[int]:
        """Number of sequences that have each step: they are the first columns."""
        counts = np.full(self.steps, self.n)
        for t, first, _ in self.ends:
            counts[t:] = first
        counts_as_list: list[int] = counts.tolist()
        return counts_as_list


class Sequences:
    """n sequences in values (steps of all, D), one row per step.

    Step t of sequence i is `values[starts[i] + t * stride]`, for t < lengths[i]; a stride of -1
    reads backward. Taking sequences copies no values. Those of windows share rows.
    """

    def __init__(self, values: Any, starts: Integers, lengths: Integers, stride: int = 1):
        self.values, self.starts, self.lengths, self.stride = values, starts, lengths, stride

    @classmethod
    def stacked(cls, values: Any, lengths: Integers) -> "Sequences":
        """From values that have the sequences one below the other."""
        return cls(values, starts_of(lengths), lengths)

    @classmethod
    def empty(cls, lengths: Integers, width: int, dtype: Any) -> "Sequences":
        """Allocate sequences of these lengths."""
        return cls.stacked(np.empty((lengths.sum(), width), dtype), lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def _rows_of(self, i: int) -> slice:
        """Rows of sequence i: a view of them is its steps in order."""
        start, stride = int(self.starts[i]), self.stride
        stop = start + stride * int(self.lengths[i])
        return slice(start, stop if stop >= 0 else None, stride)

    def __getitem__(self, i: int) -> Rows:
        return self.values[self._rows_of(i)]

    def __setitem__(self, i: int, values: Any) -> None:
        self.values[self._rows_of(i)] = values

    def __iter__(self) -> Iterator[Rows]:
        return (self[i] for i in range(len(self)))

    def take(self, idx: Any) -> "Sequences":
        return Sequences(self.values, self.starts[idx], self.lengths[idx], self.stride)

    def reversed(self) -> "Sequences":
        """The same, each read from its last step to its first."""
        ends = self.starts + self.stride * (self.lengths - 1)
        return Sequences(self.values, ends, self.lengths, -self.stride)

    def of(self, values: Any) -> "Sequences":
        """Other values of the same steps, row for row."""
        return Sequences(values, self.starts, self.lengths, self.stride)

    def only(self, present: Booleans) -> "Sequences":
        """The same without the rows that are not present; read forward."""
        before = np.zeros(len(present) + 1, np.min_scalar_type(len(present)))
        np.cumsum(present, dtype=before.dtype, out=before[1:])
        starts = before[self.starts].astype(np.intp)
        stops = before[self.starts + self.lengths].astype(np.intp)
        return Sequences(self.values[present], starts, stops - starts)

    def apart(self) -> "Sequences":
        """The same one below the other, so that no two share a row: itself if they stand so."""
        starts, n_rows = starts_of(self.lengths), self.lengths.sum()
        if n_rows == len(self.values) and self.stride == 1 and (starts == self.starts).all():
            return self
        return Sequences.stacked(self.values[self.rows()], self.lengths)

    def times_read(self) -> NDArray[np.int32]:
        """Of how many sequences each row is a step; read forward."""
        change = np.zeros(len(self.values) + 1, np.int32)
        np.add.at(change, self.starts, 1)
        np.subtract.at(change, self.starts + self.lengths, 1)
        np.cumsum(change, dtype=change.dtype, out=change)
        return change[:-1]

    def pieces(self, size: int) -> tuple["Sequences", Integers]:
        """The same cut into pieces of at most `size` steps; and of which sequence each is."""
        counts = -(-self.lengths // size)
        of_sequence = np.repeat(np.arange(len(self)), counts)
        first = size * (np.arange(len(of_sequence)) - starts_of(counts)[of_sequence])
        starts = self.starts[of_sequence] + self.stride * first
        lengths = np.minimum(size, self.lengths[of_sequence] - first)
        return Sequences(self.values, starts, lengths, self.stride), of_sequence

    def rows(self) -> Integers:
        """Row numbers of all steps, sequence by sequence."""
        first = self.starts - self.stride * starts_of(self.lengths)
        rows = np.repeat(first, self.lengths)
        rows += np.arange(0, self.stride * len(rows), self.stride)
        return rows

    def longest_first(self) -> Integers:
        """Numbers of the sequences, the longest first."""
        return np.argsort(-self.lengths, kind="stable")

    def steps(self, segment: Segment) -> Steps:
        """Inputs of a segment, (steps, D, n), where the sequences are sorted longest first."""
        times = np.arange(segment.start, segment.start + segment.steps)[:, None]
        if segment.ends and segment.ends[0][0] < segment.steps:  # padding repeats the last input
            times = np.minimum(times, self.lengths[: segment.n] - 1)
        rows = self.starts[: segment.n] + self.stride * times
        return self.values.take(rows, axis=0).transpose(0, 2, 1)

    def put(self, segment: Segment, values: Steps) -> None:
        """Write the steps of a segment but its padding, given as (steps, D, width)."""
        for steps, first, last in segment.spans:
            times = np.arange(segment.start, segment.start + steps)[:, None]
            rows = self.starts[first:last] + self.stride * times
            self.values[rows] = values[:steps, :, first:last].transpose(0, 2, 1)

    def segments(self, *, longest: int | None = None, exact: bool = False) -> Iterator[Segment]:
        """Cut the time of a batch, sorted longest first, where its width changes.

        No segment has more than `longest` steps. If `exact`, none has padding.
        """
        groups, n = [], len(self)  # of equal lengths, shortest first: length, first, last
        for length, group in groupby(reversed(self.lengths.tolist())):
            last, n = n, n - len(list(group))
            groups.append((length, n, last))
        changes = {end for end, n, last in groups if exact or width_of(n) != width_of(last)}
        longest = longest or max(changes)
        cuts, k = sorted(changes.union(range(0, max(changes), longest))), 0
        for start, stop in pairwise(cuts):
            n, ends = groups[k][2], []
            while k < len(groups) and groups[k][0] <= stop:
                length, first, last = groups[k]
                ends.append((length - start, first, last))
                k += 1
            yield Segment(start, stop - start, n, width_of(n), tuple(ends))


def width_of(n: int) -> int:
    """Columns of an array that holds n sequences.

    Not a multiple of 1024: rows 4 kB apart share lines of the first cache, and products with them
    take up to half as long again.
    """
    width = -(-n // COLUMNS) * COLUMNS
    return width + COLUMNS if width and width % 1024 == 0 else width


def widen(columns: Columns, width: int) -> Columns:
    """The same columns, and zeros up to a width."""
    wide = np.zeros((*columns.shape[:-1], width), columns.dtype)
    wide[..., : columns.shape[-1]] = columns
    return wide


def present_steps(steps: Rows) -> Booleans | None:
    """Which steps are present, None for all: not those whose features are all NaN."""
    if is_finite(steps):
        return None
    absent: Booleans = np.all(np.isnan(steps), axis=1)
    return ~absent


def is_finite(values: Floats) -> bool:
    """Whether no value is infinite or NaN, at the cost of a sum of squares where it can tell."""
    return isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def blocks(n_rows: int, size: int = 2**16) -> Iterator[slice]:
    """Some rows at a time."""
    return (slice(start, start + size) for start in range(0, n_rows, size))


def starts_of(lengths: Integers) -> Integers:
    """Where each sequence starts if they stand one below the other."""
    return np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.intp)
