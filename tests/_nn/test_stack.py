"""Stacks: how time is cut so that memory is bounded, and what the segments carry."""

import numpy as np
import pytest

from _nn._nets import loss_of, make_batch, make_net, make_samples, traced
from skrnn._data.sequences import width_of
from skrnn._nn.backprop import TrainingWorkspace
from skrnn._nn.cells import CELLS
from skrnn._nn.stack import BLOCK_BYTES


def make_stack(cell="gru", sizes=(4, 3)):
    network, _ = make_net(cell, sizes, 1, np.random.default_rng(0))
    return network.stacks[0]


def sorted_batch(lengths):
    sequences = make_batch(lengths, np.random.default_rng(0))
    return sequences.take(sequences.longest_first())


def kept_bytes(stack, plan):
    return plan.n_columns * stack.n_kept * stack.dtype.itemsize


@pytest.mark.parametrize("lengths", [[50] * 20, [90, 7, 3], [*range(1, 80)]], ids=len)
@pytest.mark.parametrize("cell", CELLS)
def test_all_steps_are_kept_where_they_fit(cell, lengths):
    stack, batch = make_stack(cell), sorted_batch(lengths)
    plan = stack.plan(batch)
    assert plan.keep
    assert plan.n_columns == sum((s.steps + 1) * s.width for s in plan.segments)
    assert stack.plan(batch, kept_bytes(stack, plan)).keep
    assert not stack.plan(batch, kept_bytes(stack, plan) - 1).keep


@pytest.mark.parametrize("T", [100, 2500, 10_000])
@pytest.mark.parametrize("cell", CELLS)
def test_checkpoints_are_as_large_as_a_segment(cell, T):
    """About sqrt(T) segments of sqrt(T) steps, but that a border is smaller than a step."""
    stack, batch = make_stack(cell), sorted_batch([T] * 3)
    plan = stack.plan(batch, 0)
    segments = list(plan.segments)
    steps = max(segment.steps for segment in segments)
    carried = sum(layer.n_carried for layer in stack.layers)
    assert len(segments) * carried == pytest.approx(steps * stack.n_kept, rel=0.5, abs=60)
    assert plan.n_columns == (steps + 1) * width_of(3)


@pytest.mark.parametrize("cell", CELLS)
def test_inference_keeps_a_segment_in_cache(cell):
    stack, batch = make_stack(cell), sorted_batch([3000] * 40)
    plan = stack.plan_inference(batch)
    assert not plan.keep
    steps = {segment.steps for segment in plan.segments}
    per_step = stack.n_kept * width_of(40) * 8
    assert max(steps) * per_step <= BLOCK_BYTES < (max(steps) + 1) * per_step
    assert plan.n_columns == (max(steps) + 1) * width_of(40)


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_windows_cut_time_every_so_many_steps(steps):
    stack, batch = make_stack(), sorted_batch([*range(1, 40)])
    windows = list(stack.plan_windows(batch, steps))
    assert len(windows) == -(-39 // steps)
    for number, plan in enumerate(windows):
        assert plan.keep
        assert plan.segments[0].start == number * steps
        assert sum(segment.steps for segment in plan.segments) == min(steps, 39 - number * steps)


def test_cells_whose_states_may_overflow_have_no_padding():
    stack, batch = make_stack("rnn_relu"), sorted_batch([9, 7, 3])
    for plan in (stack.plan(batch), stack.plan(batch, 0), stack.plan_inference(batch)):
        for segment in plan.segments:
            assert all(t == segment.steps for t, _, _ in segment.ends)


@pytest.mark.parametrize("cell", CELLS)
def test_numbers_kept_are_those_of_the_arrays(cell):
    """What a plan goes by is what is allocated, but for what a cell of one block shares."""
    network, _ = make_net(cell, (40, 30), 1, np.random.default_rng(0))
    stack, space = network.stacks[0], TrainingWorkspace(network)
    _, layers = space.stacks[0]
    for layer in layers:
        layer.begin(1000)
    assert space.n_bytes == 1000 * stack.n_kept * 8


@pytest.mark.parametrize("n", [1, 30])
def test_gradients_take_the_memory_that_the_plan_goes_by(n):
    rng = np.random.default_rng(0)
    network, theta = make_net("gru", (40, 30), 1, rng)
    samples = make_samples(make_batch([200] * n, rng), "squared_error", 1, rng)
    stack = network.stacks[0]
    planned = kept_bytes(stack, stack.plan(samples.sequences))
    space, gradient = TrainingWorkspace(network), np.empty_like(theta)

    def call():
        space.loss_and_gradient(theta, gradient, samples, loss_of("squared_error"), total=1.0)

    _, peak = traced(call)
    assert planned < peak < 1.6 * planned
