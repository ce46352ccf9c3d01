"""What users hand in as X: within a kind, table or sequences, the container does not matter."""

import tracemalloc
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.preprocessing import StandardScaler

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
from skrnn._data.inputs import parse_steps
from skrnn._nn.cells import CELLS
from skrnn.preprocessing import SequencePadder, StepImputer, StepTransformer

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


def steps_of(X):
    """All steps of X as the net reads them."""
    return parse_steps(StepImputer(), X, None, None)[0]


EXACT_IN_FLOAT32 = ["bool", "int8", "uint8", "int16", "uint16", "float16", "float32", ">f4", ">i2"]
WIDER = ["int32", "uint32", "int64", "uint64", "float64", ">f8", "longdouble"]
BUILD = {
    "3-D array": np.asarray,
    "list": list,
    "table": lambda X: X.reshape(len(X), -1),
    "object array": lambda X: objects(list(X)),
    "Series": lambda X: pd.Series(list(X)),
}


@pytest.mark.parametrize("dtype", EXACT_IN_FLOAT32 + WIDER)
@pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)
def test_what_float32_holds_exactly_is_computed_in_float32(build, dtype):
    X = (CUBE > 0).astype(dtype)
    dtype = np.float32 if dtype in EXACT_IN_FLOAT32 else np.float64
    fitted = classifier().fit(build(X), CLASSES)
    assert_same_net(fitted, classifier().fit(build(X.astype(dtype)), CLASSES))
    assert {w.dtype for w in fitted.weights_.values()} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (("uint8", "float32"), np.float32),
        (("int8", "uint8"), np.float32),
        (("bool", "float16"), np.float32),
        (("int32", "float32"), np.float64),
        (("int64", "uint8"), np.float64),
        (("float64", "uint8"), np.float64),
    ],
)
def test_the_dtype_is_that_of_all_sequences_and_columns(dtypes, expected):
    columns = [np.arange(4).astype(dtype) for dtype in dtypes]
    frame = dict(zip("ab", columns, strict=True))
    assert steps_of(columns).dtype == expected
    assert steps_of(pd.DataFrame(frame)).dtype == expected
    if "float16" not in dtypes:
        assert steps_of(pl.DataFrame(frame)).dtype == expected
        assert steps_of(pa.table(frame)).dtype == expected


def test_numbers_of_python_are_float64():
    for X in ([[1, 2], [3]], [[1.0, 2.0]], np.array([[1, 2]], dtype=object)):
        assert steps_of(X).dtype == np.float64


def test_arrays_in_their_own_arithmetic_are_not_copied():
    for X in (CUBE, CUBE.astype(np.float32), TABLE):
        assert np.shares_memory(steps_of(X), X)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float16", ">f4", "int32", ">f8"])
