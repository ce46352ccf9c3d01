"""A workspace: the arrays of a network, and the passes of batches through them."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from skrnn._data.samples import Samples
from skrnn._data.sequences import Segment, Sequences, widen, width_of
from skrnn._nn.heads import (
    Backprop,
    BatchContext,
    BidirectionalStepHead,
    Head,
    SequenceHead,
    StepHead,
    direction_of,
    gradients_of,
)
from skrnn._nn.losses import Loss
from skrnn._nn.network import Network, Noise
from skrnn._nn.stack import Above, Input, Layers, Plan, Send, Stack, States, Tape
from skrnn._typing import Columns, Integers, Rows, State, StepGradients, Steps, Vector, Weights

BLOCK_COLUMNS = 1500

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

    def pack_transposed(self, weights: Weights) -> None:
        """Pack the weights for a forward and a backward pass; start their gradient at zero."""
        for stack, layers in self.stacks:
            for space, (_, own) in zip(layers, stack.by_layer(weights), strict=True):
                space.pack_transposed(own)

    @property
    def n_bytes(self) -> int:
        """What `free` frees."""
        return sum(space.n_bytes for _, layers in self.stacks for space in layers)

    def free(self) -> None:
        """Free all arrays but the packed weights."""
        for _, layers in self.stacks:
            for space in layers:
                space.free()

    # Learning ---------------------------------------------------------------------------------

    def loss_and_gradient(
        self,
        theta: Vector,
        gradient: Vector,
        samples: Samples,
        loss: Loss,
        *,
        total: float,
        noise: Noise | None = None,
        bptt_steps: int | None = None,
        max_bytes: float | None = None,
    ) -> float:
        """Loss of a batch, sorted longest first; its gradient is written into `gradient`.

        The weights of the samples are divided by `total`. With `bptt_steps` the gradient goes back
        over no more steps than these (Williams & Peng 1990): those at the end of each sequence for
        the readout "last", else those since the start of a window. If the arrays of all steps would
        need more than `max_bytes`, gradient checkpointing keeps to it.
        """
        network, batch = self.network, samples.sequences
        gradient.fill(0)
        weights, d_weights = network.weights(theta), network.weights(gradient)
        context = BatchContext(weights, d_weights, samples, loss, total, noise or network.silence)
        self.pack_transposed(weights)
        if bptt_steps is None or batch.lengths[0] <= bptt_steps:
            value = self._all_steps(context, max_bytes)
        elif network.readout.reads_end:
            value = self._last_steps(context, bptt_steps, max_bytes)
        else:
            value = self._windows(context, bptt_steps)
        for stack, layers in self.stacks:
            stack.unpack(layers, d_weights)
        return value

    def _all_steps(self, context: BatchContext, max_bytes: float | None) -> float:
        """Backpropagation through all steps."""
        batch = context.samples.sequences
        starts = self.network.starts(context.weights, len(batch), context.noise)
        return self._forward_backward(context, batch, starts, max_bytes)

    def _forward_backward(
        self,
        context: BatchContext,
        batch: Sequences,
        starts: list[States],
        max_bytes: float | None,
        first: int = 0,
    ) -> float:
        """Forward and backward over a batch; sequences from number `first` on start at h0."""
        head = self._head(batch, context.noise)
        n_kept = sum(stack.n_kept for stack, _ in self.stacks)

        def plan(stack: Stack) -> Plan:  # stacks share max_bytes by what they would keep
            return stack.plan(batch, max_bytes and max_bytes * (stack.n_kept / n_kept))

        _, tapes = self._forward(context, batch, plan, starts, head.collect, keep_tape=True)
        backprop = head.backprop(context)
        self._backward(context, batch, tapes, backprop, first)
        return backprop.value

    def _last_steps(self, context: BatchContext, k: int, max_bytes: float | None) -> float:
        """Learn from the last k steps of every sequence; those before give a state, no gradient."""
        ((stack, layers),) = self.stacks
        every_step = context.samples.sequences
        (start,) = self.network.starts(context.weights, len(every_step), context.noise)
        skipped = np.maximum(every_step.lengths - k, 0)
        n = int(np.count_nonzero(skipped))
        before = Sequences(every_step.values, every_step.starts[:n], skipped[:n])
        tail = Sequences(
            every_step.values, every_step.starts + skipped, every_step.lengths - skipped
        )
        finals = stack.final_states(layers, before, self._input(context, before), start)
        states = [
            _overwritten(state, final, len(tail))
            for state, final in zip(start, finals, strict=True)
        ]
        return self._forward_backward(context, tail, [states], max_bytes, first=n)

    def _windows(self, context: BatchContext, k: int) -> float:
        """Learn from windows of k steps, one after the other; states are pooled before."""
        ((stack, _),) = self.stacks
        batch = context.samples.sequences
        (states,) = self.network.starts(context.weights, len(batch), context.noise)
        head = self._head(batch, context.noise)
        if not self.network.per_step:
            self._forward(
                context, batch, lambda s: s.plan_inference(batch, k), [states], head.collect
            )
        backprop, first = head.backprop(context), 0
        for window in stack.plan_windows(batch, k):
            states = [state and [h.copy() for h in state] for state in states]
            plan = partial(_planned, window)
            (states,), tapes = self._forward(
                context, batch, plan, [states], _ignore, keep_tape=True
            )
            self._backward(context, batch, tapes, backprop, first)
            first = len(batch)
        return backprop.value

    def _head(self, batch: Sequences, noise: Noise) -> Head:
        network, mask = self.network, noise.masks[-1]
        if not network.per_step:
            return self._sequence_head(batch.lengths, noise)
        if network.n_directions == 1:
            return StepHead(network.linear, mask)
        segments = network.stacks[-1].plan_inference(batch).segments
        return BidirectionalStepHead(network.linear, mask, batch.lengths, network.dtype, segments)

    def _sequence_head(self, lengths: Integers, noise: Noise) -> SequenceHead:
        network = self.network
        shape = network.n_directions, lengths, noise.masks[-1], network.dtype
        return SequenceHead(network.linear, network.readout, *shape)

    # Passes through the levels ----------------------------------------------------------------

    def _forward(
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
            states = batch if top else self._allocate_states(batch, i)
            tapes.append([])
            for direction, (stack, layers) in enumerate(level):
                up = partial(collect, direction) if top else direction_of(states, direction).put
                source = self._input(context, below, i, direction)
                final, tape = stack.forward(
                    layers, plan(stack), source, next(start), up, keep_tape=keep_tape
                )
                finals.append(final)
                tapes[-1].append((source, tape))
            below = states
        return finals, tapes

    def _allocate_states(self, batch: Sequences, level: int) -> Sequences:
        return Sequences.empty(batch.lengths, self.network.n_states[level], self.network.dtype)

    def _input(
        self, context: BatchContext, below: Sequences, level: int = 0, direction: int = 0
    ) -> Input:
        """What a stack reads: embedded inputs at the first level, masked states at the others."""
        below = below.reversed() if direction else below
        if level:
            return Input(partial(_masked_steps, below, context.noise.masks[level - 1]), [])

        def read(segment: Segment) -> Steps:
            return self.network.embedding.forward(context.weights, below.steps(segment))

        return Input(read, context.noise.masks if len(self.levels) == 1 else [])

    def _backward(
        self, context: BatchContext, batch: Sequences, tapes: Tapes, backprop: Backprop, first: int
    ) -> None:
        """Go back through all levels, adding to the gradient."""
        above: list[Above] = [partial(backprop, i) for i in range(self.network.n_directions)]
        for i, level in reversed(list(enumerate(self.levels))):
            D = level[0][0].n_in
            d_below = Sequences.empty(batch.lengths, 2 * D, self.network.dtype) if i else None
            for direction, (stack, layers) in enumerate(level):
                source, tape = tapes[i][direction]
                if d_below is None:
                    send = self._learn_embedding(context, batch, direction)
                else:
                    mask = context.noise.masks[i - 1]
                    send = partial(_put_masked, direction_of(d_below, direction), mask)
                d_start = stack.backward(layers, tape, source, above[direction], send)
                stack.start_backward(context.gradient, d_start, len(batch), first)
            if d_below is not None:  # both directions of this level have read all states below
                d_states = d_below.of(d_below.values[:, :D] + d_below.values[:, D:])
                above = [partial(_d_states, direction_of(d_states, i)) for i in range(2)]

    def _learn_embedding(
        self, context: BatchContext, batch: Sequences, direction: int
    ) -> Send | None:
        """Where the gradient of the inputs goes; None if nobody wants it."""
        embedding = self.network.embedding
        if not embedding.tables:
            return None
        batch = batch.reversed() if direction else batch
        return lambda segment, dx: embedding.backward(
            context.gradient, batch.steps(segment), dx[:, :, : segment.n]
        )

    # Inference --------------------------------------------------------------------------------

    def outputs(self, weights: Weights, sequences: Sequences) -> Rows:
        """Raw outputs (n, K), per step with the readout "step", by the weights as packed."""
        network = self.network
        if network.per_step:
            return self._every_step(weights, sequences, partial(network.linear.forward, weights))
        out = np.empty((len(sequences), network.linear.n_out), network.dtype)
        for idx in _blocks(sequences):
            batch = sequences.take(idx)
            head = self._sequence_head(batch.lengths, network.silence)
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
        self._forward(context, batch, lambda s: s.plan_inference(batch), starts, collect)

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
        states = self._allocate_states(batch, -1)

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
            source = self._input(context, batch)
            finals = stack.final_states(layers, batch, source, start, pool.collect)
            for state, final in zip(states, finals, strict=True):
                for h, end in zip(state, final, strict=True):
                    h[:, idx] = end
            total[:, idx] = pool.total[:, : len(idx)]
        return states, total


def _planned(plan: Plan, stack: Stack) -> Plan:
    return plan


def _ignore(direction: int, segment: Segment, h: Steps) -> None:
    """Collect nothing."""


def _masked_steps(below: Sequences, mask: Columns | None, segment: Segment) -> Steps:
    x = below.steps(segment)
    return x if mask is None else x * mask[:, : segment.n]


def _put_masked(below: Sequences, mask: Columns | None, segment: Segment, dx: Steps) -> None:
    below.put(segment, dx if mask is None else dx[:, :, : segment.n] * mask[:, : segment.n])


def _d_states(d_states: Sequences, segment: Segment, h: Steps) -> StepGradients:
    return gradients_of(d_states, segment)


def _overwritten(state: State | None, final: State, n: int) -> State:
    """Arrays (H, n) of a state whose first columns are those of another; None is zero."""
    new = [widen(h, n) for h in final]
    for h, start in zip(new, state or [], strict=False):
        columns = final[0].shape[1]
        h[:, columns:] = start[:, columns:]
    return new


def _blocks(sequences: Sequences) -> Iterator[Integers]:
    """Numbers of the sequences, longest first, in parts of like sizes."""
    order = sequences.longest_first()
    return iter(np.array_split(order, -(-len(order) // BLOCK_COLUMNS)))
