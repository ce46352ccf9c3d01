"""What X, y and weights may not be: refused in words, which leaves the estimator as it was."""

from collections import deque, namedtuple
from datetime import date, time, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from _factories import (
    BOTH,
    METHODS,
    NUMPYS_WORDS,
    assert_same_net,
    classifier,
    make_cube,
    make_sequences,
    objects,
    regressor,
    replaced,
    state,
    with_value,
)
from skrnn import as_sequences, pad_sequences
from skrnn.preprocessing import StepImputer, StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 6
Y = np.array([0, 1] * 3)
RAGGED = make_sequences((3, 2, 4, 2, 5, 3))
UNIVARIATE = [x[:, 0] for x in RAGGED]
CUBE = make_cube(N, 4)
TABLE = CUBE.reshape(N, 8)


# sequences, of which 2 is the bad one ---------------------------------------------------------

BAD_ITEMS = {
    "no step": (replaced(RAGGED, np.empty((0, 2))), r"Sequence 2 is empty.*at least one step"),
    "no feature": (replaced(RAGGED, np.empty((3, 0))), r"Sequence 2 is empty.*at least one step"),
    "empty list": (replaced(RAGGED, []), r"Sequence 2 is empty.*at least one step"),
    "partly NaN": (with_value(RAGGED, np.nan), r"NaN in some.*sequence 2, step 1.*(Impute|absent)"),
    "infinity": (with_value(RAGGED, np.inf), r"infinity: sequence 2, step 1.*absent by NaN"),
    "a step of minus infinity": (
        with_value(RAGGED, -np.inf, True),
        r"infinity: sequence 2, step 1",
    ),
    "all NaN": (
        replaced(RAGGED, np.full((3, 2), np.nan)),
        r"Sequence 2 has no step left.*Leave it out",
    ),
    "other width": (
        replaced(RAGGED, np.ones((4, 3))),
        r"Sequence 2.*3 features.*of 2.*\(steps, features\)",
    ),
    "turned": (replaced(RAGGED, np.ones((2, 9))), r"Sequence 2.*9 features.*x\.T"),
    "one dimension too many": (
        replaced(RAGGED, np.ones((1, 4, 2))),
        r"Sequence 2 has 3 dim.*\(steps,",
    ),
    "a scalar": (replaced(RAGGED, 3.0), r"Sequence 2 has 0 dimensions.*\(steps, features\)"),
    "None": (replaced(RAGGED, None), r"Sequence 2.*\(steps, features\)"),
    "text": (replaced(RAGGED, np.array([["a", "b"]])), r"Sequence 2.*numbers"),
    "numbers as text": (replaced(RAGGED, np.array([["1", "2"]])), r"Sequence 2.*numbers"),
    "a string": (replaced(RAGGED, "abc"), r"Sequence 2.*numbers"),
    "text among objects": (
        replaced(RAGGED, np.array([["a", 1]], dtype=object)),
        r"Sequence 2.*number",
    ),
    "dates": (replaced(RAGGED, np.zeros((2, 2), "M8[D]")), r"Sequence 2.*datetime64.*numbers"),
    "complex": (replaced(RAGGED, np.ones((2, 2), complex)), r"Complex data.*Sequence 2.*x\.real"),
    "not rectangular": (
        replaced(RAGGED, [[1.0, 2.0], [3.0]]),
        r"Sequence 2 is not rectangular.*\(steps,",
    ),
    "an integer beyond floats": (replaced(RAGGED, [[10**400, 1]]), r"Sequence 2.*number"),
}


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "1-D object array": objects,
    "(n, 1) object array": lambda X: objects(X, (-1, 1)),
    "pandas Series": pd.Series,
    "pandas one column": lambda X: pd.DataFrame({"x": X}),
    "polars Series": lambda X: pl.Series(X, dtype=pl.Object),
}


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(RAGGED, Y), regressor().fit(RAGGED, Y)


