"""The memory that a fit takes, as a multiple of X in the arithmetic that it is computed in.

Run with `python benchmarks/memory.py`; a few minutes on one core, less with names of rows. Every
fit has a process of its own, and is one epoch of a small net in batches of 32. The peak is that of
tracemalloc above what was there before, X and y; it does not have X itself. Windows are compared
with the series that they are cut from, and with themselves written out; where every step has a
target, y and what is made of it are the most of it.
"""

import gc
import subprocess
import sys
import tracemalloc
import warnings
from argparse import ArgumentParser

import numpy as np
import pandas as pd
from _common import Table, print_machine

from skrnn import RNNClassifier, RNNRegressor
from skrnn.preprocessing import SlidingWindows, make_windows

T, D = 100, 8
N_VALUES = 10_000_000
N_QUICK = 100_000
LENGTH, STEP = 300, 5  # of windows
N_SERIES = 62_500

RNG = np.random.default_rng(0)


def cube(dtype=np.float32, width=D, n_values=N_VALUES):
    """Sequences of equal lengths, (n, T, width)."""
    shape = n_values // (T * width), T, width
    values = RNG.integers(0, 2 if dtype is np.bool_ else 100, shape, dtype=np.uint8)
    return values.astype(dtype)


def padded(n_values):
    """As many steps, of sequences of 50 to 100, each followed by NaN."""
    X = cube(n_values=n_values)
    X[np.arange(T) >= RNG.integers(T // 2, T + 1, len(X))[:, None]] = np.nan
    return X


def nested(n_values):
    """A column of sequences."""
    return pd.DataFrame({"x": list(cube(n_values=n_values))})


def table(n_values):
    return cube(np.float64, n_values=n_values).reshape(-1, T * D)


def series(n_values):
    return RNG.standard_normal(min(n_values, N_SERIES)).cumsum().astype(np.float32)


def labels(X):
    return np.arange(len(X)) % 3


def several(n_values):
    """Sequences with targets of which many are equal."""
    X = cube(n_values=n_values)
    return X, labels(X)


def windows(n_values):
    return make_windows(series(n_values), LENGTH, step=STEP)[:2]


def ragged_windows(n_values):
    """Windows of which the first begin with NaN."""
    values = series(n_values)
    X = SlidingWindows(LENGTH).fit_transform(values[:, None])
    return X[::STEP], values[::STEP]


def windows_per_step(n_values):
    return make_windows(series(n_values), LENGTH, step=STEP, per_step=True)[:2]


def of(make, **kwargs):
    """Sequences, each with a target of its own."""

    def data(n_values):
        X = make(n_values=n_values, **kwargs)
        return X, RNG.standard_normal(len(X))

    return data


def listed(dtype):
    return lambda n_values: list(cube(dtype, n_values=n_values))


def weighted(X):
    return {"sample_weight": RNG.integers(1, 5, len(X)).astype(float)}


def none(X):
    return {}


reg, clf = RNNRegressor, RNNClassifier
COLUMN = {"width": 1}
CASES = {  # estimator, data, bytes of a value, parameters, what else `fit` takes
    "bool": (reg, of(cube, dtype=np.bool_), 4, {}, none),
    "uint8": (reg, of(cube, dtype=np.uint8), 4, {}, none),
    "float32": (reg, of(cube), 4, {}, none),
    "float64": (reg, of(cube, dtype=np.float64), 8, {}, none),
    "list of float32": (reg, of(listed(np.float32)), 4, {}, none),
    "list of float64": (reg, of(listed(np.float64)), 8, {}, none),
    "nested lists": (reg, of(lambda n_values: cube(n_values=n_values).tolist()), 8, {}, none),
    "column of arrays": (reg, of(nested), 4, {}, none),
    "table": (reg, of(table), 8, {"features_per_step": D}, none),
    "padded by NaN": (reg, of(padded), 4, {}, none),
    "classes": (clf, several, 4, {}, none),
    "in order": (reg, of(cube, dtype=np.uint8), 4, {"shuffle": False}, none),
    "not standardised": (reg, of(cube, dtype=np.uint8), 4, {"standardize": False}, none),
    "weights": (reg, of(cube, dtype=np.uint8), 4, {}, weighted),
    "early stopping": (reg, of(cube, dtype=np.uint8), 4, {"early_stopping": True}, none),
    "one feature": (reg, of(cube, dtype=np.uint8, **COLUMN), 4, {}, none),
    "one feature, weights": (reg, of(cube, dtype=np.uint8, **COLUMN), 4, {}, weighted),
    "codes": (reg, of(cube, **COLUMN), 4, {"categorical_features": [0]}, none),
    "windows": (reg, windows, 4, {}, none),
    "windows, in order": (reg, windows, 4, {"shuffle": False}, none),
    "windows, weights": (reg, windows, 4, {}, weighted),
    "windows, early stopping": (reg, windows, 4, {"early_stopping": True}, none),
    "windows, NaN in front": (reg, ragged_windows, 4, {}, none),
    "windows, a target per step": (reg, windows_per_step, 4, {"readout": "step"}, none),
}


def work(name, n_values):
    """Print megabytes: of the peak, of X in its arithmetic, and of the series it is cut from."""
    kind, make, size, params, extra = CASES[name]
    X, y = make(n_values)
    given = extra(X)
    net = {"hidden_layer_sizes": 4, "max_iter": 1, "batch_size": 32, "early_stopping": False}
    estimator = kind(**net | params, random_state=0)
    small = slice(50)  # what is imported and cached at a first call
    kind(**net | params).fit(X[small], y[small], **{k: v[small] for k, v in given.items()})
    gc.collect()
    tracemalloc.start()
    estimator.fit(X, y, **given)
    peak = tracemalloc.get_traced_memory()[1]
    n_own = size * (n_values if "windows" not in name else X.size)
    n_series = 4 * min(n_values, N_SERIES) if "windows" in name else n_own
    print(*(n / 2**20 for n in (peak, n_own, n_series)))


def measured(name, n_values):
    """What `work` prints in a new process."""
    command = [sys.executable, __file__, "--worker", str(n_values), name]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return map(float, printed.split())


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows, all by default")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, as a smoke test")
    parser.add_argument("--worker", type=int, help="for the script itself")
    args = parser.parse_args()
    if args.worker:
        warnings.simplefilter("ignore")
        work(*args.names, args.worker)
        return
    table = Table("X", "in its arithmetic, MB", "peak, MB", "times X", "times the series")
    for name in args.names or CASES:
        peak, own, whole = measured(name, N_QUICK if args.quick else N_VALUES)
        table.print_row(name, own, peak, peak / own, peak / whole if whole < own else "")
    print_machine(note=f"windows of {LENGTH} steps, every {STEP}th")


if __name__ == "__main__":
    main()
