"""Integer codes as vectors."""

import numpy as np
from scipy.sparse import csr_array

from skrnn._nn.initializers import Parameter
from skrnn._typing import Floats, Steps, Weights


class Embedding:
    """Bengio et al. (2003): x = [other features; E_0[code_0]; E_1[code_1]; ...].

    `tables` has (feature, codes, dimension) of every feature that holds codes 0, 1, ...; E_j is
    (codes, dimension), and its last row stands for codes that are not known. Without tables x stays
    as it is.
    """

    def __init__(self, n_features: int, tables: tuple[tuple[int, int, int], ...] = ()):
        self.tables = tables
        coded = {feature for feature, _, _ in tables}
        self._others = [d for d in range(n_features) if d not in coded]
        self.n_out = len(self._others) + sum(size for _, _, size in tables)
        self.parameters = {
            f"E_{j}": Parameter((codes, size), _normal_but_last)
            for j, (_, codes, size) in enumerate(tables)
        }

    def forward(self, weights: Weights, x: Steps) -> Steps:
        """From x (T, D, n) to (T, n_out, n)."""
        if not self.tables:
            return x
        vectors = [
            weights[name][x[:, feature].astype(np.intp)].transpose(0, 2, 1)
            for name, (feature, _, _) in zip(self.parameters, self.tables, strict=True)
        ]
        return np.concatenate([x[:, self._others], *vectors], axis=1)

    def backward(self, gradient: Weights, x: Steps, dx: Steps) -> None:
        """Add dL/dE: row k of it is the sum of dx where the code is k."""
        first = len(self._others)
        for name, (feature, codes, size) in zip(self.parameters, self.tables, strict=True):
            d = dx[:, first : first + size].transpose(0, 2, 1).reshape(-1, size)
            code, ones = x[:, feature].astype(np.intp).ravel(), np.ones(len(d), d.dtype)
            one_hot = csr_array((ones, code, np.arange(len(d) + 1)), (len(d), codes))
            gradient[name] += one_hot.T @ d
            first += size


def _normal_but_last(rng: np.random.RandomState, shape: tuple[int, ...]) -> Floats:
    """Draw vectors of unit variance, as scaled features have; zero for codes that are not known."""
    table = rng.standard_normal(shape)
    table[-1] = 0
    return table