def assert_refused(estimators, X, words):
    """At fit and at predict, and nothing changes."""
    for estimator in estimators:
        before = state(estimator)
        for read in (lambda X: estimator.fit(X, Y), estimator.predict):  # noqa: B023
            with pytest.raises(ValueError, match=words):
                read(X)
            assert state(estimator) == before


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize(("X", "words"), BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_a_bad_sequence_is_named_at_fit_and_at_predict(X, words, container, fitted):
    assert_refused(fitted, container(X), words)


# arrays ---------------------------------------------------------------------------------------


def with_cube(place, value):
    X = CUBE.copy()
    X[place] = value
    return X


BAD_CUBES = {
    "partly NaN": (with_cube((2, 1, 0), np.nan), r"NaN in some.*sequence 2, step 1"),
    "infinity": (with_cube((2, 1, 0), np.inf), r"infinity: sequence 2, step 1"),
    "all NaN": (with_cube(2, np.nan), r"Sequence 2 has no step left"),
    "no step": (CUBE[:, :0], r"Sequence 0 is empty"),
    "no feature": (CUBE[:, :, :0], r"Sequence 0 is empty"),
    "no sequence": (CUBE[:0], r"no sequence.*at least one"),
    "complex": (CUBE.astype(complex), r"Complex data not supported"),
    "text": (CUBE.astype(str), r"X holds <U.*numbers are required"),
    "dates": (np.zeros(CUBE.shape, "M8[D]"), r"X holds datetime64.*numbers are required"),
    "text among objects": (CUBE.astype(object), r"Sequence 2.*number"),
    "four dimensions": (CUBE[None], r"\(n, T, D\)|\(steps, features\)|sequence"),
}
BAD_CUBES["text among objects"][0][2, 1, 0] = "a"


@pytest.mark.parametrize(("X", "words"), BAD_CUBES.values(), ids=BAD_CUBES)
def test_a_bad_3d_array_is_refused_at_fit_and_at_predict(X, words, fitted):
    assert_refused(fitted, X, words)


# tables ---------------------------------------------------------------------------------------


def with_table(place, value, dtype=float):
    X = TABLE.astype(dtype)
    X[place] = value
    return X


BAD_TABLES = {
    "partly NaN": (with_table((2, 3), np.nan), ValueError, r"NaN in some.*sequence 2, step 1"),
    "infinity": (with_table((2, 2), np.inf), ValueError, r"infinity: sequence 2, step 1"),
    "infinity, pandas": (
        pd.DataFrame(with_table((2, 2), np.inf)),
        ValueError,
        r"infinity: sequence 2, step 1",
    ),
    "all NaN": (with_table(2, np.nan), ValueError, r"Sequence 2 has no step left"),
    "width": (TABLE[:, :7], ValueError, r"features_per_step=2 must divide.*=7.*one sequence"),
    "no row": (TABLE[:0], ValueError, r"0 sample"),
    "no column": (TABLE[:, :0], ValueError, r"0 feature"),
    "complex": (TABLE.astype(complex), ValueError, r"Complex data not supported"),
    "text": (np.full(TABLE.shape, "a"), ValueError, r"text"),
    "text among objects": (with_table((2, 2), "a", object), ValueError, r"'a'"),
    "sparse": (sparse.csr_array(TABLE), TypeError, r"[Ss]parse.*toarray"),
    "sparse matrix": (sparse.csr_matrix(TABLE), TypeError, r"[Ss]parse.*toarray"),
    "sparse frame": (
        pd.DataFrame(TABLE).astype(pd.SparseDtype(float, 0.0)),
        TypeError,
        r"[Ss]parse.*X\.sparse\.to_dense",
    ),
    "one dimension": (TABLE[0], ValueError, r"2D array"),
    "no dimension": (np.array(1.0), ValueError, r"2D array"),
    "a table of sequences": (
        pd.DataFrame({"a": UNIVARIATE, "b": UNIVARIATE}),
        (TypeError, ValueError),
        r"column|sequence",
    ),
}


@pytest.mark.parametrize(("X", "error", "words"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_refused_at_fit(X, error, words):
    for make in (classifier, regressor):
        estimator = make(features_per_step=2).fit(TABLE, Y)
        before = state(estimator)
        with pytest.raises(error, match=words):
            estimator.fit(X, Y)
        assert state(estimator) == before


@pytest.mark.parametrize(
    "name", ["partly NaN", "infinity", "all NaN", "no row", "complex", "sparse"]
)
def test_a_bad_table_is_refused_at_predict(name):
    X, error, words = BAD_TABLES[name]
    estimator = classifier(features_per_step=2).fit(TABLE, Y)
    before = state(estimator)
    with pytest.raises(error, match=words):
        estimator.predict(X)
    with pytest.raises(ValueError, match="8 features"):
        estimator.predict(TABLE[:, :6])
    assert state(estimator) == before


# what holds no sequences ----------------------------------------------------------------------


def test_a_sparse_sequence_is_named():
    X = [sparse.csr_array(x) if i == 2 else x for i, x in enumerate(RAGGED)]
    for read in (classifier().fit, lambda X, y: classifier().fit(RAGGED, Y).predict(X)):
        with pytest.raises(TypeError, match=r"Sequence 2 is sparse.*toarray"):
            read(X, Y)


class Loader:
    """Batches, as a DataLoader of torch has them."""

    def __iter__(self):
        return iter([CUBE])


LAZY = pl.DataFrame({"a": [1.0]}).lazy()
GROUPS = pd.DataFrame({"id": [0, 0, 1], "u": [1.0, 2.0, 3.0]}).groupby("id")
NO_CONTAINERS = {
    "dict": (dict(enumerate(RAGGED)), r"type dict.*as_sequences\(list\(X.values\(\)\)\)"),
    "generator": ((x for x in RAGGED), r"type generator.*as_sequences\(list\(X\)\)"),
    "map": (map(np.asarray, RAGGED), r"type map.*as_sequences\(list\(X\)\)"),
    "deque": (deque(RAGGED), r"type deque.*as_sequences\(list\(X\)\)"),
    "range": (range(6), r"type range.*as_sequences\(list\(X\)\)"),
    "loader": (Loader(), r"type Loader.*for batch in X"),
    "set": ({1.0, 2.0}, "type set.*no order"),
    "groupby": (GROUPS, r"type DataFrameGroupBy.*for _, group in X.*from_long"),
    "polars groups": (pl.DataFrame({"a": [1]}).group_by("a"), "type GroupBy.*from_long"),
    "lazy frame": (LAZY, r"type LazyFrame.*collect\(\)"),
    "lazy column": (pl.col("a"), r"type Expr.*collect\(\)"),
    "object": (object(), "type object.*an array, a frame or a list"),
}


@pytest.mark.parametrize(("X", "words"), NO_CONTAINERS.values(), ids=NO_CONTAINERS)
def test_what_cannot_be_indexed_is_named_with_what_makes_a_list_of_it(X, words):
    for read in (
        lambda X: classifier().fit(X, Y),
        classifier().fit(UNIVARIATE, Y).predict,
        classifier().fit(TABLE, Y).predict,
        StepImputer().fit,
    ):
        with pytest.raises(TypeError, match=words):
            read(X)


@pytest.mark.parametrize("name", ["dict", "set", "groupby", "polars groups", "lazy frame"])
@pytest.mark.parametrize("function", [as_sequences, pad_sequences])
def test_what_has_no_order_of_sequences_makes_no_list_of_them(function, name):
    X, words = NO_CONTAINERS[name]
    with pytest.raises(TypeError, match=words):
        function(X)


def test_as_sequences_takes_what_can_be_iterated():
    for X in (deque(UNIVARIATE), (x for x in UNIVARIATE), dict(enumerate(UNIVARIATE)).values()):
        assert [x.tolist() for x in as_sequences(X)] == [x.tolist() for x in UNIVARIATE]


# dates, text and layouts ----------------------------------------------------------------------

DAY, HOUR, LATER = date(2020, 1, 1), time(1), timedelta(1)
DATES = {
    "datetime64": np.zeros((N, 2), "M8[D]"),
    "timedelta64": np.zeros((N, 2), "m8[s]"),
    "3-D": np.zeros((N, 2, 2), "m8[s]"),
    "masked": np.ma.masked_array(np.zeros((N, 2), "M8[D]"), mask=True),
    "dates": np.full((N, 2), DAY, object),
    "times": np.array([[1.0, HOUR]] * N, object),
    "durations": np.array([[1.0, LATER]] * N, object),
    "timestamps": np.array([[1.0, pd.Timestamp(DAY)]] * N, object),
    "NaT": np.array([[1.0, pd.NaT]] * N, object),
    "datetime64 among objects": np.array([[1.0, np.datetime64(DAY)]] * N, object),
    "timedelta64 among objects": np.array([[1.0, np.timedelta64(LATER)]] * N, object),
    "lists": [[DAY, DAY]] * 5 + [[DAY]],
    "a column of lists": pl.Series([[DAY, DAY]] * N),
    "Series": [pd.Series([DAY], dtype="datetime64[s]")] * N,
    "polars Series": [pl.Series([HOUR])] * N,
}
WHEN = {
    "dates": {"when": [DAY] * N, "b": 1.0},
    "dates alone": {"when": [DAY] * N},
    "durations": {"when": [LATER] * N, "b": 1},
    "times": {"when": [HOUR] * N, "b": 1.0},
}
FRAMES = {
    **{f"pandas {name}": pd.DataFrame(columns) for name, columns in WHEN.items()},
    **{f"polars {name}": pl.DataFrame(columns) for name, columns in WHEN.items()},
    **{f"arrow {name}": pl.DataFrame(columns).to_arrow() for name, columns in WHEN.items()},
    "datetime64": pd.DataFrame({"when": pd.date_range(DAY, periods=N), "b": 1.0}),
    "with a zone": pd.DataFrame({"when": pd.date_range(DAY, periods=N, tz="UTC"), "b": 1.0}),
    "timedelta64": pd.DataFrame({"b": 1.0, "when": pd.to_timedelta(range(N))}),
    "date32": pd.DataFrame({"when": pd.array([DAY] * N, dtype="date32[pyarrow]"), "b": 1.0}),
    "periods": pd.DataFrame({"when": pd.period_range(DAY, periods=N), "b": 1.0}),
}
FEATURE = r"dates, times and durations.*\(t - t\[0\]\) / np.timedelta64\(1, \"s\"\)"


@pytest.mark.parametrize("X", DATES.values(), ids=DATES)
def test_dates_are_no_numbers(X):
    for read in (lambda X: classifier().fit(X, Y), StepTransformer(StandardScaler()).fit):
        with pytest.raises(ValueError, match=rf"(X|Sequence 0) holds.*{FEATURE}"):
            read(X)
    with pytest.raises(ValueError, match=rf"(X|Sequence 0) holds.*{FEATURE}"):
        pad_sequences(X)


@pytest.mark.parametrize("X", FRAMES.values(), ids=FRAMES)
def test_columns_of_dates_are_named(X):
    with pytest.raises(ValueError, match=rf"X holds .* in column 'when'.*{FEATURE}.*from_long"):
        regressor().fit(X, Y)
    frames = [X] * N
    for read in (
        lambda X: regressor().fit(X, Y),
        StepImputer().fit,
        pad_sequences,
        lambda X: regressor().fit(as_sequences(X), Y),
    ):
        with pytest.raises(ValueError, match=rf"Sequence 0 holds .*{FEATURE}"):
            read(frames)
    with pytest.raises(ValueError, match=r"Sequence 0 holds .* in column 'when'"):
        StepImputer().fit(frames)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_of_text_are_named(frame):
    X = frame({"machine": list("aabbcc"), "v": [1.0] * N})
    with pytest.raises(ValueError, match=r"X holds .* in column 'machine'.*Ordinal.*from_long"):
        classifier().fit(X, Y)
    with pytest.raises(ValueError, match=r"Sequence 0 holds .* in column 'machine'.*Ordinal"):
        classifier().fit([X] * N, Y)


def test_fewer_targets_than_rows_may_be_a_long_frame():
    X = pd.DataFrame({"machine": [0, 0, 1, 1], "v": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(ValueError, match=r"4 sequences.*2 targets.*from_long"):
        classifier().fit(X, [0, 1])


def test_a_panel_is_no_table():
    index = pd.MultiIndex.from_product([range(3), range(2)])
    X = pd.DataFrame({"u": np.arange(6.0), "v": 1.0}, index=index)
    for read in (lambda X: classifier().fit(X, Y), classifier().fit(CUBE, Y).predict):
        with pytest.raises(ValueError, match=r"MultiIndex.*X.groupby\(level=0\).*from_long"):
            read(X)
    frames = [group.droplevel(0) for _, group in X.groupby(level=0)]
    assert classifier().fit(frames, [0, 1, 0]).n_features_in_ == 2


def test_columns_of_sequences_are_said_to_be_so():
    X = pd.DataFrame({"u": [pd.Series(x) for x in UNIVARIATE]})
    X["v"] = X["u"]
    with pytest.raises(ValueError, match=r"sequences in column 'u'.*np.column_stack\(row\)"):
        classifier().fit(X, Y)
    frames = [np.column_stack(row) for row in X.to_numpy()]
    assert classifier().fit(frames, Y).n_features_in_ == 2


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_of_lists_are_said_to_be_so(frame):
    X = frame({"u": [[1.0, 2.0]] * N, "v": [0.5] * N})
    with pytest.raises(ValueError, match=r"X holds sequences in column 'u'"):
        classifier().fit(X, Y)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (pd.DataFrame(TABLE[:, :2], columns=["a", "a"]), r"columns .* different names.*\n.*'a'"),
        (pd.DataFrame(index=range(N)), "0 feature"),
        (pl.DataFrame(), "0 sample"),
        (pd.DataFrame({"a": pd.Series([pd.NaT, None] * 3, dtype=object), "b": 1.0}), "NaT.*dates"),
        (np.zeros((N, 2), "V4"), "structured"),
    ],
)
def test_odd_frames_and_arrays_are_refused_in_words(X, words):
    with pytest.raises(ValueError, match=words):
        classifier().fit(X, Y)


class Named(np.lib.mixins.NDArrayOperatorsMixin):
    """An array whose dimensions have names, as those of xarray."""

    def __init__(self, array, dims):
        self.array, self.dims = array, dims

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        (("sample", "feature", "time"), r"x.transpose\('sample', 'time', 'feature'\)"),
        (("time", "sample", "feature"), r"x.transpose\('sample', 'time', 'feature'\)"),
        (("case", "channel", "t"), r"x.transpose\('case', 't', 'channel'\)"),
        (("channel", "time"), r"\[x.transpose\('time', 'channel'\)\]"),
        (("time", "channel"), r"\[x.transpose\('time', 'channel'\)\]"),
    ],
)
def test_names_of_dimensions_are_read(dims, words):
    X = Named(np.ones((N,) * len(dims)), dims)
    for read in (lambda X: classifier().fit(X, Y), classifier().fit(RAGGED, Y).predict):
        with pytest.raises(ValueError, match=words):
            read(X)
    if dims == ("channel", "time"):
        with pytest.raises(ValueError, match=r"Sequence 1.*pass x.transpose\('time', 'channel'\)"):
            classifier().fit([RAGGED[0], Named(RAGGED[1].T, dims)], [0, 1])


def test_dimensions_in_order_are_accepted():
    cube = Named(CUBE, ("sample", "time", "feature"))
    assert classifier().fit(cube, Y).n_features_in_ == 2
    assert classifier().fit(Named(TABLE, ("sample", "time")), Y).n_features_in_ == 8
    items = [Named(x, ("time", "feature")) for x in RAGGED]
    assert classifier().fit(items, Y).n_features_in_ == 2


PackedSequence = namedtuple("PackedSequence", "data batch_sizes sorted_indices unsorted_indices")


def test_packed_sequences_are_unpacked_by_torch():
    packed = PackedSequence(np.ones((5, 2)), np.array([3, 2]), None, None)
    for read in (lambda X: classifier().fit(X, Y), as_sequences, StepImputer().fit):
        with pytest.raises(TypeError, match=r"PackedSequence.*unpack_sequence"):
            read(packed)


class Tensor:
    """An array-like that NumPy cannot read: a tensor that requires a gradient."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


def test_a_tensor_that_requires_a_gradient_is_named():
    for X, what in ((Tensor(), "X"), ([Tensor()] * N, "An item of X")):
        with pytest.raises(ValueError, match=rf"{what} is a Tensor.*detach"):
            classifier().fit(X, Y)
    with pytest.raises(ValueError, match=r"x_t is a Tensor.*detach"):
        classifier().fit(CUBE, Y).step(Tensor())


ONE_STEP = {
    "3-D": CUBE.reshape(N, 1, 8),
    "list": list(CUBE.reshape(N, 1, 8)),
    "object array": objects(list(CUBE.reshape(N, 1, 8))),
    "Series": pd.Series(list(CUBE.reshape(N, 1, 8))),
}


@pytest.mark.parametrize("X", ONE_STEP.values(), ids=ONE_STEP)
def test_sequences_of_one_step_are_warned_of_at_fit(X):
    fits = (
        lambda X, **D: classifier(**D).fit(X, Y),
        lambda X, **D: classifier(**D).partial_fit(X, Y, classes=[0, 1]),
        lambda X, **D: StepTransformer(StandardScaler(), **D).fit(X),
    )
    for fit in fits:
        with pytest.warns(
            UserWarning, match=r"one step.*transpose\(0, 2, 1\).*x\.T.*features_per"
        ) as w:
            fit(X)
        assert len([one for one in w if one.category is UserWarning]) == 1
        fitted = fit(X, features_per_step=8)
        getattr(fitted, "predict", fitted.transform if hasattr(fitted, "transform") else None)(X)


def test_tables_univariate_and_longer_sequences_are_not_warned_of():
    for X in (TABLE, TABLE[:, :1], TABLE[:, :1, None], [*CUBE[:5, :1], CUBE[5]], CUBE):
        classifier().fit(X, Y).predict(X)
    classifier().fit(CUBE, Y).predict(CUBE[:, :1])


NO_SEQUENCE = {
    "list": [],
    "tuple": (),
    "object array": np.empty(0, object),
    "3-D array": CUBE[:0],
}


@pytest.mark.parametrize("X", NO_SEQUENCE.values(), ids=NO_SEQUENCE)
def test_no_sequence_at_all_is_said_so(X):
    for read in (classifier().fit, lambda X, y: classifier().fit(RAGGED, Y).predict(X)):
        with pytest.raises(ValueError, match=r"no sequence|0 sample"):
            read(X, [])


NOT_SEQUENCES = {
    "numbers": [1.0, 2.0, 3.0],
    "a number among lists": [[1.0], 2.0, [3.0, 4.0]],
    "a list among numbers": [1.0, [2.0], 3.0],
    "text": ["a", "b", "c"],
    "lists of text": [["a", "b"], ["a"], ["b"]],
    "ragged steps": [[[1.0, 2.0], [3.0]], [[1.0, 2.0]], [[1.0, 2.0]]],
    "ragged widths": [[[1.0, 2.0]], [[1.0]], [[1.0]]],
    "an empty list first": [[], [1.0], [2.0]],
    "an empty list last": [[1.0], [2.0], []],
    "only empty lists": [[], [], []],
    "four levels": [[[[1.0]]], [[[1.0]]], [[[1.0]]]],
    "None": None,
    "a number": 3.0,
    "a string": "abc",
    "dicts": [{"a": 1}, {"a": 2}, {"a": 3}],
    "complex": [[1j, 1.0], [1.0], [2.0]],
    "a generator": (x for x in RAGGED[:3]),
    "structured": np.zeros(3, dtype=[("a", float), ("b", float)]),
    "structured sequences": [np.zeros(3, dtype=[("a", float), ("b", float)])] * 3,
    "integers beyond floats": [[10**400], [1, 2], [3]],
    "two columns of lists": objects([[1.0]] * 6, (3, 2)),
}


@pytest.mark.parametrize("fitted_on", ["nothing", "table", "sequences"])
@pytest.mark.parametrize("X", NOT_SEQUENCES.values(), ids=NOT_SEQUENCES)
def test_what_cannot_be_read_never_ends_in_the_words_of_numpy(X, fitted_on):
    estimator = regressor()
    read = estimator.fit
    if fitted_on != "nothing":
        estimator.fit(TABLE[:, :1] if fitted_on == "table" else UNIVARIATE, Y)
        read = lambda X, y: estimator.predict(X)  # noqa: E731
    before = state(estimator)
    with pytest.raises((TypeError, ValueError)) as caught:
        read(X, [0.0, 1.0, 2.0])
    assert not NUMPYS_WORDS.search(str(caught.value)), caught.value
    assert state(estimator) == before


# X against the fit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X",
    [CUBE[0], TABLE, pd.DataFrame(TABLE), pl.DataFrame(TABLE), TABLE.astype(object)],
    ids=["one sequence", "array", "pandas", "polars", "objects"],
)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "partial_fit"])
def test_a_table_is_refused_by_what_was_fitted_on_sequences(X, method):
    estimator = classifier().fit(CUBE, Y)
    targets = (np.resize(Y, len(X)),) if method == "partial_fit" else ()
    before = state(estimator)
    way_out = r"X\[None\]" if isinstance(X, np.ndarray) else r"\[X\]"
    with pytest.raises(ValueError, match=rf"fitted on sequences.*{way_out}"):
        getattr(estimator, method)(X, *targets)
    assert state(estimator) == before


@pytest.mark.parametrize("X", [0.5 * TABLE[0], TABLE[0].tolist(), pd.Series(TABLE[0])])
def test_one_dimension_is_no_table_and_no_list_of_sequences(X):
    with pytest.raises(ValueError, match=r"fitted on sequences.*Reshape your data: \[x\]"):
        classifier().fit(UNIVARIATE, Y).predict(X)
    with pytest.raises(ValueError, match=r"fitted on sequences.*Reshape your data: x\[None\]"):
        classifier().fit(CUBE, Y).predict(X)
    with pytest.raises(ValueError, match=r"(?s)2D array.*Reshape your data"):
        classifier().fit(TABLE, Y).predict(X)


@pytest.mark.parametrize("X", [CUBE, RAGGED, UNIVARIATE, CUBE.tolist(), [TABLE[0]]])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_sequences_are_refused_by_what_was_fitted_on_a_table(X, method):
    estimator = classifier().fit(TABLE, Y)
    with pytest.raises(ValueError, match=r"fitted on a table.*pad_sequences"):
        getattr(estimator, method)(X)


@pytest.mark.parametrize(
    "X",
    [UNIVARIATE, CUBE[:, :, :1], [x.T for x in CUBE], np.swapaxes(CUBE, 1, 2), TABLE.tolist()],
    ids=["univariate", "one feature", "turned", "turned array", "nested lists"],
)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "partial_fit"])
def test_another_number_of_features_than_at_fit_is_refused(X, method):
    estimator = classifier().fit(RAGGED, Y)
    before = state(estimator)
    words = r"RNNClassifier is expecting 2 features.*\(steps, features\).*x\.T"
    with pytest.raises(ValueError, match=words):
        getattr(estimator, method)(X, *((Y,) if method == "partial_fit" else ()))
    assert state(estimator) == before


def test_features_per_step_must_agree_with_sequences():
    with pytest.raises(ValueError, match=r"features_per_step=3.*steps of 2.*None"):
        classifier(features_per_step=3).fit(RAGGED, Y)
    classifier(features_per_step=2).fit(RAGGED, Y)


@pytest.mark.parametrize("method", [*METHODS, "score"])
def test_an_estimator_that_is_not_fitted_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(classifier(), method)(*((RAGGED, Y) if method == "score" else (RAGGED,)))


# y and sample_weight --------------------------------------------------------------------------

BAD_TARGETS = {
    "too few": (classifier, Y[:4], r"6 sequences.*4 targets"),
    "too many": (regressor, np.arange(9.0), r"6 sequences.*9 targets"),
    "none": (classifier, None, r"requires y to be passed"),
    "one class": (classifier, [1] * N, r"at least 2 classes.*one class.*1"),
    "one class, strings": (classifier, ["yes"] * N, r"at least 2 classes.*one class.*'yes'"),
    "real numbers as classes": (classifier, Y + 0.5, r"Unknown label type"),
    "NaN class": (classifier, np.full(N, np.nan), r"NaN"),
    "two columns of classes": (classifier, np.column_stack([Y, 2 * Y]), r"MultiOutputClassifier"),
    "None target": (regressor, [None] * N, r"NaN"),
    "NaN target": (regressor, np.full(N, np.nan), r"NaN"),
    "masked target": (regressor, np.ma.masked_all(N), r"NaN"),
    "infinite target": (regressor, np.where(Y, np.inf, 0.0), r"infinity"),
    "text target": (regressor, ["a"] * N, r"'a'.*RNNClassifier"),
    "numbers as text": (regressor, ["1.5"] * N, r"'1.5'.*RNNClassifier"),
    "an integer beyond floats": (regressor, [10**400] * N, r"y holds an integer.*too large"),
    "text beside numbers": (classifier, ["a", 1] * 3, r"mixes text with other labels"),
    "complex": (regressor, Y + 1j, r"Complex data not supported: y is complex"),
    "complex classes": (classifier, list(Y + 1j), r"Complex data not supported: y is complex"),
    "complex objects": (regressor, [1j, None] * 3, r"Complex data not supported: y is complex"),
    "three dimensions": (regressor, np.zeros((N, 2, 2)), r"shape \(6, 2, 2\).*one target"),
}


@pytest.mark.parametrize("X", [RAGGED, CUBE, TABLE], ids=["ragged", "3-D", "2-D"])
@pytest.mark.parametrize(("make", "y", "words"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_a_bad_target_is_refused(make, y, words, X):
    estimator = make().fit(UNIVARIATE, Y)
    before = state(estimator)
    with pytest.raises(ValueError, match=words):
        estimator.fit(X, y)
    assert state(estimator) == before


@BOTH
@pytest.mark.parametrize("build", [list, lambda y: [np.array(t) for t in y]])
def test_a_ragged_target_is_refused_in_words(build, make):
    with pytest.raises(ValueError, match=r"\by\b|target") as caught:
        make().fit(RAGGED, build([[0.0, 1.0]] * 5 + [[1.0]]))
    assert not NUMPYS_WORDS.search(str(caught.value)), caught.value


BAD_WEIGHTS = {
    "too few": (np.ones(4), r"shape \(4,\), expected \(6,\)"),
    "two dimensions": (np.ones((N, 1)), r"shape \(6, 1\), expected \(6,\)"),
    "a number": (2.0, r"shape \(\), expected \(6,\)"),
    "negative": ([1, 1, -1, 1, 1, 1], r"sequence 2 is -1.*>= 0"),
    "NaN": ([1, 1, np.nan, 1, 1, 1], r"sequence 2 is nan.*>= 0"),
    "infinite": ([1, 1, np.inf, 1, 1, 1], r"sequence 2 is inf.*>= 0"),
    "text": (list("abcdef"), r"must be numbers"),
    "numbers as text": (list("123456"), r"must be numbers"),
    "complex": (np.ones(N, complex), r"must be numbers"),
    "ragged": ([[1.0, 1.0]] * 5 + [[1.0]], r"must be numbers"),
    "None": ([1, 1, None, 1, 1, 1], r"sequence 2 is nan.*>= 0"),
    "all zero": (np.zeros(N), r"is zero"),
    "all masked": (np.ma.masked_all(N), r"is zero"),
    "per output of one": (np.ones((N, 2)), r"shape \(6, 2\), expected \(6,\): one weight per seq"),
}


@BOTH
@pytest.mark.parametrize(("weight", "words"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_a_bad_sample_weight_is_refused(weight, words, make):
    estimator = make().fit(RAGGED, Y)
    for method in ("fit", "partial_fit"):
        before = state(estimator)
        with pytest.raises(ValueError, match=words):
            getattr(estimator, method)(CUBE, Y, sample_weight=weight)
        assert state(estimator) == before


DAYS = pd.date_range("2020-01-01", periods=N)
DATES = {
    "datetime64": DAYS.values,
    "NaT": np.full(N, "NaT", "M8[ns]"),
    "datetime64 and masks": np.ma.array(DAYS.values, mask=Y),
    "timedelta64": (DAYS - DAYS[0]).values,
    "pandas": pd.Series(DAYS),
    "pandas with a time zone": pd.Series(DAYS.tz_localize("UTC")),
    "pandas periods": pd.Series(DAYS.to_period()),
    "pandas Arrow": pd.Series(DAYS).astype("timestamp[ns][pyarrow]"),
    "pandas Arrow days": pd.Series(DAYS.date).astype("date32[pyarrow]"),
    "polars": pl.Series(DAYS.values),
    "polars days": pl.Series(DAYS.date.tolist()),
    "polars durations": pl.Series((DAYS - DAYS[0]).values),
    "datetimes": list(DAYS.to_pydatetime()),
    "days": DAYS.date.tolist(),
    "times": DAYS.time.tolist(),
    "durations": (DAYS - DAYS[0]).to_pytimedelta().tolist(),
    "a date among numbers": [1.0, DAYS[0], 2.0, 3.0, 4.0, 5.0],
    "frame": pd.DataFrame({"a": DAYS, "b": np.ones(N)}),
}


@BOTH
@pytest.mark.parametrize("dates", DATES.values(), ids=DATES)
def test_dates_times_and_durations_are_no_targets_and_no_weights(dates, make):
    estimator = make().fit(RAGGED, Y)
    before = state(estimator)
    way = r" holds dates, times or durations.*\(t - t\[0\]\) / np.timedelta64\(1"
    for call in (estimator.fit, estimator.partial_fit, estimator.score):
        with pytest.raises(ValueError, match="^y" + way):
            call(RAGGED, dates)
        with pytest.raises(ValueError, match="^sample_weight" + way):
            call(RAGGED, Y, sample_weight=dates)
    assert state(estimator) == before


def test_text_that_looks_like_dates_is_text():
    labels = np.where(Y, "2020-01-01", "2021-01-01")
    assert classifier().fit(RAGGED, labels).classes_.tolist() == ["2020-01-01", "2021-01-01"]


BAD_GROUPS = {
    "None": ([0, 1, None, 1, 0, 1], r"groups has no group for sequence 2"),
    "None beside text": (["a", "b", None, "a", "b", "b"], r"groups has no group for sequence 2"),
    "NaN": ([0, 1, np.nan, 1, 0, 1], r"groups has no group for sequence 2"),
    "masked": (np.ma.array(Y, mask=[0, 0, 1, 0, 0, 0]), r"groups has no group for sequence 2"),
    "text beside numbers": (["a", 1, "b", 2, "c", "a"], r"groups .*cannot be compared.*text"),
    "two columns": (np.ones((N, 2)), r"groups has shape \(6, 2\)"),
}


@pytest.mark.parametrize(("groups", "words"), BAD_GROUPS.values(), ids=BAD_GROUPS)
def test_bad_groups_are_named(groups, words):
    with pytest.raises(ValueError, match=words):
        classifier(early_stopping=True).fit(RAGGED, Y, groups=groups)


def test_groups_may_be_text_or_dates():
    numbers = np.array([2, 0, 1, 1, 0, 2])
    settings = {"early_stopping": True, "validation_fraction": 0.5}
    expected = classifier(**settings).fit(RAGGED, Y, groups=numbers)
    for groups in (np.array(list("cabbac")), DAYS[numbers], pd.Series(list("cabbac"))):
        assert_same_net(classifier(**settings).fit(RAGGED, Y, groups=groups), expected)


def test_one_class_left_by_the_weights_is_refused():
    with pytest.raises(ValueError, match=r"one class \(of the rows with a weight\)"):
        classifier().fit(RAGGED, Y, sample_weight=Y)


def test_targets_that_are_no_numbers_are_named():
    with pytest.raises(TypeError, match="y holds what is no number"):
        regressor().fit(RAGGED, np.array([len, 1.0] * 3, dtype=object))


@pytest.mark.parametrize("X", [list, type, int])
def test_classes_hold_no_sequences(X):
    for function in (as_sequences, pad_sequences):
        with pytest.raises(TypeError, match="X is of type type"):
            function(X)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.coo_matrix])
def test_sparse_tables_hold_no_sequences(kind):
    for function in (as_sequences, pad_sequences):
        with pytest.raises(TypeError, match=rf"X is of type {kind.__name__}.*X\.toarray"):
            function(kind(TABLE))


def test_columns_with_no_type_in_common_are_named():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [pd.Timedelta(1), None]}).convert_dtypes()
    for X in (frame, [frame]):
        with pytest.raises(ValueError, match="holds Duration in column 'b'"):
            classifier().fit(X, [0, 1])


@pytest.mark.parametrize("X", [len, object(), {"a": 1.0}, iter([])])
def test_what_no_array_can_hold_is_named_by_its_type(X):
    with pytest.raises((TypeError, ValueError), match=f"x_t is of type {type(X).__name__}"):
        regressor().fit(RAGGED, Y).step(X)
