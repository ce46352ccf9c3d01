"""Targets: what is learned of y, and the way from labels and units to the loss and back."""

import warnings
from math import isfinite
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skrnn._data.samples import Samples
from skrnn._data.validation import check_classes, check_target
from skrnn._nn.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    ClassificationLoss,
    RegressionLoss,
)
from skrnn._typing import Floats, Rows

TEXT = "USO"  # kinds of arrays; objects are turned into numbers if they are


class NewLabelsError(ValueError):
    """y holds labels that were not there when the classes were learned."""


class ClassTargets(NamedTuple):
    """Labels: their classes, or how many labels there are of a multilabel target."""

    classes: Any
    kind: str  # "binary", "multiclass" or "multilabel"
    loss_name: str
    n_outputs: int

    @staticmethod
    def check(y: Any) -> Any:
        """y as an array of labels (n,), or of indicators (n, n_labels)."""
        y = check_target(y, dtype=None)
        kind = _kind_of(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y has several columns of classes, which is not supported. Fit one classifier per "
                "column, by sklearn.multioutput.MultiOutputClassifier; or, if a column is a step, "
                'set readout="step".'
            )
        if not kind.startswith("multilabel"):
            return column_or_1d(y, warn=True)
        if not np.isin(y, (0, 1)).all():
            raise ValueError(
                "y has several columns, which are read as labels that a sequence has, 1, or has "
                f"not, 0; but they hold {np.unique(y).tolist()}."
            )
        return y

    @classmethod
    def learn(cls, y: Any, classes: Any) -> Self:
        """From labels with a weight, or from `classes`, all that there will ever be."""
        if y.ndim == 2:
            kind, labels = "multilabel", np.arange(y.shape[1])
            _warn_of_one_hot(y)
        else:
            labels = np.unique(y) if classes is None else check_classes(classes)
            kind = "binary" if len(labels) == 2 else "multiclass"
        if kind != "multilabel" and len(labels) < 2:
            raise ValueError(
                "RNNClassifier needs at least 2 classes, but y holds one class (of the rows with a "
                f"weight): {labels.tolist()[0]!r}."
            )
        name, loss = next(
            (name, loss) for name, loss in CLASSIFICATION_LOSSES.items() if kind in loss.kinds
        )
        return cls(labels, kind, name, loss().n_outputs(len(labels)))

    def resume(self, y: Any, classes: Any) -> Self:
        """The same at a later call, if y goes with it."""
        if classes is not None and not np.array_equal(self.classes, check_classes(classes)):
            raise ValueError(
                f"classes={classes!r} is not what the first call gave: {self.classes!r}."
            )
        self.require_like(y)
        return self

    def require_like(self, y: Any) -> None:
        """Refuse targets of another kind or width."""
        if (y.ndim == 2) != self.is_multilabel or (y.ndim == 2 and y.shape[1] != self.n_outputs):
            raise ValueError("y is not of the kind and width that the first call gave.")

    @property
    def is_multilabel(self) -> bool:
        return self.kind == "multilabel"

    @property
    def loss(self) -> ClassificationLoss:
        return CLASSIFICATION_LOSSES[self.loss_name]()

    def encode(self, y: Any) -> Rows:
        """Numbers of classes (n, 1), or indicators (n, n_labels)."""
        if self.is_multilabel:
            return y.astype(np.float64)
        if (y.dtype.kind in TEXT) == (self.classes.dtype.kind in TEXT):
            codes = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
            unknown = self.classes[codes] != y
        else:
            unknown = np.ones(len(y), bool)
        if unknown.any():
            raise NewLabelsError(
                f"y holds labels that are not in classes_, {self.classes.tolist()}: "
                f"{np.unique(y[unknown]).tolist()}."
            )
        return codes[:, None]

    def with_units(self, samples: Samples) -> Self:
        """The same: labels have no units."""
        return self

    def prepare(
        self, samples: Samples, dtype: np.dtype, class_weight: Any, learned_from: Samples
    ) -> Samples:
        """Targets as the loss takes them; weights by class, of mean 1.

        Balanced weights are those of the samples that are `learned_from`.
        """
        if class_weight is not None:
            weight = self._weigh_classes(samples, class_weight, learned_from)
            if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
                raise ValueError(
                    f"class_weight={class_weight!r} must give numbers >= 0, not all of them 0."
                )
            samples = samples._replace(weight=weight)
        return samples._replace(
            targets=self.loss.encode(samples.targets, dtype),
            weight=samples.weight / samples.valid()[1].mean(),
        )

    def _weigh_classes(self, samples: Samples, class_weight: Any, learned_from: Samples) -> Floats:
        """Weights times those of the classes; for multilabel a column per label."""
        n_columns = self.n_outputs if self.is_multilabel else 1
        codes = samples.targets.astype(int)
        rows = len(codes), n_columns
        weight = np.broadcast_to(samples.weight.reshape(len(codes), -1), rows)
        known, known_weight = (
            np.broadcast_to(values.reshape(len(values), -1), (len(values), n_columns))
            for values in learned_from.valid()
        )
        columns = [
            weight[:, k] * self._factors(factors, known[:, k].astype(int), known_weight[:, k])[own]
            for k, (factors, own) in enumerate(
                zip(self._factors_by_column(class_weight, n_columns), codes.T, strict=True)
            )
        ]
        return np.column_stack(columns) if self.is_multilabel else columns[0]

    def _factors_by_column(self, class_weight: Any, n_columns: int) -> list[Any]:
        """One class_weight for each column of targets."""
        if not isinstance(class_weight, list):
            return [class_weight] * n_columns
        dicts = all(isinstance(factors, dict) for factors in class_weight)
        if not (self.is_multilabel and dicts and len(class_weight) == n_columns):
            raise ValueError(
                f"class_weight={class_weight!r} must be a list only for a multilabel y, of one "
                "dict per label, {0: weight, 1: weight}."
            )
        return class_weight

    def _factors(self, class_weight: Any, codes: Any, weight: Floats) -> Any:
        """The factor of each class of a column, or of its 0 and 1."""
        labels = [0, 1] if self.is_multilabel else self.classes.tolist()
        if class_weight == "balanced":
            totals = np.bincount(codes, weight, minlength=len(labels))
            return totals.sum() / max(1, np.count_nonzero(totals)) / np.where(totals > 0, totals, 1)
        self._check_keys(class_weight, labels)
        factors = [class_weight.get(label, 1.0) for label in labels]
        if not all(isinstance(factor, Real) for factor in factors):
            raise ValueError(f"class_weight={class_weight!r} must give a number for each class.")
        return np.array(factors, dtype=np.float64)

    def _check_keys(self, class_weight: dict[Any, Any], labels: list[Any]) -> None:
        """Refuse keys that are no class, or warn of them where every class has a weight."""
        unknown = [key for key in class_weight if key not in labels]
        message = (
            f"class_weight has weights for {unknown}, which are none of the classes: {labels}."
        )
        if unknown and self.is_multilabel:
            raise ValueError(
                f"{message} With several labels they are the 0 and 1 of each. For classes that "
                "come one-hot, pass y.argmax(axis=-1)."
            )
        if unknown and any(label not in class_weight for label in labels):
            raise ValueError(message)
        if unknown:  # as in a part of y in which a class is missing
            warnings.warn(message, stacklevel=2)

    def strata(self, targets: Rows) -> Any:
        """What the validation part is stratified by: numbers of classes."""
        return None if self.is_multilabel else targets[:, 0]

    def labels(self, raw: Rows) -> Any:
        codes = self.loss.decide(raw)
        return codes if self.is_multilabel else self.classes[codes]

    def probabilities(self, raw: Rows) -> Rows:
        """Strictly between 0 and 1."""
        p, limits = self.loss.probabilities(raw), np.finfo(raw.dtype)
        return p.clip(limits.tiny, 1 - limits.epsneg, out=p)

    def predictions(self, raw: Rows) -> Any:
        """What `score` compares with y."""
        return self.labels(raw)

    def score(self, y: Any, predicted: Any, weight: Any) -> float:
        """Accuracy: the share of rows whose labels are right, where they have a weight."""
        y, predicted, weight = counted(y, predicted, weight)
        if weight.ndim == 2:
            predicted = np.where(weight > 0, predicted, y)
            weight = weight.max(axis=1)
        return accuracy_score(y, predicted, sample_weight=weight)

    def score_encoded(self, targets: Rows, raw: Rows, weight: Any) -> float:
        """The same of encoded targets and raw outputs."""
        y = targets if self.is_multilabel else targets[:, 0]
        return self.score(y, self.loss.decide(raw), weight)


