"""Losses and their gradients in raw space, each with its link.

y and o are columns, (K, B), of one dtype but for numbers of classes; weight (B,), or (K, B) where
outputs have weights of their own. The loss of a sample is the sum over its outputs, and that of a
batch the weighted sum over its samples. `value_and_gradient` returns it with dL/do, in one pass.
Elsewhere outputs and targets are rows, (n, K), and weight is (n,) or (n, K). A missing target is 0,
of weight 0.

A loss is made by `LOSSES[name](**settings)`; `settings` of the class names the parameters of the
estimator that it takes.
"""

from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, log_expit, log_softmax, xlogy

from skrnn._typing import Columns, Floats, Rows


class Loss:
    """Value and gradient in raw space, initial outputs, and the link."""

    settings: ClassVar[tuple[str, ...]] = ()

    def value_and_gradient(self, y: Columns, o: Columns, weight: Floats) -> tuple[Any, Columns]:
        raise NotImplementedError

    def start(self, y: Rows, weight: Floats, n_outputs: int) -> Floats:
        """Constant outputs (n_outputs,) to begin with, for targets as the loss takes them."""
        raise NotImplementedError

    def inverse_link(self, o: Rows) -> Rows:
        """What raw outputs predict."""
        return o


class RegressionLoss(Loss):
    """A loss of real targets; y is standardised and there is no link, unless it says otherwise."""

    lower: ClassVar[float] = -np.inf  # no target may be less
    outputs_per_target = 1

    def units(self, y: Rows, weight: Floats) -> tuple[Floats, Floats]:
        """Shift and scale of each target: the loss is given (y - shift) / scale."""
        return mean_and_scale(y, weight)

    def start(self, y: Rows, weight: Floats, n_outputs: int) -> Floats:
        return np.zeros(n_outputs)

    def least(self, y: Rows) -> Rows:
        """The loss of a perfect prediction of each target."""
        return np.zeros_like(y)

    def scored(self, predicted: Rows) -> Rows:
        """Which of the predictions a score compares with the targets."""
        return predicted


class SquaredError(RegressionLoss):
    """(o - y)^2 / 2, of derivative o - y."""

    def value_and_gradient(self, y: Columns, o: Columns, weight: Floats) -> tuple[Any, Columns]:
        error = o - y
        d_o = weight * error
        return 0.5 * np.vdot(d_o, error), d_o


class AbsoluteError(RegressionLoss):
    """|o - y|, of derivative sign(o - y)."""

    def value_and_gradient(self, y: Columns, o: Columns, weight: Floats) -> tuple[Any, Columns]:
        error = o - y
        d_o = weight * np.sign(error)
        return np.vdot(d_o, error), d_o

    def start(self, y: Rows, weight: Floats, n_outputs: int) -> Floats:
        return weighted_quantiles(y, weight, 0.5)


class Huber(RegressionLoss):
    """(o - y)^2 / 2 up to |o - y| = 1.35, and linear from there (Huber 1964).

    Its derivative is the error clipped, e, and its value e (o - y - e / 2).
    """

    threshold = 1.35  # standard deviations of the target: 95 % efficient for normal errors

    def value_and_gradient(self, y: Columns, o: Columns, weight: Floats) -> tuple[Any, Columns]:
        error = o - y
        clipped = error.clip(-self.threshold, self.threshold)
        d_o = weight * clipped
        return np.vdot(d_o, error - 0.5 * clipped), d_o


class Poisson(RegressionLoss):
    """exp(o) - y o: the negative log-likelihood of counts of mean exp(o), up to a constant.

    Nelder & Wedderburn (1972). The unit of y is its mean, so that outputs start at log(1) = 0.
    """

    lower = 0.0

    def value_and_gradient(self, y: Columns, o: Columns, weight: Floats) -> tuple[Any, Columns]:
        mean = np.exp(o)
        return (weight * (mean - y * o)).sum(), weight * (mean - y)

    def units(self, y: Rows, weight: Floats) -> tuple[Floats, Floats]:
        with np.errstate(over="ignore"):
            mean = np.average(y, axis=0, weights=_without_empty(weight))
        if not ((mean > 0) & (mean < np.inf)).all():
            raise ValueError(
                'loss="poisson" needs a mean of y that is finite and > 0 in every output, but over '
                f"the sequences to learn from it is {mean.tolist()}."
            )
        return np.zeros_like(mean), mean

    def least(self, y: Rows) -> Rows:
        return y - xlogy(y, y)

    def inverse_link(self, o: Rows) -> Rows:
        return np.exp(o)


