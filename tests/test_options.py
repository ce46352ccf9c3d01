"""Directions, dropout, initial states and embeddings, through the estimators."""

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.utils import shuffle

from skrnn import RNNClassifier, RNNRegressor, pad_sequences
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": (4, 3), "max_iter": 3, "batch_size": 8, "random_state": 0}
RNG = np.random.default_rng(0)
N = 24
LENGTHS = RNG.integers(1, 8, size=N).tolist()
CODED = {"categorical_features": [1], "embedding_dim": 2}


def make_sequences(n=N, lengths=LENGTHS, dtype=np.float64, codes=4):
    """A real feature and a code."""
    rng = np.random.default_rng(1)
    return [
        np.column_stack([rng.standard_normal(T), rng.integers(codes, size=T)]).astype(dtype)
        for T in lengths
    ]


X = make_sequences()
Y = {
    "classifier": np.array(["ant", "bee", "cow"])[RNG.integers(3, size=N)],
    "regressor": RNG.standard_normal(N),
}
ESTIMATORS = {"classifier": RNNClassifier, "regressor": RNNRegressor}
OPTIONS = {
    "bidirectional": {"bidirectional": True},
    "dropout": {"dropout": 0.4},
    "normal": {"initial_state": "normal"},
    "learned": {"initial_state": "learned"},
    "embedded": CODED,
    "mean": {"readout": "mean"},
    "max": {"readout": "max"},
    "all": {"bidirectional": True, "dropout": 0.3, "initial_state": "learned", "readout": "mean"}
    | CODED,
    "all drawn": {"dropout": 0.3, "initial_state": "normal", "readout": "max", "bptt_steps": 2}
    | CODED,
}
KINDS = pytest.mark.parametrize("kind", ESTIMATORS)
WITH_OPTIONS = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def unfitted(kind, **parameters):
    return ESTIMATORS[kind](**(SMALL | parameters))


def fitted(kind, *, X=X, y=None, **parameters):
    return unfitted(kind, **parameters).fit(X, Y[kind] if y is None else y)


def raw(estimator, X):
    return getattr(estimator, "decision_function", estimator.predict)(X)


def assert_same_net(a, b):
    assert a.weights_.keys() == b.weights_.keys()
    for name, weight in a.weights_.items():
        np.testing.assert_array_equal(weight, b.weights_[name])


# every option ---------------------------------------------------------------------------------


@KINDS
@WITH_OPTIONS
@pytest.mark.parametrize("cell", CELLS)
def test_a_prediction_depends_on_its_sequence_alone(cell, options, kind):
    estimator = fitted(kind, cell=cell, **options)
    together = raw(estimator, X)
    alone = np.concatenate([raw(estimator, [x]) for x in X])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-10)
    np.testing.assert_allclose(raw(estimator, X[::-1])[::-1], together, rtol=0, atol=1e-10)
    np.testing.assert_allclose(raw(estimator, pad_sequences(X)), together, rtol=0, atol=1e-10)