def _kind_of(y: Any) -> str:
    """What scikit-learn says that classes y are; numbers that are no integers are none."""
    try:
        with np.errstate(invalid="ignore"):  # where they are beyond all integers
            check_classification_targets(y)
            return str(type_of_target(y, input_name="y"))
    except TypeError as error:
        raise TypeError(f"y holds labels that cannot be sorted: {error}.") from None


def _warn_of_one_hot(y: Rows) -> None:
    if y.shape[1] > 1 and (y.sum(axis=1) == 1).all():
        warnings.warn(
            "Every row of y has a single 1, and is learned as several labels that are independent. "
            "For classes that come one-hot, pass y.argmax(axis=-1).",
            stacklevel=2,
        )


class RealTargets(NamedTuple):
    """Numbers: their loss, and the units in which it is computed."""

    loss_name: str
    settings: dict[str, Any]
    is_flat: bool  # whether y had one dimension
    n_outputs: int
    shift: Any = 0.0
    scale: Any = 1.0

    @staticmethod
    def check(y: Any, *, per_step: bool) -> Rows:
        if y.size and isinstance(y.flat[0], (str, bytes)):
            raise ValueError(
                f"y holds text, such as {str(y.flat[0])!r}, where RNNRegressor learns numbers. For "
                "classes use RNNClassifier; else convert the text to numbers."
            )
        y = check_target(y, dtype=np.float64)
        is_column = y.ndim == 2 and y.shape[1] == 1 and not per_step
        return column_or_1d(y, warn=True) if is_column else y

    @classmethod
    def learn(cls, y: Rows, params: Any) -> Self:
        """From checked targets and the loss that is asked for."""
        kind = REGRESSION_LOSSES[params.loss]
        loss = kind(**{name: getattr(params, name) for name in kind.settings})
        settings = {name: getattr(loss, name) for name in kind.settings}
        n_columns = 1 if y.ndim == 1 else y.shape[1]
        if n_columns > 1 and loss.outputs_per_target > 1:
            raise ValueError(
                f"Several quantiles, quantile={params.quantile!r}, are for a y of one output, "
                f"but y has {n_columns} outputs: ask for one quantile, or fit one regressor per "
                "output."
            )
        return cls(params.loss, settings, y.ndim == 1, n_columns * loss.outputs_per_target)

    def resume(self, y: Rows, params: Any) -> Self:
        """The same at a later call, if y and the loss go with it."""
        now = self.learn(y, params)
        if (now.loss_name, now.settings) != (self.loss_name, self.settings):
            raise ValueError(
                f"Cannot resume: the net was fitted with loss={self.loss_name!r} {self.settings} "
                f"and is now asked for loss={now.loss_name!r} {now.settings}. Fit without "
                "warm_start, or leave loss and quantile as they were."
            )
        self.require_like(y)
        return self

    def require_like(self, y: Rows) -> None:
        """Refuse targets of another width."""
        n_columns = 1 if y.ndim == 1 else y.shape[1]
        expected = self.n_outputs // self.loss.outputs_per_target
        if n_columns != expected:
            raise ValueError(f"y has {n_columns} outputs, expected {expected} as at first.")

    @property
    def loss(self) -> RegressionLoss:
        return REGRESSION_LOSSES[self.loss_name](**self.settings)

    def encode(self, y: Rows) -> Rows:
        """Targets as columns."""
        lower = self.loss.lower
        if (y < lower).any():
            raise ValueError(
                f'loss="{self.loss_name}" needs targets y >= {lower:g}, but y holds the negative '
                f"{y.min():g}."
            )
        return y.reshape(len(y), -1)

    def with_units(self, samples: Samples) -> Self:
        """Learn shift and scale, from the samples to learn from."""
        targets, weight = samples.valid()
        shift, scale = self.loss.units(targets, weight / weight.mean())
        return self._replace(shift=shift, scale=scale)

    def prepare(
        self, samples: Samples, dtype: np.dtype, class_weight: None, learned_from: Samples
    ) -> Samples:
        """Targets in the units of the loss; weights of mean 1."""
        if np.abs(samples.targets).max() > np.finfo(dtype).max:
            raise ValueError(
                f"The targets y are too large for {dtype}, the dtype of X: scale them."
            )
        targets = (samples.targets - self.shift) / self.scale
        counts = samples.weight.reshape(len(targets), -1) > 0
        return samples._replace(
            targets=np.where(counts, targets, 0.0),
            weight=samples.weight / samples.valid()[1].mean(),
        )

    def strata(self, targets: Rows) -> None:
        """Nothing: the validation part is drawn from all alike."""

    def predictions(self, raw: Rows) -> Rows:
        """Raw outputs (n, n_outputs) in the units of y; beyond its dtype, the largest number."""
        wide = self.loss.inverse_link(raw) * self.scale + self.shift
        y = wide.astype(raw.dtype)
        if isfinite(np.vdot(y, y)):
            return y
        limits = np.finfo(raw.dtype)
        return wide.clip(limits.min, limits.max).astype(raw.dtype)

    def values(self, raw: Rows) -> Floats:
        """Predictions in the shape of y."""
        y = self.predictions(raw)
        return y[:, 0] if self.is_flat and self.n_outputs == 1 else y

    def score(self, y: Any, predicted: Rows, weight: Any) -> float:
        """R^2, the mean over the outputs, each where it has a weight."""
        return mean_over_outputs(_r2, y, self.loss.scored(predicted), weight)

    def score_encoded(self, targets: Rows, raw: Rows, weight: Any) -> float:
        """The same of encoded targets and raw outputs."""
        return self.score(targets, self.predictions(raw), weight)


