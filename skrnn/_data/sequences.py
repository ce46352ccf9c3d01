"""Sequences of any length as batches of columns, and the segments their time is cut into."""

from itertools import groupby, pairwise
from math import isfinite
from typing import NamedTuple

import numpy as np

COLUMNS = 16  # widths are multiples of it: a column's bits then do not depend on its neighbours


class Run(NamedTuple):
    """Steps start to start + steps of a batch, of the same width.

    The first n sequences go on at `start`. Some may end within the run, and then hear their last
    step again, to no effect: `ends` says which, as (steps from start, first, last) of columns.
    """

    start: int
    steps: int
    n: int
    width: int
    ends: tuple[tuple[int, int, int], ...]

    @property
    def spans(self):
        """All real steps, as (steps, first, last): columns first to last have so many."""
        going_on = self.ends[-1][1] if self.ends else self.n
        return ((self.steps, 0, going_on), *self.ends) if going_on else self.ends

    def running(self):
        """How many sequences have the step, for every step: they are the first columns."""
        counts = np.full(self.steps, self.n)
        for t, first, _ in self.ends:
            counts[t:] = first
        return counts.tolist()


class Sequences:
    """n sequences in values (steps of all, D), one row a step.

    Step t of sequence i is `values[starts[i] + t * stride]`, for t < lengths[i]; a stride of -1
    reads backward. Taking rows moves no values.
    """

    def __init__(self, values, starts, lengths, stride=1):
        self.values, self.starts, self.lengths, self.stride = values, starts, lengths, stride

    @classmethod
    def stacked(cls, values, lengths):
        """From values that have the sequences one below the other."""
        return cls(values, starts_of(lengths), lengths)

    @classmethod
    def empty(cls, lengths, width, dtype):
        """Room for sequences of these lengths."""
        return cls.stacked(np.empty((lengths.sum(), width), dtype), lengths)

    @classmethod
    def from_steps(cls, steps, lengths, present=None):
        """From steps (sum of lengths, D), of which those are left out that are not `present`."""
        if present is not None:
            lengths = np.add.reduceat(present, starts_of(lengths), dtype=np.intp)
            steps = steps[present]
        return cls.stacked(steps, lengths)

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, i):
        return self.values[self.starts[i] : self.starts[i] + self.lengths[i]]

    def __setitem__(self, i, values):
        self.values[self.starts[i] : self.starts[i] + self.lengths[i]] = values

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def bytes(self):
        """What each sequence is, in bytes."""
        data, size = self.values.tobytes(), self.values.itemsize * self.values.shape[1]
        stops = (size * (self.starts + self.lengths)).tolist()
        return [data[a:b] for a, b in zip((size * self.starts).tolist(), stops, strict=True)]

    def take(self, rows):
        return Sequences(self.values, self.starts[rows], self.lengths[rows], self.stride)

    def reversed(self):
        """The same, each read from its last step to its first."""
        ends = self.starts + self.stride * (self.lengths - 1)
        return Sequences(self.values, ends, self.lengths, -self.stride)

    def of(self, values):
        """Other values of the same steps, row for row."""
        return Sequences(values, self.starts, self.lengths, self.stride)

    def rows(self):
        """Row numbers of all steps, sequence by sequence."""
        offsets = np.arange(self.lengths.sum()) - np.repeat(starts_of(self.lengths), self.lengths)
        return np.repeat(self.starts, self.lengths) + self.stride * offsets

    def longest_first(self):
        """Row numbers, longest sequence first."""
        return np.argsort(-self.lengths, kind="stable")

    def steps(self, run):
        """The inputs of a run, (steps, D, n), where the sequences are sorted longest first."""
        times = np.arange(run.start, run.start + run.steps)[:, None]
        if run.ends and run.ends[0][0] < run.steps:  # what ends within repeats its last step
            times = np.minimum(times, self.lengths[: run.n] - 1)
        rows = self.starts[: run.n] + self.stride * times
        return self.values.take(rows, axis=0).transpose(0, 2, 1)

    def put(self, run, values):
        """Write the real steps of a run, given as (steps, D, width)."""
        for steps, first, last in run.spans:
            times = np.arange(run.start, run.start + steps)[:, None]
            rows = self.starts[first:last] + self.stride * times
            self.values[rows] = values[:steps, :, first:last].transpose(0, 2, 1)

    def runs(self, *, longest=None, exact=False):
        """Cut the time of a batch, sorted longest first, where its width changes.

        No run has more than `longest` steps; none goes on where a sequence ends if `exact`.
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
            yield Run(start, stop - start, n, width_of(n), tuple(ends))


def width_of(n):
    """Columns of an array that holds n sequences.

    Not a multiple of 1024: rows 4 kB apart share lines of the first cache, and products with them
    take up to half as long again.
    """
    width = -(-n // COLUMNS) * COLUMNS
    return width + COLUMNS if width and width % 1024 == 0 else width


def present_steps(steps):
    """Which steps are there; None for all of them. A step whose features are all NaN is absent."""
    return None if is_finite(steps) else ~np.isnan(steps).all(axis=1)


def is_finite(values):
    """Whether no value is infinite or NaN, at the cost of a sum of squares where it can tell."""
    return isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def starts_of(lengths):
    return np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.intp)
