"""Memory of a fit, beside X itself: in multiples of X in the arithmetic that it is computed in."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from _factories import classifier, regressor
from skrnn.preprocessing import SlidingWindows, make_windows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

T, D, N = 20, 8, 20_000
NET = {"max_iter": 1, "batch_size": 100, "hidden_layer_sizes": 1}


def peak_of(estimator, X, y, **given):
    """Megabytes."""
    estimator.fit(X[:50], y[:50], **{name: values[:50] for name, values in given.items()})
    tracemalloc.start()
    try:
        estimator.fit(X, y, **given)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def cube(dtype):
    return np.random.default_rng(0).integers(0, 2, (N, T, D)).astype(dtype)


def padded():
    X = cube(np.float32)
    X[::2, T // 2 :] = np.nan
    return X


MAKE = {
    "bool": (lambda: cube(bool), 4),
    "uint8": (lambda: cube(np.uint8), 4),
    "float32": (lambda: cube(np.float32), 4),
    "float64": (lambda: cube(np.float64), 8),
    "list of float32": (lambda: list(cube(np.float32)), 4),
    "list of float64": (lambda: list(cube(np.float64)), 8),
    "column of arrays": (lambda: pd.Series(list(cube(np.float32))), 4),
    "padded": (padded, 4),
}
OPTIONS = {
    "defaults": {},
    "in order": {"shuffle": False},
    "raw": {"standardize": False},
    "early stopping": {"early_stopping": True},
    "codes": {"categorical_features": [0], "embedding_dim": 1},
}


@pytest.mark.parametrize(("make", "size"), MAKE.values(), ids=MAKE)
def test_a_fit_takes_at_most_two_and_a_half_times_x(make, size):
    y = np.arange(N) % 3
    assert peak_of(classifier(**NET), make(), y) < 2.5 * size * N * T * D / 2**20


@pytest.mark.parametrize("params", OPTIONS.values(), ids=OPTIONS)
def test_with_every_option(params):
    weight = np.arange(N) % 5 + 1.0
    found = peak_of(regressor(**NET | params), cube(np.uint8), np.arange(N), sample_weight=weight)
    assert found < 2.5 * 4 * N * T * D / 2**20


@pytest.mark.parametrize("option", ["defaults", "early stopping", "codes"])
@pytest.mark.parametrize("padded", [False, True])
def test_windows_are_not_written_out(option, padded):
    series = np.random.default_rng(0).integers(0, 9, (20_000, 1)).astype(np.float32)
    X, y, _ = make_windows(series, length=300, step=2)
    if padded:
        X, y = SlidingWindows(length=300).fit_transform(series)[::2], series[::2, 0]
    weight = np.arange(len(X)) % 5 + 1.0
    found = peak_of(regressor(**NET | OPTIONS[option]), X, y, sample_weight=weight)
    assert found < 0.75 * X.size * 4 / 2**20
