"""Both halves of a batch at once, where they are large enough.

The shapes alone decide what is summed by halves, so that the bits are the same on any number of
cores. This process and a fork of it learn from a batch, where that can be; else two threads, if
steps are large, or one.
"""

from collections import deque
from contextlib import contextmanager, suppress
from functools import cached_property, partial

import numpy as np
from joblib import cpu_count

from ._blas import one_thread
from ._cells import CELLS
from ._network import ALL, BLOCK_COLUMNS, make_network
from ._partner import Partner, PartnerGoneError, can_fork, shared_array
from ._sequences import COLUMNS, Sequences, width_of
from ._threads import at_once

# Multiplications of weights from where on two gain, as benchmarks/threads.py shows; in a step and
# a batch those of the smallest layer count.
PRODUCTS_IN_TWO = 1_300_000  # in a step: for two threads
PRODUCTS_OF_HALVES = 50_000, 12_000_000  # in a step, in a batch: for two processes
PRODUCTS_OF_A_FORK = 5_000_000_000  # in a fit: for a process to be worth its start

BYTES_IDLE = 2**22  # of weights and a step
_idle = deque(maxlen=1)


class ParallelNetwork:
    """A network that learns and predicts by halves of the columns."""

    def __init__(self, design):
        self.design, self.whole = design, make_network(design)
        self._partner, self._call_partner, self._exact = None, None, {}

    @cached_property
    def _halves(self):
        return [make_network(self.design) for _ in range(2)]

    def _are_steps_large(self, lengths, enough, most=np.inf):
        """Whether steps have `enough` multiplications in the mean; `most` sequences at once."""
        n = min(len(lengths), most) * lengths.sum() / (len(lengths) * lengths.max())
        return n > 1 and n * min(self.whole.n_products) >= enough

    def _columns(self, lengths, are_large):
        """Slices of the columns of a batch that are summed up on their own."""
        steps, n_steps = lengths[0], lengths.sum()
        border = width_of(1 + np.searchsorted(lengths.cumsum(), n_steps / 2))
        products = n_steps * min(self.whole.n_products)
        enough_in_step, enough_in_batch = PRODUCTS_OF_HALVES
        if (
            n_steps > COLUMNS * steps  # no array is narrower: fewer cost as much
            and border < len(lengths)
            and products >= max(steps * enough_in_step, enough_in_batch)
            and (self._sums_up_by_columns or steps == lengths[-1])
        ):
            return slice(0, border), slice(border, None)
        if are_large:
            return slice(0, None, 2), slice(1, None, 2)  # of like lengths
        return (ALL,)

    @property
    def _sums_up_by_columns(self):
        """Whether nothing is summed run by run, of which halves of a ragged batch have others."""
        design = self.design
        by_run = design.readout in ("mean", "step") or design.bidirectional or design.embedded
        return not by_run

    @contextmanager
    def with_partner(self, rows, loss, n_epochs):
        """Within, a second process learns from halves of batches of these rows, if that pays."""
        n_steps = n_epochs * int(rows.sequences.lengths.sum())
        if n_steps * sum(self.whole.n_products) >= PRODUCTS_OF_A_FORK and _has_two_cores():
            self._call_partner = partial(self._fork, rows, loss)
        try:
            yield
        finally:
            self._call_partner = None
            self._dismiss()

    def _fork(self, rows, loss):
        first = rows.take([0])
        first.sequences.lengths[:] = 1  # a copy; one step is enough to warm up
        with suppress(OSError):  # the system may have no room for another process
            self._theta, self._gradient = (
                shared_array(self.whole.n_weights, self.whole.dtype) for _ in range(2)
            )
            beside = partial(self._learn_beside, rows, loss)
            self._partner = Partner(beside, _message(first, {"total": 1}))

    def _learn_beside(self, rows, loss, starts, lengths, own, settings):
        half = rows._replace(sequences=Sequences(rows.sequences.values, starts, lengths), **own)
        return self._learn_half(1, self._theta, self._gradient, half, loss, settings)

    def _learn_half(self, i, theta, gradient, rows, loss, settings):
        return self._halves[i].loss_and_gradient(theta, gradient, rows, loss, **settings)

    def _dismiss(self):
        if self._partner is not None:
            self._partner.close()
            self._partner = None

    def loss_and_gradient(self, theta, gradient, rows, loss, **settings):
        """Loss of a batch and its gradient, as those of a network."""
        lengths = rows.sequences.lengths
        are_large = self._are_steps_large(lengths, PRODUCTS_IN_TWO)
        columns = self._columns(lengths, are_large)
        halves = partial(_parts, columns, rows, loss, settings)
        if len(columns) == 2:
            try:
                if self._has_partner() and (are_large or self._is_exact(theta, len(lengths))):
                    return self._learn_with_partner(theta, gradient, *halves())
            except PartnerGoneError:
                self._dismiss()
        if are_large:
            return self._learn_in_threads(theta, gradient, *halves())
        settings["columns"] = columns
        return self.whole.loss_and_gradient(theta, gradient, rows, loss, **settings)

    def _has_partner(self):
        """Whether there is one to ask; the first time, it is called."""
        if self._call_partner is not None:
            call, self._call_partner = self._call_partner, None
            if can_fork():
                call()
        return self._partner is not None and self._partner.is_ready()

    def _is_exact(self, theta, n):
        """Whether halves of n columns have the bits that they have in the whole."""
        width = width_of(n)
        if width not in self._exact:
            self._exact[width] = all(
                _is_blind_to_width(product, n_rows, width, theta.dtype)
                for product, n_rows in self.whole.products(theta)
            )
        return self._exact[width]

    def _learn_with_partner(self, theta, gradient, first, second):
        rows, _, settings = second
        self._theta[:] = theta
        self._partner.ask(*_message(rows, settings))
        value = self._learn_half(0, theta, gradient, *first)
        value += self._partner.answer()
        gradient += self._gradient
        return value

    def _learn_in_threads(self, theta, gradient, first, second):
        gradients = gradient, np.empty_like(gradient)
        values = at_once(
            partial(self._learn_half, 0, theta, gradients[0], *first),
            partial(self._learn_half, 1, theta, gradients[1], *second),
        )
        gradient += gradients[1]
        return sum(values)

    def n_bytes(self, n):
        """About what a prediction for n sequences needs, if it keeps a single step."""
        n_kept = sum(chain.n_kept for chain in self.whole.chains)
        return (self.whole.n_weights + n_kept * min(n, BLOCK_COLUMNS)) * self.whole.dtype.itemsize

    def outputs(self, theta, sequences):
        """Raw outputs, as those of a network."""
        enough, most = enough_to_predict(self.design.cell), 2 * BLOCK_COLUMNS
        if not self._are_steps_large(sequences.lengths, enough, most):
            return self.whole.outputs(theta, sequences)
        n_rows = sequences.lengths.sum() if self.whole.per_step else len(sequences)
        out = np.empty((n_rows, self.design.n_out), self.whole.dtype)
        order, steps = sequences.longest_first(), Sequences.stacked(out, sequences.lengths)

        def half(i):
            rows = order[i::2]
            own = steps.take(rows).rows() if self.whole.per_step else rows
            out[own] = self._halves[i].outputs(theta, sequences.take(rows))

        at_once(partial(half, 0), partial(half, 1))
        return out


