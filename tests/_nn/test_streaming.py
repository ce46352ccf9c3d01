"""A network with its weights: one step at a time, carries, and weights that are never stale."""

import copy
import pickle
import threading

import numpy as np
import pytest

from _nn._nets import CODED, check_steps_are_prefixes, make_batch, make_net, outputs_of
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS
from skrnn._nn.streaming import FittedNetwork, moved
from skrnn._parallel.host import computing


@pytest.mark.parametrize("embedded", [(), CODED["embedded"]])
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_step_at_a_time_gives_the_outputs_of_every_prefix(cell, readout, initial_state, embedded):
    check_steps_are_prefixes(cell, readout, initial_state, embedded)


# Carries --------------------------------------------------------------------------------------


def make_fitted(cell="lstm", sizes=(4, 3), **options):
    return FittedNetwork(*make_net(cell, sizes, 2, np.random.default_rng(0), **options))


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_carry_goes_to_the_user_and_back(cell, readout):
    fitted, x = make_fitted(cell, readout=readout), np.random.default_rng(1)
    x = x.standard_normal((2, 5))
    carry = fitted.step(x, fitted.carry_before(5))
    state = fitted.to_user(carry)
    names = [f"{state}_{layer}" for layer in range(2) for state in CELLS[cell].states]
    assert list(state) == [*names, "pooled", "steps"]
    again = fitted.from_user(pickle.loads(pickle.dumps(state)), 5)
    for a, b in zip(fitted.step(x, carry).layers, fitted.step(x, again).layers, strict=True):
        np.testing.assert_array_equal(a, b)
    fitted.from_user({name: rows[1:3] for name, rows in state.items()}, 2)


def test_a_step_changes_no_array_that_it_is_given():
    fitted = make_fitted()
    x, carry = np.ones((2, 3)), fitted.carry_before(3)
    for _ in range(3):
        before, after = copy.deepcopy((x, carry)), fitted.step(x, carry)
        np.testing.assert_array_equal(x, before[0])
        np.testing.assert_equal(carry._asdict(), before[1]._asdict())
        carry = after


def test_carries_of_one_step_are_not_those_of_the_next():
    """What a step returns is not written to by later ones, through the same arrays or others."""
    fitted, carries, copies = make_fitted(), [make_fitted().carry_before(3)], []
    for n in range(4):
        copies.append(copy.deepcopy(carries[-1]))
        carries.append(fitted.step(np.full((2, 3), float(n)), carries[-1]))
        fitted.outputs(make_batch([9, 4], np.random.default_rng(0)))
    for carry, own in zip(carries, copies, strict=False):
        np.testing.assert_equal(carry._asdict(), own._asdict())


def test_only_the_sequences_that_move_are_moved():
    fitted, x = make_fitted(readout="mean"), np.random.default_rng(1).standard_normal((2, 3))
    before = fitted.step(x, fitted.carry_before(3))
    after, moves = fitted.step(x, before), np.array([True, False, True])
    carry = fitted.to_user(moved(after, before, moves))
    for name, rows in carry.items():
        own, other = fitted.to_user(after)[name], fitted.to_user(before)[name]
        np.testing.assert_array_equal(rows[moves], own[moves])
        np.testing.assert_array_equal(rows[~moves], other[~moves])


# Weights that are written to ------------------------------------------------------------------

NETS = pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": True}, {"readout": "step"}, {"initial_state": "learned"}],
    ids=str,
)
SEQUENCES = make_batch([4, 2, 7], np.random.default_rng(2))


def assert_fresh(fitted):
    """Hold what a net says against one that was just made from the same weights."""
    expected = outputs_of(fitted.network, fitted.theta.copy(), SEQUENCES)
    with computing():
        np.testing.assert_array_equal(fitted.outputs(SEQUENCES), expected)
        fresh = FittedNetwork(fitted.network, fitted.theta.copy())
        np.testing.assert_array_equal(
            fitted.hidden_states(SEQUENCES), fresh.hidden_states(SEQUENCES)
        )
        if fitted.network.n_directions == 1:
            x = np.ones((2, 3))
            carries = [net.step(x, net.carry_before(3)) for net in (fitted, fresh)]
            np.testing.assert_equal(carries[0]._asdict(), carries[1]._asdict())
            carries = [net.carry_after(SEQUENCES) for net in (fitted, fresh)]
            np.testing.assert_equal(carries[0]._asdict(), carries[1]._asdict())
    return expected


@NETS
def test_writing_into_weights_changes_the_outputs(options):
    fitted = make_fitted(**options)
    before = assert_fresh(fitted)
    fitted.weights()["W_xh_1"][:] *= 2  # no view is held by the time of the call
    after = assert_fresh(fitted)
    assert not np.array_equal(after, before)
    fitted.weights()["b_o"] += 1
    np.testing.assert_allclose(assert_fresh(fitted), after + 1)


