"""A copy of this process that computes beside it.

Threads of Python wait for each other between any two calls of NumPy, and calls as short as those of
a recurrent step leave them little else to do. A forked process has no such wait, starts within
milliseconds, and finds in its memory all that the fit has read.
"""

import gc
import os
import pickle
import select
import signal
import sys
import threading
from contextlib import suppress
from mmap import mmap
from multiprocessing import Pipe
from time import perf_counter

import numpy as np

from ._blas import one_thread

SECONDS_AWAKE = 0.001  # a longer wait is slept through; waking up takes a tenth of it
WAITS = "threading.wait", "selectors.select", "concurrent.futures.thread._worker"
NOTEBOOK = "IPython", "ipykernel", "zmq"  # their threads never compute


class PartnerGoneError(Exception):
    """The partner ended, or cannot be reached: nothing it was asked for will come."""


def can_fork():
    """Whether this process can be forked without harm.

    Outside of Linux, libraries that NumPy may use do not survive it; and on Linux OpenBLAS waits
    for ever if another thread is within a product.
    """
    own, frames = threading.get_ident(), sys._current_frames()
    others = [frame for thread, frame in frames.items() if thread != own]
    return sys.platform == "linux" and all(map(_is_idle, others))


def _is_idle(frame):
    """Whether a thread that is there will do nothing until it is called."""
    place = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}"
    return place in WAITS or place.partition(".")[0] in NOTEBOOK


class Partner:
    """A fork of this process that computes `function(*arguments)`, one call at a time.

    It is at work from `ask` to `answer`. What the function has at the fork need not be sent. It has
    no thread but its own, no file but the pipe and the standard ones, gets no signals and ends when
    this process does. It begins with a call of its own, with `arguments`, and `is_ready` when that
    went well: a lock that another thread held at the fork would stop it there, for ever.
    """

    def __init__(self, function, arguments):
        self._ready, self._pid = False, None
        self._pipe, its_pipe = Pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            try:
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                self._pid = one_thread.fork()
                if self._pid == 0:
                    self._pipe.close()
                    _serve(its_pipe, function, arguments)
            finally:
                its_pipe.close()
                signal.pthread_sigmask(signal.SIG_SETMASK, before)  # Ctrl-C may come now
        except BaseException:
            self.close()
            raise

    def is_ready(self):
        """Whether it listens."""
        if not self._ready and self._pipe.poll():
            self.answer()
            self._ready = True
        return self._ready

    def ask(self, *arguments):
        message = pickle.dumps(arguments, pickle.HIGHEST_PROTOCOL)
        try:
            self._pipe.send_bytes(message)
        except OSError:
            raise PartnerGoneError from None

    def answer(self):
        try:
            _watch(self._pipe)
            return self._pipe.recv()
        except (EOFError, OSError):
            raise PartnerGoneError from None

    def close(self):
        """End it, whatever it is at."""
        self._pipe.close()
        with suppress(ChildProcessError):  # someone else may have waited for it
            if self._pid and os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)


def shared_array(n, dtype):
    """An array (n,) that a partner made later writes to and reads from as we do."""
    return np.frombuffer(mmap(-1, n * np.dtype(dtype).itemsize), dtype)


def _serve(pipe, function, arguments):
    """Answer until the other side closes the pipe; then end, without the caller's clean-up."""
    try:
        gc.disable()  # what was garbage at the fork is not ours to finalize
        for fd in map(int, os.listdir("/proc/self/fd")):
            if fd > 2 and fd != pipe.fileno():
                with suppress(OSError):  # that of the list of all is closed by now
                    os.close(fd)
        while True:
            pipe.send(function(*arguments))
            _watch(pipe)
            arguments = pickle.loads(pipe.recv_bytes())
    finally:
        os._exit(0)


def _watch(pipe):
    """Look for a message for as long as it takes to be woken by one, before one waits for it."""
    poller = select.poll()
    poller.register(pipe.fileno(), select.POLLIN)
    end = perf_counter() + SECONDS_AWAKE
    while perf_counter() < end and not poller.poll(0):
        pass
