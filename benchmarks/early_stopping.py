"""What a validation part is worth: early_stopping=False, True and "auto" against the best epoch.

Run with `python benchmarks/early_stopping.py`; about half an hour. Figures are test scores, R^2 or
accuracy, means over seeds, which draw the data too. "best epoch" is the epoch of the fit without
early stopping that tests best, which no one knows who has no test set: what stopping could bring at
most. `--results FILE` stores results, so that an interrupted run can be resumed; `--patience 10 20`
compares values of n_iter_no_change instead.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
import warnings
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from _common import Results, Table, print_machine
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skrnn import RNNClassifier, RNNRegressor
from skrnn.datasets import load_japanese_vowels, make_adding_problem, make_temporal_order

N_TEST = 1000
OTHER_CELLS = ("rnn_tanh", "lstm")
QUICK_SETS = ("noisy, n = 100", "digits, n = 300")
PATIENCE_SETS = ("noisy, n = 1000", "label noise, n = 1000", "adding, T = 20, n = 1000")


class Data(NamedTuple):
    """A training and a test set, and which training samples are held out together, if not each."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    groups: np.ndarray | None = None


class Problem(NamedTuple):
    """An estimator, and data for a seed."""

    estimator: RNNClassifier | RNNRegressor
    draw: Callable[[int], Data]


# Data -----------------------------------------------------------------------------------------


def drawn(make, n):
    """Return a function of a seed that draws n training samples, and test samples without noise.

    `make(rng, n)` returns X, y for training and y for testing.
    """

    def draw(seed):
        X, y, clean = make(np.random.default_rng(seed), n + N_TEST)
        return Data(X[:n], y[:n], X[n:], clean[n:])

    return draw


def steps(rng, n, length=10, n_features=2):
    return rng.normal(size=(n, length, n_features)).astype(np.float32)


def sums(rng, n, noise=0.0):
    """Sum a sequence; a net that knew the rule would reach an R^2 of 1 / (1 + noise^2)."""
    X = steps(rng, n)
    y = X.sum((1, 2)) / np.sqrt(X[0].size) + noise * rng.normal(size=n)
    return X, y, y


def running_sums(rng, n):
    X = steps(rng, n)
    y = X.sum(2).cumsum(1)
    y = y / y.std() + 0.6 * rng.normal(size=y.shape)
    return X, y, y


def counts(rng, n):
    X = steps(rng, n)
    y = rng.poisson(np.exp(0.7 * X.sum((1, 2)) / np.sqrt(X[0].size) + 0.5)).astype(float)
    return X, y, y


def signs(rng, n, wrong=0.0):
    """Tell the signs of the sums of both features; a share of the labels is wrong."""
    X = steps(rng, n)
    clean = (X.sum(1) > 0) @ [1, 2]
    return X, (clean + (rng.random(n) < wrong) * rng.integers(1, 4, size=n)) % 4, clean


def running_signs(rng, n):
    X = steps(rng, n)
    clean = (X.sum(2).cumsum(1) > 0).astype(int)
    y = np.where(rng.random(clean.shape) < 0.1, 1 - clean, clean)
    return X, y, clean


def adding(rng, n, length):
    X, y = make_adding_problem(n, length=length, random_state=int(rng.integers(2**31)))
    return X.astype(np.float32), y, y


def order(rng, n):
    X, y = make_temporal_order(n, length=30, random_state=int(rng.integers(2**31)))
    return X.astype(np.float32), y, y


def digits(n, seed):
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8).astype(np.float32)
    X, X_test, y, y_test = train_test_split(X, y, train_size=n, stratify=y, random_state=seed)
    return Data(X, y, X_test, y_test)


def vowels(seed):
    parts = (load_japanese_vowels(return_X_y=True, split=split) for split in ("train", "test"))
    return Data(*(array for part in parts for array in part))


def cycle(rng, n):
    series = rng.normal(size=n)
    for t in range(2, n):
        series[t] += 1.9 * series[t - 1] - 0.95 * series[t - 2]
    return series / series.std()


def walk(rng, n):
    return rng.normal(size=n).cumsum()


def windows(series, n, by_origin, seed, length=24, ahead=6):
    """Forecast from overlapping windows of one series: learn from its first part, test on its last.

    Single windows are held out, or a tenth of the origins in one block.
    """
    span = length + ahead
    values = series(np.random.default_rng(seed), n + N_TEST + 2 * span).astype(np.float32)
    X = np.lib.stride_tricks.sliding_window_view(values[:-ahead], length)[..., None]
    y = values[span - 1 :]
    groups = np.arange(n) // (n // 10) if by_origin else None
    return Data(X[:n], y[:n], X[-N_TEST:], y[-N_TEST:], groups)


def regression(make, n, **params):
    return Problem(RNNRegressor(**params), drawn(make, n))


def classification(make, n, **params):
    return Problem(RNNClassifier(**params), drawn(make, n))


noisy, wrong = partial(sums, noise=0.593), partial(signs, wrong=0.1)


