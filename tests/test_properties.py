"""What holds for any sequences, containers, options and weights, drawn by hypothesis."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _factories import NUMPYS_WORDS, assert_same_bits, objects
from skrnn import RNNClassifier, RNNRegressor, as_sequences, pad_sequences
from skrnn._nn import cells, pooling
from skrnn._nn.losses import REGRESSION_LOSSES
from skrnn._training.optimizers import OPTIMIZERS
from skrnn._training.schedules import SCHEDULES

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Every sequence of X has one step"),
    pytest.mark.filterwarnings("ignore:Labels of one sequence stay"),
    pytest.mark.filterwarnings("ignore:Every row of y has a single 1"),  # few random labels
    pytest.mark.filterwarnings("ignore:class_weight has weights for"),  # and one of three missing
]

CELLS = st.sampled_from(list(cells.CELLS))
SEEDS = st.integers(0, 2**32 - 1)
NOT_FINITE = "The loss or its gradient was not finite"


def frames(kind):
    def build(items):
        return [kind({f"x{d}": column for d, column in enumerate(x.T)}) for x in items]

    return build


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "object array": objects,
    "(n, 1) object array": lambda items: objects(items)[:, None],
    "as_sequences": as_sequences,
    "nested lists": lambda items: [x.tolist() for x in items],
    "flat where possible": lambda items: [x[:, 0] if x.shape[1] == 1 else x for x in items],
    "flat lists where possible": lambda items: [
        (x[:, 0] if x.shape[1] == 1 else x).tolist() for x in items
    ],
    "3-D": pad_sequences,
    "2-D": lambda items: pad_sequences(items, flatten=True),
    "wide pandas": lambda items: pd.DataFrame(pad_sequences(items, flatten=True)),
    "wide polars": lambda items: pl.DataFrame(pad_sequences(items, flatten=True)),
    "pandas Series": lambda items: pd.Series(list(items)),
    "pandas column": lambda items: pd.DataFrame({"x": list(items)}),
    "polars Series": lambda items: pl.Series(items, dtype=pl.Object),
    "pandas frames": frames(pd.DataFrame),
    "polars frames": frames(pl.DataFrame),
}
TABULAR = {"2-D", "wide pandas", "wide polars"}


@st.composite
def ragged(draw, max_n=40, max_length=30, magnitudes=(1.0,), dtypes=(np.float64, np.float32)):
    """n sequences (T_i, D) of one dtype, some of their steps absent."""
    lengths = draw(st.lists(st.integers(1, max_length), min_size=1, max_size=max_n))
    D, dtype = draw(st.integers(1, 3)), np.dtype(draw(st.sampled_from(dtypes)))
    magnitude = draw(st.sampled_from(magnitudes))
    rng = np.random.default_rng(draw(SEEDS))
    largest = {"f4": 1e38, "f8": 1e308}.get(dtype.str[1:], 100.0)
    items = [(rng.uniform(-1, 1, (T, D)) * min(magnitude, largest)).astype(dtype) for T in lengths]
    if dtype.kind == "f" and draw(st.booleans()):
        for x in items:
            x[1:][rng.random(len(x) - 1) < 0.3] = np.nan
    return items


def refit(estimator, X, y, weight=None):
    return list(estimator.fit(X, y, weight).weights_.values())


@settings(max_examples=150)
@given(
    items=ragged(
        magnitudes=(0.0, 1e-320, 1e-300, 1.0, 100.0, 1e30, 1e300),
        dtypes=(np.float64, np.float32, np.int64, np.int8, np.bool_),
    ),
    container=st.sampled_from(sorted(CONTAINERS)),
    cell=CELLS,
    n_classes=st.integers(2, 4),
    max_iter=st.integers(1, 2),
    sizes=st.sampled_from([1, (2,), (2, 3)]),
    batch_size=st.sampled_from(["auto", 1, 3]),
)
def test_any_valid_container_fits_and_predicts(
    items, container, cell, n_classes, max_iter, sizes, batch_size
):
    X, n = CONTAINERS[container](items), len(items)
    parameters = {
        "hidden_layer_sizes": sizes,
        "max_iter": max_iter,
        "batch_size": batch_size,
        "random_state": 0,
        "features_per_step": items[0].shape[1] if container in TABULAR else None,
    }
    y = np.arange(n) % n_classes
    try:
        reg = RNNRegressor(cell, **parameters).fit(X, y.astype(float))
        predicted = reg.predict(X)
        assert predicted.shape == (n,)
        assert np.isfinite(predicted).all()
        clf = RNNClassifier(cell, **parameters).fit(X, y)
    except ValueError as error:
        unbounded = cell == "rnn_relu" and str(error).startswith(NOT_FINITE)
        assert unbounded or (n == 1 and "at least 2 classes" in str(error)), error
        return
    proba, log_proba = clf.predict_proba(X), clf.predict_log_proba(X)
    assert proba.shape == log_proba.shape == (n, min(n, n_classes))
    assert ((proba > 0) & (proba < 1)).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert np.isfinite(clf.decision_function(X)).all()
    assert np.isfinite(log_proba).all()
    assert set(clf.predict(X)) <= set(y)


@st.composite
def options(draw, n_features):
    """Any parameters that say what the net is and how far its gradient goes back."""
    coded = draw(st.lists(st.integers(0, n_features - 1), unique=True))
    bidirectional = draw(st.booleans())
    truncated = st.just(None) if bidirectional else st.sampled_from([None, 1, 3])
    return {
        "cell": draw(CELLS),
        "hidden_layer_sizes": draw(st.sampled_from([1, (2,), (2, 3)])),
        "bidirectional": bidirectional,
        "readout": draw(st.sampled_from(list(pooling.READOUTS))),
        "initial_state": draw(st.sampled_from(["zeros", "normal", "learned"])),
        "dropout": draw(st.sampled_from([0.0, 0.5])),
        "categorical_features": draw(st.sampled_from([None, coded])),
        "embedding_dim": draw(st.integers(1, 2)),
        "bptt_steps": draw(truncated),
        "batch_size": draw(st.sampled_from(["auto", 1, 3])),
        "early_stopping": draw(st.sampled_from([False, False, True])),
        "validation_fraction": 0.5,
        "shuffle": draw(st.booleans()),
        "max_iter": draw(st.integers(1, 2)),
        "random_state": 0,
    }


REFUSED = re.compile(
    "at least 2 classes|early_stopping=True needs a validation part|"
    "A categorical feature is no integer code|" + NOT_FINITE
)


def steps_of(predicted):
    """All values, in the order of the sequences and their steps."""
    return np.concatenate([np.ravel(part) for part in predicted])


@settings(max_examples=150)
@given(
    data=st.data(),
    items=ragged(max_n=12, max_length=8),
    container=st.sampled_from(sorted(CONTAINERS)),
    n_outputs=st.sampled_from([None, 2]),
    whole=st.booleans(),
)
def test_any_options_fit_any_container_or_are_refused_in_words(
    data, items, container, n_outputs, whole
):
    n, D = len(items), items[0].shape[1]
    parameters = data.draw(options(D))
    items = [np.round(3 * x) if whole else x for x in items]
    X, per_step = CONTAINERS[container](items), parameters["readout"] == "step"
    parameters["features_per_step"] = D if container in TABULAR else None
    longest, arrays = max(map(len, items)), TABULAR | {"3-D"}
    lengths = [longest if container in arrays else len(x) for x in items]
    is_table = container == "flat lists where possible" and D == 1 and len(set(lengths)) == 1
    if per_step:
        y = [np.arange(i, i + length) % 3 for i, length in enumerate(lengths)]
    else:
        y = np.arange(n) % 3
    wide = y if n_outputs is None else [np.stack([part] * n_outputs, axis=-1) for part in y]
    real = [part + 0.5 for part in wide]
    try:
        reg = RNNRegressor(**parameters).fit(X, real)
        clf = RNNClassifier(**parameters).fit(X, y)
    except ValueError as error:
        assert REFUSED.search(str(error)), error
        return
    for estimator, target in ((reg, real), (clf, y)):
        predicted, h = estimator.predict(X), estimator.hidden_states(X)
        assert len(predicted) == len(h) == n
        assert all(
            np.isfinite(states).all() and len(states) == T
            for states, T in zip(h, lengths, strict=True)
        )
        if per_step:
            assert [len(part) for part in predicted] == lengths
            assert (predicted.dtype != object) == (container in arrays or is_table)
        assert np.isfinite(steps_of(predicted)).all()
        if n > 1:
            assert np.isfinite(estimator.score(X, target))
    proba = clf.predict_proba(X)
    for part in proba:
        assert ((part > 0) & (part < 1)).all()
        np.testing.assert_allclose(part.sum(axis=-1), 1, rtol=1e-5)
    if not parameters["bidirectional"] and not per_step:
        state, padded = None, pad_sequences(items)
        for t in range(longest):
            out, state = clf.step(padded[:, t], state)
        close = {"rtol": 0, "atol": 1e-4 if out.dtype == np.float32 else 1e-9}
        np.testing.assert_allclose(out, proba, **close)


numbers = st.one_of(
    st.floats(width=32),
    st.integers(-3, 3),
    st.integers(),
    st.booleans(),
    st.none(),
    st.text(max_size=2),
)
arrays = st.builds(
    lambda shape, dtype, value: np.full(shape, value).astype(dtype),
    st.lists(st.integers(0, 3), max_size=4),
    st.sampled_from([float, np.float32, int, bool, complex, object, str, "M8[s]"]),
    st.sampled_from([0, 1]),
)
junk_items = st.one_of(
    numbers,
    arrays,
    st.lists(numbers, max_size=3),
    st.lists(st.lists(numbers, max_size=2), max_size=3),
    st.builds(pd.Series, st.lists(st.floats(), max_size=3), dtype=st.just(float)),
    st.builds(pd.DataFrame, st.lists(st.lists(st.floats(), min_size=2, max_size=2), max_size=2)),
    st.dictionaries(st.text(max_size=1), numbers, max_size=2),
)
junk = st.one_of(
    arrays,
    junk_items,
    st.lists(junk_items, max_size=4),
    st.lists(junk_items, max_size=4).map(tuple),
    st.lists(junk_items, max_size=4).map(objects),
    st.lists(junk_items, max_size=4).map(lambda items: pd.Series(items, dtype=object)),
    st.lists(junk_items, min_size=1, max_size=4).map(lambda x: pd.DataFrame({"x": objects(x)})),
)


@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@settings(max_examples=400)
@given(X=junk, fitted_on=st.sampled_from(["nothing", "table", "sequences", "univariate"]))
def test_anything_at_all_is_read_or_refused_in_words(X, fitted_on):
    reg = RNNRegressor(hidden_layer_sizes=1, max_iter=1, random_state=0)
    sized = hasattr(X, "__len__") and not (isinstance(X, np.ndarray) and X.ndim == 0)
    n = len(X) if sized else 0
    try:
        if fitted_on == "nothing":
            predicted = reg.fit(X, np.arange(n)).predict(X)
            assert hasattr(reg, "n_features_in_")
        else:
            examples = {
                "table": np.ones((2, 2)),
                "sequences": np.ones((2, 3, 2)),
                "univariate": [np.ones(3), np.ones(2)],
            }
            predicted = reg.fit(examples[fitted_on], [0.0, 1.0]).predict(X)
    except (TypeError, ValueError) as error:
        assert not NUMPYS_WORDS.search(str(error)), error
    else:
        assert predicted.shape == (n,)
        assert np.isfinite(predicted).all()


@settings(max_examples=40)
@given(items=ragged(max_n=20), cell=CELLS, seed=SEEDS, sizes=st.sampled_from([(3,), (2, 3)]))
def test_a_prediction_depends_on_its_sequence_alone(items, cell, seed, sizes):
    rng, n = np.random.default_rng(seed), len(items)
    parameters = {"hidden_layer_sizes": sizes, "max_iter": 2, "random_state": 0}
    reg = RNNRegressor(cell, **parameters).fit(items, rng.normal(size=(n, 2)))
    expected = reg.predict(items)
    order = rng.permutation(n)
    many = rng.integers(n, size=rng.integers(1, 600))
    close = {"rtol": 1e-10, "atol": 1e-10} if expected.dtype == np.float64 else {"atol": 1e-5}
    for rows in (order, order[: n // 2 + 1], many, np.arange(n), order[:1]):
        predicted = reg.predict([items[i] for i in rows])
        np.testing.assert_allclose(predicted, expected[rows], **close)
    padded = pad_sequences(items)
    np.testing.assert_array_equal(reg.predict(padded), expected)
    longer = np.pad(padded, [(0, 0), (2, 3), (0, 0)], constant_values=np.nan)
    np.testing.assert_array_equal(reg.predict(longer), expected)


@st.composite
def weighted_fits(draw):
    """An estimator, rows for it, some of them equal, and whole weights."""
    items = draw(ragged(max_n=8, max_length=5))
    rng = np.random.default_rng(draw(SEEDS))
    items = [
        items[i] for i in draw(st.lists(st.integers(0, len(items) - 1), min_size=2, max_size=9))
    ]
    n = len(items)
    weight = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    weight[:2] = np.maximum(weight[:2], 1)
    y = np.arange(n) % draw(st.integers(2, 3))
    parameters = {
        "cell": draw(CELLS),
        "hidden_layer_sizes": draw(st.sampled_from([2, (2, 2)])),
        "batch_size": draw(st.integers(1, 12)),
        "solver": draw(st.sampled_from(list(OPTIMIZERS))),
        "learning_rate": draw(st.sampled_from(list(SCHEDULES))),
        "max_iter": 3,
        "random_state": draw(st.integers(0, 5)),
    }
    if draw(st.booleans()):
        loss = draw(st.sampled_from(sorted(REGRESSION_LOSSES)))
        quantile = draw(st.sampled_from([0.5, (0.7, 0.3)]))
        reg = RNNRegressor(loss=loss, quantile=quantile, **parameters)
        return reg, items, y + rng.integers(1, 3, size=n), weight
    if draw(st.booleans()):
        class_weight = draw(st.sampled_from([None, "balanced", {1: 2.5}, [{0: 0.5}, {1: 3.0}]]))
        labels = np.column_stack([y == 1, rng.integers(2, size=n)]).astype(int)
        return RNNClassifier(class_weight=class_weight, **parameters), items, labels, weight
    class_weight = draw(st.sampled_from([None, "balanced", {0: 1.0, 1: 2.5, 2: 0.5}]))
    return RNNClassifier(class_weight=class_weight, **parameters), items, y, weight


@settings(max_examples=120)
@given(case=weighted_fits(), seed=SEEDS)
def test_weight_2_is_the_row_twice_and_0_the_row_gone(case, seed):
    estimator, items, y, weight = case
    rows = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(items)), weight))
    repeated = refit(estimator, [items[i] for i in rows], y[rows])
    assert_same_bits(refit(estimator, items, y, weight), repeated)


@settings(max_examples=120)
@given(case=weighted_fits(), seed=SEEDS)
def test_the_order_of_the_rows_changes_no_bit_of_the_fit(case, seed):
    estimator, items, y, weight = case
    p = np.random.default_rng(seed).permutation(len(items))
    shuffled = refit(estimator, [items[i] for i in p], y[p], weight[p])
    assert_same_bits(refit(estimator, items, y, weight), shuffled)


@settings(max_examples=60)
@given(case=weighted_fits(), seed=SEEDS)
def test_duplicates_do_not_change_what_is_held_out(case, seed):
    estimator, items, y, weight = case
    estimator.set_params(early_stopping=True, validation_fraction=0.4)
    rows = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(items)), weight))
    try:
        expected = refit(estimator, items, y, weight)
    except ValueError as error:
        assert "early_stopping=True needs a validation part" in str(error)
        return
    scores = estimator.validation_scores_
    assert_same_bits(refit(estimator, [items[i] for i in rows], y[rows]), expected)
    assert estimator.validation_scores_ == scores
    assert np.isfinite(scores).all()


@settings(max_examples=60)
@given(items=ragged(max_n=15, max_length=10))
def test_padding_and_boxing_lose_nothing(items):
    padded = pad_sequences(items)
    assert padded.dtype == items[0].dtype
    assert padded.shape == (len(items), max(map(len, items)), items[0].shape[1])
    for row, box, x in zip(padded, as_sequences(items), items, strict=True):
        np.testing.assert_array_equal(row[: len(x)], x)
        assert np.isnan(row[len(x) :]).all()
        np.testing.assert_array_equal(box, x)


@settings(max_examples=60)
@given(
    items=ragged(max_n=12, max_length=8), a=st.floats(1e-3, 1e3), b=st.floats(-1e3, 1e3), cell=CELLS
)
def test_predictions_follow_any_affine_change_of_a_target_that_varies(items, a, b, cell):
    items = [*items, items[0] + 1.0]
    rng = np.random.default_rng(len(items))
    y = rng.permutation(len(items)) ** 1.5
    items = [x.astype(np.float64) for x in items]
    reg = RNNRegressor(cell, hidden_layer_sizes=2, max_iter=3, random_state=0)
    predicted = reg.fit(items, y).predict(items)
    moved = reg.fit(items, a * y + b).predict(items)
    np.testing.assert_allclose(moved, a * predicted + b, rtol=1e-5, atol=1e-5 * a)
