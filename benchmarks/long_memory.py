"""Long dependencies in practice: the number of epochs that each cell needs to learn a task.

Run with `python benchmarks/long_memory.py`; more than an hour on one core, less with `--tasks`,
`--cells` or `--seeds`. 5 000 sequences in batches of 50, 64 units, float32. Every epoch ends with
scores on 1 000 other sequences: R^2 of the adding problem, accuracy of the rest, of copy over the
steps that ask for a symbol. A task is solved at R^2 > 0.94 (a mean squared error of 0.01) or
accuracy > 0.99. skrnn has its defaults, and once more a learning rate of 0.002; torch has its own,
that is the initial weights of its layers, Adam at 0.001 and no clipping, and once more skrnn's rate
of 0.005. Results are stored in a JSON file, so that an interrupted run can be resumed.
"""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from itertools import islice, product
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from _common import Table, print_machine
from sklearn.metrics import accuracy_score, r2_score
from torch import nn

from skrnn import RNNClassifier, RNNRegressor
from skrnn.datasets import (
    make_adding_problem,
    make_copy,
    make_delayed_recall,
    make_parity,
    make_temporal_order,
)

CELLS = ("rnn_tanh", "rnn_relu", "gru", "lstm")
N_TRAIN, N_TEST, BATCH, H = 5000, 1000, 50, 64
TEST_SEED = 1000  # the test set of seed s is drawn with 1000 + s


class Task(NamedTuple):
    """Draw (X, y) by `draw(n, random_state=)`; the last `asked` steps count, or all if 0."""

    draw: Callable
    cap: int = 20
    regression: bool = False
    per_step: bool = False
    asked: int = 0

    def score(self, y, prediction):
        """Return R^2, or the accuracy over the steps that count."""
        if self.regression:
            return r2_score(y, prediction)
        return accuracy_score(y[..., -self.asked :].ravel(), prediction[..., -self.asked :].ravel())

    @property
    def solved(self):
        """Return the score above which the task is solved."""
        return 0.94 if self.regression else 0.99


def adding(length, cap):
    return Task(partial(make_adding_problem, length=length), cap, regression=True)


TASKS = {
    "adding, T = 50": adding(50, 20),
    "adding, T = 100": adding(100, 20),
    "adding, T = 200": adding(200, 15),
    "adding, T = 400": adding(400, 10),
    "temporal order, T = 60": Task(partial(make_temporal_order, length=60)),
    "recall, T = 100": Task(partial(make_delayed_recall, length=100)),
    "copy, delay 20": Task(
        partial(make_copy, delay=20, n_copied=5, n_symbols=4), per_step=True, asked=5
    ),
    "parity per step, T = 50": Task(partial(make_parity, length=50, per_step=True), per_step=True),
}
QUICK_TASKS = {
    "adding, T = 5": adding(5, 2),
    "recall, T = 4": Task(partial(make_delayed_recall, length=4), 3),
}


# Sides: the predictions for X_test after each epoch ------------------------------------------


def skrnn_epochs(task, cell, seed, X, y, X_test, **settings):
    estimator = RNNRegressor if task.regression else RNNClassifier
    if task.per_step:
        settings["readout"] = "step"
    net = estimator(cell, hidden_layer_sizes=H, batch_size=BATCH, random_state=seed, **settings)
    first = {} if task.regression else {"classes": np.unique(y)}
    while True:
        try:
            net.partial_fit(X, y, **first)
        except ValueError as error:
            if "not finite" not in str(error):
                raise
            return
        yield net.predict(X_test)
        first = {}


