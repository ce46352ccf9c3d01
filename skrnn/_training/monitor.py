"""Progress reporting and callbacks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol

from skrnn._typing import Vector


@dataclass
class History:
    """What happened, epoch by epoch.

    `losses` have the penalty; the `relative` ones have not, and are in units of the loss of a
    constant prediction. `clipped` are the shares of updates whose gradient was. `stopped` says why
    training ended: "max_iter", "converged", "early_stopping", "callback", "interrupted" or
    "diverged"; `best` is the epoch with the best score, from 1 on, or 0 for the start.
    """

    losses: list[float] = field(default_factory=list)
    relative: list[float] = field(default_factory=list)
    grad_norms: list[float] = field(default_factory=list)
    clipped: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    validation_relative: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    rate: float | None = None
    stopped: str = "max_iter"
    best: int | None = None
    best_score: float | None = None


class Monitor(Protocol):
    """Is told of the epochs."""

    def begin_epoch(self) -> None: ...

    def end_epoch(self, history: History, theta: Vector) -> bool:
        """Whether training should stop."""
        ...


class FitMonitor:
    """Reports the epochs of a fit.

    `context` is that of scikit-learn's callbacks, for which an epoch is a task; they are `told` the
    estimator, X, y and metadata. `attributes(model)` are those of an estimator that has fitted the
    model, which is a snapshot of `model`.
    """

    def __init__(
        self,
        context: Any,
        told: dict[str, Any],
        attributes: Callable[[Any], dict[str, Any]],
        model: Any,
    ):
        self._context, self._told = context, told
        self._attributes, self._model, self._epoch = attributes, model, context
        self._start = 0.0

    def begin_epoch(self) -> None:
        self._start = perf_counter()
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._told)

    def end_epoch(self, history: History, theta: Vector) -> bool:
        if self._told["estimator"].verbose:
            print(_line(history, perf_counter() - self._start))
        stops = self._epoch.call_on_fit_task_end(
            **self._told,
            reconstruction_attributes=lambda: self._attributes(self._model.snapshot()),
        )
        return bool(stops)


def _line(history: History, seconds: float) -> str:
    figures = {
        "loss": f"{history.losses[-1]:.6f}",
        "validation loss": f"{history.validation_losses[-1]:.6f}" if history.scores else None,
        "gradient norm": f"{history.grad_norms[-1]:.3g}",
        "learning rate": None if history.rate is None else f"{history.rate:.3g}",
        "seconds": f"{seconds:.2f}",
    }
    parts = [f"{name} {figure}" for name, figure in figures.items() if figure is not None]
    return f"Epoch {len(history.losses)}: " + ", ".join(parts)
