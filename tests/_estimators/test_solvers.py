"""Every solver and schedule, through both estimators."""

import pickle
import warnings
from itertools import product

import numpy as np
import pytest
import scipy.optimize
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import _factories
from _factories import assert_close_nets, assert_same_net
from skrnn._training.optimizers import OPTIMIZERS
from skrnn._training.schedules import SCHEDULES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS = [*OPTIMIZERS, "lbfgs"]
STEPPED = list(product(OPTIMIZERS, SCHEDULES))
RATES = {"adam": 0.02, "adamw": 0.02, "rmsprop": 0.005, "sgd": 0.1, "lbfgs": 1.0}
RNG = np.random.default_rng(0)
LEVELS = RNG.integers(2, size=50)
X = [RNG.standard_normal((RNG.integers(1, 9), 2)) + 2 * k for k in LEVELS.tolist()]
Y = np.array([x.sum() / 10 for x in X])


def settings(solver):
    rate = RATES[solver]
    return {"solver": solver, "learning_rate_init": rate, "max_iter": 6, "batch_size": 16}


def classifier(solver, **params):
    return _factories.classifier(**settings(solver) | params)


def regressor(solver, **params):
    return _factories.regressor(**settings(solver) | params)


TARGETS = {classifier: LEVELS, regressor: Y}
BOTH = pytest.mark.parametrize("make", TARGETS)


# every solver ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "schedule"), product(SOLVERS, SCHEDULES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_learns_in_the_dtype_of_the_data_and_pickles(solver, schedule, dtype):
    items = [x.astype(dtype) for x in X]
    clf = classifier(solver, learning_rate=schedule, max_iter=25).fit(items, LEVELS)
    assert clf.score(items, LEVELS) > 0.9
    assert {weight.dtype for weight in clf.weights_.values()} == {np.dtype(dtype)}
    assert clf.n_iter_ == len(clf.loss_curve_) == len(clf.grad_norm_curve_)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(items), clf.predict_proba(items))


@pytest.mark.parametrize(("solver", "schedule"), STEPPED)
def test_partial_fit_an_epoch_at_a_time_gives_the_bits_of_fit(solver, schedule):
    whole = regressor(solver, learning_rate=schedule).fit(X, Y)
    steps = clone(whole)
    for _ in range(6):
        steps = pickle.loads(pickle.dumps(steps.partial_fit(X, Y)))
    assert_same_net(steps, whole)
    assert steps.loss_curve_ == whole.loss_curve_


