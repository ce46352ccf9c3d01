"""A stack: recurrent layers on top of each other, unrolled together over the time of a batch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from math import isqrt
from typing import NamedTuple

import numpy as np

from skrnn._data.sequences import Segment, Sequences, widen, width_of
from skrnn._nn.cells import Cell
from skrnn._nn.pooling import every_step
from skrnn._nn.recurrent import Recurrent, RecurrentWorkspace, Unrolled
from skrnn._parallel.host import interrupts
from skrnn._typing import Columns, State, StepGradients, Steps, Weights

BLOCK_BYTES = 2**21  # inference keeps the steps of a segment, and what they need, in cache

Layers = list[RecurrentWorkspace]
States = Sequence[State | None]  # of every layer; None is zero
Collect = Callable[[Segment, Steps], None]
Above = Callable[[Segment, Steps], StepGradients]
Send = Callable[[Segment, Steps], None]


class Plan(NamedTuple):
    """How to unroll over a batch: its segments, and the columns they need.

    If `keep`, these are the columns of all of them, else of the largest one.
    """

    segments: Iterable[Segment]
    n_columns: int
    keep: bool


class Input(NamedTuple):
    """What a stack reads: `read(segment)` returns x (steps, D, n).

    `masks` are those of dropout on the states of every layer but the top one, (H, B) or None.
    """

    read: Callable[[Segment], Steps]
    masks: Sequence[Columns | None]


class Tape(NamedTuple):
    """What the backward pass needs of each segment: itself, its arrays, the states before it."""

    plan: Plan
    segments: list[tuple[Segment, list[Unrolled], States]]


class Stack:
    """Recurrent layers, the first over sizes[0] inputs; `suffixes` end their weights' names."""

    def __init__(
        self,
        cell: type[Cell],
        sizes: Sequence[int],
        dtype: np.dtype,
        suffixes: Sequence[str],
        *,
        learned_start: bool = False,
    ):
        self.layers = [
            Recurrent(cell, D, H, learned_start=learned_start) for D, H in pairwise(sizes)
        ]
        self.n_in, self.n_out, self.dtype = sizes[0], sizes[-1], dtype
        self._names = [
            {name: name + suffix for name in layer.parameters}
            for layer, suffix in zip(self.layers, suffixes, strict=True)
        ]
        self.parameters = {
            names[name]: parameter
            for layer, names in zip(self.layers, self._names, strict=True)
            for name, parameter in layer.parameters.items()
        }

    @property
    def n_kept(self) -> int:
        """Numbers that are kept per step of one sequence."""
        return sum(layer.n_kept for layer in self.layers)

    def by_layer(self, weights: Weights) -> Iterator[tuple[Recurrent, Weights]]:
        """Pairs of a layer and its own weights, under their names without suffix."""
        for layer, names in zip(self.layers, self._names, strict=True):
            yield layer, {name: weights[full] for name, full in names.items()}

    def allocate(self) -> Layers:
        return [RecurrentWorkspace(layer, self.dtype) for layer in self.layers]

    def start(self, weights: Weights, n: int) -> States:
        """States before the first step."""
        return [layer.start(own, n) for layer, own in self.by_layer(weights)]

    def start_backward(
        self, gradient: Weights, d_states: Sequence[State], n: int, first: int = 0
    ) -> None:
        """Learn from the gradients of the states of columns `first` to n."""
        for (layer, own), d_state in zip(self.by_layer(gradient), d_states, strict=True):
            layer.start_backward(own, [d[:, first:n] for d in d_state])

    def unpack(self, layers: Layers, gradient: Weights) -> None:
        for space, (layer, own) in zip(layers, self.by_layer(gradient), strict=True):
            layer.unpack(space.dW, own)

    # Plans ------------------------------------------------------------------------------------

    def _segments(self, batch: Sequences, longest: int | None = None) -> Iterator[Segment]:
        return batch.segments(longest=longest, exact=not self.layers[0].cell.bounded)

    def plan(self, batch: Sequences, max_bytes: float | None = None) -> Plan:
        """Keep the states of all steps if they need at most max_bytes, else those between segments.

        The others are then computed again (gradient checkpointing, Chen et al. 2016): about sqrt(T)
        segments of sqrt(T) steps, their borders as large as one of them.
        """
        kept = _kept(list(self._segments(batch)))
        per_column = self.n_kept * self.dtype.itemsize
        if max_bytes is None or kept.n_columns * per_column <= max_bytes:
            return kept
        per_border = sum(layer.n_carried for layer in self.layers) * self.dtype.itemsize
        longest = 1 + isqrt(int(batch.lengths[0]) * per_border // per_column)
        return self.plan_inference(batch, longest)

    def plan_inference(self, batch: Sequences, longest: int | None = None) -> Plan:
        """Keep the steps of one segment: at most `longest`, else as many as the cache holds."""
        if longest is None:
            per_step = self.n_kept * width_of(len(batch)) * self.dtype.itemsize
            longest = max(1, BLOCK_BYTES // per_step)
        n_columns = (longest + 1) * width_of(len(batch))
        return Plan(self._segments(batch, longest), n_columns, keep=False)

    def plan_windows(self, batch: Sequences, steps: int) -> Iterator[Plan]:
        """A plan for each window of so many steps."""
        segments = self._segments(batch, steps)
        for _, window in groupby(segments, lambda segment: segment.start // steps):
            yield _kept(list(window))

    # Forward and backward ---------------------------------------------------------------------

    def forward(
        self,
        layers: Layers,
        plan: Plan,
        source: Input,
        states: States,
        collect: Collect,
        *,
        keep_tape: bool = False,
    ) -> tuple[States, Tape]:
        """Unroll over the segments of a plan; return the states after the last, and the tape.

        `collect(segment, h)` is given the states of the top layer after every segment.
        """
        for space in layers:
            space.begin(plan.n_columns)
        tape, start = Tape(plan, []), 0
        for segment in plan.segments:
            arrays = [space.unroll(segment, start) for space in layers]
            start += plan.keep * (segment.steps + 1) * segment.width
            if keep_tape:
                states = states if plan.keep else _copied(states)
                tape.segments.append((segment, arrays, states))
            states = self._forward(layers, segment, arrays, source, states)
            collect(segment, arrays[-1].hidden())
        return states, tape

    def _forward(
        self,
        layers: Layers,
        segment: Segment,
        arrays: list[Unrolled],
        source: Input,
        states: States,
    ) -> States:
        interrupts.check()
        x, after = source.read(segment), []
        for i, space in enumerate(layers):
            mask = source.masks[i - 1] if i else None
            if mask is not None:
                x = x[:, :, : segment.n] * mask[:, : segment.n]
            after.append(space.forward(arrays[i], segment.n, x, states[i]))
            x = arrays[i].hidden()
        return after

    def backward(
        self, layers: Layers, tape: Tape, source: Input, above: Above, send: Send | None = None
    ) -> list[State]:
        """Go back over a tape; return the gradient of the states before its first step.

        `above(segment, h)` returns {t: (columns, dL/dh_t)} for the top layer's h (steps, H, width);
        `send(segment, dx)` is given the gradient of the inputs.
        """
        d_states = [layer.zero_state(0, self.dtype) for layer in self.layers]
        latest = tape.segments[-1][0]
        for segment, arrays, states in reversed(tape.segments):
            if not tape.plan.keep and segment is not latest:
                self._forward(layers, segment, arrays, source, states)
            d_states = [[widen(dh, segment.width) for dh in d_state] for d_state in d_states]
            dx = self._backward(
                layers, segment, arrays, d_states, above(segment, arrays[-1].hidden()), source, send
            )
            if send is not None and dx is not None:
                send(segment, dx)
        return d_states

    def _backward(
        self,
        layers: Layers,
        segment: Segment,
        arrays: list[Unrolled],
        d_states: list[State],
        d_h: StepGradients,
        source: Input,
        send: Send | None,
    ) -> Steps | None:
        """Go back over the layers of a segment; return the gradient of its inputs, if wanted."""
        for i in reversed(range(1, len(layers))):
            dx = self._empty_dx(segment, layers[i])
            layers[i].backward(arrays[i], d_states[i], d_h, dx)
            mask = source.masks[i - 1]
            if mask is not None:
                dx[:, :, : segment.n] *= mask[:, : segment.n]
            d_h = every_step(dx)
        d_input = None if send is None else self._empty_dx(segment, layers[0])
        layers[0].backward(arrays[0], d_states[0], d_h, d_input)
        return d_input

    def _empty_dx(self, segment: Segment, space: RecurrentWorkspace) -> Steps:
        return np.empty((segment.steps, space.layer.n_in, segment.width), self.dtype)

    def final_states(
        self,
        layers: Layers,
        batch: Sequences,
        source: Input,
        states: States,
        collect: Collect | None = None,
    ) -> list[State]:
        """States of all layers after each sequence's last step, keeping no others.

        `collect(segment, h)` is given those of the top layer of every segment.
        """
        finals = [layer.zero_state(len(batch), self.dtype) for layer in self.layers]
        plan = self.plan_inference(batch)
        for space in layers:
            space.begin(plan.n_columns)
        for segment in plan.segments:
            arrays = [space.unroll(segment, 0) for space in layers]
            states = self._forward(layers, segment, arrays, source, states)
            for own, final in zip(arrays, finals, strict=True):
                for t, first, last in segment.ends:
                    for end, state in zip(final, own.state(t), strict=True):
                        end[:, first:last] = state[:, first:last]
            if collect is not None:
                collect(segment, arrays[-1].hidden())
        return finals


def _kept(segments: list[Segment]) -> Plan:
    n_columns = sum((segment.steps + 1) * segment.width for segment in segments)
    return Plan(segments, n_columns, keep=True)


def _copied(states: States) -> States:
    return [state and [h.copy() for h in state] for state in states]
