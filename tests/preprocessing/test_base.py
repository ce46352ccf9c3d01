"""Properties that all transformers of sequences share, whatever they do with the steps."""

import pickle
from inspect import get_annotations
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.utils import estimator_checks
from threadpoolctl import ThreadpoolController, threadpool_limits

from _factories import make_cube, make_sequences
from skrnn import as_sequences
from skrnn._compat import StrOptions
from skrnn._data import sequences
from skrnn.preprocessing import (
    SequencePadder,
    SequencesFromLong,
    SequenceShortener,
    SlidingWindows,
    StepImputer,
    StepTransformer,
    TokenEncoder,
)
from skrnn.preprocessing._base import without_padding

KEEPING = {
    "imputer": StepImputer(),
    "imputer of absent steps": StepImputer(leading="bfill", absent="impute"),
    "imputer with more": StepImputer("median", add_indicator=True, add_time_since=True),
    "first": SequenceShortener("first", k=2),
    "last": SequenceShortener("last", k=2),
    "every": SequenceShortener("every", k=2),
    "mean": SequenceShortener("mean", k=3),
    "nothing": SequenceShortener("last", k=9),
}
PADDING = {
    "padder": SequencePadder(),
    "padder, flat": SequencePadder(value=0.0, flatten=True),
}
ALL = {**KEEPING, **PADDING}
STEP_BY_STEP = {
    "scaler": StandardScaler(),
    "fewer features": PCA(1),
    "more features": make_pipeline(StandardScaler(), PolynomialFeatures()),
}
INDEX = ["a", "b", "c", "d"]


def ragged(D=2):
    X = make_sequences([3, 1, 5, 2], D)
    for i, t, feature in [(0, 0, 0), (0, 2, 1), (2, 1, 0), (3, 0, 1), (2, 3, slice(None))]:
        X[i][t, feature] = np.nan
    return X


def block():
    cube = make_cube(4, 5)
    cube[[0, 1, 1], [0, 1, 4]] = np.nan
    cube[[2, 3], [3, 0], [1, 0]] = np.nan
    return cube


def frames(make):
    return [make({"u": x[:, 0], "v": x[:, 1]}) for x in ragged()]


def dated(columns):
    return pd.DataFrame(columns, index=pd.date_range("2020", periods=len(columns["u"])))


CONTAINERS = {
    "tuple": lambda: tuple(ragged()),
    "nested lists": lambda: [x.tolist() for x in ragged()],
    "object": lambda: as_sequences(ragged()),
    "object column": lambda: as_sequences(ragged())[:, None],
    "pandas Series": lambda: pd.Series(ragged(), index=INDEX, name="s"),
    "pandas column": lambda: pd.DataFrame({"s": ragged()}, index=INDEX),
    "polars Series": lambda: pl.Series("s", [x.tolist() for x in ragged()]),
    "polars column": lambda: pl.DataFrame({"s": [x.tolist() for x in ragged()]}),
    "pandas frames": lambda: frames(dated),
    "polars frames": lambda: frames(pl.DataFrame),
}
NAMES = [f"{name}{t}" for t in range(5) for name in "uv"]
TABLES = {
    "array": lambda: block().reshape(4, -1),
    "pandas": lambda: pd.DataFrame(block().reshape(4, -1), columns=NAMES, index=INDEX),
    "polars": lambda: pl.DataFrame(block().reshape(4, -1), schema=NAMES),
}


def items(X):
    X = X["s"] if isinstance(X, (pd.DataFrame, pl.DataFrame)) else X
    X = X.ravel() if isinstance(X, np.ndarray) else X
    return [np.asarray(x) for x in (X.to_list() if isinstance(X, pl.Series) else X)]


def assert_same(X, Y):
    assert len(X) == len(Y)
    for x, y in zip(X, Y, strict=True):
        assert_array_equal(np.asarray(x), np.asarray(y))


def present(X):
    return [x[~np.isnan(x).all(axis=1)] for x in X]


# Containers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("transformer", KEEPING.values(), ids=KEEPING)
def test_every_container_is_kept_and_has_the_outputs_of_a_list(transformer, make):
    X = make()
    transformer = clone(transformer)
    out = transformer.fit_transform(X)
    assert_same(items(out), clone(transformer).fit_transform(ragged()))
    assert type(out) is type(X)
    if isinstance(X, np.ndarray):
        assert out.dtype == object and out.shape == X.shape
    if isinstance(X, (pd.Series, pd.DataFrame)):
        assert out.index.equals(X.index)
    if isinstance(X, (pd.Series, pl.Series)):
        assert out.name == X.name


