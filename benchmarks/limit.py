"""How near to the limit: a training step against its matrix products alone.

Run with `python benchmarks/limit.py`. The step is the core's loss and gradient of one batch of
equal lengths. Its products are those that every implementation on columns needs: forward [h; 1; x]
by all weights, backward dh, and the accumulation of dW. Here they run back to back, with nothing
between them, on arrays of the same shapes and layout. A fraction of 1 means nothing but products.
"""

from functools import partial

import numpy as np
from _common import (
    Side,
    Table,
    alternate,
    median,
    milliseconds,
    options,
    parse,
    print_machine,
    print_summary,
)

from skrnn._data.samples import Samples
from skrnn._data.sequences import Sequences
from skrnn._nn.backprop import TrainingWorkspace
from skrnn._nn.blas import ProductSum
from skrnn._nn.cells import CELLS
from skrnn._nn.losses import LOSSES
from skrnn._nn.network import Architecture, Network
from skrnn._parallel.host import computing

SIZES = (32, 64, 128, 256)
T, D, N_CLASSES = 100, 8, 3


def training_step(cell, H, B, dtype):
    """Set up loss and gradient of one batch, as a call without arguments."""
    rng = np.random.default_rng(0)
    network = Network(Architecture(cell, D, (H,), N_CLASSES, dtype))
    theta = network.initialize(np.random.RandomState(0))
    steps = rng.standard_normal((B * T, D)).astype(dtype)
    batch = Sequences.stacked(steps, np.full(B, T))
    samples = Samples(batch, (np.arange(B) % N_CLASSES)[:, None], np.ones(B, dtype))
    loss = LOSSES["multinomial_log_loss"]()
    learn = TrainingWorkspace(network).loss_and_gradient
    return partial(learn, theta, np.empty_like(theta), samples, loss, total=B)


def product_shapes(cell, H):
    """Return (rows of the pre-activations, rows of [h; 1; x]) for the products of a step.

    All blocks that read h are one product; those that read x alone, the n of a GRU, a second one.
    """
    blocks = CELLS[cell].blocks
    reading_h = sum("h" in block.reads for block in blocks)
    shapes = [(slice(0, reading_h * H), slice(0, H + 1 + D))]
    if reading_h < len(blocks):
        shapes.append((slice(reading_h * H, len(blocks) * H), slice(H, H + 1 + D)))
    return shapes


def products_alone(cell, H, B, dtype):
    """Set up the products of T steps, forward and backward, as a call without arguments."""
    rng, shapes = np.random.default_rng(0), product_shapes(cell, H)
    n_rows, n_rows_h = shapes[-1][0].stop, shapes[0][0].stop

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    W, W_h_T = normal(n_rows, H + 1 + D), normal(H, n_rows_h)
    S, A = normal(T, H + 1 + D, B), normal(T, n_rows, B)
    da, dh = normal(n_rows, B), normal(H, B)
    dW = np.zeros_like(W)
    sums = [ProductSum(dW[rows, cols]) for rows, cols in shapes]
    forward = [
        (W[rows, cols].dot, S[t, cols], A[t, rows]) for t in range(T) for rows, cols in shapes
    ]
    adders = [
        products.adder(da[rows], S[:, cols])
        for products, (rows, cols) in zip(sums, shapes, strict=True)
    ]
    to_dh, da_h = W_h_T.dot, da[:n_rows_h]

    def call():
        for dot, s, a in forward:
            dot(s, a)
        for t in reversed(range(T)):
            for add in adders:
                add(t)
            to_dh(da_h, dh)

    return call


def flops(cell, H, B):
    """Return the number of multiplications and additions of the products."""
    shapes = product_shapes(cell, H)
    both = sum((r.stop - r.start) * (c.stop - c.start) for r, c in shapes)
    return 2 * B * T * (2 * both + shapes[0][0].stop * H)


def main():
    parser = options(__doc__, seconds=0.3)
    parser.add_argument("--batches", nargs="+", type=int, default=(32, 128))
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    args = parse(parser)
    sizes = (16, 32) if args.quick else SIZES
    table = Table(
        "cell", "batch", "H", "step, ms", "products, ms", "GFLOP/s of the step", "fraction"
    )
    fractions = {cell: {} for cell in args.cells}
    for cell in args.cells:
        for B in args.batches:
            for H in sizes:
                sides = {
                    "step": Side(training_step(cell, H, B, args.dtype)),
                    "products": Side(products_alone(cell, H, B, args.dtype)),
                }
                with computing():
                    times = alternate(sides, args.rounds, args.seconds)
                step, products = times["step"], times["products"]
                fraction = median(p / s for p, s in zip(products, step, strict=True))
                rate = flops(cell, H, B) / median(step) / 1e9
                table.print_row(cell, B, H, *milliseconds(times), rate, fraction)
                if H >= 64 or args.quick:
                    fractions[cell][f"batch {B}, H {H}"] = fraction
    print_summary(fractions, "fraction at H >= 64")
    print_machine(note=f"{args.dtype}, T {T}, D {D}, BLAS on one thread")


if __name__ == "__main__":
    main()
