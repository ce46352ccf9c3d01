"""The loops: epochs, clipping, stopping, best weights. They know neither network nor estimator."""

from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
from scipy.linalg import get_blas_funcs


class NotFiniteError(ArithmeticError):
    """The loss or its gradient is infinite or NaN, and no earlier epoch can be kept."""


@dataclass
class History:
    """What happened, epoch by epoch.

    `stopped` says why it ended: "max_iter", "converged", "callback", "interrupted" or "not finite";
    `best` is the epoch with the best score, from 1 on.
    """

    losses: list = field(default_factory=list)
    grad_norms: list = field(default_factory=list)
    scores: list = field(default_factory=list)
    stopped: str = "max_iter"
    best: int | None = None


class Descent:
    """How one step goes: optimiser, learning rate, L2 penalty of each weight, bound on the norm."""

    def __init__(self, optimizer, schedule, penalty, max_grad_norm):
        self.optimizer, self.schedule = optimizer, schedule
        self.penalty, self.max_grad_norm = penalty, max_grad_norm
        self.scratch = np.empty_like(penalty)

    def step(self, theta, gradient, value):
        """Move theta; return the penalised loss and the gradient's norm before clipping."""
        rate, scratch = self.schedule.rate(), self.scratch
        value += self.optimizer.penalize(theta, gradient, rate, self.penalty, scratch)
        norm = _norm(gradient)
        if not (np.isfinite(value) and np.isfinite(norm)):
            raise NotFiniteError
        if self.max_grad_norm is not None and norm > self.max_grad_norm:
            gradient *= float(self.max_grad_norm / norm)
        self.optimizer.step(theta, gradient, rate, scratch)
        return value, norm


def train(theta, epoch, descent, patience, *, max_iter, watch, score=None, probe=None):
    """Run epochs on theta, in place, until the loss or the score gets better at no learning rate.

    `epoch()` yields for every batch its number of rows and a function of (theta, gradient) that
    writes the gradient and returns the loss. With `score(theta)`, which should rise, the weights of
    the best epoch are restored at the end. `probe(theta)` is called at the end. `score` and `probe`
    raise NotFiniteError where outputs are not finite. `watch` is told of every epoch, and may stop
    training; so may the user, by Ctrl-C, once there is a first batch.
    """
    history, sums, kept = History(), _Sums(), None
    try:
        for _ in range(max_iter):
            watch.begin()
            before, sums = theta.copy(), _Sums()
            sums.run(theta, epoch(), descent)
            figure = sums.loss if score is None else -score(theta)
            if score is None and history.losses:
                kept = before  # proven by an epoch that started from them and had no infinities
            sums.record(history)
            if score is not None:
                history.scores.append(-figure)
                if figure <= patience.best:
                    kept, history.best = theta.copy(), len(history.losses)
            descent.schedule.epochs += 1
            if watch.end(history, theta):
                history.stopped = "callback"
                break
            if patience.is_over(figure) and not descent.schedule.lower():
                history.stopped = "converged"
                break
        if probe is not None:
            probe(theta)
    except NotFiniteError:
        if kept is None:
            raise NotFiniteError(len(history.losses) + 1) from None
        history.stopped = "not finite"
    except KeyboardInterrupt:
        if not history.losses:
            sums.record(history)
        if not history.losses:
            raise
        history.stopped = "interrupted"
    if kept is not None and (score is not None or history.stopped == "not finite"):
        theta[:] = kept
    return history


class _Sums:
    """Sums over the batches of an epoch."""

    def __init__(self):
        self.n_rows, self.total, self.norms = 0, 0.0, []

    @property
    def loss(self):
        """Mean over the rows."""
        return self.total / self.n_rows

    def run(self, theta, batches, descent):
        gradient = np.empty_like(theta)
        for n, loss_and_gradient in batches:
            value, norm = descent.step(theta, gradient, loss_and_gradient(theta, gradient))
            self.n_rows += n
            self.total += n * float(value)
            self.norms.append(float(norm))
        if not np.isfinite(theta).all():
            raise NotFiniteError

    def record(self, history):
        """Write the loss and the mean norm of the batches so far, if there are any."""
        if self.n_rows:
            history.losses.append(self.loss)
            history.grad_norms.append(float(np.mean(self.norms)))


def minimize(theta, batches, penalty, *, max_iter, tol, watch):
    """Lower the loss over all batches by L-BFGS-B (Byrd et al. 1995), in place on theta.

    `batches` are as an epoch yields them, and each iteration takes all of them. Vectors are float64
    and theta is that of the net only where the loss is computed. Ends where no entry of the
    gradient is larger than `tol`, or no step leads further down.
    """
    history, objective = History(), _Objective(theta, batches, penalty)

    def end_iteration(x):
        theta[:] = x
        history.losses.append(objective.value)
        history.grad_norms.append(objective.norm)
        watch.begin()  # no one knows before whether there is to be an iteration
        if watch.end(history, theta):
            raise _StoppedError

    options = {"maxiter": max_iter, "gtol": tol, "maxfun": np.inf}
    try:
        result = scipy.optimize.minimize(
            objective,
            theta.astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=end_iteration,
            options=options,
        )
        if not history.losses:
            end_iteration(result.x)
        history.stopped = "max_iter" if result.status == 1 else "converged"
    except _StoppedError:
        history.stopped = "callback"
    except KeyboardInterrupt:
        if not history.losses:
            raise
        history.stopped = "interrupted"
    except NotFiniteError:
        if not history.losses:
            raise NotFiniteError(1) from None
        history.stopped = "not finite"
    return history


class _StoppedError(Exception):
    """A callback wants no more iterations."""


class _Objective:
    """The penalised loss of all batches and its gradient, in float64.

    `value` and `norm` are those of the last call.
    """

    def __init__(self, theta, batches, penalty):
        self.theta, self.part = np.empty_like(theta), np.empty_like(theta)
        self.batches, self.n_rows = batches, sum(n for n, _ in batches)
        self.penalty = penalty.astype(np.float64)

    def __call__(self, x):
        self.theta[:] = x
        gradient = self.penalty * x
        self.value = 0.5 * float(gradient @ x)
        for n, loss_and_gradient in self.batches:
            share = n / self.n_rows
            self.value += share * float(loss_and_gradient(self.theta, self.part))
            gradient += share * self.part
        self.norm = float(_norm(gradient))
        if not (np.isfinite(self.value) and np.isfinite(self.norm)):
            raise NotFiniteError
        return self.value, gradient


def _norm(vector):
    """L2 norm, safe against overflow of the squares."""
    (nrm2,) = get_blas_funcs(("nrm2",), (vector,))
    return nrm2(vector)
