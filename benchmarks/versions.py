"""Compare this checkout with another one, on one core: fits, predictions, steps, the import.

Run with `git worktree add ../before REVISION`, then `python benchmarks/versions.py ../before`. Each
checkout has a process of its own, on one core, and they take turns; times are those of the
processor, so that other work on the machine matters little. A ratio of 1.1 means 1.1 times as fast
as the other checkout; the figure is the median over the rounds.
"""

import os
import subprocess
import sys
import time
import warnings
from argparse import ArgumentParser
from itertools import product
from pathlib import Path
from statistics import median

CELLS = ("rnn_tanh", "gru", "lstm")
FITS = (  # n, T, D, H, batch, further parameters
    (128, 100, 1, 32, 32, {}),
    (128, 100, 8, 64, 32, {}),
    (256, 100, 8, 64, 128, {}),
    (128, 200, 16, 128, 64, {}),
    (400, 50, 8, 32, 200, {}),
    (64, 100, 64, 256, 64, {}),
    (128, 60, 8, 64, 32, {"ragged": True}),
    (64, 60, 8, 32, 32, {"bidirectional": True}),
)
STEPS = ((1, 64), (32, 64))  # sequences, H
SECONDS = 0.15


def work():
    """Answer each job on standard input by seconds per call."""
    import numpy as np

    import skrnn

    warnings.simplefilter("ignore")
    jobs, rng = {}, np.random.default_rng(0)

    def prepare(what, cell, n, T, D, H, batch, params):
        X, y = rng.standard_normal((n, T, D), dtype=np.float32), np.arange(n) % 2
        if params.pop("ragged", False):
            X = [x[:length] for x, length in zip(X, rng.integers(2, T + 1, n), strict=True)]
        sizes = {"hidden_layer_sizes": H, "batch_size": batch, "max_iter": 4, "tol": 0}
        net = skrnn.RNNClassifier(cell, **sizes, **params, random_state=0)
        net.fit(X, y) if n > 1 else net.fit(np.concatenate([X, X]), [0, 1])
        if what == "step":
            _, state = net.step(X[:, 0])
            return lambda: net.step(X[:, 0], state)
        return (lambda: net.fit(X, y)) if what == "fit" else (lambda: net.predict_proba(X))

    for line in sys.stdin:
        if line not in jobs:
            jobs[line] = prepare(*eval(line))
        number, start = 0, time.process_time()
        while number < 2 or time.process_time() - start < SECONDS:
            jobs[line]()
            number += 1
        print((time.process_time() - start) / number, flush=True)


def jobs():
    for cell, shape in product(CELLS, FITS):
        yield "fit", cell, *shape
    for cell in CELLS:
        yield "predict", cell, 1, 100, 8, 64, 1, {}
        yield "predict", cell, 640, 100, 8, 64, 32, {}
    for cell, (n, H) in product(CELLS, STEPS):
        yield "step", cell, n, 2, 4, H, n, {}


class Worker:
    """A process that has imported the package of one checkout."""

    def __init__(self, folder):
        self.environment = os.environ | {"PYTHONPATH": str(folder), "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def seconds(self, job):
        """Seconds of processor time per call."""
        self.process.stdin.write(f"{job!r}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def seconds_of_import(self):
        """Seconds of a new process that imports the package."""
        start = time.perf_counter()
        command = [sys.executable, "-c", "import skrnn"]
        subprocess.run(command, env=self.environment, check=True, cwd="/")
        return time.perf_counter() - start


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from _common import Table, print_machine

    other, own = Worker(args.other.resolve()), Worker(Path(__file__).resolve().parent.parent)
    table = Table("what", "cell", "n, T, D, H, batch", "other, ms", "ratio", "least", "greatest")

    def print_row(names, seconds):
        """`seconds` of a worker; the workers take turns."""
        seconds(other), seconds(own)
        turns = [[seconds(w) for w in (other, own)[:: 1 - 2 * (i % 2)]] for i in range(args.rounds)]
        pairs = [turn[:: 1 - 2 * (i % 2)] for i, turn in enumerate(turns)]
        ratios = [before / after for before, after in pairs]
        table.print_row(
            *names, 1000 * median(p[0] for p in pairs), median(ratios), min(ratios), max(ratios)
        )

    for job in jobs():
        what, cell, *shape, params = job
        name = " ".join([what, *params])
        print_row(
            (name, cell, ", ".join(map(str, shape))), lambda worker, job=job: worker.seconds(job)
        )
    print_row(("import", "", ""), Worker.seconds_of_import)
    print_machine(note="processor time, but for the import; one core, one thread")


if __name__ == "__main__":
    work() if "--worker" in sys.argv else main()
