"""Losses and their gradients, in raw space, each with its link.

y and o are columns, (K, B), of one dtype but for numbers of classes; weight (B,). A row's loss is
the sum over its outputs, and a batch's the weighted sum over its rows. `value_and_gradient` returns
it with dL/do, in one pass; `inverse_link` turns raw outputs (n, K) into what is predicted.
"""

import numpy as np
from scipy.special import expit, softmax


class SquaredError:
    """(o - y)^2 / 2."""

    @staticmethod
    def value_and_gradient(y, o, weight):
        error = o - y
        d_o = weight * error
        return 0.5 * np.vdot(d_o, error), d_o

    @staticmethod
    def inverse_link(o):
        return o


class BinaryLogLoss:
    """One logit for each output, y in {0, 1}: two classes, or the labels of a multilabel target."""

    @staticmethod
    def value_and_gradient(y, o, weight):
        # log(1 + exp(o)) - y o
        value = np.dot(weight, (np.logaddexp(0, o) - y * o).sum(axis=0))
        return value, weight * (expit(o) - y)

    @staticmethod
    def inverse_link(o):
        return expit(o)


class MultinomialLogLoss:
    """Softmax over the outputs; y is the number of the class, (1, B)."""

    @staticmethod
    def value_and_gradient(y, o, weight):
        own = y[0], np.arange(o.shape[1])
        o = o - o.max(axis=0)
        p = np.exp(o)
        total = p.sum(axis=0)
        p /= total
        p[own] -= 1
        return np.dot(weight, np.log(total) - o[own]), weight * p

    @staticmethod
    def inverse_link(o):
        return softmax(o, axis=1)


LOSSES = {
    "squared_error": SquaredError,
    "binary_log_loss": BinaryLogLoss,
    "multinomial_log_loss": MultinomialLogLoss,
}