@pytest.mark.parametrize("transformer", KEEPING.values(), ids=KEEPING)
def test_an_array_becomes_the_array_of_the_outputs_of_its_sequences(transformer):
    out = clone(transformer).fit_transform(block())
    assert out.ndim == 3
    assert_same(out, clone(transformer).fit_transform(list(block())))


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("transformer", KEEPING.values(), ids=KEEPING)
def test_a_table_becomes_the_table_of_the_outputs_of_its_sequences(transformer, make):
    X, transformer = make(), clone(transformer).set_params(features_per_step=2)
    out = transformer.fit_transform(X)
    expected = transformer.set_params(features_per_step=None).fit_transform(block())
    assert type(out) is type(X)
    assert_array_equal(np.asarray(out), expected.reshape(4, -1))


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("padder", PADDING.values(), ids=PADDING)
def test_every_container_is_padded_as_the_list_is(padder, make):
    expected = clone(padder).fit_transform(ragged())
    assert_array_equal(np.asarray(clone(padder).fit_transform(make())), expected)


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("padder", PADDING.values(), ids=PADDING)
def test_a_table_is_padded_as_its_sequences_are(padder, make):
    X, padder = make(), clone(padder)
    expected = padder.fit_transform(block())
    out = padder.set_params(features_per_step=2).fit_transform(X)
    assert_array_equal(np.asarray(out), expected)
    assert isinstance(out, type(X) if padder.flatten else np.ndarray)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("transformer", KEEPING.values(), ids=KEEPING)
def test_padding_does_not_change_the_outputs_of_present_steps(transformer, side):
    padded = SequencePadder(length=7, side=side).fit_transform(ragged())
    expected = present(clone(transformer).fit_transform(ragged()))
    for X in (padded, list(padded)):
        assert_same(present(clone(transformer).fit_transform(X)), expected)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("padder", PADDING.values(), ids=PADDING)
def test_what_is_padded_already_is_padded_again(padder, side):
    padded = SequencePadder(length=7, side=side).fit_transform(ragged())
    expected = clone(padder).fit_transform(ragged())
    assert_array_equal(clone(padder).fit_transform(padded), expected)
    assert_array_equal(clone(padder).fit(ragged()).transform(padded), expected)


@pytest.mark.parametrize("transformer", ALL.values(), ids=ALL)
def test_float32_stays_float32(transformer):
    out = clone(transformer).fit_transform([x.astype(np.float32) for x in ragged()])
    assert all(x.dtype == np.float32 for x in out)


def test_sequences_of_one_dimension_keep_it_if_there_is_one_output():
    X = [[1.0, np.nan, 3.0], [4.0]]
    assert [x.shape for x in StepImputer().fit_transform(X)] == [(3,), (1,)]
    assert [x.shape for x in StepImputer(add_indicator=True).fit_transform(X)] == [(3, 2), (1, 2)]


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=5))
def test_padding_is_the_absent_steps_at_the_ends(present):
    steps = np.where(np.concatenate(present), 1.0, np.nan)[:, None] * [[1.0, 2.0]]
    unpadded = without_padding(steps, np.array([len(x) for x in present]))
    inside = [np.trim_zeros(np.array(x, dtype=int)) for x in present]
    assert [(~np.isnan(x[:, 0])).astype(int).tolist() for x in unpadded] == [
        x.tolist() for x in inside
    ]


ROWS = [[1.0, 2.0, 3.0], [2.0, 1.0, 0.0]]
OTHER_ROWS = [[1.0, 2.0, 3.0, 4.0], [2.0]]


@pytest.mark.parametrize("transformer", KEEPING.values(), ids=KEEPING)
def test_nested_lists_of_any_lengths_after_a_fit_on_a_table_come_back_as_rows(transformer):
    table = clone(transformer).fit(ROWS)
    sequences = clone(transformer).fit([np.array(row) for row in ROWS])
    expected = sequences.transform([np.array(row) for row in OTHER_ROWS])
    out = table.transform(OTHER_ROWS)
    assert [len(row) for row in out] == [x.size for x in expected]
    for row, x in zip(out, expected, strict=True):
        assert_array_equal(row, x.ravel())
    with pytest.raises(ValueError, match="fitted on a table"):
        table.transform([np.array(row) for row in OTHER_ROWS])


@pytest.mark.parametrize("transformer", ALL.values(), ids=ALL)
def test_one_row_is_one_sequence_of_one_step(transformer):
    fitted, row = clone(transformer).fit(ragged()), ragged()[1]
    assert row.shape == (1, 2)
    expected = fitted.transform(row[None])
    assert_array_equal(fitted.transform(row), expected)
    assert_array_equal(fitted.transform(row.tolist())[0], expected[0])
    with pytest.raises(ValueError, match="fitted on sequences"):
        fitted.transform(pd.DataFrame(row))


