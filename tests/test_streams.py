"""One step at a time: `step`, `hidden_states` and `forecast`, held against whole sequences."""

import copy
import gc
import pickle
import weakref
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from skrnn import RNNClassifier, RNNRegressor, as_sequences, pad_sequences
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": 4, "max_iter": 2, "batch_size": 3, "random_state": 0}
RNG = np.random.default_rng(0)
LENGTHS = [3, 1, 4, 2, 5, 2]
N, T = len(LENGTHS), 5
X = [RNG.standard_normal((length, 2)) for length in LENGTHS]
UNIVARIATE = [x[:, 0] for x in X]
CUBE = RNG.standard_normal((N, T, 2))
CLASSES = np.array([0, 1, 2] * 2)
REAL = RNG.standard_normal(N)
CODED = [np.column_stack([x[:, 0], RNG.integers(3, size=len(x))]) for x in X]
SIZES = pytest.mark.parametrize("sizes", [(4,), (3, 4), (3, 2, 4)])


def targets(y, readout, lengths=LENGTHS):
    """One a sequence, or the same ones for every step."""
    if readout != "step":
        return np.asarray(y)
    return [
        np.repeat(target[None], length, axis=0) for target, length in zip(y, lengths, strict=True)
    ]


def clf(*, y=CLASSES, X=X, readout="last", **parameters):
    y = targets(y, readout, list(map(len, X)))
    return RNNClassifier(**(SMALL | {"readout": readout} | parameters)).fit(X, y)


def reg(*, y=REAL, X=X, readout="last", **parameters):
    y = targets(y, readout, list(map(len, X)))
    return RNNRegressor(**(SMALL | {"readout": readout} | parameters)).fit(X, y)


def output(estimator, X):
    """What `step` is to give after the last step of the sequences."""
    name = "predict_proba" if isinstance(estimator, RNNClassifier) else "predict"
    out = getattr(estimator, name)(X)
    per_step = estimator.readout == "step"
    return np.stack([steps[-1] for steps in out]) if per_step else out


def close(estimator):
    narrow = estimator.weights_["W_ho"].dtype == np.float32
    return {"rtol": 0, "atol": 1e-5 if narrow else 1e-10}


def assert_steps_are_prefixes(estimator, cube):
    state = None
    for t in range(cube.shape[1]):
        out, state = estimator.step(cube[:, t], state)
        expected = output(estimator, cube[:, : t + 1])
        assert out.dtype == expected.dtype and out.shape == expected.shape
        np.testing.assert_allclose(out, expected, **close(estimator))
    return state


def assert_same_state(a, b):
    assert a.keys() == b.keys()
    for name, values in a.items():
        np.testing.assert_array_equal(values, b[name])


# step is predict of every prefix --------------------------------------------------------------


@pytest.mark.parametrize("make", [clf, reg])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
@SIZES
def test_every_step_is_the_prediction_for_the_prefix(sizes, cell, readout, make):
    estimator = make(cell=cell, readout=readout, hidden_layer_sizes=sizes)
    assert_steps_are_prefixes(estimator, CUBE)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(
    "settings",
    [
        {"initial_state": "learned", "max_iter": 20},
        {"initial_state": "learned", "cell": "lstm", "hidden_layer_sizes": (3, 4), "max_iter": 20},
        {"initial_state": "normal"},
        {"dropout": 0.5},
        {"bptt_steps": 2},
        {"early_stopping": True, "validation_fraction": 0.5},
    ],
)
def test_steps_of_every_option_are_predictions(settings, readout):
    assert_steps_are_prefixes(reg(readout=readout, **settings), CUBE)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("y", ["two classes", "multilabel", "outputs", "one column"])
def test_steps_of_every_target_are_predictions(y, readout):
    if y == "two classes":
        estimator = clf(y=CLASSES > 0, readout=readout)
    elif y == "multilabel":
        estimator = clf(y=np.array([[0, 1], [1, 0], [1, 1]] * 2), readout=readout)
    elif y == "outputs":
        estimator = reg(y=RNG.standard_normal((N, 3)), readout=readout)
    else:
        estimator = reg(y=RNG.standard_normal((N, 1)), readout="step")
    assert_steps_are_prefixes(estimator, CUBE)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("make", [clf, reg])
