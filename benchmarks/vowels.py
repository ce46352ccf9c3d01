"""Test accuracy on the Japanese vowels, official split, for every cell: mean and worst of 5 seeds.

Run with `python benchmarks/vowels.py`; prints the table of the README, with machine and versions.
"""

import time
import warnings

import numpy as np
from _common import print_machine
from sklearn.exceptions import ConvergenceWarning

from skrnn import RNNClassifier
from skrnn.datasets import load_japanese_vowels

CELLS = ("rnn_tanh", "rnn_relu", "gru", "lstm")
SEEDS = range(5)


def run(cell, data):
    """Return mean and worst accuracy over the seeds, and median seconds per fit."""
    X_train, y_train, X_test, y_test = data
    scores, seconds = [], []
    for seed in SEEDS:
        model = RNNClassifier(cell, alpha=0.001, tol=0.001, random_state=seed)
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds.append(time.perf_counter() - start)
        scores.append(model.score(X_test, y_test))
    return np.mean(scores), np.min(scores), np.median(seconds)


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = [
        part
        for split in ("train", "test")
        for part in load_japanese_vowels(return_X_y=True, split=split)
    ]
    print("| cell, 64 units | test accuracy, mean of 5 seeds | worst seed | seconds per fit |")
    print("|---|---|---|---|")
    for cell in CELLS:
        mean, worst, seconds = run(cell, data)
        print(f'| "{cell}" | {mean:.3f} | {worst:.3f} | {seconds:.1f} |')
    print_machine()


if __name__ == "__main__":
    main()
