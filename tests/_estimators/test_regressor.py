"""The regressor: what each loss predicts, and which changes of the target it follows."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import huber
from scipy.stats import norm
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV

from _factories import assert_same_net, make_cube, regressor, state
from skrnn._nn.losses import REGRESSION_LOSSES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUANTILES = (0.5, 0.9, 0.1)
ALL = [{"loss": name} for name in REGRESSION_LOSSES] + [{"loss": "quantile", "quantile": QUANTILES}]
EVERY_LOSS = pytest.mark.parametrize(
    "loss", ALL, ids=lambda loss: "-".join(map(str, loss.values()))
)


def unfitted(**parameters):
    return regressor(**{"max_iter": 6, "batch_size": 16} | parameters)


def fitted(X, y, sample_weight=None, **parameters):
    return unfitted(**parameters).fit(X, y, sample_weight)


def make_counts(n=60, seed=0, dtype=np.float64):
    """Ragged sequences, and counts whose mean grows with the sum of the first feature."""
    rng = np.random.default_rng(seed)
    X = [rng.standard_normal((rng.integers(1, 6), 2)).astype(dtype) for _ in range(n)]
    return X, rng.poisson([np.exp(1 + 0.5 * x[:, 0].sum()) for x in X]).astype(float)


# what each loss predicts ----------------------------------------------------------------------


@EVERY_LOSS
def test_predictions_for_equal_sequences_are_the_best_constant(loss):
    y = np.random.default_rng(0).gamma(0.5, size=201)
    X = np.ones((len(y), 2, 1))
    reg = fitted(X, y, **loss, max_iter=400, batch_size=len(y), alpha=0, n_iter_no_change=400)
    best = {
        "squared_error": y.mean(),
        "poisson": y.mean(),
        "absolute_error": np.median(y),
        "huber": minimize_scalar(lambda o: huber(1.35, (y - o) / y.std()).sum()).x,
        "quantile": np.quantile(y, loss.get("quantile", 0.5)),
    }[loss["loss"]]
    np.testing.assert_allclose(reg.predict(X[:1])[0], best, atol=0.03 * y.std())


@EVERY_LOSS
def test_outputs_start_at_the_best_constant_of_the_weighted_targets(loss):
    X, y = make_counts()
    weight = np.random.default_rng(1).integers(4, size=len(y))
    reg = fitted(X, y, weight, **loss, max_iter=1, learning_rate_init=1e-12)
    b_o, repeated = reg.weights_["b_o"], np.repeat(y, weight)
    q = {"absolute_error": 0.5, "quantile": loss.get("quantile", 0.5)}.get(loss["loss"])
    expected = 0.0
    if q is not None:
        start = np.quantile(repeated, q, method="inverted_cdf")
        expected = (start - repeated.mean()) / repeated.std()
    np.testing.assert_allclose(b_o, np.broadcast_to(expected, b_o.shape), atol=1e-9)


def test_poisson_finds_the_rates():
    X, y = make_counts(n=600)
    reg = fitted(X[:400], y[:400], loss="poisson", max_iter=60)
    rates = np.exp([1 + 0.5 * x[:, 0].sum() for x in X[400:]])
    assert r2_score(np.log(rates), np.log(reg.predict(X[400:]))) > 0.9


def test_poisson_of_two_outputs_is_that_of_each():
    """Two equal outputs share one net, but for the weights of the readout."""
    X, y = make_counts()
    Y = np.column_stack([y, 1e3 * y])
    p = fitted(X, Y, loss="poisson", max_iter=300, batch_size=60, n_iter_no_change=300).predict(X)
    assert p.shape == Y.shape and (p > 0).all()
    assert r2_score(p[:, 0], p[:, 1] / 1e3) > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_of_a_log_link_end_at_the_largest_number(dtype):
    X, y = make_counts(dtype=dtype)
    reg = fitted(X, y, loss="poisson")
    reg.weights_["b_o"][:] = 1e4
    np.testing.assert_array_equal(reg.predict(X), np.finfo(dtype).max)


# changes of the target ------------------------------------------------------------------------


def assert_follows(loss, y, a, b):
    X, _ = make_counts()
    b = 0.0 if loss["loss"] == "poisson" else b  # a log link has no shift
    p, q = fitted(X, y, **loss).predict(X), fitted(X, a * y + b, **loss).predict(X)
    np.testing.assert_allclose((q - b) / a, p, rtol=1e-6, atol=1e-6)


CHANGES = [(2.0, 0.0), (1e-6, 3.0), (1e9, -1e10), (3.7, 0.1)]


@pytest.mark.parametrize(("a", "b"), CHANGES)
@EVERY_LOSS
def test_predictions_follow_affine_changes_of_the_target(loss, a, b):
    assert_follows(loss, make_counts()[1], a, b)


@pytest.mark.parametrize(
    ("a", "b"), [*CHANGES, (np.array([1e-6, 1e9]), np.array([3.0, -1e10]))], ids=str
)
@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
def test_predictions_of_two_outputs_follow_changes_of_each(loss, a, b):
    _, y = make_counts()
    assert_follows({"loss": loss}, np.column_stack([y, np.sqrt(y)]), a, b)


def test_the_scale_of_a_constant_output_is_1():
    X, y = make_counts()
    Y, a, b = np.column_stack([y, y**2, np.ones(len(X))]), [1e-6, 1e6, 3.0], [5.0, 0.0, -1.0]
    p, q = fitted(X, Y).predict(X), fitted(X, Y * a + b).predict(X)
    np.testing.assert_allclose((q - b)[:, :2] / a[:2], p[:, :2], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(q[:, 2] - 2, p[:, 2] - 1, rtol=1e-6, atol=1e-8)


# quantiles ------------------------------------------------------------------------------------


def make_spread(n, seed):
    """A target whose spread, not its centre, is what the sequences tell of."""
    rng = np.random.default_rng(seed)
    levels = rng.uniform(-1, 1, size=n)
    X = [np.full((rng.integers(2, 6), 1), level) for level in levels]
    return X, np.exp(levels), rng.standard_normal(n) * np.exp(levels)


def test_quantiles_cover_their_share_and_follow_the_spread():
    X, _, y = make_spread(2000, seed=0)
    reg = fitted(X, y, loss="quantile", quantile=QUANTILES, max_iter=30, batch_size=64)
    X, spread, y = make_spread(2000, seed=1)
    p = reg.predict(X)
    np.testing.assert_allclose((y[:, None] <= p).mean(axis=0), QUANTILES, atol=0.03)
    assert r2_score(norm.ppf(0.9) * spread, p[:, 1]) > 0.95
    assert r2_score(norm.ppf(0.1) * spread, p[:, 2]) > 0.95


@pytest.mark.parametrize("max_iter", [1, 5])
def test_quantiles_never_cross_and_come_in_the_order_asked_for(max_iter):
    X, y = make_counts()
    q = np.array([0.5, 0.52, 0.1, 0.48, 0.9, 0.5])
    reg = fitted(X, y, loss="quantile", quantile=q, max_iter=max_iter)
    p = reg.predict(X)
    assert p.shape == (len(X), len(q)) and reg.n_outputs_ == len(q)
    order = np.argsort(q, kind="stable")
    assert (np.diff(p[:, order]) >= 0).all()
    last, w = np.array([h[-1] for h in reg.hidden_states(X)]), reg.weights_
    outputs_of_net = last @ w["W_ho"].T + w["b_o"]  # which do cross
    assert (np.diff(outputs_of_net[:, order]) < 0).any()
    ascending = fitted(X, y, loss="quantile", quantile=sorted(q), max_iter=max_iter)
    assert ascending.predict(X).shape == p.shape
    assert (np.diff(ascending.predict(X)) >= 0).all()


def test_one_quantile_is_a_number_or_a_sequence_of_one():
    X, y = make_counts()
    expected = fitted(X, y, loss="quantile", quantile=0.3).predict(X)
    assert expected.shape == (len(X),)
    for quantile in ((0.3,), [0.3], np.array([0.3]), np.float64(0.3)):
        p = fitted(X, y, loss="quantile", quantile=quantile).predict(X)
        np.testing.assert_array_equal(p, expected)
    both = fitted(X, np.column_stack([y, y**2]), loss="quantile", quantile=0.3)
    assert both.predict(X).shape == (len(X), 2) and both.n_outputs_ == 2


@pytest.mark.parametrize("quantile", [(0.9, 0.1, 0.5), (0.8, 0.2), (0.2, 0.4, 0.6, 0.8), (0.3,)])
def test_several_quantiles_are_scored_by_the_middle_one(quantile):
    X, y = make_counts()
    weight = np.random.default_rng(1).random(len(y))
    reg = fitted(X, y, loss="quantile", quantile=quantile)
    middle = sorted(quantile)[(len(quantile) - 1) // 2]
    column = reg.predict(X).reshape(len(X), -1)[:, quantile.index(middle)]
    assert reg.score(X, y) == r2_score(y, column)
    assert reg.score(X, y, weight) == r2_score(y, column, sample_weight=weight)


# training -------------------------------------------------------------------------------------


@EVERY_LOSS
def test_early_stopping_keeps_the_epoch_of_the_best_score(loss):
    X, y = make_counts(n=120)
    params = loss | {"early_stopping": True, "validation_fraction": 0.3, "tol": 0, "max_iter": 15}
    reg = fitted(X, y, **params)
    assert max(reg.validation_scores_) == reg.best_validation_score_
    assert reg.validation_scores_[reg.best_epoch_ - 1] == reg.best_validation_score_
    assert_same_net(fitted(X, y, **params | {"max_iter": reg.best_epoch_}), reg)


@EVERY_LOSS
def test_validation_scores_are_those_of_score_after_every_epoch(loss):
    X, y = make_counts(n=90)
    reg = unfitted(**loss, early_stopping=True, scoring=None, tol=0)
    reg.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    epochs, scores = unfitted(**loss), []
    for _ in range(reg.n_iter_):
        scores.append(epochs.partial_fit(X[:60], y[:60]).score(X[60:], y[60:]))
    np.testing.assert_allclose(reg.validation_scores_, scores, rtol=1e-12)
    assert reg.score(X[60:], y[60:]) == pytest.approx(reg.best_validation_score_, rel=1e-12)


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_has_the_dtype_of_the_data(loss, dtype):
    X, y = make_counts(dtype=dtype)
    reg = fitted(X, y, **loss)
    assert all(weight.dtype == dtype for weight in reg.weights_.values())
    assert reg.predict(X).dtype == dtype


@EVERY_LOSS
def test_pickled_and_fitted_apart_from_the_parameters(loss):
    X, y = make_counts()
    reg = fitted(X, y, **loss)
    expected, score = reg.predict(X), reg.score(X, y)
    twin = pickle.loads(pickle.dumps(reg)).set_params(loss="quantile", quantile=(0.1, 0.2, 0.3))
    np.testing.assert_array_equal(twin.predict(X), expected)
    assert twin.score(X, y) == score
    assert clone(reg).get_params() == reg.get_params()


@EVERY_LOSS
def test_a_fit_is_resumed_with_its_loss(loss):
    X, y = make_counts()
    whole, half = fitted(X, y, **loss), fitted(X, y, **loss, warm_start=True, max_iter=3)
    np.testing.assert_array_equal(half.fit(X, y).predict(X), whole.predict(X))
    half.partial_fit(X, y)
    assert half.n_iter_ == 7


def test_losses_are_searched_as_any_parameter():
    X, y = make_counts()
    grid = [{"loss": ["huber", "poisson"]}, {"loss": ["quantile"], "quantile": [0.5, QUANTILES]}]
    search = GridSearchCV(unfitted(), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "quantile",
    [0.0, 1.0, -0.5, 2, np.nan, "0.5", None, (), (0.5, 1.0), ("a", "b"), [[0.5]], [[0.1], 0.2]],
    ids=str,
)
def test_a_bad_quantile_is_named(quantile):
    X, y = make_counts()
    with pytest.raises(ValueError, match=r"quantile.* must be .*"):
        fitted(X, y, loss="quantile", quantile=quantile)


def test_an_unknown_loss_is_named():
    X, y = make_counts()
    with pytest.raises(ValueError, match=r"loss.* must be .*huber"):
        fitted(X, y, loss="binary_log_loss")


def test_several_quantiles_of_several_outputs_are_refused():
    X, y = make_counts()
    with pytest.raises(ValueError, match=r"quantile=\(0\.5, 0\.9, 0\.1\).*y has 2 outputs"):
        fitted(X, np.column_stack([y, y]), loss="quantile", quantile=QUANTILES)


def test_poisson_refuses_negative_targets_at_every_fit():
    X, y = make_counts()
    bad = np.where(np.arange(len(y)) == 3, -2.0, y)
    words = r'loss="poisson" needs targets y >= 0.*negative -2'
    with pytest.raises(ValueError, match=words):
        fitted(X, bad, loss="poisson")
    reg = fitted(X, y, loss="poisson")
    before = state(reg)
    with pytest.raises(ValueError, match=words):
        reg.partial_fit(X, bad)
    assert state(reg) == before
    reg.fit(X, bad, sample_weight=bad >= 0)  # the row is gone


@pytest.mark.parametrize("columns", [1, 2])
def test_poisson_refuses_targets_that_are_all_zero(columns):
    X, y = make_counts()
    zeros = np.zeros(len(y)) if columns == 1 else np.column_stack([y, np.zeros(len(y))])
    with pytest.raises(ValueError, match=r'loss="poisson" needs a mean of y.* > 0.*0\.0\]'):
        fitted(X, zeros, loss="poisson")
    reg = fitted(X, y, loss="poisson")
    reg.partial_fit(X[:3], np.zeros(3))  # the scale is that of the first fit


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("change", [{"loss": "huber"}, {"quantile": 0.4}], ids=str)
def test_a_net_of_another_loss_cannot_be_resumed(method, change):
    X, y = make_counts()
    reg = fitted(X, y, loss="quantile", quantile=0.6, warm_start=True).set_params(**change)
    before = state(reg)
    words = r"Cannot resume.*loss='quantile'.*0\.6.*leave loss and quantile as they were"
    with pytest.raises(ValueError, match=words):
        getattr(reg, method)(X, y)
    assert state(reg) == before


def test_scores_need_as_many_outputs_as_the_fit():
    X, y = make_cube(6, 3), np.arange(6.0)
    for fitted, scored in [(y, np.column_stack([y, y])), (np.column_stack([y, y]), y)]:
        reg = regressor().fit(X, fitted)
        with pytest.raises(ValueError, match=r"y has \d outputs, expected \d as at first"):
            reg.score(X, scored)


def test_targets_whose_squares_overflow_are_scored():
    X, y = make_cube(6, 3), np.arange(6.0)
    reg = regressor().fit(X, y * 1e300)
    assert reg.score(X, y * 1e300) == pytest.approx(regressor().fit(X, y).score(X, y))


def test_predictions_in_float32_that_exceed_all_targets_are_scored():
    X = np.zeros((4, 2, 1), np.float32)
    reg = fitted(X, np.array([0.0, 1.0, 2.0, 3.0]))
    assert reg.predict(X).dtype == np.float32
    assert np.isfinite(reg.score(X, [-1.0, -2.0, -1.0, -2.0]))