PROBLEMS = {
    **{f"noisy, n = {n}": regression(noisy, n) for n in (100, 250, 300, 500, 1000, 3000)},
    **{f"no noise, n = {n}": regression(sums, n) for n in (100, 250, 300, 500, 1000)},
    **{f"counts, n = {n}": regression(counts, n, loss="poisson") for n in (100, 250, 500)},
    **{f"adding, T = 20, n = {n}": regression(partial(adding, length=20), n) for n in (250, 1000)},
    "adding, T = 50, n = 1000": regression(partial(adding, length=50), 1000),
    "running sums, n = 250": regression(running_sums, 250, readout="step"),
    **{
        f"windows of a {series.__name__}{', by origin' * by_origin}, n = 600": Problem(
            RNNRegressor(), partial(windows, series, 600, by_origin)
        )
        for series in (cycle, walk)
        for by_origin in (False, True)
    },
    **{f"noisy, {cell}, n = 1000": regression(noisy, 1000, cell=cell) for cell in OTHER_CELLS},
    **{f"label noise, n = {n}": classification(wrong, n) for n in (250, 500, 1000, 3000)},
    **{f"right labels, n = {n}": classification(signs, n) for n in (250, 500, 1000, 1100)},
    "order, T = 30, n = 1000": classification(order, 1000),
    "running signs, n = 1000": classification(running_signs, 1000, readout="step"),
    **{
        f"digits, n = {n}": Problem(RNNClassifier(), partial(digits, n))
        for n in (300, 600, 1000, 1200)
    },
    **{
        f"digits, {cell}, n = 1200": Problem(RNNClassifier(cell), partial(digits, 1200))
        for cell in OTHER_CELLS
    },
    "JapaneseVowels, n = 270": Problem(RNNClassifier(), vowels),
}


# Measuring ------------------------------------------------------------------------------------


def without(problem, seed):
    """Return test scores of the last and of the best epoch, and seconds, of early_stopping=False.

    The test set is measured after every epoch, which is not counted.
    """
    data = problem.draw(seed)
    net = clone(problem.estimator).set_params(early_stopping=False, scoring=None, random_state=seed)
    start = time.process_time()
    net.fit(data.X, data.y, X_val=data.X_test, y_val=data.y_test)
    end = time.process_time()
    score = net.score(data.X_test, data.y_test)
    measuring = net.n_iter_ * (time.process_time() - end)
    return [score, max(net.validation_scores_), max(end - start - measuring, 0.0)]


def with_part(problem, seed, **params):
    """Return the test score, and seconds, of early_stopping=True."""
    data = problem.draw(seed)
    net = clone(problem.estimator).set_params(early_stopping=True, random_state=seed, **params)
    start = time.process_time()
    net.fit(data.X, data.y, groups=data.groups)
    seconds = time.process_time() - start
    return [net.score(data.X_test, data.y_test), seconds]


def is_on(problem):
    """Whether "auto" holds out a validation part, asked of a fit of one epoch."""
    data = problem.draw(0)
    net = clone(problem.estimator).set_params(early_stopping="auto", max_iter=1)
    return net.fit(data.X, data.y, groups=data.groups).early_stopping_


# Tables ---------------------------------------------------------------------------------------


def runs(compute, name, args, results, *key, **params):
    """Return the figures of all seeds, one row per figure."""
    problem = PROBLEMS[name]
    return np.transpose(
        [
            results.get(partial(compute, problem, seed, **params), name, *key, seed)
            for seed in range(args.seeds)
        ]
    )


def difference(after, before):
    """Return the mean of what was won, and its standard error."""
    won = after - before
    return f"{won.mean():+.3f} ± {won.std(ddof=len(won) > 1) / np.sqrt(len(won)):.3f}"


def compare(args, results):
    table = Table(
        "set", "False", "True", "auto", "auto - False", "True - False", "best epoch",
        "best epoch - auto", "seconds, False", "seconds, auto",
    )  # fmt: skip
    for name in args.sets:
        score, best, seconds = runs(without, name, args, results, False)
        stopped, stopped_seconds = runs(with_part, name, args, results, True)
        on = is_on(PROBLEMS[name])
        auto, auto_seconds = (stopped, stopped_seconds) if on else (score, seconds)
        table.print_row(
            name,
            *(f"{figures.mean():.3f}" for figures in (score, stopped)),
            f"{auto.mean():.3f} ({'on' if on else 'off'})",
            difference(auto, score),
            difference(stopped, score),
            f"{best.mean():.3f}",
            f"{(best - auto).mean():.3f}",
            f"{seconds.mean():.1f}",
            f"{auto_seconds.mean():.1f}",
        )


def compare_patience(args, results):
    table = Table("set", *(f"n_iter_no_change={n}" for n in args.patience), "seconds of each")
    for name in args.sets:
        figures = [
            runs(with_part, name, args, results, "patience", n, n_iter_no_change=n)
            for n in args.patience
        ]
        scores, seconds = np.mean(figures, axis=2).T
        spent = ", ".join(f"{value:.1f}" for value in seconds)
        table.print_row(name, *(f"{score:.3f}" for score in scores), spent)


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=PROBLEMS)
    parser.add_argument("--patience", nargs="+", type=int, help="values of n_iter_no_change")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--results", help="file to store results in and to resume from")
    parser.add_argument("--quick", action="store_true", help="two small sets, one seed")
    args = parser.parse_args()
    if args.quick:
        args.sets, args.seeds = QUICK_SETS, 1
    args.sets = args.sets or (PATIENCE_SETS if args.patience else PROBLEMS)
    warnings.simplefilter("ignore", ConvergenceWarning)
    (compare_patience if args.patience else compare)(args, Results(args.results))
    print_machine(note=f"float32, {args.seeds} seed(s), one thread")


if __name__ == "__main__":
    main()
