"""Progress reporting and callbacks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from skrnn._typing import Vector


@dataclass
class History:
    """What happened, epoch by epoch.

    `stopped` says why training ended: "max_iter", "converged", "callback", "interrupted" or "not
    finite"; `best` is the epoch with the best score, from 1 on.
    """

    losses: list[float] = field(default_factory=list)
    grad_norms: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    stopped: str = "max_iter"
    best: int | None = None


class Monitor(Protocol):
    """Is told of the epochs."""

    def begin_epoch(self) -> None: ...

    def end_epoch(self, history: History, theta: Vector) -> bool:
        """Whether training should stop."""
        ...


class FitMonitor:
    """Reports the epochs of a fit of `estimator` to X and y.

    `context` is that of scikit-learn's callbacks, for which an epoch is a task. `attributes(model)`
    are those of an estimator that has fitted the model, which is a snapshot of `model`.
    """

    def __init__(
        self,
        estimator: Any,
        context: Any,
        X: Any,
        y: Any,
        attributes: Callable[[Any], dict[str, Any]],
        model: Any,
    ):
        self._estimator, self._context, self._data = estimator, context, {"X": X, "y": y}
        self._attributes, self._model, self._epoch = attributes, model, context

    def begin_epoch(self) -> None:
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end_epoch(self, history: History, theta: Vector) -> bool:
        if self._estimator.verbose:
            print(_line(history))
        stops = self._epoch.call_on_fit_task_end(
            estimator=self._estimator,
            **self._data,
            reconstruction_attributes=lambda: self._attributes(self._model.snapshot()),
        )
        return bool(stops)


def _line(history: History) -> str:
    line = f"Epoch {len(history.losses)}, loss = {history.losses[-1]:.8f}"
    if history.scores:
        line += f", validation score = {history.scores[-1]:.6f}"
    return line
