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
from threading import get_ident
from time import monotonic
from types import FrameType
from typing import Any

import numpy as np
from scipy.linalg import cython_blas  # noqa: F401  loads SciPy's own BLAS before a controller looks
from threadpoolctl import ThreadpoolController

SECONDS_TO_INSIST = 2.0  # between two Ctrl-C that mean: end the whole call


class BlasGuard:
    """Limits BLAS to one thread while there is a computation.

    A computation is counted in before anything is changed, by a weak reference: one that an error
    keeps from leaving is forgotten with its frame, and the next one to leave restores the counts.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()  # held during a fork, too: BLAS's setter locks
        self._inside: set[weakref.ref[computing]] = set()
        self._pools: list[tuple[Callable[[], int], Callable[[int], Any]]] = []
        self._outside: list[int] = []  # threads of each pool outside of the guard

    def enter(self, computation: "computing") -> "weakref.ref[computing]":
        ticket = weakref.ref(computation, self._inside.discard)
        self._inside.add(ticket)
        with self.lock:
            if not self._pools:
                self._pools = _find_pools()
                self._outside = [1] * len(self._pools)
            for i, (count, limit) in enumerate(self._pools):
                if (n_threads := count()) != 1:
                    self._outside[i] = n_threads
                    limit(1)
        return ticket

    def leave(self, ticket: "weakref.ref[computing]") -> None:
        with self.lock:
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

    def after_fork_in_child(self) -> None:
        """Start afresh in a child process, where no other thread survives to leave.

        If one was inside, it may have held a lock of BLAS's that nobody releases here. Then the
        counts wait for the next computation, so that a child which has none cannot hang.
        """
        inside = [computation for ticket in self._inside if (computation := ticket())]
        self._inside.clear()
        self.lock.release()
        if all(computation.thread == get_ident() for computation in inside):
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


class _Thread(threading.local):
    listens = False


def _nobody() -> None:
    """In place of a weak reference."""


class Interrupts:
    """Notes of Ctrl-C while a computation runs in the main thread.

    `requested` asks for an end where something is complete; `insisted`, after a second Ctrl-C
    within two seconds, or where there is nothing to complete, for an end at once. Both are false in
    threads that do not work for that computation.

    The computation is known by a weak reference: where an error keeps it from leaving, the next
    computation takes over its handler, and the next Ctrl-C gives it back.
    """

    def __init__(self) -> None:
        self._requested = self._insisted = False
        self._patient = True
        self._latest = self._since = -SECONDS_TO_INSIST  # of Ctrl-C; of insisting
        self._handler = self._note  # one object, to be known again
        self._computation: Callable[[], object] = _nobody
        self._thread = _Thread()

    @property
    def requested(self) -> bool:
        return self._requested and self._thread.listens

    @property
    def insisted(self) -> bool:
        return self._insisted and self._thread.listens

    @property
    def listens(self) -> bool:
        """Whether this thread works for the computation that is to be interrupted."""
        return self._thread.listens

    @listens.setter
    def listens(self, value: bool) -> None:
        self._thread.listens = value

    def begin(self, computation: object, patient: bool) -> bool:
        """Take notes in place of Python's handler; whether that was done.

        It is not in other threads, inside another computation, and where the user has a handler.
        """
        handler = getsignal(SIGINT)
        if handler is not default_int_handler and (
            handler is not self._handler or self._computation() is not None
        ):
            return False
        try:
            signal(SIGINT, self._handler)
        except ValueError:  # only the main thread may
            return False
        self._requested = self._insisted = False
        self._patient = patient
        self._thread.listens = True
        self._computation = weakref.ref(computation)  # from here on notes are taken
        return True

    def end(self, error: object = None) -> None:
        """Give the handler back, and raise what was noted but not taken, if `error` does not."""
        try:
            if getsignal(SIGINT) is self._handler:  # else the user has set one meanwhile
                signal(SIGINT, default_int_handler)  # the next Ctrl-C is raised here
        finally:
            noted = self._requested or self._insisted
            self._requested = self._insisted = self._thread.listens = False
            self._computation = _nobody
        if noted and error is not KeyboardInterrupt:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if the user insists on an end."""
        if self.insisted:
            raise KeyboardInterrupt

    def take(self) -> bool:
        """Whether an end was requested, which is hereby taken note of."""
        taken = self.requested
        if taken:
            self._requested = False
        return taken

    def after_fork_in_child(self) -> None:
        """Give the handler back in a child process, if it is another thread that computed."""
        if getsignal(SIGINT) is self._handler and not self._thread.listens:
            signal(SIGINT, default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._computation() is None:
            signal(SIGINT, default_int_handler)
            raise KeyboardInterrupt
        now = monotonic()
        if self._insisted and now - self._since > SECONDS_TO_INSIST:
            raise KeyboardInterrupt  # nobody looks at the notes: a callback waits for something
        if not self._insisted and (not self._patient or now - self._latest < SECONDS_TO_INSIST):
            self._since, self._insisted = now, True
        self._latest, self._requested = now, True


class computing:  # noqa: N801
    """Context of a computation: BLAS on one thread, and Ctrl-C taken where nothing is half done.

    A `patient` one looks for `interrupts.requested` itself, others end between segments.
    """

    __slots__ = ("__weakref__", "_patient", "_takes_notes", "_ticket", "thread")

    def __init__(self, patient: bool = False):
        self._patient, self.thread = patient, get_ident()
        self._takes_notes = False
        self._ticket: Any = None

    def __enter__(self) -> None:
        self._takes_notes = interrupts.begin(self, self._patient)
        self._ticket = blas_guard.enter(self)

    def __exit__(self, error: object, *details: object) -> None:
        blas_guard.leave(self._ticket)
        if self._takes_notes:
            interrupts.end(error)


def quiet() -> np.errstate:
    """Ignore floating-point errors: results that are not finite are dealt with where they show."""
    return np.errstate(over="ignore", invalid="ignore", under="ignore")


blas_guard, interrupts = BlasGuard(), Interrupts()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=blas_guard.lock.acquire,
        after_in_parent=blas_guard.lock.release,
        after_in_child=blas_guard.after_fork_in_child,
    )
    os.register_at_fork(after_in_child=interrupts.after_fork_in_child)
