"""The linear layer on top of the recurrent ones."""

import numpy as np

from skrnn._nn.initializers import Parameter, glorot_uniform
from skrnn._typing import Floats, Weights


class Linear:
    """o = W_ho h + b_o, with W_ho (K, H) and b_o (K,), for h (..., H, columns)."""

    def __init__(self, n_in: int, n_out: int):
        self.n_in, self.n_out = n_in, n_out
        self.parameters = {
            "W_ho": Parameter((n_out, n_in), glorot_uniform(n_in, n_out), penalized=True),
            "b_o": Parameter((n_out,)),
        }

    def forward(self, weights: Weights, h: Floats) -> Floats:
        product = np.dot if h.ndim == 2 else np.matmul  # dot takes no stacks, and less time
        return product(weights["W_ho"], h) + weights["b_o"][:, None]

    def backward(self, weights: Weights, gradient: Weights, h: Floats, d_o: Floats) -> Floats:
        """Add dW_ho = d_o h^T and db_o = sum of d_o to the gradient; return dh = W_ho^T d_o."""
        dW = d_o @ h.swapaxes(-1, -2)
        gradient["W_ho"] += dW.reshape(-1, self.n_out, self.n_in).sum(axis=0)
        gradient["b_o"] += d_o.sum(axis=-1).reshape(-1, self.n_out).sum(axis=0)
        return weights["W_ho"].T @ d_o
