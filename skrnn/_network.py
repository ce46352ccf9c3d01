"""The network: which layers, in what order, and where their weights stand in theta."""

from itertools import pairwise
from math import prod

import numpy as np

from ._layers import Dense, Recurrent
from ._sequences import COLUMNS

BLOCK_BYTES = 2**19  # inference keeps the steps of a run, and what they need, in cache
BLOCK_COLUMNS = 256


class Network:
    """Recurrent layers one on the other and a dense readout of the last state.

    The weights are one flat vector theta: the textbook's arrays one after the other, layer by
    layer. A network holds its working memory, so it serves one thread at a time.
    """

    def __init__(self, cell, n_in, hidden_layer_sizes, n_out, dtype):
        sizes = [n_in, *hidden_layer_sizes]
        self.layers = [Recurrent(cell, D, H, dtype) for D, H in pairwise(sizes)]
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

    def loss_and_gradient(self, theta, gradient, batch, y, weight, loss):
        """Loss of a batch, sorted longest first; its gradient goes into `gradient`."""
        views, d_views = self.weights(theta), self.weights(gradient)
        self._load(views)
        runs = self._runs(batch)
        h = self._forward(batch, runs, keep=True)
        value, d_o = loss.value_and_gradient(
            y, self.readout.forward(views, h)[:, : len(batch)], weight
        )
        d_o = _widen(d_o, h.shape[1])
        self._backward(runs, self.readout.backward(views, d_views, h, d_o))
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
            batch = sequences.take(rows)
            runs = self._runs(batch, longest=self._steps_in_cache(len(rows)))
            h = self._forward(batch, runs, keep=False)
            out[rows] = self.readout.forward(views, h)[:, : len(rows)].T
        return out

    def _load(self, views):
        for i, layer in enumerate(self.layers):
            layer.load(self._of_layer(views, i))

    def _runs(self, batch, longest=None):
        return batch.runs(longest=longest, exact=not self.layers[0].cell.bounded)

    def _steps_in_cache(self, n):
        a_step = sum(layer.n_hidden * 6 + layer.n_in for layer in self.layers)
        return max(1, BLOCK_BYTES // (a_step * max(n, COLUMNS) * self.dtype.itemsize))

    def _forward(self, batch, runs, keep):
        """Last state of the top layer for every sequence, (H, width)."""
        for layer in self.layers:
            layer.lay_out(runs, keep)
        last = np.zeros((self.layers[-1].n_hidden, runs[0].width), self.dtype)
        states = [None] * len(self.layers)
        for k, run in enumerate(runs):
            x = batch.steps(run)
            for i, layer in enumerate(self.layers):
                states[i] = layer.forward(k, x, states[i])
                x = layer.hidden(k)
            if run.ends:
                last[:, run.ends[-1][1] : run.ends[0][2]] = self.layers[-1].last(k)
        return last

    def _backward(self, runs, d_last):
        states = [None] * len(self.layers)
        for k, run in reversed(list(enumerate(runs))):
            states = [
                layer.widen_state(state, run.width)
                for layer, state in zip(self.layers, states, strict=True)
            ]
            d_end, d_out = d_last, None
            for i, layer in reversed(list(enumerate(self.layers))):
                dx = np.empty((run.steps, layer.n_in, run.width), self.dtype) if i else None
                layer.backward(k, states[i], d_end, d_out, dx)
                d_end, d_out = None, dx


def _widen(columns, width):
    wide = np.zeros((len(columns), width), columns.dtype)
    wide[:, : columns.shape[1]] = columns
    return wide
