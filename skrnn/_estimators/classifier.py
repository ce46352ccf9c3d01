"""RNNClassifier: labels, their weights and probabilities."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin

from skrnn._compat import StrOptions, fit_context
from skrnn._estimators.base import BaseRNN
from skrnn._estimators.parameters import document, named, set_parameters, unavailable_with_lbfgs
from skrnn._estimators.targets import ClassTargets, NewLabelsError
from skrnn._estimators.training import Model
from skrnn._typing import (
    CellName,
    InitialState,
    ReadoutName,
    Rows,
    ScheduleName,
    SolverName,
)


@document
class RNNClassifier(ClassifierMixin, BaseRNN):
    """Recurrent neural network classifier.

    {summary}

    Parameters
    ----------
    {parameters}
    class_weight : dict {{label: weight}}, list of dict, "balanced" or None, default=None
        Factor on the weight of every sequence of a class; "balanced" makes all classes weigh the
        same. With multilabel targets the classes are the 0 and 1 of each label, weighed label by
        label: {{0: 1, 1: 5}} is for all labels, a list has a dict for each.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; `arange(n_outputs_)` for a multilabel target.
    {attributes}

    See Also
    --------
    RNNRegressor : The same net for real targets.
    skrnn.preprocessing.StepTransformer : Scales the steps of sequences.

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNClassifier
    >>> X = [np.full(T, level) for level in (-1.0, 1.0) for T in range(3, 13)]
    >>> y = ["low"] * 10 + ["high"] * 10
    >>> clf = RNNClassifier(random_state=0).fit(X, y)
    >>> clf.predict([[-1.0, -1.0], [1.0, 1.0, 1.0]])
    array(['low', 'high'], dtype='<U4')
    """

    _parameter_constraints: dict = {
        **BaseRNN._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    classes_: np.ndarray

    @named
    def __init__(
        self,
        cell: CellName = "gru",
        *,
        hidden_layer_sizes: int | Sequence[int] = (64,),
        bidirectional: bool = False,
        readout: ReadoutName = "last",
        initial_state: InitialState = "zeros",
        dropout: float = 0.0,
        categorical_features: ArrayLike | None = None,
        embedding_dim: int | Sequence[int] = 16,
        features_per_step: int | None = None,
        standardize: bool = True,
        class_weight: dict[Any, float] | list[dict[Any, float]] | Literal["balanced"] | None = None,
        alpha: float = 0.0001,
        solver: SolverName = "adam",
        learning_rate_init: float = 0.005,
        learning_rate: ScheduleName = "constant",
        power_t: float = 0.5,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 200,
        max_grad_norm: float | None = 1.0,
        bptt_steps: int | None = None,
        shuffle: bool = True,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        tol: float = 1e-4,
        n_iter_no_change: float = 20,
        early_stopping: bool | Literal["auto"] = False,
        scoring: str | Callable[..., float] | None = "loss",
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ):
        set_parameters(self, locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @unavailable_with_lbfgs
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Continue learning for one epoch over X and y.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels that y will ever hold; required at the first call, unless y is multilabel.

        Returns
        -------
        self
            The fitted estimator.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" is not supported by partial_fit, which does not see all '
                "the labels: pass the weights as a dict."
            )
        if classes is None and "_model" not in vars(self):
            classes = ()  # refused, unless y turns out to be multilabel
        try:
            return self._partial_fit(X, y, sample_weight, classes)
        except NewLabelsError as error:
            raise ValueError(
                f"{error} partial_fit must be given all classes at the first call."
            ) from None

    def _check_targets(self, y: Any, per_step: bool) -> Any:
        return ClassTargets.check(y)

    def _learn_targets(self, y: Any, previous: Any, classes: Any) -> ClassTargets:
        return ClassTargets.learn(y, classes) if previous is None else previous.resume(y, classes)

    def _attributes(self, model: Model) -> dict[str, Any]:
        return super()._attributes(model) | {"classes_": model.targets.classes}

    def _output(self, targets: ClassTargets, raw: Rows) -> Rows:
        return targets.probabilities(raw)

    def decision_function(self, X: Any) -> np.ndarray:
        """Raw outputs: logits, before they are turned into probabilities.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,) for two classes, else (n, n_classes)
        """
        return self._predict(X, lambda targets, raw: targets.loss.decision(raw))

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class, or the labels more probable than not.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,), or (n, n_outputs) for multilabel
        """
        return self._predict(X, ClassTargets.labels)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy: the fraction of labels that `predict` gets right.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. With `readout="step"` all steps count that are present. Of a multilabel y
            a row is right if all its labels are; those that are missing do not count.

        Returns
        -------
        float
        """
        return self._score(X, y, sample_weight)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities, strictly between 0 and 1.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of `classes_`.
        """
        return self._predict(X, ClassTargets.probabilities)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict logarithms of probabilities, without rounding the small ones.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of `classes_`.
        """
        return self._predict(X, lambda targets, raw: targets.loss.log_probabilities(raw))
