"""From samples to a fitted network: architecture, validation part, batches, solver."""

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from skrnn._data.inputs import Inputs, check_integers
from skrnn._data.samples import Samples
from skrnn._data.sequences import Sequences
from skrnn._estimators.targets import Targets
from skrnn._nn.network import Architecture, Network
from skrnn._nn.streaming import FittedNetwork
from skrnn._parallel.host import quiet
from skrnn._parallel.shards import Batch, ShardedObjective
from skrnn._training.early_stopping import EarlyStopping
from skrnn._training.loops import NotFiniteError, Updater, minimize, train
from skrnn._training.monitor import History, Monitor
from skrnn._training.optimizers import OPTIMIZERS, Optimizer
from skrnn._training.schedules import SCHEDULES, Schedule
from skrnn._typing import Integers, Rows

SAMPLES_AT_ONCE = 512  # of those whose loss L-BFGS-B asks for: bounds the memory

CALM = (
    "Decrease learning_rate_init, set max_grad_norm (for example 1.0) to clip the gradient (lbfgs "
    "ignores both), or scale the inputs, for example by "
    "skrnn.preprocessing.StepTransformer(StandardScaler())."
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


class Start(NamedTuple):
    """Where training starts if it resumes."""

    model: Model
    state: TrainingState


class Task(NamedTuple):
    """What a solver needs; `before` is the state that it resumes from, if there is one."""

    params: Any
    model: Model
    samples: Samples
    held_out: Samples | None
    state: TrainingState
    before: TrainingState
    max_iter: int
    monitor: Monitor


class Result(NamedTuple):
    """What training has come to."""

    model: Model
    state: TrainingState
    history: History


def fit_network(
    params: Any,
    samples: Samples,
    held_out: Samples | None,
    inputs: Inputs,
    targets: Targets,
    start: Start | None,
    max_iter: int,
    monitor: Callable[[Model], Monitor],
) -> Result:
    """Train for at most max_iter epochs, from `start` or from new weights.

    `params` has the parameters of the estimator; `held_out` are samples to score on, None if these
    are to be a part of the samples.
    """
    rng = copy.deepcopy(start.state.rng) if start else check_random_state(params.random_state)
    network = Network(_architecture(params, samples, inputs, targets))
    if start is not None:
        _require_same(network.architecture, start.model.network.architecture)
    theta = start.model.network.theta.copy() if start else network.initialize(rng)
    seed = start.state.split_seed if start else None
    if params.early_stopping and held_out is None:
        seed = rng.randint(np.iinfo(np.int32).max) if seed is None else seed
        samples, held_out = _split(params, samples, targets, seed)
    targets, samples = targets.prepare(
        samples, network.dtype, getattr(params, "class_weight", None), start is None
    )
    if start is None:
        network.weights(theta)["b_o"][:] = targets.loss.start(*samples.valid(), targets.n_outputs)
    samples = samples.astype(network.dtype)
    model = Model(inputs, targets, FittedNetwork(network, theta))
    state = TrainingState(rng, seed)
    before = start.state if start else state
    task = Task(params, model, samples, held_out, state, before, max_iter, monitor(model))
    try:
        with quiet():
            state, history = _minimize(task) if params.solver == "lbfgs" else _descend(task)
    except NotFiniteError as error:
        raise ValueError(
            f"The loss or its gradient was not finite in epoch {error.args[0]}. {CALM}"
        ) from None
    return Result(model, state._replace(rng=copy.deepcopy(rng)), history)


def _architecture(params: Any, samples: Samples, inputs: Inputs, targets: Targets) -> Architecture:
    sizes = check_integers(params.hidden_layer_sizes, "hidden_layer_sizes", "layer")
    values = samples.sequences.values
    return Architecture(
        params.cell,
        values.shape[1],
        sizes,
        targets.n_outputs,
        values.dtype.name,
        params.readout,
        bool(params.bidirectional),
        params.initial_state,
        inputs.tables(params.embedding_dim),
    )


def _require_same(now: Architecture, before: Architecture) -> None:
    pairs = zip(now._fields, before, now, strict=True)
    changed = [f"{name} from {old!r} to {new!r}" for name, old, new in pairs if old != new]
    if changed:
        raise ValueError(
            f"Cannot resume with a net that changes {', '.join(changed)}. Fit without warm_start, "
            "or leave it as it was."
        )


# The validation part --------------------------------------------------------------------------


def _split(params: Any, samples: Samples, targets: Targets, seed: int) -> tuple[Samples, Samples]:
    """Training and validation part; the same ones for the same seed."""
    n = len(samples.sequences)
    try:
        train_idx, held_out = _parts(params, samples, targets, seed)
        if len(held_out) < 2:
            raise ValueError("it would hold one sequence")
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True needs a validation part, but {n} different sequences cannot be "
            f"split by validation_fraction={params.validation_fraction}: {error}."
        ) from None
    return samples.take(train_idx), samples.take(held_out)


