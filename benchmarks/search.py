"""A grid search as whole processes: skrnn against skorch, from `import` to the best parameters.

Run with `python benchmarks/search.py`. Each side is a new process (`_search_side.py`) that imports
its packages, loads the Japanese vowels and runs GridSearchCV over 12 candidates with cv=3, with the
same epochs and batches on both sides; with n_jobs=1 skorch gets its better setting of threads.
Memory is the peak of the main process plus n_jobs times that of the largest worker (Linux only;
shared libraries are counted once per process). The first round is a warm-up.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import warnings
from argparse import ArgumentParser
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from _common import Side, Table, alternate, median, print_machine, ratio, thread_counts
from _search_side import grid_search, load, skrnn
from sklearn.exceptions import ConvergenceWarning

from skrnn import pad_sequences
from skrnn.datasets import load_japanese_vowels

HERE = Path(__file__).parent
N_JOBS = (1, 2)


def save_vowels(path, n):
    """Save utterances to a file, NaN-padded; both sides accept them as they are."""
    X, y = load_japanese_vowels(return_X_y=True)
    X = pad_sequences(X).astype(np.float32)
    X = (X - np.nanmean(X, axis=(0, 1))) / np.nanstd(X, axis=(0, 1))
    rows = np.random.default_rng(0).permutation(len(X))[:n]
    np.savez(path, X=X[rows], y=y[rows] - 1)


def run(side, n_jobs, threads, path, epochs):
    """Return seconds of a whole process, and what it reports."""
    command = [sys.executable, HERE / "_search_side.py", side, path, n_jobs, threads, epochs]
    start = time.perf_counter()
    done = subprocess.run(map(str, command), check=True, stdout=subprocess.PIPE, text=True)
    return {"seconds": time.perf_counter() - start, **json.loads(done.stdout)}


def measure(path, rounds, epochs):
    """Return runs of every setting (side, n_jobs, threads), measured in turns."""
    settings = [("skrnn", n_jobs, 1) for n_jobs in N_JOBS]
    settings += [("skorch", 1, threads) for threads in thread_counts()]
    settings += [("skorch", n_jobs, 1) for n_jobs in N_JOBS[1:]]
    turns = [{setting: run(*setting, path, epochs) for setting in settings} for _ in range(rounds)]
    return {setting: [turn[setting] for turn in turns] for setting in settings}


def warm_ratio(path, rounds, epochs):
    """Return the speedup of our search with two jobs, once the workers run."""
    searches = {n_jobs: grid_search(*skrnn(epochs, 1), n_jobs) for n_jobs in N_JOBS}
    sides = {n_jobs: Side(partial(own.fit, *load(path))) for n_jobs, own in searches.items()}
    times = alternate(sides, rounds, 0)
    return ratio(times[1], times[2])


def installed_size(*requirements):
    """Return MB of the files of these packages and of all their dependencies."""
    waiting, seen, size = list(requirements), set(), 0
    while waiting:
        requirement = waiting.pop()
        name = re.match(r"[\w.-]+", requirement)[0].lower()
        if name in seen or "extra ==" in requirement:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # needed on other platforms
            continue
        waiting += found.requires or []
        size += _size(Path(file.locate()) for file in found.files or [])
    return size / 1e6


def _size(paths):
    return sum(path.stat().st_size for path in paths if path.is_file())


def own_installed_size():
    """Return `installed_size` of skrnn, from a checkout that need not be installed."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return installed_size(*project["dependencies"]) + _size(HERE.parent.glob("skrnn/**/*")) / 1e6


def print_runs(runs):
    installed = {"skrnn": own_installed_size(), "skorch": installed_size("skorch", "torch")}
    columns = {"seconds": "s", "import": "import, s", "MB": "peak, MB", "accuracy": "CV accuracy"}
    table = Table("side", "n_jobs", "threads per job", *columns.values(), "installed, MB")
    for (side, *setting), turns in runs.items():
        medians = [median(turn[name] for turn in turns) for name in columns]
        table.print_row(side, *setting, *medians, installed[side])


def print_ratios(runs, warm):
    print()
    table = Table(
        "n_jobs",
        "skrnn over skorch",
        "skrnn over its n_jobs=1",
        "the same, workers running",
        "skorch over its n_jobs=1",
    )
    seconds = {setting: [turn["seconds"] for turn in turns] for setting, turns in runs.items()}
    skorch = {
        n_jobs: min(
            (turns for key, turns in seconds.items() if key[:2] == ("skorch", n_jobs)), key=median
        )
        for n_jobs in N_JOBS
    }
    for n_jobs in N_JOBS:
        own = seconds["skrnn", n_jobs, 1]
        table.print_row(
            n_jobs,
            ratio(skorch[n_jobs], own),
            ratio(seconds["skrnn", 1, 1], own),
            warm[n_jobs],
            ratio(skorch[1], skorch[n_jobs]),
        )


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="few data, one epoch, one round")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.epochs = 1, 1
    warnings.simplefilter("ignore", ConvergenceWarning)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vowels.npz"
        save_vowels(path, 150 if args.quick else None)
        measure(path, 1, 1)  # reads everything into the file cache
        runs = measure(path, args.rounds, args.epochs)
        warm = {1: 1.0, 2: warm_ratio(path, args.rounds, args.epochs)}
    print_runs(runs)
    print_ratios(runs, warm)
    print_machine("torch", "skorch", note=f"{args.epochs} epochs per fit, whole processes")


if __name__ == "__main__":
    main()
