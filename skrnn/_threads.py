"""Work on several parts of a batch at once, in threads of our own."""

from threading import Thread

import numpy as np


def at_once(first, *others):
    """Call functions at once, the first here and each other in a thread; return their results.

    They see the caller's treatment of floating-point errors. The first error is raised when all
    have ended.
    """
    results, errors = [None] * (1 + len(others)), []
    treatment = np.geterr()

    def call(i, function):
        try:
            with np.errstate(**treatment):
                results[i] = function()
        except BaseException as error:
            errors.append(error)

    threads = [Thread(target=call, args=(i, f)) for i, f in enumerate(others, start=1)]
    for thread in threads:
        thread.start()
    call(0, first)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
