"""Cells: the element-wise recurrence of one step, and its derivative.

A cell knows neither weights nor time. The layer owns the arrays, one column a sequence. For one
step these are `a`, blocks of (H, B): the pre-activations of each entry of `blocks` in that order,
then the `memory` blocks that the step before has left; the states h_prev and h; and m, the `memory`
blocks that this step leaves, the first of which is a state too. `view` picks out of them what
`forward` and `backward` use, once for all batches.

`forward` turns pre-activations into activations in place, and writes h and m. `backward` gets
dh = dL/dh and, for a cell with memory, dm = dL/dm; it writes da = dL/da for every entry of
`blocks`, as `view_gradient` picked it apart, and leaves in dh and dm what goes back to the step
before without a product.

`scratch` is a spare (H, B) array and the numbers 1 and 0.5 as arrays of the net's dtype: a Python
number would cost a ufunc as much again as the work on a small array.
"""

from typing import NamedTuple

from numpy import maximum, multiply, sign, subtract, tanh


class Block(NamedTuple):
    """Rows of the pre-activations that belong to one gate.

    `reads` says which part of the step they see, "h", "x" or both (with the bias that goes with
    it); `scale` multiplies their weights: 0.5 where sigmoid(a) = 0.5 tanh(0.5 a) + 0.5 is used,
    since NumPy's tanh is vectorised and SciPy's expit is not.
    """

    gate: str
    reads: str = "hx"
    scale: float = 1.0


class Cell:
    """One step of a recurrence, on columns."""

    gates: tuple[str, ...] = ("h",)
    blocks: tuple[Block, ...] = (Block("h"),)
    memory = 0
    keeps_h = False  # whether part of dL/dh_prev passes by the products
    bounded = True  # whether h stays finite whatever the weights
    start = "orthogonal"


class TanhCell(Cell):
    """Elman (1990): h = tanh(a). The layer lets a and h be the same memory."""

    @staticmethod
    def view(a, h_prev, h, m):
        return (h,)

    @staticmethod
    def view_gradient(da):
        return tuple(da)

    @staticmethod
    def forward(step, scratch):
        (h,) = step
        tanh(h, out=h)

    @staticmethod
    def backward(step, d_step, dh, dm, scratch):
        (h,), (da,), (_, one, _) = step, d_step, scratch
        multiply(h, h, out=da)
        subtract(one, da, out=da)
        da *= dh


class ReluCell(TanhCell):
    """Le, Jaitly & Hinton (2015): h = max(0, a), W_hh started at the identity."""

    start = "identity"
    bounded = False

    @staticmethod
    def forward(step, scratch):
        (h,) = step
        maximum(h, 0, out=h)

    @staticmethod
    def backward(step, d_step, dh, dm, scratch):
        (h,), (da,) = step, d_step
        sign(h, out=da)
        da *= dh


class GRU(Cell):
    """Cho et al. (2014), the reset gate after the product.

    r, z = sigmoid(a_r), sigmoid(a_z);  n = tanh(a_n + r u);  h = n + z (h_prev - n)

    where u = W_hn h_prev + b_hn.
    """

    gates = ("r", "z", "n")
    blocks = (Block("n", "h"), Block("r", scale=0.5), Block("z", scale=0.5), Block("n", "x"))
    keeps_h = True

    @staticmethod
    def view(a, h_prev, h, m):
        return (*a, a[1:3], h_prev, h)

    @staticmethod
    def view_gradient(da):
        return (*da, da[1:3])

    @staticmethod
    def forward(step, scratch):
        u, r, z, n, rz, h_prev, h = step
        tmp, _, half = scratch
        tanh(rz, out=rz)
        rz *= half
        rz += half
        multiply(r, u, out=tmp)
        n += tmp
        tanh(n, out=n)
        subtract(h_prev, n, out=h)
        h *= z
        h += n

    @staticmethod
    def backward(step, d_step, dh, dm, scratch):
        u, r, z, n, rz, _, h = step
        du, dr, dz, dn, drz = d_step
        tmp, one, _ = scratch
        subtract(one, rz, out=drz)
        dz *= dh
        dh *= z
        multiply(n, n, out=tmp)
        subtract(one, tmp, out=tmp)
        multiply(dz, tmp, out=dn)
        subtract(h, n, out=tmp)  # z (h_prev - n)
        dz *= tmp
        multiply(dn, r, out=du)
        dr *= du
        dr *= u


class LSTM(Cell):
    """Hochreiter & Schmidhuber (1997) with the forget gate of Gers et al. (2000).

    i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  g = tanh(a_g)
    c = f c_prev + i g;  h = o tanh(c)
    """

    gates = ("i", "f", "g", "o")
    blocks = (
        Block("o", scale=0.5),
        Block("i", scale=0.5),
        Block("f", scale=0.5),
        Block("g"),
    )
    memory = 2

    @staticmethod
    def view(a, h_prev, h, m):
        o, i, f, _, _, _ = a
        return a[:4], a[:3], a[1:3], a[3:5], o, i, f, h, m, *m

    @staticmethod
    def view_gradient(da):
        do, di, df, dg = da
        return da, da[:3], da[1:3], do, di, df, dg

    @staticmethod
    def forward(step, scratch):
        oifg, oif, i_f, g_c, o, _, _, h, m, c, tanh_c = step
        _, _, half = scratch
        tanh(oifg, out=oifg)
        oif *= half
        oif += half
        multiply(i_f, g_c, out=m)  # i g and f c_prev
        c += tanh_c
        tanh(c, out=tanh_c)
        multiply(o, tanh_c, out=h)

    @staticmethod
    def backward(step, d_step, dh, dc, scratch):
        oifg, oif, _, g_c, o, i, f, h, _, _, tanh_c = step
        d_oifg, d_oif, d_if, do, di, df, dg = d_step
        tmp, one, _ = scratch
        multiply(h, tanh_c, out=tmp)
        subtract(o, tmp, out=tmp)  # o (1 - tanh(c)^2)
        tmp *= dh
        dc += tmp
        multiply(oifg, oifg, out=d_oifg)
        subtract(oif, d_oif, out=d_oif)
        subtract(one, dg, out=dg)
        do *= tanh_c
        do *= dh
        d_if *= g_c
        di *= dc
        df *= dc
        dg *= i
        dg *= dc
        dc *= f


CELLS = {"rnn_tanh": TanhCell, "rnn_relu": ReluCell, "gru": GRU, "lstm": LSTM}
