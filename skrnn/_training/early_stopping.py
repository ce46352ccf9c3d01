"""When training has converged."""

import numpy as np


class Patience:
    """Counts the epochs since a figure that should fall last fell by more than tol."""

    def __init__(self, tol, n_iter_no_change):
        self.tol, self.n_iter_no_change = tol, n_iter_no_change
        self.best, self.waited = np.inf, 0

    def is_over(self, figure):
        """Whether there were n_iter_no_change of them; if so, it counts anew."""
        self.waited = 0 if figure < self.best - self.tol else self.waited + 1
        self.best = min(self.best, figure)
        over = self.waited >= self.n_iter_no_change
        self.waited *= not over
        return over
