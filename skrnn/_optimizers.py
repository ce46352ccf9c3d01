"""Optimisers: `step(theta, gradient)`, in place on flat vectors.

`settings` names the parameters of the estimators that one takes beside the learning rate.
"""

import numpy as np


class Adam:
    """Kingma & Ba (2015), epsilon added after the bias correction."""

    settings = ("beta_1", "beta_2", "epsilon")

    def __init__(self, n_weights, dtype, *, learning_rate, beta_1, beta_2, epsilon):
        self.learning_rate, self.epsilon = learning_rate, epsilon
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.t = 0
        self.m, self.v = np.zeros(n_weights, dtype), np.zeros(n_weights, dtype)

    def step(self, theta, gradient):
        self.t += 1
        self.m *= self.beta_1
        self.m += (1 - self.beta_1) * gradient
        self.v *= self.beta_2
        self.v += (1 - self.beta_2) * gradient**2
        scale = np.sqrt(self.v / (1 - self.beta_2**self.t))
        scale += self.epsilon
        theta -= self.learning_rate / (1 - self.beta_1**self.t) * self.m / scale


class SGD:
    """Gradient descent with momentum, Nesterov's (1983) or Polyak's (1964)."""

    settings = ("momentum", "nesterovs_momentum")

    def __init__(self, n_weights, dtype, *, learning_rate, momentum, nesterovs_momentum):
        self.learning_rate, self.momentum = learning_rate, momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.velocity = np.zeros(n_weights, dtype)

    def step(self, theta, gradient):
        self.velocity *= self.momentum
        self.velocity -= self.learning_rate * gradient
        if self.nesterovs_momentum:
            theta += self.momentum * self.velocity - self.learning_rate * gradient
        else:
            theta += self.velocity


OPTIMIZERS = {"adam": Adam, "sgd": SGD}
