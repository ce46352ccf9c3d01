"""The network: its layers, their order, and where their weights are in one flat vector."""

from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np

from skrnn._nn.cells import CELLS
from skrnn._nn.embedding import Embedding
from skrnn._nn.linear import Linear
from skrnn._nn.pooling import READOUTS
from skrnn._nn.stack import Stack, States
from skrnn._typing import Columns, State, Vector, Weights


class Architecture(NamedTuple):
    """All that the shapes and the meaning of the weights depend on.

    `embedded` has (feature, codes, dimension) of every feature that holds codes.
    """

    cell: str
    n_in: int
    hidden_layer_sizes: tuple[int, ...]
    n_out: int
    dtype: str
    readout: str = "last"
    bidirectional: bool = False
    initial_state: str = "zeros"
    embedded: tuple[tuple[int, int, int], ...] = ()


class Noise(NamedTuple):
    """What is drawn for a batch: dropout masks of each layer, and states before the first step.

    A mask is (H, B) or None; `starts` has the states of every stack, nothing if they are not drawn.
    """

    masks: list[Columns | None]
    starts: list[list[State]] | tuple[()] = ()

    def take(self, cols: slice) -> "Noise":
        masks = [None if mask is None else mask[:, cols] for mask in self.masks]
        starts = [[[h[:, cols] for h in state] for state in stack] for stack in self.starts]
        return Noise(masks, starts)


class Network:
    """Recurrent layers on top of each other, a linear layer on top of them; no arrays.

    The weights are one flat vector theta: the textbook's arrays one after the other, layer by
    layer. `levels` are gone through one after the other. In one direction there is one, a stack of
    all layers, so that time is gone through once. A bidirectional net (Schuster & Paliwal 1997) has
    a level per layer, of two stacks: each layer reads all that both directions below have computed.
    """

    def __init__(self, architecture: Architecture):
        self.architecture, self.dtype = architecture, np.dtype(architecture.dtype)
        self.readout = READOUTS[architecture.readout]
        self.embedding = Embedding(architecture.n_in, architecture.embedded)
        self.n_directions = 2 if architecture.bidirectional else 1
        self.n_states = [self.n_directions * H for H in architecture.hidden_layer_sizes]
        self.levels = self._make_levels()
        self.stacks = [stack for level in self.levels for stack in level]
        self.linear = Linear(self.n_states[-1], architecture.n_out)
        self.parameters = self.embedding.parameters.copy()
        for stack in self.stacks:
            self.parameters |= stack.parameters
        self.parameters |= self.linear.parameters
        sizes = [prod(parameter.shape) for parameter in self.parameters.values()]
        self.n_weights, borders = sum(sizes), np.cumsum([0, *sizes]).tolist()
        self._places = [
            (name, slice(*border), parameter.shape)
            for (name, parameter), border in zip(
                self.parameters.items(), pairwise(borders), strict=True
            )
        ]

    def _make_levels(self) -> list[list[Stack]]:
        architecture, sizes = self.architecture, self.architecture.hidden_layer_sizes
        cell, learned = CELLS[architecture.cell], architecture.initial_state == "learned"
        if not architecture.bidirectional:
            suffixes = [f"_{i}" for i in range(len(sizes))]
            inputs = [self.embedding.n_out, *sizes]
            return [[Stack(cell, inputs, self.dtype, suffixes, learned_start=learned)]]
        inputs = [self.embedding.n_out, *self.n_states[:-1]]
        return [
            [
                Stack(cell, [D, H], self.dtype, [suffix], learned_start=learned)
                for suffix in (f"_{i}", f"_{i}_reverse")
            ]
            for i, (D, H) in enumerate(zip(inputs, sizes, strict=True))
        ]

    @property
    def per_step(self) -> bool:
        """Whether there is one output per step."""
        return self.readout.per_step

    @property
    def n_products(self) -> int:
        """Multiplications of weights per step of one sequence, in the smallest layer."""
        return min(layer.n_products for stack in self.stacks for layer in stack.layers)

    def weights(self, theta: Vector) -> Weights:
        """Named views of a flat vector."""
        return {name: theta[place].reshape(shape) for name, place, shape in self._places}

    def initialize(self, rng: np.random.RandomState) -> Vector:
        """Draw theta; in float64, so that both precisions start at the same weights."""
        theta = np.empty(self.n_weights)
        for name, view in self.weights(theta).items():
            view[...] = self.parameters[name].start(rng, view.shape)
        return theta.astype(self.dtype)

    def penalty(self, alpha: float) -> Vector:
        """The L2 penalty of each entry of theta; biases, embeddings and initial states are free."""
        penalty = np.zeros(self.n_weights, self.dtype)
        for name, view in self.weights(penalty).items():
            view[...] = self.parameters[name].penalized
        penalty *= alpha
        return penalty

    @property
    def silence(self) -> Noise:
        """Nothing is dropped, no state is drawn."""
        return Noise([None] * len(self.n_states))

    def draw(self, rng: np.random.RandomState, n: int, dropout: float) -> Noise:
        """Draw what a batch of n sequences needs.

        A dropout mask is shared by all steps of a sequence (Gal & Ghahramani 2016).
        """
        noise = self.silence
        if dropout:
            kept = [rng.random_sample((H, n)) >= dropout for H in self.n_states]
            masks = [mask.astype(self.dtype) / self.dtype.type(1 - dropout) for mask in kept]
            noise = noise._replace(masks=masks)
        if self.architecture.initial_state == "normal":
            starts = [
                [layer.draw_start(rng, n, self.dtype) for layer in stack.layers]
                for stack in self.stacks
            ]
            noise = noise._replace(starts=starts)
        return noise

    def starts(self, weights: Weights, n: int, noise: Noise | None = None) -> list[States]:
        """States before the first step, of every stack."""
        if noise is not None and noise.starts:
            return list(noise.starts)
        return [stack.start(weights, n) for stack in self.stacks]

    def state_before(self, weights: Weights) -> Columns:
        """State of the top layer before the first step, (H, 1)."""
        n_top = self.n_directions
        starts = self.starts(weights, 1)[-n_top:]
        states = [
            (start[-1] or stack.layers[-1].zero_state(1, self.dtype))[0]
            for stack, start in zip(self.stacks[-n_top:], starts, strict=True)
        ]
        return np.concatenate(states)