def test_float32_stays_float32(make, cell, readout):
    estimator = make(cell=cell, readout=readout, X=[x.astype(np.float32) for x in X])
    state = assert_steps_are_prefixes(estimator, CUBE.astype(np.float32))
    assert {values.dtype for values in state.values()} == {np.dtype(np.float32)}
    wide, _ = estimator.step(CUBE[:, 0])
    np.testing.assert_array_equal(wide, estimator.step(CUBE[:, 0].astype(np.float32))[0])


@pytest.mark.parametrize("dtype", [int, bool, np.float16, object])
def test_any_numbers_are_a_step(dtype):
    estimator, x = reg(), (CUBE[:, 0] > 0).astype(dtype)
    expected = estimator.step((CUBE[:, 0] > 0).astype(float))[0]
    for build in (np.asarray, np.ndarray.tolist, pd.DataFrame, np.asfortranarray):
        np.testing.assert_array_equal(estimator.step(build(x))[0], expected)


@pytest.mark.parametrize("readout", READOUTS)
def test_one_feature_may_come_without_an_axis(readout):
    estimator = reg(X=UNIVARIATE, readout=readout)
    flat, column = estimator.step(CUBE[:, 0, 0]), estimator.step(CUBE[:, 0, :1])
    np.testing.assert_array_equal(flat[0], column[0])
    assert_same_state(flat[1], column[1])
    assert_steps_are_prefixes(estimator, CUBE[:, :, :1])


