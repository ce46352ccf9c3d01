"""From samples to a fitted network: architecture, validation part, batches, solver."""

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skrnn._data.inputs import Inputs, check_integers
from skrnn._data.samples import Samples
from skrnn._data.scaling import Scaling, columns_apart
from skrnn._data.sequences import Sequences
from skrnn._estimators.targets import Targets
from skrnn._estimators.validation import N_TO_HOLD_OUT, mean_loss, split, yardstick_of
from skrnn._nn.network import Architecture, Network
from skrnn._nn.streaming import FittedNetwork
from skrnn._parallel.host import quiet
from skrnn._parallel.shards import Batch, ShardedObjective
from skrnn._training.early_stopping import EarlyStopping
from skrnn._training.health import USELESS, Yardstick, falls, verdict_on
from skrnn._training.loops import (
    DivergedError,
    NotFiniteError,
    Trainer,
    Updater,
    Validation,
    minimize,
)
from skrnn._training.monitor import History, Monitor
from skrnn._training.optimizers import OPTIMIZERS, Optimizer
from skrnn._training.schedules import SCHEDULES, Schedule
from skrnn._typing import Floats, Integers, Rows, Vector

SAMPLES_AT_ONCE = 512  # of those whose loss L-BFGS-B asks for: bounds the memory

CALM = (
    "Decrease learning_rate_init, set max_grad_norm (for example 1.0) to clip the gradient (lbfgs "
    "ignores both), or scale the inputs, as standardize=True does."
)


class Model(NamedTuple):
    """All that a prediction needs: what was learned of X and of y, and the network."""

    inputs: Inputs
    targets: Any
    network: FittedNetwork

    def snapshot(self) -> "Model":
        """The same with a copy of the weights."""
        network = FittedNetwork(self.network.network, self.network.theta.copy())
        return self._replace(network=network)


class TrainingState(NamedTuple):
    """What resuming needs beside the model; solver "lbfgs" has neither optimiser nor schedule."""

    rng: np.random.RandomState
    split_seed: int | None = None
    optimizer: Optimizer | None = None
    schedule: Schedule | None = None
    early_stopping: bool = False


class Start(NamedTuple):
    """Where training starts if it resumes."""

    model: Model
    state: TrainingState


class Fit(NamedTuple):
    """What is to be fitted to what.

    `params` has the parameters of the estimator. `held_out` are samples to validate on, None if
    they are to be a part of the samples, or there are to be none. Training resumes from `start`, if
    there is one; `once` is a call of `partial_fit`. `score(model, rows)` scores on these rows of
    the user's data, or on the user's validation set for None.
    """

    params: Any
    samples: Samples
    held_out: Samples | None
    inputs: Inputs
    targets: Targets
    start: Start | None
    once: bool
    score: Callable[[Model, Integers | None], float]
    monitor: Callable[[Model], Monitor]

    @property
    def max_iter(self) -> int:
        return 1 if self.once else self.params.max_iter

    def stops_early(self) -> bool:
        """Whether a validation part decides when to stop."""
        option = self.params.early_stopping
        if self.once or self.params.solver == "lbfgs":
            return False
        if option != "auto":
            return bool(option)
        if self.held_out is not None:
            return True
        if self.start is not None:
            return self.start.state.early_stopping
        return len(self.samples.sequences) >= N_TO_HOLD_OUT[type(self.targets)]


class Task(NamedTuple):
    """What a solver needs; `before` is the state that it resumes from, if there is one."""

    params: Any
    model: Model
    samples: Samples
    yardstick: Yardstick
    validation: Validation | None
    state: TrainingState
    before: TrainingState | None
    max_iter: int
    monitor: Monitor


class Result(NamedTuple):
    """What training has come to."""

    model: Model
    state: TrainingState
    history: History


