"""What the defaults rest on: scores on held-out data for learning rates and batch sizes.

Run with `python benchmarks/defaults.py [cell ...]`; some ten minutes a cell. Every figure is the
mean over seeds of accuracy or R^2 on the test part; `epochs` the mean number of epochs until the
default `tol` or `max_iter` stopped the fit.
"""

import sys
import warnings
from itertools import product

import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skrnn import RNNClassifier, RNNRegressor
from skrnn.datasets import (
    load_japanese_vowels,
    make_adding_problem,
    make_delayed_recall,
    make_parity,
    make_temporal_order,
)

SEEDS = range(2)
LEARNING_RATES = (0.001, 0.003, 0.005, 0.01)
BATCH_SIZES = (32, 64, 200)


def halves(X, y):
    return train_test_split(X, y, test_size=0.5, random_state=0)


def vowels():
    X, y = load_japanese_vowels(return_X_y=True, split="train")
    X_test, y_test = load_japanese_vowels(return_X_y=True, split="test")
    return X, X_test, y, y_test


def digits():
    X, y = load_digits(return_X_y=True)
    return halves(X.reshape(-1, 8, 8) / 16, y)


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return halves(StandardScaler().fit_transform(X), y)


TASKS = {
    "vowels": (RNNClassifier, vowels),
    "digits": (RNNClassifier, digits),
    "order": (RNNClassifier, lambda: halves(*make_temporal_order(1000, length=30, random_state=0))),
    "recall": (
        RNNClassifier,
        lambda: halves(*make_delayed_recall(1000, length=20, random_state=0)),
    ),
    "parity": (RNNClassifier, lambda: halves(*make_parity(1000, length=10, random_state=0))),
    "adding": (RNNRegressor, lambda: halves(*make_adding_problem(1000, length=30, random_state=0))),
    "diabetes": (RNNRegressor, diabetes),
}


def score(task, **params):
    estimator, load = TASKS[task]
    X, X_test, y, y_test = load()
    nets = [estimator(random_state=seed, **params).fit(X, y) for seed in SEEDS]
    scores = [net.score(X_test, y_test) for net in nets]
    return np.mean(scores), np.mean([net.n_iter_ for net in nets])


def main(cells):
    warnings.simplefilter("ignore", ConvergenceWarning)
    for cell in cells:
        print(f"\n{cell}\n{'rate':>6} {'batch':>6}", *(f"{task:>9}" for task in TASKS), "  epochs")
        for rate, size in product(LEARNING_RATES, BATCH_SIZES):
            params = {"cell": cell, "learning_rate_init": rate, "batch_size": size}
            results = [score(task, **params) for task in TASKS]
            epochs = " ".join(f"{n:.0f}" for _, n in results)
            print(f"{rate:>6} {size:>6}", *(f"{s:>9.3f}" for s, _ in results), f"  {epochs}")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:] or ["gru", "lstm", "rnn_tanh"])
