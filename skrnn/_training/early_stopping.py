"""When training has converged."""

import numpy as np


class EarlyStopping:
    """Counts the epochs since a figure that should fall last fell by more than tol."""

    def __init__(self, tol: float, n_iter_no_change: int):
        self.tol, self.n_iter_no_change = tol, n_iter_no_change
        self.best, self.n_waited = np.inf, 0

    def is_over(self, figure: float) -> bool:
        """Whether there were n_iter_no_change of them; if so, the count starts anew."""
        self.n_waited = 0 if figure < self.best - self.tol else self.n_waited + 1
        self.best = min(self.best, figure)
        over = self.n_waited >= self.n_iter_no_change
        self.n_waited *= not over
        return over