def fit_network(fit: Fit) -> Result:
    """Train from `fit.start`, or from new weights."""
    network, theta, state = _begin(fit)
    part, held_out, state = _divide(fit, state)
    targets = fit.targets if fit.start else fit.targets.with_units(part)
    model = Model(fit.inputs, targets, FittedNetwork(network, theta))
    samples = _prepared(fit.params, model, part, part)
    if fit.start is None and fit.params.standardize:
        model = model._replace(inputs=_standardized(fit.params, fit.inputs, samples))
    samples, held_out = _scaled(model.inputs, samples, held_out)
    constant = model.targets.loss.start(*samples.valid(), model.targets.n_outputs)
    if fit.start is None:
        network.weights(theta)["b_o"][:] = constant
    samples = samples.astype(network.dtype)
    yardstick, validation = Yardstick(np.inf), None
    if not fit.once:
        yardstick = yardstick_of(model.targets.loss, samples, constant)
    if held_out is not None:
        validation = _validation(fit, model, held_out, part, constant, state)
    before = fit.start and fit.start.state
    arguments = model, samples, yardstick, validation, state, before, fit.max_iter
    task = Task(fit.params, *arguments, fit.monitor(model))
    lent = model.network.weights()  # theta is written to all the time
    try:
        with quiet():
            solve = _minimize if fit.params.solver == "lbfgs" else _descend
            state, history = solve(task)
    except DivergedError as error:
        raise ValueError(_diverged(*error.args)) from None
    del lent
    return Result(model, state._replace(rng=copy.deepcopy(state.rng)), history)


def _begin(fit: Fit) -> tuple[Network, Vector, TrainingState]:
    """The network, its weights and the state before training."""
    start = fit.start
    rng = copy.deepcopy(start.state.rng) if start else check_random_state(fit.params.random_state)
    network = Network(_architecture(fit))
    if start is None:
        return network, network.initialize(rng), TrainingState(rng)
    _require_same(network.architecture, start.model.network.architecture)
    return network, start.model.network.theta.copy(), TrainingState(rng, start.state.split_seed)


def _divide(fit: Fit, state: TrainingState) -> tuple[Samples, Samples | None, TrainingState]:
    """Samples to learn from, samples to validate on, and the state with how these were drawn."""
    samples, held_out, stops = fit.samples, fit.held_out, fit.stops_early()
    if stops and held_out is None:
        seed = state.split_seed
        seed = state.rng.randint(np.iinfo(np.int32).max) if seed is None else seed
        samples, held_out = split(fit.params, samples, fit.targets, seed)
        state = state._replace(split_seed=seed)
        stops = held_out is not None
    return samples, held_out, state._replace(early_stopping=stops)


def _standardized(params: Any, inputs: Inputs, samples: Samples) -> Inputs:
    """The inputs with the spread of the features, by the weights that the samples train with."""
    weight = samples.weights_of_sequences()
    weight = weight / samples.sequences.lengths if samples.per_step else weight
    scaling = Scaling.learn(samples.sequences, weight, inputs.categorical)
    _warn_of_features(params, inputs, scaling, samples.sequences)
    return inputs._replace(scaling=scaling)


def _scaled(
    inputs: Inputs, samples: Samples, held_out: Samples | None
) -> tuple[Samples, Samples | None]:
    """Both with features as the net reads them; values that they share are scaled once."""
    scaled = samples._replace(sequences=inputs.scaled(samples.sequences))
    if held_out is None:
        return scaled, None
    shared = held_out.sequences.values is samples.sequences.values
    values = scaled.sequences.values if shared else inputs.scaled(held_out.sequences).values
    return scaled, held_out._replace(sequences=held_out.sequences.of(values))


def _prepared(params: Any, model: Model, samples: Samples, learned_from: Samples) -> Samples:
    """Samples with targets as the loss takes them; balanced weights are of the `learned_from`."""
    class_weight = getattr(params, "class_weight", None)
    dtype = model.network.theta.dtype
    return model.targets.prepare(samples, dtype, class_weight, learned_from)


def _validation(
    fit: Fit,
    model: Model,
    held_out: Samples,
    learned_from: Samples,
    constant: Floats,
    state: TrainingState,
) -> Validation:
    """How loss and score on the validation part are measured."""
    scoring, loss = fit.params.scoring, model.targets.loss
    samples = _prepared(fit.params, model, held_out, learned_from)
    samples = samples.astype(model.network.theta.dtype)
    rows = held_out.users_rows() if fit.held_out is None else None

    def measure(theta: Vector) -> tuple[float, float]:
        raw = _finite_outputs(model, samples.sequences)
        value = mean_loss(loss, samples, raw)
        if scoring == "loss":
            return value, -value
        if scoring is None:
            targets, weight = held_out.flat()
            return value, model.targets.score_encoded(targets, raw, weight)
        score = fit.score(model, rows)
        if not np.isfinite(score):
            raise ValueError(f"scoring={scoring!r} is {score} on the validation part.")
        return value, score

    return Validation(measure, state.early_stopping, yardstick_of(loss, samples, constant))


