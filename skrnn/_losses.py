"""Losses and their gradients, in raw space, each with its link.

y and o are columns, (K, B); weight (B,). A row's loss is the sum over its outputs, and a batch's
the weighted sum over its rows. `value_and_gradient` returns it with dL/do, in one pass;
`inverse_link` turns raw outputs (n, K) into what the estimator predicts.
"""

import numpy as np
from scipy.special import expit, logsumexp, softmax


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
        classes, columns = y[0], np.arange(o.shape[1])
        p = softmax(o, axis=0)
        value = np.dot(weight, logsumexp(o, axis=0) - o[classes, columns])
        p[classes, columns] -= 1
        return value, weight * p

    @staticmethod
    def inverse_link(o):
        return softmax(o, axis=1)


LOSSES = {
    "squared_error": SquaredError,
    "binary_log_loss": BinaryLogLoss,
    "multinomial_log_loss": MultinomialLogLoss,
}
