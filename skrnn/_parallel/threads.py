"""Work on several parts of a batch at once, in threads of our own."""

from itertools import count
from threading import Thread

import numpy as np


def in_threads(functions, n_threads):
    """Call functions, by this thread and others, at most `n_threads` in all; return their results.

    They see the caller's treatment of floating-point errors. Where a thread cannot be started, the
    others do its work. The first error is raised when all have ended.
    """
    results, errors, treatment = [None] * len(functions), [], np.geterr()
    numbers = count()  # next() on it is atomic

    def work():
        with np.errstate(**treatment):
            while not errors and (i := next(numbers)) < len(functions):
                try:
                    results[i] = functions[i]()
                except BaseException as error:
                    errors.append(error)

    threads = [Thread(target=work) for _ in range(min(n_threads, len(functions)) - 1)]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except RuntimeError:  # the system has no more, as in WebAssembly
        pass
    work()
    for thread in started:
        thread.join()
    if errors:
        raise errors[0]
    return results