@BOTH
@pytest.mark.parametrize(("solver", "schedule"), [pair for pair in STEPPED if pair[1] != "cosine"])
def test_two_warm_started_halves_give_the_bits_of_one_fit(solver, schedule, make):
    y = TARGETS[make]
    whole = make(solver, learning_rate=schedule).fit(X, y)
    half = make(solver, learning_rate=schedule, max_iter=3, warm_start=True).fit(X, y)
    half = pickle.loads(pickle.dumps(half)).fit(X, y)
    assert_same_net(half, whole)
    assert half.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_a_warm_started_cosine_restarts(solver):
    """Fitting twice over max_iter epochs is fitting in one go with the rates repeated."""
    twice = regressor(solver, learning_rate="cosine", max_iter=3, warm_start=True)
    twice.fit(X, Y).fit(X, Y)
    rates = [RATES[solver] * (1 + np.cos(np.pi * t / 3)) / 2 for t in (0, 1, 2, 0, 1, 2)]
    by_hand = regressor(solver)
    for rate in rates:
        by_hand.set_params(learning_rate_init=float(rate)).partial_fit(X, Y)
    assert_close_nets(twice, by_hand, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("schedule", ["invscaling", "cosine"])
def test_rates_that_fall_move_the_weights_less(schedule):
    def path(schedule):
        first = regressor("sgd", learning_rate=schedule, max_iter=20, tol=0)
        first.partial_fit(X, Y)
        start = first.weights_["W_hh_0"].copy()
        for _ in range(19):
            first.partial_fit(X, Y)
        return np.linalg.norm(first.weights_["W_hh_0"] - start)

    assert path(schedule) < 0.9 * path("constant")


def test_adaptive_continues_where_a_constant_rate_stops():
    params = {"tol": 1.0, "n_iter_no_change": 2, "max_iter": 100}
    constant = regressor("sgd", **params).fit(X, Y)
    adaptive = regressor("sgd", learning_rate="adaptive", **params).fit(X, Y)
    assert constant.n_iter_ == 3
    assert adaptive.n_iter_ == 3 + 2 * 8  # 0.1 / 5^8 is the first rate below 1e-6
    assert adaptive.loss_curve_[:3] == constant.loss_curve_


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@BOTH
def test_weight_2_is_the_row_twice_to_the_bit(make, solver, dtype):
    items, y = [x.astype(dtype) for x in X], TARGETS[make]
    counts = np.random.default_rng(1).integers(4, size=len(X))
    rows = np.repeat(np.arange(len(X)), counts)[::-1]
    weighted = make(solver).fit(items, y, sample_weight=counts)
    assert_same_net(weighted, make(solver).fit([items[i] for i in rows], y[rows]))


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_alpha_shrinks_weights_but_not_biases(solver):
    """One update: through the gradient and the loss, or with adamw beside both."""
    alpha, one = 0.5, {"batch_size": 50, "max_iter": 1, "max_grad_norm": None}
    start = regressor(solver, learning_rate_init=1e-300, alpha=0.0, **one).fit(X, Y)
    free, shrunk = (regressor(solver, alpha=a, **one).fit(X, Y) for a in (0.0, alpha))
    penalty = alpha / 2 * sum((w**2).sum() for k, w in start.weights_.items() if k[0] == "W")
    assert penalty > 1
    assert shrunk.loss_ - free.loss_ == pytest.approx(0 if solver == "adamw" else penalty)
    for name, weight in shrunk.weights_.items():
        moved = weight - free.weights_[name]
        if name[0] == "b":
            np.testing.assert_array_equal(moved, 0)
        elif solver == "adamw":
            decay = RATES[solver] * alpha * start.weights_[name]
            np.testing.assert_allclose(moved, -decay, rtol=1e-9, atol=1e-15)
        else:
            assert (moved * start.weights_[name]).sum() < 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fitted_estimator_holds_no_working_memory(solver):
    clf = classifier(solver, hidden_layer_sizes=60).fit(X, LEVELS)
    held = {"adam": 2, "adamw": 2, "rmsprop": 1, "sgd": 1, "lbfgs": 0}[solver]
    n_bytes = sum(weight.nbytes for weight in clf.weights_.values())
    assert len(pickle.dumps(clf)) < (1 + held) * n_bytes + 10_000


@pytest.mark.parametrize(("solver", "schedule"), STEPPED)
def test_settings_from_a_grid_of_numpys_numbers_give_the_same_bits(solver, schedule):
    items = [x.astype(np.float32) for x in X]
    plain = regressor(solver, learning_rate=schedule).fit(items, Y)
    boxed = {
        name: np.float64(value)
        for name, value in plain.get_params().items()
        if isinstance(value, float)
    }
    assert_same_net(clone(plain).set_params(**boxed).fit(items, Y), plain)


def test_the_solver_may_change_between_warm_starts():
    reg = regressor("adam", warm_start=True)
    for solver, schedule in [("adam", "constant"), ("lbfgs", "constant"), ("sgd", "cosine")]:
        reg.set_params(solver=solver, learning_rate=schedule, learning_rate_init=0.01).fit(X, Y)
    assert reg.n_iter_ == 18 and np.isfinite(reg.loss_curve_).all()
    assert reg.loss_curve_[11] < reg.loss_curve_[5]


@BOTH
@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_prints_a_line_per_epoch(solver, make, capsys):
    make(solver, verbose=True, max_iter=3).fit(X, TARGETS[make])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2", "Epoch 3"]


# L-BFGS ---------------------------------------------------------------------------------------


def test_lbfgs_halves_the_loss_that_adam_has_after_as_many_steps():
    adam = regressor("adam", max_iter=5).fit(X, Y)  # of 4 batches each
    lbfgs = regressor("lbfgs", max_iter=20).fit(X, Y)
    assert lbfgs.loss_ < 0.5 * adam.loss_
    assert all(np.diff(lbfgs.loss_curve_) < 0) and lbfgs.best_loss_ == lbfgs.loss_


@pytest.mark.filterwarnings("error")
def test_lbfgs_minimum_is_that_of_the_loss_written_out():
    """An Elman net in four lines, minimised by another method without its gradient."""
    alpha = 0.1
    reg = regressor(
        "lbfgs", cell="rnn_tanh", hidden_layer_sizes=2, alpha=alpha, max_iter=2000, tol=1e-7
    )
    weights = {name: w.copy() for name, w in reg.fit(X, Y).weights_.items()}
    y, cuts = (Y - Y.mean()) / Y.std(), np.cumsum([w.size for w in weights.values()])[:-1]

    def loss(theta):
        parts = zip(weights.values(), np.split(theta, cuts), strict=True)
        W_xh, W_hh, b_h, W_ho, b_o = (part.reshape(w.shape) for w, part in parts)
        outputs = []
        for x in X:
            h = np.zeros(2)
            for x_t in (x - reg.feature_mean_) / reg.feature_scale_:
                h = np.tanh(W_xh @ x_t + W_hh @ h + b_h)
            outputs.append(W_ho @ h + b_o)
        squares = sum((W**2).sum() for W in (W_xh, W_hh, W_ho))
        return 0.5 * np.mean((np.ravel(outputs) - y) ** 2) + alpha / 2 * squares

    found = np.concatenate([w.ravel() for w in weights.values()])
    near = found + 0.01 * np.random.default_rng(0).standard_normal(found.size)
    assert list(weights) == ["W_xh_0", "W_hh_0", "b_h_0", "W_ho", "b_o"]
    assert loss(found) == pytest.approx(reg.loss_, rel=1e-12)
    best = scipy.optimize.minimize(loss, near, method="BFGS", options={"gtol": 1e-6}).fun
    assert reg.loss_ == pytest.approx(best, rel=1e-6) and loss(near) > 1.001 * best


@BOTH
def test_lbfgs_in_pieces_of_the_sequences_changes_only_rounding(make):
    """Of 650 sequences, more than it evaluates at once: the loss is a mean, so that of the 50."""
    y = Y if make is regressor else np.resize([0, 1], 50)
    whole = make("lbfgs", shuffle=False).fit(X, y)
    pieces = make("lbfgs", shuffle=False).fit(X * 13, np.tile(y, 13))
    assert_close_nets(pieces, whole, rtol=1e-7, atol=1e-9)


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_warns_at_max_iter_and_only_then():
    with pytest.warns(ConvergenceWarning, match="max_iter=6") as caught:
        reg = regressor("lbfgs").fit(X, Y)
    assert caught[0].filename == __file__ and reg.n_iter_ == 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reg.set_params(max_iter=1000, tol=0.01, warm_start=True).fit(X, Y)
        n_iter, weights = reg.n_iter_, reg.weights_["W_hh_0"].copy()
        assert 6 < n_iter < 1006
        reg.fit(X, Y)
    np.testing.assert_array_equal(reg.weights_["W_hh_0"], weights)
    assert reg.n_iter_ == n_iter + 1  # that there is nothing left to do


def test_lbfgs_keeps_what_it_had_where_the_loss_is_not_finite():
    reg = regressor("lbfgs", cell="rnn_relu", standardize=False)
    with pytest.raises(ValueError, match=r"not finite in epoch 1.*lbfgs ignores.*scale"):
        reg.fit([1e200 * x for x in X], Y)
    assert not hasattr(reg, "n_iter_")


NOT_WITH_LBFGS = {
    "early_stopping": True,
    "bptt_steps": 3,
    "dropout": 0.5,
    "initial_state": "normal",
}


@pytest.mark.parametrize("name", NOT_WITH_LBFGS)
@BOTH
def test_what_lbfgs_cannot_do_is_refused_at_fit(make, name):
    estimator = make("lbfgs", **{name: NOT_WITH_LBFGS[name]})
    with pytest.raises(ValueError, match=rf'{name}=.*solver="lbfgs".*leave {name} at'):
        estimator.fit(X, LEVELS)
    assert not hasattr(estimator, "n_features_in_")


@BOTH
@pytest.mark.parametrize("error", [ValueError, AttributeError])
def test_lbfgs_has_no_partial_fit(make, error):
    estimator = make("lbfgs")
    with pytest.raises(error, match=r'partial_fit.*solver="lbfgs"'):
        estimator.partial_fit(X, LEVELS)
    assert not hasattr(estimator, "partial_fit") and hasattr(type(estimator), "partial_fit")
    assert hasattr(estimator.set_params(solver="adam"), "partial_fit")
