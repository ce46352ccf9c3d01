"""Readouts: pooling of the hidden states.

A readout turns the states of all steps of a sequence into one column. `collect` is given the states
of a segment, h (steps, H, width), segment after segment, and `pooled` returns the columns (H,
width). `spread(segment, d)` is the backward pass of a gradient d of these columns: {t: (columns,
dL/dh_t)}.

For inference one step at a time, `fold` adds h to the total of the `count` (columns,) steps so far,
and `value` turns a total into the columns; before the first step, the total is the initial state.
"""

from typing import ClassVar

import numpy as np

from skrnn._data.sequences import Segment
from skrnn._typing import Columns, Floats, Integers, StepGradients, Steps


def every_step(dh: Steps) -> StepGradients:
    """A gradient (steps, H, width) of all columns, as `spread` returns one."""
    return {t: (slice(None), dh_t) for t, dh_t in enumerate(dh)}


class Readout:
    """One column per sequence, of `total` so far."""

    per_step: ClassVar[bool] = False  # whether there is one output per step
    reads_end: ClassVar[bool] = False  # whether earlier steps count through the state alone

    def __init__(self, n_hidden: int, lengths: Integers, width: int, dtype: np.dtype):
        self.total = np.zeros((n_hidden, width), dtype)

    def collect(self, segment: Segment, h: Steps) -> None:
        raise NotImplementedError

    def pooled(self) -> Columns:
        return self.total

    def spread(self, segment: Segment, d: Columns) -> StepGradients:
        raise NotImplementedError

    @staticmethod
    def fold(total: Columns, h: Columns, count: Floats) -> Columns:
        raise NotImplementedError

    @staticmethod
    def value(total: Columns, count: Floats) -> Columns:
        return total


class Last(Readout):
    """The state after the last step."""

    reads_end = True

    def collect(self, segment: Segment, h: Steps) -> None:
        for t, first, last in segment.ends:
            self.total[:, first:last] = h[t - 1, :, first:last]

    def spread(self, segment: Segment, d: Columns) -> StepGradients:
        return {t - 1: (slice(a, b), d[:, a:b]) for t, a, b in segment.ends}

    @staticmethod
    def fold(total: Columns, h: Columns, count: Floats) -> Columns:
        return h


class Mean(Readout):
    """The mean of the states over the steps: d_h_t = d / T for every t."""

    def __init__(self, n_hidden: int, lengths: Integers, width: int, dtype: np.dtype):
        super().__init__(n_hidden, lengths, width, dtype)
        self.count = np.ones(width, dtype)
        self.count[: len(lengths)] = lengths

    def collect(self, segment: Segment, h: Steps) -> None:
        for steps, first, last in segment.spans:
            self.total[:, first:last] += h[:steps, :, first:last].sum(axis=0)

    def pooled(self) -> Columns:
        return self.total / self.count

    def spread(self, segment: Segment, d: Columns) -> StepGradients:
        d_h = d / self.count
        return {t: (slice(0, n), d_h[:, :n]) for t, n in enumerate(segment.running())}

    @staticmethod
    def fold(total: Columns, h: Columns, count: Floats) -> Columns:
        return np.where(count > 0, total, 0) + h

    @staticmethod
    def value(total: Columns, count: Floats) -> Columns:
        return total / np.maximum(count, 1)


class Max(Readout):
    """The greatest value of each unit over the steps; d goes to the first step that has it."""

    def __init__(self, n_hidden: int, lengths: Integers, width: int, dtype: np.dtype):
        super().__init__(n_hidden, lengths, width, dtype)
        self.total[:, : len(lengths)] = -np.inf
        self.when = np.full((n_hidden, width), -1)

    def collect(self, segment: Segment, h: Steps) -> None:
        for steps, first, last in segment.spans:
            block, cols = h[:steps, :, first:last], slice(first, last)
            greatest, when = block.max(axis=0), segment.start + block.argmax(axis=0)
            greater = greatest > self.total[:, cols]
            np.copyto(self.total[:, cols], greatest, where=greater)
            np.copyto(self.when[:, cols], when, where=greater)

    def spread(self, segment: Segment, d: Columns) -> StepGradients:
        d, when = d[:, : segment.width], self.when[:, : segment.width] - segment.start
        unit, column = np.nonzero((when >= 0) & (when < segment.steps))
        dh = np.zeros((segment.steps, *d.shape), d.dtype)
        dh[when[unit, column], unit, column] = d[unit, column]
        return every_step(dh)

    @staticmethod
    def fold(total: Columns, h: Columns, count: Floats) -> Columns:
        return np.maximum(np.where(count > 0, total, -np.inf), h, dtype=h.dtype)


class Step(Last):
    """The state after every step: one output per step. For inference, that is the last one."""

    per_step = True
    reads_end = False


READOUTS: dict[str, type[Readout]] = {"last": Last, "mean": Mean, "max": Max, "step": Step}
