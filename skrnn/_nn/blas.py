"""BLAS as the core needs it: on one thread, and accumulating in place."""

import os
import threading
from ctypes import (
    CFUNCTYPE,
    PYFUNCTYPE,
    byref,
    c_char,
    c_char_p,
    c_int,
    c_void_p,
    py_object,
    pythonapi,
)
from functools import cache, cached_property, partial

import numpy as np
from scipy.linalg import cython_blas  # loads SciPy's own OpenBLAS before a controller looks
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

    @property
    def outside(self):
        """Threads that BLAS has outside of the guard, in each of its pools."""
        return min(self._counts, default=1)

    def forget(self):
        """Start afresh in a forked child, where no other thread survives to leave the guard."""
        if self._depth:
            self._restore()
        self.__init__()


one_thread = _OneThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=one_thread.forget)


@cache
def _gemm(dtype):
    """BLAS's gemm, by the address that SciPy publishes for Cython.

    Called so, it adds in place and other threads run meanwhile, which they do not with
    `scipy.linalg.blas`. None where BLAS's integers are not C's.
    """
    capsule = cython_blas.__pyx_capi__["sgemm" if dtype == np.float32 else "dgemm"]
    signature = PYFUNCTYPE(c_char_p, py_object)(("PyCapsule_GetName", pythonapi))(capsule)
    if signature.split(b", ")[2] != b"int *":
        return None
    find = PYFUNCTYPE(c_void_p, py_object, c_char_p)(("PyCapsule_GetPointer", pythonapi))
    return CFUNCTYPE(None)(find(capsule, signature))


class ProductSum:
    """A sum of products, added to what is in `total` (m, n), whose rows are contiguous."""

    def __init__(self, total):
        self._total, self._gemm = total, _gemm(total.dtype)

    @cached_property
    def _constants(self):
        one = np.ones((), self._total.dtype)
        constants = np.array(b"T"), np.array(b"N"), one, self._total
        return *map(_pointer, constants), _leading(self._total)

    def adder(self, a, blocks):
        """Return a function of t that adds a @ blocks[t].T, with a (m, k) and blocks (T, n, k).

        It reads what they hold when it is called. Neighbours in a row have to be so in memory.
        """
        gemm = self._gemm
        if gemm is None:
            return partial(_add_product, self._total, a, blocks)
        # BLAS reads columns where we write rows: total.T += blocks[t] @ a.T
        *transposes, one, total, ld_total = self._constants
        n, m, k = (byref(c_int(size)) for size in (blocks.shape[1], *a.shape))
        first, stride = _address(blocks), blocks.strides[0]
        b, ld_b, ld_a = c_void_p(first), _leading(blocks), _leading(a)
        b.kept = blocks
        arguments = *transposes, n, m, k, one, b, ld_b, _pointer(a), ld_a, one, total, ld_total

        def add(t):
            b.value = first + t * stride
            gemm(*arguments)

        return add


def _address(values):
    """Where they are in memory."""
    return values.__array_interface__["data"][0]


def _pointer(values):
    """To where they are in memory, which is kept as long as the pointer; ready to be passed."""
    first = c_char.from_address(_address(values))
    first.kept = values
    return byref(first)


def _leading(values):
    """BLAS's leading dimension: from one row to the next."""
    return byref(c_int(values.strides[-2] // values.itemsize))


def _add_product(total, a, blocks, t):
    total += np.dot(a, blocks[t].T)
