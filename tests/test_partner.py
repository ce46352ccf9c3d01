"""A fork of this process that computes beside it."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from skrnn._blas import one_thread
from skrnn._partner import Partner, PartnerGoneError, shared_array

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no partner on this system")


@pytest.fixture
def make():
    """Make partners that are closed in the end; wait for them to be ready unless told not to."""
    made = []

    def make_one(function, *arguments, wait=True):
        made.append(Partner(function, arguments))
        assert not wait or becomes_true(made[-1].is_ready)
        return made[-1]

    yield make_one
    for partner in made:
        partner.close()
        assert not is_alive(partner._pid)


def becomes_true(condition):
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def is_alive(pid):
    """Whether it runs: an orphan that nobody waits for stays a zombie, Z."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_answers_call_after_call(make):
    partner = make(lambda a, b: a - b, 0, 0)
    for a in range(3):
        partner.ask(a, 5)
        assert partner.answer() == a - 5


def test_it_is_another_process(make):
    partner = make(os.getpid)
    partner.ask()
    assert partner.answer() == partner._pid != os.getpid()


def test_shared_arrays_are_seen_by_both(make):
    x, doubled = (shared_array(4, np.float32) for _ in range(2))
    partner = make(lambda: np.multiply(2, x, out=doubled) is None)
    for value in (1, 2):
        x[:] = value
        partner.ask()
        partner.answer()
        np.testing.assert_array_equal(doubled, np.full(4, 2 * value, np.float32))


def test_large_messages_go_both_ways(make):
    partner = make(lambda x: -x, np.zeros(1))
    x = np.arange(1_000_000.0)
    partner.ask(x)
    np.testing.assert_array_equal(partner.answer(), -x)


def test_one_that_was_killed_is_gone(make):
    partner = make(int)
    os.kill(partner._pid, signal.SIGKILL)
    with pytest.raises(PartnerGoneError):
        for _ in range(2):  # the first message may still be taken in
            partner.ask()
            partner.answer()


def test_one_that_fails_is_gone(make):
    partner = make(lambda x: 1 / x, 1)
    partner.ask(0)
    with pytest.raises(PartnerGoneError):
        partner.answer()


def test_one_that_fails_at_once_is_gone(make):
    partner = make(lambda x: 1 / x, 0, wait=False)
    with pytest.raises(PartnerGoneError):
        becomes_true(partner.is_ready)


def test_one_that_hangs_is_never_ready_and_can_be_closed(make):
    partner = make(lambda: time.sleep(1000), wait=False)
    time.sleep(0.1)
    assert not partner.is_ready()


def test_closing_one_that_someone_else_has_waited_for(make):
    partner = make(int)
    os.kill(partner._pid, signal.SIGKILL)
    os.waitpid(partner._pid, 0)
    partner.close()


def test_it_gets_no_signals_and_the_caller_gets_them_again(make):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    partner = make(int)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(partner._pid, number)
    partner.ask()
    assert partner.answer() == 0


def test_it_keeps_no_file_open_but_its_pipe_and_collects_no_garbage(make):
    partner = make(lambda: (gc.isenabled(), len(os.listdir("/proc/self/fd"))))
    partner.ask()
    assert partner.answer() == (False, 5)  # 0, 1, 2, the pipe, and the list's own


def test_it_stays_on_one_blas_thread(make):
    def count():
        pools = ThreadpoolController().select(user_api="blas").info()
        return {pool["num_threads"] for pool in pools}, len(os.listdir("/proc/self/task"))

    with threadpool_limits(2, user_api="blas"), one_thread:
        partner = make(count)
        partner.ask()
        assert partner.answer() == ({1}, 1)
        assert count()[0] == {1}
    with threadpool_limits(2, user_api="blas"):
        assert count()[0] == {2}


def test_it_ends_with_its_parent():
    script = (
        "import os, time\n"
        "from skrnn._partner import Partner\n"
        "partner = Partner(os.getpid, ())\n"
        "print(partner._pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    parent.communicate(timeout=30)  # ends when nobody, the partner neither, has its output open
    assert becomes_true(lambda: not is_alive(pid))


@pytest.mark.parametrize(
    ("thread", "expected"),
    [
        ("pass", True),
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", True),
        ("ThreadPoolExecutor().submit(int).result()", True),
        ("threading.Thread(target=np.dot, args=(x, x), daemon=True).start()", False),
        ("threading.Thread(target=lambda: x @ x, daemon=True).start()", False),
        ("ThreadPoolExecutor().submit(np.dot, x, x)", False),
    ],
)
def test_there_is_no_fork_while_another_thread_may_compute(thread, expected):
    script = (
        "import os, threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import numpy as np\n"
        "from skrnn._partner import can_fork\n"
        "x = np.ones((6000, 6000))\n"
        f"{thread}\n"
        "time.sleep(0.1)\n"
        "print(can_fork(), flush=True)\n"
        "os._exit(0)\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == str(expected)


def test_blas_goes_on_in_this_process():
    script = (
        "import numpy as np, scipy.linalg\n"
        "from threadpoolctl import threadpool_limits\n"
        "from skrnn._partner import Partner\n"
        "x = np.random.default_rng(0).standard_normal((500, 500))\n"
        "with threadpool_limits(2, user_api='blas'):\n"
        "    for _ in range(3):\n"
        "        partner = Partner(int, ())\n"
        "        np.linalg.inv(x), scipy.linalg.lu_factor(x), x @ x\n"
        "        partner.close()\n"
        "        np.linalg.inv(x), scipy.linalg.lu_factor(x), x @ x\n"
    )
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)
