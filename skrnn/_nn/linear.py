"""The dense layer on top."""

import numpy as np


class Dense:
    """o = W_ho h + b_o, with W_ho (K, H) and b_o (K,), for h (..., H, columns)."""

    def __init__(self, n_in, n_out, dtype):
        self.n_in, self.n_out, self.dtype = n_in, n_out, np.dtype(dtype)
        self.shapes = {"W_ho": (n_out, n_in), "b_o": (n_out,)}

    def initialize(self, weights, rng):
        """W_ho Glorot-uniform, b_o zero."""
        bound = np.sqrt(6 / (self.n_in + self.n_out))
        weights["W_ho"][:] = rng.uniform(-bound, bound, weights["W_ho"].shape)
        weights["b_o"][:] = 0

    def forward(self, weights, h):
        product = np.dot if h.ndim == 2 else np.matmul  # the first takes no stacks, and less time
        return product(weights["W_ho"], h) + weights["b_o"][:, None]

    def learn(self, gradient, h, d_o):
        """Add to the gradient of the weights."""
        products = d_o @ h.swapaxes(-1, -2)
        gradient["W_ho"] += products.reshape(-1, *self.shapes["W_ho"]).sum(axis=0)
        gradient["b_o"] += d_o.sum(axis=-1).reshape(-1, self.n_out).sum(axis=0)

    @staticmethod
    def backward(weights, d_o):
        """dL/dh."""
        return weights["W_ho"].T @ d_o
