"""The validation part of early stopping: by class, by group, by time, or passed to fit."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _factories import (
    BOTH,
    NAMES,
    assert_same_net,
    classifier,
    make_cube,
    make_sequences,
    regressor,
    step_classifier,
)
from skrnn import RNNRegressor, as_sequences
from skrnn.preprocessing import StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 40


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((T, 2)) for T in rng.integers(2, 7, N)]
    return X, np.array([x.sum() > 0 for x in X]).astype(int), np.repeat(np.arange(N // 4), 4)


SETTINGS = {
    "hidden_layer_sizes": 3,
    "max_iter": 6,
    "early_stopping": True,
    "batch_size": 32,
    "scoring": None,
}


def net(make=classifier, **parameters):
    return make(**SETTINGS | parameters)


# what is held out -----------------------------------------------------------------------------


def held_out_by(estimator, X, **given):
    """Which sequences a fit scores on and does not learn from.

    With a target of its own for each, a net without weights predicts the mean targets of what it
    learned from: zero for those held out.
    """
    Y = np.eye(len(X))
    estimator.fit(X, Y, **given)
    score = estimator.best_validation_score_
    kept = {name: weight.copy() for name, weight in estimator.weights_.items()}
    for weight in estimator.weights_.values():
        weight[:] = 0
    held_out = np.flatnonzero(estimator.predict(X[:1])[0] == 0)
    for name, weight in estimator.weights_.items():
        weight[:] = kept[name]
    assert estimator.score([X[i] for i in held_out], Y[held_out]) == pytest.approx(score)
    return held_out


def test_groups_are_held_out_whole(data):
    X, _, groups = data
    held_out = held_out_by(net(regressor, validation_fraction=0.3), X, groups=groups)
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
        assert_same_net(again, expected)


def test_equal_sequences_of_two_groups_are_not_merged(data):
    X, _, _ = data
    assert len(held_out_by(net(regressor), X + X, groups=np.arange(2 * N))) == 8


def test_the_last_part_is_held_out_where_nothing_is_shuffled(data):
    X, _, _ = data
    held_out = held_out_by(net(regressor, shuffle=False), X)
    np.testing.assert_array_equal(held_out, np.arange(N - 4, N))
    other = np.repeat([9, 1, 5, 7], N // 4)
    estimator = net(regressor, shuffle=False, validation_fraction=0.25)
    np.testing.assert_array_equal(held_out_by(estimator, X, groups=other), np.arange(N - 10, N))


@pytest.mark.parametrize("counts", [(20, 80), (30, 30, 40)], ids=str)
def test_classes_are_held_out_in_their_shares(counts):
    """The output bias starts at the log prior; a net of one answer scores the share of a class."""
    X = [np.full((2, 1), 1e-12 * i) for i in range(100)]
    y = np.repeat(NAMES[: len(counts)], counts)
    constant = {"learning_rate_init": 1e-300, "alpha": 0, "max_iter": 1, "validation_fraction": 0.2}
    b_o = net(**constant).fit(X, y).weights_["b_o"]
    learned_from = 0.8 * np.array(counts)
    logits = np.log(learned_from + 0.5)
    expected = logits - logits[0] if len(counts) > 2 else logits[1:] - logits[:1]
    np.testing.assert_allclose(b_o - b_o[0] * (len(counts) > 2), expected)
    for label, count in zip(NAMES, counts, strict=False):
        factors = {name: 1e6 if name == label else 1.0 for name in np.unique(y)}
        clf = net(**constant, class_weight=factors).fit(X, y)
        assert (clf.predict(X) == label).all()
        assert clf.validation_scores_ == [count / 100]


# X_val and y_val ------------------------------------------------------------------------------


@BOTH
def test_a_validation_set_is_scored_and_nothing_is_held_out(make, data):
    X, y, _ = data
    fast = {"learning_rate_init": 0.1, "max_iter": 15}  # that goes past its best
    estimator = net(make, **fast).fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    fast |= {"early_stopping": False, "max_iter": estimator.n_iter_}
    assert estimator.loss_curve_ == net(make, **fast).fit(X[:30], y[:30]).loss_curve_  # of all 30
    best = estimator.best_epoch_
    assert best < estimator.n_iter_
    assert_same_net(estimator, net(make, **fast | {"max_iter": best}).fit(X[:30], y[:30]))
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


# what is measured ------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("options", [{}, {"alpha": 1.0}, {"readout": "step"}], ids=str)
def test_the_validation_loss_is_that_of_training_without_penalty(make, options, data):
    """Where the training set is the validation set, a rate of nothing leaves the loss alike."""
    X, y, _ = data
    y = [(x[:, 0] > 0).astype(int) for x in X] if "readout" in options else y
    still = {"learning_rate_init": 1e-300, "max_iter": 1, "batch_size": N}
    estimator = net(make, **still, **options | {"alpha": 0}).fit(X, y, X_val=X, y_val=y)
    assert estimator.validation_loss_curve_ == pytest.approx(estimator.loss_curve_)
    estimator = net(make, **still, **options).fit(X, y, X_val=X, y_val=y)
    assert estimator.validation_loss_curve_[0] <= estimator.loss_curve_[0]


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 5.0}])
def test_the_validation_loss_weighs_classes_as_training_does(class_weight, data):
    X, y, _ = data
    still = {"learning_rate_init": 1e-300, "max_iter": 1, "batch_size": N, "alpha": 0}
    clf = net(class_weight=class_weight, **still).fit(X, y, X_val=X, y_val=y)
    assert clf.validation_loss_curve_ == pytest.approx(clf.loss_curve_)


def test_by_loss_scores_are_minus_the_loss_and_the_least_is_kept(data):
    X, y, _ = data
    clf = net(scoring="loss", learning_rate_init=0.1, max_iter=15).fit(X, y)
    assert clf.validation_scores_ == [-loss for loss in clf.validation_loss_curve_]
    assert clf.best_epoch_ == 1 + np.argmin(clf.validation_loss_curve_)
    assert clf.best_validation_score_ == -min(clf.validation_loss_curve_)


@pytest.mark.parametrize("own", [False, True])
def test_a_scorer_gets_a_fitted_copy_and_the_users_rows(own, data):
    X, y, _ = data
    names, weight, seen = NAMES[y], np.linspace(1, 2, N), []

    def scorer(estimator, X_part, y_part, sample_weight):
        seen.append((estimator, X_part, y_part, sample_weight))
        return accuracy_score(y_part, estimator.predict(X_part), sample_weight=sample_weight)

    given = {"X_val": X[:9], "y_val": names[:9], "sample_weight_val": weight[:9]} if own else {}
    clf = net(scoring=scorer, validation_fraction=0.3).fit(X, names, weight, **given)
    plain = net(validation_fraction=0.3).fit(X, names, weight, **given)
    assert clf.validation_scores_ == pytest.approx(plain.validation_scores_)
    assert len(seen) == clf.n_iter_
    for estimator, X_part, y_part, w in seen:
        rows = [next(i for i in range(N) if X[i] is x) for x in X_part]
        np.testing.assert_array_equal(y_part, names[rows])
        np.testing.assert_array_equal(w, weight[rows])
        assert estimator is not clf and estimator.classes_.tolist() == clf.classes_.tolist()
    assert len(seen[0][1]) == (9 if own else 12)


def test_repeated_sequences_are_scored_as_often_as_they_were_passed(data):
    X, y, _ = data
    sizes = []

    def scorer(estimator, X, y):
        sizes.append(len(X))
        return 0.5

    net(scoring=scorer, max_iter=1).fit(X + X, np.concatenate([y, y]))
    assert sizes == [2 * 4]


def test_a_named_scorer(data):
    X, y, _ = data
    clf = net(scoring="neg_log_loss", max_iter=9).fit(X, y, X_val=X, y_val=y)
    probability = clf.predict_proba(X)
    assert clf.best_validation_score_ == pytest.approx(-log_loss(y, probability))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_without_early_stopping_a_validation_set_is_measured_and_stops_nothing(solver, data):
    X, y, _ = data
    parameters = {"early_stopping": False, "solver": solver, "max_iter": 5}
    clf = net(**parameters).fit(X, y, X_val=X[:9], y_val=y[:9])
    assert len(clf.validation_loss_curve_) == len(clf.validation_scores_) == clf.n_iter_
    assert clf.best_epoch_ is None and not clf.early_stopping_
    plain = net(**parameters).fit(X, y)
    assert_same_net(clf, plain)
    assert plain.validation_loss_curve_ is None and plain.validation_scores_ is None


@pytest.mark.parametrize("scoring", ["loss", None])
@pytest.mark.parametrize("seed", range(8))
def test_best_epoch_score_and_weights_agree_across_warm_starts(seed, scoring, data):
    X, y, _ = data
    clf = net(warm_start=True, random_state=seed, scoring=scoring, learning_rate_init=0.05)
    clf.fit(X, y, X_val=X[:20], y_val=y[:20])
    first = clf.best_validation_score_
    clf.fit(X, y, X_val=X[:20], y_val=y[:20])
    assert clf.best_validation_score_ >= first
    assert clf.validation_scores_[clf.best_epoch_ - 1] == clf.best_validation_score_
    if scoring is None:
        assert clf.score(X[:20], y[:20]) == clf.best_validation_score_


def test_labels_of_one_sequence_stay_in_the_training_part(data):
    X, y, _ = data
    names = NAMES[y].astype(object)
    names[7] = "dog"
    with pytest.warns(UserWarning, match=r"Labels of one sequence.*\['dog'\]"):
        clf = net().fit(X, names)
    assert clf.classes_.tolist() == ["ant", "bee", "dog"]


def test_a_quantile_stays_calibrated():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 1, 1))
    y = X[:, -1, 0] + rng.standard_normal(4000)
    settings = {"loss": "quantile", "quantile": 0.1, "max_iter": 15, "random_state": 0}
    reg = RNNRegressor(early_stopping=True, hidden_layer_sizes=4, **settings)
    reg.fit(X[:2000], y[:2000])
    assert abs((y[2000:] < reg.predict(X[2000:])).mean() - 0.1) < 0.03


# early_stopping="auto" -------------------------------------------------------------------------


@BOTH
def test_auto_holds_out_where_there_are_enough_different_sequences(make, data):
    n = 1000 if make is classifier else 250
    X = np.random.default_rng(0).standard_normal((n, 2, 1))
    y = (X[:, 0, 0] > 0).astype(int)
    auto = {"early_stopping": "auto", "max_iter": 1, "warm_start": True}
    enough = net(make, **auto).fit(X, y)
    assert enough.early_stopping_ and enough.validation_scores_
    assert enough.fit(X[:50], y[:50]).early_stopping_  # as at first
    for few in (slice(n - 1), np.r_[: n - 1, 0, 0]):
        estimator = net(make, **auto).fit(X[few], y[few])
        assert not estimator.early_stopping_ and estimator.validation_scores_ is None
        assert not estimator.fit(X, y).early_stopping_


def test_auto_is_off_where_it_cannot_be(data):
    X = np.random.default_rng(0).standard_normal((1000, 2, 1))
    y = (X[:, 0, 0] > 0).astype(int)
    auto = {"early_stopping": "auto", "max_iter": 1}
    assert not net(**auto).partial_fit(X, y, classes=[0, 1]).early_stopping_
    assert not net(solver="lbfgs", **auto).fit(X, y).early_stopping_
    assert not net(**auto).fit(X, y, groups=np.zeros(1000)).early_stopping_  # one group
    assert not net(validation_fraction=1e-6, **auto).fit(X, y).early_stopping_
    assert net(**auto).fit(X[:20], y[:20], X_val=X, y_val=y).early_stopping_


# what is refused ------------------------------------------------------------------------------

BAD = {
    "X alone": ({"X_val": True}, "X_val and y_val go together"),
    "y alone": ({"y_val": True}, "X_val and y_val go together"),
    "weights alone": ({"sample_weight_val": True}, "X_val and y_val go together"),
    "with groups": ({"X_val": True, "y_val": True, "groups": True}, "leave one out"),
    "unknown label": ({"X_val": True, "y_val": [7] * N}, "X_val, y_val.*labels that are not"),
    "other lengths": ({"X_val": True, "y_val": [1, 0]}, "X_val.*has 40 sequences, but y has 2"),
    "too many groups": ({"groups": [1, 2]}, r"groups has shape \(2,\), expected \(40,\)"),
    "one group": ({"groups": [1] * N}, "cannot be split by validation_fraction=0.1"),
    "groups of nothing": (
        {"groups": True, "early_stopping": False},
        "groups.*early_stopping=False",
    ),
    "no scorer": ({"scoring": "wrong"}, "scoring"),
    "scorer of nothing": ({"scoring": lambda estimator, X, y: np.nan}, "is nan on the validation"),
}


@pytest.mark.parametrize(("given", "words"), BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_refused(given, words, data):
    X, y, groups = data
    true = {"X_val": X, "y_val": y, "groups": groups, "sample_weight_val": np.ones(N)}
    given = {name: true[name] if value is True else value for name, value in given.items()}
    parameters = {name: given.pop(name) for name in SETTINGS if name in given}
    with pytest.raises(ValueError, match=words):
        net(**parameters).fit(X, y, **given)


def test_early_stopping_needs_enough_sequences_and_all_at_once(data):
    X, _, _ = data
    with pytest.raises(ValueError, match=r"early_stopping.*6 different sequences.*0\.1"):
        net().fit(X[:6], [0, 1] * 3)
    with pytest.raises(ValueError, match="early_stopping"):
        net().partial_fit(X[:6], [0, 1] * 3)


@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", lambda net, X, y: 1 / None])
def test_a_scorer_that_fails_is_named(scoring):
    X = make_cube(10, 3)
    reg = regressor(early_stopping=True, validation_fraction=0.4, scoring=scoring)
    with pytest.raises(ValueError, match=r"scoring=.* failed on the validation part: "):
        reg.fit(X, X[:, 0, 0])


def test_a_named_scorer_of_targets_per_step_points_to_step_scorer():
    X = make_sequences([3, 2, 4, 2, 5] * 2)
    clf = step_classifier(early_stopping=True, validation_fraction=0.4, scoring="accuracy")
    with pytest.raises(ValueError, match=r"scoring='accuracy' failed.*skrnn\.metrics\.step_scorer"):
        clf.fit(X, [np.arange(len(x)) % 2 for x in X])
