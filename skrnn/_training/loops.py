"""The loops: epochs, clipping, stopping, best weights. They know neither network nor estimator.

An objective is called as `objective(theta, gradient, batch)`: it writes the gradient and returns
the loss. Of a batch, the loops know `total`, by which the loss is divided.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import scipy.optimize
from scipy.linalg import get_blas_funcs

from skrnn._parallel.host import interrupts
from skrnn._training.early_stopping import EarlyStopping
from skrnn._training.monitor import History, Monitor
from skrnn._training.optimizers import Optimizer
from skrnn._training.schedules import Schedule
from skrnn._typing import Vector

Objective = Callable[[Vector, Vector, Any], float]


class NotFiniteError(ArithmeticError):
    """The loss or its gradient is infinite or NaN, and no earlier epoch can be kept."""


class Updater:
    """One update: L2 penalty of each weight, bound on the gradient's norm, optimiser, its rate."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Schedule,
        penalty: Vector,
        max_grad_norm: float | None,
    ):
        self.optimizer, self.schedule = optimizer, schedule
        self.penalty, self.max_grad_norm = penalty, max_grad_norm
        self._scratch = np.empty_like(penalty)

    def step(self, theta: Vector, gradient: Vector, value: float) -> tuple[float, float]:
        """Move theta; return the penalised loss and the gradient's norm before clipping.

        A gradient g is clipped to g min(1, max_grad_norm / ||g||) (Pascanu et al. 2013).
        """
        rate, scratch = self.schedule.rate(), self._scratch
        value += self.optimizer.penalize(theta, gradient, rate, self.penalty, scratch)
        norm = _norm(gradient)
        if not (np.isfinite(value) and np.isfinite(norm)):
            raise NotFiniteError
        if self.max_grad_norm is not None and norm > self.max_grad_norm:
            gradient *= float(self.max_grad_norm / norm)
        self.optimizer.step(theta, gradient, rate, scratch)
        return value, norm


class Epoch:
    """Sums over the batches of an epoch."""

    def __init__(self) -> None:
        self.total, self._loss = 0.0, 0.0
        self._norms: list[float] = []

    @property
    def loss(self) -> float:
        """Mean over the samples."""
        return self._loss / self.total

    def run(
        self, theta: Vector, batches: Iterable[Any], objective: Objective, updater: Updater
    ) -> bool:
        """Learn from batch after batch; whether the user interrupted between two of them."""
        gradient = np.empty_like(theta)
        for batch in batches:
            if interrupts.requested:
                return True
            value = objective(theta, gradient, batch)
            value, norm = updater.step(theta, gradient, value)
            self.total += batch.total
            self._loss += batch.total * float(value)
            self._norms.append(float(norm))
        if not np.isfinite(theta).all():
            raise NotFiniteError
        return False

    def record(self, history: History) -> None:
        """Write down the loss and the mean norm of the batches so far, if there are any."""
        if self.total:
            history.losses.append(self.loss)
            history.grad_norms.append(float(np.mean(self._norms)))


class BestWeights:
    """The weights to return to: those of the best score, or else the last proven to be finite."""

    def __init__(self, score: Callable[[Vector], float] | None):
        self.score = score
        self.kept: Vector | None = None

    def figure(self, theta: Vector, epoch: Epoch) -> float:
        """What should fall: the loss, or the negative score."""
        return epoch.loss if self.score is None else -self.score(theta)

    def restore(self, theta: Vector, history: History) -> None:
        if self.kept is not None and (self.score is not None or history.stopped == "not finite"):
            theta[:] = self.kept


def train(
    theta: Vector,
    epochs: Callable[[], Iterable[Any]],
    objective: Objective,
    updater: Updater,
    stopping: EarlyStopping,
    *,
    max_iter: int,
    monitor: Monitor,
    score: Callable[[Vector], float] | None = None,
    probe: Callable[[Vector], object] | None = None,
) -> History:
    """Run epochs on theta, in place, until the loss or the score gets better at no learning rate.

    `epochs()` returns the batches of an epoch. With `score(theta)`, which should rise, the weights
    of the best epoch are restored at the end. `probe(theta)` is called at the end. `score` and
    `probe` raise NotFiniteError where outputs are not finite. `monitor` is told of every epoch, and
    may stop training; so may the user, by Ctrl-C, between batches once there was one.
    """
    history, best = History(), BestWeights(score)
    try:
        for _ in range(max_iter):
            history.stopped = _train_epoch(
                theta, epochs(), objective, updater, stopping, monitor, history, best
            )
            if history.stopped != "max_iter":
                break
        if probe is not None:
            probe(theta)
    except NotFiniteError:
        if best.kept is None:
            raise NotFiniteError(len(history.losses) + 1) from None
        history.stopped = "not finite"
    best.restore(theta, history)
    return history


