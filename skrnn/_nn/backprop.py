"""Backpropagation through time: the loss of a batch and its gradient."""

from functools import partial

import numpy as np

from skrnn._data.samples import Samples
from skrnn._data.sequences import Segment, Sequences, widen
from skrnn._nn.heads import (
    Backprop,
    BatchContext,
    BidirectionalStepHead,
    Head,
    StepHead,
    direction_of,
    gradients_of,
)
from skrnn._nn.losses import Loss
from skrnn._nn.network import Noise
from skrnn._nn.stack import Above, Plan, Send, Stack, States
from skrnn._nn.workspace import Tapes, Workspace
from skrnn._typing import Columns, State, StepGradients, Steps, Vector, Weights


class TrainingWorkspace(Workspace):
    """A workspace that learns, too."""

    def pack_transposed(self, weights: Weights) -> None:
        """Pack the weights for a forward and a backward pass; start their gradient at zero."""
        for stack, layers in self.stacks:
            for space, (_, own) in zip(layers, stack.by_layer(weights), strict=True):
                space.pack_transposed(own)

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

        _, tapes = self.forward(context, batch, plan, starts, head.collect, keep_tape=True)
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
        finals = stack.final_states(layers, before, self.input_of(context, before), start)
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
            self.forward(
                context, batch, lambda s: s.plan_inference(batch, k), [states], head.collect
            )
        backprop, first = head.backprop(context), 0
        for window in stack.plan_windows(batch, k):
            states = [state and [h.copy() for h in state] for state in states]
            plan = partial(_planned, window)
            (states,), tapes = self.forward(context, batch, plan, [states], _ignore, keep_tape=True)
            self._backward(context, batch, tapes, backprop, first)
            first = len(batch)
        return backprop.value

    def _head(self, batch: Sequences, noise: Noise) -> Head:
        network, mask = self.network, noise.masks[-1]
        if not network.per_step:
            return self.sequence_head(batch.lengths, noise)
        if network.n_directions == 1:
            return StepHead(network.linear, mask)
        segments = network.stacks[-1].plan_inference(batch).segments
        return BidirectionalStepHead(network.linear, mask, batch.lengths, network.dtype, segments)

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


def _planned(plan: Plan, stack: Stack) -> Plan:
    return plan


def _ignore(direction: int, segment: Segment, h: Steps) -> None:
    """Collect nothing."""


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
