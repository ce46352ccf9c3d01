"""Aliases that say the shape of an array.

T steps, B sequences of a batch (one column each), D inputs, H hidden units, G gates, K outputs.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[Any]  # of the net's dtype, float32 or float64
Integers: TypeAlias = NDArray[np.intp]
Booleans: TypeAlias = NDArray[np.bool_]

Vector: TypeAlias = Floats  # (P,): all weights of a net, or their gradient
Columns: TypeAlias = Floats  # (features, B): one step
Steps: TypeAlias = Floats  # (T, features, B): the steps of a segment
Rows: TypeAlias = Floats  # (n, features): one row per sequence, or per step of all sequences
State: TypeAlias = list[Columns]  # of one layer: h, and what else its cell carries
Weights: TypeAlias = dict[str, Floats]  # by name, views of a Vector

Start: TypeAlias = Callable[[np.random.RandomState, tuple[int, ...]], Any]
StepGradients: TypeAlias = dict[int, tuple[slice, Columns]]  # {t: (columns, dL/dh_t)}

# Names that parameters take; a test compares them with the registries.
CellName: TypeAlias = Literal["rnn_tanh", "rnn_relu", "gru", "lstm"]
ReadoutName: TypeAlias = Literal["last", "mean", "max", "step"]
InitialState: TypeAlias = Literal["zeros", "normal", "learned"]
SolverName: TypeAlias = Literal["adam", "adamw", "rmsprop", "sgd", "lbfgs"]
ScheduleName: TypeAlias = Literal["constant", "invscaling", "adaptive", "cosine"]
LossName: TypeAlias = Literal["squared_error", "absolute_error", "huber", "poisson", "quantile"]
