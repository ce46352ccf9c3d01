"""Ctrl-C at random times, and what it leaves of the process and of the estimator.

Run with `python benchmarks/interrupts.py [n]`, on Linux. Another process sends n SIGINT, each after
a random delay, at times two in quick succession, while this one fits, predicts, steps and searches.
Calls that were interrupted ended with what was "learned", or "raised" KeyboardInterrupt; "late" are
those of the latter whose estimator was fitted all the same, as the last one came when the fit had
been assigned, or returned. None may be "lost". After each one:

- "process": handler, signal mask, threads of BLAS, treatment of floating-point errors, open files,
  threads and environment are compared with those before;
- "estimator": the weights are, to the bit, those that a fit without interrupts has after as many
  batches as the optimiser counts, and the fit can be resumed; or all is as it was before.
  Predictions and states have the same bits as ever.

Both count what was not so, and must be 0. In the last rows SIGALRM raises TimeoutError anywhere:
what that left changed of the process, the next prediction must have put right, but for the
treatment of floating-point errors: NumPy's errstate by itself does not survive errors anywhere.
"""

import copy
import os
import pickle
import random
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from argparse import ArgumentParser
from contextlib import suppress

import numpy as np
from _common import Table, print_machine
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from threadpoolctl import ThreadpoolController

from skrnn import RNNClassifier
from skrnn._parallel.host import interrupts
from skrnn._training.loops import Updater

SHARE_OF_PAIRS = 0.3
N_COPIES = 5
SENDER = """
import os, signal, sys, time
for line in sys.stdin:
    for delay in map(float, line.split()):
        time.sleep(delay)
        os.kill(os.getppid(), getattr(signal, sys.argv[1]))
    print(flush=True)
"""


