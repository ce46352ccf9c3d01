"""What both estimators share: fitting, predicting and streaming; nothing of the meaning of y."""

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import CallbackSupportMixin, InvalidParameterError, fit_context
from skrnn._data.containers import unwrap
from skrnn._data.inputs import LONG, Inputs, ParsedInput, assign, learn_inputs
from skrnn._data.samples import Samples
from skrnn._data.targets import sequence_targets, step_targets
from skrnn._data.validation import (
    check_groups,
    check_sample_weight,
    check_step_weight,
    read_step,
    require_valid_rows,
)
from skrnn._estimators.parameters import check_combinations, constraints, defaults, hint_of
from skrnn._estimators.state import from_plain, to_plain
from skrnn._estimators.targets import NewLabelsError, Targets
from skrnn._estimators.training import (
    CALM,
    Fit,
    Model,
    Result,
    Start,
    TrainingState,
    fit_network,
    warn_of,
)
from skrnn._nn.pooling import READOUTS
from skrnn._nn.streaming import moved, read_state
from skrnn._parallel.host import computing, interrupts, quiet
from skrnn._training.monitor import FitMonitor, History
from skrnn._typing import Floats, Rows

N_CALLS_KEPT = 1000  # in the curves of partial_fit


class BaseRNN(CallbackSupportMixin, BaseEstimator):
    """Everything but the meaning of the target, which a subclass gives."""

    _parameter_constraints: dict = constraints()

    n_features_in_: int
    feature_names_in_: np.ndarray
    n_outputs_: int
    n_iter_: int
    categories_: list[np.ndarray] | None
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    grad_norm_curve_: list[float]
    early_stopping_: bool
    stop_reason_: str
    feature_mean_: np.ndarray | None
    feature_scale_: np.ndarray | None
    validation_loss_curve_: list[float] | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    best_epoch_: int | None
    _model: Model
    _training: TrainingState

    # What a subclass gives ---------------------------------------------------------------------

    @abstractmethod
    def _learn_targets(self, y: Any, previous: Any, classes: Any) -> Any:
        """What is learned of checked targets y; `previous` is that of the fit that is resumed."""

    @abstractmethod
    def _check_targets(self, y: Any, per_step: bool) -> Any:
        """Targets per sequence or per step, none of them missing, as an array (n,) or (n, K)."""

    @abstractmethod
    def _output(self, targets: Any, raw: Rows) -> Any:
        """What `step` returns for raw outputs."""

    def _attributes(self, model: Model) -> dict[str, Any]:
        """Fitted attributes that a prediction needs."""
        inputs, targets = model.inputs, model.targets
        attributes = {"categories_": inputs.categories, "n_outputs_": targets.n_outputs}
        scaling = inputs.scaling
        attributes["feature_mean_"] = None if scaling is None else scaling.mean
        attributes["feature_scale_"] = None if scaling is None else scaling.scale
        return inputs.schema.attributes() | attributes | {"_model": model}

    # Fitting -----------------------------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def _validate_params(self) -> None:
        """As scikit-learn's, with a guess at what was meant."""
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{error}{hint_of(self, str(error))}") from None

    @property
    def weights_(self) -> dict[str, np.ndarray]:
        """The weights by name, views of one flat vector: writing into them changes the net."""
        return self._model.network.weights()

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Learn from sequences X and targets y.

        Parameters
        ----------
        X : {table (n, p), array (n, T, D), n sequences (T_i, D) or (T_i,)}
            See the class. Steps whose features are all NaN are skipped.
        y : array-like of shape (n,) or (n, n_outputs)
            One target per sequence. With `readout="step"` one per step: (n, T), (n, T, n_outputs)
            or n arrays (T_i,) or (T_i, n_outputs); those of absent steps are ignored. A target that
            is missing (masked, NaN, None) is not learned from; a sequence without any is left out.
        sample_weight : array-like of shape (n,) or (n, n_outputs), default=None
            Weight 2 counts a sequence twice, or one of its outputs; weight 0 leaves it out. With
            `readout="step"` (n,), or per step or per output of each step, in the shape of y: a step
            of weight 0 is read, but its output does not count.
        groups : array-like of shape (n,), default=None
            With early stopping: sequences of one group are held out together or not at all.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, default=None
            What to validate on, instead of a part of X. Without early stopping it is measured after
            every epoch, and stops nothing.

        Returns
        -------
        self
            The fitted estimator. If fitting fails, it is exactly as it was before. Ctrl-C ends
            training after the present batch, with the weights as they are then, or those of the
            best epoch with `early_stopping`, and a warning says so. Before the first batch, and on
            a second Ctrl-C within two seconds, KeyboardInterrupt is raised, and the estimator is as
            it was before.

        Raises
        ------
        ValueError
            If X, y or sample_weight is not as described (the message names the sequence), or if
            the loss is no longer finite, or ends at more than ten times that of a constant
            prediction, and no epoch was better than constant.
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        start = self._start() if self.warm_start else None
        data = X, y, sample_weight
        try:
            history = self._fit(data, start, validation=validation, groups=groups)
        except NewLabelsError as error:
            raise ValueError(
                f"{error} fit goes on with these classes as warm_start=True: set it to False to "
                "learn others."
            ) from None
        warn_of(history, self, stacklevel=3)
        return self

    def _start(self) -> Start | None:
        """What a fit resumes from, None if there is nothing."""
        state = vars(self)
        if "_model" not in state:
            return None
        if "_training" not in state:
            raise ValueError(
                f"Cannot resume: this {type(self).__name__} was made by compact(), and has no "
                "optimiser. Fit without warm_start, or resume the estimator it was made from."
            )
        return Start(state["_model"], state["_training"])

    def _fit(
        self,
        data: tuple[Any, Any, Any],
        start: Start | None,
        *,
        validation: dict[str, Any] | None = None,
        groups: Any = None,
        classes: Any = None,
        once: bool = False,
    ) -> History:
        """Parse, encode, train, assign: nothing is assigned if anything fails."""
        validation = validation or {}
        check_combinations(self)
        check_validation(self, validation, groups)
        context = self._init_callback_context(max_subtasks=1 if once else self.max_iter)
        told = {"estimator": self, "X": data[0], "y": data[1], "metadata": metadata_of(data)}
        context.call_on_fit_task_begin(**told)
        with computing(patient=True):
            learned = start and (start.model.inputs, start.model.targets)
            dtype = start and start.model.network.theta.dtype
            samples, inputs, targets = self._parse(data, learned, dtype, groups, classes)
            held_out = parse_validation(self, validation, samples, inputs, targets)
            monitor = partial(FitMonitor, context, told, self._attributes)
            score = partial(score_by_scorer, self, data, validation)
            fit = Fit(self, samples, held_out, inputs, targets, start, once, score, monitor)
            result = fit_network(fit)
            fitted = self._attributes(result.model) | {"_training": result.state}
            fitted |= histories(dict(vars(self)) if start else {}, result, once)
            if interrupts.take():  # when all was learned
                result.history.stopped = "interrupted"
        before = vars(self).copy()
        assign(self, fitted | {"stop_reason_": result.history.stopped})
        try:
            context.call_on_fit_task_end(**told, reconstruction_attributes={})
        except BaseException:
            self.__dict__ = before
            raise
        return result.history

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        if self.early_stopping is True:
            raise ValueError(
                "partial_fit does not support early_stopping=True, as it sees no validation part: "
                'set early_stopping=False or "auto".'
            )
        self._validate_params()  # scikit-learn's decorator leaves it out once fitted
        start = self._start()
        history = self._fit((X, y, sample_weight), start, classes=classes, once=True)
        if start is None and len(unwrap(X)) == 1:
            warnings.warn(
                "The first call of partial_fit was given one sequence, but sets the scale of "
                "features and targets for all calls that follow. Give it more sequences.",
                stacklevel=4,
            )
        if history.stopped != "max_iter":
            warn_of(history, self, stacklevel=4)
        return self

    def _parse(
        self, data: tuple[Any, Any, Any], learned: Any, dtype: Any, groups: Any, classes: Any = None
    ) -> tuple[Samples, Inputs, Targets]:
        """Samples, their targets encoded, in canonical order if they are to be shuffled.

        `learned` is what an earlier call has learned of X and y, None at the first.
        """
        X, y, sample_weight = data
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        if learned is None:
            parsed, inputs = learn_inputs(self, X)
        else:
            inputs, targets = learned
            parsed = inputs.parse_unscaled(self, X, dtype)
        per_step = READOUTS[self.readout].per_step
        y, weight = read_targets(self, y, sample_weight, parsed, per_step)
        weight = scaled_to_one(weight)
        targets, encoded = encode_targets(self, y, weight, learned and targets, classes)
        groups = None if groups is None else check_groups(groups, len(parsed.sequences))
        sequences = parsed.sequences.apart() if per_step else parsed.sequences
        samples = Samples(sequences, encoded, weight, groups, per_step).numbered()
        samples = samples.take(np.flatnonzero(samples.weights_of_sequences()))
        if learned is None:
            inputs = inputs.with_categories(samples.sequences)
            samples = samples._replace(sequences=inputs.encode(samples.sequences))
        return samples.in_canonical_order() if self.shuffle else samples, inputs, targets

    # State -------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Plain values by name: parameters, attributes, and the state of the net."""
        state = {**super().__getstate__()}
        fitted = state.pop("_model", None), state.pop("_training", None)
        return state | {"_state": to_plain(*fitted)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what this or an earlier version has saved."""
        state = state.copy()
        if "_state" not in state:
            raise ValueError(
                f"This {type(self).__name__} was not saved by a released version of skrnn: its "
                "state has no format. Fit again."
            )
        plain = state.pop("_state")
        with computing():
            model, training = from_plain(type(self).__name__, plain)
        fitted = {"_model": model, "_training": training}
        parameters = defaults(type(self))  # of those that are younger than the file
        super().__setstate__(
            parameters | state | {k: v for k, v in fitted.items() if v is not None}
        )

    def compact(self) -> Self:
        """Copy for prediction only: without the optimiser's state and the curves of training.

        Returns
        -------
        estimator
            Predicts the same bits, in about a third of the memory; it cannot be resumed by
            `warm_start` or `partial_fit`.

        Examples
        --------
        >>> from skrnn import RNNClassifier
        >>> clf = RNNClassifier(max_iter=50, tol=0.1).fit([[0.0], [1.0]] * 5, [0, 1] * 5)
        >>> hasattr(clf.compact(), "loss_curve_")
        False
        """
        check_is_fitted(self)
        twin = copy.copy(self)
        twin._model = self._model.snapshot()
        for name in ("_training", *CURVES):
            twin.__dict__.pop(name, None)
        return twin

    # Predicting --------------------------------------------------------------------------------

    def _predict(self, X: Any, function: Callable[[Any, Rows], Any]) -> Any:
        """A function of targets and raw outputs (rows, n_outputs_), in the container of X."""
        check_is_fitted(self)
        model = self._model
        with computing(), quiet():
            parsed = model.inputs.parse(self, X, model.network.theta.dtype)
            raw = raw_outputs(model, parsed)
            if not model.network.network.per_step:
                return function(model.targets, raw)
            raw = parsed.carried(raw, model.network.output_before())
            return parsed.boxed(function(model.targets, raw))

    def _score(self, X: Any, y: Any, sample_weight: Any) -> float:
        check_is_fitted(self)
        model = self._model
        with computing(), quiet():
            parsed = model.inputs.parse(self, X, model.network.theta.dtype)
            raw = raw_outputs(model, parsed)
            predicted = model.targets.predictions(raw)
        per_step = model.network.network.per_step
        y, weight = read_targets(self, y, sample_weight, parsed, per_step)
        model.targets.require_like(y)
        return model.targets.score(y, predicted, weight)

    def hidden_states(self, X: Any) -> np.ndarray:
        """States of the top layer after every step.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n, T, H), or (n,) of arrays (T_i, H)
            An array for a table or an array (n, T, D), else an object array of n arrays. H is twice
            the units of the layer if it is bidirectional: forward, then backward. The state at an
            absent step is that of the previous step.
        """
        check_is_fitted(self)
        inputs, _, network = self._model
        with computing(), quiet():
            parsed = inputs.parse(self, X, network.theta.dtype)
            states = network.hidden_states(parsed.sequences)
            return parsed.boxed(parsed.carried(states, network.state_before()))

    def step(self, x_t: ArrayLike, state: dict | None = None) -> tuple[np.ndarray, dict]:
        """Take one step of n sequences, and return the output for what was seen so far.

        For streams: at every step the output is what `predict_proba` of a classifier, or `predict`
        of a regressor, returns for the sequences up to there, at the cost of one step.

        Parameters
        ----------
        x_t : array-like of shape (n, D), or (n,) where D is 1
            Features of the step, one row per sequence, in the units of X. A row that is all NaN
            leaves its sequence as it was.
        state : dict or None, default=None
            What the previous call returned; None before the first step.

        Returns
        -------
        output : ndarray of shape (n, n_classes), (n,) or (n, n_outputs)
        state : dict of str to ndarray
            One row per sequence: `h_0` (n, H), for "lstm" `c_0`, and so on for each layer; `pooled`
            what the readout has of the steps so far, and `steps` (n,) how many they are. It can be
            pickled, and rows be taken from it; it is never changed.

        Raises
        ------
        ValueError
            If the net is bidirectional: its backward half starts at the end of a sequence.
        """
        inputs, targets, network = self._streamed("step")
        x = read_step(x_t, inputs.schema.width, network.theta.dtype)
        with computing(), quiet():
            before = network.from_user(state, len(x))
            if isfinite(np.vdot(x, x)) or np.isfinite(x).all():
                after = network.step(inputs.read_step(x).T, before)
            else:
                require_valid_rows(x)
                moves = ~np.isnan(x[:, 0])
                x = inputs.read_step(np.where(moves[:, None], x, 0))
                after = moved(network.step(x.T, before), before, moves)
            raw = network.read_out(after)
            if not (isfinite(np.vdot(raw, raw)) or np.isfinite(raw).all()):
                for name, values in (state or {}).items():
                    read_state(name, values, network.theta.dtype)
                i = np.flatnonzero(~np.isfinite(raw).all(axis=1))[0]
                raise ValueError(f"The output for row {i} is not finite: x_t is too large. {CALM}")
            return self._output(targets, raw), network.to_user(after)

    def _streamed(self, method: str) -> Model:
        """The model, if it can go through time step by step."""
        if "_model" not in vars(self):
            check_is_fitted(self)  # which takes longer than a step
        model = self._model
        if model.network.network.n_directions == 2:
            raise ValueError(
                f"{method} is not for bidirectional=True: the backward half of the net starts at "
                "the end of a sequence, which a stream has not reached. Fit with "
                "bidirectional=False."
            )
        return model


CURVES = "loss_curve_", "grad_norm_curve_", "validation_loss_curve_", "validation_scores_"


def histories(before: dict[str, Any], result: Result, once: bool) -> dict[str, Any]:
    """Fitted attributes that tell what happened, after those of the fit that is resumed.

    After calls of `partial_fit` curves keep the last N_CALLS_KEPT; counts and optima are of all.
    """
    history, kept = result.history, slice(-N_CALLS_KEPT if once else None, None)
    new = history.losses, history.grad_norms, history.validation_losses, history.scores
    curves = {
        name: [*(before.get(name) or []), *values][kept]
        for name, values in zip(CURVES, new, strict=True)
    }
    n_before, best_loss = before.get("n_iter_", 0), before.get("best_loss_")
    losses = curves["loss_curve_"] if best_loss is None else [best_loss, *history.losses]
    best_epoch = history.best and n_before + history.best
    if history.best == 0:  # no epoch was better than the start
        best_epoch = before.get("best_epoch_") or n_before
    validated = {name: curves[name] or None for name in CURVES[2:]}
    return (
        curves
        | validated
        | {
            "n_iter_": n_before + len(history.losses),
            "loss_": history.losses[-1],
            "best_loss_": min(losses) if history.best is None else None,
            "best_epoch_": best_epoch,
            "best_validation_score_": history.best_score,
            "early_stopping_": result.state.early_stopping,
        }
    )


def check_validation(params: Any, validation: dict[str, Any], groups: Any) -> None:
    """Refuse validation sets and groups that do not go together."""
    given = [name for name, value in validation.items() if value is not None]
    if given and (validation["X_val"] is None or validation["y_val"] is None):
        raise ValueError(f"{given[0]} was passed, but X_val and y_val go together: pass both.")
    if groups is not None and given:
        raise ValueError("groups choose what to hold out, but X_val was passed: leave one out.")
    if groups is not None and params.early_stopping is False:
        raise ValueError(
            "groups were passed, but early_stopping=False: they choose what is held out by "
            "early_stopping=True. Set it, or leave groups out."
        )


def metadata_of(data: tuple[Any, Any, Any]) -> dict[str, Any]:
    """What callbacks are told beside X and y."""
    return {} if data[2] is None else {"sample_weight": data[2]}


def raw_outputs(model: Model, parsed: ParsedInput) -> Rows:
    """Raw outputs (n, n_outputs_); with readout "step" of all steps that are present."""
    raw = model.network.outputs(parsed.sequences)
    if not np.isfinite(raw).all():
        row = np.flatnonzero(~np.isfinite(raw).all(axis=1))[0]
        of_step = np.repeat(np.arange(len(parsed.lengths)), parsed.sequences.lengths)
        i = of_step[row] if model.network.network.per_step else row
        largest = np.abs(parsed.sequences.values).max()
        raise ValueError(
            f"The output for sequence {i} is not finite: X is too large (its largest value is "
            f"{largest:.3g}), or the weights are. Scale X as at fit; or fit again. {CALM}"
        )
    return raw


def read_targets(
    estimator: Any, y: Any, sample_weight: Any, parsed: ParsedInput, per_step: bool
) -> tuple[Any, Floats]:
    """Checked targets, and their weights (n,) or (n, K), 0 where a target is missing."""
    given = step_targets(y, parsed.lengths, parsed.present) if per_step else sequence_targets(y)
    checked = estimator._check_targets(given.values, per_step)
    weight = parse_weight(sample_weight, parsed, checked.shape, per_step)
    return checked, given.weigh(weight, parsed.sequences.lengths if per_step else None)


def encode_targets(
    estimator: Any, y: Any, weight: Floats, previous: Any, classes: Any
) -> tuple[Targets, Rows]:
    """What is learned of y where it has a weight, and y encoded, 0 where it has none."""
    if weight.ndim == 2:
        if previous is None:
            require_outputs(weight)
        y = np.where(weight > 0, y, 0)
    valid = np.flatnonzero(weight.reshape(len(y), -1).any(axis=1))
    targets = estimator._learn_targets(y[valid], previous, classes)
    codes = targets.encode(y[valid])
    encoded = np.zeros((len(y), codes.shape[1]), codes.dtype)
    encoded[valid] = codes
    return targets, encoded


def parse_validation(
    estimator: Any, validation: dict[str, Any], samples: Samples, inputs: Inputs, targets: Targets
) -> Samples | None:
    """What the user wants to validate on, None if there is nothing."""
    if validation.get("X_val") is None:
        return None
    dtype = samples.sequences.values.dtype
    try:
        return estimator._parse(tuple(validation.values()), (inputs, targets), dtype, None)[0]
    except ValueError as error:
        raise ValueError(f"In X_val, y_val or sample_weight_val: {error}") from None


def score_by_scorer(
    estimator: Any, data: tuple[Any, Any, Any], validation: dict[str, Any], model: Model, rows: Any
) -> float:
    """The score of a copy that holds the model, on the user's validation set or rows of X."""
    twin = copy.copy(estimator)
    assign(twin, estimator._attributes(model.snapshot()))
    if rows is None:
        X, y, weight = validation.values()
    else:
        X, y, weight = (of if of is None else _safe_indexing(of, rows) for of in data)
    given = {} if weight is None else {"sample_weight": weight}
    try:
        return float(check_scoring(estimator, estimator.scoring)(twin, X, y, **given))
    except (AttributeError, TypeError, ValueError) as error:
        per_step = " For targets per step see skrnn.metrics.step_scorer."
        raise ValueError(
            f"scoring={estimator.scoring!r} failed on the validation part: {error}"
            f"{per_step if READOUTS[estimator.readout].per_step else ''}"
        ) from error


def parse_weight(
    sample_weight: Any, parsed: ParsedInput, shape: tuple[int, ...], per_step: bool
) -> Floats:
    """Weights of targets of that shape: of each, or of each output of each."""
    n, n_outputs = len(parsed.sequences), shape[1] if len(shape) == 2 else None
    if per_step:
        return check_step_weight(sample_weight, parsed.lengths, parsed.present, n_outputs)
    if shape[0] != n:
        long = f" {LONG}" if shape[0] < n and parsed.rectangular else ""
        raise ValueError(
            f"X has {n} sequences, but y has {shape[0]} targets: found input variables with "
            f"inconsistent numbers of samples.{long}"
        )
    return check_sample_weight(sample_weight, n, n_outputs=n_outputs)


def require_outputs(weight: Floats) -> None:
    """Refuse outputs (columns) that no target is known of."""
    empty = ~weight.any(axis=0)
    if empty.any():
        raise ValueError(
            f"Output {empty.argmax()} of y has no target: all are missing, or of weight 0. Leave "
            "this column of y out."
        )


def scaled_to_one(weight: Floats) -> Floats:
    """Weights divided by a power of two: that is exact, and no sum can overflow."""
    return np.ldexp(weight, -np.frexp(weight.max())[1])
