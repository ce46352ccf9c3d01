"""A recurrent layer: its weights, its matrix products, and time.

A batch is cut into segments. The arrays of a segment have one block per step and one column per
sequence, and are as wide as `segment.width`. Columns past `segment.n` are zero and stay zero, as
their row of ones is zero too. The states of padding are computed like others; their gradient is
exactly zero as long as these states are finite.
"""

from collections.abc import Iterable
from itertools import repeat
from math import prod
from typing import Any, NamedTuple

import numpy as np

from skrnn._data.sequences import Segment
from skrnn._nn.blas import ProductSum
from skrnn._nn.cells import Cell, Scratch
from skrnn._nn.initializers import Parameter
from skrnn._typing import Columns, Floats, State, StepGradients, Steps, Weights

FromAbove = dict[int, tuple[Columns, Columns]]  # {t: (columns of dh, what is added to them)}


class Recurrent:
    """One direction of one recurrent layer: what its weights are, and how they are packed.

    With `learned_start` the states before the first step are weights too: h0 (H,), and c0 (H,) of a
    cell that carries c.

    W is the packed form: (blocks * H, H + 1 + D), the weights of [h; 1; x] for all blocks of the
    cell, scaled. A block that does not read h or x has zeros in their columns.
    """

    def __init__(self, cell: type[Cell], n_in: int, n_hidden: int, *, learned_start: bool = False):
        self.cell, self.n_in, self.n_hidden = cell, n_in, n_hidden
        self.start_names = [f"{state}0" for state in cell.states] if learned_start else []
        self.parameters = cell.parameters(n_in, n_hidden)
        self.parameters |= dict.fromkeys(self.start_names, Parameter((n_hidden,)))
        n_blocks, H = len(cell.blocks), n_hidden
        self.n_rows, self.n_inputs = n_blocks * H, H + 1 + n_in
        n_h = sum("h" in block.reads for block in cell.blocks)
        n_x = sum("x" in block.reads for block in cell.blocks)
        self.reads_h, self.reads_x = slice(0, n_h * H), slice((n_blocks - n_x) * H, n_blocks * H)
        products = [  # rows of the pre-activations, and rows of [h; 1; x] that they read
            (self.reads_h, slice(0, self.n_inputs)),
            (slice(self.reads_h.stop, self.n_rows), slice(H, self.n_inputs)),
        ]
        self.products = [(rows, cols) for rows, cols in products if rows.start < rows.stop]
        self._blocks = _joined([(block, self._gate(block.gate)) for block in cell.blocks], H)

    @property
    def n_products(self) -> int:
        """Multiplications of weights per step of one sequence."""
        G, H = len(self.cell.gates), self.n_hidden
        return G * H * (H * self.cell.is_recurrent() + 1 + self.n_in)

    @property
    def n_kept(self) -> int:
        """Numbers that are kept per step of one sequence."""
        kept = self.n_inputs + self.n_beside_h * self.n_hidden
        return kept if self.cell.is_recurrent() else kept + self.n_rows

    @property
    def n_beside_h(self) -> int:
        """Blocks per step beside h: none if the only pre-activation can be where h is."""
        n = len(self.cell.blocks) + self.cell.n_memory
        return n if n > 1 else 0

    @property
    def n_carried(self) -> int:
        """Numbers that are carried from step to step of one sequence."""
        return self.n_hidden * len(self.cell.states)

    def _gate(self, gate: str) -> slice:
        g = self.cell.gates.index(gate)
        return slice(g * self.n_hidden, (g + 1) * self.n_hidden)

    def pack(self, weights: Weights, W: Floats) -> None:
        """Write the weights into W; structural zeros are not written."""
        H = self.n_hidden
        for rows, gate, block in self._blocks:
            if "h" in block.reads:
                W[rows, :H] = weights["W_hh"][gate]
            if "x" in block.reads:
                W[rows, H] = weights["b_h"][gate]
                W[rows, H + 1 :] = weights["W_xh"][gate]
            else:
                W[rows, H] = weights[f"b_h{block.gate}"]

    def unpack(self, dW: Floats, gradient: Weights) -> None:
        """Write the gradient of W into that of the weights."""
        H = self.n_hidden
        for rows, gate, block in self._blocks:
            if "h" in block.reads:
                gradient["W_hh"][gate] = dW[rows, :H]
            if "x" in block.reads:
                gradient["b_h"][gate] = dW[rows, H]
                gradient["W_xh"][gate] = dW[rows, H + 1 :]
            else:
                gradient[f"b_h{block.gate}"][:] = dW[rows, H]

    def scale(self, dtype: np.dtype) -> Floats:
        """Factors (rows, 1) of the rows of W."""
        scales = np.array([block.scale for block in self.cell.blocks], dtype)
        return scales.repeat(self.n_hidden)[:, None]

    def draw_start(self, rng: np.random.RandomState, n: int, dtype: np.dtype) -> State:
        """Draw states before the first step, normal with a standard deviation of 0.1."""
        draws = [rng.standard_normal((self.n_hidden, n)) for _ in self.cell.states]
        return [0.1 * h.astype(dtype) for h in draws]

    def zero_state(self, width: int, dtype: np.dtype) -> State:
        return [np.zeros((self.n_hidden, width), dtype) for _ in self.cell.states]

    def start(self, weights: Weights, n: int) -> State | None:
        """The learned states before the first step of n sequences, None if they are zero."""
        columns = [weights[name][:, None] for name in self.start_names]
        return [np.broadcast_to(column, (self.n_hidden, n)) for column in columns] or None

    def start_backward(self, gradient: Weights, d_state: State) -> None:
        """Add the gradient of the states before the first step: h0 is that of every column."""
        for name, d in zip(self.start_names, d_state, strict=False):
            gradient[name] += d.sum(axis=1)


