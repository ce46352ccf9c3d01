"""`step`, one call per time step, held against the predictions for whole sequences."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from _factories import classifier, make_coded, make_cube, make_sequences, regressor
from skrnn import RNNClassifier, RNNRegressor
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LENGTHS = (3, 1, 4, 2, 5, 2)
N, T = len(LENGTHS), 5
X = make_sequences(LENGTHS)
UNIVARIATE = [x[:, 0] for x in X]
CUBE = make_cube(N, T)
CODED = make_coded(LENGTHS, n_codes=3)
RNG = np.random.default_rng(0)
CLASSES = np.array([0, 1, 2] * 2)
REAL = RNG.standard_normal(N)
SIZES = pytest.mark.parametrize("sizes", [(4,), (3, 4), (3, 2, 4)])


def targets(y, readout, lengths=LENGTHS):
    """One per sequence, or the same one for every step."""
    if readout != "step":
        return np.asarray(y)
    return [
        np.repeat(target[None], length, axis=0) for target, length in zip(y, lengths, strict=True)
    ]


def clf(*, y=CLASSES, X=X, readout="last", **parameters):
    y = targets(y, readout, list(map(len, X)))
    return classifier(readout=readout, **parameters).fit(X, y)


def reg(*, y=REAL, X=X, readout="last", **parameters):
    y = targets(y, readout, list(map(len, X)))
    return regressor(readout=readout, **parameters).fit(X, y)


BOTH = pytest.mark.parametrize("make", [clf, reg])


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


@BOTH
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
@BOTH
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
    estimator = regressor(readout=readout, features_per_step=2).fit(table, y)
    state, outs = None, []
    for t in range(T):
        out, state = estimator.step(CUBE[:, t], state)
        outs.append(out)
    expected = estimator.predict(table)
    steps = np.stack(outs, axis=1) if readout == "step" else out
    np.testing.assert_allclose(steps, expected, rtol=0, atol=1e-10)


@BOTH
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


@pytest.mark.parametrize("n", [1, 17, 300])
def test_any_number_of_streams(n):
    rows = RNG.integers(N, size=n)
    estimator = reg(cell="lstm")
    out, state = estimator.step(CUBE[rows, 0])
    np.testing.assert_allclose(out, estimator.predict(CUBE[rows, :1]), rtol=0, atol=1e-10)
    assert state["h_0"].shape == (n, 4)


# absent steps ---------------------------------------------------------------------------------


def ragged_cube(holes):
    cube = CUBE.copy()
    cube[np.broadcast_to(holes, (N, T))] = np.nan
    return cube


HOLES = {
    "ends": np.arange(T) >= np.array(LENGTHS)[:, None],
    "starts": np.arange(T) < T - np.array(LENGTHS)[:, None],
    "anywhere": np.random.default_rng(3).random((N, T)) < 0.4,
}


@BOTH
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("settings", [{"cell": "lstm"}, {"initial_state": "learned"}])
@pytest.mark.parametrize("holes", HOLES.values(), ids=HOLES)
def test_a_row_of_nan_leaves_the_state_of_its_sequence_as_it_was(holes, settings, readout, make):
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


@BOTH
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


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_is_what_the_documentation_says(cell):
    _, state = reg(cell=cell, hidden_layer_sizes=(3, 5)).step(CUBE[:4, 0])
    shapes = {name: values.shape for name, values in state.items()}
    memory = {"c_0": (4, 3), "c_1": (4, 5)} if cell == "lstm" else {}
    assert shapes == {"h_0": (4, 3), "h_1": (4, 5), "pooled": (4, 5), "steps": (4,)} | memory


@BOTH
@pytest.mark.parametrize("name", ["h_0", "c_0"])
@pytest.mark.parametrize("readout", ["last", "mean", "max"])
def test_a_state_that_is_nan_is_named(readout, name, make):
    estimator = make(cell="lstm", readout=readout)
    _, state = estimator.step(CUBE[:4, 0])
    bad = state | {name: state[name].copy()}
    bad[name][2, 1] = np.nan
    with pytest.raises(ValueError, match=rf"state\['{name}'\] is not finite in row 2"):
        estimator.step(CUBE[:4, 1], bad)


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


@BOTH
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


def test_nothing_keeps_the_weights_once_the_estimator_is_gone():
    estimator = clf()
    estimator.step(CUBE[:, 0])
    flat = weakref.ref(estimator.weights_["W_ho"].base)  # which all weights are views of
    del estimator
    gc.collect()
    assert flat() is None


# what is refused ------------------------------------------------------------------------------

ONE = np.ones((1, 2))


BAD_STEPS = {
    "one sequence without an axis": ([1.0, 2.0], r"shape \(2,\), expected \(n, 2\).*x_t\[None\]"),
    "too wide": (np.ones((1, 3)), r"shape \(1, 3\), expected \(n, 2\)"),
    "too narrow": (np.ones((2, 1)), r"shape \(2, 1\), expected \(n, 2\)"),
    "no row": (ONE[:0], r"0 sample.*x_t has no row"),
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
@BOTH
def test_bad_steps_are_refused_in_words(make, x_t, words):
    with pytest.raises(ValueError, match=words):
        make().step(x_t)


def test_what_is_too_large_for_the_dtype_of_the_fit_is_said_to_be_so():
    estimator = reg(X=[x.astype(np.float32) for x in X])
    with pytest.raises(ValueError, match=r"too large for float32, in row 1"):
        estimator.step([[1.0, 1.0], [1e300, 1.0]])


def test_an_output_that_overflows_is_refused_as_by_predict():
    estimator = reg(cell="rnn_relu", standardize=False)
    estimator.weights_["W_xh_0"][:] = 3.0
    with pytest.raises(ValueError, match=r"output for row 1 is not finite.*too large"):
        estimator.step([[1.0, 1.0], [1e308, 1e308]])


def step_of(**parameters):
    return reg(**parameters).step(ONE)


def bad_state(change, name="h_0"):
    state = step_of()[1]
    return state | {name: change(state[name])}


BAD_STATES = {
    "text": (lambda: "abc", r"what step returned"),
    "an array of text": (lambda: bad_state(lambda h: h.astype(str)), r"'h_0'\] is a ndarray of <U"),
    "objects": (lambda: bad_state(lambda h: h.astype(object)), r"'h_0'\] is a ndarray of object"),
    "complex": (lambda: bad_state(lambda h: h + 1j), r"'h_0'\] is a ndarray of complex128"),
    "booleans": (lambda: bad_state(lambda h: h > 0), r"'h_0'\] is a ndarray of bool"),
    "dates": (lambda: bad_state(lambda h: h.astype("i8").astype("M8[s]")), r"of datetime64\[s\]"),
    "masked": (lambda: bad_state(np.ma.array), r"'h_0'\] is a MaskedArray"),
    "a frame": (lambda: bad_state(pd.DataFrame), r"'h_0'\] is a DataFrame, not an array"),
    "NaN": (lambda: bad_state(lambda h: h * np.nan), r"'h_0'\] is not finite in row 0"),
    "infinity": (lambda: bad_state(lambda h: h + np.inf), r"'h_0'\] is not finite in row 0"),
    "beyond the dtype": (
        lambda: bad_state(lambda h: h.astype("longdouble") + np.longdouble("1e4000")),
        r"'h_0'\] is not finite in row 0",
    ),
    "NaN in steps": (lambda: bad_state(lambda n: n * np.nan, "steps"), r"'steps'\] is not finite"),
    "turned": (lambda: bad_state(lambda h: h.T), r"what step returned"),
    "no array at all": (lambda: bad_state(lambda h: None), r"what step returned"),
    "an array less": (
        lambda: {k: v for k, v in step_of()[1].items() if k != "pooled"},
        r"what step returned",
    ),
    "an array more": (lambda: step_of()[1] | {"c_0": np.ones((1, 4))}, r"what step returned"),
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


@BOTH
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


# what is masked, and states of other kinds ----------------------------------------------------


@BOTH
def test_a_masked_row_is_absent(make):
    estimator = make()
    _, state = estimator.step(CUBE[:3, 0])
    x = CUBE[:3, 1].copy()
    x[1] = np.nan
    expected = estimator.step(x, state)
    masked = np.ma.array(np.where(np.isnan(x), 1e6, x), mask=np.isnan(x))
    out, after = estimator.step(masked, state)
    np.testing.assert_array_equal(out, expected[0])
    assert_same_state(after, expected[1])


def test_a_value_masked_in_part_of_a_row_is_refused():
    x = np.ma.array(CUBE[:3, 0], mask=[[0, 0], [0, 1], [0, 0]])
    with pytest.raises(ValueError, match="NaN in some features of row 1"):
        reg().step(x)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.longdouble, int])
def test_a_state_of_any_numbers_is_read_in_the_dtype_of_the_net(dtype):
    estimator = reg(X=[x.astype(np.float32) for x in X])
    _, state = estimator.step(np.zeros((2, 2), np.float32))
    zeros = {name: np.zeros(values.shape, dtype) for name, values in state.items()}
    out, after = estimator.step(CUBE[:2, 0].astype(np.float32), zeros)
    expected, _ = estimator.step(CUBE[:2, 0].astype(np.float32))
    np.testing.assert_array_equal(out, expected)
    assert {values.dtype for values in after.values()} == {np.dtype(np.float32)}
