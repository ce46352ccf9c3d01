"""Cells: the element-wise recurrence of one step, and its derivative.

A cell describes its weights and states, and computes on columns, one per sequence. It owns neither
arrays nor products, and knows no time: the layer provides, per step, the blocks of `a`, each (H,
B). These are the pre-activations of `blocks` in that order, and after them the `n_memory` blocks
that the previous step has left. `views` picks what `forward` and `backward` use out of `a`, of
h_prev and h, and of m, the `n_memory` blocks that this step leaves, the first of which are the
states beside h. It is called once, and its views serve every batch of the same shape.

`forward` turns pre-activations into activations in place, and writes h and m. `backward` is given
the gradients of the states, dh = dL/dh and so on; it writes da = dL/da of every block, into the
views that `gradient_views` picks, and leaves in dh and its like what reaches the previous step
without a product. A name `dq` is the gradient of `q`.
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy import maximum, multiply, sign, subtract, tanh

from skrnn._nn.initializers import Parameter, glorot_uniform, identity, orthogonal
from skrnn._typing import Columns, Floats, State, Steps


class Block(NamedTuple):
    """Pre-activations (H, B) of one gate.

    `reads` says what they are a product of: "h", "x", or both; a block that reads x has the bias
    b_h of its gate, one that reads h alone has one of its own, b_h followed by the gate's name.
    `scale` multiplies the weights: 0.5 for a gate that is sigmoid(a) = 0.5 tanh(0.5 a) + 0.5, as
    NumPy's tanh is vectorised and SciPy's expit is not.
    """

    gate: str
    reads: str = "hx"
    scale: float = 1.0


class Scratch(NamedTuple):
    """A spare array, and numbers as arrays: a ufunc takes 1 us longer with a Python number."""

    tmp: Columns
    one: Floats
    half: Floats


class Cell:
    """One step of a recurrence, on columns.

    Blocks that read h come first, blocks that read x alone last. Where none reads h there is no
    W_hh, and the layer multiplies the inputs of all steps at once.
    """

    gates: ClassVar[tuple[str, ...]] = ("h",)
    blocks: ClassVar[tuple[Block, ...]] = (Block("h"),)
    states: ClassVar[tuple[str, ...]] = ("h",)  # what is carried from step to step
    n_memory: ClassVar[int] = 0
    biases: ClassVar[dict[str, float]] = {}  # initial values of b_h by gate, where not 0
    recurrent_start: ClassVar[Any] = staticmethod(orthogonal)  # a Start
    keeps_h: ClassVar[bool] = False  # whether a part of dL/dh_prev bypasses the products
    bounded: ClassVar[bool] = True  # whether h stays finite whatever the weights

    @classmethod
    def is_recurrent(cls) -> bool:
        """Whether some block reads h."""
        return any("h" in block.reads for block in cls.blocks)

    @classmethod
    def parameters(cls, D: int, H: int) -> dict[str, Parameter]:
        """Weights of a layer of H units over D inputs: W_xh (G H, D), W_hh (G H, H), b_h (G H,)."""
        G = len(cls.gates)
        bias = np.repeat([cls.biases.get(gate, 0.0) for gate in cls.gates], H)
        weights = {"W_xh": Parameter((G * H, D), glorot_uniform(D, H), penalized=True)}
        if cls.is_recurrent():
            weights["W_hh"] = Parameter((G * H, H), cls.recurrent_start, penalized=True)
        weights["b_h"] = Parameter((G * H,), lambda rng, shape: bias)
        for block in cls.blocks:
            if block.reads == "h":
                weights[f"b_h{block.gate}"] = Parameter((H,))
        return weights

    @staticmethod
    def views(a: Steps, h_prev: Columns, h: Columns, m: Steps) -> tuple[Any, ...]:
        raise NotImplementedError

    @staticmethod
    def gradient_views(da: Steps) -> tuple[Any, ...]:
        raise NotImplementedError

    @staticmethod
    def forward(step: tuple[Any, ...], scratch: Scratch) -> None:
        raise NotImplementedError

    @staticmethod
    def backward(
        step: tuple[Any, ...], d_step: tuple[Any, ...], d_state: State, scratch: Scratch
    ) -> None:
        raise NotImplementedError


class TanhCell(Cell):
    """Elman (1990): h = tanh(a). The layer lets a and h be the same memory."""

    @staticmethod
    def views(a: Steps, h_prev: Columns, h: Columns, m: Steps) -> tuple[Any, ...]:
        return (h,)

    @staticmethod
    def gradient_views(da: Steps) -> tuple[Any, ...]:
        return tuple(da)

    @staticmethod
    def forward(step: tuple[Any, ...], scratch: Scratch) -> None:
        (h,) = step
        tanh(h, out=h)

    @staticmethod
    def backward(
        step: tuple[Any, ...], d_step: tuple[Any, ...], d_state: State, scratch: Scratch
    ) -> None:
        (h,), (da,), (dh,), (_, one, _) = step, d_step, d_state, scratch
        multiply(h, h, out=da)  # dh/da = 1 - tanh(a)^2 = 1 - h^2
        subtract(one, da, out=da)
        da *= dh


class ReluCell(TanhCell):
    """Le, Jaitly & Hinton (2015): h = max(0, a), W_hh starts at the identity."""

    recurrent_start = staticmethod(identity)
    bounded = False

    @staticmethod
    def forward(step: tuple[Any, ...], scratch: Scratch) -> None:
        (h,) = step
        maximum(h, 0, out=h)

    @staticmethod
    def backward(
        step: tuple[Any, ...], d_step: tuple[Any, ...], d_state: State, scratch: Scratch
    ) -> None:
        (h,), (da,), (dh,) = step, d_step, d_state
        sign(h, out=da)  # dh/da is 1 where h > 0, else 0
        da *= dh


class GRU(Cell):
    """Cho et al. (2014), reset gate after the product.

    r, z = sigmoid(a_r), sigmoid(a_z);  n = tanh(a_n + r u);  h = n + z (h_prev - n)

    where u = W_hn h_prev + b_hn.
    """

    gates = ("r", "z", "n")
    blocks = (Block("n", "h"), Block("r", scale=0.5), Block("z", scale=0.5), Block("n", "x"))
    biases = {"z": 1.0}
    keeps_h = True

    @staticmethod
    def views(a: Steps, h_prev: Columns, h: Columns, m: Steps) -> tuple[Any, ...]:
        return (*a, a[1:3], h_prev, h)

    @staticmethod
    def gradient_views(da: Steps) -> tuple[Any, ...]:
        return (*da, da[1:3])

    @staticmethod
    def forward(step: tuple[Any, ...], scratch: Scratch) -> None:
        u, r, z, n, rz, h_prev, h = step
        tmp, _, half = scratch
        tanh(rz, out=rz)  # sigmoid, the weights being halved
        rz *= half
        rz += half
        multiply(r, u, out=tmp)
        n += tmp
        tanh(n, out=n)
        subtract(h_prev, n, out=h)
        h *= z
        h += n

    @staticmethod
    def backward(
        step: tuple[Any, ...], d_step: tuple[Any, ...], d_state: State, scratch: Scratch
    ) -> None:
        u, r, z, n, rz, _, h = step
        du, dr, dz, dn, drz = d_step
        (dh,), (tmp, one, _) = d_state, scratch
        subtract(one, rz, out=drz)  # dr, dz = 1 - r, 1 - z, to become those of a_r and a_z
        dz *= dh  # (1 - z) dh = dL/dn
        dh *= z  # dh/dh_prev = z, beside the products
        multiply(n, n, out=tmp)  # dn/da_n = 1 - n^2
        subtract(one, tmp, out=tmp)
        multiply(dz, tmp, out=dn)
        subtract(h, n, out=tmp)  # h - n = z (h_prev - n), and dh/da_z = (h_prev - n) z (1 - z)
        dz *= tmp
        multiply(dn, r, out=du)  # a_n + r u: du = r da_n
        dr *= du  # da_r = u da_n r (1 - r)
        dr *= u


class LSTM(Cell):
    """Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000).

    i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  g = tanh(a_g)
    c = f c_prev + i g;  h = o tanh(c)

    The memory is c and tanh(c), so that [g; c_prev] stand side by side in the next step's `a`, and
    i g and f c_prev are one product. The forget gate starts open (Jozefowicz et al. 2015).
    """

    gates = ("i", "f", "g", "o")
    blocks = (Block("o", scale=0.5), Block("i", scale=0.5), Block("f", scale=0.5), Block("g"))
    states = ("h", "c")
    n_memory = 2
    biases = {"f": 1.0}

    @staticmethod
    def views(a: Steps, h_prev: Columns, h: Columns, m: Steps) -> tuple[Any, ...]:
        o, i, f, _, _, _ = a
        return a[:4], a[:3], a[1:3], a[3:5], o, i, f, h, m, *m

    @staticmethod
    def gradient_views(da: Steps) -> tuple[Any, ...]:
        do, di, df, dg = da
        return da, da[:3], da[1:3], do, di, df, dg

    @staticmethod
    def forward(step: tuple[Any, ...], scratch: Scratch) -> None:
        oifg, oif, i_f, g_c, o, _, _, h, m, c, tanh_c = step
        _, _, half = scratch
        tanh(oifg, out=oifg)
        oif *= half  # sigmoid, the weights being halved
        oif += half
        multiply(i_f, g_c, out=m)  # i g and f c_prev
        c += tanh_c
        tanh(c, out=tanh_c)
        multiply(o, tanh_c, out=h)

    @staticmethod
    def backward(
        step: tuple[Any, ...], d_step: tuple[Any, ...], d_state: State, scratch: Scratch
    ) -> None:
        oifg, oif, _, g_c, o, i, f, h, _, _, tanh_c = step
        d_oifg, d_oif, d_if, do, di, df, dg = d_step
        (dh, dc), (tmp, one, _) = d_state, scratch
        multiply(h, tanh_c, out=tmp)  # dh/dc = o (1 - tanh(c)^2) = o - h tanh(c)
        subtract(o, tmp, out=tmp)
        tmp *= dh
        dc += tmp
        multiply(oifg, oifg, out=d_oifg)
        subtract(oif, d_oif, out=d_oif)  # of sigmoids: s (1 - s) = s - s^2
        subtract(one, dg, out=dg)  # of tanh: 1 - g^2
        do *= tanh_c  # h = o tanh(c)
        do *= dh
        d_if *= g_c  # c = i g + f c_prev: dc/di = g, dc/df = c_prev
        di *= dc
        df *= dc
        dg *= i
        dg *= dc
        dc *= f  # dc/dc_prev


CELLS: dict[str, type[Cell]] = {
    "rnn_tanh": TanhCell,
    "rnn_relu": ReluCell,
    "gru": GRU,
    "lstm": LSTM,
}