@KINDS
@WITH_OPTIONS
def test_padding_at_fit_changes_no_bit(options, kind):
    absent = [np.insert(x, [0, len(x) // 2, len(x)], np.nan, axis=0) for x in X]
    for other in (pad_sequences(X), absent):
        assert_same_net(fitted(kind, X=other, **options), fitted(kind, **options))


@KINDS
@WITH_OPTIONS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_x_is_that_of_the_arithmetic(dtype, options, kind):
    narrow = make_sequences(dtype=dtype)
    estimator = fitted(kind, X=narrow, **options)
    assert {weight.dtype for weight in estimator.weights_.values()} == {np.dtype(dtype)}
    assert raw(estimator, narrow).dtype == dtype
    assert {h.dtype for h in estimator.hidden_states(narrow)} == {np.dtype(dtype)}


@KINDS
@WITH_OPTIONS
def test_pickled_copied_and_cloned(options, kind):
    estimator = fitted(kind, **options)
    for twin in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        np.testing.assert_array_equal(raw(twin, X), raw(estimator, X))
        assert_same_net(
            twin.partial_fit(X, Y[kind]), copy.deepcopy(estimator).partial_fit(X, Y[kind])
        )
    with pytest.raises(NotFittedError):
        clone(estimator).predict(X)
    assert_same_net(clone(estimator).fit(X, Y[kind]), estimator)


@KINDS
@WITH_OPTIONS
def test_nothing_fitted_holds_a_view_or_a_function(options, kind):
    for name, value in vars(fitted(kind, **options)).items():
        for part in value if isinstance(value, list) else [value]:
            assert not callable(part), name
            assert not isinstance(part, np.ndarray) or part.base is None, name


@KINDS
@WITH_OPTIONS
def test_same_seed_same_bits(options, kind):
    expected = fitted(kind, **options)
    assert_same_net(fitted(kind, **options), expected)
    assert_same_net(unfitted(kind, **options).fit(*shuffle(X, Y[kind], random_state=3)), expected)
    other = fitted(kind, **options, random_state=1)
    assert not np.array_equal(other.weights_["W_ho"], expected.weights_["W_ho"])


@KINDS
@WITH_OPTIONS
@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_weights_are_repetitions_to_the_bit(batch_size, options, kind):
    counts = np.random.default_rng(2).integers(4, size=N)
    rows = np.random.default_rng(3).permutation(np.repeat(np.arange(N), counts))
    options = options | {"batch_size": batch_size}
    repeated = unfitted(kind, **options).fit([X[i] for i in rows], Y[kind][rows])
    weighted = unfitted(kind, **options).fit(X, Y[kind], counts)
    assert_same_net(weighted, repeated)


@KINDS
@WITH_OPTIONS
def test_predictions_are_drawn_from_nothing(options, kind):
    estimator = fitted(kind, **options)
    state = pickle.dumps(vars(estimator))
    first = raw(estimator, X)
    np.random.seed(5)  # noqa: NPY002
    np.testing.assert_array_equal(raw(estimator, X), first)
    assert pickle.dumps(vars(estimator)) == state


@KINDS
@WITH_OPTIONS
def test_two_threads_predict_the_bits_of_one(options, kind):
    estimator, results = fitted(kind, **options), [None] * 4
    expected = raw(estimator, X)

    def predict(i):
        results[i] = raw(estimator, X)

    threads = [threading.Thread(target=predict, args=(i,), daemon=True) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


@KINDS
@pytest.mark.parametrize("options", ["all", "all drawn"])
def test_folds_in_two_processes_score_the_bits_of_one(options, kind):
    estimator = unfitted(kind, **OPTIONS[options])
    one, two = (cross_val_score(estimator, X, Y[kind], cv=2, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@KINDS
@WITH_OPTIONS
def test_a_fit_cut_in_two_gives_the_bits_of_one(options, kind):
    whole = fitted(kind, max_iter=4, **options)
    half = fitted(kind, max_iter=2, warm_start=True, **options)
    assert_same_net(pickle.loads(pickle.dumps(half)).fit(X, Y[kind]), whole)
    once = {"classes": np.unique(Y[kind])} if kind == "classifier" else {}
    parts = unfitted(kind, **options).partial_fit(X, Y[kind], **once)
    for _ in range(3):
        parts.partial_fit(X, Y[kind])
    assert_same_net(parts, whole)


@KINDS
@WITH_OPTIONS
def test_early_stopping(options, kind):
    stopped = {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 5, "tol": 0}
    estimator = fitted(kind, **stopped, **options)
    best = estimator.n_iter_ - np.argmax(estimator.validation_scores_[::-1])
    again = fitted(kind, **stopped | {"max_iter": int(best)}, **options)
    assert_same_net(again, estimator)


@KINDS
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"readout": "mean"}, r"readout from 'last' to 'mean'"),
        ({"bidirectional": True}, r"bidirectional from False to True"),
        ({"initial_state": "learned"}, r"initial_state from 'zeros' to 'learned'"),
    ],
)
def test_another_architecture_cannot_go_on(change, words, kind):
    estimator = fitted(kind, warm_start=True).set_params(**change)
    before = pickle.dumps(vars(estimator))
    for method in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match=rf"Cannot go on.*{words}.*warm_start"):
            method(X, Y[kind])
        assert pickle.dumps(vars(estimator)) == before


# bidirectional --------------------------------------------------------------------------------


def reversed_in_time(items):
    return [x[::-1] for x in items]


@KINDS
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("readout", READOUTS)
def test_the_halves_change_places_where_time_is_turned(readout, cell, kind):
    per_step = readout == "step"
    y = [np.repeat(v, len(x)) for v, x in zip(Y[kind], X, strict=True)] if per_step else Y[kind]
    estimator = fitted(
        kind, cell=cell, readout=readout, bidirectional=True, hidden_layer_sizes=4, y=y
    )
    turned, w = copy.deepcopy(estimator), estimator.weights_
    for name, weight in turned.weights_.items():
        if name == "W_ho":
            weight[...] = np.hstack([w[name][:, 4:], w[name][:, :4]])
        elif name != "b_o":
            other = name.removesuffix("_reverse") if "reverse" in name else f"{name}_reverse"
            weight[...] = w[other]
    expected, mirrored = raw(estimator, X), raw(turned, reversed_in_time(X))
    if per_step:
        expected, mirrored = (
            np.concatenate(list(expected)),
            np.concatenate(reversed_in_time(mirrored)),
        )
    np.testing.assert_allclose(mirrored, expected, rtol=0, atol=1e-10)


def test_every_output_of_both_directions_hears_every_step():
    y = [x[:, 0] for x in X]
    estimator = fitted("regressor", readout="step", bidirectional=True, y=y)
    x = np.random.default_rng(4).standard_normal((5, 2))
    expected = estimator.predict([x])[0]
    for t in range(5):
        other = x.copy()
        other[t] += 1
        assert (estimator.predict([other])[0] != expected).all()


@KINDS
def test_bidirectional_and_truncation_exclude_each_other(kind):
    with pytest.raises(ValueError, match=r"bptt_steps=3 and bidirectional=True exclude each other"):
        fitted(kind, bidirectional=True, bptt_steps=3)


# dropout and initial states -------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_changes_the_fit_and_nothing_else(bidirectional, kind):
    settings = {"bidirectional": bidirectional, "max_iter": 1}
    without, with_dropout = fitted(kind, **settings), fitted(kind, dropout=0.5, **settings)
    assert not np.array_equal(without.weights_["W_ho"], with_dropout.weights_["W_ho"])
    for name, weight in with_dropout.weights_.items():
        without.weights_[name][...] = weight
    np.testing.assert_array_equal(raw(with_dropout, X), raw(without, X))


def test_a_mask_is_shared_by_the_steps_of_a_sequence():
    """Of constant inputs to a memoryless net, dropout leaves outputs that do not change in time."""
    reg = unfitted("regressor", dropout=0.5, readout="step", max_iter=1, cell="rnn_tanh")
    reg.set_params(hidden_layer_sizes=6, learning_rate_init=1e-300, alpha=0, batch_size=1)
    ones = [np.ones((T, 1)) for T in (1, 4)]
    seen = []
    original = reg._batch

    def batch(network, rows, rng):
        n, loss_and_gradient = original(network, rows, rng)

        def remembered(theta, gradient):
            network.whole.weights(theta)["W_hh_0"][:] = 0
            value = loss_and_gradient(theta, gradient)
            seen.append((n, value))
            return value

        return n, remembered

    reg._batch = batch
    reg.fit([ones[1]], [np.array([1.0, 1.0, 1.0, 1.0])])
    (n, of_four), *_ = seen
    seen.clear()
    reg.fit([ones[0]], [np.array([1.0])])
    assert n == 4 and seen[0][1] == pytest.approx(of_four, rel=1e-12)


@KINDS
@pytest.mark.parametrize("readout", ["last", "mean", "max"])
def test_normal_states_are_drawn_at_fit_and_zero_at_predict(readout, kind):
    zeros = fitted(kind, readout=readout)
    normal = fitted(kind, readout=readout, initial_state="normal")
    assert normal.weights_.keys() == zeros.weights_.keys()
    assert not np.array_equal(normal.weights_["W_hh_0"], zeros.weights_["W_hh_0"])
    for name, weight in normal.weights_.items():
        zeros.weights_[name][...] = weight
    np.testing.assert_array_equal(raw(normal, X), raw(zeros, X))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_learned_states_are_weights_of_every_layer(bidirectional, cell):
    estimator = fitted("regressor", cell=cell, initial_state="learned", bidirectional=bidirectional)
    ends = ["", "_reverse"][: 1 + bidirectional]
    names = ["h0", "c0"] if cell == "lstm" else ["h0"]
    for i, H in enumerate((4, 3)):
        for name in (f"{name}_{i}{end}" for name in names for end in ends):
            assert estimator.weights_[name].shape == (H,)
            assert (estimator.weights_[name] != 0).all() or cell == "rnn_relu", name
    zeros = fitted("regressor", cell=cell, bidirectional=bidirectional)
    learned = estimator.weights_.keys() - zeros.weights_.keys()
    for name, weight in estimator.weights_.items():
        if name in learned:
            weight[...] = 0
        else:
            zeros.weights_[name][...] = weight
    np.testing.assert_array_equal(estimator.predict(X), zeros.predict(X))


# categorical features -------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
def test_an_embedding_is_a_product_with_one_hot_codes(readout, bidirectional, cell, kind):
    """The net on one-hot inputs whose weights are W_xh times the rows of E."""
    settings = {"cell": cell, "bidirectional": bidirectional, "readout": readout}
    steps = readout == "step"
    y = [np.repeat(v, len(x)) for v, x in zip(Y[kind], X, strict=True)] if steps else Y[kind]
    embedded = fitted(kind, y=y, **settings, **CODED)
    one_hot = [np.column_stack([x[:, :1], np.eye(4)[x[:, 1].astype(int)]]) for x in X]
    plain = fitted(kind, X=one_hot, y=y, **settings)
    E = embedded.weights_["E_0"]
    for name, weight in plain.weights_.items():
        own = embedded.weights_[name]
        if name.startswith("W_xh_0"):  # reads [the real feature; the vector of the code]
            own = np.hstack([own[:, :1], own[:, 1:] @ E[:4].T])
        weight[...] = own
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
def test_names_of_the_codes_do_not_matter(kind):
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
    before = pickle.dumps(vars(estimator))
    for read in (estimator.predict, estimator.hidden_states):
        with pytest.raises(ValueError, match=words):
            read(bad)
    with pytest.raises(ValueError, match=words):
        estimator.partial_fit(bad, Y["regressor"], np.arange(N) == long)
    assert pickle.dumps(vars(estimator)) == before
    absent = [np.insert(x, 1, np.nan, axis=0) for x in bad]
    with pytest.raises(ValueError, match=rf"sequence {long}, step 3 has \[0.5\]"):
        estimator.predict(absent)


def test_text_is_no_code():
    words = [["a", "b"], ["c"]] * (N // 2)
    with pytest.raises(ValueError, match="Sequence 0 holds <U1, but numbers are required"):
        fitted("regressor", X=words, categorical_features=[0])


# parameters -----------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("readout", "sum"),
        ("readout", ["last"]),
        ("initial_state", "ones"),
        ("initial_state", 0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", "a"),
        ("bidirectional", "yes"),
        ("bptt_steps", 0),
        ("bptt_steps", 2.5),
    ],
)
def test_parameters_are_checked_by_name(name, value, kind):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of RNN"):
        fitted(kind, **{name: value})
