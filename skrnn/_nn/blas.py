"""Matrix products that are added in place."""

from collections.abc import Callable
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
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import cython_blas

from skrnn._typing import Floats


def _find_gemm(name: str) -> Any:
    """BLAS's gemm, by the address that SciPy publishes for Cython.

    Called so, it adds in place and other threads run meanwhile, which they do not with
    `scipy.linalg.blas`. None where BLAS's integers are not C's.
    """
    capsule = cython_blas.__pyx_capi__[name]
    signature = PYFUNCTYPE(c_char_p, py_object)(("PyCapsule_GetName", pythonapi))(capsule)
    if signature.split(b", ")[2] != b"int *":
        return None
    find = PYFUNCTYPE(c_void_p, py_object, c_char_p)(("PyCapsule_GetPointer", pythonapi))
    return CFUNCTYPE(None)(find(capsule, signature))


GEMM = {np.dtype(np.float32): _find_gemm("sgemm"), np.dtype(np.float64): _find_gemm("dgemm")}


class ProductSum:
    """A sum of products, added to what is in `total` (m, n), whose rows are contiguous."""

    def __init__(self, total: Floats):
        self._total, self._gemm = total, GEMM[total.dtype]
        constants = np.array(b"T"), np.array(b"N"), np.ones((), total.dtype), total
        self._constants = *map(_pointer, constants), _leading(total)

    def adder(self, a: Floats, blocks: Floats) -> Callable[[int], None]:
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
        b.kept = blocks  # type: ignore[attr-defined]
        arguments = *transposes, n, m, k, one, b, ld_b, _pointer(a), ld_a, one, total, ld_total

        def add(t: int) -> None:
            b.value = first + t * stride
            gemm(*arguments)

        return add


def _address(values: Any) -> int:
    """Where an array is in memory."""
    return values.__array_interface__["data"][0]


def _pointer(values: Any) -> Any:
    """Point to an array, ready to be passed, and keep it as long as the pointer."""
    first = c_char.from_address(_address(values))
    first.kept = values  # type: ignore[attr-defined]
    return byref(first)


def _leading(values: Any) -> Any:
    """BLAS's leading dimension: from one row to the next."""
    return byref(c_int(values.strides[-2] // values.itemsize))


def _add_product(total: Floats, a: Floats, blocks: Floats, t: int) -> None:
    total += np.dot(a, blocks[t].T)
