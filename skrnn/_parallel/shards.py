"""Large batches in parts, each in a thread of its own where there are cores for it.

The shapes alone decide what the parts are, and gradients of parts are summed in their order, so
that the bits are the same on any number of cores, and where no thread can be started.
"""

from collections import deque
from contextlib import suppress
from functools import cached_property, partial

import numpy as np

from skrnn._data.sequences import Sequences
from skrnn._nn.blas import one_thread
from skrnn._nn.cells import CELLS
from skrnn._nn.network import BLOCK_COLUMNS, make_network
from skrnn._parallel.threads import in_threads

# A part is worth a thread from so many columns, and so many multiplications of weights per step in
# the smallest layer, on; benchmarks/threads.py shows the gains.
COLUMNS_OF_PART = 64
PRODUCTS_OF_PART = 650_000
MAX_PARTS = 8

BYTES_IDLE = 2**22  # of weights and a step
_idle = deque(maxlen=1)


class ParallelNetwork:
    """A network that learns and predicts by parts of the columns."""

    def __init__(self, design):
        self.design, self.whole = design, make_network(design)

    @cached_property
    def _networks(self):
        return [self.whole, *(make_network(self.design) for _ in range(MAX_PARTS - 1))]

    def n_parts(self, lengths, products=PRODUCTS_OF_PART):
        """How many parts sequences of these lengths are worth."""
        n_running = lengths.sum() / lengths.max()  # sequences per step, in the mean
        affordable = int(n_running * min(self.whole.n_products) // products)
        return max(1, min(len(lengths) // COLUMNS_OF_PART, affordable, MAX_PARTS))

    def loss_and_gradient(self, theta, gradient, rows, loss, **settings):
        """Loss of a batch and its gradient, as those of a network."""
        n_parts = self.n_parts(rows.sequences.lengths)
        if n_parts == 1:
            return self.whole.loss_and_gradient(theta, gradient, rows, loss, **settings)
        gradients = [gradient, *(np.empty_like(gradient) for _ in range(n_parts - 1))]
        parts = _parts(n_parts, rows, settings)
        values = in_threads(
            [
                partial(network.loss_and_gradient, theta, own, part, loss, **its)
                for network, own, (part, its) in zip(self._networks, gradients, parts, strict=False)
            ],
            one_thread.outside,
        )
        for own in gradients[1:]:
            gradient += own
        return sum(values)

    def n_bytes(self, n):
        """About what a prediction for n sequences needs, if it keeps a single step."""
        n_kept = sum(chain.n_kept for chain in self.whole.chains)
        return (self.whole.n_weights + n_kept * min(n, BLOCK_COLUMNS)) * self.whole.dtype.itemsize

    def outputs(self, theta, sequences):
        """Raw outputs, as those of a network."""
        n_parts = self.n_parts(sequences.lengths, products_to_predict(self.design.cell))
        if n_parts == 1:
            return self.whole.outputs(theta, sequences)
        n_rows = sequences.lengths.sum() if self.whole.per_step else len(sequences)
        out = np.empty((n_rows, self.design.n_out), self.whole.dtype)
        order, steps = sequences.longest_first(), Sequences.stacked(out, sequences.lengths)

        def predict(i):
            rows = order[i::n_parts]
            own = steps.take(rows).rows() if self.whole.per_step else rows
            out[own] = self._networks[i].outputs(theta, sequences.take(rows))

        in_threads([partial(predict, i) for i in range(n_parts)], one_thread.outside)
        return out


def products_to_predict(cell):
    """Multiplications in a step of a part: more for the many calls of gates."""
    return PRODUCTS_OF_PART * (2 if len(CELLS[cell].gates) > 1 else 1)


def outputs_of(design, theta, sequences):
    """Raw outputs, by the net of the call before if that is free and of the same design.

    Fresh memory costs a page fault every 4 kB, as much as half of a small prediction. One net waits
    for the next call in a process, and none that is large.
    """
    network = None
    with suppress(IndexError):
        network = _idle.pop()  # no other thread gets it
    if network is None or network.design != design:
        network = ParallelNetwork(design)
    raw = network.outputs(theta, sequences)
    if network.n_bytes(len(sequences)) <= BYTES_IDLE:
        _idle.append(network)
    return raw


def _parts(n_parts, rows, settings):
    """Parts of a batch, of like lengths, and what is drawn for them and how much they may keep."""
    draws, max_bytes = settings.get("draws"), settings.get("max_bytes")
    for i in range(n_parts):
        columns = slice(i, None, n_parts)
        drawn, most = draws and draws.take(columns), max_bytes and max_bytes / n_parts
        yield rows.take(columns), settings | {"draws": drawn, "max_bytes": most}
