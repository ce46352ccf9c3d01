"""The loops: epochs, clipping, stopping, best weights. They know neither network nor estimator.

An objective is called as `objective(theta, gradient, batch)`: it writes the gradient and returns
the loss. Of a batch, the loops know `total`, by which the loss is divided.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from scipy.linalg import get_blas_funcs

from skrnn._parallel.host import interrupts
from skrnn._training.early_stopping import EarlyStopping
from skrnn._training.health import HOPELESS, Yardstick
from skrnn._training.monitor import History, Monitor
from skrnn._training.optimizers import Optimizer
from skrnn._training.schedules import Schedule
from skrnn._typing import Vector

Objective = Callable[[Vector, Vector, Any], float]


class NotFiniteError(ArithmeticError):
    """The loss or its gradient is infinite or NaN."""


class DivergedError(ArithmeticError):
    """Training went nowhere: no epoch was better than a constant prediction, and the last is worse.

    Its arguments are the last epoch, and whether that was finite.
    """


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
        self.total, self._loss, self._penalized = 0.0, 0.0, 0.0
        self._norms: list[float] = []

    @property
    def loss(self) -> float:
        """Mean over the samples, without the penalty."""
        return self._loss / self.total

    @property
    def penalized(self) -> float:
        return self._penalized / self.total

    def run(
        self, theta: Vector, batches: Iterable[Any], objective: Objective, updater: Updater
    ) -> bool:
        """Learn from batch after batch; whether the user interrupted between two of them."""
        gradient = np.empty_like(theta)
        for batch in batches:
            if interrupts.requested:
                return True
            value = objective(theta, gradient, batch)
            penalized, norm = updater.step(theta, gradient, value)
            self.total += batch.total
            self._loss += batch.total * float(value)
            self._penalized += batch.total * float(penalized)
            self._norms.append(float(norm))
        if not np.isfinite(theta).all():
            raise NotFiniteError
        return False

    def record(self, history: History, yardstick: Yardstick, updater: Updater) -> None:
        """Write down what the batches so far came to, if there are any."""
        if self.total:
            bound = np.inf if updater.max_grad_norm is None else updater.max_grad_norm
            history.losses.append(self.penalized)
            history.relative.append(yardstick.relative(self.loss))
            history.grad_norms.append(float(np.mean(self._norms)))
            history.clipped.append(float(np.mean(np.array(self._norms) > bound)))
            history.rate = updater.schedule.rate()


class BestWeights:
    """The weights of the least figure so far, and the epoch after which they were so."""

    def __init__(self) -> None:
        self.figure = np.inf
        self.epoch: int | None = None
        self.kept: Vector | None = None

    def offer(self, theta: Vector, figure: float, epoch: int) -> None:
        if figure <= self.figure:
            self.figure, self.epoch, self.kept = figure, epoch, theta.copy()


class Validation(NamedTuple):
    """`measure(theta)` returns loss and score on the validation part, by which training may stop.

    `yardstick` has the losses of other predictions there.
    """

    measure: Callable[[Vector], tuple[float, float]]
    stops: bool
    yardstick: Yardstick

    def record(self, theta: Vector, history: History) -> float:
        """Write down loss and score, and return the score."""
        loss, score = self.measure(theta)
        history.validation_losses.append(loss)
        history.validation_relative.append(self.yardstick.relative(loss))
        history.scores.append(score)
        return score


@dataclass
class Trainer:
    """Runs epochs on theta, in place, until the loss or the score gets better at no learning rate.

    Where the validation part stops training, the weights of the best epoch are restored at the end,
    those of the start among them if training is `resumed`. Without one, the weights from which the
    best epoch started are kept for the case that training diverges.
    """

    theta: Vector
    objective: Objective
    updater: Updater
    stopping: EarlyStopping
    monitor: Monitor
    yardstick: Yardstick
    validation: Validation | None = None
    resumed: bool = False

    def run(
        self,
        epochs: Callable[[], Iterable[Any]],
        max_iter: int,
        probe: Callable[[Vector], object] | None = None,
    ) -> History:
        """`epochs()` returns the batches of an epoch; `probe(theta)` is called at the end.

        Measuring and probing raise NotFiniteError where outputs are not finite. `monitor` is told
        of every epoch, and may stop training; so may the user, by Ctrl-C, between batches once
        there was one.
        """
        history, best = History(), BestWeights()
        try:
            if self.by_score and self.resumed:
                self._measure(history, best, 0)
            for _ in range(max_iter):
                history.stopped = self._epoch(epochs(), history, best)
                if history.stopped != "max_iter":
                    break
            if probe is not None:
                probe(self.theta)
        except NotFiniteError:
            history.stopped = "diverged"
        self._settle(history, best)
        return history

    @property
    def by_score(self) -> bool:
        """Whether the score decides when to stop and which weights to keep."""
        return self.validation is not None and self.validation.stops

    def _epoch(self, batches: Iterable[Any], history: History, best: BestWeights) -> str:
        """One epoch; why training ends after it, "max_iter" if it goes on."""
        self.monitor.begin_epoch()
        before, epoch, n = self.theta.copy(), Epoch(), len(history.losses) + 1
        if epoch.run(self.theta, batches, self.objective, self.updater):
            if not history.losses:
                epoch.record(history, self.yardstick, self.updater)
            return _interrupted(history)
        figure = self._measure(history, best, n)
        if figure is None:
            figure = epoch.penalized
            if n > 1 or self.resumed:  # weights that were trained, and a loss that is theirs
                best.offer(before, self.yardstick.relative(epoch.loss), n - 1)
        epoch.record(history, self.yardstick, self.updater)
        self.updater.schedule.end_epoch()
        if self.monitor.end_epoch(history, self.theta):
            return "callback"
        if interrupts.requested:
            return _interrupted(history)
        if self.stopping.is_over(figure) and not self.updater.schedule.lower():
            return "early_stopping" if self.by_score else "converged"
        return "max_iter"

    def _measure(self, history: History, best: BestWeights, n: int) -> float | None:
        """What should fall, by the score; None where the score does not decide."""
        if self.validation is None:
            return None
        if n:
            score = self.validation.record(self.theta, history)
        else:
            _, score = self.validation.measure(self.theta)
            self.stopping.best = -score
        if not self.validation.stops:
            return None
        best.offer(self.theta, -score, n)
        return -score

    def _settle(self, history: History, best: BestWeights) -> None:
        """Restore the weights to return to, if they are not the last; fail if there are none."""
        finite, useful = history.stopped != "diverged", best.figure < 1
        if self.by_score:
            useful = best.kept is not None and min(history.relative, default=np.inf) < 1
            history.best, history.best_score = best.epoch, -best.figure
        elif finite and _is_hopeless(history):
            history.stopped = "diverged"
        diverged = history.stopped == "diverged"
        if diverged and not useful:
            raise DivergedError(len(history.losses) + (not finite), finite)
        if (diverged or self.by_score) and best.kept is not None:
            self.theta[:] = best.kept


def _is_hopeless(history: History) -> bool:
    """Whether the loss ended far above that of a constant prediction, and was not on its way down.

    A loop of short warm starts may well begin there.
    """
    relative = history.relative
    falls = history.stopped == "max_iter" and relative[-1] == min(relative)
    return relative[-1] > HOPELESS and not falls


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
    yardstick: Yardstick,
    validation: Validation | None = None,
) -> History:
    """Lower the loss over all batches by L-BFGS-B (Byrd et al. 1995), in place on theta.

    Each iteration takes all batches. Vectors are float64, and theta is that of the net only where
    the loss is computed. Ends where no entry of the gradient is larger than `tol`, or no step leads
    further down. The validation part is measured, but stops nothing.
    """
    history, penalized = History(), PenalizedObjective(theta, batches, objective, penalty)

    def end_iteration(x: Vector) -> None:
        theta[:] = x
        history.losses.append(penalized.value)
        history.relative.append(yardstick.relative(penalized.loss))
        history.grad_norms.append(penalized.norm)
        if validation is not None:
            validation.record(theta, history)
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
        history.stopped = "diverged"
        if min(history.relative, default=np.inf) >= 1:
            raise DivergedError(len(history.losses) + 1, False) from None
    return history


class _StoppedError(Exception):
    """A callback or the user wants no more iterations."""


class PenalizedObjective:
    """The penalised loss of all batches and its gradient, in float64.

    `value`, `norm` and the `loss` without the penalty are those of the last call.
    """

    def __init__(
        self, theta: Vector, batches: Sequence[Any], objective: Objective, penalty: Vector
    ):
        self._theta, self._part = np.empty_like(theta), np.empty_like(theta)
        self._batches, self._objective = batches, objective
        self._total = sum(batch.total for batch in batches)
        self._penalty = penalty.astype(np.float64)
        self.value = self.norm = self.loss = np.inf

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        self._theta[:] = x
        gradient = self._penalty * x
        self.value, self.loss = 0.5 * float(gradient @ x), 0.0
        for batch in self._batches:
            interrupts.check()
            share = batch.total / self._total
            value = share * float(self._objective(self._theta, self._part, batch))
            self.value += value
            self.loss += value
            gradient += share * self._part
        self.norm = float(_norm(gradient))
        if not (np.isfinite(self.value) and np.isfinite(self.norm)):
            raise NotFiniteError
        return self.value, gradient


def _norm(vector: Vector) -> float:
    """L2 norm, safe against overflow of the squares."""
    (nrm2,) = get_blas_funcs(("nrm2",), (vector,))
    return nrm2(vector)
