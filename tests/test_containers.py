import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from skrnn import RNNClassifier, RNNRegressor, as_sequences, pad_sequences

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 7
RNG = np.random.default_rng(0)
CLASSES = np.array(["b", "a", "c", "a", "b", "c", "a"])
TARGETS = RNG.normal(size=N)
SMALL = {"hidden_layer_sizes": 3, "max_iter": 2, "batch_size": 3, "random_state": 0}
ESTIMATORS = {"classifier": (RNNClassifier, CLASSES), "regressor": (RNNRegressor, TARGETS)}

RAGGED = [RNG.normal(size=(T, 2)) for T in (3, 1, 4, 2, 5, 2, 1)]
UNIVARIATE = [x[:, 0] for x in RAGGED]
CUBE = RNG.normal(size=(N, 4, 2))
TABLE = CUBE.reshape(N, 8)
NAMES = ["a", "b"]


def objects(items, shape=(-1,)):
    boxes = np.empty(len(items), dtype=object)
    boxes[:] = items
    return boxes.reshape(shape)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    """The same values, neither C- nor F-contiguous."""
    for axis in range(array.ndim):
        array = np.repeat(array, 2, axis)
    return array[(slice(None, None, 2),) * array.ndim]


def holed(items):
    """Steps that are absent before, between and after the real ones."""
    return [np.insert(x, [0, len(x) // 2, len(x)], np.nan, axis=0) for x in items]


class ArrayLike:
    """What NumPy can turn into an array, and nothing more (a tensor of another library)."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array.astype(dtype or self.array.dtype)


RAGGED_CONTAINERS = {
    "tuple": tuple,
    "1-D object array": objects,
    "(n, 1) object array": lambda items: objects(items, (-1, 1)),
    "as_sequences": as_sequences,
    "nested lists": lambda items: [x.tolist() for x in items],
    "1-D object array of lists": lambda items: objects([x.tolist() for x in items]),
    "pandas Series": lambda items: pd.Series(items, index=list("gfedcba")),
    "pandas Series of lists": lambda items: pd.Series([x.tolist() for x in items]),
    "pandas one column": lambda items: pd.DataFrame({"x": items}),
    "polars Series of objects": lambda items: pl.Series(items, dtype=pl.Object),
    "polars Series of lists": lambda items: pl.Series([x.tolist() for x in items]),
    "polars one column": lambda items: pl.DataFrame({"x": [x.tolist() for x in items]}),
    "NaN-padded 3-D array": pad_sequences,
    "absent steps anywhere": holed,
    "read-only arrays": lambda items: [read_only(x) for x in items],
    "Fortran arrays": lambda items: [np.asfortranarray(x) for x in items],
    "strided arrays": lambda items: [strided(x) for x in items],
    "array-likes": lambda items: [ArrayLike(x) for x in items],
    "mixed": lambda items: [x.tolist() if i % 2 else x for i, x in enumerate(items)],
}
BIVARIATE_CONTAINERS = {
    "pandas frames": lambda items: [pd.DataFrame(x, columns=NAMES) for x in items],
    "polars frames": lambda items: [pl.DataFrame(x, schema=NAMES) for x in items],
    "pandas frames with their own index": lambda items: [
        pd.DataFrame(x, index=range(9, 9 + len(x))) for x in items
    ],
    "pandas nullable frames": lambda items: [pd.DataFrame(x).astype("Float64") for x in items],
    "pandas nullable frames with absent steps": lambda items: [
        pd.DataFrame(x).astype("Float64") for x in holed(items)
    ],
}
UNIVARIATE_CONTAINERS = {
    "(T, 1) arrays": lambda items: [x[:, None] for x in items],
    "list of pandas Series": lambda items: [pd.Series(x) for x in items],
    "list of polars Series": lambda items: [pl.Series(x) for x in items],
    "pandas frames": lambda items: [pd.DataFrame({"x": x}) for x in items],
    "None for absent": lambda items: [
        [None if np.isnan(v) else v for v in x.tolist()] for x in holed(items)
    ],
    "pandas nullable Series": lambda items: [pd.Series(x, dtype="Float64") for x in holed(items)],
}
CUBE_CONTAINERS = {
    "list": list,
    "nested lists": lambda X: X.tolist(),
    "object array": lambda X: X.astype(object),
    "1-D object array": lambda X: objects(list(X)),
    "Fortran": np.asfortranarray,
    "strided": strided,
    "read-only": read_only,
    "big-endian": lambda X: X.astype(">f8"),
    "array-like": ArrayLike,
    "pandas Series": lambda X: pd.Series(list(X)),
    "polars Series": lambda X: pl.Series("x", X),
    "padded with one more step": lambda X: np.pad(
        X, [(0, 0), (1, 1), (0, 0)], constant_values=np.nan
    ),
}
ROW_CONTAINERS = {
    "list of (T,)": list,
    "(n, T, 1)": lambda X: np.stack(X)[:, :, None],
    "1-D object array": lambda X: objects(list(X)),
    "1-D object array of lists": lambda X: objects(np.stack(X).tolist()),
    "pandas Series of lists": lambda X: pd.Series(np.stack(X).tolist()),
    "pandas column of lists": lambda X: pd.DataFrame({"x": np.stack(X).tolist()}),
    "polars Series of lists": lambda X: pl.Series(np.stack(X).tolist()),
    "polars Series of arrays": lambda X: pl.Series(
        np.stack(X).tolist(), dtype=pl.Array(pl.Float64, 8)
    ),
    "array-likes": lambda X: [ArrayLike(x) for x in X],
}
TABLE_CONTAINERS = {
    "list": lambda X: X.tolist(),
    "tuple of tuples": lambda X: tuple(map(tuple, X.tolist())),
    "pandas": pd.DataFrame,
    "pandas nullable": lambda X: pd.DataFrame(X).astype("Float64"),
    "object array": lambda X: X.astype(object),
    "Fortran": np.asfortranarray,
    "strided": strided,
    "read-only": read_only,
    "array-like": ArrayLike,
}
CASES = [
    pytest.param(reference, build, n_features, id=f"{kind}: {name}")
    for kind, reference, n_features, builders in [
        ("ragged", RAGGED, 2, RAGGED_CONTAINERS | BIVARIATE_CONTAINERS),
        ("univariate", UNIVARIATE, 1, RAGGED_CONTAINERS | UNIVARIATE_CONTAINERS),
        ("equal", CUBE, 2, CUBE_CONTAINERS),
        ("equal univariate", list(TABLE), 1, ROW_CONTAINERS),
        ("table", TABLE, 8, TABLE_CONTAINERS),
    ]
    for name, build in builders.items()
]


def outputs(estimator, X):
    """All that an estimator says about X."""
    names = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    return [getattr(estimator, name)(X) for name in names if hasattr(estimator, name)]


def assert_same_bits(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype


def assert_same_net(a, b):
    assert a.weights_.keys() == b.weights_.keys()
    assert_same_bits(a.weights_.values(), b.weights_.values())


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(("reference", "build", "n_features"), CASES)
def test_within_a_kind_the_container_does_not_matter(reference, build, n_features, name):
    estimator, y = ESTIMATORS[name]
    expected = estimator(**SMALL).fit(reference, y)
    fitted = estimator(**SMALL).fit(build(reference), y)
    assert_same_net(fitted, expected)
    assert fitted.n_features_in_ == n_features
    # every estimator reads every container of its kind
    assert_same_bits(outputs(fitted, reference), outputs(expected, reference))
    assert_same_bits(outputs(expected, build(reference)), outputs(expected, reference))


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "gru", "lstm"])
def test_across_kinds_the_fits_agree(cell, name):
    estimator, y = ESTIMATORS[name]
    cube = estimator(cell, **SMALL).fit(CUBE, y)
    table = estimator(cell, features_per_step=2, **SMALL).fit(TABLE, y)
    for a, b in zip(cube.weights_.values(), table.weights_.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    for a, b in zip(outputs(cube, CUBE)[1:], outputs(table, TABLE)[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_padded_table_is_the_ragged_list(name):
    estimator, y = ESTIMATORS[name]
    table = pad_sequences(RAGGED, flatten=True)
    fitted = estimator(features_per_step=2, **SMALL).fit(table, y)
    assert_same_net(fitted, estimator(**SMALL).fit(RAGGED, y))


def test_without_features_per_step_a_column_is_a_step():
    table = RNNClassifier(**SMALL).fit(TABLE, CLASSES)
    assert_same_net(table, RNNClassifier(**SMALL).fit(TABLE[:, :, None], CLASSES))
    assert_same_net(table, RNNClassifier(features_per_step=1, **SMALL).fit(TABLE, CLASSES))


def test_order_in_time_matters():
    a, b = (RNNClassifier(**SMALL).fit(X, CLASSES) for X in (CUBE, CUBE[:, ::-1]))
    assert not np.array_equal(a.weights_["W_xh_0"], b.weights_["W_xh_0"])


def test_memory_mapped_arrays_are_read(tmp_path):
    np.save(tmp_path / "cube.npy", CUBE)
    X = np.load(tmp_path / "cube.npy", mmap_mode="r")
    assert_same_net(
        RNNClassifier(**SMALL).fit(X, CLASSES), RNNClassifier(**SMALL).fit(CUBE, CLASSES)
    )


@pytest.mark.parametrize("build", [np.copy, list, lambda X: X.reshape(N, 8)])
def test_what_users_hand_in_is_not_written_to(build):
    X, y, weight = build(CUBE), TARGETS.copy(), np.ones(N)
    before = np.copy(X)
    RNNRegressor(**SMALL).fit(X, y, weight).predict(X)
    np.testing.assert_array_equal(np.asarray(X), before)
    np.testing.assert_array_equal(y, TARGETS)
    np.testing.assert_array_equal(weight, 1)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.bool_, np.float16])
@pytest.mark.parametrize("build", [np.asarray, list, lambda X: X.reshape(N, 8), pd.Series])
def test_whole_numbers_are_read_as_float64(build, dtype):
    X = (CUBE > 0).astype(dtype)
    X, wide = (build(list(X) if build is pd.Series else X) for X in (X, X.astype(np.float64)))
    fitted = RNNClassifier(**SMALL).fit(X, CLASSES)
    assert_same_net(fitted, RNNClassifier(**SMALL).fit(wide, CLASSES))
    assert fitted.weights_["W_xh_0"].dtype == np.float64


# dtype ----------------------------------------------------------------------------------------

FLOAT32 = {
    "3-D array": CUBE.astype(np.float32),
    "2-D array": TABLE.astype(np.float32),
    "list": [x.astype(np.float32) for x in RAGGED],
    "object array": objects([x.astype(np.float32) for x in RAGGED]),
    "pandas": pd.DataFrame(TABLE.astype(np.float32)),
    "polars": pl.DataFrame(TABLE.astype(np.float32)),
    "pandas Series": pd.Series([x.astype(np.float32) for x in RAGGED]),
    "pandas frames": [pd.DataFrame(x.astype(np.float32)) for x in RAGGED],
    "polars frames": [pl.DataFrame(x.astype(np.float32)) for x in RAGGED],
    "polars Series of lists": pl.Series(
        [x.tolist() for x in UNIVARIATE], dtype=pl.List(pl.Float32)
    ),
    "polars Series of arrays": pl.Series(TABLE.tolist(), dtype=pl.Array(pl.Float32, 8)),
}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("X", FLOAT32.values(), ids=FLOAT32)
def test_float32_in_is_float32_throughout(X, name):
    estimator, y = ESTIMATORS[name]
    fitted = estimator(**SMALL).fit(X, y)
    assert {w.dtype for w in fitted.weights_.values()} == {np.dtype(np.float32)}
    assert {o.dtype for o in outputs(fitted, X) if o.dtype.kind == "f"} == {np.dtype(np.float32)}


def test_one_float64_sequence_makes_all_float64():
    X = [x.astype(np.float32) for x in RAGGED]
    X[3] = X[3].astype(np.float64)
    assert RNNClassifier(**SMALL).fit(X, CLASSES).weights_["W_xh_0"].dtype == np.float64


def test_the_dtype_of_the_fit_stays_at_predict_and_partial_fit():
    narrow = [x.astype(np.float32) for x in RAGGED]
    reg = RNNRegressor(**SMALL).fit(narrow, TARGETS)
    assert reg.predict(RAGGED).dtype == np.float32
    np.testing.assert_array_equal(reg.predict(RAGGED), reg.predict(narrow))
    assert reg.partial_fit(RAGGED, TARGETS).weights_["W_ho"].dtype == np.float32


# names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_wide_frame_names_its_columns(frame):
    names = [f"f{i}" for i in range(8)]
    X = frame(dict(zip(names, TABLE.T, strict=True)))
    fitted = RNNClassifier(**SMALL).fit(X, CLASSES)
    assert_same_net(fitted, RNNClassifier(**SMALL).fit(TABLE, CLASSES))
    assert fitted.feature_names_in_.tolist() == names
    assert fitted.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="same order"):
        fitted.predict(X[names[::-1]])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_name_the_features_of_a_step(frame):
    def frames(names):
        return [frame(dict(zip(names, x.T, strict=True))) for x in RAGGED]

    fitted = RNNClassifier(**SMALL).fit(frames(NAMES), CLASSES)
    assert fitted.feature_names_in_.tolist() == NAMES
    assert fitted.n_features_in_ == 2
    for names in (["b", "a"], ["a", "c"]):
        with pytest.raises(ValueError, match=rf"{names[0]}.*fitted on.*'a', 'b'.*order"):
            fitted.predict(frames(names))


def test_the_names_of_every_frame_are_checked():
    frames = [pd.DataFrame(x, columns=NAMES) for x in RAGGED]
    frames[4] = frames[4][NAMES[::-1]]
    fitted = RNNClassifier(**SMALL).fit(RAGGED, CLASSES)
    for read in (fitted.predict, lambda X: fitted.fit(X, CLASSES)):
        with pytest.raises(ValueError, match=r"Sequence 4.*\['b', 'a'\].*\['a', 'b'\]"):
            read(frames)


def test_a_new_fit_without_names_forgets_the_names():
    clf = RNNClassifier(**SMALL).fit([pd.DataFrame(x, columns=NAMES) for x in RAGGED], CLASSES)
    assert not hasattr(clf.fit(RAGGED, CLASSES), "feature_names_in_")
    clf.fit(pd.DataFrame(TABLE, columns=list("abcdefgh")), CLASSES)
    assert not hasattr(clf.fit(RAGGED, CLASSES), "feature_names_in_")
    assert clf.n_features_in_ == 2


# the kind of the fit --------------------------------------------------------------------------


def test_nested_lists_follow_the_kind_of_the_fit():
    rows = TABLE.tolist()
    table = RNNRegressor(**SMALL).fit(TABLE, TARGETS)
    sequences = RNNRegressor(**SMALL).fit(list(TABLE), TARGETS)
    np.testing.assert_array_equal(table.predict(rows), table.predict(TABLE))
    np.testing.assert_array_equal(sequences.predict(rows), sequences.predict(list(TABLE)))
    # lists of one row are read alike
    np.testing.assert_array_equal(sequences.predict(rows[:1]), sequences.predict([TABLE[0]]))


def test_a_sequence_fitted_estimator_reads_any_length_at_predict():
    clf = RNNClassifier(**SMALL).fit(CUBE, CLASSES)
    assert clf.predict_proba(RNG.normal(size=(3, 19, 2))).shape == (3, 3)
    assert clf.predict_proba(RAGGED).shape == (N, 3)
    assert clf.predict_proba(CUBE[:1]).shape == (1, 3)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_one_sequence_alone_is_read_with_a_leading_axis(method):
    clf = RNNClassifier(**SMALL).fit(RAGGED, CLASSES)
    alone = getattr(clf, method)(RAGGED[2][None])
    np.testing.assert_array_equal(alone, getattr(clf, method)(RAGGED)[2:3])


# targets --------------------------------------------------------------------------------------

CODES = np.array([1, 0, 2, 0, 1, 2, 0])
LABELS = {
    "strings": (CLASSES, list("abc")),
    "list of strings": (CLASSES.tolist(), list("abc")),
    "objects": (CLASSES.astype(object), list("abc")),
    "integers": (CODES * 5 - 3, [-3, 2, 7]),
    "int8": (CODES.astype(np.int8), [0, 1, 2]),
    "whole floats": (CODES.astype(float), [0.0, 1.0, 2.0]),
    "booleans": (CODES > 0, [False, True]),
    "two strings": (np.where(CODES > 0, "yes", "no"), ["no", "yes"]),
    "pandas": (pd.Series(CLASSES, index=range(90, 97)), list("abc")),
    "pandas category": (pd.Series(CLASSES, dtype="category"), list("abc")),
    "pandas nullable": (pd.Series(CODES, dtype="Int64"), [0, 1, 2]),
    "polars": (pl.Series(CLASSES), list("abc")),
    "tuple": (tuple(CODES.tolist()), [0, 1, 2]),
}


@pytest.mark.parametrize(("y", "classes"), LABELS.values(), ids=LABELS)
def test_labels_come_back_as_they_were(y, classes):
    clf = RNNClassifier(**SMALL).fit(RAGGED, y)
    assert clf.classes_.tolist() == classes
    predicted = clf.predict(RAGGED)
    assert predicted.dtype == clf.classes_.dtype
    assert predicted.shape == (N,)
    assert set(predicted.tolist()) <= set(classes)
    proba, decision = clf.predict_proba(RAGGED), clf.decision_function(RAGGED)
    assert proba.shape == (N, len(classes))
    assert decision.shape == ((N,) if len(classes) == 2 else (N, len(classes)))
    np.testing.assert_array_equal(predicted, clf.classes_[proba.argmax(axis=1)])
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(RAGGED)), proba)


def test_names_of_labels_do_not_change_the_net():
    nets = [RNNClassifier(**SMALL).fit(RAGGED, y) for y in (CLASSES, CODES, CODES - 1.0)]
    for net in nets[1:]:
        assert_same_net(net, nets[0])


MULTILABEL = (RNG.random((N, 3)) > 0.5).astype(int)
MULTILABEL[:2] = [[0, 1, 0], [1, 0, 1]]


@pytest.mark.parametrize(
    "build",
    [
        np.asarray,
        np.ndarray.tolist,
        sparse.csr_array,
        sparse.csc_matrix,
        pd.DataFrame,
        pl.DataFrame,
        lambda y: y.astype(bool),
        lambda y: y.astype(float),
    ],
)
def test_a_multilabel_target_is_the_same_in_every_container(build):
    expected = RNNClassifier(**SMALL).fit(RAGGED, MULTILABEL)
    fitted = RNNClassifier(**SMALL).fit(RAGGED, build(MULTILABEL))
    assert_same_net(fitted, expected)
    assert fitted.classes_.tolist() == [0, 1, 2]
    predicted, proba = fitted.predict(RAGGED), fitted.predict_proba(RAGGED)
    assert predicted.shape == proba.shape == (N, 3)
    np.testing.assert_array_equal(predicted, proba > 0.5)


@pytest.mark.parametrize(
    "build", [np.asarray, np.ndarray.tolist, pd.DataFrame, pl.DataFrame, np.asfortranarray]
)
def test_a_regression_target_of_many_outputs_is_the_same_in_every_container(build):
    y = np.column_stack([TARGETS, 1e3 * TARGETS[::-1], np.ones(N)])
    expected = RNNRegressor(**SMALL).fit(RAGGED, y)
    fitted = RNNRegressor(**SMALL).fit(RAGGED, build(y))
    assert_same_net(fitted, expected)
    assert fitted.n_outputs_ == 3
    assert fitted.predict(RAGGED).shape == (N, 3)


@pytest.mark.parametrize(
    "y",
    [TARGETS.tolist(), pd.Series(TARGETS), pl.Series(TARGETS), pd.Series(TARGETS, dtype="Float64")],
    ids=["list", "pandas", "polars", "pandas nullable"],
)
def test_a_regression_target_is_the_same_in_every_container(y):
    assert_same_net(
        RNNRegressor(**SMALL).fit(RAGGED, y), RNNRegressor(**SMALL).fit(RAGGED, TARGETS)
    )


@pytest.mark.parametrize("build", [list, np.asarray, pd.Series, pl.Series, tuple])
def test_sample_weight_is_the_same_in_every_container(build):
    weight = np.arange(1.0, N + 1)
    assert_same_net(
        RNNRegressor(**SMALL).fit(RAGGED, TARGETS, build(weight)),
        RNNRegressor(**SMALL).fit(RAGGED, TARGETS, weight),
    )


def test_weights_count_where_every_batch_is_one_row():
    y = np.array([0.0, 1.0, 0.0, 1.0])
    weight = np.array([3.0, 3.0, 1.0, 1.0])  # weighted mean and scale of y stay what they were
    parameters = SMALL | {"batch_size": 1, "shuffle": False}
    a = RNNRegressor(**parameters).fit(RAGGED[:4], y)
    b = RNNRegressor(**parameters).fit(RAGGED[:4], y, weight)
    assert np.abs(a.weights_["W_xh_0"] - b.weights_["W_xh_0"]).max() > 1e-6


def test_absent_steps_are_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*max_iter")
        RNNClassifier(**SMALL).fit(holed(RAGGED), CLASSES).predict(holed(RAGGED))
