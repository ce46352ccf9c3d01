"""Forks by somebody else while threads predict, fit and step; and what threads do to one object.

Run with `python benchmarks/forks.py [n]`, where there is os.fork. The main thread forks n times
beside every set of threads, and waits ten seconds for each child: one that ends at once, or every
fourth time predicts before. No child, and no fork, may hang. Then: predictions while the same
object is fitted again are those of the old fit or of the new one; two fits of one object at once
leave it one of them; and where no thread can be started, the bits are those of threads.
"""

import faulthandler
import os
import signal
import sys
import threading
import time
import warnings
from argparse import ArgumentParser

import numpy as np
from _common import Table, print_machine
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

import skrnn._parallel.shards as shards
from skrnn import RNNClassifier

SECONDS_TO_HANG = 10
WORK = "predict", "fit", "step"


def make_data(n=64, T=20):
    X = np.random.default_rng(0).standard_normal((n, T, 3)).astype(np.float32)
    return X, X[:, :, 0].sum(axis=1) > 0


def net(**params):
    return RNNClassifier(**({"max_iter": 2, "random_state": 0} | params))


class Threads:
    """Threads that call functions again and again, until they are left; they must not fail."""

    def __init__(self, functions):
        self._stops, self._functions = False, functions
        self._threads = [threading.Thread(target=self._work, args=(f,)) for f in functions]
        self.calls, self.errors = [0] * len(functions), []

    def _work(self, function):
        i = self._functions.index(function)
        try:
            while not self._stops:
                function()
                self.calls[i] += 1
        except Exception as error:
            self.errors.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._stops = True
        for thread in self._threads:
            thread.join()


# Forks ----------------------------------------------------------------------------------------


def hangs(child):
    """Wait for a child process; whether it had to be killed."""
    end, pause = time.monotonic() + SECONDS_TO_HANG, 1e-4
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(pause)
        pause = min(0.01, 2 * pause)
    return False


def fork(call=None):
    child = os.fork()
    if child == 0:
        try:
            if call is not None:
                call()
        finally:
            os._exit(0)
    return child


def print_forks(n):
    X, y = make_data()
    fitted, failures = net().fit(X, y), 0
    expected, stream = fitted.predict_proba(X), [None]

    def predict():
        assert (fitted.predict_proba(X) == expected).all()

    def step():
        stream[0] = fitted.step(X[:, 0], stream[0])[1]

    work = {"predict": predict, "fit": lambda: net().fit(X, y), "step": step}
    blas = ThreadpoolController().select(user_api="blas")
    before = [pool["num_threads"] for pool in blas.info()]
    table = Table("threads", "calls", "forks", "hung", "of those that predict", "hung", "s")
    for names in (*((name,) for name in WORK), WORK):
        hung, forks, start = [0, 0], [0, 0], time.perf_counter()
        with Threads([work[name] for name in names]) as threads:
            for i in range(n):
                predicts = i % 4 == 3
                faulthandler.dump_traceback_later(3 * SECONDS_TO_HANG, exit=True)  # a fork hangs
                hung[predicts] += hangs(fork(predict if predicts else None))
                forks[predicts] += 1
        faulthandler.cancel_dump_traceback_later()
        is_same = before == [pool["num_threads"] for pool in blas.info()]
        assert is_same and not threads.errors, threads.errors
        failures += sum(hung)
        seconds = time.perf_counter() - start
        table.print_row(
            ", ".join(names), sum(threads.calls), forks[0], hung[0], *(forks[1], hung[1]), seconds
        )
    return failures


# One object in several threads ----------------------------------------------------------------


def predictions_while_fitted_again(rounds):
    """How many predictions were of the old fit, of the new one, and of neither."""
    X, y = make_data()
    estimator, counts = net(), [0, 0, 0]
    outputs = [net(random_state=i).fit(X, y).predict_proba(X) for i in range(2)]
    estimator.fit(X, y)

    def predict():
        got = estimator.predict_proba(X)
        matches = [np.array_equal(got, output) for output in outputs]
        counts[matches.index(True) if any(matches) else 2] += 1

    with Threads([predict, lambda: predict()]) as threads:
        for i in range(rounds):
            estimator.set_params(random_state=(i + 1) % 2).fit(X, y)
    return counts, len(threads.errors)


def two_fits_of_one_object(rounds):
    """How often it was left other than by one of them."""
    X, y = make_data()
    estimator, wrong = net(), 0
    other = (X[:48], y[:48])
    expected = [net().fit(*data).predict_proba(X) for data in ((X, y), other)]
    for _ in range(rounds):
        pair = [threading.Thread(target=estimator.fit, args=data) for data in ((X, y), other)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
        got = estimator.predict_proba(X)
        wrong += not any(np.array_equal(got, one) for one in expected)
    return wrong


def without_threads():
    """Whether a fit and a prediction have the same bits where no thread can be started."""
    X, y = make_data(256)
    shards.PRODUCTS_PER_SHARD, shards.COLUMNS_OF_SHARD = 1, 16
    start, started = threading.Thread.start, []

    def counted(thread):
        started.append(thread)
        start(thread)

    def fail(thread):
        raise RuntimeError("can't start new thread")

    results = []
    for replacement in (counted, fail):
        threading.Thread.start = replacement
        try:
            fitted = net(batch_size=128).fit(X, y)
            results.append([fitted.predict_proba(X), *fitted.weights_.values()])
        finally:
            threading.Thread.start = start
    return len(started), all(map(np.array_equal, *results))


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int, nargs="?", default=1000, help="forks beside each set")
    n = parser.parse_args().n
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)
    failures = print_forks(n)
    print()
    table = Table("one object in several threads", "")
    (old, new, neither), errors = predictions_while_fitted_again(max(2, n // 10))
    table.print_row("predictions of one fit, of the other", f"{old}, {new}")
    table.print_row("of neither, or failed", neither + errors)
    wrong = two_fits_of_one_object(max(2, n // 10))
    table.print_row(f"two fits at once, {max(2, n // 10)} times: left as by neither", wrong)
    started, same = without_threads()
    table.print_row("threads started; same bits where none can be", f"{started}, {same}")
    print_machine()
    sys.exit(bool(failures or neither or errors or wrong or not same))


if __name__ == "__main__":
    main()
