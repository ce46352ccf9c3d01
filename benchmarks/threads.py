"""Two processes, or two threads, against one, below and above the sizes from which skrnn takes two.

Run with `python benchmarks/threads.py`, with both cores free. A fit takes a second process from so
many multiplications in a step and in a batch on; a second thread, where there can be no process,
and a prediction from so many in a step. Here these rules are overruled both ways. A gain of 2 is:
twice as fast as one that does not halve batches; "halves by one" is what it costs one core to sum
up by halves all the same.
"""

import warnings
from functools import partial
from math import inf

import numpy as np
from _common import Side, Table, alternate, options, parse, print_machine, ratio
from _peers import classifier, labels
from sklearn.exceptions import ConvergenceWarning

import skrnn._parallel.shards as parallel
from skrnn._nn.cells import CELLS
from skrnn._nn.network import BLOCK_COLUMNS, make_network

WAYS = {  # PRODUCTS_IN_TWO, PRODUCTS_OF_HALVES, PRODUCTS_OF_A_FORK
    "one": (inf, (inf, inf), inf),
    "halves by one": (inf, (0, 0), inf),
    "threads": (0, (inf, inf), inf),
    "processes": (0, (0, 0), 0),  # threads until the process is ready
}
IN_TWO = {cell: parallel.enough_to_predict(cell) for cell in CELLS}
IN_STEP, IN_BATCH = parallel.PRODUCTS_OF_HALVES
SHAPES = (  # n, T, D, H, batch
    (640, 100, 1, 32, 32),
    (640, 15, 12, 64, 32),
    (640, 100, 8, 64, 32),
    (640, 100, 8, 64, 128),
    (320, 100, 8, 128, 64),
    (512, 100, 8, 128, 128),
    (320, 100, 64, 256, 64),
)
QUICK_SHAPES = ((40, 5, 1, 8, 20),)


def overrule(way):
    names = "PRODUCTS_IN_TWO", "PRODUCTS_OF_HALVES", "PRODUCTS_OF_A_FORK"
    for name, value in zip(names, WAYS[way], strict=True):
        setattr(parallel, name, value)


def gains(call, ways, args):
    """How many times faster each way is than one thread."""
    sides = {way: Side(call, partial(overrule, way)) for way in ("one", *ways)}
    times = alternate(sides, args.rounds, args.seconds)
    return [ratio(times["one"], times[way]) for way in ways]


def fit_for(seconds, net, X, y):
    """A fit of so many epochs that it takes about that long."""
    overrule("one")
    epochs = max(1, round(seconds / Side(lambda: net.set_params(max_iter=1).fit(X, y)).seconds()))
    net.set_params(max_iter=epochs)
    return lambda: net.fit(X, y)


def print_fits(shapes, args):
    table = Table(
        "n, T, D, H, batch",
        "cell",
        "million a step",
        "million a batch",
        "two processes",
        "two threads",
        "halves by one",
    )
    for shape in shapes:
        n, T, D, H, batch = shape
        X, y = np.random.default_rng(0).standard_normal((n, T, D), dtype=np.float32), labels(n)
        for cell in args.cells:
            net = classifier(cell, H, batch, 1)
            fit = fit_for(args.seconds, net, X, y)
            network = make_network(net.fit(X, y)._design)
            in_step = batch * min(network.n_products)
            is_halved = in_step >= IN_STEP and T * in_step >= IN_BATCH
            table.print_row(
                ", ".join(map(str, shape)),
                cell,
                in_step / 1e6,
                f"{T * in_step / 1e6:.3g}{', two' if is_halved else ''}",
                *gains(fit, ("processes", "threads", "halves by one"), args),
            )


def print_predictions(shapes, args):
    table = Table("n, T, D, H", "cell", "million a step", "two threads")
    for n, T, D, H in dict.fromkeys(shape[:4] for shape in shapes):
        X, y = np.random.default_rng(0).standard_normal((n, T, D), dtype=np.float32), labels(n)
        for cell in args.cells:
            net = classifier(cell, H, n, 1).fit(X, y)
            in_step = min(n, 2 * BLOCK_COLUMNS) * min(make_network(net._design).n_products)
            table.print_row(
                f"{n}, {T}, {D}, {H}",
                cell,
                f"{in_step / 1e6:.3g}{', two' if in_step >= IN_TWO[cell] else ''}",
                *gains(partial(net.predict_proba, X), ["threads"], args),
            )


def main():
    args = parse(options(__doc__))
    warnings.simplefilter("ignore", ConvergenceWarning)
    shapes = QUICK_SHAPES if args.quick else SHAPES
    print_fits(shapes, args)
    print()
    print_predictions(shapes, args)
    print_machine(
        note=f"float32; two processes from {IN_STEP / 1e6:g} million a step and "
        f"{IN_BATCH / 1e6:g} a batch on, two threads from {IN_TWO['rnn_tanh'] / 1e6:g} a step on, "
        f"to predict with gates from {IN_TWO['gru'] / 1e6:g}"
    )


if __name__ == "__main__":
    main()
