"""Utilities of the benchmarks: grid, options, the machine, timing in turns, tables.

Imports the standard library alone, so that a script which starts others uses little memory.
"""

import gc
import json
import os
import platform
import time
from argparse import ArgumentParser
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import geometric_mean, median

CELLS = ("rnn_tanh", "gru", "lstm")
GRID = (  # n, T, D, H, batch
    (640, 100, 1, 32, 32),
    (640, 100, 8, 64, 32),
    (1280, 100, 8, 64, 128),
    (640, 200, 16, 128, 64),
    (2000, 50, 8, 32, 200),
    (320, 500, 8, 64, 64),
    (320, 100, 64, 256, 64),
)
QUICK_GRID = ((64, 10, 1, 8, 32), (50, 20, 3, 16, 20))
ALWAYS = ("numpy", "scipy", "scikit-learn", "skrnn")


def options(doc, *, rounds=5, seconds=1.0):
    """Return a parser of the common options; a script adds its own."""
    parser = ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS)
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=seconds, help="length of a turn")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, as a smoke test")
    return parser


def parse(parser, argv=None):
    """Parse the command line; `--quick` makes turns short and few."""
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds, args.seconds = min(args.rounds, 3), min(args.seconds, 0.02)
    return args


def thread_counts():
    """Return the thread counts tried for a peer: one, and one per core."""
    return sorted({1, cores()})


def cores():
    """Return how many cores this process may use, which `taskset -c 0` makes one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


# Results --------------------------------------------------------------------------------------


class Results:
    """Results by name, kept in a file so that an interrupted run can be resumed."""

    def __init__(self, path=None):
        self.path = path and Path(path)
        kept = self.path and self.path.exists()
        self.known = json.loads(self.path.read_text(encoding="utf-8")) if kept else {}

    def get(self, compute, *name):
        """Return the result of that name; compute it if it is missing."""
        key = " | ".join(map(str, name))
        if key not in self.known:
            self.known[key] = compute()
            if self.path:
                self.path.write_text(json.dumps(self.known), encoding="utf-8")
        return self.known[key]


# The machine ----------------------------------------------------------------------------------


def machine(*packages):
    """Return processor and versions in one line; `packages` come after those always listed."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    versions = ", ".join(f"{name} {_version(name)}" for name in (*ALWAYS, *packages))
    return (
        f"{models[0] if models else platform.processor()}, {cores()} of {os.cpu_count()} cores; "
        f"Python {platform.python_version()}, {versions}"
    )


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:  # skrnn on the path, not installed
        return import_module(package).__version__


# Timing ---------------------------------------------------------------------------------------


class Side:
    """One way to do the work: `call` does it once; `prepare` sets threads and is not timed."""

    def __init__(self, call, prepare=lambda: None):
        self.call, self.prepare = call, prepare

    def seconds(self, number=1):
        """Return seconds per call, the mean over `number` calls."""
        self.prepare()
        gc.collect()
        time.sleep(0.01)  # until threads of the previous side stop spinning
        start = time.perf_counter()
        for _ in range(number):
            self.call()
        return (time.perf_counter() - start) / number

    def number_for(self, seconds):
        """Return how many calls take about `seconds`; warm up first."""
        first = self.seconds()
        return 1 if first > seconds else max(1, round(seconds / self.seconds()))


def alternate(sides, rounds, seconds):
    """Return seconds per call of every side by name, one figure per round, in turns of `seconds`.

    Every other round is reversed, so that no side always follows the same one.
    """
    number = {name: side.number_for(seconds) for name, side in sides.items()}
    times = {name: [] for name in sides}
    gc.collect()
    gc.freeze()  # exclude existing objects, above all torch's modules, from garbage collection
    for i in range(rounds):
        for name in list(sides)[:: -1 if i % 2 else 1]:
            times[name].append(sides[name].seconds(number[name]))
    return times


def compare(own, peers, rounds, seconds):
    """Time our side in turns with every setting of every peer, {peer: {setting: Side}}.

    Return the seconds of each side per round, for each peer at the setting of its best median, and
    these settings.
    """
    sides = {(peer, setting): side for peer in peers for setting, side in peers[peer].items()}
    times = alternate({("skrnn", ""): own} | sides, rounds, seconds)
    best = {
        peer: min(settings, key=lambda setting: median(times[peer, setting]))
        for peer, settings in peers.items()
    }
    chosen = {"skrnn": times["skrnn", ""]}
    return chosen | {peer: times[peer, setting] for peer, setting in best.items()}, best


def ratio(peer, own):
    """Return our speedup, the median over the rounds."""
    return median(a / b for a, b in zip(peer, own, strict=True))


def milliseconds(times):
    """Return the median of every side in milliseconds."""
    return [1000 * median(turns) for turns in times.values()]


# Tables ---------------------------------------------------------------------------------------


class Table:
    """A Markdown table, printed row by row."""

    def __init__(self, *header):
        self.print_row(*header)
        print("|" + "---|" * len(header))

    @staticmethod
    def print_row(*values):
        print("|", " | ".join(map(_text, values)), "|", flush=True)


def _text(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def print_summary(ratios, unit="ratio"):
    """Print geometric mean and worst case of every row; `ratios` is {row: {where: figure}}."""
    print()
    table = Table("", f"{unit}, geometric mean", "worst", "at")
    for name, figures in ratios.items():
        worst = min(figures, key=figures.get)
        table.print_row(name, geometric_mean(figures.values()), figures[worst], worst)


def print_machine(*packages, note=""):
    """Print the machine, the versions and a note."""
    print(f"\n{machine(*packages)}{'; ' if note else ''}{note}")
