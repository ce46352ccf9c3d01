"""The network: which layers, in what order, and where their weights stand in theta."""

from collections.abc import Iterable
from functools import cached_property, partial
from itertools import pairwise
from math import isqrt, prod
from typing import NamedTuple

import numpy as np

from ._blas import ProductSum, ProductSumBeside
from ._layers import Dense, Recurrent, widen
from ._sequences import Sequences, width_of
from ._threads import at_once

BLOCK_BYTES = 2**21  # inference keeps the steps of a run, and what they need, in cache
BLOCK_COLUMNS = 256
PRODUCTS_TO_TRAIN_IN_TWO = 4_000_000  # from here on two threads gain
PRODUCTS_TO_PREDICT_IN_TWO = 8_000_000


class Network:
    """Recurrent layers one on the other and a dense readout of the last state.

    The weights are one flat vector theta: the textbook's arrays one after the other, layer by
    layer. A network holds its working memory, so it serves one thread at a time.
    """

    def __init__(self, cell, n_in, hidden_layer_sizes, n_out, dtype, product_sum=ProductSum):
        sizes = [n_in, *hidden_layer_sizes]
        self.layers = [Recurrent(cell, D, H, dtype, product_sum) for D, H in pairwise(sizes)]
        self.readout = Dense(sizes[-1], n_out, dtype)
        self.dtype = np.dtype(dtype)
        self.shapes = {
            f"{name}_{i}": shape
            for i, layer in enumerate(self.layers)
            for name, shape in layer.shapes.items()
        } | self.readout.shapes

    @property
    def n_weights(self):
        return sum(prod(shape) for shape in self.shapes.values())

    def weights(self, theta):
        """Named views of a flat vector."""
        views, start = {}, 0
        for name, shape in self.shapes.items():
            size = prod(shape)
            views[name] = theta[start : start + size].reshape(shape)
            start += size
        return views

    def _of_layer(self, views, i):
        return {name: views[f"{name}_{i}"] for name in self.layers[i].shapes}

    def initialize(self, rng):
        """Draw theta; in float64, so that both precisions start at the same weights."""
        theta = np.empty(self.n_weights)
        views = self.weights(theta)
        for i, layer in enumerate(self.layers):
            layer.initialize(self._of_layer(views, i), rng)
        self.readout.initialize(views, rng)
        return theta.astype(self.dtype)

    def is_penalized(self):
        """Which entries of theta are weights, 1, and which are biases, 0."""
        mask = np.zeros(self.n_weights, self.dtype)
        for name, view in self.weights(mask).items():
            view[...] = name.startswith("W")
        return mask

    def loss_and_gradient(
        self, theta, gradient, batch, y, weight, loss, *, bptt_steps=None, max_bytes=None
    ):
        """Loss of a batch, sorted longest first; its gradient goes into `gradient`.

        With `bptt_steps` the gradient covers the last so many steps of each sequence (Williams &
        Peng 1990). If the arrays of all steps would need more than `max_bytes`, the states at about
        sqrt(T) of them are kept and the others computed again (Chen et al. 2016).
        """
        views, d_views = self.weights(theta), self.weights(gradient)
        self._load(views)
        batch, states = self._skip(batch, bptt_steps)
        plan, trail = self._plan(batch, max_bytes), []
        h = self._forward(batch, plan, states, trail)[-1][0]
        o = self.readout.forward(views, h)[:, : len(batch)]
        value, d_o = loss.value_and_gradient(y, o, weight)
        d_h = self.readout.backward(views, d_views, h, widen(d_o, h.shape[1]))
        self._backward(batch, plan, trail, d_h)
        for i, layer in enumerate(self.layers):
            layer.unload(self._of_layer(d_views, i))
        return value

    def outputs(self, theta, sequences):
        """Raw outputs (n, K)."""
        views = self.weights(theta)
        self._load(views)
        out = np.empty((len(sequences), self.readout.n_out), self.dtype)
        order = sequences.longest_first()
        for start in range(0, len(order), BLOCK_COLUMNS):
            rows = order[start : start + BLOCK_COLUMNS]
            h = self._final_states(sequences.take(rows))[-1][0]
            out[rows] = self.readout.forward(views, h)[:, : len(rows)].T
        return out

    def _load(self, views):
        for i, layer in enumerate(self.layers):
            layer.load(self._of_layer(views, i))

    def _runs(self, batch, longest=None):
        return batch.runs(longest=longest, exact=not self.layers[0].cell.bounded)

    def _skip(self, batch, bptt_steps):
        """The last steps of the sequences, and the states before them."""
        if bptt_steps is None or batch.lengths[0] <= bptt_steps:
            return batch, None
        skipped = np.maximum(batch.lengths - bptt_steps, 0)
        n = np.count_nonzero(skipped)
        head = Sequences(batch.values, batch.starts[:n], skipped[:n])
        tail = Sequences(batch.values, batch.starts + skipped, batch.lengths - skipped)
        states = self._final_states(head)
        return tail, [[widen(h[:, :n], len(batch)) for h in state] for state in states]

    def _plan(self, batch, max_bytes):
        """All steps kept if they need no more than max_bytes, else the states at some borders."""
        runs = list(self._runs(batch))
        a_column = sum(layer.n_kept for layer in self.layers) * self.dtype.itemsize
        n_columns = sum((run.steps + 1) * run.width for run in runs)
        if max_bytes is None or n_columns * a_column <= max_bytes:
            return Plan(runs, n_columns, keep=True)
        a_border = sum(layer.n_hidden * layer.n_states for layer in self.layers)
        a_border *= self.dtype.itemsize
        return self._in_passing(batch, 1 + isqrt(int(batch.lengths[0]) * a_border // a_column))

    def _in_passing(self, batch, longest):
        room = (longest + 1) * width_of(len(batch))
        return Plan(self._runs(batch, longest), room, keep=False)

    def _final_states(self, batch):
        """States of all layers after each sequence's last step, keeping no other."""
        a_step = sum(layer.n_kept for layer in self.layers) * width_of(len(batch))
        longest = max(1, BLOCK_BYTES // (a_step * self.dtype.itemsize))
        return self._forward(batch, self._in_passing(batch, longest), None, None)

    def _forward(self, batch, plan, states, trail):
        """States of all layers after each sequence's last step: for each layer arrays (H, width).

        `trail` takes what the way back needs of each run: the run, its arrays, the states before.
        """
        for layer in self.layers:
            layer.make_room(plan.room)
        states, start = states or [None] * len(self.layers), 0
        finals = [layer.zero_state(width_of(len(batch))) for layer in self.layers]
        for run in plan.runs:
            arrays = [layer.lay_out(run, start) for layer in self.layers]
            start += plan.keep * (run.steps + 1) * run.width
            if trail is not None:
                states = states if plan.keep else [_copied(state) for state in states]
                trail.append((run, arrays, states))
            self._forward_run(batch, run, arrays, states)
            states = [
                layer.states(array, run.steps)
                for layer, array in zip(self.layers, arrays, strict=True)
            ]
            self._collect(run, arrays, finals)
        return finals

    def _forward_run(self, batch, run, arrays, states):
        x = batch.steps(run)
        for layer, array, state in zip(self.layers, arrays, states, strict=True):
            layer.forward(run, array, x, state)
            x = layer.hidden(array)

    def _collect(self, run, arrays, finals):
        """Put the states of the sequences that end in a run, after their last step, into finals."""
        for layer, array, final in zip(self.layers, arrays, finals, strict=True):
            for t, first, last in run.ends:
                for end, state in zip(final, layer.states(array, t), strict=True):
                    end[:, first:last] = state[:, first:last]

    def _backward(self, batch, plan, trail, d_last):
        d_states, latest = [layer.zero_state(0) for layer in self.layers], trail[-1]
        for run, arrays, states in reversed(trail):
            if not plan.keep and states is not latest[2]:
                self._forward_run(batch, run, arrays, states)
            d_states = [[widen(dh, run.width) for dh in d_state] for d_state in d_states]
            d_end, d_out = d_last, None
            for i, layer in reversed(list(enumerate(self.layers))):
                dx = np.empty((run.steps, layer.n_in, run.width), self.dtype) if i else None
                layer.backward(run, arrays[i], d_states[i], d_end, d_out, dx)
                d_end, d_out = None, dx


class ParallelNetwork(Network):
    """The same, both halves of the columns in threads of their own where a step is large enough.

    The shapes alone decide, so that the bits are the same on any number of cores.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._arguments = arguments

    @cached_property
    def _halves(self):
        return [Network(*self._arguments, ProductSumBeside) for _ in range(2)]

    def _products(self, n):
        """Multiplications of one step of n sequences."""
        return n * sum(layer.n_products for layer in self.layers)

    def loss_and_gradient(
        self, theta, gradient, batch, y, weight, loss, *, max_bytes=None, **limits
    ):
        """Loss of a batch and its gradient; a half takes every other column, for like lengths."""
        if self._products(len(batch)) < PRODUCTS_TO_TRAIN_IN_TWO or len(batch) < 2:
            limits["max_bytes"] = max_bytes
            return super().loss_and_gradient(theta, gradient, batch, y, weight, loss, **limits)
        gradients = gradient, np.empty_like(gradient)
        limits["max_bytes"] = max_bytes and max_bytes / 2

        def half(i):
            own = slice(i, None, 2)
            part = batch.take(own), y[:, own], weight[own]
            return self._halves[i].loss_and_gradient(theta, gradients[i], *part, loss, **limits)

        values = at_once(partial(half, 0), partial(half, 1))
        gradient += gradients[1]
        return sum(values)

    def outputs(self, theta, sequences):
        """Raw outputs (n, K)."""
        if self._products(min(len(sequences), BLOCK_COLUMNS)) < PRODUCTS_TO_PREDICT_IN_TWO:
            return super().outputs(theta, sequences)
        out = np.empty((len(sequences), self.readout.n_out), self.dtype)
        order = sequences.longest_first()

        def half(i):
            rows = order[i::2]
            out[rows] = self._halves[i].outputs(theta, sequences.take(rows))

        at_once(partial(half, 0), partial(half, 1))
        return out


class Plan(NamedTuple):
    """How a batch is gone through: its runs, and columns for all of them or for the largest."""

    runs: Iterable
    room: int
    keep: bool


def _copied(state):
    return None if state is None else [h.copy() for h in state]
