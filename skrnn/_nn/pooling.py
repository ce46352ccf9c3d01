"""Readouts: what of the top layer's states the outputs are read from.

A readout that pools turns the states of all steps of a sequence into one column. `collect` gets the
states of a run, h (steps, H, width), run after run, and `pooled` gives the columns (H, width).
`spread` says where a gradient d of these columns goes within a run: {t: (columns, dL/dh_t)}.

In passing, one step at a time, `fold` takes h into the total of `count` (columns,) steps, and
`value` turns a total into the columns; before the first step, the total is the initial state.
"""

import numpy as np


def at_every_step(dh):
    """A gradient (steps, H, width) of all columns, as `spread` gives one."""
    return {t: (slice(None), dh_t) for t, dh_t in enumerate(dh)}


class Last:
    """The state after the last step."""

    def __init__(self, n_hidden, lengths, width, dtype):
        self.total = np.zeros((n_hidden, width), dtype)

    def collect(self, run, h):
        for t, first, last in run.ends:
            self.total[:, first:last] = h[t - 1, :, first:last]

    def pooled(self):
        return self.total

    def spread(self, run, d):
        return {t - 1: (slice(a, b), d[:, a:b]) for t, a, b in run.ends}

    @staticmethod
    def fold(total, h, count):
        return h

    @staticmethod
    def value(total, count):
        return total


class Mean:
    """The mean of the states over the steps of each sequence."""

    def __init__(self, n_hidden, lengths, width, dtype):
        self.total = np.zeros((n_hidden, width), dtype)
        self.count = np.ones(width, dtype)
        self.count[: len(lengths)] = lengths

    def collect(self, run, h):
        for steps, first, last in run.spans:
            self.total[:, first:last] += h[:steps, :, first:last].sum(axis=0)

    def pooled(self):
        return self.total / self.count

    def spread(self, run, d):
        share = d / self.count
        return {t: (slice(0, n), share[:, :n]) for t, n in enumerate(run.running())}

    @staticmethod
    def fold(total, h, count):
        return np.where(count > 0, total, 0) + h

    @staticmethod
    def value(total, count):
        return total / np.maximum(count, 1)


class Max:
    """The greatest value of each unit over the steps; the first step that has it learns."""

    def __init__(self, n_hidden, lengths, width, dtype):
        self.total = np.zeros((n_hidden, width), dtype)
        self.total[:, : len(lengths)] = -np.inf
        self.when = np.full((n_hidden, width), -1)

    def collect(self, run, h):
        for steps, first, last in run.spans:
            block, columns = h[:steps, :, first:last], slice(first, last)
            greatest, when = block.max(axis=0), run.start + block.argmax(axis=0)
            greater = greatest > self.total[:, columns]
            np.copyto(self.total[:, columns], greatest, where=greater)
            np.copyto(self.when[:, columns], when, where=greater)

    def pooled(self):
        return self.total

    def spread(self, run, d):
        d, when = d[:, : run.width], self.when[:, : run.width] - run.start
        unit, column = np.nonzero((when >= 0) & (when < run.steps))
        dh = np.zeros((run.steps, *d.shape), d.dtype)
        dh[when[unit, column], unit, column] = d[unit, column]
        return at_every_step(dh)

    @staticmethod
    def fold(total, h, count):
        return np.maximum(np.where(count > 0, total, -np.inf), h, dtype=h.dtype)

    @staticmethod
    def value(total, count):
        return total


class Step(Last):
    """The state after every step: one output a step. In passing, that is always the last one."""


READOUTS = {"last": Last, "mean": Mean, "max": Max, "step": Step}