@pytest.mark.parametrize("readout", READOUTS)
def test_an_estimator_fitted_on_a_table_takes_steps(readout):
    table, y = CUBE.reshape(N, -1), RNG.standard_normal((N, T) if readout == "step" else N)
    estimator = RNNRegressor(**SMALL, readout=readout, features_per_step=2).fit(table, y)
    state, outs = None, []
    for t in range(T):
        out, state = estimator.step(CUBE[:, t], state)
        outs.append(out)
    expected = estimator.predict(table)
    steps = np.stack(outs, axis=1) if readout == "step" else out
    np.testing.assert_allclose(steps, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("make", [clf, reg])
@pytest.mark.parametrize("readout", READOUTS)
def test_categories_and_codes_never_seen(readout, make):
    estimator = make(X=CODED, readout=readout, categorical_features=[1], embedding_dim=2)
    cube = CUBE.copy()
    cube[:, :, 1] = RNG.integers(-1, 5, size=(N, T))
    assert_steps_are_prefixes(estimator, cube)


@pytest.mark.parametrize("readout", READOUTS)
def test_tokens(readout):
    tokens = [x[:, 1].astype(int) for x in CODED]
    estimator = clf(X=tokens, readout=readout, categorical_features=[0], embedding_dim=3)
    assert_steps_are_prefixes(estimator, RNG.integers(5, size=(N, T, 1)))
    with_nan = np.array([1.0, np.nan, 2.0])
    out, state = estimator.step(with_nan)
    np.testing.assert_array_equal(out[[0, 2]], estimator.step(with_nan[[0, 2]])[0])
    assert state["steps"].tolist() == [1, 0, 1]


# where there is no step -----------------------------------------------------------------------


def ragged_cube(holes):
    cube = CUBE.copy()
    cube[np.broadcast_to(holes, (N, T))] = np.nan
    return cube


HOLES = {
    "ends": np.arange(T) >= np.array(LENGTHS)[:, None],
    "starts": np.arange(T) < T - np.array(LENGTHS)[:, None],
    "anywhere": np.random.default_rng(3).random((N, T)) < 0.4,
}


@pytest.mark.parametrize("make", [clf, reg])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("settings", [{"cell": "lstm"}, {"initial_state": "learned"}])
@pytest.mark.parametrize("holes", HOLES.values(), ids=HOLES)
def test_a_row_of_nan_leaves_its_sequence_where_it_was(holes, settings, readout, make):
    estimator, cube = (
        make(readout=readout, hidden_layer_sizes=(3, 4), **settings),
        ragged_cube(holes),
    )
    state = None
    for t in range(T):
        before = state
        out, state = estimator.step(cube[:, t], state)
        begun = ~np.isnan(cube[:, : t + 1, 0]).all(axis=1)
        if begun.any():
            expected = output(estimator, cube[begun, : t + 1])
            np.testing.assert_allclose(out[begun], expected, rtol=0, atol=1e-10)
        waits = np.isnan(cube[:, t, 0])
        if before is not None:
            for name, values in state.items():
                np.testing.assert_array_equal(values[waits], before[name][waits])
    assert state["steps"].tolist() == (~np.isnan(cube[:, :, 0])).sum(axis=1).tolist()
    assert np.isfinite(out).all()


@pytest.mark.parametrize("make", [clf, reg])
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
@pytest.mark.parametrize("readout", READOUTS)
def test_before_the_first_step_the_output_is_that_of_the_initial_state(
    readout, initial_state, make
):
    estimator = make(readout=readout, initial_state=initial_state, cell="lstm", max_iter=9)
    out, state = estimator.step(np.full((3, 2), np.nan))
    w = estimator.weights_
    h0 = w["h0_0"] if initial_state == "learned" else np.zeros(4)
    np.testing.assert_allclose(state["h_0"], np.tile(h0, (3, 1)))
    np.testing.assert_array_equal(state["steps"], 0)
    if readout == "step":
        absent = np.vstack([np.full((1, 2), np.nan), X[0]])
        name = "predict_proba" if make is clf else "predict"
        first = getattr(estimator, name)([absent])[0][0]
        np.testing.assert_allclose(out, np.stack([first] * 3), rtol=1e-12)
    row = {name: values[:1] for name, values in state.items()}
    (out, after), (expected, fresh) = estimator.step(X[0][:1], row), estimator.step(X[0][:1])
    np.testing.assert_array_equal(out, expected)
    assert_same_state(after, fresh)


# the state is a value -------------------------------------------------------------------------


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hole", [False, True])
def test_a_state_is_never_changed_and_can_be_stored(hole, cell, readout):
    estimator = reg(cell=cell, readout=readout, hidden_layer_sizes=(3, 4))
    x = CUBE[:, 1].copy()
    x[2:4] = np.nan if hole else x[2:4]
    given = x.copy()
    _, state = estimator.step(CUBE[:, 0])
    before = copy.deepcopy(state)
    first, after = estimator.step(x, state)
    assert_same_state(state, before)
    np.testing.assert_array_equal(x, given)
    kept = copy.deepcopy(after)
    stored = pickle.loads(pickle.dumps(state))
    for again, then in (estimator.step(x, state), estimator.step(x, stored)):
        np.testing.assert_array_equal(again, first)
        assert_same_state(then, after)
    estimator.step(x, after)
    assert_same_state(after, kept)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("rows", [[4, 0, 2], slice(1, 3), np.arange(N) % 2 == 0, [3, 3]])
def test_rows_of_a_state_are_states(rows, readout):
    estimator = reg(cell="lstm", readout=readout, hidden_layer_sizes=(3, 4))
    _, state = estimator.step(CUBE[:, 0])
    some = {name: values[rows] for name, values in state.items()}
    expected, all_after = estimator.step(CUBE[:, 1], state)
    out, after = estimator.step(CUBE[rows, 1], some)
    np.testing.assert_allclose(out, expected[rows], rtol=0, atol=1e-14)
    for name, values in after.items():
        np.testing.assert_allclose(values, all_after[name][rows], rtol=0, atol=1e-14)


def test_a_new_sequence_can_join():
    estimator = reg(cell="lstm", readout="mean")
    _, state = estimator.step(CUBE[:2, 0])
    _, fresh = estimator.step(np.full((1, 2), np.nan))
    joined = {name: np.concatenate([values, fresh[name]]) for name, values in state.items()}
    out, _ = estimator.step(CUBE[:3, 1], joined)
    np.testing.assert_allclose(out[:2], estimator.predict(CUBE[:2, :2]), rtol=0, atol=1e-10)
    np.testing.assert_allclose(out[2:], estimator.predict(CUBE[2:3, 1:2]), rtol=0, atol=1e-10)


def test_a_state_is_what_the_documentation_says():
    for cell in CELLS:
        _, state = reg(cell=cell, hidden_layer_sizes=(3, 5)).step(CUBE[:4, 0])
        shapes = {name: values.shape for name, values in state.items()}
        memory = {"c_0": (4, 3), "c_1": (4, 5)} if cell == "lstm" else {}
        assert shapes == {"h_0": (4, 3), "h_1": (4, 5), "pooled": (4, 5), "steps": (4,)} | memory


def test_a_step_leaves_the_estimator_as_it_was():
    estimator = clf()
    before = pickle.dumps(vars(estimator))
    estimator.step(CUBE[:, 0])
    assert pickle.dumps(vars(estimator)) == before


def test_weights_written_later_are_those_of_the_next_step():
    estimator = reg()
    _, state = estimator.step(CUBE[:, 0])
    estimator.weights_["W_ho"][:] = 0
    out, _ = estimator.step(CUBE[:, 1], state)
    np.testing.assert_array_equal(out, estimator.predict(CUBE[:, :2]))


@pytest.mark.parametrize("make", [clf, reg])
def test_steps_follow_every_fit(make):
    estimator = make(warm_start=True)
    x_t, y = CUBE[:, 0], CLASSES if make is clf else REAL
    for learn in (estimator.partial_fit, estimator.fit, estimator.partial_fit):
        before, _ = estimator.step(x_t)
        learn(X, y)
        out, _ = estimator.step(x_t)
        assert not np.array_equal(out, before)
        np.testing.assert_allclose(out, output(estimator, CUBE[:, :1]), **close(estimator))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copy_takes_steps_of_its_own(copied):
    estimator = clf()
    expected, _ = estimator.step(CUBE[:, 0])
    other = copied(estimator)
    np.testing.assert_array_equal(other.step(CUBE[:, 0])[0], expected)
    other.weights_["W_ho"][:] = 0
    assert not np.array_equal(other.step(CUBE[:, 0])[0], expected)
    np.testing.assert_array_equal(estimator.step(CUBE[:, 0])[0], expected)


def test_what_is_prepared_for_steps_ends_with_the_estimator():
    estimator = clf()
    estimator.step(CUBE[:, 0])
    weights = weakref.ref(estimator._theta)
    del estimator
    gc.collect()
    assert weights() is None


@pytest.mark.parametrize("n", [1, 17, 300])
def test_any_number_of_streams(n):
    rows = RNG.integers(N, size=n)
    estimator = reg(cell="lstm")
    out, state = estimator.step(CUBE[rows, 0])
    np.testing.assert_allclose(out, estimator.predict(CUBE[rows, :1]), rtol=0, atol=1e-10)
    assert state["h_0"].shape == (n, 4)


# what step refuses ----------------------------------------------------------------------------

ONE = np.ones((1, 2))


BAD_STEPS = {
    "one sequence without an axis": ([1.0, 2.0], r"shape \(2,\), expected \(n, 2\).*x_t\[None\]"),
    "too wide": (np.ones((1, 3)), r"shape \(1, 3\), expected \(n, 2\)"),
    "too narrow": (np.ones((2, 1)), r"shape \(2, 1\), expected \(n, 2\)"),
    "sequences": (CUBE, r"shape \(6, 5, 2\), expected \(n, 2\)"),
    "a number": (1.0, r"shape \(\), expected \(n, 2\)"),
    "none": (None, r"shape \(\)|real numbers"),
    "text": ([["a", "b"]], r"real numbers of shape \(n, 2\)"),
    "numbers as text": ([["1", "2"]], r"real numbers of shape \(n, 2\)"),
    "text among objects": (np.array([["a", 1]], dtype=object), r"real numbers of shape"),
    "complex": (ONE.astype(complex), r"real numbers of shape \(n, 2\)"),
    "dates": (np.zeros((1, 2), "M8[D]"), r"real numbers of shape \(n, 2\)"),
    "ragged": ([[1.0], [1.0, 2.0]], r"real numbers of shape \(n, 2\)"),
    "sparse": (sparse.csr_array(ONE), r"real numbers of shape \(n, 2\)"),
    "infinity": ([[1.0, 2.0], [np.inf, 1.0]], r"infinity.*row 1"),
    "infinity beside NaN": ([[1.0, 2.0], [np.inf, np.nan]], r"infinity.*row 1"),
    "NaN in part": ([[1.0, 2.0], [np.nan, 1.0]], r"NaN in some features of row 1.*whole row"),
    "NaN in the other part": ([[1.0, 2.0], [1.0, np.nan]], r"NaN in some features of row 1"),
}


@pytest.mark.parametrize(("x_t", "words"), BAD_STEPS.values(), ids=BAD_STEPS)
@pytest.mark.parametrize("make", [clf, reg])
def test_bad_steps_are_refused_in_words(make, x_t, words):
    with pytest.raises(ValueError, match=words):
        make().step(x_t)


def test_what_is_too_large_for_the_dtype_of_the_fit_is_said_to_be_so():
    estimator = reg(X=[x.astype(np.float32) for x in X])
    with pytest.raises(ValueError, match=r"too large for float32, in row 1"):
        estimator.step([[1.0, 1.0], [1e300, 1.0]])


def test_an_output_that_overflows_is_refused_as_by_predict():
    estimator = reg(cell="rnn_relu")
    estimator.weights_["W_xh_0"][:] = 3.0
    with pytest.raises(ValueError, match=r"output for row 1 is not finite.*too large"):
        estimator.step([[1.0, 1.0], [1e308, 1e308]])


def step_of(**parameters):
    return reg(**parameters).step(ONE)


BAD_STATES = {
    "text": (lambda: "abc", r"what step returned"),
    "what step returned, whole": (lambda: step_of(), r"what step returned"),
    "nothing in it": (dict, r"what step returned"),
    "a list": (lambda: [1, 2], r"what step returned"),
    "numbers": (lambda: dict.fromkeys(step_of()[1], 1.0), r"what step returned"),
    "arrays without axes": (
        lambda: dict.fromkeys(step_of()[1], np.ones(())),
        r"what step returned",
    ),
    "other sequences": (
        lambda: reg().step(np.ones((3, 2)))[1],
        r"x_t has 1 rows, but state is of 3",
    ),
    "another size": (lambda: step_of(hidden_layer_sizes=3)[1], r"for this estimator"),
    "more layers": (lambda: step_of(hidden_layer_sizes=(4, 4))[1], r"for this estimator"),
    "another cell": (lambda: step_of(cell="lstm")[1], r"for this estimator"),
    "some rows of some arrays": (
        lambda: reg().step(np.ones((3, 2)))[1] | {"h_0": np.ones((1, 4)), "steps": np.ones(1)},
        r"Rows may be taken from it, of every array the same",
    ),
}


@pytest.mark.parametrize(("make_state", "words"), BAD_STATES.values(), ids=BAD_STATES)
def test_bad_states_are_refused_in_words(make_state, words):
    state = make_state()
    with pytest.raises(ValueError, match=words):
        reg().step(ONE, state)


def test_the_memory_of_an_lstm_is_part_of_its_state():
    with pytest.raises(ValueError, match="for this estimator"):
        reg(cell="lstm").step(ONE, step_of()[1])


def test_codes_of_a_step_must_be_integers():
    estimator = clf(X=CODED, categorical_features=[1])
    with pytest.raises(ValueError, match=r"no integer code: sequence 1, step 0 has \[0.5\]"):
        estimator.step([[1.0, 1.0], [1.0, 0.5]])


@pytest.mark.parametrize("make", [clf, reg])
def test_streams_need_one_direction(make):
    estimator = make(bidirectional=True, X=UNIVARIATE)
    calls = [lambda: estimator.step(np.ones(1))]
    if make is reg:
        calls.append(lambda: estimator.forecast(UNIVARIATE, 2))
    for name, call in zip(("step", "forecast"), calls, strict=False):
        with pytest.raises(
            ValueError, match=rf"{name} is not for bidirectional=True.*end of a seq"
        ):
            call()
    assert estimator.hidden_states(UNIVARIATE).shape == (N,)


@pytest.mark.parametrize("make", [RNNClassifier, RNNRegressor])
def test_an_estimator_that_is_not_fitted_says_so(make):
    calls = [lambda e: e.step(ONE), lambda e: e.hidden_states(X)]
    calls += [lambda e: e.forecast(X, 2)] if make is RNNRegressor else []
    for call in calls:
        with pytest.raises(NotFittedError, match=rf"{make.__name__}.*not fitted"):
            call(make())


# hidden states --------------------------------------------------------------------------------


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("cell", CELLS)
@SIZES
def test_hidden_states_are_those_of_the_steps(sizes, cell, readout):
    estimator = reg(cell=cell, readout=readout, hidden_layer_sizes=sizes, initial_state="learned")
    states, state = estimator.hidden_states(CUBE), None
    assert states.shape == (N, T, 4)
    for t in range(T):
        _, state = estimator.step(CUBE[:, t], state)
        np.testing.assert_allclose(states[:, t], state[f"h_{len(sizes) - 1}"], rtol=0, atol=1e-12)


POOLS = {
    "last": lambda h: h[:, -1],
    "mean": lambda h: h.mean(axis=1),
    "max": lambda h: h.max(axis=1),
    "step": lambda h: h,
}


@pytest.mark.parametrize(
    ("readout", "bidirectional"), [*product(READOUTS, [False]), ("mean", True), ("step", True)]
)
def test_the_output_is_read_from_the_hidden_states(readout, bidirectional):
    estimator = clf(readout=readout, bidirectional=bidirectional)
    h, w = POOLS[readout](estimator.hidden_states(CUBE)), estimator.weights_
    raw = h @ w["W_ho"].T + w["b_o"]
    np.testing.assert_allclose(estimator.decision_function(CUBE), raw, rtol=0, atol=1e-10)


def test_the_last_state_of_each_half_is_at_its_own_end():
    estimator = clf(bidirectional=True)
    h, w = estimator.hidden_states(X), estimator.weights_
    ends = np.array([np.append(states[-1, :4], states[0, 4:]) for states in h])
    raw = ends @ w["W_ho"].T + w["b_o"]
    np.testing.assert_allclose(estimator.decision_function(X), raw, rtol=0, atol=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_hidden_states_come_in_the_container_of_the_input(bidirectional):
    estimator = reg(bidirectional=bidirectional)
    H = 4 * (1 + bidirectional)
    ragged = estimator.hidden_states(X)
    assert ragged.shape == (N,) and [h.shape for h in ragged] == [(length, H) for length in LENGTHS]
    for i, x in enumerate(X):
        np.testing.assert_allclose(estimator.hidden_states([x])[0], ragged[i], rtol=0, atol=1e-12)
    cube = estimator.hidden_states(CUBE)
    assert cube.shape == (N, T, H)
    for given in (list(CUBE), as_sequences(CUBE), pd.Series(list(CUBE))):
        np.testing.assert_array_equal(np.stack(estimator.hidden_states(given)), cube)
    padded = estimator.hidden_states(pad_sequences(X))
    assert padded.shape == (N, max(LENGTHS), H)
    for row, h in zip(padded, ragged, strict=True):
        np.testing.assert_array_equal(row[: len(h)], h)
        np.testing.assert_array_equal(row[len(h) :], np.tile(h[-1], (len(row) - len(h), 1)))
    table = RNNRegressor(**SMALL, features_per_step=2).fit(CUBE.reshape(N, -1), np.arange(N))
    assert table.hidden_states(CUBE.reshape(N, -1)).shape == (N, T, 4)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("initial_state", ["zeros", "normal", "learned"])
def test_before_the_first_step_the_hidden_state_is_the_initial_one(initial_state, bidirectional):
    estimator = reg(initial_state=initial_state, bidirectional=bidirectional, max_iter=9)
    absent = [np.insert(x, 0, np.nan, axis=0) for x in X]
    w = estimator.weights_
    names = ["h0_0", "h0_0_reverse"][: 1 + bidirectional]
    learned = initial_state == "learned"
    h0 = np.concatenate([w[name] for name in names]) if learned else np.zeros(4 * len(names))
    for h, without in zip(estimator.hidden_states(absent), estimator.hidden_states(X), strict=True):
        np.testing.assert_allclose(h[0], h0, rtol=0, atol=1e-15)
        np.testing.assert_array_equal(h[1:], without)


def test_hidden_states_keep_float32():
    estimator = reg(X=[x.astype(np.float32) for x in X])
    assert {h.dtype for h in estimator.hidden_states(X)} == {np.dtype(np.float32)}
    assert estimator.hidden_states(pad_sequences(X)).dtype == np.float32


# forecast -------------------------------------------------------------------------------------

SERIES = [np.sin(0.7 * np.arange(length) + i) for i, length in enumerate([12, 9, 14, 7])]
RAMPS = [np.append(0.2 * np.arange(length), -1.0) for length in (6, 3, 8, 5)]  # their peaks pass
PAIRS = [np.column_stack([s, np.roll(s, 2)]) for s in SERIES]


def next_step(series, **parameters):
    """A regressor that predicts the next step of each."""
    settings = SMALL | {"readout": "step", "max_iter": 5} | parameters
    return RNNRegressor(**settings).fit([s[:-1] for s in series], [s[1:] for s in series])


def by_hand(estimator, series, n_steps):
    """Predict, put it behind the series, and again."""
    series = list(series)
    for _ in range(n_steps):
        predicted = estimator.predict(series)
        ends = [p[-1] if estimator.readout == "step" else p for p in predicted]
        series = [
            np.concatenate([s, np.reshape(end, (1, *s.shape[1:]))])
            for s, end in zip(series, ends, strict=True)
        ]
    return np.stack([s[-n_steps:] for s in series])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("series", [SERIES, PAIRS], ids=["D=1", "D=2"])
@pytest.mark.parametrize("sizes", [(4,), (3, 4)])
def test_a_forecast_is_the_loop_over_predict(sizes, series, cell):
    estimator = next_step(series, cell=cell, hidden_layer_sizes=sizes)
    forecast = estimator.forecast(series, 6)
    assert forecast.shape == (4, 6, *series[0].shape[1:])
    np.testing.assert_allclose(forecast, by_hand(estimator, series, 6), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(estimator.forecast(series, 2), forecast[:, :2])


@pytest.mark.parametrize("readout", ["last", "mean", "max"])
@pytest.mark.parametrize("series", [SERIES, PAIRS, RAMPS], ids=["D=1", "D=2", "ramps"])
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
def test_a_forecast_of_the_step_that_follows_each_sequence(initial_state, series, readout):
    estimator = RNNRegressor(**SMALL, readout=readout, initial_state=initial_state)
    estimator.fit([s[:-1] for s in series], np.array([2 * s[-2] for s in series]))
    np.testing.assert_allclose(
        estimator.forecast(series, 9), by_hand(estimator, series, 9), rtol=0, atol=1e-9
    )


def test_a_forecast_in_every_container():
    columns = [s[:, None] for s in SERIES]
    expected = next_step(SERIES).forecast(SERIES, 3)
    boxed = next_step(columns)
    assert boxed.forecast(columns, 3).shape == (4, 3, 1)
    np.testing.assert_array_equal(boxed.forecast(columns, 3)[..., 0], expected)
    np.testing.assert_array_equal(boxed.forecast(SERIES, 3)[..., 0], expected)
    for given in (as_sequences(SERIES), pd.Series(SERIES), pad_sequences(SERIES)):
        np.testing.assert_array_equal(next_step(SERIES).forecast(given, 3), expected)
    table = np.stack([s[:7] for s in SERIES])
    on_table = RNNRegressor(**SMALL, readout="step").fit(table[:, :-1], table[:, 1:])
    cube = RNNRegressor(**SMALL, readout="step").fit(table[:, :-1, None], table[:, 1:])
    np.testing.assert_array_equal(
        on_table.forecast(table[:, 1:], 3), cube.forecast(table[:, 1:, None], 3)
    )


def test_a_forecast_goes_on_from_the_last_step_that_is_there():
    estimator = next_step(SERIES)
    absent = [np.append(s, [np.nan, np.nan]) for s in SERIES]
    np.testing.assert_array_equal(estimator.forecast(absent, 3), estimator.forecast(SERIES, 3))


def test_many_forecasts_are_those_of_each():
    estimator, rows = next_step(PAIRS), RNG.integers(4, size=300)
    expected = estimator.forecast(PAIRS, 3)
    many = estimator.forecast([PAIRS[i] for i in rows], 3)
    np.testing.assert_allclose(many, expected[rows], rtol=0, atol=1e-12)


def test_a_forecast_keeps_float32_and_the_estimator():
    narrow = [s.astype(np.float32) for s in SERIES]
    assert next_step(narrow).forecast(narrow, 3).dtype == np.float32
    estimator = next_step(SERIES)
    before = pickle.dumps(vars(estimator))
    estimator.forecast(SERIES, 3)
    assert pickle.dumps(vars(estimator)) == before


BAD_FORECASTS = {
    "fewer outputs than features": (
        lambda: reg(readout="step"),
        X,
        r"2 features a step.*1 outputs",
    ),
    "more outputs than features": (
        lambda: reg(X=UNIVARIATE, y=np.ones((N, 2)) * CLASSES[:, None]),
        UNIVARIATE,
        r"1 features a step.*2 outputs.*Fit it to predict the step that comes next",
    ),
    "as many quantiles as features": (
        lambda: reg(loss="quantile", quantile=[0.1, 0.9]),
        X,
        r"2 features a step.*2 outputs that are quantiles of one",
    ),
    "categories": (
        lambda: reg(X=[x[:, 1] for x in CODED], categorical_features=[0]),
        [x[:, 1] for x in CODED],
        r"1 of them categories",
    ),
}


@pytest.mark.parametrize(("make", "X", "words"), BAD_FORECASTS.values(), ids=BAD_FORECASTS)
def test_outputs_that_are_no_inputs_are_refused(make, X, words):
    with pytest.raises(ValueError, match=words):
        make().forecast(X, 2)


@pytest.mark.parametrize("n_steps", [0, -1, 2.0, "2", None])
def test_the_number_of_steps_is_checked(n_steps):
    with pytest.raises((TypeError, ValueError), match="n_steps"):
        next_step(SERIES).forecast(SERIES, n_steps)


def test_a_forecast_that_grows_without_bounds_is_refused():
    estimator = next_step(SERIES, cell="rnn_relu", hidden_layer_sizes=2)
    w = estimator.weights_
    for name, value in {
        "W_xh_0": 1.0,
        "W_hh_0": 1.0,
        "b_h_0": 1.0,
        "W_ho": 1.0,
        "b_o": 1.0,
    }.items():
        w[name][:] = value
    assert np.isfinite(estimator.forecast(SERIES, 10)).all()
    with pytest.raises(ValueError, match=r"forecast of sequence 0 grows.*fewer steps"):
        estimator.forecast(SERIES, 3000)


def test_a_sequence_with_no_step_is_refused():
    with pytest.raises(ValueError, match="Sequence 1 has no step left"):
        next_step(SERIES).forecast([SERIES[0], np.full(3, np.nan)], 2)
