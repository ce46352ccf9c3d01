"""Optimisers and schedules of their learning rate.

`step(theta, gradient, learning_rate, scratch)` moves theta in place and uses up the other two flat
vectors; `rate()` is the learning rate of the present epoch. `settings` names the parameters of the
estimators that a class takes.
"""

from math import cos, pi

import numpy as np


class Optimizer:
    """What most have in common: the L2 penalty is a part of the loss."""

    def penalize(self, theta, gradient, learning_rate, penalty, scratch):
        """Add the penalty's gradient; return its value, penalty / 2 * theta^2 summed."""
        np.multiply(penalty, theta, out=scratch)
        gradient += scratch
        return 0.5 * np.dot(scratch, theta)


class Adam(Optimizer):
    """Kingma & Ba (2015), epsilon added after the bias correction."""

    settings = ("beta_1", "beta_2", "epsilon")

    def __init__(self, n_weights, dtype, *, beta_1, beta_2, epsilon):
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.t = 0
        self.m, self.v = np.zeros(n_weights, dtype), np.zeros(n_weights, dtype)

    def step(self, theta, gradient, learning_rate, scratch):
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
    """Adam with weights that decay beside it, not through the gradient (Loshchilov & Hutter 2019).

    What a step takes off a weight is learning_rate * penalty of it.
    """

    def penalize(self, theta, gradient, learning_rate, penalty, scratch):
        np.multiply(penalty, learning_rate, out=scratch)
        scratch *= theta
        theta -= scratch
        return 0.0


class RMSprop(Optimizer):
    """Tieleman & Hinton (2012): the gradient over the root of its mean square."""

    settings = ("beta_2", "epsilon")

    def __init__(self, n_weights, dtype, *, beta_2, epsilon):
        self.beta_2, self.epsilon = beta_2, epsilon
        self.v = np.zeros(n_weights, dtype)

    def step(self, theta, gradient, learning_rate, scratch):
        _average(self.v, np.square(gradient, out=scratch), self.beta_2, scratch)
        np.sqrt(self.v, out=scratch)
        scratch += self.epsilon
        gradient *= learning_rate
        gradient /= scratch
        theta -= gradient


class SGD(Optimizer):
    """Gradient descent with momentum, Nesterov's (1983) or Polyak's (1964)."""

    settings = ("momentum", "nesterovs_momentum")

    def __init__(self, n_weights, dtype, *, momentum, nesterovs_momentum):
        self.momentum, self.nesterovs_momentum = momentum, nesterovs_momentum
        self.velocity = np.zeros(n_weights, dtype)

    def step(self, theta, gradient, learning_rate, scratch):
        gradient *= learning_rate
        self.velocity *= self.momentum
        self.velocity -= gradient
        if self.nesterovs_momentum:
            np.multiply(self.velocity, self.momentum, out=scratch)
            scratch -= gradient
            theta += scratch
        else:
            theta += self.velocity


def _average(mean, value, beta, scratch):
    """Let mean be beta * mean + (1 - beta) * value."""
    mean *= beta
    mean += np.multiply(value, 1 - beta, out=scratch)


class Constant:
    """The same rate in all epochs; what the other schedules start from."""

    settings = ("learning_rate_init",)

    def __init__(self, **settings):
        vars(self).update(settings)
        self.epochs = 0

    def rate(self):
        return self.learning_rate_init

    def end_epoch(self):
        self.epochs += 1

    def lower(self):
        """Go on to a lower rate, as the loss gets no better at this one; whether there is one."""
        return False


class InverseScaling(Constant):
    """The rate of epoch t = 1, 2, ... is divided by t^power_t (Robbins & Monro 1951)."""

    settings = ("learning_rate_init", "power_t")

    def rate(self):
        return self.learning_rate_init * (self.epochs + 1) ** -self.power_t


class Adaptive(Constant):
    """The rate is divided by 5 when the loss gets no better, until it is below 1e-6."""

    divisions = 0

    def rate(self):
        return self.learning_rate_init / 5**self.divisions

    def lower(self):
        if self.rate() < 1e-6:
            return False
        self.divisions += 1
        return True


class Cosine(Constant):
    """Half a cosine down to 0 over max_iter epochs, then anew (Loshchilov & Hutter 2017)."""

    settings = ("learning_rate_init", "max_iter")

    def rate(self):
        part = self.epochs % self.max_iter / self.max_iter
        return self.learning_rate_init * (1 + cos(pi * part)) / 2


OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "sgd": SGD}
SCHEDULES = {
    "constant": Constant,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
    "cosine": Cosine,
}
