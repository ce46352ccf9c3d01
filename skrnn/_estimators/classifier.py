"""RNNClassifier: labels, their weights and probabilities."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skrnn._compat import StrOptions, fit_context
from skrnn._data.validation import check_target, unavailable_with_lbfgs
from skrnn._estimators.base import BaseRNN, set_parameters
from skrnn._estimators.parameters import document


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
    _loss_settings: dict = {}

    def __init__(
        self,
        cell: str = "gru",
        *,
        hidden_layer_sizes: int | Sequence[int] = (64,),
        bidirectional: bool = False,
        readout: str = "last",
        initial_state: str = "zeros",
        dropout: float = 0.0,
        categorical_features: ArrayLike | None = None,
        embedding_dim: int | Sequence[int] = 16,
        features_per_step: int | None = None,
        class_weight: dict | list[dict] | str | None = None,
        alpha: float = 0.0001,
        solver: str = "adam",
        learning_rate_init: float = 0.005,
        learning_rate: str = "constant",
        power_t: float = 0.5,
        batch_size: int | str = "auto",
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
        n_iter_no_change: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ):
        set_parameters(self, locals())

    def __sklearn_tags__(self):
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
        """Go on learning for one epoch over X and y.

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
        return self._partial_fit(X, y, sample_weight, classes)

    def _read_target(self, y):
        if issparse(y):
            y = y.toarray()
        y = check_target(y, dtype=None)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y has several columns of classes, which is not supported. Fit one classifier a "
                "column, by sklearn.multioutput.MultiOutputClassifier; or, if a column is a step, "
                'set readout="step".'
            )
        if not kind.startswith("multilabel"):
            y = column_or_1d(y, warn=True)
        return y

    def _encode(self, y, goes_on, classes):
        """Targets as the loss wants them; sets classes_, n_outputs_ and the loss."""
        multilabel = y.ndim == 2
        if not goes_on:
            self._set_classes(y, multilabel, classes)
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise ValueError(
                f"classes={classes!r} is not what the first call gave: {self.classes_!r}."
            )
        if multilabel != self._multilabel or (multilabel and y.shape[1] != self.n_outputs_):
            raise ValueError("y is not of the kind and width that the first call gave.")
        if multilabel:
            return y.astype(np.float64)
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[codes] != y
        if unknown.any():
            raise ValueError(
                f"y holds labels that are not in classes_: {np.unique(y[unknown])}. partial_fit "
                "must be given all classes at the first call."
            )
        return codes[:, None]

    def _set_classes(self, y, multilabel, classes):
        self._multilabel = multilabel
        if multilabel:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(y if classes is None else classes)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"RNNClassifier needs at least 2 classes, but y holds one class (of the rows "
                    f"with a weight): {self.classes_.tolist()[0]!r}."
                )
        K = len(self.classes_)
        self.n_outputs_ = 1 if K == 2 and not multilabel else K
        logits_apart = self.n_outputs_ == 1 or multilabel
        self._loss = "binary_log_loss" if logits_apart else "multinomial_log_loss"

    def _strata(self, targets):
        return None if self._multilabel else targets[:, 0]

    def _prepare(self, rows, bias):
        """Apply class weights, scale weights to mean 1; start the bias at the log prior."""
        y, weight = rows.targets, rows.weight
        if self.class_weight is not None:
            weight = self._weigh_classes(rows)
            if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
                raise ValueError(
                    f"class_weight={self.class_weight!r} must give numbers >= 0, not all of them 0."
                )
        rows = rows._replace(weight=weight)
        rows = rows._replace(weight=weight / rows.heard()[1].mean())
        if bias is not None:
            bias[:] = self._log_prior(*rows.heard())
        if self._loss == "binary_log_loss":
            y = y.astype(self._design.dtype)
        return rows._replace(targets=y, weight=rows.weight.astype(self._design.dtype))

    def _weigh_classes(self, rows):
        """Weights times those of the classes; for multilabel a column for each label."""
        targets, weight = rows.heard()
        columns = [
            rows.weight * self._class_factors(class_weight, heard, weight)[codes]
            for class_weight, heard, codes in zip(
                self._class_weights(),
                targets.astype(int).T,
                rows.targets.astype(int).T,
                strict=True,
            )
        ]
        return np.column_stack(columns) if self._multilabel else columns[0]

    def _class_weights(self):
        """One class_weight for each column of targets."""
        n_columns = self.n_outputs_ if self._multilabel else 1
        if not isinstance(self.class_weight, list):
            return [self.class_weight] * n_columns
        dicts = all(isinstance(factors, dict) for factors in self.class_weight)
        if not (self._multilabel and dicts and len(self.class_weight) == n_columns):
            raise ValueError(
                f"class_weight={self.class_weight!r} must be a list only for a multilabel y, of "
                "one dict a label, {0: weight, 1: weight}."
            )
        return self.class_weight

    def _class_factors(self, class_weight, codes, weight):
        labels = np.arange(2) if self._multilabel else self.classes_
        if class_weight == "balanced":
            totals = np.bincount(codes, weight, minlength=len(labels))
            return totals.sum() / np.count_nonzero(totals) / np.where(totals > 0, totals, 1)
        return compute_class_weight(class_weight, classes=labels, y=labels[codes])

    def _log_prior(self, y, weight):
        """Half a sequence is added to each class, so that none has probability zero."""
        if self._loss == "binary_log_loss":
            ones = (weight.T * y.T).sum(axis=1)
            return np.log(ones + 0.5) - np.log(weight.sum(axis=0) - ones + 0.5)
        return np.log(np.bincount(y[:, 0], weight, minlength=self.n_outputs_) + 0.5) - np.log(
            weight.sum() / self.n_outputs_ + 0.5
        )

    def _score_raw(self, targets, raw, weight):
        y = targets if self._multilabel else targets[:, 0]
        return accuracy_score(y, self._decide(raw), sample_weight=weight)

    def _decide(self, raw):
        """Codes of the classes, (n,), or of the labels, (n, n_outputs_)."""
        if self._multilabel:
            return (raw > 0).astype(int)
        return (raw[:, 0] > 0).astype(int) if raw.shape[1] == 1 else raw.argmax(axis=1)

    def decision_function(self, X: Any) -> np.ndarray:
        """Raw outputs: logits, before they are turned into probabilities.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,) for two classes, else (n, n_classes)
        """
        return self._predict(X, self._decision)

    def _decision(self, raw):
        return raw[:, 0] if self.n_outputs_ == 1 and not self._multilabel else raw

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class, or the labels more probable than not.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,), or (n, n_outputs) for multilabel
        """
        return self._predict(X, self._labels)

    def _labels(self, raw):
        codes = self._decide(raw)
        return codes if self._multilabel else self.classes_[codes]

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy: the share of labels that `predict` gets right.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. With `readout="step"` all steps count that are there.

        Returns
        -------
        float
        """
        return self._score(X, y, sample_weight)

    def _score_targets(self, y, raw, weight):
        return accuracy_score(y, self._labels(raw), sample_weight=weight)

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
        return self._predict(X, self._probabilities)

    def _probabilities(self, raw):
        inverse_link = self._loss_function().inverse_link
        p = inverse_link(raw)
        if self.n_outputs_ == 1 and not self._multilabel:
            p = np.hstack([inverse_link(-raw), p])
        return p.clip(*_limits_of_probability(p.dtype), out=p)

    _of_step = _probabilities

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
        return self._predict(X, self._log_probabilities)

    def _log_probabilities(self, raw):
        if self._loss == "multinomial_log_loss":
            return log_softmax(raw, axis=1)
        return log_expit(raw) if self._multilabel else log_expit(np.hstack([-raw, raw]))


@cache
def _limits_of_probability(dtype):
    """The least and the greatest; arrays, which cost a step of a stream less than numbers."""
    tiny = np.finfo(dtype).eps
    return np.array(tiny), np.array(1 - tiny)