@pytest.mark.parametrize("transformer", ALL.values(), ids=ALL)
def test_sequences_of_one_step_are_warned_of(transformer):
    X = block()[:, 1:2][2:]
    with pytest.warns(UserWarning, match=r"one step.*transpose\(0, 2, 1\)"):
        clone(transformer).fit(X)
    clone(transformer).set_params(features_per_step=2).fit(X)


@pytest.mark.parametrize("transformer", ALL.values(), ids=ALL)
def test_dates_and_text_are_named(transformer):
    X = frames(pd.DataFrame)
    X[2] = X[2].assign(v=pd.date_range("2020", periods=len(X[2])))
    with pytest.raises(ValueError, match="Sequence 2 holds Datetime in column 'v'"):
        clone(transformer).fit(X)
    with pytest.raises(ValueError, match="Sequence 2 holds 'a' in column 'v'"):
        clone(transformer).fit(frames(pd.DataFrame)).transform(
            [x.assign(v="a") if i == 2 else x for i, x in enumerate(frames(pd.DataFrame))]
        )


# Names and output -----------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("transformer", ALL.values(), ids=ALL)
def test_set_output_is_for_tables(transformer, library):
    X = TABLES["array"]()
    transformer = clone(transformer).set_params(features_per_step=2)
    default = transformer.fit_transform(X)
    with config_context(transform_output=library):
        configured = transformer.transform(X)
    chosen = transformer.set_output(transform=library).transform(X)
    assert_array_equal(np.asarray(chosen), default)
    if default.ndim == 2:
        assert type(chosen) is type(configured) is {"pandas": pd, "polars": pl}[library].DataFrame
        assert list(chosen.columns) == transformer.get_feature_names_out().tolist()


def names(transformer, X):
    return clone(transformer).fit(X).get_feature_names_out().tolist()


def test_names_of_features_per_step():
    X = frames(pd.DataFrame)
    assert names(StepImputer(), X) == names(SequenceShortener(), X) == ["u", "v"]
    added = ["missingindicator_u", "missingindicator_v", "timesince_u", "timesince_v"]
    assert names(StepImputer(add_indicator=True, add_time_since=True), X) == ["u", "v", *added]
    assert names(SequencePadder(), X) == ["u", "v"]
    flat = SequencePadder(length=5, flatten=True)
    assert names(flat, X) == [f"step{t}_{name}" for t in range(5) for name in "uv"]
    assert names(flat, ragged()) == [f"step{t}_x{j}" for t in range(5) for j in range(2)]


def test_names_of_columns():
    X = TABLES["pandas"]()
    assert names(StepImputer(features_per_step=2), X) == NAMES
    assert names(SequenceShortener("last", k=5, features_per_step=2), X) == NAMES
    short = SequenceShortener("every", k=3, features_per_step=2)
    assert names(short, X) == ["step0_x0", "step0_x1", "step1_x0", "step1_x1"]
    assert names(StepImputer(add_indicator=True), X[["u0", "v0"]]) == [
        "u0",
        "missingindicator_u0",
        "v0",
        "missingindicator_v0",
    ]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("transformer", KEEPING.values(), ids=KEEPING)
def test_frames_become_frames_with_the_names_of_the_outputs(transformer, make):
    transformer = clone(transformer).fit(frames(make))
    columns = transformer.get_feature_names_out().tolist()
    for frame in transformer.transform(frames(make)):
        assert type(frame) is make and list(frame.columns) == columns


def test_frames_keep_their_index_where_they_keep_their_steps():
    X = frames(dated)
    for transformer in (StepImputer(), SequenceShortener("last", k=9)):
        out = transformer.fit_transform(X)
        assert all(o.index.equals(x.index) for o, x in zip(out, X, strict=True))
    assert SequenceShortener("last", k=2).fit_transform(X)[2].index.tolist() == [0, 1]


# Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("transformer", ALL.values(), ids=ALL)
def test_infinity_is_named(transformer):
    X = ragged()
    X[2][1, 0] = np.inf
    for method in (clone(transformer).fit, clone(transformer).fit(ragged()).transform):
        with pytest.raises(ValueError, match="infinity: sequence 2, step 1"):
            method(X)


@pytest.mark.parametrize("transformer", ALL.values(), ids=ALL)
def test_another_kind_or_width_than_at_fit_is_refused(transformer):
    fitted = clone(transformer).fit(ragged())
    with pytest.raises(ValueError, match="fitted on sequences"):
        fitted.transform(ragged()[0])
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 2"):
        fitted.transform(ragged(3))
    with pytest.raises(NotFittedError):
        clone(transformer).transform(ragged())


