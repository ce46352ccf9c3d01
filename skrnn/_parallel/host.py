"""What a computation borrows from the process that hosts it: BLAS's threads, and Ctrl-C.

BLAS computes on one thread: for products as small as those of a step that is faster, its bits do
not depend on the number of cores, and a fork by somebody else meanwhile cannot hang. Its thread
counts belong to the process, so that all computations, in whichever threads, share one guard.

Ctrl-C is taken where nothing is left half done: between batches of a fit, between segments of a
prediction, at the end of a step. Until then Python's own handler is replaced by one that takes a
note.
"""

import os
import threading
import weakref
from _signal import SIGINT, default_int_handler, getsignal, signal  # its enums cost 1 us per call
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import Any

import numpy as np
from scipy.linalg import cython_blas  # noqa: F401  loads SciPy's own BLAS before a controller looks
from threadpoolctl import ThreadpoolController

SECONDS_TO_INSIST = 2.0


class BlasGuard:
    """Limits BLAS to one thread while there is a computation.

    A computation is counted in before anything is changed, by a weak reference: one that an error
    keeps from leaving is forgotten with its frame, and the next one to leave restores the counts.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside: set[weakref.ref[Any]] = set()
        self._pools: list[tuple[Callable[[], int], Callable[[int], Any]]] = []
        self._outside: list[int] = []  # threads of each pool outside of the guard

    def enter(self, computation: object) -> "weakref.ref[Any]":
        ticket = weakref.ref(computation, self._inside.discard)
        self._inside.add(ticket)
        with self._lock:
            if not self._pools:
                self._pools = _find_pools()
                self._outside = [1] * len(self._pools)
            for i, (count, limit) in enumerate(self._pools):
                if (n_threads := count()) != 1:
                    self._outside[i] = n_threads
                    limit(1)
        return ticket

    def leave(self, ticket: "weakref.ref[Any]") -> None:
        with self._lock:
            self._inside.discard(ticket)
            if not self._inside:
                self._restore()

    def _restore(self) -> None:
        for i, (count, limit) in enumerate(self._pools):
            if self._outside[i] != 1 and count() == 1:  # else somebody else has set it meanwhile
                limit(self._outside[i])
            self._outside[i] = 1

    @property
    def n_threads(self) -> int:
        """Threads that BLAS may use outside of the guard."""
        return min(self._outside, default=1)

    def after_fork(self) -> None:
        """Start afresh in a child process, where no other thread survives to leave."""
        self._lock = threading.RLock()
        self._inside.clear()
        self._restore()


def _find_pools() -> list[tuple[Callable[[], int], Callable[[int], Any]]]:
    """Functions that return and set the threads of each BLAS of the process."""
    pools = ThreadpoolController().select(user_api="blas").lib_controllers
    return [_functions_of(pool) for pool in pools]


def _functions_of(pool: Any) -> tuple[Callable[[], int], Callable[[int], Any]]:
    """Those of OpenBLAS itself, where its count belongs to the process.

    threadpoolctl's take three times as long, and ignore all but the first thread that calls them.
    """
    symbol = getattr(pool, "_get_symbol", lambda name: None)
    names = "openblas_get_num_threads", "openblas_set_num_threads"
    count, limit = (symbol(name) for name in names)
    if count is None or limit is None or getattr(pool, "threading_layer", None) == "openmp":
        return pool.get_num_threads, pool.set_num_threads
    return count, limit


class Interrupts:
    """Notes of Ctrl-C while a computation runs in the main thread.

    `requested` asks for an end where something is complete; `insisted`, after a second Ctrl-C
    within two seconds, or where there is nothing to complete, for an end at once.
    """

    def __init__(self) -> None:
        self.requested = self.insisted = False
        self._patient = True
        self._latest = -SECONDS_TO_INSIST

    def begin(self, patient: bool) -> bool:
        """Take notes in place of Python's handler; whether that was done.

        It is not in other threads, inside another computation, and where the user has a handler.
        """
        if getsignal(SIGINT) is not default_int_handler:
            return False
        try:
            signal(SIGINT, self._note)
        except ValueError:  # only the main thread may
            return False
        self._patient = patient
        return True

    def end(self) -> None:
        """Give the handler back, and raise what was noted but not taken."""
        signal(SIGINT, default_int_handler)
        if self.requested or self.insisted:
            self.requested = self.insisted = False
            raise KeyboardInterrupt

    def take(self) -> bool:
        """Whether an end was requested, which is hereby taken note of."""
        taken, self.requested = self.requested, False
        return taken

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = monotonic()
        insists = now - self._latest < SECONDS_TO_INSIST
        self._latest = now
        self.insisted = self.insisted or insists or not self._patient
        self.requested = True


class computing:  # noqa: N801
    """Context of a computation: BLAS on one thread, and Ctrl-C taken where nothing is half done.

    A `patient` one looks for `interrupts.requested` itself, others end between segments.
    """

    __slots__ = ("__weakref__", "_patient", "_takes_notes", "_ticket")

    def __init__(self, patient: bool = False):
        self._patient = patient

    def __enter__(self) -> None:
        self._takes_notes = interrupts.begin(self._patient)
        self._ticket = blas_guard.enter(self)

    def __exit__(self, *error: object) -> None:
        blas_guard.leave(self._ticket)
        if self._takes_notes:
            interrupts.end()


def quiet() -> np.errstate:
    """Ignore floating-point errors: results that are not finite are dealt with where they show."""
    return np.errstate(over="ignore", invalid="ignore", under="ignore")


blas_guard, interrupts = BlasGuard(), Interrupts()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=blas_guard.after_fork)