def _joined(blocks: list[tuple[Any, slice]], H: int) -> list[tuple[slice, slice, Any]]:
    """Rows of every block, rows of its gate, and the block; one where neighbours are alike."""
    joined: list[tuple[slice, slice, Any]] = []
    for k, (block, gate) in enumerate(blocks):
        rows = slice(k * H, (k + 1) * H)
        if joined and joined[-1][1].stop == gate.start and joined[-1][2].reads == block.reads:
            first_rows, first_gate, _ = joined.pop()
            rows, gate = slice(first_rows.start, rows.stop), slice(first_gate.start, gate.stop)
        joined.append((rows, gate, block))
    return joined


class Unrolled(NamedTuple):
    """The arrays of a segment, and the views of them per step.

    S is (steps + 1, H + 1 + D, width): at every step [h; 1; x], so that one product with W is the
    whole affine part, and the new h is written into the next block. A is (steps + 1, blocks, H,
    width): the pre-activations, and below them, in M, what the previous step has left. `steps` has
    per step the products (W.dot, operand, result) and the views of the cell.
    """

    n_hidden: int
    n_extra: int
    S: Steps
    M: Steps
    pre: Steps
    steps: list[tuple[tuple[Any, ...], tuple[Any, ...]]]
    scratch: Scratch
    before: State
    after: State

    def hidden(self) -> Steps:
        """h after every step, (steps, H, width)."""
        return self.S[1:, : self.n_hidden]

    def state(self, t: int) -> State:
        """h, and what else the cell carries, after t steps; each (H, width)."""
        return [self.S[t, : self.n_hidden], *self.M[t, : self.n_extra]]


