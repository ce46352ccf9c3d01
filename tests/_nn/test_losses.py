"""Losses: values against scikit-learn's and SciPy's, gradients against finite differences."""

import numpy as np
import pytest
from scipy.special import expit, huber, softmax, xlogy
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
)

from skrnn._nn.losses import (
    CLASSIFICATION_LOSSES,
    LOSSES,
    REGRESSION_LOSSES,
    weighted_quantiles,
)

K, B = 3, 6
SETTINGS = {"quantile": [{"quantile": 0.3}, {"quantile": (0.9, 0.1, 0.5)}]}
CASES = [
    pytest.param(name, settings, id="-".join([name, *map(str, settings.values())]))
    for name in LOSSES
    for settings in SETTINGS.get(name, [{}])
]
WEIGHTS = pytest.mark.parametrize("weights", ["of samples", "of outputs"])


def make(name, settings, weights, rng):
    """A loss, and y, o and weight for it."""
    loss, o = LOSSES[name](**settings), rng.standard_normal((K, B))
    several = getattr(loss, "outputs_per_target", 1) > 1
    y = {
        "multinomial_log_loss": lambda: rng.integers(K, size=(1, B)),
        "multilabel_log_loss": lambda: rng.integers(2, size=(K, B)).astype(float),
        "binary_log_loss": lambda: rng.integers(2, size=(K, B)).astype(float),
        "poisson": lambda: rng.poisson(1.0, size=(K, B)) / 1.3,
    }.get(name, lambda: rng.standard_normal((1 if several else K, B)))()
    if weights == "of samples":
        return loss, y, o, rng.random(B)
    return loss, y, o, rng.random((1, B) if name == "multinomial_log_loss" else (K, B))


@WEIGHTS
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_gradient_is_exact(name, settings, weights, assert_gradient):
    loss, y, o, weight = make(name, settings, weights, np.random.default_rng(0))
    _, d_o = loss.value_and_gradient(y, o, weight)
    assert_gradient(lambda o: loss.value_and_gradient(y, o, weight)[0], o, d_o)


def mean_huber(y, o, sample_weight):
    return np.average(huber(1.35, o - y), weights=sample_weight)


def mean_poisson(y, o, sample_weight):
    """From the deviance, which is twice the loss beyond that of a perfect prediction."""
    least = np.average(y - xlogy(y, y), weights=sample_weight)
    return mean_poisson_deviance(y, np.exp(o), sample_weight=sample_weight) / 2 + least


MEANS = {
    "squared_error": lambda y, o, **weight: mean_squared_error(y, o, **weight) / 2,
    "absolute_error": mean_absolute_error,
    "huber": mean_huber,
    "poisson": mean_poisson,
    "binary_log_loss": lambda y, o, **weight: log_loss(y, expit(o), labels=[0, 1], **weight),
}
MEANS["multilabel_log_loss"] = MEANS["binary_log_loss"]


def by_hand(name, settings, y, o, weight):
    if name == "multinomial_log_loss":
        p, w = softmax(o.T, axis=1), np.ravel(weight)
        return log_loss(y[0], p, sample_weight=w, labels=range(K)) * w.sum()
    means = [MEANS.get(name)] * K
    if name == "quantile":
        means = [
            lambda y, o, q=q, **weight: mean_pinball_loss(y, o, alpha=q, **weight)
            for q in np.broadcast_to(settings["quantile"], K)
        ]
    columns = np.broadcast_to(y, o.shape), o, np.broadcast_to(weight, o.shape)
    return sum(
        mean(t, p, sample_weight=w) * w.sum() for mean, t, p, w in zip(means, *columns, strict=True)
    )


@WEIGHTS
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_value_is_that_of_scikit_learn(name, settings, weights):
    loss, y, o, weight = make(name, settings, weights, np.random.default_rng(1))
    o *= 3  # beyond the threshold of Huber, too
    value, _ = loss.value_and_gradient(y, o, weight)
    assert value == pytest.approx(by_hand(name, settings, y, o, weight), rel=1e-12)


