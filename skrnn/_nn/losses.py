"""Losses and their gradients, in raw space, each with its link.

y and o are columns, (K, B), of one dtype but for numbers of classes; weight (B,), or (K, B) where
outputs have weights of their own. A row's loss is the sum over its outputs, and a batch's the
weighted sum over its rows. `value_and_gradient` returns it with dL/do, in one pass; `inverse_link`
turns raw outputs (n, K) into what is predicted.

A loss is made by `LOSSES[name](**settings)`; `settings` of the class names the parameters of the
estimator that it takes.
"""

import numpy as np
from scipy.special import expit


class RegressionLoss:
    """What losses of real targets share, unless they say otherwise: y standardised, and no link.

    In `units` and `start` the targets are rows: y (n, K), weight (n,).
    """

    settings = ()
    lower = -np.inf  # no target may be less
    outputs_per_target = 1

    @staticmethod
    def units(y, weight):
        """Shift and scale of each target: the loss gets (y - shift) / scale."""
        return mean_and_scale(y, weight)

    def start(self, y, weight):
        """Constant outputs to begin with, (K,), for y in these units."""
        return np.zeros(y.shape[1])

    def inverse_link(self, o):
        return o

    def scored(self, predicted):
        """Which of the predictions (n, K) a score holds against the targets."""
        return predicted


class SquaredError(RegressionLoss):
    """(o - y)^2 / 2."""

    @staticmethod
    def value_and_gradient(y, o, weight):
        error = o - y
        d_o = weight * error
        return 0.5 * np.vdot(d_o, error), d_o


class AbsoluteError(RegressionLoss):
    """|o - y|."""

    @staticmethod
    def value_and_gradient(y, o, weight):
        error = o - y
        d_o = weight * np.sign(error)
        return np.vdot(d_o, error), d_o

    def start(self, y, weight):
        return weighted_quantiles(y, weight, 0.5)


class Huber(RegressionLoss):
    """(o - y)^2 / 2 up to |o - y| = 1.35, and linear from there (Huber 1964)."""

    threshold = 1.35  # standard deviations of the target

    @classmethod
    def value_and_gradient(cls, y, o, weight):
        error = o - y
        slope = error.clip(-cls.threshold, cls.threshold)
        d_o = weight * slope
        return np.vdot(d_o, error - 0.5 * slope), d_o


class Poisson(RegressionLoss):
    """exp(o) - y o: the log-likelihood of counts of mean exp(o), but for its sign and a constant.

    Nelder & Wedderburn (1972). The unit of y is its mean, so that outputs start at log(1) = 0.
    """

    lower = 0.0

    @staticmethod
    def value_and_gradient(y, o, weight):
        mean = np.exp(o)
        return (weight * (mean - y * o)).sum(), weight * (mean - y)

    @staticmethod
    def units(y, weight):
        with np.errstate(over="ignore"):
            mean = np.average(y, axis=0, weights=weight)
        if not ((mean > 0) & (mean < np.inf)).all():
            raise ValueError(
                'loss="poisson" needs a mean of y that is finite and > 0 in every output, but over '
                f"the sequences to learn from it is {mean.tolist()}."
            )
        return np.zeros_like(mean), mean

    def inverse_link(self, o):
        return np.exp(o)


class Quantile(RegressionLoss):
    """max(q (y - o), (q - 1) (y - o)), the pinball loss (Koenker & Bassett 1978).

    One q for all outputs, or several for one target: o (Q, B), y (1, B). Several are predicted in
    the order of q and sorted, so that none crosses another (Chernozhukov et al. 2010).
    """

    settings = ("quantile",)

    def __init__(self, quantile=0.5):
        self.quantile = _read_quantiles(quantile)
        self.outputs_per_target = len(self.quantile)

    def value_and_gradient(self, y, o, weight):
        q = np.array(self.quantile, o.dtype)[:, None]
        error = o - y
        d_o = weight * (np.heaviside(error, q) - q)  # 0 where o is y
        return np.vdot(d_o, error), d_o

    def start(self, y, weight):
        return weighted_quantiles(y, weight, self.quantile)

    def inverse_link(self, o):
        rank = np.argsort(np.argsort(self.quantile))
        return np.sort(self._of_targets(o), axis=-1)[..., rank].reshape(o.shape)

    def scored(self, predicted):
        """The middle quantile, of two in the middle the lesser one."""
        middle = np.argsort(self.quantile)[(self.outputs_per_target - 1) // 2]
        return self._of_targets(predicted)[..., middle]

    def _of_targets(self, o):
        return o.reshape(*o.shape[:-1], -1, self.outputs_per_target)


class BinaryLogLoss:
    """One logit for each output, y in {0, 1}: two classes, or the labels of a multilabel target."""

    @staticmethod
    def value_and_gradient(y, o, weight):
        # log(1 + exp(o)) - y o
        value = (weight * (np.logaddexp(0, o) - y * o)).sum()
        return value, weight * (expit(o) - y)

    @staticmethod
    def inverse_link(o):
        return expit(o)


class MultinomialLogLoss:
    """Softmax over the outputs; y is the number of the class, (1, B), and weight (B,) or (1, B)."""

    @staticmethod
    def value_and_gradient(y, o, weight):
        own = y[0], np.arange(o.shape[1])
        o = o - o.max(axis=0)
        p = np.exp(o)
        total = p.sum(axis=0)
        p /= total
        p[own] -= 1
        return (weight * (np.log(total) - o[own])).sum(), weight * p

    @staticmethod
    def inverse_link(o):
        p = np.exp(o - np.maximum.reduce(o, axis=1, keepdims=True))
        p /= np.add.reduce(p, axis=1, keepdims=True)
        return p


def mean_and_scale(y, weight):
    """Weighted mean and standard deviation of each column; the scale of a constant is 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(y, axis=0, weights=weight)
        largest = np.abs(y - mean).max(axis=0)
    if not np.isfinite(largest).all():
        raise ValueError(f"The targets y are too far apart for {y.dtype}: scale them.")
    varies = largest > 10 * np.finfo(y.dtype).eps * np.abs(mean)
    largest = np.where(varies, largest, 1.0)
    deviation = np.sqrt(np.average(((y - mean) / largest) ** 2, axis=0, weights=weight))
    return mean, np.where(varies, largest * deviation, 1.0)


def weighted_quantiles(y, weight, q):
    """The least value with a share q of the weight at or below it; of each column, for each q."""
    order = y.argsort(axis=0)
    reached = weight[order].cumsum(axis=0) / weight.sum() + 1e-10  # rounding must not miss a tie
    columns = zip(np.take_along_axis(y, order, axis=0).T, reached.T, strict=True)
    return np.ravel([column[np.searchsorted(share, q)] for column, share in columns])


def _read_quantiles(quantile):
    try:
        q = np.atleast_1d(np.asarray(quantile, dtype=np.float64))
    except (TypeError, ValueError):
        q = np.empty(0)
    if q.ndim != 1 or q.size == 0 or not ((q > 0) & (q < 1)).all():
        raise ValueError(
            f"quantile must be a number in (0, 1), or a sequence of them, got {quantile!r}."
        )
    return tuple(q.tolist())


REGRESSION_LOSSES = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
    "quantile": Quantile,
}
LOSSES = {
    **REGRESSION_LOSSES,
    "binary_log_loss": BinaryLogLoss,
    "multinomial_log_loss": MultinomialLogLoss,
}
