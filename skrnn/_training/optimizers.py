"""Optimisers.

`step(theta, gradient, learning_rate, scratch)` moves theta in place and overwrites the other two
flat vectors. `settings` names the parameters of the estimators that a class takes.
"""

from typing import Any, ClassVar

import numpy as np

from skrnn._typing import Vector


class Optimizer:
    """An update rule; the L2 penalty is a part of the loss."""

    settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, n_weights: int, dtype: Any, **settings: float):
        raise NotImplementedError

    def step(self, theta: Vector, gradient: Vector, learning_rate: float, scratch: Vector) -> None:
        raise NotImplementedError

    def penalize(
        self,
        theta: Vector,
        gradient: Vector,
        learning_rate: float,
        penalty: Vector,
        scratch: Vector,
    ) -> float:
        """Add the penalty's gradient; return its value, penalty / 2 * theta^2 summed."""
        np.multiply(penalty, theta, out=scratch)
        gradient += scratch
        return 0.5 * np.dot(scratch, theta)


class Adam(Optimizer):
    """Kingma & Ba (2015), epsilon added after the bias correction."""

    settings = ("beta_1", "beta_2", "epsilon")

    def __init__(self, n_weights: int, dtype: Any, *, beta_1: float, beta_2: float, epsilon: float):
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.t = 0
        self.m, self.v = np.zeros(n_weights, dtype), np.zeros(n_weights, dtype)

    def step(self, theta: Vector, gradient: Vector, learning_rate: float, scratch: Vector) -> None:
        self.t += 1
        _average(self.m, gradient, self.beta_1, scratch)
        _average(self.v, np.square(gradient, out=gradient), self.beta_2, scratch)
        np.divide(self.v, 1 - self.beta_2**self.t, out=scratch)
        np.sqrt(scratch, out=scratch)
        scratch += self.epsilon
        np.multiply(self.m, learning_rate / (1 - self.beta_1**self.t), out=gradient)
        gradient /= scratch
        theta -= gradient


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    Every update subtracts learning_rate * penalty * theta, beside the gradient's.
    """

    def penalize(
        self,
        theta: Vector,
        gradient: Vector,
        learning_rate: float,
        penalty: Vector,
        scratch: Vector,
    ) -> float:
        np.multiply(penalty, learning_rate, out=scratch)
        scratch *= theta
        theta -= scratch
        return 0.0


class RMSprop(Optimizer):
    """Tieleman & Hinton (2012): the gradient over the root of its mean square."""

    settings = ("beta_2", "epsilon")

    def __init__(self, n_weights: int, dtype: Any, *, beta_2: float, epsilon: float):
        self.beta_2, self.epsilon = beta_2, epsilon
        self.v = np.zeros(n_weights, dtype)

    def step(self, theta: Vector, gradient: Vector, learning_rate: float, scratch: Vector) -> None:
        _average(self.v, np.square(gradient, out=scratch), self.beta_2, scratch)
        np.sqrt(self.v, out=scratch)
        scratch += self.epsilon
        gradient *= learning_rate
        gradient /= scratch
        theta -= gradient


class SGD(Optimizer):
    """Gradient descent with momentum, Nesterov's (1983) or Polyak's (1964)."""

    settings = ("momentum", "nesterovs_momentum")

    def __init__(self, n_weights: int, dtype: Any, *, momentum: float, nesterovs_momentum: bool):
        self.momentum, self.nesterovs_momentum = momentum, nesterovs_momentum
        self.velocity = np.zeros(n_weights, dtype)

    def step(self, theta: Vector, gradient: Vector, learning_rate: float, scratch: Vector) -> None:
        gradient *= learning_rate
        self.velocity *= self.momentum
        self.velocity -= gradient
        if self.nesterovs_momentum:
            np.multiply(self.velocity, self.momentum, out=scratch)
            scratch -= gradient
            theta += scratch
        else:
            theta += self.velocity


def _average(mean: Vector, value: Vector, beta: float, scratch: Vector) -> None:
    """Let mean be beta * mean + (1 - beta) * value."""
    mean *= beta
    mean += np.multiply(value, 1 - beta, out=scratch)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "sgd": SGD,
}
