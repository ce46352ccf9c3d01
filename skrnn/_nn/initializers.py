"""Parameters: arrays of weights by their shapes, initial values and penalties."""

from typing import NamedTuple

import numpy as np

from skrnn._typing import Floats, Start


def zeros(rng: np.random.RandomState, shape: tuple[int, ...]) -> Floats:
    return np.zeros(shape)


class Parameter(NamedTuple):
    """An array of weights; `start(rng, shape)` draws its initial values."""

    shape: tuple[int, ...]
    start: Start = zeros
    penalized: bool = False  # whether the L2 penalty applies


def glorot_uniform(n_in: int, n_out: int) -> Start:
    """Glorot & Bengio (2010): uniform within sqrt(6 / (n_in + n_out))."""
    bound = np.sqrt(6 / (n_in + n_out))
    return lambda rng, shape: rng.uniform(-bound, bound, shape)


def orthogonal(rng: np.random.RandomState, shape: tuple[int, ...]) -> Floats:
    """Saxe et al. (2014): for (G H, H), an orthogonal matrix per gate."""
    n = shape[1]
    return np.concatenate([_orthogonal(rng, n) for _ in range(shape[0] // n)])


def identity(rng: np.random.RandomState, shape: tuple[int, ...]) -> Floats:
    """Le et al. (2015): for (G H, H), an identity matrix per gate."""
    return np.tile(np.eye(shape[1]), (shape[0] // shape[1], 1))


def _orthogonal(rng: np.random.RandomState, n: int) -> Floats:
    """Draw from the orthogonal matrices, uniformly (Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)
