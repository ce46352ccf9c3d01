"""How much of a gradient arrives: its norm at each step, and the effect of every remedy.

Run with `python benchmarks/gradient_flow.py`; about a minute. Forward and backward pass are
written in plain NumPy, independent of the package, as on the guide's page of the mathematics. The
norm is that of dL/dh_t (of h_t and c_t for an LSTM), relative to that of the last step, the median
of 50 sequences with one loss after the last step. Prints a table and saves the figure of the
guide.
"""

from argparse import ArgumentParser
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from _common import Table, print_machine
from matplotlib import pyplot as plt
from scipy.special import expit as sigmoid
from scipy.special import softmax
from scipy.stats import ortho_group

from skrnn import RNNClassifier, RNNRegressor
from skrnn.datasets import make_adding_problem, make_delayed_recall, make_temporal_order

H, BATCH = 64, 50
BACK = (10, 20, 50, 99)
RADII = (0.9, 1.0, 1.3, 2.0)
FIGURE = Path(__file__).parents[1] / "docs" / "user_guide" / "images" / "gradient_flow.png"


# Forward and backward of one step; rows are sequences. A state is (h,), or (h, c) ---------------


def tanh_step(w, x, h):
    h_new = np.tanh(x @ w["W_xh"].T + h @ w["W_hh"].T + w["b_h"])
    return (h_new,), lambda dh: ((dh * (1 - h_new**2)) @ w["W_hh"],)


def relu_step(w, x, h):
    h_new = np.maximum(x @ w["W_xh"].T + h @ w["W_hh"].T + w["b_h"], 0)
    return (h_new,), lambda dh: ((dh * (h_new > 0)) @ w["W_hh"],)


def gru_step(w, x, h):
    a, u = x @ w["W_xh"].T + w["b_h"], h @ w["W_hh"].T
    r, z = sigmoid(a[:, :H] + u[:, :H]), sigmoid(a[:, H : 2 * H] + u[:, H : 2 * H])
    u_n = u[:, 2 * H :] + w["b_hn"]
    n = np.tanh(a[:, 2 * H :] + r * u_n)

    def back(dh):
        dn = dh * (1 - z) * (1 - n**2)
        dv = np.hstack([dn * u_n * r * (1 - r), dh * (h - n) * z * (1 - z), dn * r])
        return (dv @ w["W_hh"] + z * dh,)

    return (n + z * (h - n),), back


def lstm_step(w, x, h, c):
    a = np.split(x @ w["W_xh"].T + h @ w["W_hh"].T + w["b_h"], 4, axis=1)
    i, f, o, g = sigmoid(a[0]), sigmoid(a[1]), sigmoid(a[3]), np.tanh(a[2])
    c_new = f * c + i * g
    tanh_c = np.tanh(c_new)

    def back(dh, dc):
        dc = dc + dh * o * (1 - tanh_c**2)
        da = [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2)]
        return np.hstack([*da, dh * tanh_c * o * (1 - o)]) @ w["W_hh"], dc * f

    return (o * tanh_c, c_new), back


STEPS = {"rnn_tanh": tanh_step, "rnn_relu": relu_step, "gru": gru_step, "lstm": lstm_step}


def gradient_norms(cell, w, X, y):
    """Return norms of dL/d state_t at t = T, ..., 1 relative to t = T, median over sequences."""
    state, backs = (np.zeros((len(X), H)),) * (2 if cell == "lstm" else 1), []
    for x in X.swapaxes(0, 1):
        state, back = STEPS[cell](w, x, *state)
        backs.append(back)
    p = softmax(state[0] @ w["W_ho"].T + w["b_o"], axis=1)
    d_state = [(p - np.eye(len(w["b_o"]))[y]) @ w["W_ho"], *map(np.zeros_like, state[1:])]
    norms = []
    for back in reversed(backs):
        norms.append(np.linalg.norm(np.hstack(d_state), axis=1))
        d_state = back(*d_state)
    return np.median(np.array(norms) / norms[0], axis=1)


# Initial weights ----------------------------------------------------------------------------------


def start(cell, square, keep=1.0, D=4, K=4):
    """Initialise weights: `square(rng)` draws W_hh gate by gate, `keep` is the bias of f or z."""
    rng = np.random.RandomState(0)
    G = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}[cell]
    bias = np.zeros((G, H))
    bias[1:2] = keep
    return {
        "W_xh": glorot(rng, (G * H, D), D + H),
        "W_hh": np.vstack([square(rng) for _ in range(G)]),
        "b_h": bias.ravel(),
        "b_hn": np.zeros(H),
        "W_ho": glorot(rng, (K, H), H + K),
        "b_o": np.zeros(K),
    }


def glorot(rng, shape, fans):
    return rng.uniform(-1, 1, shape) * np.sqrt(6 / fans)


def glorot_square(rng):
    return glorot(rng, (H, H), 2 * H)


def orthogonal(rng):
    return ortho_group.rvs(H, random_state=rng)


def identity(rng):
    return np.eye(H)


def torch_uniform(rng):
    return rng.uniform(-1, 1, (H, H)) / np.sqrt(H)


def of_radius(rho, rng):
    W = rng.standard_normal((H, H))
    return W * (rho / np.abs(np.linalg.eigvals(W)).max())


# Panels: {title: {label: relative norms}} ---------------------------------------------------------


