"""The part that is held out to stop by: by class, by group, by time, or the user's own."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNClassifier, RNNRegressor, as_sequences
from skrnn.preprocessing import StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 40


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((T, 2)) for T in rng.integers(2, 7, N)]
    return X, np.array([x.sum() > 0 for x in X]).astype(int), np.repeat(np.arange(N // 4), 4)


def net(kind=RNNClassifier, **parameters):
    settings = {"hidden_layer_sizes": 3, "max_iter": 6, "random_state": 0, "early_stopping": True}
    return kind(**settings | parameters)


def held_out_by(estimator, X, y, **given):
    """Which sequences a fit scored on: those whose target matters to its validation scores."""
    seen = []
    score_raw = type(estimator)._score_raw

    class Spy(type(estimator)):
        def _score_raw(self, targets, raw, weight):
            seen.append(targets.ravel())
            return score_raw(self, targets, raw, weight)

    spy = Spy(**estimator.get_params()).fit(X, np.arange(len(X), dtype=float), **given)
    return np.sort(seen[0]).astype(int), spy


def test_groups_are_held_out_whole(data):
    X, y, groups = data
    held_out, _ = held_out_by(net(RNNRegressor, validation_fraction=0.3), X, y, groups=groups)
    assert len(held_out) == 12  # 3 of 10 groups, of 4 each
    assert set(groups[held_out]).isdisjoint(np.delete(groups, held_out))


def test_the_names_of_groups_and_the_order_of_rows_do_not_matter(data):
    X, y, groups = data
    names = np.array([f"g{group:02d}" for group in groups])
    p = np.random.default_rng(1).permutation(N)
    expected = net().fit(X, y, groups=groups)
    for again in (
        net().fit(X, y, groups=names),
        net().fit([X[i] for i in p], y[p], groups=groups[p]),
    ):
        assert again.validation_scores_ == expected.validation_scores_
        for name, weight in again.weights_.items():
            np.testing.assert_array_equal(weight, expected.weights_[name])


def test_equal_sequences_of_two_groups_are_not_merged(data):
    X, y, _ = data
    groups = np.arange(2 * N)
    twice = held_out_by(net(RNNRegressor), X + X, y, groups=groups)[0]
    assert len(twice) == 8


def test_the_last_part_is_held_out_where_nothing_is_shuffled(data):
    X, y, _ = data
    held_out, _ = held_out_by(net(RNNRegressor, shuffle=False), X, y)
    np.testing.assert_array_equal(held_out, np.arange(N - 4, N))
    other = np.repeat([9, 1, 5, 7], N // 4)
    regressor = net(RNNRegressor, shuffle=False, validation_fraction=0.25)
    held_out, _ = held_out_by(regressor, X, y, groups=other)
    np.testing.assert_array_equal(held_out, np.arange(N - 10, N))


def test_classes_are_held_out_in_their_shares():
    X = [np.full((2, 1), float(i)) for i in range(100)]
    y = np.array(["rare"] * 20 + ["often"] * 80)
    seen = []

    class Spy(RNNClassifier):
        def _score_raw(self, targets, raw, weight):
            seen.append(targets[:, 0])
            return super()._score_raw(targets, raw, weight)

    Spy(max_iter=1, early_stopping=True, random_state=0).fit(X, y)
    assert np.bincount(seen[0].astype(int)).tolist() == [8, 2]


@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
def test_the_users_own_validation_set_is_scored_and_nothing_is_held_out(kind, data):
    X, y, _ = data
    fast = {"learning_rate_init": 0.1, "max_iter": 15}  # that goes past its best
    estimator = net(kind, **fast).fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    fast |= {"early_stopping": False, "max_iter": estimator.n_iter_}
    assert estimator.loss_curve_ == net(kind, **fast).fit(X[:30], y[:30]).loss_curve_  # of all 30
    best = estimator.best_epoch_
    assert best < estimator.n_iter_
    again = net(kind, **fast | {"max_iter": best}).fit(X[:30], y[:30])
    for name, weight in estimator.weights_.items():
        np.testing.assert_array_equal(weight, again.weights_[name])
    assert estimator.score(X[30:], y[30:]) == pytest.approx(estimator.best_validation_score_)
    assert estimator.validation_scores_[best - 1] == estimator.best_validation_score_


def test_weights_of_the_validation_set_count(data):
    X, y, _ = data
    weight = np.zeros(10)
    weight[:5] = 2
    a = net().fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:], sample_weight_val=weight)
    b = net().fit(X[:30], y[:30], X_val=X[30:35], y_val=y[30:35])
    assert a.validation_scores_ == b.validation_scores_


def test_a_validation_set_of_steps(data):
    X, _, _ = data
    Y = [(x[:, 0] > 0).astype(int) for x in X]
    clf = net(readout="step").fit(X[:30], Y[:30], X_val=X[30:], y_val=Y[30:])
    assert clf.score(X[30:], Y[30:]) == pytest.approx(clf.best_validation_score_)


def test_the_validation_set_goes_through_a_pipeline(data):
    X, y, _ = data
    X = [x * 100 for x in X]
    with config_context(enable_metadata_routing=True):
        clf = net().set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StepTransformer(StandardScaler()), clf, transform_input=["X_val"])
        pipeline.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
        score = pipeline.score(X[30:], y[30:])
    assert score == pytest.approx(pipeline[-1].best_validation_score_)


def test_groups_are_routed_through_a_search(data):
    X, y, groups = data
    with config_context(enable_metadata_routing=True):
        clf = net(validation_fraction=0.3).set_fit_request(groups=True)
        search = GridSearchCV(clf, {"cell": ["rnn_tanh", "gru"]}, cv=GroupKFold(2))
        search.fit(as_sequences(X), y, groups=groups)
    alone = net(validation_fraction=0.3, **search.best_params_).fit(X, y, groups=groups)
    assert search.best_estimator_.validation_scores_ == alone.validation_scores_


BAD = {
    "X alone": ({"X_val": True}, "X_val and y_val go together"),
    "y alone": ({"y_val": True}, "X_val and y_val go together"),
    "weights alone": ({"sample_weight_val": True}, "X_val and y_val go together"),
    "with groups": ({"X_val": True, "y_val": True, "groups": True}, "leave one out"),
    "unknown label": ({"X_val": True, "y_val": [7] * N}, "X_val, y_val.*labels that are not"),
    "other lengths": ({"X_val": True, "y_val": [1, 0]}, "X_val.*has 40 sequences, but y has 2"),
    "too many groups": ({"groups": [1, 2]}, r"groups has shape \(2,\), expected \(40,\)"),
    "one group": ({"groups": [1] * N}, "cannot be split by validation_fraction=0.1"),
}


@pytest.mark.parametrize(("given", "words"), BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_refused(given, words, data):
    X, y, groups = data
    true = {"X_val": X, "y_val": y, "groups": groups, "sample_weight_val": np.ones(N)}
    given = {name: true[name] if value is True else value for name, value in given.items()}
    with pytest.raises(ValueError, match=words):
        net().fit(X, y, **given)


def test_a_validation_set_without_early_stopping_is_refused(data):
    X, y, _ = data
    with pytest.raises(ValueError, match="early_stopping=False: set early_stopping=True"):
        net(early_stopping=False).fit(X, y, X_val=X, y_val=y)
