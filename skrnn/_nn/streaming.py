"""Inference: a network with its weights, on whole sequences or one step at a time."""

import weakref
from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from skrnn._data.sequences import Sequences
from skrnn._nn.network import Architecture, Network
from skrnn._nn.workspace import Workspace
from skrnn._parallel.host import blas_guard
from skrnn._parallel.shards import MAX_SHARDS, n_shards
from skrnn._parallel.threads import in_threads
from skrnn._typing import Columns, Floats, Rows, State, Vector, Weights

BYTES_IDLE = 2**22  # of arrays that wait for the next call


class Carry(NamedTuple):
    """What is carried from step to step of n sequences.

    The states of each layer, what the readout has of the steps so far, and how many these are.
    """

    layers: list[State]
    total: Columns
    steps: Floats


class FittedNetwork:
    """A network and its weights, for any number of threads at once.

    Workspaces with packed weights wait for the next call, as packing and fresh memory take as long
    as a small prediction. While somebody holds views of the weights they may be written to at
    any time, so that every call packs them anew.
    """

    def __init__(self, network: Network, theta: Vector):
        self.network, self.theta = network, theta
        self._views = network.weights(theta)
        self._one = np.ones((), network.dtype)  # a number costs a ufunc as much as its work
        self._idle: list[Workspace] = []
        self._version = object()  # of the weights, as far as we know
        self._lent: weakref.ref[Any] | None = None
        self._state_names, self._state_widths = _states_of(self.network)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.architecture, self.theta)

    @property
    def architecture(self) -> Architecture:
        return self.network.architecture

    def weights(self) -> Weights:
        """Named views of the weights: writing into them changes the net."""
        lent: Vector | None = None if self._lent is None else self._lent()
        if lent is None:  # an array without a base of its own, which every view of it keeps alive
            lent = np.frombuffer(self.theta.data, self.theta.dtype)
            self._lent = weakref.ref(lent)
        self._version = object()
        return self.network.weights(lent)

    def _take(self) -> Workspace:
        """A workspace that no other thread has, with the weights packed as they are."""
        version = self._version
        try:
            space = self._idle.pop()
        except IndexError:
            space = Workspace(self.network)
        is_lent = self._lent is not None and self._lent() is not None
        if is_lent or space.version is not version:
            space.pack(self._views)
            space.version = None if is_lent else version
        return space

    def _give(self, space: Workspace) -> None:
        if len(self._idle) < MAX_SHARDS:
            self._idle.append(space)

    def _run(self, function: Callable[[Workspace], Any]) -> Any:
        """What a function of a workspace returns; large arrays do not wait for the next call."""
        space = self._take()
        result = function(space)
        if space.n_bytes > BYTES_IDLE:
            space.free()
        self._give(space)
        return result

    # Whole sequences --------------------------------------------------------------------------

    def outputs(self, sequences: Sequences) -> Rows:
        """Raw outputs (n, K), per step with the readout "step"."""
        network, n = self.network, n_shards(self.network, sequences.lengths, inference=True)
        if n == 1:
            return self._outputs(sequences)
        n_rows = sequences.lengths.sum() if network.per_step else len(sequences)
        out = np.empty((n_rows, network.linear.n_out), network.dtype)
        order, steps = sequences.longest_first(), Sequences.stacked(out, sequences.lengths)

        def predict(i: int) -> None:
            idx = order[i::n]
            own = steps.take(idx).rows() if network.per_step else idx
            out[own] = self._outputs(sequences.take(idx))

        in_threads([partial(predict, i) for i in range(n)], blas_guard.n_threads)
        return out

    def _outputs(self, sequences: Sequences) -> Rows:
        rows: Rows = self._run(lambda space: space.outputs(self._views, sequences))
        return rows

    def hidden_states(self, sequences: Sequences) -> Rows:
        """States of the top layer after every step, sequence by sequence."""
        rows: Rows = self._run(lambda space: space.hidden_states(self._views, sequences))
        return rows

    def state_before(self) -> Rows:
        """State of the top layer before the first step, (1, H)."""
        return self.network.state_before(self._views).T

    def output_before(self) -> Rows:
        """Raw output before the first step, (1, K)."""
        return self.network.linear.forward(self._views, self.network.state_before(self._views)).T

    # One step at a time, in one direction -----------------------------------------------------

    def carry_before(self, n: int) -> Carry:
        """What n sequences carry before their first step."""
        dtype, (stack,) = self.network.dtype, self.network.stacks
        layers = [
            [h.copy() for h in state] if state else layer.zero_state(n, dtype)
            for layer, state in zip(stack.layers, stack.start(self._views, n), strict=True)
        ]
        return Carry(layers, layers[-1][0].copy(), np.zeros(n, dtype))

    def carry_after(self, sequences: Sequences) -> Carry:
        """What the sequences carry after all their steps."""
        layers, total = self._run(lambda space: space.final_states(self._views, sequences))
        return Carry(layers, total, sequences.lengths.astype(self.network.dtype))

    def step(self, x: Columns, carry: Carry) -> Carry:
        """What n sequences carry after one more step x (D, n); no array is changed."""
        space, layers = self._take(), []
        if self.network.embedding.tables:
            x = self.network.embedding.forward(self._views, x[None])[0]
        for layer, state in zip(space.stacks[0][1], carry.layers, strict=True):
            layers.append(layer.step(x, state))
            x = layers[-1][0]
        self._give(space)
        total = self.network.readout.fold(carry.total, x, carry.steps)
        return Carry(layers, total, carry.steps + self._one)

    def read_out(self, carry: Carry) -> Rows:
        """Raw outputs (n, K) for what was seen so far."""
        h = self.network.readout.value(carry.total, carry.steps)
        return self.network.linear.forward(self._views, h).T

    def to_user(self, carry: Carry) -> dict[str, Floats]:
        """A carry as arrays by name, one row per sequence."""
        arrays = [h for layer in carry.layers for h in layer] + [carry.total]
        state = {name: h.T for name, h in zip(self._state_widths, arrays, strict=True)}
        state["steps"] = carry.steps
        return state

    def from_user(self, state: dict[str, Floats] | None, n: int) -> Carry:
        """The carry of n sequences, as `to_user` gave it; None before the first step."""
        if state is None:
            return self.carry_before(n)
        _require_state(state, self._state_widths, n)
        dtype, steps = self.network.dtype, state["steps"]
        plain = all(type(of) is np.ndarray and of.dtype == dtype for of in state.values())
        if not (plain and isfinite(steps.dot(steps))):  # others that are not show in the output
            state = {name: read_state(name, state[name], dtype) for name in state}
        layers = [[state[name].T for name in names] for names in self._state_names]
        return Carry(layers, state["pooled"].T, state["steps"])