def enough_to_predict(cell):
    """Multiplications in a step for two threads to predict: more for the many calls of gates."""
    return PRODUCTS_IN_TWO * (2 if len(CELLS[cell].gates) > 1 else 1)


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


def _message(rows, settings):
    """What a partner has to be told of a half: not the values, nor what is aligned with them."""
    own = {} if rows.per_step else {"targets": rows.targets, "weight": rows.weight}
    return rows.sequences.starts, rows.sequences.lengths, own, settings


def _has_two_cores():
    """Whether a second core is there, and neither BLAS nor a container was denied it."""
    return one_thread.outside > 1 and cpu_count() > 1


def _is_blind_to_width(product, n_rows, width, dtype):
    """Whether a product gives columns the same bits in any place of any array up to a width.

    OpenBLAS has other kernels for small products, and other libraries may for others.
    """
    columns = np.random.RandomState(0).standard_normal((n_rows, COLUMNS)).astype(dtype)
    alone = product(columns)
    return all(
        np.array_equal(product(np.tile(columns, repeats)), np.tile(alone, repeats))
        for repeats in range(2, width // COLUMNS + 1)
    )


def _parts(columns, rows, loss, settings):
    """What is learned from slices of the columns of a batch, and how."""
    draws, max_bytes = settings.get("draws"), settings.get("max_bytes")
    for own in columns:
        half = rows.take(own)
        share = width_of(len(half.sequences)) / width_of(len(rows.sequences))
        its = {"draws": draws and draws.take(own), "max_bytes": max_bytes and max_bytes * share}
        yield half, loss, settings | its
