"""Integer codes as vectors."""

import numpy as np
from scipy.sparse import csr_array


class Embedding:
    """Integer codes as vectors: x = [other features; E_0[code_0]; E_1[code_1]; ...].

    `tables` has (feature, codes, dimension) of every feature that holds codes 0, 1, ...; E_j is
    (codes, dimension). Bengio et al. (2003). Without tables x stays as it is.
    """

    def __init__(self, n_features, tables=()):
        self.tables = tables
        coded = {feature for feature, _, _ in tables}
        self._others = [d for d in range(n_features) if d not in coded]
        self.n_out = len(self._others) + sum(size for _, _, size in tables)
        self.shapes = {f"E_{j}": (codes, size) for j, (_, codes, size) in enumerate(tables)}

    def initialize(self, weights, rng):
        """Draw normal vectors, of unit variance as scaled features have; zero for the last code."""
        for name, shape in self.shapes.items():
            weights[name][:] = rng.standard_normal(shape)
            weights[name][-1] = 0

    def forward(self, weights, x):
        """From x (steps, D, n) to (steps, n_out, n)."""
        if not self.tables:
            return x
        vectors = [
            weights[name][x[:, feature].astype(np.intp)].transpose(0, 2, 1)
            for name, (feature, _, _) in zip(self.shapes, self.tables, strict=True)
        ]
        return np.concatenate([x[:, self._others], *vectors], axis=1)

    def learn(self, gradient, x, dx):
        """Add dL/dE, from x as it was before and dx (steps, n_out, n)."""
        first = len(self._others)
        for name, (feature, codes, size) in zip(self.shapes, self.tables, strict=True):
            d = dx[:, first : first + size].transpose(0, 2, 1).reshape(-1, size)
            code, ones = x[:, feature].astype(np.intp).ravel(), np.ones(len(d), d.dtype)
            one_hot = csr_array((ones, code, np.arange(len(d) + 1)), (len(d), codes))
            gradient[name] += one_hot.T @ d
            first += size
