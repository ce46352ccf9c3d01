"""Outputs are compared with those of the inner transformer, applied to the concatenated steps."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.utils import estimator_checks

from _factories import make_cube, make_sequences, objects
from skrnn import RNNClassifier, RNNRegressor, as_sequences, pad_sequences
from skrnn.datasets import make_adding_problem
from skrnn.preprocessing import StepImputer, StepTransformer

INNER = {
    "scaler": StandardScaler(),
    "pca": PCA(n_components=1),
    "pipeline": make_pipeline(StandardScaler(), PCA(n_components=2), MinMaxScaler()),
}
LENGTHS = [3, 1, 4, 2]
INDEX = ["a", "b", "c", "d"]


def ragged(D=2):
    return make_sequences(LENGTHS, D)


def block():
    return make_cube(4, 3)


def frames(make):
    return [make({"u": x[:, 0], "v": x[:, 1]}) for x in ragged()]


def dated(columns):
    return pd.DataFrame(columns, index=pd.date_range("2020", periods=len(columns["u"])))


def polars_objects(X):
    return pl.Series("s", X, dtype=pl.Object)


# By name: the container, and its sequences as arrays.
SEQUENCES = {
    "list": lambda: (ragged(), ragged()),
    "tuple": lambda: (tuple(ragged()), ragged()),
    "nested lists": lambda: ([x.tolist() for x in ragged()], ragged()),
    "array": lambda: (block(), list(block())),
    "object": lambda: (as_sequences(ragged()), ragged()),
    "object column": lambda: (objects(ragged(), (-1, 1)), ragged()),
    "object, equal lengths": lambda: (as_sequences(block()), list(block())),
    "pandas Series": lambda: (pd.Series(ragged(), index=INDEX, name="s"), ragged()),
    "pandas column": lambda: (pd.DataFrame({"s": ragged()}, index=INDEX), ragged()),
    "polars Series": lambda: (pl.Series("s", [x.tolist() for x in ragged()]), ragged()),
    "polars objects": lambda: (polars_objects(ragged()), ragged()),
    "polars column": lambda: (pl.DataFrame({"s": polars_objects(ragged())}), ragged()),
    "pandas frames": lambda: (frames(dated), ragged()),
    "polars frames": lambda: (frames(pl.DataFrame), ragged()),
    "frames in a Series": lambda: (pd.Series(frames(dated), index=INDEX), ragged()),
    "frames in objects": lambda: (polars_objects(frames(pl.DataFrame)), ragged()),
}
# Tables of D = 2, one flattened sequence per row.
NAMES = ["u0", "v0", "u1", "v1", "u2", "v2"]
FLAT = block().reshape(4, -1)
TABLES = {
    "array": lambda: FLAT,
    "list": lambda: FLAT.tolist(),
    "pandas": lambda: pd.DataFrame(FLAT, columns=NAMES, index=INDEX),
    "polars": lambda: pl.DataFrame(FLAT, schema=NAMES),
}


def by_hand(inner, sequences):
    """The output of the transformer for the concatenated steps, split again."""
    steps = clone(inner).fit_transform(np.concatenate(sequences))
    return np.split(steps, np.cumsum([len(x) for x in sequences])[:-1])


def assert_same(sequences, expected):
    assert len(sequences) == len(expected)
    for x, e in zip(sequences, expected, strict=True):
        assert_allclose(np.asarray(x), e, rtol=1e-12, atol=1e-12)


def items(X):
    X = X["s"] if isinstance(X, (pd.DataFrame, pl.DataFrame)) else X
    if isinstance(X, pl.Series):
        return X.to_list()
    return list(X.ravel() if isinstance(X, np.ndarray) and X.ndim == 2 else X)


def assert_container_like(out, X):
    assert type(out) is type(X)
    assert len(out) == len(X)
    if isinstance(X, np.ndarray):
        assert out.dtype == X.dtype and out.shape[: 2 if X.ndim > 1 else 1] == X.shape[:2]
    if isinstance(X, (pd.Series, pd.DataFrame)):
        assert out.index.equals(X.index)
    if isinstance(X, (pd.Series, pl.Series)):
        assert out.name == X.name
    if isinstance(X, (pd.DataFrame, pl.DataFrame)):
        assert list(out.columns) == list(X.columns)


# Sequences ------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
@pytest.mark.parametrize("make", SEQUENCES.values(), ids=SEQUENCES)
def test_sequences_are_transformed_as_by_hand_in_their_container(make, inner):
    X, sequences = make()
    transformer = StepTransformer(inner)
    out = transformer.fit_transform(X)
    assert_same(items(out), by_hand(inner, sequences))
    assert_container_like(out, X)
    assert transformer.n_features_in_ == 2
    assert transformer.transformer_ is not inner


@pytest.mark.parametrize("make", SEQUENCES.values(), ids=SEQUENCES)
def test_inverse_transform_restores_the_sequences(make):
    X, sequences = make()
    transformer = StepTransformer(PCA(n_components=2)).fit(X)
    back = transformer.inverse_transform(transformer.transform(X))
    assert_same(items(back), sequences)
    assert_container_like(back, X)


@pytest.mark.parametrize("name", ["pandas frames", "polars frames"])
def test_frames_become_frames_with_the_names_of_the_outputs(name):
    X, _ = SEQUENCES[name]()
    for inner, names in {StandardScaler(): ["u", "v"], PCA(1): ["pca0"]}.items():
        transformer = StepTransformer(inner)
        for frame, x in zip(transformer.fit_transform(X), X, strict=True):
            assert type(frame) is type(x) and list(frame.columns) == names
            if isinstance(x, pd.DataFrame):
                assert frame.index.equals(x.index)
        assert transformer.get_feature_names_out().tolist() == names
        assert transformer.feature_names_in_.tolist() == ["u", "v"]


def test_frames_become_arrays_where_outputs_have_no_names():
    X = frames(pd.DataFrame)
    out = StepTransformer(FunctionTransformer(np.abs)).fit_transform(X)
    assert all(isinstance(x, np.ndarray) for x in out)
    assert_same(out, [np.abs(x) for x in ragged()])


def test_frames_with_other_names_are_refused():
    transformer = StepTransformer(StandardScaler()).fit(frames(pd.DataFrame))
    with pytest.raises(ValueError, match="fitted on"):
        transformer.transform([x[["v", "u"]] for x in frames(pd.DataFrame)])


UNIVARIATE = {
    "arrays": lambda X: X,
    "lists": lambda X: [x.tolist() for x in X],
    "object": as_sequences,
    "pandas Series": lambda X: [pd.Series(x, index=range(5, 5 + len(x)), name="p") for x in X],
    "polars Series": lambda X: [pl.Series("p", x) for x in X],
    "polars lists": lambda X: pl.Series([x.tolist() for x in X]),
}


@pytest.mark.parametrize("make", UNIVARIATE.values(), ids=UNIVARIATE)
def test_sequences_of_one_dimension_keep_it(make):
    X = [x[:, 0] for x in ragged()]
    transformer = StepTransformer(StandardScaler())
    out = transformer.fit_transform(make(X))
    expected = by_hand(StandardScaler(), [x[:, None] for x in X])
    assert_same(out, [e[:, 0] for e in expected])
    assert_same(transformer.inverse_transform(out), X)


def test_series_keep_name_and_index():
    X = UNIVARIATE["pandas Series"]([x[:, 0] for x in ragged()])
    for series, x in zip(StepTransformer(StandardScaler()).fit_transform(X), X, strict=True):
        assert series.name == "p" and series.index.equals(x.index)


def test_sequences_of_one_dimension_get_two_for_more_outputs():
    X = [x[:, 0] for x in ragged()]
    out = StepTransformer(PolynomialFeatures(2)).fit_transform(X)
    assert_same(out, [np.stack([x**0, x, x**2], axis=1) for x in X])


def test_nested_lists_follow_the_kind_of_the_fit():
    transformer = StepTransformer(StandardScaler()).fit([[1.0], [2.0, 3.0]])
    out = transformer.transform([[1.0, 2.0], [2.0, 3.0]])
    assert [x.shape for x in out] == [(2,), (2,)]


# Tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_a_table_is_transformed_as_its_sequences(make, inner):
    X = make()
    transformer = StepTransformer(inner, features_per_step=2)
    out = transformer.fit_transform(X)
    expected = np.stack(by_hand(inner, list(block()))).reshape(4, -1)
    assert_allclose(np.asarray(out), expected, rtol=1e-12, atol=1e-12)
    assert isinstance(out, np.ndarray if isinstance(X, list) else type(X))
    assert transformer.n_features_in_ == 6
    if isinstance(X, pd.DataFrame):
        assert out.index.equals(X.index)
    if isinstance(X, (pd.DataFrame, pl.DataFrame)):
        assert list(out.columns) == transformer.get_feature_names_out().tolist()


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_inverse_transform_restores_the_table(make):
    X = make()
    transformer = StepTransformer(INNER["pipeline"], features_per_step=2)
    back = transformer.fit(X).inverse_transform(transformer.transform(X))
    assert_allclose(np.asarray(back), np.asarray(X), rtol=1e-12)
    if hasattr(transformer, "feature_names_in_"):  # scikit-learn 1.6 cannot read polars 2
        assert list(back.columns) == NAMES


def test_by_default_every_column_is_a_step():
    out = StepTransformer(StandardScaler()).fit_transform(FLAT)
    assert_allclose(out, (FLAT - FLAT.mean()) / FLAT.std())


def test_names_of_the_outputs_of_a_table():
    def names(inner, X, D):
        fitted = StepTransformer(inner, features_per_step=D).fit(X)
        return fitted.get_feature_names_out().tolist()

    wide = TABLES["pandas"]()
    assert names(StandardScaler(), wide, None) == NAMES
    assert names(StandardScaler(), wide, 2) == NAMES
    assert names(StandardScaler(), FLAT, 2) == ["x0", "x1", "x2", "x3", "x4", "x5"]
    assert names(PCA(1), wide, 3) == ["step0_pca0", "step1_pca0"]
    assert names(PolynomialFeatures(2, include_bias=False), wide[["u0", "v0"]], 1) == [
        "u0",
        "u0^2",
        "v0",
        "v0^2",
    ]


def test_names_exist_if_the_transformer_has_them():
    assert not hasattr(StepTransformer(FunctionTransformer()), "get_feature_names_out")
    with pytest.raises(NotFittedError):
        StepTransformer(StandardScaler()).get_feature_names_out()
    out = StepTransformer(FunctionTransformer()).fit_transform(TABLES["pandas"]())
    assert_array_equal(out, FLAT)
    assert isinstance(out, np.ndarray)


@pytest.mark.parametrize(("library", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_set_output_is_for_tables(make, library, frame):
    X = make()
    transformer = StepTransformer(StandardScaler(), features_per_step=2)
    local = clone(clone(transformer).set_output(transform=library)).fit_transform(X)
    with config_context(transform_output=library):
        configured = transformer.fit_transform(X)
        default = clone(transformer).set_output(transform="default").fit_transform(X)
    assert type(local) is type(configured) is frame
    assert_array_equal(local, configured)
    assert_array_equal(local, np.asarray(default))
    assert list(local.columns) == transformer.get_feature_names_out().tolist()
    if isinstance(X, pd.DataFrame) and library == "pandas":
        assert local.index.equals(X.index)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("make", SEQUENCES.values(), ids=SEQUENCES)
def test_a_configured_output_does_not_affect_sequences(make, library):
    X, sequences = make()
    transformer = StepTransformer(INNER["pipeline"]).set_output(transform=library)
    with config_context(transform_output=library):
        out = transformer.fit_transform(X)
    assert_same(items(out), by_hand(INNER["pipeline"], sequences))
    assert_container_like(out, X)


def test_set_output_refuses_unknown_containers():
    with pytest.raises(ValueError, match="'frame'"):
        StepTransformer(StandardScaler()).set_output(transform="frame")


# Inner transformers ---------------------------------------------------------------------------


def test_sparse_and_framed_outputs_become_arrays():
    X = [np.array([0.0, 1.0]), np.array([2.0])]
    one_hot = [np.eye(3)[:2], np.eye(3)[2:]]
    assert_same(StepTransformer(OneHotEncoder()).fit_transform(X), one_hot)
    framed = OneHotEncoder(sparse_output=False).set_output(transform="pandas")
    assert_same(StepTransformer(framed).fit_transform(X), one_hot)
    with config_context(transform_output="pandas"):
        assert_same(StepTransformer(OneHotEncoder()).fit_transform(X), one_hot)


def test_float32_stays_float32():
    X = [x.astype(np.float32) for x in ragged()]
    X[0][1] = np.nan
    assert all(x.dtype == np.float32 for x in StepTransformer(StandardScaler()).fit_transform(X))


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
def test_lists_of_polars_keep_their_type(dtype):
    flat = pl.Series([x[:, 0].tolist() for x in ragged()], dtype=pl.List(dtype))
    steps = pl.Series([x.tolist() for x in ragged()], dtype=pl.List(pl.List(dtype)))
    for X in (flat, steps):
        assert StepTransformer(StandardScaler()).fit_transform(X).dtype == X.dtype


def test_a_transformer_that_works_in_place_does_not_change_X():
    X = FLAT.copy()
    transformer = StepTransformer(StandardScaler(copy=False))
    expected = StepTransformer(StandardScaler()).fit_transform(X)
    transformer.fit(X)
    assert_array_equal(X, FLAT)
    assert_allclose(transformer.transform(X), expected)


def test_targets_are_repeated_for_every_step():
    X, y = ragged(3), np.array([0, 1, 1, 0])
    out = StepTransformer(SelectKBest(k=1)).fit_transform(X, y)
    steps = np.concatenate(X)
    expected = SelectKBest(k=1).fit_transform(steps, np.repeat(y, LENGTHS))
    assert_array_equal(np.concatenate(out), expected)


class Recorder(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None, sample_weight=None):
        self.X_, self.y_, self.sample_weight_ = X, y, sample_weight
        return self

    def transform(self, X):
        return X


PER_STEP = [np.arange(T) for T in LENGTHS]


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (["p", "q", "r", "s"], np.repeat(["p", "q", "r", "s"], LENGTHS)),
        (pd.Series([1, 2, 3, 4], index=INDEX), np.repeat([1, 2, 3, 4], LENGTHS)),
        (np.arange(8).reshape(4, 2), np.repeat(np.arange(8).reshape(4, 2), LENGTHS, axis=0)),
        (PER_STEP, np.concatenate(PER_STEP)),
        (as_sequences(PER_STEP), np.concatenate(PER_STEP)),
    ],
    ids=["list", "Series", "many outputs", "per step", "per step, object"],
)
def test_targets_are_one_per_sequence_or_one_per_step(y, expected):
    X = ragged()
    X[0][1] = np.nan
    fitted = StepTransformer(Recorder()).fit(X, y).transformer_
    assert_array_equal(fitted.y_, np.delete(expected, 1, axis=0))
    assert_array_equal(fitted.X_, np.delete(np.concatenate(X), 1, axis=0))


def test_targets_per_step_of_an_array():
    y = np.arange(12).reshape(4, 3)
    assert_array_equal(StepTransformer(Recorder()).fit(block(), y).transformer_.y_, y.ravel())


def test_targets_that_do_not_fit_are_refused():
    transformer = StepTransformer(StandardScaler())
    with pytest.raises(ValueError, match="4 sequences, but y has 3 targets"):
        transformer.fit(ragged(), [0, 1, 1])
    with pytest.raises(ValueError, match=r"Sequence 1 has 1 steps, but y\[1\] has 2"):
        transformer.fit(ragged(), [np.arange(T) for T in [3, 2, 4, 2]])


def test_sample_weight_is_repeated_for_every_step():
    X, weight = ragged(), [2.0, 0.0, 1.0, 0.5]
    fitted = StepTransformer(Recorder()).fit(X, sample_weight=weight).transformer_
    assert_array_equal(fitted.sample_weight_, np.repeat([2.0, 1.0, 0.5], [3, 4, 2]))
    assert_array_equal(fitted.X_, np.concatenate([X[0], X[2], X[3]]))
    assert StepTransformer(Recorder()).fit(X).transformer_.sample_weight_ is None


def test_weight_zero_leaves_out_where_the_transformer_takes_no_weights():
    X = ragged()
    weighted = StepTransformer(PCA()).fit(X, sample_weight=[1, 0, 1, 1]).transformer_
    assert_allclose(weighted.mean_, np.concatenate([X[0], X[2], X[3]]).mean(axis=0))


def halves(X):
    return X[:2], X[2:]


def test_partial_fit_learns_what_fit_does():
    transformer = StepTransformer(StandardScaler())
    weights = halves([2.0, 0.0, 1.0, 0.5])
    for X, weight in zip(halves(ragged()), weights, strict=True):
        assert transformer.partial_fit(X, sample_weight=weight) is transformer
    whole = StepTransformer(StandardScaler()).fit(ragged(), sample_weight=np.concatenate(weights))
    assert_allclose(transformer.transformer_.mean_, whole.transformer_.mean_)
    assert_same(transformer.transform(ragged()), whole.transform(ragged()))


def test_partial_fit_continues_from_fit_and_does_not_change_copies():
    first, second = halves(ragged())
    transformer = StepTransformer(MinMaxScaler()).fit(first)
    before = transformer.transformer_
    low = before.data_min_
    transformer.partial_fit(second)
    assert_allclose(transformer.transformer_.data_min_, np.concatenate(ragged()).min(axis=0))
    assert before.data_min_ is low and transformer.transformer_ is not before


def test_partial_fit_exists_if_the_transformer_has_it():
    assert not hasattr(StepTransformer(PCA()), "partial_fit")
    inner = IncrementalPCA(n_components=1)
    out = StepTransformer(inner).partial_fit(ragged()).transform(ragged())
    assert_same(out, by_hand(inner, ragged()))


def test_a_partial_fit_that_fails_changes_nothing():
    transformer = StepTransformer(StandardScaler()).fit(ragged())
    before, seen = vars(transformer).copy(), transformer.transformer_.n_samples_seen_
    bad = ragged()
    bad[1][0, 0] = np.inf
    for X in (bad, ragged(3), block().reshape(4, -1), [np.full((2, 2), np.nan)]):
        with pytest.raises(ValueError):
            transformer.partial_fit(X)
    assert vars(transformer) == before
    assert transformer.transformer_.n_samples_seen_ == seen


# Metadata -------------------------------------------------------------------------------------


class Listener(Recorder):
    def fit(self, X, y=None, sample_weight=None, groups=None, note=None):
        self.groups_, self.note_ = groups, note
        return super().fit(X, y, sample_weight)


def test_metadata_per_sequence_become_metadata_per_step():
    X, weight, groups = ragged(), [2.0, 0.0, 1.0, 0.5], ["p", "q", "r", "s"]
    X[0][1] = np.nan
    for passed, expected in (
        (groups, list("pprrrrss")),
        ([np.arange(T) for T in LENGTHS], [0, 2, 0, 1, 2, 3, 0, 1]),
    ):
        transformer = StepTransformer(Listener())
        inner = transformer.fit(X, None, weight, groups=passed, note="four").transformer_
        assert inner.groups_.tolist() == expected
        assert inner.note_ == "four"


def test_metadata_of_a_step_of_an_inner_pipeline():
    weight = [2.0, 0.0, 1.0, 0.5]
    transformer = StepTransformer(make_pipeline(StandardScaler(), PCA(1)))
    inner = transformer.fit(ragged(), standardscaler__sample_weight=weight).transformer_
    expected = StandardScaler().fit(np.concatenate(ragged()), None, np.repeat(weight, LENGTHS))
    assert_allclose(inner[0].mean_, expected.mean_)
    with pytest.raises(TypeError, match="unexpected keyword argument 'groups'"):
        StepTransformer(StandardScaler()).fit(ragged(), groups=weight)


ROUTED = {
    "transformer": lambda inner: inner,
    "pipeline": make_pipeline,
    "columns": lambda inner: ColumnTransformer([("all", inner, [0, 1])]),
}


@pytest.mark.parametrize("wrap", ROUTED.values(), ids=ROUTED)
def test_metadata_are_routed_through_pipelines_to_where_they_are_requested(wrap):
    weight = [2.0, 0.0, 1.0, 0.5]
    recorded = np.repeat([2.0, 1.0, 0.5], [3, 4, 2])
    with config_context(enable_metadata_routing=True):
        requesting = Listener().set_fit_request(sample_weight=True, groups=True)
        transformer = StepTransformer(wrap(requesting)).set_fit_request(sample_weight=True)
        outer = make_pipeline(transformer, StepImputer())
        outer.fit(ragged(), sample_weight=weight, groups=list("pqrs"))
        inner = outer[0].transformer_
        if not isinstance(inner, Listener):
            inner = inner[0] if isinstance(inner, Pipeline) else inner.named_transformers_["all"]
        assert_array_equal(inner.sample_weight_, recorded)
        assert inner.groups_.tolist() == list("ppprrrrss")


def test_routing_refuses_what_is_not_requested():
    with config_context(enable_metadata_routing=True):
        assert hasattr(StepTransformer(StandardScaler()).fit(ragged()), "transformer_")
        with pytest.raises(UnsetMetadataPassedError, match="not explicitly set as requested"):
            StepTransformer(StandardScaler()).fit(ragged(), sample_weight=[1, 1, 1, 1])
        with pytest.raises(TypeError, match="unexpected argument"):
            StepTransformer(StandardScaler()).fit(ragged(), nothing=[1, 1, 1, 1])
        ignoring = StandardScaler().set_fit_request(sample_weight=False)
        fitted = StepTransformer(ignoring).fit(ragged(), sample_weight=[1, 0, 1, 1])
    assert fitted.transformer_.n_samples_seen_ == 9


def test_supervision_and_sign_are_those_of_the_transformer():
    tags = StepTransformer(TargetEncoder()).__sklearn_tags__()
    assert tags.target_tags.required
    assert tags.input_tags.three_d_array and tags.input_tags.allow_nan
    assert not StepTransformer(StandardScaler()).__sklearn_tags__().target_tags.required


# Absent steps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
def test_absent_steps_are_not_passed_to_the_transformer_and_stay_nan(inner):
    X, expected = ragged(), by_hand(inner, ragged())
    transformer = StepTransformer(inner)
    for padded in (pad_sequences(X), list(pad_sequences(X))):
        out = transformer.fit_transform(padded)
        for x, e, T in zip(out, expected, LENGTHS, strict=True):
            assert_allclose(x[:T], e, rtol=1e-12, atol=1e-12)
            assert np.isnan(x[T:]).all() and len(x) == 4
        assert_allclose(
            transformer.inverse_transform(out), transformer.fit(X).inverse_transform(list(out))
        )


def test_absent_steps_of_a_table():
    X = pad_sequences(ragged(), flatten=True)
    out = StepTransformer(PCA(1), features_per_step=2).fit_transform(X)
    expected = pad_sequences(by_hand(PCA(1), ragged()), flatten=True)
    assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


def test_nothing_but_absent_steps_can_be_transformed_but_not_learned_from():
    transformer = StepTransformer(PCA(1)).fit(ragged())
    assert_array_equal(transformer.transform([np.full((2, 2), np.nan)]), np.full((1, 2, 1), np.nan))
    with pytest.raises(ValueError, match="no step to learn from"):
        transformer.fit([np.full((2, 2), np.nan)])


def test_a_step_that_is_partly_missing_is_left_to_the_transformer():
    X = ragged()
    X[2][1, 0] = X[0][0] = np.nan
    with pytest.raises(ValueError, match="PCA does not accept missing values"):
        StepTransformer(PCA()).fit(X)
    out = StepTransformer(SimpleImputer()).fit_transform(X)
    assert_allclose(out[2][1, 0], np.nanmean(np.concatenate(X)[:, 0]))
    assert np.isnan(out[0][0]).all()


def test_integers_beside_absent_steps_become_floats():
    X = [np.array([1.0, np.nan])]
    to_int = FunctionTransformer(lambda X: X.astype(np.int64))
    assert_array_equal(StepTransformer(to_int).fit_transform(X), [[1.0, np.nan]])


# Errors ---------------------------------------------------------------------------------------


def test_infinity_is_left_to_the_transformer():
    X = ragged()
    X[1][0, 0] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        StepTransformer(StandardScaler()).fit(X)
    assert StepTransformer(FunctionTransformer()).fit_transform(X)[1][0, 0] == np.inf


@pytest.mark.parametrize("inner", ["scaler", 3, None, RNNClassifier()])
def test_other_objects_than_transformers_are_refused(inner):
    message = "StepTransformer must be an object implementing 'fit' and 'transform'. Got {!r}"
    with pytest.raises(TypeError, match=re.escape(message.format(inner))):
        StepTransformer(inner).fit(ragged())


def test_a_class_is_refused():
    with pytest.raises(TypeError, match=r"class instead|instead of a class"):
        StepTransformer(StandardScaler).fit(ragged())


def test_a_transformer_must_keep_the_rows():
    with pytest.raises(ValueError, match=r"shape \(0, 2\) for 1 steps"):
        StepTransformer(FunctionTransformer(lambda X: X[1:])).fit(ragged())
    with pytest.raises(ValueError, match=r"shape \(1,\) for 1 steps"):
        StepTransformer(FunctionTransformer(lambda X: X[:, 0])).fit(ragged())


def test_the_kind_of_the_fit_is_kept():
    transformer = StepTransformer(StandardScaler()).fit(ragged())
    for method in (transformer.transform, transformer.inverse_transform):
        with pytest.raises(ValueError, match="fitted on sequences"):
            method(ragged()[0])
        with pytest.raises(ValueError, match="3 features, but StepTransformer is expecting 2"):
            method(ragged(3))
    transformer = StepTransformer(PCA(1), features_per_step=2).fit(FLAT)
    with pytest.raises(ValueError, match="fitted on a table"):
        transformer.inverse_transform(ragged())
    with pytest.raises(ValueError, match="6 features, but StepTransformer is expecting 3"):
        transformer.inverse_transform(FLAT)
    with pytest.raises(ValueError, match="must divide"):
        StepTransformer(PCA(), features_per_step=4).fit(FLAT)


def test_inverse_transform_exists_if_the_transformer_has_it():
    assert not hasattr(StepTransformer(SplineTransformer()), "inverse_transform")
    with pytest.raises(NotFittedError):
        StepTransformer(StandardScaler()).inverse_transform(ragged())


def test_a_fit_that_fails_changes_nothing():
    transformer = StepTransformer(PCA()).fit(frames(pd.DataFrame))
    before = vars(transformer).copy()
    bad = ragged(3)
    bad[0][0, 0] = np.inf
    for X in (bad, np.full_like(FLAT, np.inf)):
        with pytest.raises(ValueError):
            transformer.fit(X)
    assert vars(transformer) == before
    assert transformer.n_features_in_ == 2


# In scikit-learn ------------------------------------------------------------------------------


def test_parameters_of_the_transformer_are_nested():
    transformer = StepTransformer(StandardScaler()).set_params(transformer__with_mean=False)
    fitted = clone(transformer).fit(ragged())
    assert fitted.transformer_.with_mean is False
    copied = pickle.loads(pickle.dumps(fitted))
    assert_same(copied.transform(ragged()), fitted.transform(ragged()))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_in_a_search_over_a_pipeline_on_ragged_lists():
    X, y = make_adding_problem(60, length=6, min_length=3, random_state=0)
    pipeline = Pipeline(
        [
            ("scale", StepTransformer(StandardScaler())),
            ("net", RNNClassifier("rnn_tanh", hidden_layer_sizes=4, max_iter=2, random_state=0)),
        ]
    )
    grid = [
        {"scale__transformer__with_mean": [True, False]},
        {"scale__transformer": [MinMaxScaler()]},
    ]
    search = GridSearchCV(pipeline, grid, cv=2).fit(list(X), y > np.median(y))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 3
    assert len(search.predict(list(X))) == 60


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_padding_does_not_change_a_pipeline():
    X, y = make_adding_problem(30, length=6, min_length=3, random_state=0)
    net = RNNRegressor(hidden_layer_sizes=4, max_iter=2, random_state=0)
    pipeline = make_pipeline(StepTransformer(StandardScaler()), net)
    expected = pipeline.fit(X, y).predict(X)
    assert_allclose(pipeline.fit(pad_sequences(X), y).predict(pad_sequences(X)), expected)


CHECKED = (
    StandardScaler(),
    MinMaxScaler(),
    PolynomialFeatures(),
    OneHotEncoder(handle_unknown="ignore"),
)


@estimator_checks.parametrize_with_checks([StepTransformer(inner) for inner in CHECKED])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("inner", ["scaler", None])
def test_a_wrong_transformer_that_is_not_fitted_says_so(inner):
    with pytest.raises(NotFittedError, match="StepTransformer instance is not fitted"):
        StepTransformer(inner).transform(ragged())