def torch_epochs(task, cell, seed, X, y, X_test, lr=0.001):
    torch.manual_seed(seed)
    n_outputs = 1 if task.regression else 1 + int(y.max())
    net = TorchNet(cell, X.shape[2], n_outputs, task.per_step)
    loss_function = nn.MSELoss() if task.regression else nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr)
    X, X_test = torch.tensor(X), torch.tensor(X_test)
    y = torch.tensor(y[:, None].astype(np.float32) if task.regression else y)
    while True:
        for rows in torch.randperm(len(X)).split(BATCH):
            optimizer.zero_grad()
            loss_function(net(X[rows]), y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            o = torch.cat([net(x) for x in X_test.split(BATCH)])
        yield (o[:, 0] if task.regression else o.argmax(1)).numpy()


class TorchNet(nn.Module):
    """A recurrent layer and a linear readout: outputs (n, K), or (n, K, T) at every step."""

    def __init__(self, cell, n_in, n_out, per_step):
        super().__init__()
        layer = {
            "rnn_tanh": nn.RNN,
            "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
            "gru": nn.GRU,
            "lstm": nn.LSTM,
        }[cell]
        self.rnn = layer(n_in, H, batch_first=True)
        self.readout, self.per_step = nn.Linear(H, n_out), per_step

    def forward(self, x):
        """Return outputs for sequences (n, T, D)."""
        h, _ = self.rnn(x)
        return self.readout(h).transpose(1, 2) if self.per_step else self.readout(h[:, -1])


SIDES = {
    "skrnn": skrnn_epochs,
    "skrnn, rate 0.002": partial(skrnn_epochs, learning_rate_init=0.002),
    "torch": torch_epochs,
    "torch, rate 0.005": partial(torch_epochs, lr=0.005),
}
ON_REQUEST = {
    "skrnn, alpha 0.001": partial(skrnn_epochs, alpha=0.001),
    "skrnn, rate 0.002, alpha 0.0003": partial(
        skrnn_epochs, learning_rate_init=0.002, alpha=0.0003
    ),
}
ALL_SIDES = SIDES | ON_REQUEST


def learn(epochs, task, cell, seed):
    """Return the score after every epoch, until solved, not finite, or at the cap."""
    X, y = task.draw(N_TRAIN, random_state=seed)
    X_test, y_test = task.draw(N_TEST, random_state=TEST_SEED + seed)
    X, X_test = X.astype(np.float32), X_test.astype(np.float32)
    scores = []
    for prediction in islice(epochs(task, cell, seed, X, y, X_test), task.cap):
        if not np.isfinite(prediction).all():
            break
        scores.append(float(task.score(y_test, prediction)))
        if scores[-1] > task.solved:
            break
    return scores


# Results: {"task | side | cell": {seed: scores}} ----------------------------------------------


def run_all(results, tasks, args, save):
    for seed, name, side, cell in product(args.seeds, args.tasks, args.sides, args.cells):
        curves = results.setdefault(f"{name} | {side} | {cell}", {})
        if str(seed) not in curves:
            curves[str(seed)] = learn(ALL_SIDES[side], tasks[name], cell, seed)
            save()


def summary(curves, solved):
    """Return median epochs over the seeds, and how many seeds solved it if not all did."""
    if not curves:
        return "-"
    epochs = [len(c) if best(c) > solved else np.inf for c in curves.values()]
    n_solved, middle = np.isfinite(epochs).sum(), median(epochs)
    share = "" if n_solved in (0, len(epochs)) else f", {n_solved} of {len(epochs)}"
    if np.isfinite(middle):
        return f"{middle:g}{share}"
    score = median(map(best, curves.values()))
    return f"no ({score:z.2f}{share})" if np.isfinite(score) else "not finite"


def best(scores):
    return max(scores, default=-np.inf)


def print_table(results, tasks):
    table = Table("task", "side", "seeds", *CELLS)
    for (name, task), side in product(tasks.items(), ALL_SIDES):
        row = [results.get(f"{name} | {side} | {cell}", {}) for cell in CELLS]
        if any(row):
            counts = sorted({len(curves) for curves in row})
            seeds = " to ".join(str(n) for n in (counts[0], counts[-1])[: len(counts)])
            table.print_row(name, side, seeds, *(summary(c, task.solved) for c in row))


def plot(results, tasks, path):
    """Plot the median over seeds of the score by epoch: one panel per task, one colour per cell."""
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    styles = dict(zip(SIDES, ["-", "--", ":", "-."], strict=True))
    figure, axes = plt.subplots(2, -(-len(tasks) // 2), figsize=(12, 5.6), squeeze=False)
    for ax, (name, task) in zip(axes.flat, tasks.items(), strict=False):
        for (side, style), (i, cell) in product(styles.items(), enumerate(CELLS)):
            if curves := results.get(f"{name} | {side} | {cell}"):
                curve = middle_curve(curves, task.cap)
                ax.plot(range(1, task.cap + 1), curve, style, color=f"C{i}")
        ax.set_title(name, fontsize=10)
        ax.set(xlabel="epoch", ylim=(-0.05, 1.05), xlim=(1, task.cap))
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    lines = [Line2D([], [], color=f"C{i}", label=cell) for i, cell in enumerate(CELLS)]
    lines += [Line2D([], [], color="grey", ls=style, label=side) for side, style in styles.items()]
    figure.legend(handles=lines, loc="lower center", ncols=len(lines), frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=75)


def middle_curve(curves, cap):
    """Return the median curve; curves that ended early are extended by their last score."""
    whole = [c + [c[-1]] * (cap - len(c)) for c in curves.values() if c]
    return np.median(whole or [[np.nan] * cap], axis=0)


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS)
    parser.add_argument("--sides", nargs="+", choices=ALL_SIDES, default=SIDES)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS)
    parser.add_argument("--seeds", nargs="+", type=int, default=range(3))
    parser.add_argument("--results", type=Path, default=Path("long_memory.json"))
    parser.add_argument("--plot", type=Path, help="where to save the curves, as PNG")
    parser.add_argument("--quick", action="store_true", help="short tasks, as a smoke test")
    args = parser.parse_args()
    tasks = QUICK_TASKS if args.quick else TASKS
    args.tasks = args.tasks or tasks
    torch.set_num_threads(1)
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    run_all(results, tasks, args, lambda: args.results.write_text(json.dumps(results)))
    print_table(results, tasks)
    if args.plot:
        plot(results, tasks, args.plot)
    print_machine("torch", note="median epochs over seeds; in brackets the best score if unsolved")


if __name__ == "__main__":
    main()