def _train_epoch(
    theta: Vector,
    batches: Iterable[Any],
    objective: Objective,
    updater: Updater,
    stopping: EarlyStopping,
    monitor: Monitor,
    history: History,
    best: BestWeights,
) -> str:
    """One epoch; why training ends after it, "max_iter" if it goes on."""
    monitor.begin_epoch()
    before, epoch = theta.copy(), Epoch()
    if epoch.run(theta, batches, objective, updater):
        if not history.losses:
            epoch.record(history)
        return _interrupted(history)
    figure = best.figure(theta, epoch)
    if best.score is None and history.losses:
        best.kept = before  # proven by an epoch that started from them and had no infinities
    epoch.record(history)
    if best.score is not None:
        history.scores.append(-figure)
        if figure <= stopping.best:
            best.kept, history.best = theta.copy(), len(history.losses)
    updater.schedule.end_epoch()
    if monitor.end_epoch(history, theta):
        return "callback"
    if interrupts.requested:
        return _interrupted(history)
    if stopping.is_over(figure) and not updater.schedule.lower():
        return "converged"
    return "max_iter"


def _interrupted(history: History) -> str:
    """Take an interrupt, where something was learned and the user did not insist."""
    if interrupts.insisted or not history.losses:
        raise KeyboardInterrupt
    interrupts.take()
    return "interrupted"


def minimize(
    theta: Vector,
    batches: Sequence[Any],
    objective: Objective,
    penalty: Vector,
    *,
    max_iter: int,
    tol: float,
    monitor: Monitor,
) -> History:
    """Lower the loss over all batches by L-BFGS-B (Byrd et al. 1995), in place on theta.

    Each iteration takes all batches. Vectors are float64, and theta is that of the net only where
    the loss is computed. Ends where no entry of the gradient is larger than `tol`, or no step leads
    further down.
    """
    history, penalized = History(), PenalizedObjective(theta, batches, objective, penalty)

    def end_iteration(x: Vector) -> None:
        theta[:] = x
        history.losses.append(penalized.value)
        history.grad_norms.append(penalized.norm)
        monitor.begin_epoch()  # no one knows before whether there is to be an iteration
        if monitor.end_epoch(history, theta):
            raise _StoppedError("callback")
        if interrupts.requested:
            raise _StoppedError(_interrupted(history))

    settings = {"jac": True, "method": "L-BFGS-B", "callback": end_iteration}
    options = {"maxiter": max_iter, "gtol": tol, "maxfun": np.inf}
    start = theta.astype(np.float64)
    try:
        result = scipy.optimize.minimize(penalized, start, **settings, options=options)
        if not history.losses:
            end_iteration(result.x)
        history.stopped = "max_iter" if result.status == 1 else "converged"
    except _StoppedError as stopped:
        history.stopped = stopped.args[0]
    except NotFiniteError:
        if not history.losses:
            raise NotFiniteError(1) from None
        history.stopped = "not finite"
    return history


class _StoppedError(Exception):
    """A callback or the user wants no more iterations."""


class PenalizedObjective:
    """The penalised loss of all batches and its gradient, in float64.

    `value` and `norm` are those of the last call.
    """

    def __init__(
        self, theta: Vector, batches: Sequence[Any], objective: Objective, penalty: Vector
    ):
        self._theta, self._part = np.empty_like(theta), np.empty_like(theta)
        self._batches, self._objective = batches, objective
        self._total = sum(batch.total for batch in batches)
        self._penalty = penalty.astype(np.float64)
        self.value = self.norm = np.inf

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        self._theta[:] = x
        gradient = self._penalty * x
        self.value = 0.5 * float(gradient @ x)
        for batch in self._batches:
            interrupts.check()
            share = batch.total / self._total
            self.value += share * float(self._objective(self._theta, self._part, batch))
            gradient += share * self._part
        self.norm = float(_norm(gradient))
        if not (np.isfinite(self.value) and np.isfinite(self.norm)):
            raise NotFiniteError
        return self.value, gradient


def _norm(vector: Vector) -> float:
    """L2 norm, safe against overflow of the squares."""
    (nrm2,) = get_blas_funcs(("nrm2",), (vector,))
    return nrm2(vector)
