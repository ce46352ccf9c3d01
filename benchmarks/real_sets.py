"""Test scores on real data sets: skrnn's defaults against PyTorch, an MLP and linear models.

Run with `python benchmarks/real_sets.py`, after `pip install ".[bench-data]"`; nothing is
downloaded. All methods get the same scaled steps; the MLP and the linear model get each sequence
flattened, shorter ones padded with zeros. No method is tuned per data set. A whole run takes hours:
with `--results FILE` it can be interrupted and resumed. Seconds are processor time.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
import warnings
from argparse import ArgumentParser
from functools import partial

import numpy as np
from _common import Results, Table, print_machine
from _sets import SETS, load
from _torch_estimator import TorchEstimator
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skrnn import RNNClassifier, RNNRegressor

QUICK_SETS = ("ItalyPowerDemand", "CardanoSentiment")


# The methods: functions from data and seed to an estimator -------------------------------------


def skrnn_net(cell, **params):
    def make(data, seed):
        estimator = RNNRegressor if data.is_regression else RNNClassifier
        return estimator(cell, random_state=seed, **params)

    return make


def torch_net(cell, learning_rate):
    return lambda data, seed: TorchEstimator(cell, learning_rate, data.is_regression, seed)


def flat(classifier, regressor):
    def make(data, seed):
        estimator = regressor if data.is_regression else classifier
        fill = FunctionTransformer(partial(in_one_row, n_steps=data.longest))
        return make_pipeline(fill, estimator(random_state=seed))

    return make


def in_one_row(X, n_steps):
    """Return a table of flattened sequences; shorter ones are padded with zeros."""
    table = np.zeros((len(X), n_steps * X[0].shape[1]), X[0].dtype)
    for row, x in zip(table, X, strict=True):
        row[: x.size] = x.ravel()
    return table


METHODS = {
    "rnn_tanh": skrnn_net("rnn_tanh"),
    "rnn_relu": skrnn_net("rnn_relu"),
    "gru": skrnn_net("gru"),
    "lstm": skrnn_net("lstm"),
    "torch GRU": torch_net("gru", 0.001),
    "torch GRU, our rate": torch_net("gru", RNNClassifier().learning_rate_init),
    "torch LSTM": torch_net("lstm", 0.001),
    "MLP": flat(MLPClassifier, MLPRegressor),
    "linear": flat(partial(LogisticRegression, max_iter=1000), Ridge),
}
ON_REQUEST = {"gru, alpha 0.0003": skrnn_net("gru", alpha=0.0003)}
ALL_METHODS = METHODS | ON_REQUEST


# Measuring ------------------------------------------------------------------------------------


def measure(make, data, seed):
    """Return scores on the test set and on its two halves, and seconds of the fit."""
    estimator = make(data, seed)
    start = time.process_time()
    estimator.fit(data.X, data.y)
    seconds = time.process_time() - start
    parts = [slice(None), *data.halves()]
    return [*(estimator.score(data.X_test[rows], data.y_test[rows]) for rows in parts), seconds]


def run_set(name, methods, seeds, results):
    """Print the row of a set; return its kind, and the measurements, (figures, methods)."""
    data = load(name)

    def run(method, seed):
        return results.get(partial(measure, ALL_METHODS[method], data, seed), name, method, seed)

    runs = np.array([[run(method, seed) for seed in range(seeds)] for method in methods])
    scores = runs[..., 0]
    figures = zip(scores.mean(1), scores.min(1), strict=True)
    Table.print_row(name, *data.shape, *(f"{mean:.3f} ({worst:.3f})" for mean, worst in figures))
    return data.is_regression, runs.mean(1).T


def ranks(scores):
    """Return the rank of every method on every set, (sets, methods): 1 is best; average ties."""
    return rankdata(-np.round(scores, 4), axis=1)


def print_summary(methods, rows):
    """Print the methods, best average rank first; `rows` are those of `run_set`."""
    is_regression = np.array([kind for kind, _ in rows])
    scores, _, unseen, seconds = np.moveaxis([figures for _, figures in rows], 1, 0)
    places, average = ranks(scores), ranks(scores).mean(0)
    print()
    table = Table(
        "method",
        "average rank",
        "on the unseen half",
        "best on",
        "accuracy",
        "R^2",
        "seconds per fit",
    )
    for i in np.argsort(average, kind="stable"):
        table.print_row(
            methods[i],
            f"{average[i]:.2f}",
            f"{ranks(unseen).mean(0)[i]:.2f}",
            f"{(places[:, i] == places.min(1)).sum()} of {len(rows)}",
            f"{mean(scores[~is_regression, i]):.3f}",
            f"{mean(scores[is_regression, i]):.3f}",
            f"{seconds[:, i].mean():.1f}",
        )


def mean(figures):
    """Return the mean; NaN if empty, without a warning."""
    return figures.mean() if len(figures) else np.nan


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=ALL_METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--results", help="file to store results in and to resume from")
    parser.add_argument("--quick", action="store_true", help="two small sets, one seed")
    args = parser.parse_args()
    if args.quick:
        args.sets, args.seeds = QUICK_SETS, 1
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = Results(args.results)
    Table("set", "n", "n test", "T", "D", "classes", *args.methods)
    rows = [run_set(name, args.methods, args.seeds, results) for name in args.sets]
    print_summary(args.methods, rows)
    print_machine("torch", "aeon", note=f"float32, {args.seeds} seed(s), one thread")


if __name__ == "__main__":
    main()
