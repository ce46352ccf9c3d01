"""Training: whole epochs of `fit` against the plain PyTorch loop, side by side.

Run with `python benchmarks/train.py`. Both sides initialise weights, shuffle, split into
batches, clip the gradient norm and update with Adam; torch gets its better setting of threads and
of `batch_first`, and data that are tensors already. A ratio of 2 means twice as fast as torch.
"""

import warnings
from functools import partial

import numpy as np
import torch
from _common import (
    GRID,
    QUICK_GRID,
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
from _peers import TorchNet, classifier, fit_torch, labels
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier


def data(n, T, D, dtype):
    X = np.random.default_rng(0).standard_normal((n, T, D)).astype(dtype)
    return X, labels(n)


def sides(cell, shape, X, y, args, epochs):
    """Return our side, and torch's for every one of its settings."""
    *_, H, batch = shape
    net = classifier(cell, (H,) * args.layers, batch, epochs, args.bidirectional)
    own = Side(lambda: net.fit(X, y))
    return own, {"torch": torch_sides(cell, shape, X, y, args, epochs)}


def torch_sides(cell, shape, X, y, args, epochs):
    _, _, D, H, batch = shape
    x, y = torch.tensor(X), torch.tensor(y)
    x_by_step = x.transpose(0, 1).contiguous()
    takes = {True: lambda rows: (x[rows],), False: lambda rows: (x_by_step[:, rows],)}

    def fit(batch_first):
        net = TorchNet(
            cell,
            D,
            H,
            num_layers=args.layers,
            bidirectional=args.bidirectional,
            batch_first=batch_first,
        ).to(x.dtype)
        return fit_torch(net, takes[batch_first], y, batch, epochs)

    return {
        f"{threads}, {'rows' if batch_first else 'steps'} first": Side(
            partial(fit, batch_first), partial(torch.set_num_threads, threads)
        )
        for threads in thread_counts()
        for batch_first in takes
    }


def mlp_side(shape, X, y, epochs):
    """Set up scikit-learn's net on flattened sequences, to show the cost of recurrence."""
    n, _, _, H, batch = shape
    mlp = MLPClassifier((H,), batch_size=batch, max_iter=epochs, tol=0, n_iter_no_change=10**9)
    flat = X.reshape(n, -1)
    return Side(lambda: mlp.fit(flat, y))


def compare_at(shape, cell, args):
    """Return seconds per epoch of every side, and their settings, at one shape."""
    X, y = data(*shape[:3], args.dtype)
    own, peers = sides(cell, shape, X, y, args, 1)
    torch_side = next(iter(peers["torch"].values()))
    for side in (own, torch_side):
        side.seconds()  # warm-up
    epochs = max(1, round(args.seconds / max(own.seconds(), torch_side.seconds())))
    own, peers = sides(cell, shape, X, y, args, epochs)
    if args.mlp:
        peers["mlp"] = {"": mlp_side(shape, X, y, epochs)}
    times, settings = compare(own, peers, args.rounds, 0)
    return {name: [t / epochs for t in turns] for name, turns in times.items()}, settings


def main():
    parser = options(__doc__, seconds=1.5)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument("--shape", nargs=5, type=int, help="one n, T, D, H, batch")
    parser.add_argument("--mlp", action="store_true", help="time scikit-learn's MLP as well")
    args = parse(parser)
    warnings.simplefilter("ignore", ConvergenceWarning)
    mlp = ("MLP, ms",) if args.mlp else ()
    table = Table(
        "n, T, D, H, batch", "cell", "skrnn, ms", "torch, ms", *mlp, "torch at (threads)", "ratio"
    )
    ratios = {cell: {} for cell in args.cells}
    grid = [tuple(args.shape)] if args.shape else QUICK_GRID if args.quick else GRID
    for shape in grid:
        for cell in args.cells:
            times, settings = compare_at(shape, cell, args)
            where = ", ".join(map(str, shape))
            ratios[cell][where] = ratio(times["torch"], times["skrnn"])
            table.print_row(
                where, cell, *milliseconds(times), settings["torch"], ratios[cell][where]
            )
    print_summary(ratios)
    directions = "both directions" if args.bidirectional else "one direction"
    net = f"{args.dtype}, {args.layers} layer(s), {directions}"
    print_machine("torch", note=f"{net}; milliseconds per epoch")


if __name__ == "__main__":
    main()
