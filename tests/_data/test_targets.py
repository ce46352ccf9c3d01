"""Targets and weights per sequence: containers that do not matter, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn import config_context

from _factories import (
    BOTH,
    LENGTHS,
    assert_same_net,
    classifier,
    make_sequences,
    regressor,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 7
CLASSES = np.array(["b", "a", "c", "a", "b", "c", "a"])
TARGETS = np.random.default_rng(0).normal(size=N)
RAGGED = make_sequences(LENGTHS[:N])


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
    clf = classifier().fit(RAGGED, y)
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
    nets = [classifier().fit(RAGGED, y) for y in (CLASSES, CODES, CODES - 1.0)]
    for net in nets[1:]:
        assert_same_net(net, nets[0])


MULTILABEL = (np.random.default_rng(0).random((N, 3)) > 0.5).astype(int)
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
    expected = classifier().fit(RAGGED, MULTILABEL)
    fitted = classifier().fit(RAGGED, build(MULTILABEL))
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
    expected = regressor().fit(RAGGED, y)
    fitted = regressor().fit(RAGGED, build(y))
    assert_same_net(fitted, expected)
    assert fitted.n_outputs_ == 3
    assert fitted.predict(RAGGED).shape == (N, 3)


@pytest.mark.parametrize(
    "y",
    [TARGETS.tolist(), pd.Series(TARGETS), pl.Series(TARGETS), pd.Series(TARGETS, dtype="Float64")],
    ids=["list", "pandas", "polars", "pandas nullable"],
)
def test_a_regression_target_is_the_same_in_every_container(y):
    assert_same_net(regressor().fit(RAGGED, y), regressor().fit(RAGGED, TARGETS))


# weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [list, np.asarray, pd.Series, pl.Series, tuple])
def test_sample_weight_is_the_same_in_every_container(build):
    weight = np.arange(1.0, N + 1)
    assert_same_net(
        regressor().fit(RAGGED, TARGETS, build(weight)),
        regressor().fit(RAGGED, TARGETS, weight),
    )


def test_weights_count_where_every_batch_is_one_row():
    y = np.array([0.0, 1.0, 0.0, 1.0])
    weight = np.array([3.0, 3.0, 1.0, 1.0])  # weighted mean and scale of y stay what they were
    parameters = {"batch_size": 1, "shuffle": False}
    a = regressor(**parameters).fit(RAGGED[:4], y)
    b = regressor(**parameters).fit(RAGGED[:4], y, weight)
    assert np.abs(a.weights_["W_xh_0"] - b.weights_["W_xh_0"]).max() > 1e-6


@BOTH
@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e300])
def test_only_the_ratios_of_the_weights_count(make, scale):
    y = TARGETS if make is regressor else CLASSES
    expected, fitted = (make().fit(RAGGED, y, np.full(N, weight)) for weight in (1.0, scale))
    np.testing.assert_allclose(fitted.loss_, expected.loss_)


MANY = np.random.default_rng(1).normal(size=(N, 3))
INDICATORS = (MANY > 0).astype(int)


@pytest.mark.parametrize(("make", "y"), [(regressor, MANY), (classifier, INDICATORS)])
def test_weights_of_sequences_are_those_of_all_their_outputs(make, y):
    weight = np.arange(N)
    wide = np.repeat(weight[:, None], 3, axis=1)
    expected = make().fit(RAGGED, y, weight)
    assert_same_net(make().fit(RAGGED, y, wide), expected)
    assert make().fit(RAGGED, y).score(RAGGED, y, wide) == make().fit(RAGGED, y).score(
        RAGGED, y, weight
    )


@pytest.mark.parametrize(("make", "y"), [(regressor, MANY), (classifier, INDICATORS)])
@pytest.mark.parametrize("build", [np.asarray, pd.DataFrame, pl.DataFrame, np.ndarray.tolist])
def test_weights_of_outputs_are_repetitions_to_the_bit(build, make, y):
    """An output of weight 2 is an output that comes twice; of weight 0, one that is not known."""
    weight = np.random.default_rng(2).integers(0, 3, size=y.shape)
    weight[:, 0] = 1
    weighted = make().fit(RAGGED, y, build(weight))
    twice = [x for x in RAGGED for _ in range(2)]
    doubled = make().fit(twice, np.repeat(y, 2, axis=0), np.repeat(weight, 2, axis=0))
    assert_same_net(doubled, make().fit(RAGGED, y, 2 * weight))
    assert_same_net(doubled, weighted)
    other = np.where(weight == 0, 1 - y, y)
    assert_same_net(make().fit(RAGGED, other, weight), weighted)
    some = np.where(weight[:, :1] > 0, weight, 0)
    some[3] = 0
    kept = np.delete(np.arange(N), 3)
    without = make().fit([RAGGED[i] for i in kept], y[kept], weight[kept])
    assert_same_net(make().fit(RAGGED, y, some), without)


def test_weights_of_outputs_weigh_outputs():
    y, weight = MANY[:, :2], np.ones((N, 2))
    weight[:, 1] = 1e-9
    alone, both = regressor(max_iter=30), regressor(max_iter=30)
    a, b = alone.fit(RAGGED, y[:, 0]).predict(RAGGED), both.fit(RAGGED, y, weight).predict(RAGGED)
    mean = y.mean(axis=0)
    assert np.abs(b[:, 1] - mean[1]).max() < np.abs(b[:, 0] - mean[0]).max()
    assert np.abs(a - y[:, 0]).mean() < np.abs(y[:, 0] - mean[0]).mean()


def test_masked_weights_are_0():
    mask = np.arange(N) == 2
    masked = np.ma.array(np.arange(1.0, N + 1), mask=mask)
    expected = regressor().fit(RAGGED, TARGETS, np.where(mask, 0, np.arange(1.0, N + 1)))
    assert_same_net(regressor().fit(RAGGED, TARGETS, masked), expected)


# tensors --------------------------------------------------------------------------------------


def test_tensors_under_array_api_dispatch_are_arrays():
    torch = pytest.importorskip("torch")
    codes = torch.asarray(CODES)
    with config_context(array_api_dispatch=True):
        for make, y in ((regressor, torch.asarray(TARGETS)), (classifier, codes)):
            expected = make().fit(RAGGED, np.asarray(y), np.ones(N))
            fitted = make().fit(RAGGED, y, torch.ones(N))
            assert_same_net(fitted, expected)
            assert type(fitted.predict(RAGGED)) is np.ndarray
            assert fitted.score(RAGGED, y) == expected.score(RAGGED, np.asarray(y))
            table = torch.asarray(np.stack([x[:1, 0] for x in RAGGED]))
            assert type(make().fit(table, y).predict(table)) is np.ndarray
