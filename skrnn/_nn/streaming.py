"""Streams: one step at a time, and where sequences stand between two of them."""

import numpy as np

from skrnn._nn.network import Standing
from skrnn._nn.pooling import READOUTS


class Stream:
    """A net in one direction that takes one step at a time, by views of the weights in theta.

    It keeps nothing of what it sees, so that threads may share it. Users get a standing as a dict
    of arrays by name, one row a sequence.
    """

    def __init__(self, network, theta):
        self.network, self.theta, self.views = network, theta, network.weights(theta)
        self._layers = list(network.chain.of_layers(self.views))
        self._readout = READOUTS[network.design.readout]

    def step(self, x, standing):
        """Where n sequences stand after one more step x (D, n); no array is changed."""
        layers = []
        if self.network.inputs.tables:
            x = self.network.inputs.forward(self.views, x[None])[0]
        for (layer, weights), state in zip(self._layers, standing.layers, strict=True):
            layers.append(layer.step(weights, x, state))
            x = layers[-1][0]
        total = self._readout.fold(standing.total, x, standing.count)
        return Standing(layers, total, standing.count + 1)

    def read_out(self, standing):
        """Raw outputs (n, K) of what was seen so far."""
        h = self._readout.value(standing.total, standing.count)
        return self.network.dense.forward(self.views, h).T

    def state_of(self, standing):
        """Where sequences stand, for users."""
        state = {
            name: h.T
            for names, layer in zip(self.network.state_names, standing.layers, strict=True)
            for name, h in zip(names, layer, strict=True)
        }
        state["pooled"], state["steps"] = standing.total.T, standing.count
        return state

    def standing_of(self, state, n):
        """Where n sequences stand, by what users got before; None before the first step."""
        if state is None:
            return self.network.before(self.views, n)
        _require_state(state, self.network.state_widths, n)
        layers = [[state[name].T for name in names] for names in self.network.state_names]
        return Standing(layers, state["pooled"].T, state["steps"])


def _require_state(state, widths, n):
    """Refuse all but `steps` (n,) and arrays (n, width) of these names and widths."""
    try:
        n_rows = len(state["steps"])
        fits = len(state) == len(widths) + 1 and state["steps"].shape == (n_rows,)
        fits = fits and all(state[name].shape == (n_rows, H) for name, H in widths.items())
    except (AttributeError, KeyError, TypeError, IndexError):
        fits = False
    if not fits:
        raise ValueError(
            "state must be what step returned for this estimator, or None. Rows may be taken from "
            "it, of every array the same."
        )
    if n_rows != n:
        raise ValueError(
            f"x_t has {n} rows, but state is of {n_rows} sequences: pass a row for each of them, "
            "all NaN where there is none."
        )


def moved(after, before, moves):
    """Where sequences stand if only some move: as after a step for these, as before for others."""
    layers = [
        [np.where(moves, new, old) for new, old in zip(*states, strict=True)]
        for states in zip(after.layers, before.layers, strict=True)
    ]
    total = np.where(moves, after.total, before.total)
    return Standing(layers, total, np.where(moves, after.count, before.count))
