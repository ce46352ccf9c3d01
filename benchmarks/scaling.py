"""How time and memory grow: time per epoch against n, T, batch and H; peak memory against T.

Run with `python benchmarks/scaling.py [--plot figure.png]`. Memory is that of a fit of one batch,
with and without truncation; for very long sequences also with gradient checkpointing, which is
automatic where scikit-learn's `working_memory` would be exceeded. A slope is the exponent of
growth, fitted to log time against log size: 1 is proportional, and 0 no growth at all.
"""

import time
import tracemalloc
import warnings
from functools import partial

import numpy as np
from _common import CELLS, Side, Table, alternate, median, options, parse, print_machine
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning

from skrnn import RNNClassifier

BASE = {"n": 512, "T": 100, "batch": 32, "H": 32}
D = 8
FACTORS = (0.5, 1, 2, 4, 8)
MEMORY_T = (100, 200, 400, 800, 1600, 3200)
LONG = {"cell": "gru", "n": 16, "batch": 16, "H": 64}
LONG_T = (20_000, 100_000)
LONG_WAYS = {  # MiB of working memory, and bptt_steps
    "all steps kept": (10**6, None),
    "computed again": (16, None),
    "bptt_steps=200": (16, 200),
}


def fit(cell, n, T, batch, H, bptt_steps=None):
    """Set up a fit of one epoch, as a call without arguments."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, T, D), dtype=np.float32), np.arange(n) % 3
    net = RNNClassifier(
        cell, hidden_layer_sizes=(H,), batch_size=batch, max_iter=1, bptt_steps=bptt_steps
    )
    return partial(net.fit, X, y)


def peak(call):
    """Return the peak memory of a call in MB, beyond what was allocated before."""
    tracemalloc.start()
    call()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 1e6


def slope(sizes, figures):
    return np.polyfit(np.log(sizes), np.log(figures), 1)[0]


def time_curve(cell, axis, base, args):
    """Return sizes along one axis, and seconds per epoch at each."""
    sizes = [int(base[axis] * factor) for factor in FACTORS]
    sides = {size: Side(fit(cell, **base | {axis: size})) for size in sizes}
    times = alternate(sides, args.rounds, args.seconds)
    return sizes, [median(times[size]) for size in sizes]


def memory_curve(cell, base, lengths, bptt_steps=None):
    """Return lengths, and MB of a fit of one batch at each."""
    base = base | {"n": base["batch"], "bptt_steps": bptt_steps}
    return lengths, [peak(fit(cell, **base | {"T": T})) for T in lengths]


def print_long(lengths):
    """Print memory and time of one batch of very long sequences."""
    print()
    table = Table("T", "steps", "peak, MB", "s")
    for T in lengths:
        for name, (working_memory, bptt_steps) in LONG_WAYS.items():
            call = fit(**LONG, T=T, bptt_steps=bptt_steps)
            with config_context(working_memory=working_memory):
                start = time.perf_counter()
                call()
                seconds = time.perf_counter() - start
                table.print_row(T, name, peak(call), seconds)


def print_curves(curves, unit):
    """Print one table per axis of curves {(axis, cell): (sizes, figures)}."""
    for axis in dict.fromkeys(axis for axis, _ in curves):
        of_axis = {cell: curve for (a, cell), curve in curves.items() if a == axis}
        sizes = next(iter(of_axis.values()))[0]
        print()
        table = Table(f"{unit}, {axis} =", *sizes, "slope")
        for cell, (_, figures) in of_axis.items():
            table.print_row(cell, *map(float, figures), slope(sizes, figures))


def save_plot(path, times, memory):
    """Plot one panel per axis, one colour per cell; dashed with truncation."""
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    panels = {f"ms per epoch by {axis}": axis for axis in BASE} | {"peak MB of a batch by T": None}
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 3.2))
    for ax, (title, axis) in zip(axes, panels.items(), strict=True):
        curves = memory if axis is None else {k: c for k, c in times.items() if k[0] == axis}
        for (_, name), (sizes, figures) in curves.items():
            cell, _, truncated = name.partition(", ")
            style, color = "o--" if truncated else "o-", f"C{CELLS.index(cell)}"
            ax.loglog(sizes, figures, style, color=color, label=name, markersize=4)
        ax.set_xticks(sizes, map(str, sizes), fontsize="small")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_title(title, fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="lower center", ncols=6, frameon=False)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(path, dpi=75)


def main():
    parser = options(__doc__, rounds=3, seconds=0.3)
    parser.add_argument("--plot", help="where to save a figure (needs matplotlib)")
    args = parse(parser)
    warnings.simplefilter("ignore", ConvergenceWarning)
    base = {"n": 32, "T": 10, "batch": 8, "H": 8} if args.quick else BASE
    lengths = tuple(T // 10 for T in MEMORY_T) if args.quick else MEMORY_T
    times = {
        (axis, cell): time_curve(cell, axis, base, args) for axis in base for cell in args.cells
    }
    times = {k: (sizes, [1000 * s for s in seconds]) for k, (sizes, seconds) in times.items()}
    print_curves(times, "ms")
    memory = {("T", cell): memory_curve(cell, base, lengths) for cell in args.cells}
    k = lengths[0]
    for cell in args.cells:
        memory["T", f"{cell}, bptt_steps={k}"] = memory_curve(cell, base, lengths, k)
    print_curves(memory, "peak memory of one batch, MB")
    print_long([T // 100 for T in LONG_T] if args.quick else LONG_T)
    if args.plot:
        save_plot(args.plot, times, memory)
    settings = ", ".join(f"{axis} {size}" for axis, size in base.items())
    long = ", ".join(f"{key} {value}" for key, value in LONG.items())
    print_machine(note=f"float32, where not varied: {settings}, D {D}; very long: {long}, D {D}")


if __name__ == "__main__":
    main()