def _architecture(fit: Fit) -> Architecture:
    params, values = fit.params, fit.samples.sequences.values
    sizes = check_integers(params.hidden_layer_sizes, "hidden_layer_sizes", "layer")
    dtype = fit.start.model.network.theta.dtype if fit.start else values.dtype
    return Architecture(
        params.cell,
        values.shape[1],
        sizes,
        fit.targets.n_outputs,
        dtype.name,
        params.readout,
        bool(params.bidirectional),
        params.initial_state,
        fit.inputs.tables(params.embedding_dim),
    )


def _require_same(now: Architecture, before: Architecture) -> None:
    pairs = zip(now._fields, before, now, strict=True)
    changed = [f"{name} from {old!r} to {new!r}" for name, old, new in pairs if old != new]
    if changed:
        raise ValueError(
            f"Cannot resume with a net that changes {', '.join(changed)}. Fit without warm_start, "
            "or leave it as it was."
        )


# Solvers --------------------------------------------------------------------------------------


def _objective(params: Any, model: Model) -> ShardedObjective:
    return ShardedObjective(
        model.network.network,
        model.targets.loss,
        bptt_steps=params.bptt_steps,
        max_bytes=get_config()["working_memory"] * 2**20,
    )


def _minimize(task: Task) -> tuple[TrainingState, History]:
    """L-BFGS: every iteration takes all samples."""
    params, model, samples = task.params, task.model, task.samples
    order = samples.sequences.longest_first()
    history = minimize(
        model.network.theta,
        list(_batches(params, model, samples, order, SAMPLES_AT_ONCE, task.state.rng)),
        _objective(params, model),
        model.network.network.penalty(params.alpha),
        max_iter=task.max_iter,
        tol=params.tol,
        monitor=task.monitor,
        yardstick=task.yardstick,
        validation=task.validation,
    )
    return task.state, history


def _descend(task: Task) -> tuple[TrainingState, History]:
    """Gradient descent of some kind, batch by batch."""
    params, model, samples, rng = task.params, task.model, task.samples, task.state.rng
    network, theta = model.network.network, model.network.theta
    n = len(samples.sequences)
    batch_size = min(32 if params.batch_size == "auto" else params.batch_size, n)
    before, kind = task.before or task.state, OPTIMIZERS[params.solver]
    optimizer = _set_up(params, kind, before.optimizer, n_weights=theta.size, dtype=theta.dtype)
    schedule = _set_up(params, SCHEDULES[params.learning_rate], before.schedule)

    def epochs() -> Iterator[Batch]:
        order = rng.permutation(n) if params.shuffle and batch_size < n else np.arange(n)
        return _batches(params, model, samples, order, batch_size, rng)

    trainer = Trainer(
        theta,
        _objective(params, model),
        Updater(optimizer, schedule, network.penalty(params.alpha), params.max_grad_norm),
        EarlyStopping(params.tol, params.n_iter_no_change),
        task.monitor,
        task.yardstick,
        task.validation,
        resumed=task.before is not None,
    )
    first = samples.sequences.take(slice(batch_size))
    history = trainer.run(epochs, task.max_iter, lambda theta: _finite_outputs(model, first))
    return task.state._replace(optimizer=optimizer, schedule=schedule), history


def _finite_outputs(model: Model, sequences: Sequences) -> Rows:
    raw = model.network.outputs(sequences)
    if not np.isfinite(raw).all():
        raise NotFiniteError
    return raw


def _set_up(params: Any, kind: Any, before: Any, **shape: Any) -> Any:
    """One of its kind: a copy of what was before, if it is one, with the present settings.

    These are Python's numbers, as NumPy's float64 would widen float32.
    """
    settings = {name: np.asarray(getattr(params, name)).item() for name in kind.settings}
    if type(before) is not kind:
        return kind(**shape, **settings)
    again = copy.deepcopy(before)
    vars(again).update(settings)
    return again