@pytest.mark.parametrize("build", [np.asarray, list, lambda X: X.reshape(len(X), -1)])
def test_x_is_converted_by_one_copy(build, dtype):
    X = build(np.ones((200, 50, 20)).astype(dtype))
    tracemalloc.start()
    steps = steps_of(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * steps.nbytes


def test_the_dtype_does_not_change_the_batches():
    X = [x.astype(np.float32) for x in make_sequences([4, 2, 3] * 20)]
    y = np.arange(60) % 3
    narrow = classifier(max_iter=5).fit(X, y)
    wide = classifier(max_iter=5).fit([x.astype(np.float64) for x in X], y)
    np.testing.assert_allclose(narrow.predict_proba(X), wide.predict_proba(X), rtol=0, atol=1e-5)


# what is missing ------------------------------------------------------------------------------

A, B = Decimal("1.5"), Decimal("2.0")
GAPS = {
    "float64[pyarrow]": pd.DataFrame({"a": [1.5, None, 2]}, dtype="float64[pyarrow]"),
    "decimal": pd.DataFrame({"a": [A, None, B]}),
    "decimal[pyarrow]": pd.DataFrame(
        {"a": pd.array([A, None, B], dtype=pd.ArrowDtype(pa.decimal128(5, 2)))}
    ),
    "polars decimal": pl.DataFrame({"a": [A, None, B]}),
    "arrow decimal": pa.table({"a": [A, None, B]}),
    "None": np.array([[1.5], [None], [2]], dtype=object),
    "NA": np.array([[1.5], [pd.NA], [2.0]], dtype=object),
    "objects": pd.DataFrame({"a": [1.5, pd.NA, 2]}, dtype=object),
    "masked": np.ma.masked_values([[1.5], [1e6], [2.0]], 1e6),
    "masked objects": np.ma.masked_values([[1.5], [1e6], [2.0]], 1e6).astype(object),
    "Float32": pd.DataFrame({"a": [1.5, None, 2]}, dtype="Float32"),
    "polars float32": pl.DataFrame({"a": pl.Series([1.5, None, 2], dtype=pl.Float32)}),
    "arrow float32": pa.table({"a": pa.array([1.5, None, 2], pa.float32())}),
    "Series": pd.Series([1.5, None, 2], dtype="Float64").to_frame(),
}
WHOLE_GAPS = {
    "bool[pyarrow]": pd.DataFrame({"a": [True, None, False]}, dtype="bool[pyarrow]"),
    "boolean": pd.DataFrame({"a": [True, None, False]}, dtype="boolean"),
    "Int8": pd.DataFrame({"a": [1, None, 0]}, dtype="Int8"),
    "UInt8": pd.DataFrame({"a": [1, None, 0]}, dtype="UInt8"),
    "polars int": pl.DataFrame({"a": pl.Series([1, None, 0], dtype=pl.Int8)}),
    "polars bool": pl.DataFrame({"a": [True, None, False]}),
    "arrow int": pa.table({"a": pa.array([1, None, 0], pa.uint16())}),
    "object bool": pd.DataFrame({"a": [True, None, False]}, dtype=object),
    "arrow bool": pa.table({"a": [True, None, False]}),
    "masked int": np.ma.masked_array(np.array([[1], [9], [0]], np.uint8), [[0], [1], [0]]),
    "masked bool": np.ma.masked_array([[True], [True], [False]], [[0], [1], [0]]),
}
ALL_GAPS = [
    *((X, [1.5, np.nan, 2.0], np.float32 if "loat32" in k else None) for k, X in GAPS.items()),
    *((X, [1.0, np.nan, 0.0], np.float32) for X in WHOLE_GAPS.values()),
]


@pytest.mark.parametrize(("X", "expected", "dtype"), ALL_GAPS, ids=[*GAPS, *WHOLE_GAPS])
def test_what_is_missing_is_nan(X, expected, dtype):
    table = steps_of(X)
    assert table.dtype == (dtype or np.float64)
    np.testing.assert_array_equal(table[:, 0], expected)
    for read in (steps_of, lambda X: pad_sequences(X)[0]):
        np.testing.assert_array_equal(read([X]), table)
    np.testing.assert_array_equal(steps_of(as_sequences([X])), table)


LISTS = {
    "pandas": pd.Series([[1.0, None], [0.0]]),
    "NA": pd.Series([[1.0, pd.NA], [0.0]]),
    "polars": pl.Series([[1.0, None], [0.0]]),
    "polars column": pl.DataFrame({"x": [[1.0, None], [0.0]]}),
    "small integers": pl.Series([[1, None], [0]], dtype=pl.List(pl.UInt8)),
    "booleans": pl.Series([[True, None], [False]]),
    "decimal": pl.Series([[Decimal(1), None], [Decimal(0)]]),
    "pyarrow": pd.Series([[1, None], [0]], dtype=pd.ArrowDtype(pa.list_(pa.int8()))),
    "chunked": pa.chunked_array([[[1.0, None], [0.0]]]),
    "arrow array": pa.array([[1.0, None], [0.0]]),
    "lists with NA": [[1.0, pd.NA], [0.0]],
    "masked arrays": [np.ma.masked_array([1.0, 1e6], [False, True]), np.zeros(1)],
    "masked integers": [np.ma.masked_array([1, 9], [False, True]), np.zeros(1)],
}


@pytest.mark.parametrize("X", LISTS.values(), ids=LISTS)
def test_what_is_missing_in_a_sequence_is_nan(X):
    np.testing.assert_array_equal(steps_of(X)[:, 0], [1, np.nan, 0])
    assert steps_of(pl.Series([[1, 2], [3]], dtype=pl.List(pl.Int16))).dtype == np.float32


MASKED = np.ma.masked_greater(np.where(np.arange(12) == 5, 1e6, np.arange(12.0)), 1e5)


@pytest.mark.parametrize(
    "X",
    [
        MASKED.reshape(3, 4),
        MASKED.reshape(3, 2, 2),
        list(MASKED.reshape(3, 2, 2)),
        [[row[:2], row[2:]] for row in MASKED.reshape(3, 4)],
        objects(list(MASKED.reshape(3, 4))),
        MASKED.astype(int).reshape(3, 4),
    ],
    ids=["table", "3-D", "list", "list of lists", "object array", "integers"],
)
def test_masked_values_of_x_are_nan(X):
    expected = np.where(np.arange(12) == 5, np.nan, np.arange(12))
    np.testing.assert_array_equal(steps_of(X).ravel(), expected)


FLOAT32 = {
    "3-D array": CUBE.astype(np.float32),
    "2-D array": TABLE.astype(np.float32),
    "list": [x.astype(np.float32) for x in RAGGED],
    "object array": objects([x.astype(np.float32) for x in RAGGED]),
    "big-endian list": [x.astype(">f4") for x in RAGGED],
    "pandas": pd.DataFrame(TABLE.astype(np.float32)),
    "pandas nullable": pd.DataFrame(TABLE).astype("Float32"),
    "pandas nullable frames": [pd.DataFrame(x).astype("Float32") for x in RAGGED],
    "pyarrow": pa.table(dict(zip("abcdefgh", TABLE.T.astype(np.float32), strict=True))),
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


ROWS = [[1.0, 2.0, 3.0], [2.0, 1.0, 0.0], [0.0, 0.5, 1.0]]
OTHER_ROWS = [[1.0, 2.0, 3.0, 4.0], [2.0], [0.5, 0.25]]
READ_ROWS = {
    "table": np.array(ROWS),
    "nested lists": ROWS,
    "frame": pd.DataFrame(ROWS),
    "lists of other lengths": OTHER_ROWS,
    "univariate sequences": [np.array(row) for row in OTHER_ROWS],
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("X", READ_ROWS.values(), ids=READ_ROWS)
@pytest.mark.parametrize("rows", [ROWS, OTHER_ROWS, [[1.0, 2.0]] * 3, tuple(OTHER_ROWS)])
def test_nested_lists_are_rows_of_any_lengths_after_a_fit_of_either_kind(X, rows):
    """Each as if alone, in all methods."""
    arrays = [np.array(row) for row in rows]
    reg = regressor().fit(X, [0.0, 1.0, 2.0])
    alone = np.concatenate([reg.predict([row]) for row in rows])
    np.testing.assert_allclose(reg.predict(rows), alone, rtol=1e-12)
    sequences = regressor().fit(READ_ROWS["univariate sequences"], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(sequences.predict(rows), sequences.predict(arrays))
    assert np.isfinite(reg.score(rows, [0.0, 1.0, 2.0]))
    assert [len(states) for states in reg.hidden_states(rows)] == [len(row) for row in rows]
    assert reg.forecast(rows, 2).shape == (3, 2)
    n = reg.n_features_in_
    reg.partial_fit(rows, [0.0, 1.0, 2.0])
    reg.set_params(warm_start=True).fit(rows, [0.0, 1.0, 2.0])
    assert reg.n_features_in_ == n


@pytest.mark.filterwarnings("ignore:The first call of partial_fit was given one sequence")
def test_the_chunks_of_nested_lists_may_have_any_lengths():
    clf = classifier().partial_fit([[1.0, 2.0, 3.0]] * 2, [0, 1], [0, 1])
    clf.partial_fit([[1.0, 2.0, 3.0, 4.0]], [1]).partial_fit([[1.0], [2.0, 3.0]], [1, 0])
    same = classifier().partial_fit([np.array([1.0, 2.0, 3.0])] * 2, [0, 1], [0, 1])
    same.partial_fit([np.arange(1.0, 5)], [1]).partial_fit([np.ones(1), np.array([2, 3.0])], [1, 0])
    assert_same_net(clf, same)


def test_nested_lists_may_be_held_out():
    y = [0.0, 1.0, 2.0]
    fits = [
        regressor(early_stopping=True).fit(X, y, X_val=X_val, y_val=y)
        for X, X_val in [(ROWS, OTHER_ROWS), (np.array(ROWS)[:, :, None], OTHER_ROWS)]
    ]
    assert fits[0].validation_scores_ == fits[1].validation_scores_


def test_outputs_per_step_of_nested_lists_come_as_their_rows():
    y = np.array(ROWS) > 1
    clf = classifier(readout="step").fit(ROWS, y)
    assert clf.predict(ROWS).shape == (3, 3)
    assert [len(steps) for steps in clf.predict(OTHER_ROWS)] == [4, 1, 2]
    assert clf.predict_proba(OTHER_ROWS)[0].shape == (4, 2)
    assert clf.predict([[1.0, 2.0]]).dtype == object


@pytest.mark.parametrize("X", [np.ones((2, 4)), pd.DataFrame(np.ones((2, 4)))])
def test_arrays_and_frames_are_held_to_the_width_of_the_fit(X):
    clf = classifier().fit(np.array(ROWS), [0, 1, 0])
    with pytest.raises(ValueError, match="X has 4 features, but RNNClassifier is expecting 3"):
        clf.predict(X)
    with pytest.raises(ValueError, match="fitted on a table"):
        clf.predict([np.ones(4)])
    with pytest.raises(ValueError, match="has 5 features, but RNNClassifier is expecting 4"):
        classifier(features_per_step=2).fit(np.ones((2, 4)), [0, 1]).predict([[1.0] * 5])


@pytest.mark.parametrize("container", [list, tuple])
def test_transformers_of_tables_take_nested_lists_of_other_lengths_and_return_them(container):
    scaler = StepTransformer(StandardScaler()).fit(ROWS)
    out = scaler.transform(container(OTHER_ROWS))
    mean, scale = scaler.transformer_.mean_[0], scaler.transformer_.scale_[0]
    assert type(out) is container
    for row, given in zip(out, OTHER_ROWS, strict=True):
        np.testing.assert_allclose(row, (np.array(given) - mean) / scale)
    back = scaler.inverse_transform(out)
    assert type(back) is container
    np.testing.assert_allclose(np.concatenate(back), np.concatenate(OTHER_ROWS))
    assert isinstance(scaler.transform(ROWS), np.ndarray)
    assert StepImputer().fit(ROWS).transform(OTHER_ROWS) == OTHER_ROWS
    two = StepImputer(add_indicator=True).fit(ROWS).transform(OTHER_ROWS)
    assert two[1] == [2.0, 0.0]  # a flattened step, as in a table
    padded = SequencePadder(length=4).fit(ROWS).transform(OTHER_ROWS)
    np.testing.assert_array_equal(padded, pad_sequences(OTHER_ROWS))


# one row --------------------------------------------------------------------------------------


@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize("build", [np.asarray, lambda X: X.astype(object), lambda X: X.tolist()])
def test_one_row_is_one_sequence_of_one_step(build, D):
    cube = CUBE[:, :, :D]
    clf, row = classifier().fit(cube, CLASSES), CUBE[0, :1, :D]
    for method in ("predict", "predict_proba", "hidden_states"):
        expected = getattr(clf, method)(row[None])
        np.testing.assert_array_equal(np.asarray(getattr(clf, method)(build(row))[0]), expected[0])
    assert clf.score(build(row), clf.predict(row[None])) == 1
    same = classifier().fit(cube, CLASSES).partial_fit(row[None], ["a"])
    assert_same_net(clf.partial_fit(build(row), ["a"]), same)
    scaler = StepTransformer(StandardScaler()).fit(cube)
    np.testing.assert_array_equal(
        np.asarray(scaler.transform(build(row))).ravel(), scaler.transform(row[None]).ravel()
    )


def test_one_row_of_a_frame_or_of_several_is_refused():
    clf = classifier().fit(CUBE, CLASSES)
    for X in (pd.DataFrame(CUBE[0, :1]), pl.DataFrame(CUBE[0, :1]), CUBE[0, :2], CUBE[:1, :2, 0].T):
        with pytest.raises(ValueError, match="fitted on sequences"):
            clf.predict(X)


def test_frames_of_objects_are_made_sequences_of_objects():
    frame = pl.DataFrame({"a": [{"u": 1}, {"u": 2}], "b": [[1], [2, 3]]})
    (box,) = as_sequences([frame])
    assert box.shape == (2, 2) and box[1, 0] == {"u": 2}
