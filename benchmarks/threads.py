"""Two threads against one, below and above the size of a step from which skrnn takes two.

Run with `python benchmarks/threads.py`, with both cores free. The rule looks at the multiplications
of one gate in one step, of a batch to learn from, or of the sequences that a prediction takes at
once; here it is overruled both ways. A gain of 2 is: twice as fast with two threads.
"""

import warnings
from functools import partial

import numpy as np
from _common import Side, Table, alternate, options, parse, print_machine, ratio
from _peers import classifier, labels
from sklearn.exceptions import ConvergenceWarning

import skrnn._parallel as parallel
from skrnn._network import BLOCK_COLUMNS, make_network

RULE = parallel.PRODUCTS_IN_TWO
NEVER, ALWAYS = float("inf"), 0
SHAPES = (  # n, T, D, H, batch
    (640, 100, 1, 32, 32),
    (640, 100, 8, 64, 32),
    (640, 100, 8, 64, 128),
    (512, 100, 8, 64, 256),
    (320, 100, 8, 128, 64),
    (512, 100, 8, 128, 128),
    (160, 100, 64, 256, 32),
    (320, 100, 64, 256, 64),
)
QUICK_SHAPES = ((40, 5, 1, 8, 20),)


def gain(call, args):
    """How many times faster two threads are."""
    sides = {
        rule: Side(call, partial(setattr, parallel, "PRODUCTS_IN_TWO", rule))
        for rule in (NEVER, ALWAYS)
    }
    times = alternate(sides, args.rounds, args.seconds)
    return ratio(times[NEVER], times[ALWAYS])


def main():
    args = parse(options(__doc__, rounds=5, seconds=0.3))
    warnings.simplefilter("ignore", ConvergenceWarning)
    what = ("fit", "predict")
    columns = [f"{name}, {cell}" for name in what for cell in args.cells]
    table = Table("n, T, D, H, batch", *(f"{name}: million" for name in what), *columns)
    for shape in QUICK_SHAPES if args.quick else SHAPES:
        n, T, D, H, batch = shape
        X, y = np.random.default_rng(0).standard_normal((n, T, D), dtype=np.float32), labels(n)
        nets = [classifier(cell, H, batch, 1).fit(X, y) for cell in args.cells]
        calls = [partial(net.fit, X, y) for net in nets]
        calls += [partial(net.predict_proba, X) for net in nets]
        n_products = make_network(nets[0]._design).n_products
        products = [n_products * m for m in (batch, min(n, 2 * BLOCK_COLUMNS))]
        marks = [f"{m / 1e6:.2g}{', two' if m >= RULE else ''}" for m in products]
        table.print_row(", ".join(map(str, shape)), *marks, *(gain(call, args) for call in calls))
    print_machine(note=f"float32; two threads from {RULE / 1e6:g} million on")


if __name__ == "__main__":
    main()
