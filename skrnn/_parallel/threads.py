"""Work in threads of our own."""

from collections.abc import Callable, Sequence
from itertools import count
from threading import Thread
from typing import Any

import numpy as np

from skrnn._parallel.host import computing, interrupts


def in_threads(functions: Sequence[Callable[[], Any]], n_threads: int) -> list[Any]:
    """Call functions, in this thread and others, at most `n_threads` in all; return their results.

    All have the caller's treatment of floating-point errors. Where a thread cannot be started, the
    others do its work. The first error is raised when all have ended.
    """
    results: list[Any] = [None] * len(functions)
    errors: list[BaseException] = []
    treatment, numbers = np.geterr(), count()  # next() of it is atomic
    listens = interrupts.listens

    def work() -> None:
        interrupts.listens = listens
        try:
            with computing(), np.errstate(**treatment):
                while not errors and (i := next(numbers)) < len(functions):
                    results[i] = functions[i]()
        except BaseException as error:
            errors.append(error)

    threads = []
    for _ in range(min(n_threads, len(functions)) - 1):
        thread = Thread(target=work)
        try:
            thread.start()
        except RuntimeError:  # the system has no more, as in WebAssembly
            break
        threads.append(thread)
    work()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
