"""Shards: large batches in parts, each in a thread where there are cores for it.

What the shards are follows from shapes alone, and their gradients are summed in order, so that the
bits are the same on any number of cores, and where no thread can be started.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from skrnn._data.samples import Samples
from skrnn._nn.backprop import TrainingWorkspace
from skrnn._nn.cells import CELLS
from skrnn._nn.losses import Loss
from skrnn._nn.network import Network, Noise
from skrnn._parallel.host import blas_guard
from skrnn._parallel.threads import in_threads
from skrnn._typing import Integers, Vector

# A further shard costs one core 4 % of the time of so many multiplications of weights per step and
# gate in the smallest layer, half of them in inference, which has no backward pass. With so many it
# is worth a thread, if it has some columns. benchmarks/threads.py prints cost and gain.
PRODUCTS_PER_SHARD = 4_400_000
COLUMNS_OF_SHARD = 128
MAX_SHARDS = 8  # each has a gradient and a workspace of its own


def n_shards(network: Network, lengths: Integers, *, inference: bool = False) -> int:
    """How many shards sequences of these lengths are worth."""
    per_gate = network.n_products / len(CELLS[network.architecture.cell].gates)
    n_running = lengths.sum() / lengths.max()  # sequences per step, on average
    products = PRODUCTS_PER_SHARD / 2 if inference else PRODUCTS_PER_SHARD
    affordable = 1 + int(n_running * per_gate // products)
    return max(1, min(len(lengths) // COLUMNS_OF_SHARD, affordable, MAX_SHARDS))


class Batch(NamedTuple):
    """Samples, sorted longest first; the noise drawn for them; what their loss is divided by."""

    samples: Samples
    noise: Noise | None
    total: float


class ShardedObjective:
    """The loss of a batch and its gradient, shard by shard."""

    def __init__(self, network: Network, loss: Loss, *, bptt_steps: int | None, max_bytes: float):
        self.network, self.loss = network, loss
        self._bptt_steps, self._max_bytes = bptt_steps, max_bytes
        self._workspaces = [TrainingWorkspace(network)]

    def __call__(self, theta: Vector, gradient: Vector, batch: Batch) -> float:
        """Loss of a batch, divided by its total; its gradient is written."""
        n = n_shards(self.network, batch.samples.sequences.lengths)
        while len(self._workspaces) < n:
            self._workspaces.append(TrainingWorkspace(self.network))
        gradients = [gradient, *(np.empty_like(gradient) for _ in range(n - 1))]
        calls = [
            partial(self._learn, space, theta, d_theta, batch, slice(i, None, n), n)
            for i, (space, d_theta) in enumerate(zip(self._workspaces, gradients, strict=False))
        ]
        values = in_threads(calls, blas_guard.n_threads) if n > 1 else [calls[0]()]
        for d_theta in gradients[1:]:
            gradient += d_theta
        return sum(values)

    def _learn(
        self,
        space: TrainingWorkspace,
        theta: Vector,
        gradient: Vector,
        batch: Batch,
        cols: slice,
        n: int,
    ) -> float:
        """The loss of one shard of n; strides make their lengths alike."""
        return space.loss_and_gradient(
            theta,
            gradient,
            batch.samples.take(cols),
            self.loss,
            total=batch.total,
            noise=batch.noise and batch.noise.take(cols),
            bptt_steps=self._bptt_steps,
            max_bytes=self._max_bytes / n,
        )
