"""What shards cost one core, and what threads gain from them.

Run with `python benchmarks/threads.py`, with both cores free. Large batches are summed shard by
shard, by shapes alone. "Cost" is the time of a fit in shards by one thread over that of one that
does not shard; "gain" is how many times faster two threads are than one that does not shard.
`--overrule` shards smaller batches too, to see whether it would pay.
"""

import warnings
from functools import partial

import numpy as np
from _common import Side, Table, alternate, options, parse, print_machine, ratio
from _peers import classifier, labels
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

import skrnn._parallel.shards as shards
from skrnn._nn.cells import CELLS

RULE = shards.COLUMNS_OF_SHARD, shards.PRODUCTS_PER_SHARD
SHAPES = (  # n, T, D, H, batch
    (256, 100, 8, 64, 128),
    (512, 100, 8, 64, 256),
    (1024, 100, 8, 64, 512),
    (256, 100, 8, 128, 128),
    (512, 100, 8, 128, 256),
    (128, 100, 64, 256, 64),
    (256, 100, 64, 256, 128),
    (512, 100, 64, 256, 256),
)
QUICK_SHAPES = ((40, 5, 1, 8, 20),)


def prepare(columns, products, n_threads):
    shards.COLUMNS_OF_SHARD, shards.PRODUCTS_PER_SHARD = columns, products
    threadpool_limits(n_threads, user_api="blas")


def timed(call, rule, args):
    """Cost of shards for one core, and gain of two threads."""
    ways = {
        "whole": partial(prepare, 10**9, 1, 1),
        "one thread": partial(prepare, *rule, 1),
        "two threads": partial(prepare, *rule, 2),
    }
    times = alternate(
        {way: Side(call, of_way) for way, of_way in ways.items()}, args.rounds, args.seconds
    )
    return [ratio(times["one thread"], times["whole"]), ratio(times["whole"], times["two threads"])]


def print_table(title, shapes, calls, args):
    table = Table(title, "cell", "million per step and gate", "shards", "cost", "gain")
    for shape in shapes:
        n, T, D, H, batch = shape
        X, y = np.random.default_rng(0).standard_normal((n, T, D), dtype=np.float32), labels(n)
        for cell in args.cells:
            net = classifier(cell, H, batch, 1).fit(X, y)
            call, at_once, inference = calls(net, X, y, batch)
            network = net._model.network.network
            rule = (args.columns, 1) if args.overrule else RULE
            prepare(*rule, 2)
            n_shards = shards.n_shards(network, np.full(at_once, T), inference=inference)
            products = at_once * network.n_products / len(CELLS[cell].gates) / 1e6
            figures = timed(call, rule, args) if n_shards > 1 else ["", ""]
            table.print_row(", ".join(map(str, shape)), cell, f"{products:.3g}", n_shards, *figures)


def fits(net, X, y, batch):
    return partial(net.fit, X, y), batch, False


def predictions(net, X, y, batch):
    return partial(net.predict_proba, X), len(X), True


def main():
    parser = options(__doc__)
    parser.add_argument("--overrule", action="store_true", help="shard whatever has the columns")
    parser.add_argument("--columns", type=int, default=RULE[0], help="columns of a shard then")
    args = parse(parser)
    warnings.simplefilter("ignore", ConvergenceWarning)
    shapes = QUICK_SHAPES if args.quick else SHAPES
    print_table("fit: n, T, D, H, batch", shapes, fits, args)
    print()
    print_table("predict_proba: n, T, D, H, batch", shapes, predictions, args)
    print_machine(
        note=f"float32; shards of {RULE[0]} columns or more, a further one per {RULE[1] / 1e6:g} "
        "million multiplications per step and gate, half of them to predict"
    )


if __name__ == "__main__":
    main()