@pytest.mark.parametrize("transformer", ALL.values(), ids=ALL)
def test_a_fit_that_fails_changes_nothing(transformer):
    fitted = clone(transformer).fit(frames(pd.DataFrame))
    before = vars(fitted).copy()
    with pytest.raises(ValueError):
        fitted.fit([np.full((9, 3), np.inf)])
    assert vars(fitted) == before


def test_names_of_an_earlier_fit_are_removed():
    transformer = StepImputer().fit(frames(pd.DataFrame))
    assert transformer.feature_names_in_.tolist() == ["u", "v"]
    assert not hasattr(transformer.fit(ragged()), "feature_names_in_")


LONG = pd.DataFrame({"id": [0, 0], "time": [0, 1], "u": [1.0, 2.0]})
FITTED = {
    **{name: (transformer, ragged()) for name, transformer in ALL.items()},
    "step by step": (StepTransformer(StandardScaler()), frames(pd.DataFrame)),
    "tokens": (TokenEncoder(), ["ab"]),
    "windows": (SlidingWindows(), LONG),
    "long": (SequencesFromLong(), LONG),
}


@pytest.mark.parametrize(("transformer", "X"), FITTED.values(), ids=FITTED)
def test_fitted_attributes_are_declared(transformer, X):
    transformer = clone(transformer)
    parameters = set(vars(transformer))
    declared = {name for cls in type(transformer).__mro__ for name in get_annotations(cls)}
    fitted = set(vars(transformer.fit(X))) - parameters
    assert fitted and fitted <= declared


@pytest.mark.parametrize("cls", sorted({type(t) for t, _ in FITTED.values()}, key=str))
def test_types_of_parameters_list_the_strings_that_are_valid(cls):
    types = get_type_hints(cls.__init__)
    for name, constraints in cls._parameter_constraints.items():
        strings = {s for c in constraints if isinstance(c, StrOptions) for s in c.options}
        literals = (t for t in (types[name], *get_args(types[name])) if get_origin(t) is Literal)
        assert strings == {value for literal in literals for value in get_args(literal)}


# Threads of BLAS ------------------------------------------------------------------------------


def blas_threads():
    return {p["num_threads"] for p in ThreadpoolController().select(user_api="blas").info()}


@pytest.fixture
def at_checks(monkeypatch):
    """Threads of BLAS at each check for finite values, which multiplies, where the user has two."""
    check, seen = sequences.is_finite, []

    def is_finite(values):
        seen.append(blas_threads())
        return check(values)

    monkeypatch.setattr(sequences, "is_finite", is_finite)
    with threadpool_limits(2, user_api="blas"):
        yield seen


@pytest.mark.parametrize("transformer", [*ALL.values(), StepTransformer(StandardScaler())])
def test_everything_that_multiplies_has_one_thread(transformer, at_checks):
    X = [x.tolist() for x in make_sequences([3, 1, 2])]
    transformer = clone(transformer)
    out = transformer.fit_transform(X)
    if hasattr(transformer, "inverse_transform"):
        transformer.inverse_transform(out)
    assert at_checks and all(threads == {1} for threads in at_checks)


def test_the_inner_transformer_has_the_threads_of_the_user(at_checks):
    def record(X):
        inside.append(blas_threads())
        return X

    inside, X = [], make_sequences([3, 1, 2])
    inner = FunctionTransformer(record, inverse_func=record, check_inverse=False)
    transformer = StepTransformer(inner)
    transformer.inverse_transform(transformer.fit_transform(X))
    assert inside and all(threads == {2} for threads in inside)


# In scikit-learn ------------------------------------------------------------------------------


@pytest.mark.parametrize("transformer", ALL.values(), ids=ALL)
def test_pickles_transform_as_the_original(transformer):
    fitted = clone(transformer).fit(ragged())
    copied = pickle.loads(pickle.dumps(fitted))
    assert_same(copied.transform(ragged()), fitted.transform(ragged()))


@estimator_checks.parametrize_with_checks([*ALL.values(), StepImputer("constant")])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")  # the checks mix both
@pytest.mark.parametrize(
    "transformer",
    [*KEEPING.values(), PADDING["padder, flat"], *map(StepTransformer, STEP_BY_STEP.values())],
    ids=[*KEEPING, "padder, flat", *STEP_BY_STEP],
)
@pytest.mark.parametrize(
    "name",
    [
        "check_dataframe_column_names_consistency",
        "check_get_feature_names_out_error",
        "check_global_output_transform_pandas",
        "check_global_set_output_transform_polars",
        "check_inplace_ensure_writeable",
        "check_param_validation",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
    ],
)
def test_checks_that_scikit_learn_keeps_for_its_own(name, transformer):
    getattr(estimator_checks, name)(type(transformer).__name__, clone(transformer))
