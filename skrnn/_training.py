"""The loop: epochs, clipping, stopping, best weights. It knows neither network nor estimator."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs


class NotFiniteError(ArithmeticError):
    """The loss or its gradient is infinite or NaN, and no earlier epoch can be kept."""


@dataclass
class History:
    """What happened, epoch by epoch; `stopped` says why it ended."""

    losses: list = field(default_factory=list)
    grad_norms: list = field(default_factory=list)
    scores: list = field(default_factory=list)
    stopped: str = "max_iter"


class Descent(NamedTuple):
    """How one step goes: the optimiser, the L2 penalty of each weight, the bound on the norm."""

    optimizer: object
    penalty: np.ndarray
    max_grad_norm: float | None

    def step(self, theta, gradient, value):
        """Move theta; return the penalised loss and the gradient's norm before clipping."""
        value += 0.5 * np.dot(self.penalty * theta, theta)
        gradient += self.penalty * theta
        norm = _norm(gradient)
        if not (np.isfinite(value) and np.isfinite(norm)):
            raise NotFiniteError
        if self.max_grad_norm is not None and norm > self.max_grad_norm:
            gradient *= self.max_grad_norm / norm
        self.optimizer.step(theta, gradient)
        return value, norm


class Patience:
    """Counts the epochs since a figure that should fall last fell by more than tol."""

    def __init__(self, tol, n_iter_no_change):
        self.tol, self.n_iter_no_change = tol, n_iter_no_change
        self.best, self.waited = np.inf, 0

    def is_over(self, figure):
        self.waited = 0 if figure < self.best - self.tol else self.waited + 1
        self.best = min(self.best, figure)
        return self.waited >= self.n_iter_no_change


def train(theta, epoch, descent, patience, *, max_iter, score=None, probe=None, report=None):
    """Run epochs on theta, in place, until the loss or the score no longer gets better.

    `epoch()` yields for every batch its number of rows and a function of (theta, gradient) that
    writes the gradient and returns the loss. With `score(theta)`, which should rise, the weights of
    the best epoch are restored at the end. `probe(theta)` is called at the end, `report(history)`
    after every epoch. `score` and `probe` raise NotFiniteError where outputs are not finite.
    """
    history, gradient = History(), np.empty_like(theta)
    kept = None
    try:
        for _ in range(max_iter):
            before = theta.copy()
            loss, norm = _run_epoch(theta, gradient, epoch(), descent)
            figure = loss if score is None else -score(theta)
            if score is None and history.losses:
                kept = before  # proven by an epoch that started from them and had no infinities
            history.losses.append(loss)
            history.grad_norms.append(norm)
            if score is not None:
                history.scores.append(-figure)
                kept = theta.copy() if figure <= patience.best else kept
            if report is not None:
                report(history)
            if patience.is_over(figure):
                history.stopped = "converged"
                break
        if probe is not None:
            probe(theta)
    except NotFiniteError:
        if kept is None:
            raise NotFiniteError(len(history.losses) + 1) from None
        history.stopped = "not finite"
    if score is not None or history.stopped == "not finite":
        theta[:] = kept
    return history


def _run_epoch(theta, gradient, batches, descent):
    """Mean loss over the rows, and mean norm over the batches."""
    n_rows, loss, norms = 0, 0.0, []
    for n, loss_and_gradient in batches:
        value, norm = descent.step(theta, gradient, loss_and_gradient(theta, gradient))
        n_rows += n
        loss += n * float(value)
        norms.append(float(norm))
    if not np.isfinite(theta).all():
        raise NotFiniteError
    return loss / n_rows, float(np.mean(norms))


def _norm(vector):
    """L2 norm, safe against overflow of the squares."""
    (nrm2,) = get_blas_funcs(("nrm2",), (vector,))
    return nrm2(vector)
