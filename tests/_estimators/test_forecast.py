"""`forecast`, held against the loop that appends every prediction to its sequence."""

import numpy as np
import pandas as pd
import pytest

from _factories import make_coded, make_sequences, regressor, state, step_regressor
from skrnn import as_sequences, pad_sequences
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS
from skrnn.preprocessing import SequencePadder, StepImputer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SERIES = [np.sin(0.7 * np.arange(length) + i) for i, length in enumerate([12, 9, 14, 7])]
RAMPS = [np.append(0.2 * np.arange(length), -1.0) for length in (6, 3, 8, 5)]  # their peaks pass
PAIRS = [np.column_stack([s, np.roll(s, 2)]) for s in SERIES]


def next_step(series, **parameters):
    """A regressor that predicts the next step of each."""
    estimator = step_regressor(**{"max_iter": 5} | parameters)
    return estimator.fit([s[:-1] for s in series], [s[1:] for s in series])


def by_hand(estimator, series, n_steps):
    """Predict, put it behind the series, and again."""
    series = list(series)
    for _ in range(n_steps):
        predicted = estimator.predict(series)
        ends = [p[-1] if estimator.readout == "step" else p for p in predicted]
        series = [
            np.concatenate([s, np.reshape(end, (1, *s.shape[1:]))])
            for s, end in zip(series, ends, strict=True)
        ]
    return np.stack([s[-n_steps:] for s in series])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("series", [SERIES, PAIRS], ids=["D=1", "D=2"])