@pytest.mark.parametrize(("name", "settings"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_outputs_far_from_zero_overflow_nowhere(name, settings, size, dtype):
    loss, y, o, weight = make(name, settings, "of samples", np.random.default_rng(2))
    if name == "poisson":
        o = -np.abs(o)  # the loss of exp(1e4) is indeed too large for a float
    y, o = y if y.dtype.kind == "i" else y.astype(dtype), (size * o).astype(dtype)
    value, d_o = loss.value_and_gradient(y, o, weight.astype(dtype))
    assert np.isfinite(value) and np.isfinite(d_o).all()
    assert np.isfinite(loss.inverse_link(o.T)).all()


@WEIGHTS
@pytest.mark.parametrize(("name", "settings"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_and_predictions_keep_the_dtype(name, settings, weights, dtype):
    loss, y, o, weight = make(name, settings, weights, np.random.default_rng(3))
    y = y if y.dtype.kind == "i" else y.astype(dtype)
    value, d_o = loss.value_and_gradient(y, o.astype(dtype), weight.astype(dtype))
    assert value.dtype == d_o.dtype == dtype and d_o.shape == o.shape
    assert loss.inverse_link(o.T.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_a_target_that_is_met_pulls_nowhere(name):
    y = np.ones((1, B))
    o = np.zeros((1, B)) if name == "poisson" else y
    assert not LOSSES[name]().value_and_gradient(y, o, np.ones(B))[1].any()


REAL_CASES = [case for case in CASES if case.values[0] in REGRESSION_LOSSES]


@pytest.mark.parametrize(("name", "settings"), REAL_CASES)
def test_outputs_start_at_the_best_constant(name, settings):
    """Huber's has no closed form: it starts at the mean."""
    rng = np.random.default_rng(4)
    loss, y, _, weight = make(name, settings, "of samples", rng)
    shift, scale = loss.units(y.T, weight)
    y = (y - shift[:, None]) / scale[:, None]
    start = loss.start(y.T, weight, K)
    assert start.shape == (K,)
    if name == "huber":
        np.testing.assert_array_equal(start, 0)
        return
    value, _ = loss.value_and_gradient(y, np.tile(start[:, None], B), weight)
    for k in range(K):
        for other in [*y.ravel(), *(start[k] + [-1e-3, 1e-3])]:
            o = np.tile(start[:, None], B)
            o[k] = other
            assert value <= loss.value_and_gradient(y, o, weight)[0] + 1e-12


def test_targets_are_standardised_but_those_of_a_log_link():
    rng = np.random.default_rng(5)
    y, counts = rng.poisson(3.0, size=(20, 2)) * [1.0, 10.0], rng.integers(1, 4, size=20)
    repeated = np.repeat(y, counts, axis=0)
    for name, loss in REGRESSION_LOSSES.items():
        shift, scale = loss().units(y, counts / counts.mean())
        if name == "poisson":
            np.testing.assert_array_equal(shift, 0)
            np.testing.assert_allclose(scale, repeated.mean(axis=0))
        else:
            np.testing.assert_allclose(shift, repeated.mean(axis=0))
            np.testing.assert_allclose(scale, repeated.std(axis=0))


@pytest.mark.parametrize(("name", "settings"), REAL_CASES)
def test_units_and_start_of_an_output_are_those_of_its_own_weights(name, settings):
    """What is missing is 0, of weight 0, and an output may have nothing."""
    rng, loss = np.random.default_rng(7), REGRESSION_LOSSES[name](**settings)
    y, weight = rng.poisson(3.0, size=(20, 3)) * [1.0, 10.0, 1e6], rng.random((20, 3))
    n_columns = 3 if loss.outputs_per_target == 1 else 1
    y, weight = y[:, :n_columns], np.where(rng.random((20, 3)) < 0.3, 0, weight)[:, :n_columns]
    y = np.where(weight > 0, y, 0.0)
    shift, scale = loss.units(y, weight)
    start = loss.start(np.where(weight > 0, (y - shift) / scale, 0), weight, len(scale))
    for k in range(n_columns):
        known = weight[:, k] > 0
        own, own_weight = y[known, k : k + 1], weight[known, k]
        units = loss.units(own, own_weight)
        np.testing.assert_allclose([shift[k], scale[k]], np.ravel(units), rtol=1e-12)
        expected = loss.start((own - units[0]) / units[1], own_weight, 1)
        np.testing.assert_allclose(start.reshape(n_columns, -1)[k], expected, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in REGRESSION_LOSSES if name != "poisson"])
def test_an_output_of_which_nothing_is_known_starts_at_0(name):
    y, weight = np.zeros((4, 2)), np.array([[1.0, 0.0]] * 4)
    y[:, 0] = [1.0, 2.0, 3.0, 4.0]
    loss = REGRESSION_LOSSES[name]()
    shift, scale = loss.units(y, weight)
    assert (shift[1], scale[1]) == (0, 1)
    assert loss.start((y - shift) / scale, weight, 2)[1] == 0


@pytest.mark.parametrize("q", [0.01, 0.25, 0.5, 0.7, 0.9, 0.999])
@pytest.mark.parametrize("divisor", [1.0, 3.0, 0.7, 1e-3])
def test_weighted_quantiles_are_those_of_the_repeated_values(q, divisor):
    """Ties too, where rounding of the weights must not tip the balance."""
    rng = np.random.default_rng(6)
    for n in range(1, 12):
        y, counts = rng.integers(6, size=(n, 2)) + 0.5, rng.integers(1, 4, size=n)
        expected = np.quantile(np.repeat(y, counts, axis=0), q, axis=0, method="inverted_cdf")
        np.testing.assert_array_equal(weighted_quantiles(y, counts / divisor, q), expected)


def test_several_quantiles_are_sorted_and_given_in_the_order_asked_for():
    loss = LOSSES["quantile"]((0.9, 0.1, 0.5, 0.2))
    o = np.array([[1.0, 2.0, 3.0, 4.0], [4.0, 1.0, 3.0, 2.0]])
    np.testing.assert_array_equal(loss.inverse_link(o), [[4.0, 1.0, 3.0, 2.0]] * 2)
    np.testing.assert_array_equal(loss.scored(o), [[4.0], [2.0]])  # of the quantile 0.2


@pytest.mark.parametrize("quantile", [0.3, (0.3,)])
def test_one_quantile_leaves_the_outputs_where_they_are(quantile):
    loss, o = LOSSES["quantile"](quantile), np.array([[1.0, 3.0, 2.0]])
    np.testing.assert_array_equal(loss.inverse_link(o), o)
    np.testing.assert_array_equal(loss.scored(o), o)


# Classification -------------------------------------------------------------------------------

CLASSES = {"binary": 2, "multiclass": 4, "multilabel": 3}


def make_codes(kind, n, rng):
    """Numbers of classes (n, 1), or indicators (n, labels)."""
    return rng.integers(CLASSES[kind] if kind == "multiclass" else 2, size=(n, width_of(kind)))


def width_of(kind):
    return CLASSES[kind] if kind == "multilabel" else 1


KIND_CASES = [(name, kind) for name, loss in CLASSIFICATION_LOSSES.items() for kind in loss.kinds]


def test_every_kind_of_labels_has_a_loss():
    assert {kind for _, kind in KIND_CASES} == set(CLASSES)


@pytest.mark.parametrize(("name", "kind"), KIND_CASES)
def test_probabilities_are_those_of_the_decision_and_their_logarithms(name, kind):
    loss, rng = CLASSIFICATION_LOSSES[name](), np.random.default_rng(7)
    raw = 3 * rng.standard_normal((20, loss.n_outputs(CLASSES[kind])))
    p = loss.probabilities(raw)
    assert p.shape == (20, CLASSES[kind])
    np.testing.assert_allclose(np.log(p), loss.log_probabilities(raw), rtol=1e-10, atol=1e-14)
    if kind == "multilabel":
        np.testing.assert_array_equal(loss.decide(raw), p > 0.5)
    else:
        np.testing.assert_allclose(p.sum(axis=1), 1)
        np.testing.assert_array_equal(loss.decide(raw), p.argmax(axis=1))


@pytest.mark.parametrize(("name", "kind"), KIND_CASES)
def test_the_loss_is_the_negative_log_probability_of_the_label(name, kind):
    loss, rng = CLASSIFICATION_LOSSES[name](), np.random.default_rng(8)
    codes = make_codes(kind, 20, rng)
    raw = rng.standard_normal((20, loss.n_outputs(CLASSES[kind])))
    weight, y = rng.random(20), loss.encode(codes, raw.dtype)
    value, _ = loss.value_and_gradient(y.T, raw.T, weight)
    log_p = loss.log_probabilities(raw)
    if kind == "multilabel":
        own = np.where(codes == 1, log_p, loss.log_probabilities(-raw)).sum(axis=1)
    else:
        own = log_p[np.arange(20), codes[:, 0]]
    assert value == pytest.approx(-weight @ own, rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), KIND_CASES)
def test_outputs_start_at_the_frequencies_half_a_sample_added(name, kind):
    loss, rng = CLASSIFICATION_LOSSES[name](), np.random.default_rng(9)
    codes, weight = make_codes(kind, 20, rng), rng.random(20)
    n_outputs = loss.n_outputs(CLASSES[kind])
    start = loss.start(loss.encode(codes, weight.dtype), weight, n_outputs)
    assert start.shape == (n_outputs,)
    is_class = codes if kind == "multilabel" else codes == np.arange(CLASSES[kind])
    totals, n_sides = weight @ is_class + 0.5, 2 if kind == "multilabel" else CLASSES[kind]
    p = loss.probabilities(start[None])[0]
    np.testing.assert_allclose(p, totals / (weight.sum() + 0.5 * n_sides), rtol=1e-12)
