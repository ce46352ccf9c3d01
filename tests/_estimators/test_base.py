"""What both estimators promise, whatever the options: predictions, bits, copies, resuming."""

import contextlib
import copy
import io
import pickle
import threading
from itertools import product

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from threadpoolctl import ThreadpoolController

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

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 24
LENGTHS = np.random.default_rng(0).integers(1, 8, size=N).tolist()
X = make_coded(LENGTHS)
CODED = {"categorical_features": [1], "embedding_dim": 2}
OPTIONS = {
    "default": {},
    "bidirectional": {"bidirectional": True},
    "dropout": {"dropout": 0.4},
    "normal": {"initial_state": "normal"},
    "learned": {"initial_state": "learned"},
    "embedded": CODED,
    "mean": {"readout": "mean"},
    "max": {"readout": "max"},
    "step": {"readout": "step"},
    "step, bidirectional": {"readout": "step", "bidirectional": True},
    "sgd": {"solver": "sgd"},
    "all": {"bidirectional": True, "dropout": 0.3, "initial_state": "learned", "readout": "mean"}
    | CODED,
    "all drawn": {"dropout": 0.3, "initial_state": "normal", "readout": "max", "bptt_steps": 2}
    | CODED,
}
CELLS_AND_OPTIONS = [
    pytest.param({"cell": cell} | OPTIONS[name], id=f"{cell}-{name}")
    for cell, name in product(CELLS, OPTIONS)
]
WITH_OPTIONS = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
WITH_CELLS_OR_OPTIONS = pytest.mark.parametrize(
    "options", [p for p in CELLS_AND_OPTIONS if p.id.startswith("gru") or p.id.endswith("default")]
)
STOPPED = {"early_stopping": True, "validation_fraction": 0.3}


def unfitted(kind, **parameters):
    settings = SMALL | {"hidden_layer_sizes": (4, 3), "batch_size": 8}
    return ESTIMATORS[kind](**settings | parameters)


def targets(kind, options):
    return make_targets(kind, LENGTHS, options.get("readout", "last"))


def fitted(kind, *, X=X, y=None, **parameters):
    return unfitted(kind, **parameters).fit(X, targets(kind, parameters) if y is None else y)


def classes_of(kind):
    return {"classes": ["ant", "bee", "cow"]} if kind == "classifier" else {}


def taken(items, rows):
    return [items[i] for i in rows]


def shuffled(*lists, seed):
    """Lists or arrays in the same new order."""
    order = np.random.default_rng(seed).permutation(len(lists[0]))
    return [taken(items, order) for items in lists]


def raw_of_steps(estimator, items):
    """Raw outputs, of the present steps alone where there is one per step."""
    out = raw(estimator, items)
    if estimator.readout != "step":
        return out
    return np.concatenate([y[~np.isnan(x[:, 0])] for y, x in zip(out, items, strict=True)])


# predictions ----------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("options", CELLS_AND_OPTIONS)
def test_a_prediction_depends_on_its_sequence_alone(options, kind):
    estimator, close = fitted(kind, **options), {"rtol": 0, "atol": 1e-10}
    together = raw_of_steps(estimator, X)
    alone = np.concatenate([raw_of_steps(estimator, [x]) for x in X])
    np.testing.assert_allclose(alone, together, **close)
    alone = np.concatenate([raw_of_steps(estimator, x[None]) for x in X])
    np.testing.assert_allclose(alone, together, **close)
    backwards = np.concatenate(list(map(np.atleast_1d, raw(estimator, X[::-1])[::-1])))
    np.testing.assert_allclose(backwards.ravel(), together.ravel(), **close)
    padded = pad_sequences(X)
    np.testing.assert_allclose(raw_of_steps(estimator, padded), together, **close)
    left = np.roll(padded, 3, axis=1)  # absent steps in front and in the middle
    rolled = [s[~np.isnan(s[:, 0])] for s in left]
    np.testing.assert_allclose(
        raw_of_steps(estimator, left), raw_of_steps(estimator, rolled), atol=1e-10
    )


@KINDS
@WITH_OPTIONS
def test_predicting_changes_nothing_and_draws_nothing(options, kind):
    estimator = fitted(kind, **options)
    before, first = state(estimator), raw_of_steps(estimator, X)
    np.random.seed(5)  # noqa: NPY002
    np.testing.assert_array_equal(raw_of_steps(estimator, X), first)
    assert state(estimator) == before


@KINDS
@WITH_OPTIONS
def test_eight_threads_predict_the_bits_of_one(options, kind):
    estimator, results, many = fitted(kind, **options), [None] * 8, X * 9
    expected = raw_of_steps(estimator, many)
    before = [pool["num_threads"] for pool in ThreadpoolController().info()]

    def predict(i):
        results[i] = raw_of_steps(estimator, many)

    threads = [threading.Thread(target=predict, args=(i,), daemon=True) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)
    assert [pool["num_threads"] for pool in ThreadpoolController().info()] == before