@pytest.mark.parametrize("sizes", [(4,), (3, 4)])
def test_a_forecast_is_the_loop_over_predict(sizes, series, cell):
    estimator = next_step(series, cell=cell, hidden_layer_sizes=sizes)
    forecast = estimator.forecast(series, 6)
    assert forecast.shape == (4, 6, *series[0].shape[1:])
    np.testing.assert_allclose(forecast, by_hand(estimator, series, 6), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(estimator.forecast(series, 2), forecast[:, :2])


@pytest.mark.parametrize("readout", [name for name in READOUTS if name != "step"])
@pytest.mark.parametrize("series", [SERIES, PAIRS, RAMPS], ids=["D=1", "D=2", "ramps"])
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
def test_a_forecast_of_the_step_that_follows_each_sequence(initial_state, series, readout):
    estimator = regressor(readout=readout, initial_state=initial_state)
    estimator.fit([s[:-1] for s in series], np.array([2 * s[-2] for s in series]))
    np.testing.assert_allclose(
        estimator.forecast(series, 9), by_hand(estimator, series, 9), rtol=0, atol=1e-9
    )


def test_a_forecast_in_every_container():
    columns = [s[:, None] for s in SERIES]
    expected = next_step(SERIES).forecast(SERIES, 3)
    boxed = next_step(columns)
    assert boxed.forecast(columns, 3).shape == (4, 3, 1)
    np.testing.assert_array_equal(boxed.forecast(columns, 3)[..., 0], expected)
    np.testing.assert_array_equal(boxed.forecast(SERIES, 3)[..., 0], expected)
    for given in (as_sequences(SERIES), pd.Series(SERIES), [list(s) for s in SERIES]):
        np.testing.assert_array_equal(next_step(SERIES).forecast(given, 3), expected)
    table = np.stack([s[:7] for s in SERIES])
    on_table = step_regressor().fit(table[:, :-1], table[:, 1:])
    cube = step_regressor().fit(table[:, :-1, None], table[:, 1:])
    np.testing.assert_array_equal(
        on_table.forecast(table[:, 1:], 3), cube.forecast(table[:, 1:, None], 3)
    )


def test_steps_that_are_missing_inside_are_skipped():
    estimator = next_step(SERIES)
    holes = [np.insert(s, 3, np.nan) for s in SERIES]
    np.testing.assert_array_equal(estimator.forecast(holes, 3), estimator.forecast(SERIES, 3))


MISSING_ENDS = {
    "list": [SERIES[0], np.append(SERIES[1], [np.nan, np.nan]), SERIES[2]],
    "padding": pad_sequences(SERIES[:3]),
    "left over": [SERIES[0], np.append(SERIES[1], [1.0, np.nan])],
}


@pytest.mark.parametrize("series", MISSING_ENDS.values(), ids=MISSING_ENDS)
def test_sequences_whose_last_step_is_missing_are_refused(series):
    message = r"last step of sequence [01] is missing.*impute_end.*SequencePadder"
    with pytest.raises(ValueError, match=message):
        next_step(SERIES).forecast(series, 3)


def test_missing_ends_are_padding_to_drop_or_gaps_to_fill():
    estimator, padder = next_step(SERIES), SequencePadder()
    expected = estimator.forecast(SERIES[:3], 3)
    for padded in (pad_sequences(SERIES[:3]), [np.append(s, np.nan) for s in SERIES[:3]]):
        ragged = padder.inverse_transform(padder.fit_transform(padded))
        np.testing.assert_array_equal(estimator.forecast(ragged, 3), expected)
    gap = np.append(SERIES[0], [np.nan, np.nan])
    filled = np.append(SERIES[0], SERIES[0][[-1, -1]])
    imputed = StepImputer(absent="impute_end").fit_transform([gap])
    np.testing.assert_array_equal(estimator.forecast(imputed, 3), estimator.forecast([filled], 3))


def test_a_loop_over_step_bridges_a_gap_at_the_end():
    estimator, state, output = next_step(SERIES), None, np.zeros(1)
    for x_t in np.append(SERIES[0], [np.nan, np.nan])[:, None]:
        output, state = estimator.step(np.where(np.isnan(x_t), output, x_t), state)
    expected = estimator.forecast(SERIES[:1], 3)[0]
    np.testing.assert_allclose(output[0], expected[2], rtol=1e-10)


def test_many_forecasts_are_those_of_each():
    estimator, rows = next_step(PAIRS), np.random.default_rng(0).integers(4, size=300)
    expected = estimator.forecast(PAIRS, 3)
    many = estimator.forecast([PAIRS[i] for i in rows], 3)
    np.testing.assert_allclose(many, expected[rows], rtol=0, atol=1e-12)


def test_a_forecast_keeps_float32_and_the_estimator():
    narrow = [s.astype(np.float32) for s in SERIES]
    assert next_step(narrow).forecast(narrow, 3).dtype == np.float32
    estimator = next_step(SERIES)
    before = state(estimator)
    estimator.forecast(SERIES, 3)
    assert state(estimator) == before


@pytest.mark.parametrize("quantile", [0.5, [0.5]])
def test_the_median_is_fed_back_as_any_point_forecast(quantile):
    estimator = next_step(SERIES, loss="quantile", quantile=quantile)
    expected = by_hand(estimator, SERIES, 4)
    np.testing.assert_allclose(estimator.forecast(SERIES, 4), expected, rtol=0, atol=1e-10)


# what is refused ------------------------------------------------------------------------------

LENGTHS = (3, 1, 4, 2, 5, 2)
X = make_sequences(LENGTHS)
REAL = np.arange(6.0)
UNIVARIATE = [x[:, 0] for x in X]
TOKENS = [x[:, 1] for x in make_coded(LENGTHS, n_codes=3)]


BAD_FORECASTS = {
    "fewer outputs than features": (
        lambda: step_regressor().fit(X, UNIVARIATE),
        X,
        r"2 features per step.*1 outputs",
    ),
    "more outputs than features": (
        lambda: regressor().fit(UNIVARIATE, np.column_stack([REAL, REAL])),
        UNIVARIATE,
        r"1 features per step.*2 outputs.*Fit it to predict the step that comes next",
    ),
    "as many quantiles as features": (
        lambda: regressor(loss="quantile", quantile=[0.1, 0.9]).fit(X, REAL),
        X,
        r"2 features per step.*2 outputs that are quantiles of one",
    ),
    "a quantile": (
        lambda: regressor(loss="quantile", quantile=0.9).fit(UNIVARIATE, REAL),
        UNIVARIATE,
        r"quantile 0.9 of the next.*a band of 80 %.*horizon=n_steps.*quantile=0.5, can be",
    ),
    "one quantile of a list, of each of two outputs": (
        lambda: regressor(loss="quantile", quantile=[0.1]).fit(X, np.column_stack([REAL, REAL])),
        X,
        r"quantile 0.1 of the next",
    ),
    "categories": (
        lambda: regressor(categorical_features=[0]).fit(TOKENS, REAL),
        TOKENS,
        r"1 of them categories",
    ),
}


@pytest.mark.parametrize(("make", "X", "words"), BAD_FORECASTS.values(), ids=BAD_FORECASTS)
def test_outputs_that_are_no_inputs_are_refused(make, X, words):
    with pytest.raises(ValueError, match=words):
        make().forecast(X, 2)


@pytest.mark.parametrize("n_steps", [0, -1, 2.0, "2", None])
def test_the_number_of_steps_is_checked(n_steps):
    with pytest.raises((TypeError, ValueError), match="n_steps"):
        next_step(SERIES).forecast(SERIES, n_steps)


def test_a_forecast_that_grows_without_bounds_is_refused():
    estimator = next_step(SERIES, cell="rnn_relu", hidden_layer_sizes=2)
    w = estimator.weights_
    for weight in w.values():
        weight[:] = 1.0
    assert np.isfinite(estimator.forecast(SERIES, 10)).all()
    with pytest.raises(ValueError, match=r"forecast of sequence 0 grows.*fewer steps"):
        estimator.forecast(SERIES, 3000)


def test_a_sequence_with_no_step_is_refused():
    with pytest.raises(ValueError, match="Sequence 1 has no step left"):
        next_step(SERIES).forecast([SERIES[0], np.full(3, np.nan)], 2)
