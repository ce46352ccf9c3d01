"""Both halves of a batch at once, in threads of their own, where a step is large enough.

The shapes alone decide, so that the bits are the same on any number of cores.
"""

from functools import cached_property, partial

import numpy as np

from ._network import BLOCK_COLUMNS, make_network
from ._sequences import Sequences
from ._threads import at_once

PRODUCTS_IN_TWO = 1_000_000  # of a gate in a step: from here on two gain, benchmarks/threads.py


class ParallelNetwork:
    """A network that does large steps in two halves of the columns."""

    def __init__(self, design):
        self._design, self.whole = design, make_network(design)

    @cached_property
    def _halves(self):
        return [make_network(self._design) for _ in range(2)]

    def _gains(self, lengths, most=np.inf):
        """Whether steps are large enough, in the mean over time; `most` sequences go at once."""
        n = min(len(lengths), most) * lengths.sum() / (len(lengths) * lengths.max())
        return n > 1 and n * self.whole.n_products >= PRODUCTS_IN_TWO

    def loss_and_gradient(
        self, theta, gradient, rows, loss, *, draws=None, max_bytes=None, **settings
    ):
        """Loss of a batch and its gradient; a half takes every other column, for like lengths."""
        if not self._gains(rows.sequences.lengths):
            settings |= {"draws": draws, "max_bytes": max_bytes}
            return self.whole.loss_and_gradient(theta, gradient, rows, loss, **settings)
        gradients = gradient, np.empty_like(gradient)
        settings["max_bytes"] = max_bytes and max_bytes / 2

        def half(i):
            own = slice(i, None, 2)
            return self._halves[i].loss_and_gradient(
                theta,
                gradients[i],
                rows.take(own),
                loss,
                draws=draws and draws.take(own),
                **settings,
            )

        values = at_once(partial(half, 0), partial(half, 1))
        gradient += gradients[1]
        return sum(values)

    def outputs(self, theta, sequences):
        """Raw outputs, as those of a network."""
        if not self._gains(sequences.lengths, 2 * BLOCK_COLUMNS):
            return self.whole.outputs(theta, sequences)
        n_rows = sequences.lengths.sum() if self.whole.per_step else len(sequences)
        out = np.empty((n_rows, self._design.n_out), self.whole.dtype)
        order, steps = sequences.longest_first(), Sequences.stacked(out, sequences.lengths)

        def half(i):
            rows = order[i::2]
            own = steps.take(rows).rows() if self.whole.per_step else rows
            out[own] = self._halves[i].outputs(theta, sequences.take(rows))

        at_once(partial(half, 0), partial(half, 1))
        return out
