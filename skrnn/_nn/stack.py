"""A chain: recurrent layers one on the other, unrolled together over the time of a batch."""

from collections.abc import Iterable
from itertools import groupby, pairwise
from math import isqrt
from typing import NamedTuple

import numpy as np

from skrnn._data.sequences import width_of
from skrnn._nn.pooling import at_every_step
from skrnn._nn.recurrent import Recurrent, widen

BLOCK_BYTES = 2**21  # inference keeps the steps of a run, and what they need, in cache


class Plan(NamedTuple):
    """How a batch is gone through: its runs, and columns for all of them or for the largest."""

    runs: Iterable
    room: int
    keep: bool


class Input(NamedTuple):
    """What a chain reads: `read(run)` gives x (steps, D, n).

    `masks` are those of dropout on the states of every layer but the top one, (H, B) or None.
    """

    read: object
    masks: list


class Trail(NamedTuple):
    """What the way back needs: of each run the run, its arrays, and the states before it."""

    plan: Plan
    runs: list


class Chain:
    """Recurrent layers, the first over sizes[0] inputs; `suffixes` end the names of their weights.

    States are, for each layer, a list of arrays (H, width), or None where they are zero.
    """

    def __init__(self, cell, sizes, dtype, suffixes, **settings):
        self.layers = [Recurrent(cell, D, H, dtype, **settings) for D, H in pairwise(sizes)]
        self.n_in, self.n_out = sizes[0], sizes[-1]
        self.dtype = np.dtype(dtype)
        self._names = [
            {name: name + suffix for name in layer.shapes}
            for layer, suffix in zip(self.layers, suffixes, strict=True)
        ]
        self.shapes = {
            names[name]: shape
            for layer, names in zip(self.layers, self._names, strict=True)
            for name, shape in layer.shapes.items()
        }

    @property
    def n_kept(self):
        """Numbers that are kept for one step of one sequence."""
        return sum(layer.n_kept for layer in self.layers)

    def of_layers(self, views):
        """Pairs of a layer and its own views, under their names without suffix."""
        for layer, names in zip(self.layers, self._names, strict=True):
            yield layer, {name: views[full] for name, full in names.items()}

    def load(self, views):
        for layer, own in self.of_layers(views):
            layer.load(own)

    def begin_sums(self):
        for layer in self.layers:
            layer.begin_sums()

    def unload(self, gradient):
        for layer, own in self.of_layers(gradient):
            layer.unload(own)

    def start(self, views, n):
        """States before the first step."""
        return [layer.start(own, n) for layer, own in self.of_layers(views)]

    def learn_start(self, gradient, d_states, n, first=0):
        """Learn from the gradients of the states of columns `first` to n."""
        for (layer, views), d_state in zip(self.of_layers(gradient), d_states, strict=True):
            layer.learn_start(views, [d[:, first:n] for d in d_state])

    def top(self, arrays):
        """States of the top layer after every step of a run, (steps, H, width)."""
        return self.layers[-1].hidden(arrays[-1])

    # Plans ------------------------------------------------------------------------------------

    def _runs(self, batch, longest=None):
        return batch.runs(longest=longest, exact=not self.layers[0].cell.bounded)

    def plan(self, batch, max_bytes=None):
        """All steps kept if they need no more than max_bytes, else the states at some borders."""
        kept = _kept(list(self._runs(batch)))
        a_column = self.n_kept * self.dtype.itemsize
        if max_bytes is None or kept.room * a_column <= max_bytes:
            return kept
        a_border = sum(layer.n_hidden * layer.n_states for layer in self.layers)
        a_border *= self.dtype.itemsize
        longest = 1 + isqrt(int(batch.lengths[0]) * a_border // a_column)
        return self.plan_in_passing(batch, longest)

    def plan_in_passing(self, batch, longest=None):
        """No more steps at a time than `longest`, or else than the cache holds."""
        if longest is None:
            a_step = self.n_kept * width_of(len(batch))
            longest = max(1, BLOCK_BYTES // (a_step * self.dtype.itemsize))
        room = (longest + 1) * width_of(len(batch))
        return Plan(self._runs(batch, longest), room, keep=False)

    def plan_windows(self, batch, steps):
        """A plan for each window of so many steps."""
        for _, runs in groupby(self._runs(batch, steps), lambda run: run.start // steps):
            yield _kept(list(runs))

    # There and back ---------------------------------------------------------------------------

    def forward(self, plan, source, states, collect, keep_trail=False):
        """Unroll over the runs of a plan; return the states after the last, and the trail.

        `collect(run, arrays)` is called after every run.
        """
        for layer in self.layers:
            layer.make_room(plan.room)
        trail, start = Trail(plan, []), 0
        for run in plan.runs:
            arrays = [layer.lay_out(run, start) for layer in self.layers]
            start += plan.keep * (run.steps + 1) * run.width
            if keep_trail:
                states = states if plan.keep else [_copied(state) for state in states]
                trail.runs.append((run, arrays, states))
            self._forward_run(run, arrays, source, states)
            states = [
                layer.states(own, run.steps) for layer, own in zip(self.layers, arrays, strict=True)
            ]
            collect(run, arrays)
        return states, trail

    def _forward_run(self, run, arrays, source, states):
        x = source.read(run)
        for i, layer in enumerate(self.layers):
            if i and source.masks[i - 1] is not None:
                x = x[:, :, : run.n] * source.masks[i - 1][:, : run.n]
            layer.forward(run, arrays[i], x, states[i])
            x = layer.hidden(arrays[i])

    def backward(self, trail, source, d_hidden, send=None):
        """Go back over a trail; return the gradient of the states before its first step.

        `d_hidden(run, h)` gives {t: (columns, dL/dh_t)} for the top layer's h (steps, H, width);
        `send(run, dx)` gets that of the inputs.
        """
        d_states = [layer.zero_state(0) for layer in self.layers]
        latest = trail.runs[-1][0]
        for run, arrays, states in reversed(trail.runs):
            if not trail.plan.keep and run is not latest:
                self._forward_run(run, arrays, source, states)
            d_states = [[widen(dh, run.width) for dh in d_state] for d_state in d_states]
            above = d_hidden(run, self.top(arrays))
            for i, layer in reversed(list(enumerate(self.layers))):
                wanted = i or send is not None
                dx = np.empty((run.steps, layer.n_in, run.width), self.dtype) if wanted else None
                layer.backward(run, arrays[i], d_states[i], above, dx)
                if i:
                    if source.masks[i - 1] is not None:
                        dx[:, :, : run.n] *= source.masks[i - 1][:, : run.n]
                    above = at_every_step(dx)
            if send is not None:
                send(run, dx)
        return d_states

    def pass_through(self, batch, source, states, collect=None):
        """States of all layers after each sequence's last step, keeping no other.

        `collect(run, h)` gets those of the top layer of every run.
        """
        finals = [layer.zero_state(len(batch)) for layer in self.layers]

        def keep_finals(run, arrays):
            for layer, own, final in zip(self.layers, arrays, finals, strict=True):
                for t, first, last in run.ends:
                    for end, state in zip(final, layer.states(own, t), strict=True):
                        end[:, first:last] = state[:, first:last]
            if collect is not None:
                collect(run, self.top(arrays))

        self.forward(self.plan_in_passing(batch), source, states, keep_finals)
        return finals


def _kept(runs):
    return Plan(runs, sum((run.steps + 1) * run.width for run in runs), keep=True)


def _copied(state):
    return None if state is None else [h.copy() for h in state]
