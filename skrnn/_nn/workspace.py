"""A workspace: the arrays of a network, and the forward passes of batches through them."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from skrnn._data.sequences import Segment, Sequences, widen, width_of
from skrnn._nn.heads import (
    BatchContext,
    SequenceHead,
    direction_of,
)
from skrnn._nn.network import Network, Noise
from skrnn._nn.stack import Input, Layers, Plan, Stack, States, Tape
from skrnn._typing import Columns, Integers, Rows, State, Steps, Weights

BLOCK_COLUMNS = 1500  # of a prediction at once: more gain nothing, and memory stays bounded

Collect = Callable[[int, Segment, Steps], None]
Planner = Callable[[Stack], Plan]
Tapes = list[list[tuple[Input, Tape]]]  # of every level and direction


class Workspace:
    """Arrays for one batch after another of a network; it serves one thread at a time."""

    def __init__(self, network: Network):
        self.network = network
        self.levels: list[list[tuple[Stack, Layers]]] = [
            [(stack, stack.allocate()) for stack in level] for level in network.levels
        ]
        self.stacks = [pair for level in self.levels for pair in level]
        self.version: object = None  # of the weights that are packed

    def pack(self, weights: Weights) -> None:
        """Pack the weights for inference."""
        for stack, layers in self.stacks:
            for space, (_, own) in zip(layers, stack.by_layer(weights), strict=True):
                space.pack(own)

    @property
    def n_bytes(self) -> int:
        """What `free` frees."""
        return sum(space.n_bytes for _, layers in self.stacks for space in layers)

    def free(self) -> None:
        """Free all arrays but the packed weights."""
        for _, layers in self.stacks:
            for space in layers:
                space.free()

    def sequence_head(self, lengths: Integers, noise: Noise) -> SequenceHead:
        network = self.network
        shape = network.n_directions, lengths, noise.masks[-1], network.dtype
        return SequenceHead(network.linear, network.readout, *shape)

    # Passes through the levels ----------------------------------------------------------------

    def forward(
        self,
        context: BatchContext,
        batch: Sequences,
        plan: Planner,
        starts: list[States],
        collect: Collect,
        *,
        keep_tape: bool = False,
    ) -> tuple[list[States], Tapes]:
        """Go through all levels; `collect(direction, segment, h)` is given the states at the top.

        Returns the states of every stack after its last segment, and inputs and tapes.
        """
        finals: list[States] = []
        tapes: Tapes = []
        below, start = batch, iter(starts)
        for i, level in enumerate(self.levels):
            top = i == len(self.levels) - 1
            states = batch if top else self.allocate_states(batch, i)
            tapes.append([])
            for direction, (stack, layers) in enumerate(level):
                up = partial(collect, direction) if top else direction_of(states, direction).put
                source = self.input_of(context, below, i, direction)
                final, tape = stack.forward(
                    layers, plan(stack), source, next(start), up, keep_tape=keep_tape
                )
                finals.append(final)
                tapes[-1].append((source, tape))
            below = states
        return finals, tapes

    def allocate_states(self, batch: Sequences, level: int) -> Sequences:
        return Sequences.empty(batch.lengths, self.network.n_states[level], self.network.dtype)

    def input_of(
        self, context: BatchContext, below: Sequences, level: int = 0, direction: int = 0
    ) -> Input:
        """What a stack reads: embedded inputs at the first level, masked states at the others."""
        below = below.reversed() if direction else below
        if level:
            return Input(partial(_masked_steps, below, context.noise.masks[level - 1]), [])

        def read(segment: Segment) -> Steps:
            return self.network.embedding.forward(context.weights, below.steps(segment))

        return Input(read, context.noise.masks if len(self.levels) == 1 else [])

    # Inference --------------------------------------------------------------------------------

    def outputs(self, weights: Weights, sequences: Sequences) -> Rows:
        """Raw outputs (n, K), per step with the readout "step", by the weights as packed."""
        network = self.network
        if network.per_step:
            return self._every_step(weights, sequences, partial(network.linear.forward, weights))
        out = np.empty((len(sequences), network.linear.n_out), network.dtype)
        for idx in _blocks(sequences):
            batch = sequences.take(idx)
            head = self.sequence_head(batch.lengths, network.silence)
            self._infer(weights, batch, head.collect)
            out[idx] = head.outputs(weights)
        return out

    def hidden_states(self, weights: Weights, sequences: Sequences) -> Rows:
        """States of the top layer after every step, sequence by sequence."""
        return self._every_step(weights, sequences, lambda h: h)

    def _infer(self, weights: Weights, batch: Sequences, collect: Collect) -> None:
        """Go through a batch, keeping no states."""
        context = BatchContext.inference(weights, self.network.silence)
        starts = self.network.starts(weights, len(batch))
        self.forward(context, batch, lambda s: s.plan_inference(batch), starts, collect)

    def _every_step(
        self, weights: Weights, sequences: Sequences, function: Callable[[Steps], Steps]
    ) -> Rows:
        """A function of the states (steps, H, width), for all steps, sequence by sequence."""
        n_out = function(np.zeros((1, self.network.n_states[-1], 1), self.network.dtype)).shape[1]
        out = Sequences.empty(sequences.lengths, n_out, self.network.dtype)
        put = self._put_steps if self.network.n_directions == 1 else self._put_steps_of_both
        for idx in _blocks(sequences):
            put(weights, sequences.take(idx), function, out.take(idx))
        return out.values

    def _put_steps(
        self,
        weights: Weights,
        batch: Sequences,
        function: Callable[[Steps], Steps],
        out: Sequences,
    ) -> None:
        self._infer(weights, batch, lambda _, segment, h: out.put(segment, function(h)))

    def _put_steps_of_both(
        self,
        weights: Weights,
        batch: Sequences,
        function: Callable[[Steps], Steps],
        out: Sequences,
    ) -> None:
        """The same of a bidirectional net, whose directions meet step by step."""
        states = self.allocate_states(batch, -1)

        def collect(direction: int, segment: Segment, h: Steps) -> None:
            direction_of(states, direction).put(segment, h)

        self._infer(weights, batch, collect)
        for segment in self.network.stacks[-1].plan_inference(batch).segments:
            out.put(segment, function(widen(states.steps(segment), segment.width)))

    def final_states(self, weights: Weights, sequences: Sequences) -> tuple[list[State], Columns]:
        """After every sequence's last step: the states of each layer, and the total that is pooled.

        For a net in one direction.
        """
        ((stack, layers),) = self.stacks
        network, n = self.network, len(sequences)
        context = BatchContext.inference(weights, network.silence)
        states = [layer.zero_state(n, network.dtype) for layer in stack.layers]
        total = np.empty((network.n_states[-1], n), network.dtype)
        for idx in _blocks(sequences):
            batch = sequences.take(idx)
            width = width_of(len(idx))
            pool = network.readout(network.n_states[-1], batch.lengths, width, network.dtype)
            (start,) = network.starts(weights, len(idx))
            source = self.input_of(context, batch)
            finals = stack.final_states(layers, batch, source, start, pool.collect)
            for state, final in zip(states, finals, strict=True):
                for h, end in zip(state, final, strict=True):
                    h[:, idx] = end
            total[:, idx] = pool.total[:, : len(idx)]
        return states, total


def _masked_steps(below: Sequences, mask: Columns | None, segment: Segment) -> Steps:
    x = below.steps(segment)
    return x if mask is None else x * mask[:, : segment.n]


def _blocks(sequences: Sequences) -> Iterator[Integers]:
    """Numbers of the sequences, longest first, in parts of like sizes."""
    order = sequences.longest_first()
    return iter(np.array_split(order, -(-len(order) // BLOCK_COLUMNS)))
