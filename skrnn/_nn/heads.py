"""Heads: from the states of the top layer to the outputs, and from the loss back to these states.

During the forward pass, `collect(direction, segment, h)` is given the states of each segment, h
(steps, H, width). `backprop(context)` then returns the backward pass of a batch: called as
`backprop(direction, segment, h)` it returns {t: (columns, dL/dh_t)} and adds to the gradient of the
linear layer; its `value` is the loss, complete when all segments have been called.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from skrnn._data.sequences import Segment, Sequences, widen, width_of
from skrnn._nn.linear import Linear
from skrnn._nn.pooling import Readout, every_step
from skrnn._typing import Columns, Floats, Integers, StepGradients, Steps, Weights


class BatchContext(NamedTuple):
    """One batch: views of weights and gradient, samples, their loss and its divisor, noise."""

    weights: Weights
    gradient: Weights
    samples: Any
    loss: Any
    total: float
    noise: Any

    @classmethod
    def inference(cls, weights: Weights, noise: Any) -> "BatchContext":
        """Nothing to learn."""
        return cls(weights, {}, None, None, 1.0, noise)


class Backprop(Protocol):
    """The backward pass from the loss to the states of the top layer."""

    value: float

    def __call__(self, direction: int, segment: Segment, h: Steps) -> StepGradients: ...


class SequenceHead:
    """One output per sequence, from pooled states of one direction or two, of equal sizes."""

    def __init__(
        self,
        linear: Linear,
        readout: type[Readout],
        n_directions: int,
        lengths: Integers,
        mask: Columns | None,
        dtype: np.dtype,
    ):
        self.linear, self.n, self.width = linear, len(lengths), width_of(len(lengths))
        self.mask = None if mask is None else widen(mask, self.width)
        shape = linear.n_in // n_directions, lengths, self.width, dtype
        self.pools = [readout(*shape) for _ in range(n_directions)]

    def collect(self, direction: int, segment: Segment, h: Steps) -> None:
        self.pools[direction].collect(segment, h)

    def _masked_states(self) -> Columns:
        h = np.concatenate([pool.pooled() for pool in self.pools])
        return h if self.mask is None else h * self.mask

    def outputs(self, weights: Weights) -> Floats:
        """Raw outputs (n, K)."""
        return self.linear.forward(weights, self._masked_states())[:, : self.n].T

    def backprop(self, context: BatchContext) -> "SequenceBackprop":
        samples = context.samples
        h, weight = self._masked_states(), samples.weight.T / context.total
        o = self.linear.forward(context.weights, h)[:, : self.n]
        d_o = np.zeros((len(o), self.width), o.dtype)
        y = np.ascontiguousarray(samples.targets.T)
        value, d_o[:, : self.n] = context.loss.value_and_gradient(y, o, weight)
        dh = self.linear.backward(context.weights, context.gradient, h, d_o)
        dh = dh if self.mask is None else dh * self.mask
        return SequenceBackprop(value, self.pools, dh.reshape(len(self.pools), -1, self.width))


class SequenceBackprop:
    """Spreads the gradient of the pooled states over the steps."""

    def __init__(self, value: float, pools: list[Readout], dh: Steps):
        self.value, self._pools, self._dh = value, pools, dh

    def __call__(self, direction: int, segment: Segment, h: Steps) -> StepGradients:
        return self._pools[direction].spread(segment, self._dh[direction])


class StepHead:
    """One output per step of a net in one direction.

    The loss is computed during the backward pass, so that no segment's states have to be kept.
    Targets and weights of the samples are aligned with the steps of their sequences.
    """

    def __init__(self, linear: Linear, mask: Columns | None):
        self.linear, self.mask = linear, mask

    def collect(self, direction: int, segment: Segment, h: Steps) -> None:
        """Nothing is pooled."""

    def backprop(self, context: BatchContext) -> Backprop:
        return StepBackprop(self.linear, self.mask, context)


class BidirectionalStepHead(StepHead):
    """One output per step of both directions, whose states meet step by step."""

    def __init__(
        self,
        linear: Linear,
        mask: Columns | None,
        lengths: Integers,
        dtype: np.dtype,
        segments: Iterable[Segment],
    ):
        super().__init__(linear, mask)
        self.states, self.segments = Sequences.empty(lengths, linear.n_in, dtype), segments

    def collect(self, direction: int, segment: Segment, h: Steps) -> None:
        direction_of(self.states, direction).put(segment, h)

    def backprop(self, context: BatchContext) -> Backprop:
        both = StepBackprop(self.linear, self.mask, context)
        d_states = Sequences.empty(self.states.lengths, self.linear.n_in, both.dtype)
        for segment in self.segments:
            d_states.put(segment, both.d_states(segment, self.states.steps(segment)))
        return StepsBackprop(both.value, d_states)


class StepBackprop:
    """The loss of every step, and its gradient, segment by segment."""

    def __init__(self, linear: Linear, mask: Columns | None, context: BatchContext):
        samples = context.samples
        weight = samples.weight.reshape(len(samples.weight), -1)
        self.value = 0.0
        self.dtype = weight.dtype
        self._linear, self._mask, self._context = linear, mask, context
        self._targets = samples.sequences.of(samples.targets)
        self._weights = samples.sequences.of(weight)

    def __call__(self, direction: int, segment: Segment, h: Steps) -> StepGradients:
        return every_step(self.d_states(segment, h))

    def d_states(self, segment: Segment, h: Steps) -> Steps:
        """dL/dh of a segment, from h (steps, H, width or fewer columns)."""
        context, mask = self._context, None
        h = h if h.shape[-1] == segment.width else widen(h, segment.width)
        if self._mask is not None:
            mask = widen(self._mask[:, : segment.n], segment.width)
            h = h * mask
        o = self._linear.forward(context.weights, h)
        y, weight = (
            widen(values.steps(segment), segment.width) for values in (self._targets, self._weights)
        )
        weight *= self._scale(segment)
        value, d = context.loss.value_and_gradient(*map(_columns, (y, o, weight)))
        self.value += value
        d_o = np.ascontiguousarray(d.reshape(len(d), segment.steps, -1).swapaxes(0, 1))
        dh = self._linear.backward(context.weights, context.gradient, h, d_o)
        return dh if mask is None else dh * mask

    def _scale(self, segment: Segment) -> Steps:
        """1 / total for columns that are steps of a sequence, 0 for padding."""
        scale = np.zeros((segment.steps, 1, segment.width), self.dtype)
        for steps, first, last in segment.spans:
            scale[:steps, :, first:last] = 1 / self._context.total
        return scale


class StepsBackprop:
    """The gradient of states of both directions, as it was computed for every step."""

    def __init__(self, value: float, d_states: Sequences):
        self.value, self._d_states = value, d_states

    def __call__(self, direction: int, segment: Segment, h: Steps) -> StepGradients:
        return gradients_of(direction_of(self._d_states, direction), segment)


Head = SequenceHead | StepHead


def direction_of(states: Sequences, direction: int) -> Sequences:
    """States (n_steps, 2 H) of one direction alone, in the order in which it goes through time."""
    H = states.values.shape[1] // 2
    own = states.of(states.values[:, direction * H : (direction + 1) * H])
    return own.reversed() if direction else own


def gradients_of(d_states: Sequences, segment: Segment) -> StepGradients:
    """Gradients at the steps of a segment."""
    d = d_states.steps(segment)
    return {t: (slice(0, n), d[t, :, :n]) for t, n in enumerate(segment.running())}


def _columns(values: Steps) -> Columns:
    """(steps, K, width) as (K, steps * width)."""
    return values.swapaxes(0, 1).reshape(values.shape[1], -1)