class Quantile(RegressionLoss):
    """max(q (y - o), (q - 1) (y - o)), the pinball loss (Koenker & Bassett 1978).

    Its derivative is 1 - q above y, -q below, and 0 where o is y. One q for all outputs, or several
    for one target: o (Q, B), y (1, B). Several are predicted in the order of q and sorted, so that
    they never cross (Chernozhukov et al. 2010).
    """

    settings = ("quantile",)

    def __init__(self, quantile: Any = 0.5):
        self.quantile = _read_quantiles(quantile)
        self.outputs_per_target = len(self.quantile)

    def value_and_gradient(self, y: Columns, o: Columns, weight: Floats) -> tuple[Any, Columns]:
        q = np.array(self.quantile, o.dtype)[:, None]
        error = o - y
        d_o = weight * (np.heaviside(error, q) - q)
        return np.vdot(d_o, error), d_o

    def start(self, y: Rows, weight: Floats, n_outputs: int) -> Floats:
        return weighted_quantiles(y, weight, self.quantile)

    def inverse_link(self, o: Rows) -> Rows:
        rank = np.argsort(np.argsort(self.quantile))
        return np.sort(self._of_targets(o), axis=-1)[..., rank].reshape(o.shape)

    def scored(self, predicted: Rows) -> Rows:
        """The middle quantile, the lower one of two in the middle."""
        middle = np.argsort(self.quantile)[(self.outputs_per_target - 1) // 2]
        return self._of_targets(predicted)[..., middle]

    def _of_targets(self, o: Rows) -> Rows:
        return o.reshape(*o.shape[:-1], -1, self.outputs_per_target)


class ClassificationLoss(Loss):
    """A loss of labels: which kinds of target it takes, and what its outputs mean."""

    kinds: ClassVar[tuple[str, ...]] = ()  # of "binary", "multiclass" and "multilabel"

    def n_outputs(self, n_classes: int) -> int:
        return n_classes

    def encode(self, codes: Rows, dtype: np.dtype) -> Rows:
        """Targets as the loss takes them, from numbers of classes (n, 1) or indicators (n, K)."""
        return codes

    def decision(self, raw: Rows) -> Floats:
        """What `decision_function` returns."""
        return raw

    def decide(self, raw: Rows) -> Floats:
        """Numbers of classes (n,), or indicators (n, K)."""
        raise NotImplementedError

    def probabilities(self, raw: Rows) -> Rows:
        return self.inverse_link(raw)

    def log_probabilities(self, raw: Rows) -> Rows:
        raise NotImplementedError


class MultilabelLogLoss(ClassificationLoss):
    """Log-loss of a logit per label, y in {0, 1}: log(1 + exp(o)) - y o.

    Its derivative is sigmoid(o) - y. Outputs start at the log odds of the labels, half a sample
    being added to either side, so that none is infinite.
    """

    kinds = ("multilabel",)

    def value_and_gradient(self, y: Columns, o: Columns, weight: Floats) -> tuple[Any, Columns]:
        value = (weight * (np.logaddexp(0, o) - y * o)).sum()
        return value, weight * (expit(o) - y)

    def start(self, y: Rows, weight: Floats, n_outputs: int) -> Floats:
        ones = (weight.T * y.T).sum(axis=1)
        return np.log(ones + 0.5) - np.log(weight.sum(axis=0) - ones + 0.5)

    def encode(self, codes: Rows, dtype: np.dtype) -> Rows:
        return codes.astype(dtype)

    def inverse_link(self, o: Rows) -> Rows:
        return expit(o)

    def decide(self, raw: Rows) -> Floats:
        return (raw > 0).astype(int)

    def log_probabilities(self, raw: Rows) -> Rows:
        return log_expit(raw)


class BinaryLogLoss(MultilabelLogLoss):
    """The same of two classes, which have one logit: that of the second."""

    kinds = ("binary",)

    def n_outputs(self, n_classes: int) -> int:
        return 1

    def decision(self, raw: Rows) -> Floats:
        return raw[:, 0]

    def decide(self, raw: Rows) -> Floats:
        return (raw[:, 0] > 0).astype(int)

    def probabilities(self, raw: Rows) -> Rows:
        return np.hstack([expit(-raw), expit(raw)])

    def log_probabilities(self, raw: Rows) -> Rows:
        return log_expit(np.hstack([-raw, raw]))


class MultinomialLogLoss(ClassificationLoss):
    """Log-loss of softmax over the outputs; y is the number of the class, (1, B).

    -log p_y, of derivative p - 1 at y and p elsewhere. Outputs start at the log prior, half a
    sample being added to each class, so that none has probability zero. weight is (B,) or (1, B).
    """

    kinds = ("multiclass",)

    def value_and_gradient(self, y: Columns, o: Columns, weight: Floats) -> tuple[Any, Columns]:
        own = y[0], np.arange(o.shape[1])
        o = o - o.max(axis=0)
        p = np.exp(o)
        total = p.sum(axis=0)
        p /= total
        p[own] -= 1
        return (weight * (np.log(total) - o[own])).sum(), weight * p

    def start(self, y: Rows, weight: Floats, n_outputs: int) -> Floats:
        totals = np.bincount(y[:, 0], weight, minlength=n_outputs)
        return np.log(totals + 0.5) - np.log(weight.sum() / n_outputs + 0.5)

    def inverse_link(self, o: Rows) -> Rows:
        p = np.exp(o - np.maximum.reduce(o, axis=1, keepdims=True))
        p /= np.add.reduce(p, axis=1, keepdims=True)
        return p

    def decide(self, raw: Rows) -> Floats:
        return raw.argmax(axis=1)

    def log_probabilities(self, raw: Rows) -> Rows:
        return log_softmax(raw, axis=1)


def mean_and_scale(y: Rows, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of each column; the scale of a constant is 1."""
    weight = _without_empty(weight)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(y, axis=0, weights=weight)
        y = np.where(weight.reshape(len(y), -1) > 0, y, mean)
        largest = np.abs(y - mean).max(axis=0)
    if not np.isfinite(largest).all():
        raise ValueError(f"The targets y are too far apart for {y.dtype}: scale them.")
    varies = largest > 10 * np.finfo(y.dtype).eps * np.abs(mean)
    largest = np.where(varies, largest, 1.0)
    deviation = np.sqrt(np.average(((y - mean) / largest) ** 2, axis=0, weights=weight))
    return mean, np.where(varies, largest * deviation, 1.0)


def _without_empty(weight: Floats) -> Floats:
    """Weights that are 1 throughout a column that had none, all of whose targets are 0."""
    return weight if weight.ndim == 1 else np.where(weight.any(axis=0), weight, 1.0)


def weighted_quantiles(y: Rows, weight: Floats, q: Any) -> Floats:
    """The least value with a fraction q of the weight at or below it; per column, for each q."""
    order, weight = y.argsort(axis=0), _without_empty(weight)
    total = weight.sum(axis=0)
    weight = weight[order] if weight.ndim == 1 else np.take_along_axis(weight, order, axis=0)
    reached = weight.cumsum(axis=0) / total + 1e-10  # rounding must not miss a tie
    columns = zip(np.take_along_axis(y, order, axis=0).T, reached.T, strict=True)
    return np.ravel([column[np.searchsorted(fractions, q)] for column, fractions in columns])


def _read_quantiles(quantile: Any) -> tuple[float, ...]:
    try:
        q = np.atleast_1d(np.asarray(quantile, dtype=np.float64))
    except (TypeError, ValueError):
        q = np.empty(0)
    if q.ndim != 1 or q.size == 0 or not ((q > 0) & (q < 1)).all():
        raise ValueError(
            f"quantile must be a number in (0, 1), or a sequence of them, got {quantile!r}."
        )
    return tuple(q.tolist())


REGRESSION_LOSSES: dict[str, type[RegressionLoss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
    "quantile": Quantile,
}
CLASSIFICATION_LOSSES: dict[str, type[ClassificationLoss]] = {
    "binary_log_loss": BinaryLogLoss,
    "multilabel_log_loss": MultilabelLogLoss,
    "multinomial_log_loss": MultinomialLogLoss,
}
LOSSES: dict[str, type[Loss]] = {**REGRESSION_LOSSES, **CLASSIFICATION_LOSSES}