class RecurrentWorkspace:
    """The arrays of a layer: packed weights, the states of all steps, the sum of gradients."""

    def __init__(self, layer: Recurrent, dtype: np.dtype):
        self.layer, self.dtype = layer, dtype
        self._scale = layer.scale(dtype)
        self.W = np.zeros((layer.n_rows, layer.n_inputs), dtype)
        self._dots = [self.W[rows, cols].dot for rows, cols in layer.products]
        self.W_h_T = np.empty((layer.n_hidden, layer.reads_h.stop), dtype)
        self.W_x_T = np.empty((layer.n_in, layer.n_rows - layer.reads_x.start), dtype)
        self.dW = np.empty_like(self.W)
        self._sums = [ProductSum(self.dW[rows, cols]) for rows, cols in layer.products]
        self._one, self._half = np.ones((), dtype), np.full((), 0.5, dtype)
        self._S = self._A = np.empty(0, dtype)
        self._n_columns = 0
        self._unrolled: dict[tuple[int, int, int], Unrolled] = {}
        self._previous: dict[tuple[int, int, int], Unrolled] = {}

    def pack(self, weights: Weights) -> None:
        """Pack the weights for the products of the forward pass."""
        self.layer.pack(weights, self.W)
        self.W *= self._scale

    def pack_transposed(self, weights: Weights) -> None:
        """Pack the weights for the products of both passes; start the gradient at zero."""
        layer, W = self.layer, self.W
        layer.pack(weights, W)
        self.W_h_T[:] = W[layer.reads_h, : layer.n_hidden].T
        self.W_x_T[:] = W[layer.reads_x, layer.n_hidden + 1 :].T
        W *= self._scale
        self.dW.fill(0)

    # Arrays -----------------------------------------------------------------------------------

    def begin(self, n_columns: int) -> None:
        """Allocate for a batch whose segments need so many columns, steps + 1 times their width."""
        self._previous, self._unrolled = self._unrolled, {}
        if n_columns > self._n_columns:
            self._n_columns, self._previous = n_columns, {}
            self._S = np.empty(self.layer.n_inputs * n_columns, self.dtype)
            n_A = self.layer.n_beside_h * self.layer.n_hidden * n_columns
            self._A = np.empty(n_A, self.dtype)

    def free(self) -> None:
        """Free all but the packed weights."""
        self._n_columns, self._unrolled, self._previous = 0, {}, {}
        self._S = self._A = np.empty(0, self.dtype)

    @property
    def n_bytes(self) -> int:
        """What `free` frees."""
        return self._S.nbytes + self._A.nbytes

    def unroll(self, segment: Segment, start: int) -> Unrolled:
        """Arrays of a segment from column `start` on; those of the last batch if it was alike."""
        return self._unroll(start, segment.steps, segment.width)

    def _unroll(self, start: int, steps: int, width: int) -> Unrolled:
        key = start, steps, width
        if key not in self._unrolled:
            self._unrolled[key] = self._previous.get(key) or self._lay_out(*key)
        return self._unrolled[key]

    def _lay_out(self, start: int, steps: int, width: int) -> Unrolled:
        H, n_blocks = self.layer.n_hidden, self.layer.n_beside_h
        S = _cut(self._S, start, (steps + 1, self.layer.n_inputs, width))
        A = None
        if n_blocks:
            A = _cut(self._A, start, (steps + 1, n_blocks, H, width))
        return self._views(S, A)

    def _views(self, S: Steps, A: Steps | None) -> Unrolled:
        H, cell, steps = self.layer.n_hidden, self.layer.cell, len(S) - 1
        if A is None:  # one block and no memory: the product is written where h is
            A, M = S[1:, None, :H], S[:, :0]
        else:
            M = A[:, len(cell.blocks) :]
        pre = A[:steps].reshape(steps, -1, S.shape[-1])
        products: Iterable[tuple[Any, ...]] = repeat((), steps)
        if cell.is_recurrent():
            operands = [
                zip(repeat(dot, steps), S[:-1, cols], pre[:, rows], strict=True)
                for dot, (rows, cols) in zip(self._dots, self.layer.products, strict=True)
            ]
            products = zip(*operands, strict=True)
        views = map(cell.views, A, S[:-1, :H], S[1:, :H], M[1:])
        scratch = Scratch(np.empty((H, S.shape[-1]), self.dtype), self._one, self._half)
        n_extra = len(cell.states) - 1
        before, after = ([S[t, :H], *M[t, :n_extra]] for t in (0, -1))
        unrolled = list(zip(products, views, strict=True))
        return Unrolled(H, n_extra, S, M, pre, unrolled, scratch, before, after)

    # Forward and backward ---------------------------------------------------------------------

    def forward(self, arrays: Unrolled, n: int, x: Steps, state: State | None) -> State:
        """Unroll the cell over a segment of n sequences; return the state after it.

        x is (steps, D, columns), `state` the arrays (H, columns) that the previous segment left,
        None if they are zero.
        """
        self._fill(arrays, n, x, state)
        if not self.layer.cell.is_recurrent():
            ((rows, cols),) = self.layer.products
            np.matmul(self.W[rows, cols], arrays.S[:-1, cols], out=arrays.pre[:, rows])
        forward, scratch = self.layer.cell.forward, arrays.scratch
        for products, step in arrays.steps:
            for dot, s, a in products:
                dot(s, a)
            forward(step, scratch)
        return arrays.after

    def _fill(self, arrays: Unrolled, n: int, x: Steps, state: State | None) -> None:
        H, S = self.layer.n_hidden, arrays.S
        for start, h in zip(arrays.before, state or repeat(None), strict=False):
            start[:, :n] = 0 if h is None else h[:, :n]
        S[:-1, H, :n] = 1
        S[:-1, H + 1 :, :n] = x[:, :, :n]
        if n < S.shape[-1]:
            S[:-1, H:, n:] = 0
            for start in arrays.before:
                start[:, n:] = 0

    def step(self, x: Columns, state: State) -> State:
        """The state after one more step, from x (D, n) and arrays (H, n), which are kept."""
        n = x.shape[1]
        self.begin(2 * n)
        after = self.forward(self._unroll(0, 1, n), n, x[None], state)
        return [h.copy() for h in after]

    def backward(
        self, arrays: Unrolled, d_state: State, above: StepGradients, dx: Steps | None
    ) -> None:
        """Go back over a segment, adding to the gradient of the packed weights.

        d_state is the gradient of the state after the segment, and becomes that of the state
        before; `above` {t: (columns, dL/dh_t)} is what comes from above; dx (steps, D, width) is
        written, or None where nobody wants it.
        """
        dh = d_state[0]
        from_above = {t: (dh[:, columns], d) for t, (columns, d) in above.items()}
        if self.layer.cell.is_recurrent():
            self._backward(arrays, d_state, from_above, dx)
        else:
            self._backward_elementwise(arrays, d_state, from_above, dx)

    def _backward(
        self, arrays: Unrolled, d_state: State, from_above: FromAbove, dx: Steps | None
    ) -> None:
        """With a = W s per step: dW += da s^T, dh_prev = W_hh^T da, dx = W_xh^T da."""
        layer, cell, scratch = self.layer, self.layer.cell, arrays.scratch
        dh, width = d_state[0], arrays.S.shape[-1]
        da = np.empty((layer.n_rows, width), self.dtype)
        da_h, da_x = da[layer.reads_h], da[layer.reads_x]
        add_dW = [
            product.adder(da[rows], arrays.S[:, cols])
            for product, (rows, cols) in zip(self._sums, layer.products, strict=True)
        ]
        d_step = cell.gradient_views(da.reshape(-1, layer.n_hidden, width))
        backward, keeps_h = cell.backward, cell.keeps_h
        tmp, to_dh, to_dx = scratch.tmp, self.W_h_T.dot, self.W_x_T.dot
        for t in reversed(range(len(arrays.steps))):
            if t in from_above:
                dh_columns, d = from_above[t]
                dh_columns += d
            _, step = arrays.steps[t]
            backward(step, d_step, d_state, scratch)
            for add in add_dW:
                add(t)
            if keeps_h:
                to_dh(da_h, tmp)
                dh += tmp
            else:
                to_dh(da_h, dh)
            if dx is not None:
                to_dx(da_x, dx[t])

    def _backward_elementwise(
        self, arrays: Unrolled, d_state: State, from_above: FromAbove, dx: Steps | None
    ) -> None:
        """The same where no block reads h: da of all steps first, then dW and dx at once."""
        layer, cell, n_steps = self.layer, self.layer.cell, len(arrays.steps)
        dh, width = d_state[0], arrays.S.shape[-1]
        da = np.empty((n_steps, layer.n_rows, width), self.dtype)
        for t in reversed(range(n_steps)):
            if t in from_above:
                dh_columns, d = from_above[t]
                dh_columns += d
            d_step = cell.gradient_views(da[t].reshape(-1, layer.n_hidden, width))
            cell.backward(arrays.steps[t][1], d_step, d_state, arrays.scratch)
            if not cell.keeps_h:
                dh.fill(0)
        ((rows, cols),) = layer.products
        self.dW[rows, cols] += np.tensordot(da, arrays.S[:-1, cols], axes=((0, 2), (0, 2)))
        if dx is not None:
            np.matmul(self.W_x_T, da, out=dx)


def _cut(buffer: Floats, start: int, shape: tuple[int, ...]) -> Steps:
    """The columns of a segment, as shape (steps + 1, ..., width), out of a flat buffer."""
    rows, size = prod(shape[1:-1]), prod(shape)
    return buffer[start * rows : start * rows + size].reshape(shape)