def flows_at_the_start():
    X, y = make_delayed_recall(BATCH, length=100, random_state=0)

    def flow(cell, *how):
        return gradient_norms(cell, start(cell, *how), X, y)

    return {
        "The trouble: rnn_tanh by spectral radius": {
            f"radius {rho}": flow("rnn_tanh", partial(of_radius, rho))
            for rho in (0.9, 1.0, 1.3, 2.0)
        },
        "Starting values, no gates": {
            "rnn_tanh, uniform (torch)": flow("rnn_tanh", torch_uniform),
            "rnn_tanh, Glorot": flow("rnn_tanh", glorot_square),
            "rnn_tanh, orthogonal": flow("rnn_tanh", orthogonal),
            "rnn_relu, identity": flow("rnn_relu", identity),
        },
        "Gates, orthogonal": {
            f"{cell}, bias of {gate} {keep}": flow(cell, orthogonal, keep)
            for cell, gate in (("gru", "z"), ("lstm", "f"))
            for keep in (0, 1)
        },
    }


def flows_before_and_after():
    """Two epochs over 5 000 sequences are enough for the temporal order, T = 60."""
    X, y = make_temporal_order(5000, length=60, random_state=0)
    X_test, y_test = make_temporal_order(1000, length=60, random_state=1000)
    flows = {}
    for cell in ("gru", "lstm"):
        new = start(cell, orthogonal, D=6)
        flows[f"{cell}, new"] = gradient_norms(cell, new, X[:BATCH], y[:BATCH])
        net = RNNClassifier(cell, batch_size=BATCH, random_state=0).partial_fit(X, y, range(4))
        net.partial_fit(X, y)
        title = f"{cell}, accuracy {net.score(X_test, y_test):.3f}"
        learnt = {name.removesuffix("_0"): w for name, w in net.weights_.items()}
        flows[title] = gradient_norms(cell, learnt, X[:BATCH], y[:BATCH])
    return {"Before and after learning temporal order": flows}


def clipping(epochs=10):
    """Return norms per update and R^2 per epoch, of rnn_relu on the adding problem."""
    X, y = make_adding_problem(2000, length=100, random_state=0)
    X_test, y_test = make_adding_problem(500, length=100, random_state=1000)
    runs = {}
    for max_grad_norm in (None, 1.0):
        net = RNNRegressor(
            "rnn_relu", max_grad_norm=max_grad_norm, batch_size=BATCH, random_state=0
        )
        rng, norms, scores = np.random.RandomState(0), [], []
        for _ in range(epochs):
            for rows in rng.permutation(len(X)).reshape(-1, BATCH):
                norms += net.partial_fit(X[rows], y[rows]).grad_norm_curve_[-1:]
            scores.append(net.score(X_test, y_test))
        runs[f"max_grad_norm={max_grad_norm}"] = np.array(norms), np.array(scores)
    return runs


# Report -------------------------------------------------------------------------------------------


def print_flows(panels):
    table = Table("norm relative to the last step", *(f"{k} back" for k in BACK))
    for title, flows in panels.items():
        table.print_row(f"*{title}*", *[""] * len(BACK))
        for label, norms in flows.items():
            table.print_row(label, *(f"{norms[k]:.0e}" if k < len(norms) else "" for k in BACK))


def print_clipping(runs):
    print()
    table = Table("rnn_relu, adding T = 100", "median norm", "largest norm", "R^2, epochs 1 to 10")
    for label, (norms, scores) in runs.items():
        curve = ", ".join(f"{score:.2g}" for score in scores)
        table.print_row(label, float(np.median(norms)), float(norms.max()), curve)


def draw(panels, runs, path):
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.6))
    for ax, (title, flows) in zip(axes.flat, panels.items(), strict=False):
        draw_flows(ax, title, flows)
    for ax in axes[0]:
        ax.set_ylim(1e-12, 1e6)
    draw_clipping(axes[1, 1], axes[1, 2], runs)
    for ax in axes.flat:
        ax.grid(alpha=0.25)
        ax.legend(fontsize=8, frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=75)


def draw_flows(ax, title, flows):
    for label, norms in flows.items():
        ax.semilogy(norms, "--" if label.endswith("new") else "-", label=label)
    ax.axhline(1, color="black", linewidth=0.6)
    ax.set_title(title, fontsize=10)
    ax.set(xlabel="steps back from the end", ylabel="norm of dL/dh, last step = 1")


def draw_clipping(left, right, runs):
    for label, (norms, scores) in runs.items():
        left.semilogy(norms, linewidth=0.8, label=label)
        right.plot(range(1, len(scores) + 1), scores.clip(-1), "o-", markersize=3, label=label)
    left.axhline(1, color="black", linewidth=0.6)
    left.set_title("Clipping: rnn_relu, adding T = 100", fontsize=10)
    left.set(xlabel="update", ylabel="norm of the gradient before clipping")
    right.set_title("... and its effect on learning", fontsize=10)
    right.set(xlabel="epoch", ylabel="R^2 on held-out data, clipped at -1")


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", type=Path, default=FIGURE, help="where to save it, as PNG")
    args = parser.parse_args()
    panels = flows_at_the_start() | flows_before_and_after()
    runs = clipping()
    print_flows(panels)
    print_clipping(runs)
    draw(panels, runs, args.figure)
    print_machine()


if __name__ == "__main__":
    main()
