"""One side of search.py, as a user would write it: a process that runs a grid search.

Imports are inside functions, so that they are timed.
"""

import json
import re
import sys
import time
from pathlib import Path

CELL, BATCH = "gru", 32
SIZES, RATES, PENALTIES = (32, 64), (0.002, 0.005, 0.01), (1e-4, 1e-3)


def skrnn(epochs, threads):
    from skrnn import RNNClassifier

    net = RNNClassifier(
        CELL, batch_size=BATCH, max_iter=epochs, tol=0, n_iter_no_change=10**9, random_state=0
    )
    return net, {
        "hidden_layer_sizes": [(size,) for size in SIZES],
        "learning_rate_init": RATES,
        "alpha": PENALTIES,
    }


def skorch(epochs, threads):
    import torch
    from _skorch_net import PackedNet
    from skorch import NeuralNetClassifier
    from skorch.callbacks import GradientNormClipping

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        PackedNet,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        max_epochs=epochs,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[("clip", GradientNormClipping(1.0))],
        verbose=0,
    )
    return net, {
        "module__n_hidden": SIZES,
        "optimizer__lr": RATES,
        "optimizer__weight_decay": PENALTIES,
    }


def grid_search(net, grid, n_jobs):
    from sklearn.model_selection import GridSearchCV

    return GridSearchCV(net, grid, cv=3, n_jobs=n_jobs, error_score="raise")


def load(path):
    """Load X and y."""
    import numpy as np

    with np.load(path) as stored:
        return stored["X"], stored["y"]


def peak_memory():
    """Return peak memory of this process in MB; that of `resource` would include its parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024 / 1e6


def peak_of_worker():
    time.sleep(0.02)  # so that every worker gets a call
    return peak_memory()


def main(side, path, n_jobs, threads, epochs):
    start = time.perf_counter()
    search = grid_search(*{"skrnn": skrnn, "skorch": skorch}[side](epochs, threads), n_jobs)
    import warnings

    from joblib import Parallel, delayed
    from sklearn.exceptions import ConvergenceWarning

    imported = time.perf_counter() - start
    warnings.simplefilter("ignore", ConvergenceWarning)
    search.fit(*load(path))
    peak = peak_memory()
    if n_jobs > 1:
        peak += n_jobs * max(Parallel(n_jobs)([delayed(peak_of_worker)()] * 2 * n_jobs))
    print(json.dumps({"import": imported, "MB": peak, "accuracy": search.best_score_}))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
