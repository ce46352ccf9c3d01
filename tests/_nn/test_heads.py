"""Heads: both directions of a state, and how the loss of steps is gone back over."""

import numpy as np
import pytest

from _nn._nets import (
    assert_same_gradient,
    learn,
    loss_of,
    make_batch,
    make_net,
    make_samples,
    outputs_of,
)
from skrnn._data.sequences import Sequences
from skrnn._nn.heads import direction_of, gradients_of
from skrnn._nn.losses import LOSSES


def test_the_reverse_direction_is_the_second_half_read_backward():
    states = Sequences.stacked(np.arange(40.0).reshape(10, 4), np.array([4, 3, 3]))
    forward, reverse = direction_of(states, 0), direction_of(states, 1)
    for i, both in enumerate(states):
        np.testing.assert_array_equal(forward[i], both[:, :2])
        np.testing.assert_array_equal(reverse[i], both[::-1, 2:])
    reverse[1] = np.zeros((3, 2))
    assert not states[1][:, 2:].any() and states[1][:, :2].all()


def test_gradients_at_the_steps_of_a_segment_are_those_of_the_sequences_that_have_them():
    d_states = make_batch([5, 3, 3, 1], np.random.default_rng(0))
    for segment in d_states.segments(longest=2):
        steps = gradients_of(d_states, segment)
        assert list(steps) == list(range(segment.steps))
        for t, (columns, d) in steps.items():
            running = [x for x in d_states if len(x) > segment.start + t]
            assert columns == slice(0, len(running))
            np.testing.assert_array_equal(d.T, [x[segment.start + t] for x in running])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_of_steps_is_the_sum_over_all_steps(loss, bidirectional):
    rng = np.random.default_rng(1)
    samples = make_samples(make_batch([7, 1, 9, 9, 2] * 5, rng), loss, 3, rng, "step")
    options = {"readout": "step", "bidirectional": bidirectional}
    network, theta = make_net("gru", (4,), 3, rng, **options)
    y, weight = samples.flat()
    raw = outputs_of(network, theta, samples.sequences)
    expected, d_o = loss_of(loss).value_and_gradient(y.T, raw.T, weight / 3)
    value, gradient = learn(network, theta, samples, loss, total=3.0)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(network.weights(gradient)["b_o"], d_o.sum(axis=1), rtol=1e-10)


@pytest.mark.parametrize("loss", ["multilabel_log_loss", "squared_error"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", ["last", "mean", "max", "step"])
def test_weights_may_differ_from_output_to_output(readout, bidirectional, loss):
    """As those of labels do: a column of weights for each."""
    rng = np.random.default_rng(2)
    samples = make_samples(make_batch([7, 1, 9, 4], rng), loss, 3, rng, readout)
    options = {"readout": readout, "bidirectional": bidirectional}
    network, theta = make_net("gru", (4,), 3, rng, **options)
    columns = rng.random((len(samples.weight), 3))
    value, gradient = learn(network, theta, samples._replace(weight=columns), loss)
    parts = []
    for k in range(3):
        alone = np.zeros_like(columns)
        alone[:, k] = columns[:, k]
        parts.append(learn(network, theta, samples._replace(weight=alone), loss))
    assert value == pytest.approx(sum(part for part, _ in parts), rel=1e-12)
    assert_same_gradient(gradient, sum(part for _, part in parts))
    same = np.repeat(samples.weight[:, None], 3, axis=1)
    _, expected = learn(network, theta, samples, loss)
    assert_same_gradient(learn(network, theta, samples._replace(weight=same), loss)[1], expected)
