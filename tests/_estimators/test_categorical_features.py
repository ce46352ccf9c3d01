"""Categorical features: codes, their embeddings, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from _factories import (
    ESTIMATORS,
    KINDS,
    SMALL,
    assert_same_net,
    make_coded,
    make_targets,
    raw,
    state,
)
from skrnn import pad_sequences
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 24
LENGTHS = np.random.default_rng(0).integers(1, 8, size=N).tolist()
X = make_coded(LENGTHS)
Y = {kind: make_targets(kind, LENGTHS) for kind in ESTIMATORS}
CODED = {"categorical_features": [1], "embedding_dim": 2}


def unfitted(kind, **parameters):
    settings = SMALL | {"hidden_layer_sizes": (4, 3), "batch_size": 8}
    return ESTIMATORS[kind](**settings | parameters)


def fitted(kind, *, X=X, y=None, **parameters):
    return unfitted(kind, **parameters).fit(X, Y[kind] if y is None else y)


# embeddings -----------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
def test_an_embedding_is_a_product_with_one_hot_codes(readout, bidirectional, cell, kind):
    """The net on one-hot inputs whose weights are W_xh times the rows of E."""
    settings = {"cell": cell, "bidirectional": bidirectional, "readout": readout}
    settings["standardize"] = False  # one-hot features would be
    y = make_targets(kind, LENGTHS, readout)
    embedded = fitted(kind, y=y, **settings, **CODED)
    one_hot = [np.column_stack([x[:, :1], np.eye(4)[x[:, 1].astype(int)]]) for x in X]
    plain = fitted(kind, X=one_hot, y=y, **settings)
    E = embedded.weights_["E_0"]
    for name, weight in plain.weights_.items():
        embedded_weight = embedded.weights_[name]
        if name.startswith("W_xh_0"):  # reads [the real feature; the vector of the code]
            embedded_weight = np.hstack([embedded_weight[:, :1], embedded_weight[:, 1:] @ E[:4].T])
        weight[...] = embedded_weight
    for a, b in zip(raw(plain, one_hot), raw(embedded, X), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_tables_hold_a_row_for_every_code_and_one_for_those_unknown():
    codes = [7, -3, 12]
    items = [np.column_stack([x[:, 0], np.resize(codes, len(x))]) for x in X]
    estimator = fitted("classifier", X=items, **CODED)
    assert [c.tolist() for c in estimator.categories_] == [[-3, 7, 12]]
    E = estimator.weights_["E_0"]
    assert E.shape == (4, 2)
    np.testing.assert_array_equal(E[-1], 0)
    assert (E[:3] != 0).all()
    assert fitted("classifier").categories_ is None


@KINDS
def test_numbers_of_the_codes_do_not_matter(kind):
    expected = fitted(kind, **CODED)
    moved = [np.column_stack([x[:, 0], 10 * x[:, 1] - 7]) for x in X]
    estimator = fitted(kind, X=moved, **CODED)
    for name in expected.weights_:
        np.testing.assert_allclose(estimator.weights_[name], expected.weights_[name], atol=1e-9)


@KINDS
@pytest.mark.parametrize("unknown", [-1, 4, 1e6, 2**40])
def test_all_unknown_codes_are_one(unknown, kind):
    estimator = fitted(kind, **CODED)
    items = [np.column_stack([x[:, 0], np.full(len(x), unknown)]) for x in X]
    expected = raw(estimator, [np.column_stack([x[:, 0], np.full(len(x), 99)]) for x in X])
    np.testing.assert_array_equal(raw(estimator, items), expected)
    # whose vector is zero, and may be written
    E, w = estimator.weights_["E_0"], estimator.weights_["W_xh_0"]
    w[:, 1:], kept = 0, w[:, 1:].copy()
    np.testing.assert_allclose(raw(estimator, items), expected, rtol=0, atol=1e-12)
    w[:, 1:] = kept
    E[-1] = 1.0
    assert not np.allclose(raw(estimator, items), expected)


# which features -------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(
    "features",
    [[1], (1,), np.array([1]), [-1], [False, True], np.array([False, True]), pd.Index([1])],
    ids=str,
)
def test_numbers_and_masks_are_the_same(features, kind):
    expected = fitted(kind, **CODED)
    assert_same_net(fitted(kind, categorical_features=features, embedding_dim=2), expected)


@pytest.mark.parametrize("features", [["b"], np.array(["b"]), pd.Index(["b"]), [1], [False, True]])
def test_names_of_frames_are_the_same(features):
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in X]
    estimator = fitted("classifier", X=frames, categorical_features=features, embedding_dim=2)
    assert_same_net(estimator, fitted("classifier", **CODED))
    np.testing.assert_array_equal(raw(estimator, frames), raw(estimator, X))


@pytest.mark.parametrize("features", [None, [], np.array([], int), [False, False]], ids=str)
def test_no_feature_is_categorical(features):
    assert_same_net(fitted("regressor", categorical_features=features), fitted("regressor"))


def two_codes():
    rng = np.random.default_rng(7)
    return [
        np.column_stack([rng.integers(3, size=T), x, rng.integers(5, size=T)])
        for T, x in zip(LENGTHS, (x[:, 0] for x in X), strict=True)
    ]


def test_every_feature_has_its_dimension():
    settings = {"X": two_codes(), "categorical_features": [0, 2]}
    shapes = {
        dims: tuple(
            fitted("regressor", embedding_dim=dims, **settings).weights_[name].shape
            for name in ("E_0", "E_1", "W_xh_0")
        )
        for dims in (2, (3, 4))
    }
    assert shapes == {2: ((4, 2), (6, 2), (12, 5)), (3, 4): ((4, 3), (6, 4), (12, 8))}
    assert_same_net(
        fitted("regressor", embedding_dim=[2, 2], **settings),
        fitted("regressor", embedding_dim=2, **settings),
    )
    assert_same_net(
        fitted("regressor", embedding_dim=np.array([3, 4]), **settings),
        fitted("regressor", embedding_dim=(3, 4), **settings),
    )


def test_tokens_are_sequences_of_one_code():
    tokens = [x[:, 1].astype(int) for x in X]
    estimator = fitted("classifier", X=tokens, categorical_features=[0], embedding_dim=3)
    assert estimator.weights_["W_xh_0"].shape == (12, 3)
    for other in (
        [t.tolist() for t in tokens],
        [t[:, None] for t in tokens],
        pad_sequences(tokens),
    ):
        assert_same_net(
            fitted("classifier", X=other, categorical_features=[True], embedding_dim=3), estimator
        )


def test_a_table_has_categories_at_every_step():
    cube = np.stack([np.resize(x, (5, 2)) for x in X])
    cube[:, :, 1] = np.random.default_rng(8).integers(3, size=(N, 5))
    table = fitted("regressor", X=cube.reshape(N, 10), features_per_step=2, **CODED)
    assert_same_net(table, fitted("regressor", X=cube, **CODED))
    frame = pd.DataFrame(cube.reshape(N, 10), columns=[f"c{i}" for i in range(10)])
    assert_same_net(fitted("regressor", X=frame, features_per_step=2, **CODED), table)


# the codes of a fit ---------------------------------------------------------------------------


@KINDS
def test_partial_fit_keeps_the_categories_of_the_first_call(kind):
    once = {"classes": np.unique(Y[kind])} if kind == "classifier" else {}
    estimator = unfitted(kind, **CODED).partial_fit(X, Y[kind], **once)
    assert [c.tolist() for c in estimator.categories_] == [[0, 1, 2, 3]]
    other = [np.column_stack([x[:, 0], x[:, 1] + 2]) for x in X]
    estimator.partial_fit(other, Y[kind])
    assert [c.tolist() for c in estimator.categories_] == [[0, 1, 2, 3]]
    assert estimator.weights_["E_0"].shape == (5, 2)
    assert (estimator.weights_["E_0"][-1] != 0).any()  # what was unknown is learned by now
    few = [np.column_stack([x[:, 0], np.zeros(len(x))]) for x in X]
    assert [c.tolist() for c in estimator.partial_fit(few, Y[kind]).categories_] == [[0, 1, 2, 3]]
    assert [c.tolist() for c in estimator.fit(few, Y[kind]).categories_] == [[0]]


@KINDS
def test_sequences_of_weight_zero_leave_no_code(kind):
    more = [*X, np.array([[0.3, 99.0], [0.1, 98.0]])]
    y = np.append(Y[kind], Y[kind][:1])
    weighted = unfitted(kind, **CODED).fit(more, y, np.append(np.ones(N), 0))
    assert [c.tolist() for c in weighted.categories_] == [[0, 1, 2, 3]]
    assert_same_net(weighted, fitted(kind, **CODED))


def test_a_refit_without_categories_forgets_them():
    estimator = fitted("regressor", **CODED).set_params(categorical_features=None)
    assert estimator.fit(X, Y["regressor"]).categories_ is None
    assert_same_net(estimator, fitted("regressor"))


# what is refused ------------------------------------------------------------------------------

BAD_FEATURES = {
    "out of range": [2],
    "below range": [-3],
    "twice": [1, 1],
    "twice, once from the end": [1, -1],
    "a mask too short": [True],
    "a mask too long": [True, False, True],
    "real numbers": [1.0],
    "names without frames": ["b"],
    "nested": [[1]],
    "ragged": [[1], [0, 1]],
    "None in it": [None],
    "numbers and names": [0, "b"],
}


@pytest.mark.parametrize("features", BAD_FEATURES.values(), ids=BAD_FEATURES)
def test_bad_features_are_refused_in_words(features):
    with pytest.raises(
        ValueError, match=r"categorical_features=.*from 0 to 1, or a mask of 2 bool"
    ):
        fitted("regressor", categorical_features=features)


@pytest.mark.parametrize("features", [["c"], ["b", "b"], [["b"]], ["a", 1]])
def test_bad_names_are_refused_in_words(features):
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in X]
    with pytest.raises(ValueError, match=r"categorical_features=.*or of the names \['a', 'b'\]"):
        fitted("regressor", X=frames, categorical_features=features)


@pytest.mark.parametrize("value", ["b", 1, True])
def test_features_must_be_several(value):
    with pytest.raises(ValueError, match="'categorical_features' parameter"):
        fitted("regressor", categorical_features=value)


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        ([2, 3], r"embedding_dim=\[2, 3\] has 2 numbers.*1 categorical"),
        ([], r"embedding_dim must be integers"),
        ([0], r"embedding_dim must be integers >= 1"),
        ([2.5], r"embedding_dim must be integers >= 1"),
        (0, r"'embedding_dim' parameter"),
        ("a", r"'embedding_dim' parameter"),
    ],
)
def test_bad_dimensions_are_refused_in_words(dims, words):
    with pytest.raises(ValueError, match=words):
        fitted("regressor", categorical_features=[1], embedding_dim=dims)


def test_codes_must_be_integers_and_the_place_is_named():
    bad = [x.copy() for x in X]
    long = int(np.argmax(LENGTHS))
    bad[long][2, 1] = 0.5
    words = rf"no integer code: sequence {long}, step 2 has \[0.5\].*TokenEncoder"
    with pytest.raises(ValueError, match=words):
        fitted("regressor", X=bad, **CODED)
    estimator = fitted("regressor", **CODED)
    before = state(estimator)
    for read in (estimator.predict, estimator.hidden_states):
        with pytest.raises(ValueError, match=words):
            read(bad)
    with pytest.raises(ValueError, match=words):
        estimator.partial_fit(bad, Y["regressor"], np.arange(N) == long)
    assert state(estimator) == before
    absent = [np.insert(x, 1, np.nan, axis=0) for x in bad]
    with pytest.raises(ValueError, match=rf"sequence {long}, step 3 has \[0.5\]"):
        estimator.predict(absent)


def test_text_is_no_code():
    words = [["a", "b"], ["c"]] * (N // 2)
    with pytest.raises(ValueError, match="Sequence 0 holds <U1, but numbers are required"):
        fitted("regressor", X=words, categorical_features=[0])