class Sender:
    """A process that sends this one signals, and says when it has."""

    def __init__(self, name):
        self._process = subprocess.Popen(
            [sys.executable, "-c", SENDER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._waits = False

    def arm(self, delays):
        """Have a signal sent after each of these delays."""
        self._waits = True
        self._process.stdin.write((" ".join(map(str, delays)) + "\n").encode())
        self._process.stdin.flush()

    @property
    def has_sent(self):
        """Whether all signals were sent."""
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def wait(self):
        """Wait until all signals were sent, and their handlers have run."""
        while self._waits:
            if select.select([self._process.stdout], [], [], 1)[0]:
                os.read(self._process.stdout.fileno(), 1)
                self._waits = False

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def snapshot(blas):
    """All of the process that a computation borrows, or could leave changed."""
    return {
        "handler": signal.getsignal(signal.SIGINT),
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "BLAS": [pool["num_threads"] for pool in blas.info()],
        "errors": np.geterr(),
        "files": sorted(os.listdir("/proc/self/fd")),
        "threads": (threading.active_count(), len(os.listdir("/proc/self/task"))),
        "environment": dict(os.environ),
    }


# What is interrupted --------------------------------------------------------------------------


def state(estimator):
    """All that was learned, or else None."""
    if not hasattr(estimator, "n_iter_"):
        return None
    optimizer, rng = estimator._training.optimizer, estimator._training.rng
    arrays = estimator._model.network.theta, optimizer.m, optimizer.v, rng.get_state()[1]
    numbers = optimizer.t, rng.get_state()[2:], estimator.n_iter_, tuple(estimator.loss_curve_)
    return *(array.tobytes() for array in arrays), numbers


def theta_of(estimator):
    return estimator._model.network.theta.tobytes()


def thetas_after_batches(fit):
    """The weights of an undisturbed fit after every batch."""
    step, thetas = Updater.step, []

    def recorded(self, theta, *given):
        result = step(self, theta, *given)
        thetas.append(theta.tobytes())
        return result

    Updater.step = recorded
    try:
        fit()
    finally:
        Updater.step = step
    return thetas


class Fit:
    """Fits of copies of an estimator, fitted before or not; the latest copy is looked at.

    `n_late` counts those that raised when they had assigned what was learned.
    """

    def __init__(self, estimator, method, X, y):
        self._estimator, self._data = estimator, (X, y)
        self._method = method
        self._before = state(estimator)
        whole = copy.deepcopy(estimator)
        self._n_before = self._batches(whole)
        self._thetas = thetas_after_batches(lambda: getattr(whole, method)(X, y))
        self.n_late = 0
        self.prepare()

    @staticmethod
    def _batches(estimator):
        return estimator._training.optimizer.t if hasattr(estimator, "n_iter_") else 0

    def prepare(self):
        """Copy beforehand: NumPy's RandomState() itself does not survive Ctrl-C unchanged."""
        self._copies = [copy.deepcopy(self._estimator) for _ in range(N_COPIES)]
        self._copy = self._copies.pop()

    def __call__(self):
        """Fit a copy, if one is left."""
        if not self._copies:
            time.sleep(1e-4)
            return
        self._copy = self._copies.pop()
        getattr(self._copy, self._method)(*self._data)

    def is_right(self, learned):
        """Whether the copy is as it was, or as after a number of whole batches."""
        fitted = self._copy
        if state(fitted) == self._before:
            return not learned
        self.n_late += not learned
        n = self._batches(fitted) - self._n_before
        if not 1 <= n <= len(self._thetas) or theta_of(fitted) != self._thetas[n - 1]:
            return False
        if not np.isfinite(fitted.predict_proba(self._data[0])).all():
            return False
        fitted.set_params(warm_start=True, max_iter=1).fit(*self._data)
        n_more = self._batches(fitted) - self._n_before - n
        return n_more == len(self._data[0]) // fitted.batch_size


class Call:
    """A call of a fitted estimator, which must return the same bits again and again."""

    n_late = "-"

    def __init__(self, call, estimator):
        self._call, self._estimator = call, estimator
        self._bits, self._before = pickle.dumps(call()), state(estimator)

    def __call__(self):
        """Call."""
        self._call()

    def is_right(self, learned):
        """Whether the next call returns the same bits, and the estimator is as it was."""
        again = pickle.dumps(self._call())
        return not learned and again == self._bits and state(self._estimator) == self._before


class Search:
    """A search, whose fits may end with what they have learned, while it goes on."""

    n_late = "-"

    def __init__(self, search, X, y):
        self._search, self._data = search, (X, y)
        self._latest = clone(search)

    def __call__(self):
        """Search anew."""
        self._latest = clone(self._search)
        self._latest.fit(*self._data)

    def is_right(self, learned):
        """Whether a search that went on to its end has an estimator that predicts."""
        return not learned or np.isfinite(self._latest.predict_proba(self._data[0])).all()


def operations():
    X = np.random.default_rng(0).standard_normal((128, 40, 3)).astype(np.float32)
    y = X[:, :, 0].sum(axis=1) > 0
    net = RNNClassifier(hidden_layer_sizes=16, batch_size=32, max_iter=4, random_state=0)
    fitted = clone(net).fit(X, y)
    _, stream = fitted.step(X[:, 0])

    def step():
        after, output = stream, None
        for t in range(1, 40):
            output, after = fitted.step(X[:, t], after)
        return output

    large = np.tile(X, (8, 1, 1))
    grid = GridSearchCV(clone(net), {"alpha": [0.0, 0.1]}, cv=2)
    return {
        "fit": Fit(clone(net), "fit", X, y),
        "fit, one epoch": Fit(clone(net).set_params(max_iter=1), "fit", X, y),
        "partial_fit": Fit(fitted, "partial_fit", X, y),
        "predict": Call(lambda: fitted.predict_proba(large), fitted),
        "step": Call(step, fitted),
        "GridSearchCV": Search(grid, X, y),
    }


# Rounds ---------------------------------------------------------------------------------------


class Round:
    """One operation again and again until it is interrupted; what came of it."""

    def __init__(self, operation, sender, delays):
        self._operation, self._sender, self._delays = operation, sender, delays
        self.learned = self.raised = False

    def run(self):
        """Call until a signal was sent, or a fit was interrupted."""
        self._sender.arm(self._delays)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            while not self._sender.has_sent and not caught:
                self._operation()
                caught[:] = [one for one in caught if "interrupted by the user" in str(one.message)]
        self.learned = bool(caught)

    def __call__(self):
        """Run, and wait until both signals have come, wherever they do."""
        try:
            try:
                self.run()
                self._sender.wait()
            except (KeyboardInterrupt, TimeoutError):  # the second may come here
                self.raised = True
                self._sender.wait()
        except (KeyboardInterrupt, TimeoutError):
            self.raised = True
            self._sender.wait()


def print_row(table, name, operation, sender, n, blas, heal=None):
    if isinstance(operation, Fit):
        operation.n_late = 0
    operation()
    start = time.perf_counter()
    operation()
    seconds = time.perf_counter() - start
    n_sent = n_rounds = learned = raised = lost = changed = wrong = 0
    before, names = snapshot(blas), set()
    while n_sent < n:
        delays = [random.uniform(0, 1.5 * seconds)]
        if random.random() < SHARE_OF_PAIRS and n_sent + 1 < n:
            delays.append(random.choice([0.0, 1e-4, 1e-3, seconds / 3]))
        interrupts._latest = -np.inf  # each one the first for two seconds, but for pairs
        if isinstance(operation, Fit):
            operation.prepare()
        latest = Round(operation, sender, delays)
        latest()
        if heal is not None:
            heal()
            np.seterr(**before["errors"])
        after = snapshot(blas)
        differing = {key for key in before if before[key] != after[key]}
        names |= differing
        changed += bool(differing)
        wrong += not operation.is_right(latest.learned and not latest.raised)
        n_sent += len(delays)
        n_rounds += 1
        learned += latest.learned and not latest.raised
        raised += latest.raised
        lost += not (latest.learned or latest.raised)
    table.print_row(name, n_sent, n_rounds, learned, raised, operation.n_late, lost, changed, wrong)
    if names:
        print("  changed:", ", ".join(sorted(names)))
    return changed + wrong


def fail(number, frame):
    raise TimeoutError


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int, nargs="?", default=1000, help="interrupts of all operations")
    n = parser.parse_args().n
    random.seed(0)
    warnings.simplefilter("ignore", ConvergenceWarning)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    blas, todo = ThreadpoolController().select(user_api="blas"), operations()
    fitted = todo["predict"]
    table = Table("", "sent", "calls", "learned", "raised", "late", "lost", "process", "estimator")
    sender, failures = Sender("SIGINT"), 0
    for name, operation in todo.items():
        failures += print_row(table, name, operation, sender, -(-n // len(todo)), blas)
    sender.close()
    signal.signal(signal.SIGALRM, fail)
    sender = Sender("SIGALRM")
    for name in ("fit", "predict", "step"):
        arguments = todo[name], sender, -(-n // len(todo)), blas
        failures += print_row(table, f"{name}, TimeoutError", *arguments, heal=fitted)
    sender.close()
    with suppress(OSError):
        print_machine(note=f"BLAS on {[pool['num_threads'] for pool in blas.info()]} threads")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
