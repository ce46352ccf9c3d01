"""Scorers of outputs per step, for searches and cross-validation."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_is_fitted

from skrnn._estimators.base import BaseRNN, read_targets
from skrnn._estimators.targets import counted, mean_over_outputs
from skrnn._parallel.host import computing, quiet
from skrnn._typing import Floats

RESPONSES = "predict", "predict_proba", "predict_log_proba", "decision_function"


def step_scorer(
    metric: Callable[..., float],
    *,
    response_method: str | Sequence[str] = "predict",
    greater_is_better: bool = True,
    **kwargs: Any,
) -> "StepScorer":
    """Make a scorer of a metric over the steps of all sequences.

    What `sklearn.metrics.make_scorer` is for one output per sequence, for `readout="step"`: the
    metric is given the targets and outputs of all steps one below the other, whatever the lengths
    of the sequences. Steps that are absent do not count, nor do targets that are missing or of
    weight 0.

    Parameters
    ----------
    metric : callable
        A function of y_true and y_pred, such as `sklearn.metrics.f1_score`.
    response_method : str or sequence of str, default="predict"
        What to give the metric: "predict", "predict_proba", "predict_log_proba" or
        "decision_function"; of several, the first that the estimator has. Probabilities and
        decisions of two classes are those of `pos_label`, one per step, by default of the second.
    greater_is_better : bool, default=True
        Whether the metric is a score; of a loss, the negative is returned.
    **kwargs
        Further arguments of the metric, such as `average="macro"`.

    Returns
    -------
    callable
        `scorer(estimator, X, y, sample_weight=None)` returns a float, the greater the better. The
        estimator is a net, or a pipeline or a search that ends in one. Weights are passed on to the
        metric. They are metadata, which `set_score_request(sample_weight=True)` asks for.

    Notes
    -----
    Where some of several outputs are missing, or have weights of their own, a regressor's metric is
    the mean over the outputs, each over what is known of it; a step of a multilabel target counts
    if all its labels are known. Of several quantiles the middle one counts, as in `score`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import f1_score
    >>> from sklearn.model_selection import cross_val_score
    >>> from skrnn import RNNClassifier, as_sequences
    >>> from skrnn.metrics import step_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = as_sequences([rng.normal(size=(T, 1)) for T in rng.integers(4, 9, size=60)])
    >>> y = as_sequences([np.where(x[:, 0] > 0, "up", "down") for x in X])
    >>> clf = RNNClassifier("rnn_tanh", readout="step", tol=0.05, random_state=0)
    >>> macro = step_scorer(f1_score, average="macro")
    >>> bool(cross_val_score(clf, X, y, scoring=macro, cv=3).min() > 0.9)
    True
    """
    if not callable(metric):
        raise TypeError(
            f"metric must be a function of y_true and y_pred, such as sklearn.metrics.f1_score, "
            f"got {metric!r}."
        )
    methods = (response_method,) if isinstance(response_method, str) else tuple(response_method)
    if not methods or not set(methods) <= set(RESPONSES):
        raise ValueError(
            f"response_method={response_method!r} must be one or several of {RESPONSES}."
        )
    return StepScorer(metric, methods, 1 if greater_is_better else -1, kwargs)


class StepScorer:
    """What `step_scorer` makes."""

    def __init__(
        self,
        metric: Callable[..., float],
        methods: tuple[str, ...],
        sign: int,
        kwargs: dict[str, Any],
    ):
        self._metric, self._methods, self._sign, self._kwargs = metric, methods, sign, kwargs
        self._requests: dict[str, Any] = {"sample_weight": None}

    def __call__(
        self, estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score an estimator on sequences and their targets per step."""
        net, X = _net_and_input(estimator, X)
        model = net._model
        with computing(), quiet():
            parsed = model.inputs.parse(net, X, model.network.theta.dtype)
        y, weight = read_targets(net, y, sample_weight, parsed, True)
        model.targets.require_like(y)
        response = np.concatenate(list(self._response(net, X)))
        response = response if parsed.present is None else response[parsed.present]
        score = _score_numbers if is_regressor(net) else _score_labels
        metric = self._weighted if sample_weight is not None else self._unweighted
        return self._sign * float(score(metric, model.targets, y, response, weight))

    # What the metric is given -----------------------------------------------------------------

    def _weighted(self, y: Any, response: Any, sample_weight: Floats) -> float:
        return self._metric(y, response, sample_weight=sample_weight, **self._kwargs)

    def _unweighted(self, y: Any, response: Any, sample_weight: Floats) -> float:
        return self._metric(y, response, **self._kwargs)

    def _response(self, net: BaseRNN, X: Any) -> Any:
        """What the net says of every step; of two classes, how much for the positive one."""
        methods = [name for name in self._methods if hasattr(net, name)]
        if not methods:
            raise AttributeError(f"{type(net).__name__} has none of the methods {self._methods}.")
        response = getattr(net, methods[0])(X)
        if methods[0] == "predict" or net._model.targets.kind != "binary":
            return response
        is_second = self._is_second(net._model.targets.classes.tolist())
        if methods[0] == "decision_function":
            return response if is_second else [-decision for decision in response]
        return [proba[:, int(is_second)] for proba in response]

    def _is_second(self, classes: list[Any]) -> bool:
        """Whether the positive class is the second."""
        parameter = signature(self._metric).parameters.get("pos_label")
        label = self._kwargs.get("pos_label", parameter and parameter.default)
        if label is None:
            return True
        if label not in classes:
            raise ValueError(f"pos_label={label!r} is none of the classes {classes}.")
        return classes.index(label) == 1

    # Metadata ---------------------------------------------------------------------------------

    def set_score_request(self, **requests: bool | str | None) -> Self:
        """Ask for metadata, `sample_weight=True`, where its routing is enabled."""
        self._requests.update(requests)
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Metadata that are asked for."""
        request = MetadataRequest(owner=repr(self))
        for name, alias in self._requests.items():
            request.score.add_request(param=name, alias=alias)
        return request

    def _accept_sample_weight(self) -> bool:
        """Whether searches pass weights on, without the routing of metadata."""
        return True

    def __repr__(self) -> str:
        name = getattr(self._metric, "__name__", repr(self._metric))
        methods = self._methods[0] if len(self._methods) == 1 else self._methods
        options: dict[str, Any] = {}
        if methods != "predict":
            options["response_method"] = methods
        if self._sign < 0:
            options["greater_is_better"] = False
        arguments = [f"{key}={value!r}" for key, value in (options | self._kwargs).items()]
        return f"step_scorer({', '.join([name, *arguments])})"


def _score_numbers(metric: Any, targets: Any, y: Any, response: Any, weight: Floats) -> float:
    predicted = targets.loss.scored(response).reshape(y.shape)
    return mean_over_outputs(metric, y, predicted, weight)


def _score_labels(metric: Any, targets: Any, y: Any, response: Any, weight: Floats) -> float:
    if weight.ndim == 2:
        weight = np.where((weight > 0).all(axis=1), weight.max(axis=1), 0)
        if not weight.any():
            raise ValueError("There is no step all of whose labels are known.")
    y, response, weight = counted(y, response, weight)
    return metric(y, response, weight)


def _net_and_input(estimator: Any, X: Any) -> tuple[BaseRNN, Any]:
    """The net at the end of an estimator, and X as it is given to it."""
    while not isinstance(estimator, BaseRNN):
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if len(estimator) > 1 else X
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            raise TypeError(
                "step_scorer is for the nets of skrnn, and for pipelines and searches that end in "
                f"one, got {estimator!r:.80}."
            )
    check_is_fitted(estimator)
    if not estimator._model.network.network.per_step:
        raise ValueError(
            f'step_scorer is for outputs per step, readout="step", but readout='
            f"{estimator.readout!r}: use sklearn.metrics.make_scorer."
        )
    return estimator, X