def _batches(
    params: Any,
    model: Model,
    samples: Samples,
    order: Integers,
    size: int,
    rng: np.random.RandomState,
) -> Iterator[Batch]:
    """Batches in order, each sorted longest first, with the noise that is drawn for it."""
    network = model.network.network
    drawn = params.dropout or params.initial_state == "normal"
    for start in range(0, len(order), size):
        batch = samples.take(order[start : start + size]).longest_first()
        n = len(batch.sequences)
        total = max(1, len(batch.valid()[0])) if batch.per_step else n
        yield Batch(batch, network.draw(rng, n, params.dropout) if drawn else None, total)


# What went badly ------------------------------------------------------------------------------

WORDS: dict[str, str] = {
    "useless": (
        "The net is not 1 % better than a constant prediction (of the mean of y, or of the shares "
        "of the classes). Either X says nothing about y, or training did not start: keep "
        "standardize=True, try learning_rate_init ten times smaller or larger, or another cell."
    ),
    "rising": (
        "The loss ended far above its best: training is unstable. Decrease learning_rate_init, or "
        "set max_grad_norm (for example 1.0) to clip the gradient."
    ),
    "oscillating": "The loss goes up and down without getting better. Decrease learning_rate_init.",
    "falling": (
        "The loss was still getting better after max_iter={max_iter} epochs. Increase max_iter, or "
        "raise tol."
    ),
    "clipped": (
        "The loss was still getting better after max_iter={max_iter} epochs, and nearly every "
        "gradient was clipped. Increase max_grad_norm, or max_iter."
    ),
    "diverged": (
        "Training diverged: its loss was not finite, or ten times that of a constant prediction. "
        "The weights of the best epoch before were kept. {CALM}"
    ),
}


def warn_of(history: History, params: Any, stacklevel: int) -> None:
    """Say what went badly, and what to do, in words that are the same for all data."""
    if history.stopped == "interrupted":
        message = "Training was interrupted by the user; what was learned so far is kept."
        warnings.warn(message, stacklevel=stacklevel + 1)
    words = WORDS.get(_verdict(history))
    if words is not None:
        message = words.format(max_iter=params.max_iter, CALM=CALM)
        warnings.warn(message, ConvergenceWarning, stacklevel=stacklevel + 1)


def _verdict(history: History) -> str:
    if history.stopped in ("diverged", "interrupted", "callback"):
        return history.stopped
    unfinished = history.stopped == "max_iter"
    if history.best is None:
        return verdict_on(history.relative, history.clipped, unfinished=unfinished)
    if unfinished and falls([-score for score in history.scores]):
        return "falling"
    return "useless" if min(history.validation_relative) > USELESS else "fine"


def _diverged(epoch: int, finite: bool) -> str:
    if finite:
        return (
            f"Training diverged: after {epoch} epochs the loss was more than ten times that of a "
            f"constant prediction, and no epoch was better than that. {CALM}"
        )
    return f"The loss or its gradient was not finite in epoch {epoch}. {CALM}"


def _warn_of_features(params: Any, inputs: Inputs, scaling: Scaling, sequences: Sequences) -> None:
    """Say which features standardising does not help."""
    coarse = scaling.coarse(sequences.values)
    if coarse:
        warnings.warn(
            f"{inputs.named(coarse)}: float32 has no digits left for their spread. Pass X as "
            "float64, or subtract an offset first, for example the first time stamp.",
            stacklevel=2,
        )
    one_scale = inputs.schema.kind == "tabular" and params.features_per_step is None
    apart = columns_apart(sequences, scaling) if one_scale and not inputs.categorical else []
    if apart:
        names = [inputs.schema.names[j] if inputs.schema.names else j for j in apart]
        warnings.warn(
            f"The columns of X differ in level, most of all {names}, but are read as steps of one "
            "feature, with one mean and one deviation. If they are different quantities, set "
            "features_per_step to the number of columns that make a step (all of them are one "
            "step); if they are one quantity at different times, features_per_step=1 says so.",
            stacklevel=2,
        )
