"""Heads: from states of the top layer to outputs, and from the loss back to these states.

While a batch is gone through, `collect(part, run, h)` gets the states of a run, h (steps, H,
width), of the chain number `part` at the top. `turn(work)` stands between the way there and the way
back. `d_hidden(part, run, h)` then gives {t: (columns, dL/dh_t)}, and adds to the gradient of the
readout's weights. `value` is the loss at the end.
"""

import numpy as np

from skrnn._data.sequences import width_of
from skrnn._nn.pooling import READOUTS, at_every_step
from skrnn._nn.recurrent import widen


class SequenceHead:
    """One output a sequence, from pooled states of one chain or two, of equal sizes."""

    def __init__(self, dense, readout, n_chains, lengths, mask):
        self.dense, self.n, self.width = dense, len(lengths), width_of(len(lengths))
        self.mask = None if mask is None else widen(mask, self.width)
        shape = dense.n_in // n_chains, lengths, self.width, dense.dtype
        self.pools = [READOUTS[readout](*shape) for _ in range(n_chains)]

    def collect(self, part, run, h):
        self.pools[part].collect(run, h)

    def _masked_states(self):
        h = np.concatenate([pool.pooled() for pool in self.pools])
        return h if self.mask is None else h * self.mask

    def outputs(self, weights):
        """Raw outputs (n, K)."""
        return self.dense.forward(weights, self._masked_states())[:, : self.n].T

    def turn(self, work):
        y = np.ascontiguousarray(work.rows.targets.T)
        h, weight = self._masked_states(), work.rows.weight.T / work.total
        o = self.dense.forward(work.weights, h)[:, : self.n]
        d_o = np.zeros((len(o), self.width), o.dtype)
        self.value, d_o[:, : self.n] = work.loss.value_and_gradient(y, o, weight)
        self.dense.learn(work.gradient, h, d_o)
        d = self.dense.backward(work.weights, d_o)
        d = d if self.mask is None else d * self.mask
        self._d = d.reshape(len(self.pools), -1, self.width)

    def d_hidden(self, part, run, h):
        return self.pools[part].spread(run, self._d[part])


class StepHead:
    """One output a step. The loss is taken on the way back, so that no run has to wait for others.

    Targets and weights of the rows are aligned with the steps of their sequences.
    """

    def __init__(self, dense, mask):
        self.dense, self.mask = dense, mask

    def collect(self, part, run, h):
        """Nothing is pooled."""

    def turn(self, work):
        rows, self.value = work.rows, 0.0
        self._work, self._targets = work, rows.sequences.of(rows.targets)
        self._row_weights = rows.sequences.of(rows.weight.reshape(len(rows.weight), -1))

    def d_hidden(self, part, run, h):
        return at_every_step(self.d_states(run, h))

    def d_states(self, run, h):
        """dL/dh of a run, of the shape of h (steps, H, width)."""
        work, mask = self._work, None
        if self.mask is not None:
            mask = widen(self.mask[:, : run.n], run.width)
            h = h * mask
        o = self.dense.forward(work.weights, h)
        y, weight = (
            widen(values.steps(run), run.width) for values in (self._targets, self._row_weights)
        )
        weight *= self._scale(run)
        value, d = work.loss.value_and_gradient(*map(_columns, (y, o, weight)))
        self.value += value
        d_o = np.ascontiguousarray(d.reshape(len(d), run.steps, -1).swapaxes(0, 1))
        self.dense.learn(work.gradient, h, d_o)
        d = self.dense.backward(work.weights, d_o)
        return d if mask is None else d * mask

    def _scale(self, run):
        """1 / total for columns that are steps of a sequence, 0 for those past its end."""
        scale = np.zeros((run.steps, 1, run.width), self.dense.dtype)
        for steps, first, last in run.spans:
            scale[:steps, :, first:last] = 1 / self._work.total
        return scale


def _columns(values):
    """(steps, K, width) as (K, steps * width)."""
    return values.swapaxes(0, 1).reshape(values.shape[1], -1)