@NETS
def test_views_that_are_held_across_calls_may_be_written_to_at_any_time(options):
    fitted = make_fitted(**options)
    weights, seen = fitted.weights(), [assert_fresh(fitted)]
    for name, view in weights.items():
        view += 0.5
        seen.append(assert_fresh(fitted))
        assert not np.array_equal(seen[-1], seen[-2]), name
    weights["W_ho"] *= 2
    del weights, view
    assert not np.array_equal(assert_fresh(fitted), seen[-1])
    assert_fresh(fitted)


SUB_VIEWS = {
    "row": lambda view: view[0],
    "flat": lambda view: view.ravel()[3:],
    "transposed": lambda view: view.T[::2],
    "view of a view": lambda view: view[1:][:, 1:][2:].view(),
    "of bytes": lambda view: view[:2].view(np.uint8).view(np.float64),
    "memoryview": lambda view: np.asarray(memoryview(view)),
    "from the buffer": lambda view: np.frombuffer(view, view.dtype),
}


@pytest.mark.parametrize("part", SUB_VIEWS.values(), ids=SUB_VIEWS)
def test_a_part_of_a_view_is_a_view(part):
    fitted = make_fitted()
    held = part(fitted.weights()["W_hh_0"])
    seen = [assert_fresh(fitted)]
    for _ in range(3):
        held += 0.25
        seen.append(assert_fresh(fitted))
        assert not np.array_equal(seen[-1], seen[-2])


def test_views_of_several_calls_are_all_looked_after():
    fitted = make_fitted()
    first, second = fitted.weights(), fitted.weights()
    before = assert_fresh(fitted)
    del second
    first["W_hh_0"] *= 2
    after = assert_fresh(fitted)
    assert not np.array_equal(after, before)
    third = fitted.weights()["b_o"]
    del first
    third += 1
    np.testing.assert_allclose(assert_fresh(fitted), after + 1)


def test_weights_may_be_written_to_by_another_thread():
    fitted = make_fitted()
    held, write, written = (threading.Event() for _ in range(3))

    def other():
        view = fitted.weights()["W_hh_0"]
        held.set()
        for _ in range(3):
            assert write.wait(30)
            write.clear()
            view[:] += 0.25
            written.set()

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    assert held.wait(30)
    seen = [assert_fresh(fitted)]
    for _ in range(3):
        write.set()
        assert written.wait(30)
        written.clear()
        seen.append(assert_fresh(fitted))
        assert not np.array_equal(seen[-1], seen[-2])
    thread.join()
    fitted.weights()["W_hh_0"][:] -= 0.75
    np.testing.assert_allclose(assert_fresh(fitted), seen[0], atol=1e-12)


def test_a_writer_and_readers_at_once_leave_nothing_stale():
    fitted, stop = make_fitted(), threading.Event()

    def read():
        with computing():
            while not stop.is_set():
                fitted.outputs(SEQUENCES)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(100):
        fitted.weights()["W_hh_0"][:] += 0.001
        assert_fresh(fitted)
    stop.set()
    for reader in readers:
        reader.join()
    assert_fresh(fitted)


def test_weights_that_nobody_holds_are_packed_once(monkeypatch):
    fitted, packed = make_fitted(), []
    pack = type(fitted._take()).pack
    monkeypatch.setattr(
        "skrnn._nn.workspace.Workspace.pack",
        lambda space, weights: packed.append(1) or pack(space, weights),
    )
    for _ in range(3):
        assert_fresh(fitted)
    n_fresh = len(packed) - 1  # nets that are made to compare with pack theirs
    views = fitted.weights()
    assert_fresh(fitted)
    assert len(packed) > n_fresh + 2
    del views
    assert_fresh(fitted)
    count = len(packed)
    fitted.outputs(SEQUENCES)
    assert len(packed) == count


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_copy_has_weights_of_its_own(dtype):
    network, theta = make_net("gru", (4,), 2, np.random.default_rng(0), dtype)
    fitted = FittedNetwork(network, theta)
    sequences = make_batch([4, 2], np.random.default_rng(1), dtype)
    before = fitted.outputs(sequences)
    for again in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert again.architecture == fitted.architecture and again.theta.dtype == dtype
        np.testing.assert_array_equal(again.outputs(sequences), before)
        again.weights()["b_o"][:] += 1
        np.testing.assert_allclose(again.outputs(sequences), before + 1, rtol=1e-6)
        np.testing.assert_array_equal(fitted.outputs(sequences), before)


def test_large_arrays_are_not_kept_between_calls():
    fitted = make_fitted(sizes=(8,))
    fitted.outputs(make_batch([2000] * 50, np.random.default_rng(0)))
    (idle,) = fitted._idle
    assert idle.n_bytes <= 2**22