def _parts(params: Any, samples: Samples, targets: Targets, seed: int) -> tuple[Integers, Integers]:
    """Numbers of the samples of both: whole groups, else by class, else those that come last."""
    units = np.arange(len(samples.sequences))
    if samples.groups is not None:
        _, firsts, units = np.unique(samples.groups, return_index=True, return_inverse=True)
        units = np.argsort(np.argsort(firsts))[units]  # numbered as they come
    by_class = params.shuffle and samples.groups is None and not samples.per_step
    _, held_out = train_test_split(
        np.arange(units.max() + 1),
        test_size=params.validation_fraction,
        shuffle=params.shuffle,
        random_state=seed if params.shuffle else None,
        stratify=targets.strata(samples.targets) if by_class else None,
    )
    is_held_out = np.isin(units, held_out)
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


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
    )
    return task.state, history


def _descend(task: Task) -> tuple[TrainingState, History]:
    """Gradient descent of some kind, batch by batch."""
    params, model, samples, held_out = task.params, task.model, task.samples, task.held_out
    network, theta, rng = model.network.network, model.network.theta, task.state.rng
    n = len(samples.sequences)
    batch_size = min(32 if params.batch_size == "auto" else params.batch_size, n)
    kind = OPTIMIZERS[params.solver]
    optimizer = _set_up(
        params, kind, task.before.optimizer, n_weights=theta.size, dtype=theta.dtype
    )
    schedule = _set_up(params, SCHEDULES[params.learning_rate], task.before.schedule)
    lent = model.network.weights()  # theta is written to all the time

    def epochs() -> Iterator[Batch]:
        order = rng.permutation(n) if params.shuffle and batch_size < n else np.arange(n)
        return _batches(params, model, samples, order, batch_size, rng)

    history = train(
        theta,
        epochs,
        _objective(params, model),
        Updater(optimizer, schedule, network.penalty(params.alpha), params.max_grad_norm),
        EarlyStopping(params.tol, params.n_iter_no_change),
        max_iter=task.max_iter,
        monitor=task.monitor,
        score=None if held_out is None else lambda theta: _score(model, held_out),
        probe=lambda theta: _finite_outputs(model, samples.sequences.take(slice(batch_size))),
    )
    del lent
    return task.state._replace(optimizer=optimizer, schedule=schedule), history


def _finite_outputs(model: Model, sequences: Sequences) -> Rows:
    raw = model.network.outputs(sequences)
    if not np.isfinite(raw).all():
        raise NotFiniteError
    return raw


def _score(model: Model, held_out: Samples) -> float:
    targets, weight = held_out.flat()
    return model.targets.score_encoded(targets, _finite_outputs(model, held_out.sequences), weight)


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


def warn_of(history: History, max_iter: int, stacklevel: int) -> None:
    """Say what went badly, and what to do."""
    if history.stopped == "max_iter":
        message = (
            f"The loss was still getting better after max_iter={max_iter} epochs. Increase "
            "max_iter or learning_rate_init (which lbfgs ignores), or raise tol."
        )
        warnings.warn(message, ConvergenceWarning, stacklevel=stacklevel + 1)
    if history.stopped == "not finite":
        message = (
            f"The loss or its gradient was not finite in epoch {len(history.losses) + 1}; the "
            f"weights of an earlier epoch were kept. {CALM}"
        )
        warnings.warn(message, ConvergenceWarning, stacklevel=stacklevel + 1)
    if history.stopped == "interrupted":
        message = "Training was interrupted by the user; what was learned so far is kept."
        warnings.warn(message, stacklevel=stacklevel + 1)
