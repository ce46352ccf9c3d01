"""Layers: weights, matrix products and time.

A batch is a chain of runs (`Run` of the sequences). The arrays of a run have one block a step, one
column a sequence, and are as wide as `run.width`; the columns past `run.n` are zero and stay zero,
since their row of ones is zero too. A sequence that ends within a run goes on to its end, unheard:
its gradient is zero, exactly, as long as its states are finite.
"""

from itertools import repeat
from math import prod
from typing import NamedTuple

import numpy as np

from skrnn._nn.blas import ProductSum


class Recurrent:
    """One direction of one recurrent layer.

    Weights: W_xh (G H, D), W_hh (G H, H), b_h (G H,), with G gates, D inputs, H units, and b_hn
    (H,) where a block of the cell reads h alone. With `learned_start` the state before the first
    step is one too: h0 (H,), and c0 (H,) of a cell with memory.

    S of a run is (steps + 1, H + 1 + D, width): at every step [h; 1; x], so that one product with
    [W_hh, b_h, W_xh] is the whole affine part; the new h goes into the next block. A of a cell with
    gates has at every step the pre-activations, and below them what the step before has left.
    """

    def __init__(self, cell, n_in, n_hidden, dtype, *, learned_start=False):
        self.cell, self.n_in, self.n_hidden, self.dtype = cell, n_in, n_hidden, np.dtype(dtype)
        self.start_names = ("h0", "c0")[: self.n_states] if learned_start else ()
        self.shapes = self._name_weights()
        self._n_rows = n_hidden + 1 + n_in
        # rows of the pre-activations that see h, and those that see x
        n_blocks, H = len(cell.blocks), n_hidden
        first_x = next(k for k, block in enumerate(cell.blocks) if "x" in block.reads)
        last_h = max(k for k, block in enumerate(cell.blocks) if "h" in block.reads)
        self._reads_h = slice(0, (last_h + 1) * H)
        self._reads_x = slice(first_x * H, n_blocks * H)
        # the products of a step: rows of the pre-activations, rows of S
        products = [(self._reads_h, slice(0, self._n_rows))]
        if last_h + 1 < n_blocks:
            products.append((slice((last_h + 1) * H, n_blocks * H), slice(H, self._n_rows)))
        self._products = products
        self._blocks = self._join_blocks()
        scales = np.array([block.scale for block in cell.blocks], self.dtype)
        self._scale = scales.repeat(H)[:, None]
        self._one, self._half = np.ones((), self.dtype), np.full((), 0.5, self.dtype)
        self._W, self._n_columns, self._unrolled = None, 0, {}

    def _allocate_weights(self):
        """What `load` packs."""
        H, n_rows = self.n_hidden, len(self.cell.blocks) * self.n_hidden
        self._W = np.zeros((n_rows, self._n_rows), self.dtype)
        self._dW = np.empty_like(self._W)
        self._sums = [ProductSum(self._dW[rows, cols]) for rows, cols in self._products]
        self._W_h_T = np.empty((H, self._reads_h.stop), self.dtype)
        self._W_x_T = np.empty((self.n_in, n_rows - self._reads_x.start), self.dtype)

    @property
    def n_states(self):
        """Arrays that are carried from step to step: h, and c of a cell with memory."""
        return 1 + (self.cell.memory > 0)

    @property
    def n_products(self):
        """Multiplications of weights in one step of one sequence."""
        return len(self.cell.gates) * self.n_hidden * self._n_rows

    @property
    def n_kept(self):
        """Numbers that are kept for one step of one sequence."""
        n_blocks = len(self.cell.blocks)
        return self._n_rows + (self.cell.memory + n_blocks * (n_blocks > 1)) * self.n_hidden

    def _name_weights(self):
        """Names and shapes of the weights."""
        G, D, H = len(self.cell.gates), self.n_in, self.n_hidden
        shapes = {"W_xh": (G * H, D), "W_hh": (G * H, H), "b_h": (G * H,)}
        for block in self.cell.blocks:
            if block.reads == "h":
                shapes[f"b_h{block.gate}"] = (H,)
        return shapes | dict.fromkeys(self.start_names, (H,))

    def initialize(self, weights, rng):
        """Fill `weights` with values that train.

        W_xh Glorot-uniform a gate; W_hh orthogonal a gate (Saxe et al. 2014), or the identity (Le
        et al. 2015); biases 0, but 1 at the gate that keeps the state: an LSTM's f (Jozefowicz et
        al. 2015), a GRU's z.
        """
        D, H = self.n_in, self.n_hidden
        bound = np.sqrt(6 / (D + H))
        weights["W_xh"][:] = rng.uniform(-bound, bound, weights["W_xh"].shape)
        for gate in self.cell.gates:
            square = np.eye(H) if self.cell.start == "identity" else _orthogonal(H, rng)
            weights["W_hh"][self._gate(gate)] = square
            weights["b_h"][self._gate(gate)] = gate in ("f", "z")
        for name in weights.keys() - {"W_xh", "W_hh", "b_h"}:
            weights[name][:] = 0

    def _gate(self, gate):
        g = self.cell.gates.index(gate)
        return slice(g * self.n_hidden, (g + 1) * self.n_hidden)

    def _join_blocks(self):
        """Rows of every block, rows of its gate, and the block; as one where both go on."""
        joined = []
        for k, block in enumerate(self.cell.blocks):
            rows, gate = slice(k * self.n_hidden, (k + 1) * self.n_hidden), self._gate(block.gate)
            if joined and joined[-1][1].stop == gate.start and joined[-1][2].reads == block.reads:
                first_rows, first_gate, _ = joined.pop()
                rows, gate = slice(first_rows.start, rows.stop), slice(first_gate.start, gate.stop)
            joined.append((rows, gate, block))
        return joined

    def load(self, weights):
        """Pack the weights for the products of forward and backward."""
        if self._W is None:
            self._allocate_weights()
        H, W = self.n_hidden, self._W
        for rows, gate, block in self._blocks:
            if "h" in block.reads:
                W[rows, :H] = weights["W_hh"][gate]
            if "x" in block.reads:
                W[rows, H] = weights["b_h"][gate]
                W[rows, H + 1 :] = weights["W_xh"][gate]
            else:
                W[rows, H] = weights[f"b_h{block.gate}"]
        self._W_h_T[:] = W[self._reads_h, :H].T
        self._W_x_T[:] = W[self._reads_x, H + 1 :].T
        W *= self._scale

    def begin_sums(self):
        """Begin the sums of products that `backward` adds to."""
        self._dW.fill(0)

    def unload(self, gradient):
        """Write the gradient that `backward` summed up into the named views of it."""
        H, dW = self.n_hidden, self._dW
        for rows, gate, block in self._blocks:
            if "h" in block.reads:
                gradient["W_hh"][gate] = dW[rows, :H]
            if "x" in block.reads:
                gradient["b_h"][gate] = dW[rows, H]
                gradient["W_xh"][gate] = dW[rows, H + 1 :]
            else:
                gradient[f"b_h{block.gate}"][:] = dW[rows, H]

    def make_room(self, n_columns):
        """Begin a batch whose runs need so many columns, one more a run than its steps have."""
        if n_columns > self._n_columns:
            self._allocate(n_columns)
        self._before, self._unrolled = self._unrolled, {}

    def lay_out(self, run, start):
        """Arrays for a run from column `start` on; those of the batch before if they are alike."""
        key = start, run.steps, run.width
        if key not in self._unrolled:
            self._unrolled[key] = self._before.get(key) or self._unroll(*key)
        return self._unrolled[key]

    def _allocate(self, n_columns):
        H, P, E = self.n_hidden, len(self.cell.blocks), self.cell.memory
        self._n_columns, self._unrolled = n_columns, {}
        self._S = np.empty(self._n_rows * n_columns, self.dtype)
        self._A = np.empty((P + E) * H * n_columns if P > 1 else 0, self.dtype)

    def _unroll(self, start, steps, width):
        """The arrays of one run, and the views of them that every step needs."""
        H, P, E = self.n_hidden, len(self.cell.blocks), self.cell.memory
        S = _cut(self._S, start, (steps + 1, self._n_rows, width))
        if P > 1:
            A = _cut(self._A, start, (steps + 1, P + E, H, width))
            M = A[:, P:]
        else:  # the product goes where h goes, and nothing else is remembered
            A, M = S[1:, None, :H], S[:, :0]
        pre = A[:steps].reshape(steps, -1, width)
        products = [
            list(zip(repeat(self._W[rows, cols].dot), S[:-1, cols], pre[:, rows], strict=False))
            for rows, cols in self._products
        ]
        views = map(self.cell.view, A, S[:-1, :H], S[1:, :H], M[1:])
        forward = list(zip(zip(*products, strict=True), views, strict=True))
        scratch = np.empty((H, width), self.dtype), self._one, self._half
        return Unrolled(S, M, forward, scratch)

    def hidden(self, arrays):
        """h after every step of a run, (steps, H, width)."""
        return arrays.S[1:, : self.n_hidden]

    def states(self, arrays, t):
        """h, and c of a cell with memory, after t steps of a run; each (H, width)."""
        return arrays.S[t, : self.n_hidden], *arrays.M[t, :1]

    def forward(self, run, arrays, x, state):
        """Unroll the cell over a run.

        x is (steps, D, columns); state the arrays (H, columns) that the run before left, None at
        the start.
        """
        self._fill(arrays, run.n, x, state)
        forward, scratch = self.cell.forward, arrays.scratch
        for products, step in arrays.steps:
            for dot, s, a in products:
                dot(s, a)
            forward(step, scratch)

    def _fill(self, arrays, n, x, state):
        H, S = self.n_hidden, arrays.S
        for start, h in zip(self.states(arrays, 0), state or repeat(None), strict=False):
            start[:, :n] = 0 if h is None else h[:, :n]
            start[:, n:] = 0
        S[:-1, H, :n] = 1
        S[:-1, H + 1 :, :n] = x[:, :, :n]
        S[:-1, H:, n:] = 0

    def draw(self, rng, n):
        """States before the first step, normal with a standard deviation of 0.1."""
        draws = [rng.standard_normal((self.n_hidden, n)) for _ in range(self.n_states)]
        return [0.1 * h.astype(self.dtype) for h in draws]

    def zero_state(self, width):
        return [np.zeros((self.n_hidden, width), self.dtype) for _ in range(self.n_states)]

    def start(self, weights, n):
        """The learned state before the first step of n sequences, None if it is zero."""
        columns = [weights[name][:, None] for name in self.start_names]
        return [np.broadcast_to(column, (self.n_hidden, n)) for column in columns] or None

    def learn_start(self, gradient, d_state):
        """Add the gradient of the state before the first step to that of the learned state."""
        for name, d in zip(self.start_names, d_state, strict=False):
            gradient[name] += d.sum(axis=1)

    def step(self, weights, x, state):
        """The state after one more step, from x (D, n) and arrays (H, n), which are kept.

        By the weights as they are: nothing has to be loaded, and nothing is remembered.
        """
        H, (h, *m), n = self.n_hidden, state, x.shape[1]
        P, E = len(self.cell.blocks), self.cell.memory
        a_x, a_h = weights["W_xh"].dot(x), weights["W_hh"].dot(h)
        a_x += weights["b_h"][:, None]
        A = np.empty((P + E, H, n), self.dtype)
        a = A[:P].reshape(P * H, n)
        for rows, gate, block in self._blocks:
            if block.reads == "hx":
                np.add(a_x[gate], a_h[gate], out=a[rows])
            elif block.reads == "x":
                a[rows] = a_x[gate]
            else:
                np.add(a_h[gate], weights[f"b_h{block.gate}"][:, None], out=a[rows])
        a *= self._scale
        for carried, before in zip(A[P:], m, strict=False):
            carried[:] = before
        new_h, new_m = np.empty((H, n), self.dtype) if P > 1 else A[0], np.empty_like(A[P:])
        scratch = np.empty((H, n), self.dtype), self._one, self._half
        self.cell.forward(self.cell.view(A, h, new_h, new_m), scratch)
        return [new_h, *new_m[: len(m)]]

    def backward(self, run, arrays, d_state, d_hidden, dx):
        """Go back over a run, adding to the gradient of the weights.

        d_state is the gradient of the state after the run, and becomes that of the state before;
        d_hidden {t: (columns, dL/dh_t)} what comes from above; dx (steps, D, width) is written, or
        None where nobody wants it.
        """
        (dh, *dm), H = d_state, self.n_hidden
        dm = dm[0] if dm else None
        from_above = {t: (dh[:, columns], d) for t, (columns, d) in d_hidden.items()}
        da = np.empty((len(self._W), run.width), self.dtype)
        da_h, da_x = da[self._reads_h], da[self._reads_x]
        sums = [
            product.adder(da[rows], arrays.S[:, cols])
            for product, (rows, cols) in zip(self._sums, self._products, strict=True)
        ]
        d_step = self.cell.view_gradient(da.reshape(-1, H, run.width))
        backward, scratch, keeps_h = self.cell.backward, arrays.scratch, self.cell.keeps_h
        tmp, to_dh, to_dx = scratch[0], self._W_h_T.dot, self._W_x_T.dot
        for t in reversed(range(run.steps)):
            if t in from_above:
                dh_columns, d = from_above[t]
                dh_columns += d
            _, step = arrays.steps[t]
            backward(step, d_step, dh, dm, scratch)
            for add_slopes in sums:
                add_slopes(t)
            if keeps_h:
                to_dh(da_h, tmp)
                dh += tmp
            else:
                to_dh(da_h, dh)
            if dx is not None:
                to_dx(da_x, dx[t])


class Unrolled(NamedTuple):
    """A run's arrays; for every step the products (W.dot, s, a) and the views of the cell."""

    S: np.ndarray
    M: np.ndarray
    steps: list
    scratch: tuple


def _cut(buffer, start, shape):
    """The columns of a run, as shape (steps + 1, ..., width), out of a flat buffer."""
    rows, size = prod(shape[1:-1]), prod(shape)
    return buffer[start * rows : start * rows + size].reshape(shape)


def widen(columns, width):
    """The same columns, and zeros up to a width."""
    wide = np.zeros((*columns.shape[:-1], width), columns.dtype)
    wide[..., : columns.shape[-1]] = columns
    return wide


def _orthogonal(n, rng):
    """Draw from the orthogonal matrices, uniformly (Mezzadri 2007)."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)
