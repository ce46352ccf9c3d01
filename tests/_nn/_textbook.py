"""The textbook's nets, one sequence and one weight at a time."""

import numpy as np
from scipy.special import expit


def next_state(name, weights, layer, x, h, c):
    """One step of a layer."""
    W_xh, W_hh, b_h = (weights[f"{key}_{layer}"] for key in ("W_xh", "W_hh", "b_h"))
    if name.startswith("rnn"):
        a = W_xh @ x + W_hh @ h + b_h
        return (np.tanh(a) if name == "rnn_tanh" else np.maximum(a, 0)), c
    if name == "gru":
        xr, xz, xn = np.split(W_xh @ x + b_h, 3)
        hr, hz, hn = np.split(W_hh @ h, 3)
        r, z = expit(xr + hr), expit(xz + hz)
        n = np.tanh(xn + r * (hn + weights[f"b_hn_{layer}"]))
        return (1 - z) * n + z * h, c
    i, f, g, o = np.split(W_xh @ x + W_hh @ h + b_h, 4)
    c = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def zero_states(network):
    """h and c of every layer."""
    return [(np.zeros(H), np.zeros(H)) for H in network.architecture.hidden_layer_sizes]


def unroll(network, theta, steps, states):
    """States of all layers after the steps of one sequence."""
    name, weights = network.architecture.cell, network.weights(theta)
    states = [tuple(state) for state in states]
    for x in steps:
        for layer, (h, c) in enumerate(states):
            states[layer] = next_state(name, weights, layer, x, h, c)
            x = states[layer][0]
    return states


def top_states(network, theta, sequence):
    """Top states after every step of one sequence."""
    states = [zero_states(network)]
    for x in sequence:
        states.append(unroll(network, theta, [x], states[-1]))
    return np.array([state[-1][0] for state in states[1:]])


def windowed_states(network, theta, fixed_theta, sequence, k):
    """Top states of one sequence; those a window of k steps starts from move with fixed_theta."""
    state, tops = zero_states(network), []
    for start in range(0, len(sequence), k):
        window, moving = sequence[start : start + k], state
        for x in window:
            moving = unroll(network, theta, [x], moving)
            tops.append(moving[-1][0])
        state = unroll(network, fixed_theta, window, state)
    return np.array(tops)