def _restored(architecture: Architecture, theta: Vector) -> FittedNetwork:
    return FittedNetwork(Network(architecture), theta)


def _states_of(network: Network) -> tuple[list[list[str]], dict[str, int]]:
    """Names of the states of each layer (h_0, c_0, h_1, ...), and the widths of all arrays."""
    names = [
        [f"{state}_{i}" for state in layer.cell.states]
        for i, layer in enumerate(network.stacks[0].layers)
    ]
    sizes = zip(names, network.architecture.hidden_layer_sizes, strict=False)
    widths = {name: H for own, H in sizes for name in own}
    return names, widths | {"pooled": network.n_states[-1]}


def _require_state(state: Any, widths: dict[str, int], n: int) -> None:
    """Refuse all but `steps` (n,) and arrays (n, width) of these names and widths."""
    try:
        (n_rows,) = state["steps"].shape
        shapes = [state[name].shape for name in widths]
        fits = len(state) == 1 + len(shapes) and shapes == [(n_rows, H) for H in widths.values()]
    except (AttributeError, KeyError, TypeError, IndexError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            "state must be what step returned for this estimator, or None. Rows may be taken from "
            "it, of every array the same."
        )
    if n_rows != n:
        raise ValueError(
            f"x_t has {n} rows, but state is of {n_rows} sequences: pass a row for each of them, "
            "all NaN where there is none."
        )


def read_state(name: str, values: Any, dtype: Any) -> Floats:
    """One array of the user's state in the dtype of the net; refuse what is no finite number."""
    plain = isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray)
    if not plain or values.dtype.kind not in "iuf":
        held = f" of {values.dtype}" if isinstance(values, np.ndarray) else ""
        raise ValueError(
            f"state[{name!r}] is a {type(values).__name__}{held}, not an array of numbers: pass "
            "what step returned, or None."
        )
    values = np.asarray(values, dtype)
    finite = np.isfinite(values)
    if not finite.all():
        i = np.argwhere(~finite)[0, 0]
        raise ValueError(
            f"state[{name!r}] is not finite in row {i}: pass what step returned, or None."
        )
    return values


def moved(after: Carry, before: Carry, moves: Floats) -> Carry:
    """The carry if only some sequences move: as after a step for these, as before for others."""
    layers = [
        [np.where(moves, new, old) for new, old in zip(*states, strict=True)]
        for states in zip(after.layers, before.layers, strict=True)
    ]
    total = np.where(moves, after.total, before.total)
    return Carry(layers, total, np.where(moves, after.steps, before.steps))
