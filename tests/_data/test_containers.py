"""What users hand in as X: within a kind, table or sequences, the container does not matter."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from _factories import (
    LENGTHS,
    assert_close_nets,
    assert_same_bits,
    assert_same_net,
    classifier,
    holed,
    make_cube,
    make_sequences,
    objects,
    outputs,
    regressor,
)
from skrnn import as_sequences, pad_sequences
from skrnn._nn.cells import CELLS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 7
CLASSES = np.array(["b", "a", "c", "a", "b", "c", "a"])
TARGETS = np.random.default_rng(0).normal(size=N)
RAGGED = make_sequences(LENGTHS[:N])
UNIVARIATE = [x[:, 0] for x in RAGGED]
CUBE = make_cube(N, 4)
TABLE = CUBE.reshape(N, 8)
NAMES = ["a", "b"]
FITS = {"classifier": (classifier, CLASSES), "regressor": (regressor, TARGETS)}


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    """The same values, neither C- nor F-contiguous."""
    for axis in range(array.ndim):
        array = np.repeat(array, 2, axis)
    return array[(slice(None, None, 2),) * array.ndim]


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


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize(("reference", "build", "n_features"), CASES)
def test_within_a_kind_the_container_does_not_matter(reference, build, n_features, name):
    make, y = FITS[name]
    expected = make().fit(reference, y)
    fitted = make().fit(build(reference), y)
    assert_same_net(fitted, expected)
    assert fitted.n_features_in_ == n_features
    # every estimator reads every container of its kind
    assert_same_bits(outputs(fitted, reference), outputs(expected, reference))
    assert_same_bits(outputs(expected, build(reference)), outputs(expected, reference))


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("cell", CELLS)
def test_across_kinds_the_fits_agree(cell, name):
    make, y = FITS[name]
    cube = make(cell=cell).fit(CUBE, y)
    table = make(cell=cell, features_per_step=2).fit(TABLE, y)
    assert_close_nets(cube, table, rtol=1e-10, atol=1e-12)
    for a, b in zip(outputs(cube, CUBE)[1:], outputs(table, TABLE)[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FITS)
def test_a_padded_table_is_the_ragged_list(name):
    make, y = FITS[name]
    table = pad_sequences(RAGGED, flatten=True)
    fitted = make(features_per_step=2).fit(table, y)
    assert_same_net(fitted, make().fit(RAGGED, y))


def test_without_features_per_step_a_column_is_a_step():
    table = classifier().fit(TABLE, CLASSES)
    assert_same_net(table, classifier().fit(TABLE[:, :, None], CLASSES))
    assert_same_net(table, classifier(features_per_step=1).fit(TABLE, CLASSES))


def test_order_in_time_matters():
    a, b = (classifier().fit(X, CLASSES) for X in (CUBE, CUBE[:, ::-1]))
    assert not np.array_equal(a.weights_["W_xh_0"], b.weights_["W_xh_0"])


def test_memory_mapped_arrays_are_read(tmp_path):
    np.save(tmp_path / "cube.npy", CUBE)
    X = np.load(tmp_path / "cube.npy", mmap_mode="r")
    assert_same_net(classifier().fit(X, CLASSES), classifier().fit(CUBE, CLASSES))


@pytest.mark.parametrize("build", [np.copy, list, lambda X: X.reshape(N, 8)])
def test_what_users_hand_in_is_not_written_to(build):
    X, y, weight = build(CUBE), TARGETS.copy(), np.ones(N)
    before = np.copy(X)
    regressor().fit(X, y, weight).predict(X)
    np.testing.assert_array_equal(np.asarray(X), before)
    np.testing.assert_array_equal(y, TARGETS)
    np.testing.assert_array_equal(weight, 1)


def test_absent_steps_raise_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*max_iter")
        classifier().fit(holed(RAGGED), CLASSES).predict(holed(RAGGED))


# dtype ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.bool_, np.float16])
@pytest.mark.parametrize("build", [np.asarray, list, lambda X: X.reshape(N, 8), pd.Series])
def test_whole_numbers_are_read_as_float64(build, dtype):
    X = (CUBE > 0).astype(dtype)
    X, wide = (build(list(X) if build is pd.Series else X) for X in (X, X.astype(np.float64)))
    fitted = classifier().fit(X, CLASSES)
    assert_same_net(fitted, classifier().fit(wide, CLASSES))
    assert fitted.weights_["W_xh_0"].dtype == np.float64


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


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("X", FLOAT32.values(), ids=FLOAT32)
def test_float32_in_is_float32_throughout(X, name):
    make, y = FITS[name]
    fitted = make().fit(X, y)
    assert {w.dtype for w in fitted.weights_.values()} == {np.dtype(np.float32)}
    assert {o.dtype for o in outputs(fitted, X) if o.dtype.kind == "f"} == {np.dtype(np.float32)}


def test_one_float64_sequence_makes_all_float64():
    X = [x.astype(np.float32) for x in RAGGED]
    X[3] = X[3].astype(np.float64)
    assert classifier().fit(X, CLASSES).weights_["W_xh_0"].dtype == np.float64


def test_the_dtype_of_the_fit_stays_at_predict_and_partial_fit():
    narrow = [x.astype(np.float32) for x in RAGGED]
    reg = regressor().fit(narrow, TARGETS)
    assert reg.predict(RAGGED).dtype == np.float32
    np.testing.assert_array_equal(reg.predict(RAGGED), reg.predict(narrow))
    assert reg.partial_fit(RAGGED, TARGETS).weights_["W_ho"].dtype == np.float32


# names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_wide_frame_names_its_columns(frame):
    names = [f"f{i}" for i in range(8)]
    X = frame(dict(zip(names, TABLE.T, strict=True)))
    fitted = classifier().fit(X, CLASSES)
    assert_same_net(fitted, classifier().fit(TABLE, CLASSES))
    assert fitted.feature_names_in_.tolist() == names
    assert fitted.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="same order"):
        fitted.predict(X[names[::-1]])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_name_the_features_of_steps(frame):
    def frames(names):
        return [frame(dict(zip(names, x.T, strict=True))) for x in RAGGED]

    fitted = classifier().fit(frames(NAMES), CLASSES)
    assert fitted.feature_names_in_.tolist() == NAMES
    assert fitted.n_features_in_ == 2
    for names in (["b", "a"], ["a", "c"]):
        with pytest.raises(ValueError, match=rf"{names[0]}.*fitted on.*'a', 'b'.*order"):
            fitted.predict(frames(names))


def test_the_names_of_every_frame_are_checked():
    frames = [pd.DataFrame(x, columns=NAMES) for x in RAGGED]
    frames[4] = frames[4][NAMES[::-1]]
    fitted = classifier().fit(RAGGED, CLASSES)
    for read in (fitted.predict, lambda X: fitted.fit(X, CLASSES)):
        with pytest.raises(ValueError, match=r"Sequence 4.*\['b', 'a'\].*\['a', 'b'\]"):
            read(frames)


def test_a_new_fit_without_names_forgets_the_names():
    clf = classifier().fit([pd.DataFrame(x, columns=NAMES) for x in RAGGED], CLASSES)
    assert not hasattr(clf.fit(RAGGED, CLASSES), "feature_names_in_")
    clf.fit(pd.DataFrame(TABLE, columns=list("abcdefgh")), CLASSES)
    assert not hasattr(clf.fit(RAGGED, CLASSES), "feature_names_in_")
    assert clf.n_features_in_ == 2


# the kind of the fit --------------------------------------------------------------------------


def test_nested_lists_follow_the_kind_of_the_fit():
    rows = TABLE.tolist()
    table = regressor().fit(TABLE, TARGETS)
    sequences = regressor().fit(list(TABLE), TARGETS)
    np.testing.assert_array_equal(table.predict(rows), table.predict(TABLE))
    np.testing.assert_array_equal(sequences.predict(rows), sequences.predict(list(TABLE)))
    # lists of one row are read alike
    np.testing.assert_array_equal(sequences.predict(rows[:1]), sequences.predict([TABLE[0]]))


def test_a_sequence_fitted_estimator_reads_any_length_at_predict():
    clf = classifier().fit(CUBE, CLASSES)
    assert clf.predict_proba(make_cube(3, 19)).shape == (3, 3)
    assert clf.predict_proba(RAGGED).shape == (N, 3)
    assert clf.predict_proba(CUBE[:1]).shape == (1, 3)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_one_sequence_alone_is_read_with_a_leading_axis(method):
    clf = classifier().fit(RAGGED, CLASSES)
    alone = getattr(clf, method)(RAGGED[2][None])
    np.testing.assert_array_equal(alone, getattr(clf, method)(RAGGED)[2:3])
