"""Windows that share memory: fitted as their copy is, to the bit, and never written out."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from _factories import BOTH, classifier, regressor, step_regressor
from skrnn._data.containers import series_of
from skrnn.preprocessing import SlidingWindows, make_windows

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:.*end with missing steps",
    "ignore:.*windows end with",
)


def make_series(*, D=2, dtype=np.float64, gaps=False, n=90):
    rng = np.random.default_rng(0)
    series = rng.integers(0, 9, (n, D)).astype(dtype)  # of which some windows are equal
    series[40:70] = 3
    if gaps:
        series[1:][rng.random(n - 1) < 0.2] = np.nan
    return series


def windows_of(series, length=7, step=1):
    X = np.moveaxis(sliding_window_view(series, length, axis=0), -1, 1)[::step]
    return X, np.arange(len(X)) % 3


def assert_same_fit(one, other):
    for name, weights in one.weights_.items():
        np.testing.assert_array_equal(weights, other.weights_[name])
    assert one.loss_curve_ == other.loss_curve_
    assert one.validation_scores_ == other.validation_scores_
    for name in ("feature_mean_", "feature_scale_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


CASES = {
    "plain": ({}, {}),
    "one feature": ({"D": 1}, {}),
    "float32": ({"dtype": np.float32}, {}),
    "uint8": ({"dtype": np.uint8}, {}),
    "gaps": ({"gaps": True}, {}),
    "every third": ({"step": 3}, {}),
    "in order": ({}, {"shuffle": False}),
    "raw": ({}, {"standardize": False}),
    "early stopping": ({"gaps": True}, {"early_stopping": True}),
    "codes": ({"gaps": True}, {"categorical_features": [0]}),
    "both directions": ({"gaps": True}, {"bidirectional": True, "readout": "mean"}),
    "lbfgs": ({}, {"solver": "lbfgs"}),
}


@BOTH
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("data", "params"), CASES.values(), ids=CASES)
def test_windows_are_fitted_and_predicted_as_their_copy(make, data, params, weighted):
    step = data.get("step", 1)
    X, y = windows_of(make_series(**{k: v for k, v in data.items() if k != "step"}), step=step)
    copy = np.array(X)
    assert len(series_of(X)[1]) == len(X) and not len(series_of(copy)[1])
    weight = 0.3 * (np.arange(len(X)) % 4) if weighted else None
    params = params | {"batch_size": 16}
    fitted, other = (make(**params).fit(x, y, weight) for x in (X, copy))
    assert_same_fit(fitted, other)
    np.testing.assert_array_equal(fitted.predict(X), other.predict(copy))
    np.testing.assert_array_equal(fitted.hidden_states(X), other.hidden_states(copy))
    assert fitted.score(X, y, weight) == other.score(copy, y, weight)


def test_validation_on_windows_and_partial_fit():
    X, y = windows_of(make_series(gaps=True))
    kwargs = [{"X_val": x[:20], "y_val": y[:20]} for x in (X, np.array(X))]
    fits = [classifier(early_stopping=True).fit(x["X_val"], y[:20], **x) for x in kwargs]
    assert_same_fit(*fits)
    parts = [regressor().partial_fit(x, y).partial_fit(x[5:], y[5:]) for x in (X, np.array(X))]
    assert_same_fit(*parts)


def test_windows_with_a_target_per_step():
    series = make_series(gaps=True)
    X, y, _ = make_windows(np.arange(90.0)[:, None] + 0 * series[:, :1], 7, per_step=True)
    y = np.nan_to_num(y)
    weight = np.arange(y.size).reshape(y.shape) % 3
    fits = [step_regressor().fit(x, y, weight) for x in (X, np.array(X))]
    assert_same_fit(*fits)
    np.testing.assert_array_equal(fits[0].predict(X), fits[1].predict(np.array(X)))
    assert fits[0].score(X, y, weight) == fits[1].score(np.array(X), y, weight)


def test_windows_that_begin_with_nothing():
    series = make_series()
    X = SlidingWindows(9).fit_transform(series)
    fits = [regressor().fit(x, series[:, 0]) for x in (X, np.array(X))]
    assert_same_fit(*fits)


@pytest.mark.parametrize(
    "view",
    {
        "ordinary": lambda x: np.array(x),
        "apart": lambda x: x[::7],
        "backward": lambda x: x[::-1],
        "steps backward": lambda x: x[:, ::-1],
        "objects": lambda x: np.array(x).astype(object),
    }.values(),
)
def test_other_arrays_are_read_as_they_are(view):
    X, y = windows_of(make_series())
    X = view(X)
    y = np.arange(len(X)) % 5.0
    assert len(series_of(X)[1]) == 0
    fits = [regressor().fit(x, y) for x in (X, np.array(X))]
    np.testing.assert_array_equal(fits[0].predict(X), fits[1].predict(np.array(X)))


@pytest.mark.parametrize("features", ["backward", "every other"])
def test_windows_of_columns_of_a_series(features):
    columns = slice(None, None, -1 if features == "backward" else 2)
    X, y = windows_of(make_series(D=4)[:, columns])
    assert len(series_of(X)[1]) == len(X)
    assert_same_fit(*(regressor().fit(x, y) for x in (X, np.array(X))))


def test_one_sequence_many_times():
    X = np.broadcast_to(make_series()[:7], (20, 7, 2))
    fits = [regressor().fit(x, np.arange(20.0)) for x in (X, np.array(X))]
    assert_same_fit(*fits)


@pytest.mark.parametrize(
    ("row", "values", "message"),
    [
        (30, [np.inf, 1.0], "infinity: sequence 24, step 6"),
        (30, [np.nan, 1.0], "in some features .*: sequence 24, step 6"),
        (2, [np.nan, 1.0], "in some features .*: sequence 0, step 2"),
        (slice(30, 40), [np.nan, np.nan], "Sequence 30 has no step left"),
    ],
)
def test_messages_name_the_window(row, values, message):
    series = make_series()
    series[row] = values
    X, y = windows_of(series)
    for x in (X, np.array(X)):
        with pytest.raises(ValueError, match=message):
            regressor().fit(x, y)
