"""What is told of training while it goes on: lines of text, and scikit-learn's callbacks."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Watch:
    """Tells of every epoch of a fit of `estimator` to X and y.

    `context` is that of scikit-learn's callbacks, for which an epoch is a task. `fitted(theta)`
    gives the attributes with which the estimator could predict as things stand.
    """

    estimator: Any
    context: Any
    X: Any
    y: Any
    fitted: Any

    def begin(self):
        self._epoch = self.context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self.estimator, X=self.X, y=self.y)

    def end(self, history, theta):
        """Whether a callback wants training to stop."""
        if self.estimator.verbose:
            print(_line(history))
        return self._epoch.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            reconstruction_attributes=lambda: self.fitted(theta.copy()),
        )


class Silence:
    """Nobody watches."""

    def begin(self):
        pass

    def end(self, history, theta):
        return False


def _line(history):
    line = f"Epoch {len(history.losses)}, loss = {history.losses[-1]:.8f}"
    if history.scores:
        line += f", validation score = {history.scores[-1]:.6f}"
    return line