# what a fit depends on ------------------------------------------------------------------------


@KINDS
@WITH_CELLS_OR_OPTIONS
def test_padding_at_fit_changes_no_bit(options, kind):
    absent = [np.insert(x, [0, len(x) // 2, len(x)], np.nan, axis=0) for x in X]
    expected, y = fitted(kind, **options), targets(kind, options)
    of_padded = of_absent = y
    if options.get("readout") == "step":  # targets of absent steps are ignored
        of_absent = [np.insert(t, [0, len(t) // 2, len(t)], t[0]) for t in y]
        of_padded = [np.append(t, [t[0]] * (max(LENGTHS) - len(t))) for t in y]
    assert_same_net(fitted(kind, X=pad_sequences(X), y=of_padded, **options), expected)
    assert_same_net(fitted(kind, X=absent, y=of_absent, **options), expected)


@KINDS
@WITH_OPTIONS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_x_is_that_of_the_arithmetic(dtype, options, kind):
    narrow = [x.astype(dtype) for x in X]
    estimator = fitted(kind, X=narrow, **options)
    assert {weight.dtype for weight in estimator.weights_.values()} == {np.dtype(dtype)}
    predictions = [raw(estimator, narrow), estimator.hidden_states(narrow)]
    if kind == "classifier":
        predictions += [estimator.predict_proba(narrow), estimator.predict_log_proba(narrow)]
    for predicted in predictions:
        assert {part.dtype for part in predicted} == {np.dtype(dtype)}


@KINDS
@WITH_CELLS_OR_OPTIONS
def test_same_seed_same_bits(options, kind):
    expected = fitted(kind, **options)
    assert_same_net(fitted(kind, **options), expected)
    other = fitted(kind, **options, random_state=1)
    assert not np.array_equal(other.weights_["W_ho"], expected.weights_["W_ho"])


@KINDS
@WITH_OPTIONS
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_sequences_does_not_matter_to_fit(seed, options, kind):
    items, y = shuffled(X, targets(kind, options), seed=seed)
    assert_same_net(fitted(kind, X=items, y=y, **options), fitted(kind, **options))


@KINDS
@pytest.mark.parametrize("batch_size", [1, 7, 16, 100])
@pytest.mark.parametrize("options", [*OPTIONS.values(), STOPPED], ids=[*OPTIONS, "early stopping"])
def test_weights_are_repetitions_to_the_bit(options, batch_size, kind):
    y, counts = targets(kind, options), np.random.default_rng(2).integers(4, size=N)
    rows = np.random.default_rng(3).permutation(np.repeat(np.arange(N), counts))
    options = options | {"batch_size": batch_size}
    repeated = unfitted(kind, **options).fit(taken(X, rows), taken(y, rows))
    weighted = unfitted(kind, **options).fit(*shuffled(X, y, counts, seed=4))
    assert_same_net(weighted, repeated)


def test_without_shuffle_weights_are_repetitions_to_rounding():
    y, params = targets("regressor", {}), {"shuffle": False, "batch_size": 1000}
    twice = unfitted("regressor", **params).fit(X + X, np.concatenate([y, y]))
    weighted = unfitted("regressor", **params).fit(X, y, sample_weight=np.full(N, 2.0))
    np.testing.assert_allclose(twice.predict(X), weighted.predict(X), rtol=1e-9)


@KINDS
@pytest.mark.parametrize("cell", CELLS)
def test_truncation_behind_the_end_changes_nothing(cell, kind):
    full, truncated = fitted(kind, cell=cell), fitted(kind, cell=cell, bptt_steps=max(LENGTHS))
    assert_same_net(truncated, full)
    shorter = fitted(kind, cell=cell, bptt_steps=3)
    assert not np.array_equal(raw(shorter, X), raw(full, X))


@KINDS
@WITH_OPTIONS
def test_little_working_memory_changes_only_rounding(options, kind):
    expected = raw_of_steps(fitted(kind, max_iter=2, **options), X)
    with config_context(working_memory=0):
        estimator = fitted(kind, max_iter=2, **options)
        np.testing.assert_allclose(raw_of_steps(estimator, X), expected, rtol=1e-9)


# what is fitted -------------------------------------------------------------------------------


@KINDS
@WITH_OPTIONS
def test_pickled_copied_and_cloned(options, kind):
    estimator, y = fitted(kind, **options), targets(kind, options)
    for twin in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        np.testing.assert_array_equal(raw_of_steps(twin, X), raw_of_steps(estimator, X))
        assert_same_net(twin.partial_fit(X, y), copy.deepcopy(estimator).partial_fit(X, y))
    with pytest.raises(NotFittedError):
        clone(estimator).predict(X)
    assert_same_net(clone(estimator).fit(X, y), estimator)


@KINDS
@WITH_OPTIONS
def test_nothing_fitted_holds_a_view_or_a_function(options, kind):
    for name, value in vars(fitted(kind, **options)).items():
        for part in value if isinstance(value, list) else [value]:
            assert not callable(part), name
            assert not isinstance(part, np.ndarray) or part.base is None, name


@pytest.mark.parametrize(
    "change", [{"readout": "mean"}, {"readout": "step"}, {"cell": "lstm"}, {"bidirectional": True}]
)
@KINDS
@pytest.mark.parametrize("options", [{}, {"readout": "step"}], ids=["last", "step"])
def test_a_parameter_set_later_does_not_change_what_was_fitted(options, kind, change):
    estimator, y = fitted(kind, **options), targets(kind, options)
    expected = raw(estimator, X), estimator.score(X, y)
    estimator.set_params(**change)
    for a, b in zip(raw(estimator, X), expected[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert estimator.score(X, y) == expected[1]


@KINDS
def test_the_curves_have_one_entry_per_epoch(kind):
    estimator = fitted(kind, max_iter=8)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == len(estimator.grad_norm_curve_) == 8
    assert estimator.loss_ == estimator.loss_curve_[-1]
    assert estimator.best_loss_ == min(estimator.loss_curve_)
    assert estimator.validation_scores_ is None


@KINDS
@WITH_OPTIONS
def test_early_stopping_keeps_the_best_epoch(options, kind):
    params = STOPPED | {"max_iter": 6, "tol": 0, "learning_rate_init": 0.1} | options
    estimator = fitted(kind, **params)
    assert len(estimator.validation_scores_) == estimator.n_iter_
    assert estimator.best_validation_score_ == max(estimator.validation_scores_)
    best = estimator.n_iter_ - int(np.argmax(estimator.validation_scores_[::-1]))
    assert estimator.best_epoch_ == best
    assert_same_net(fitted(kind, **params | {"max_iter": best}), estimator)


# resuming, and failing ------------------------------------------------------------------------


@KINDS
@WITH_OPTIONS
def test_a_fit_cut_in_two_by_pickling_gives_the_bits_of_one(options, kind):
    y, whole = targets(kind, options), fitted(kind, max_iter=4, **options)
    half = fitted(kind, max_iter=2, warm_start=True, **options)
    half = pickle.loads(pickle.dumps(half)).fit(X, y)
    parts = unfitted(kind, **options).partial_fit(X, y, **classes_of(kind))
    for _ in range(3):
        parts.partial_fit(X, y)
    for estimator in (half, parts):
        assert_same_net(estimator, whole)
        assert estimator.loss_curve_ == whole.loss_curve_ and estimator.n_iter_ == 4


@KINDS
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cell": "lstm"}, r"cell from 'gru' to 'lstm'"),
        ({"hidden_layer_sizes": 3}, r"\(4, 3\) to \(3,\)"),
        ({"readout": "mean"}, r"readout from 'last' to 'mean'"),
        ({"bidirectional": True}, r"bidirectional from False to True"),
        ({"initial_state": "learned"}, r"initial_state from 'zeros' to 'learned'"),
    ],
    ids=str,
)
def test_another_architecture_cannot_be_resumed(change, words, kind):
    estimator = fitted(kind, warm_start=True).set_params(**change)
    before = state(estimator)
    for method in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match=rf"Cannot resume.*{words}.*warm_start"):
            method(X, targets(kind, {}))
        assert state(estimator) == before


@KINDS
@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_the_warning_at_max_iter_points_at_the_line_of_the_caller(kind):
    with pytest.warns(ConvergenceWarning, match="max_iter=8") as caught:
        unfitted(kind, max_iter=8).fit(X, targets(kind, {}))
    assert caught[0].filename == __file__


class BrokenAtLast(io.StringIO):
    """A stream that breaks at what is printed of epoch 3."""

    def write(self, text):
        if text.startswith("Epoch 3"):
            raise KeyError(text)
        return super().write(text)


@KINDS
def test_an_error_in_the_last_epoch_leaves_the_estimator_as_it_was(kind):
    estimator = fitted(kind).set_params(verbose=True)
    before = state(estimator)
    with pytest.raises(KeyError), contextlib.redirect_stdout(BrokenAtLast()) as printed:
        estimator.fit([x[:, :1] for x in X], targets(kind, {}))
    assert "Epoch 2" in printed.getvalue()
    assert state(estimator) == before and estimator.n_features_in_ == 2
