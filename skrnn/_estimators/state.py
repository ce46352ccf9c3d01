"""Fitted estimators as plain values: arrays, numbers, strings, and nested dicts and lists of these.

What was written by one version is read by all later ones. A change of the fields is a new format,
and one function in UPGRADES that turns the state of the previous format into it.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from skrnn._data.inputs import Inputs, InputSchema
from skrnn._data.scaling import Scaling
from skrnn._estimators.targets import ClassTargets, RealTargets
from skrnn._estimators.training import Model, TrainingState
from skrnn._nn.network import Architecture, Network
from skrnn._nn.streaming import FittedNetwork
from skrnn._training.optimizers import OPTIMIZERS
from skrnn._training.schedules import SCHEDULES
from skrnn._version import __version__

FORMAT = 2


def _to_2(state: dict[str, Any]) -> dict[str, Any]:
    """Features were not standardised; early stopping went by its parameter."""
    state = state.copy()
    if "inputs" in state:
        state["inputs"] = state["inputs"] | {"scaling": None}
    if "training" in state:
        stops = state["training"]["split_seed"] is not None
        state["training"] = state["training"] | {"early_stopping": stops}
    return state


# from format n to n + 1
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _to_2}
TARGETS: dict[str, Any] = {"classes": ClassTargets, "numbers": RealTargets}


class NewerFormatWarning(InconsistentVersionWarning):
    """A file of a newer skrnn may hold what this one does not know."""

    def __init__(self, estimator_name: str, current: str, original: str, format_number: int):
        super().__init__(
            estimator_name=estimator_name,
            current_sklearn_version=current,
            original_sklearn_version=original,
        )
        self.format_number = format_number

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was saved by skrnn {self.original_sklearn_version} in format "
            f"{self.format_number}, but this is skrnn {self.current_sklearn_version}, which knows "
            f"formats up to {FORMAT}: it may predict something else. Update skrnn."
        )


def to_plain(model: Model | None, training: TrainingState | None) -> dict[str, Any]:
    """The state of an estimator; of one that was not fitted, format and versions alone."""
    state: dict[str, Any] = {
        "format": FORMAT,
        "skrnn": __version__,
        "scikit-learn": sklearn.__version__,
    }
    if model is not None:
        schema, scaling = model.inputs.schema, model.inputs.scaling
        kind = next(name for name, cls in TARGETS.items() if isinstance(model.targets, cls))
        state |= {
            "inputs": model.inputs._asdict()
            | {"schema": schema._asdict(), "scaling": scaling and scaling._asdict()},
            "targets": {"kind_of_targets": kind} | model.targets._asdict(),
            "architecture": model.network.architecture._asdict(),
            "theta": model.network.theta,
        }
    if training is not None:
        state["training"] = {
            "rng": training.rng.get_state(legacy=False),
            "split_seed": training.split_seed,
            "early_stopping": training.early_stopping,
            "optimizer": _named(training.optimizer, OPTIMIZERS),
            "schedule": _named(training.schedule, SCHEDULES),
        }
    return state


def _named(thing: Any, registry: dict[str, Any]) -> dict[str, Any] | None:
    """The attributes of an optimiser or schedule, and its name."""
    if thing is None:
        return None
    name = next(name for name, cls in registry.items() if type(thing) is cls)
    return {"name": name} | vars(thing)


def from_plain(name: str, state: dict[str, Any]) -> tuple[Model | None, TrainingState | None]:
    """What `to_plain` was given, by this version or an earlier one; `name` is the estimator's."""
    if state["format"] > FORMAT:
        warnings.warn(
            NewerFormatWarning(name, __version__, state["skrnn"], state["format"]), stacklevel=4
        )
    for number in range(state["format"], FORMAT):
        state = UPGRADES[number](state)
    try:
        return _model(state), _training(state)
    except KeyError as error:
        raise ValueError(
            f"This {name} was saved by skrnn {state['skrnn']} in format {state['format']}, but its "
            f"state has no field {error}. The file is damaged, or was not written by skrnn: fit "
            "again."
        ) from None


def _model(state: dict[str, Any]) -> Model | None:
    if "theta" not in state and "inputs" not in state:
        return None
    inputs, targets = state["inputs"], state["targets"]
    schema = InputSchema(**_fields(InputSchema, inputs["schema"]))
    scaling = inputs["scaling"] and Scaling(**_fields(Scaling, inputs["scaling"]))
    kind = TARGETS[targets["kind_of_targets"]]
    architecture = _fields(Architecture, state["architecture"])
    architecture["hidden_layer_sizes"] = tuple(architecture["hidden_layer_sizes"])
    architecture["embedded"] = tuple(map(tuple, architecture["embedded"]))
    network = Network(Architecture(**architecture))
    theta = np.ascontiguousarray(state["theta"])
    return Model(
        Inputs(schema, tuple(inputs["categorical"]), inputs["categories"], scaling),
        kind(**_fields(kind, targets)),
        FittedNetwork(network, theta.copy() if theta.base is not None else theta),
    )


def _fields(kind: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The fields of a named tuple; KeyError if one is missing."""
    return {name: state[name] for name in kind._fields}


def _training(state: dict[str, Any]) -> TrainingState | None:
    if "training" not in state:
        return None
    training, rng = state["training"], np.random.RandomState()
    rng.set_state(training["rng"])
    return TrainingState(
        rng,
        training["split_seed"],
        _restored(training["optimizer"], OPTIMIZERS),
        _restored(training["schedule"], SCHEDULES),
        training["early_stopping"],
    )


def _restored(state: dict[str, Any] | None, registry: dict[str, Any]) -> Any:
    if state is None:
        return None
    attributes = state.copy()
    kind = registry[attributes.pop("name")]
    thing = object.__new__(kind)
    vars(thing).update(attributes)
    return thing
