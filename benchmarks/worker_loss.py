"""A search on dask during which one of two worker processes is killed.

Run with `python benchmarks/worker_loss.py`; needs the extra `dask`. GridSearchCV over the Japanese
vowels, six candidates in three folds, on a new local cluster for every trial. Data are sent either
as joblib does by default, each array to one worker and from there to others, or with a copy of the
data and of the folds on every worker. The scores of a completed search are compared with those of
the serial search, bit for bit.
"""

import logging
import os
import signal
import time
from argparse import ArgumentParser
from concurrent.futures import CancelledError
from itertools import chain
from threading import Timer

import dask
import joblib
import numpy as np
from _common import Table, print_machine
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNClassifier
from skrnn.datasets import load_japanese_vowels
from skrnn.preprocessing import StepTransformer

MOMENTS = (0.1, 0.3, 0.5, 0.7)  # of half the serial search: two workers take no less


def make_search(folds, epochs):
    net = RNNClassifier(max_iter=epochs, tol=100, n_iter_no_change=epochs - 1, random_state=0)
    grid = {
        "rnnclassifier__cell": ["rnn_tanh", "gru"],
        "rnnclassifier__hidden_layer_sizes": [16, 32, 64],
    }
    pipeline = make_pipeline(StepTransformer(StandardScaler()), net)
    return GridSearchCV(pipeline, grid, cv=folds, refit=False)


def scores(search):
    return np.array([search.cv_results_[f"split{i}_test_score"] for i in range(search.n_splits_)])


def trial(search, X, y, *, copies, seconds):
    """Fit the search and kill a worker after some seconds; return None if data were lost."""
    keep = {"distributed.scheduler.active-memory-manager.start": not copies}
    scatter = [X, y, *chain(*search.cv)] if copies else None
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        dask.config.set(keep),
        LocalCluster(silence_logs=logging.CRITICAL, **options) as cluster,
        Client(cluster),
        joblib.parallel_config("dask", scatter=scatter),
    ):
        pid = cluster.workers[0].pid
        timer = Timer(seconds, os.kill, (pid, signal.SIGKILL))
        timer.start()
        try:
            search.fit(X, y)
            return search
        except CancelledError:
            return None
        finally:
            timer.join()


def describe(search, expected):
    if search is None:
        return "data lost, CancelledError"
    same = np.array_equal(scores(search), expected)
    return f"ended, scores {'of the serial search' if same else 'DIFFER'}"


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    args = parser.parse_args()
    X, y = load_japanese_vowels(return_X_y=True, split="train")
    folds = list(StratifiedKFold(3).split(X, y))
    start = time.perf_counter()
    expected = scores(make_search(folds, args.epochs).fit(X, y))
    half = (time.perf_counter() - start) / 2
    table = Table("data sent", "killed after, s", "what happened")
    for name, copies in (("by joblib", False), ("a copy for each", True)):
        for moment in MOMENTS:
            search = make_search(folds, args.epochs)
            search = trial(search, X, y, copies=copies, seconds=moment * half)
            table.print_row(name, moment * half, describe(search, expected))
    print_machine("dask", "distributed", "joblib")


if __name__ == "__main__":
    main()
