"""The choice of the defaults: one parameter at a time is varied on real data sets.

Run with `python benchmarks/defaults.py`, after `pip install ".[bench-data]"`. Nets are fitted on
the training set and scored on one half of the test set; the other half is held out for
real_sets.py. `--base '{"max_iter": 400}'` starts from other values than the present ones, and
`--candidates '{}' '{"max_iter": 400, "tol": 0.001}'` compares just these. `--results FILE` stores
results, so that an interrupted run can be resumed.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import warnings
from argparse import ArgumentParser
from functools import partial

import numpy as np
from _common import CELLS, Results, Table, print_machine
from _sets import SETS, load
from real_sets import QUICK_SETS, mean, measure, ranks, skrnn_net
from sklearn.exceptions import ConvergenceWarning

from skrnn import RNNClassifier

SLOW = ("ACSF1", "OSULeaf", "digits, 64 steps", "BloodPressure")  # left out by default
FACTORS = {
    "learning_rate_init": (0.001, 0.002, 0.003, 0.005, 0.01),
    "batch_size": (8, 16, "auto", 64),
    "max_iter": (100, 200, 400),
    "early_stopping": (False, True),
    "n_iter_no_change": (10, 20, 50),
    "tol": (1e-3, 1e-4),
    "hidden_layer_sizes": ((32,), (64,), (128,)),
    "alpha": (0, 1e-4, 1e-3),
}


def run(cell, params, args, results):
    """Return mean scores and seconds of one candidate, (sets,) each."""
    defaults = RNNClassifier().get_params()
    changed = {name: value for name, value in params.items() if value != defaults[name]}
    make, candidate = skrnn_net(cell, **changed), json.dumps(changed, sort_keys=True)

    def once(name, seed):
        compute = partial(measure, make, args.data[name], seed)
        return results.get(compute, cell, candidate, name, seed)

    runs = [[once(name, seed) for seed in range(args.seeds)] for name in args.data]
    _, scores, _, seconds = np.mean(runs, axis=1).T
    return scores, seconds


def describe(params):
    return ", ".join(f"{name}={value}" for name, value in params.items()) or "present defaults"


def compare(title, cell, candidates, args, results):
    """Print a table with one row per candidate, named by what differs from the defaults."""
    runs = np.array([run(cell, args.base | params, args, results) for params in candidates])
    scores, seconds = runs[:, 0], runs[:, 1]
    is_regression = np.array([data.is_regression for data in args.data.values()])
    places = ranks(scores.T).mean(0)
    print()
    table = Table(title, "average rank", "accuracy", "R^2", *args.data, "seconds per fit")
    for params, row, place, spent in zip(candidates, scores, places, seconds, strict=True):
        means = mean(row[~is_regression]), mean(row[is_regression])
        figures = (f"{score:.3f}" for score in (*means, *row))
        table.print_row(describe(params), f"{place:.2f}", *figures, f"{spent.mean():.1f}")


def main():
    usual = [name for name in SETS if name not in SLOW]
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=usual)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=["gru"])
    parser.add_argument("--factors", nargs="+", choices=FACTORS, default=list(FACTORS))
    parser.add_argument("--base", type=json.loads, default={}, help="other defaults, as JSON")
    parser.add_argument("--candidates", nargs="+", type=json.loads, help="JSON, one per row")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--results", help="file to store results in and to resume from")
    parser.add_argument("--quick", action="store_true", help="two small sets, one seed")
    args = parser.parse_args()
    if args.quick:
        args.sets, args.seeds = QUICK_SETS, 1
    warnings.simplefilter("ignore", ConvergenceWarning)
    args.data = {name: load(name) for name in args.sets}
    results = Results(args.results)
    tables = {name: [{name: value} for value in FACTORS[name]] for name in args.factors}
    if args.candidates:
        tables = {"candidates": args.candidates}
    for cell in args.cells:
        for title, candidates in tables.items():
            compare(f"{cell}: {title}", cell, candidates, args, results)
    print_machine(note=f"float32, {args.seeds} seed(s), one thread")


if __name__ == "__main__":
    main()
