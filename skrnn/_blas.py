"""BLAS as the core needs it: on one thread, and accumulating in place."""

import os
import threading
from functools import cache

import numpy as np
from scipy.linalg import get_blas_funcs  # loads SciPy's own OpenBLAS before a controller looks
from threadpoolctl import ThreadpoolController


@cache
def _pools():
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _set_threads(pool, count):
    """Set the threads of a pool, from whatever thread.

    threadpoolctl 3.8 ignores all but the first thread that set OpenBLAS's count; the count belongs
    to the process all the same.
    """
    getattr(pool, "_real_set_num_threads", pool.set_num_threads)(count)


class _OneThread:
    """Re-entrant guard: the first to enter saves BLAS's thread counts, the last restores them.

    The counts belong to the process, not to a Python thread, so calls that overlap in several
    threads share one guard: each with a limit of its own would restore the other's limit of one.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._depth = 0
        self._counts = []

    def __enter__(self):
        with self._lock:
            if self._depth == 0:
                self._counts = [pool.get_num_threads() for pool in _pools()]
                for pool in _pools():
                    _set_threads(pool, 1)
            self._depth += 1

    def __exit__(self, *error):
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._restore()

    def _restore(self):
        for pool, count in zip(_pools(), self._counts, strict=True):
            _set_threads(pool, count)

    def forget(self):
        """Start afresh in a forked child, where no other thread survives to leave the guard."""
        if self._depth:
            self._restore()
        self.__init__()


one_thread = _OneThread()
os.register_at_fork(after_in_child=one_thread.forget)


class ProductSum:
    """A sum of products: total += a @ b.T, in place while a and b are in cache."""

    def __init__(self, n_rows, n_columns, dtype):
        (self._gemm,) = get_blas_funcs(("gemm",), dtype=np.dtype(dtype))
        # BLAS overwrites c only if it has the right dtype and is F-contiguous; else a copy of it
        self._transposed = np.zeros((n_columns, n_rows), dtype, order="F")

    def clear(self):
        self._transposed.fill(0)

    def add(self, a, b):
        self._gemm(1.0, b.T, a.T, 1.0, self._transposed, 1, 0, 1)

    @property
    def total(self):
        return self._transposed.T


class ProductSumBeside:
    """The same where two threads work at once: SciPy's product would keep the other waiting."""

    def __init__(self, n_rows, n_columns, dtype):
        self.total = np.zeros((n_rows, n_columns), dtype)
        self._product = np.empty_like(self.total)

    def clear(self):
        self.total.fill(0)

    def add(self, a, b):
        np.dot(a, b.T, out=self._product)
        self.total += self._product