Targets = ClassTargets | RealTargets


def counted(y: Any, predicted: Any, weight: Floats) -> tuple[Any, Any, Floats]:
    """Rows that have a weight."""
    counts = weight.reshape(len(weight), -1).any(axis=1)
    return (
        (y, predicted, weight) if counts.all() else (y[counts], predicted[counts], weight[counts])
    )


def _r2(y: Any, predicted: Any, weight: Floats) -> float:
    largest = max(float(np.abs(y).max()), float(np.abs(predicted).max()))
    if largest > 1e150:  # whose square overflows; R^2 does not depend on the unit
        y, predicted = y / largest, predicted / largest
    return r2_score(y, predicted, sample_weight=weight)


def mean_over_outputs(metric: Any, y: Any, predicted: Any, weight: Floats) -> float:
    """metric(y, predicted, weight) of what has a weight; with weights (n, K) output by output.

    Then those outputs count that have at least two targets, if there are any.
    """
    if weight.ndim == 1:
        return metric(*counted(y, predicted, weight))
    several = np.count_nonzero(weight, axis=0) > 1
    columns = np.flatnonzero(several if several.any() else weight.any(axis=0))
    scores = [
        metric(y[own, k], predicted[own, k], weight[own, k])
        for k in columns
        for own in [weight[:, k] > 0]
    ]
    return float(np.mean(scores))
