"""Ragged sequences: fit and predict against packed and against padded PyTorch.

Run with `python benchmarks/ragged.py`. Lengths lie between 10 and 200, about 60 in the mean. Torch
holds the sequences in one padded tensor, cuts each batch to its longest sequence, and either packs
it (`pack_padded_sequence`) or processes the padding and reads the last valid step. A ratio of 2
means twice as fast as torch.
"""

import warnings
from functools import partial

import numpy as np
import torch
from _common import (
    Side,
    Table,
    compare,
    milliseconds,
    options,
    parse,
    print_machine,
    print_summary,
    ratio,
    thread_counts,
)
from _peers import TorchNet, carry_over, classifier, fit_torch, labels
from sklearn.exceptions import ConvergenceWarning
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

N, D, H = 640, 8, 64
SHORTEST, LONGEST = 10, 200
BATCHES = (32, 128)
KINDS = ("packed", "padded")


class PaddedNet(TorchNet):
    """Processes the padding, and reads the hidden state at the last valid step."""

    def forward(self, x, lengths):
        """Return raw outputs of a padded batch (n, T, D)."""
        states, _ = self.rnn(x)
        return self.readout(states[torch.arange(len(x)), lengths - 1])


def sequences(n):
    rng = np.random.default_rng(0)
    lengths = (SHORTEST + rng.exponential(52, n)).astype(int).clip(max=LONGEST)
    return [rng.standard_normal((T, D), dtype=np.float32) for T in lengths]


def takes(X):
    """Return the class of the packed and the padded net, and its input as a function of rows."""
    x = pad_sequence(list(map(torch.tensor, X)), batch_first=True)
    lengths = torch.tensor(list(map(len, X)))

    def padded(rows):
        return x[rows, : lengths[rows].max()], lengths[rows]

    def packed(rows):
        return (pack_padded_sequence(*padded(rows), batch_first=True, enforce_sorted=False),)

    return {"packed": (TorchNet, packed), "padded": (PaddedNet, padded)}


def with_threads(call):
    return {
        threads: Side(call, partial(torch.set_num_threads, threads)) for threads in thread_counts()
    }


def fit_call(kind, cell, X, y, batch, epochs):
    """Set up training by torch, as a call without arguments."""
    (net, take), y = takes(X)[kind], torch.tensor(y)
    return lambda: fit_torch(net(cell, D, H), take, y, batch, epochs)


def predict_call(kind, estimator, X, batch):
    """Set up prediction by torch, sorted by length to minimise padding."""
    net, take = takes(X)[kind]
    net = carry_over(estimator, net(estimator.cell, D, H))
    order = torch.tensor(np.argsort([-len(x) for x in X], kind="stable"))

    @torch.no_grad()
    def predict():
        p = torch.empty(len(X), net.readout.out_features)
        for rows in order.split(batch):
            p[rows] = torch.softmax(net(*take(rows)), 1)
        return p.numpy()

    return predict


def compare_fit(cell, X, y, batch, args):
    """Return seconds per epoch of every side, and torch's threads."""
    warm_up = Side(fit_call("packed", cell, X, y, batch, 1), partial(torch.set_num_threads, 1))
    epochs = max(1, round(args.seconds / warm_up.seconds()))
    own = Side(lambda: classifier(cell, H, batch, epochs).fit(X, y))
    peers = {kind: with_threads(fit_call(kind, cell, X, y, batch, epochs)) for kind in KINDS}
    times, settings = compare(own, peers, args.rounds, 0)
    return {name: [t / epochs for t in turns] for name, turns in times.items()}, settings


def compare_predict(cell, X, y, batch, args):
    """Return seconds per call of every side, and torch's threads."""
    estimator = classifier(cell, H, batch, 1).fit(X, y)
    expected = estimator.predict_proba(X)
    calls = {kind: predict_call(kind, estimator, X, batch) for kind in KINDS}
    for call in calls.values():
        np.testing.assert_allclose(call(), expected, rtol=1e-3, atol=1e-5)
    peers = {kind: with_threads(call) for kind, call in calls.items()}
    own = Side(lambda: estimator.predict_proba(X))
    return compare(own, peers, args.rounds, args.seconds / 3)


def main():
    args = parse(options(__doc__))
    warnings.simplefilter("ignore", ConvergenceWarning)
    X = sequences(60 if args.quick else N)
    y = labels(len(X))
    table = Table(
        "what",
        "cell",
        "batch",
        "skrnn, ms",
        *(f"torch {kind}, ms" for kind in KINDS),
        *(f"{kind}: threads" for kind in KINDS),
        *(f"over {kind}" for kind in KINDS),
    )
    ratios = {}
    for what, compare_at in {"fit": compare_fit, "predict": compare_predict}.items():
        for cell in args.cells:
            for batch in BATCHES:
                times, settings = compare_at(cell, X, y, batch, args)
                over = [ratio(times[kind], times["skrnn"]) for kind in KINDS]
                for kind, figure in zip(KINDS, over, strict=True):
                    ratios.setdefault(f"{what}, {cell}, over {kind}", {})[f"batch {batch}"] = figure
                table.print_row(what, cell, batch, *milliseconds(times), *settings.values(), *over)
    print_summary(ratios)
    lengths = [len(x) for x in X]
    note = (
        f"float32, n {len(X)}, D {D}, H {H}, lengths {min(lengths)} to {max(lengths)}, mean "
        f"{np.mean(lengths):.0f}; milliseconds per epoch or call"
    )
    print_machine("torch", note=note)


if __name__ == "__main__":
    main()
