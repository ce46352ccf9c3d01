"""Sunspots, eleven years ahead: a recurrent network that is fed its own predictions.

The yearly numbers of sunspots from 1700 to 2008 go up and down with a period of about 11 years. A
network learns to predict the next year at every step of short windows, and `forecast` feeds its
predictions back. The baselines are the last value, the value 11 years before, and a ridge
regression on the last years that is fed its own predictions too.

Hyperparameters are selected by forecasts from ten years between 1896 and 1941, with models trained
on the numbers up to 1896. Models with the selected values are then trained on the numbers up to
1952, and forecast from ten years between 1952 and 1997. The table has the mean absolute error by
horizon; the figure, forecast.png, has it too, and some of the forecasts. Ridge and the network are
about even, ridge ahead in the first three years and the network in the last three; neither predicts
the height of the highest cycles.

The data are in statsmodels, public domain, from the National Geophysical Data Center of the United
States (www.ngdc.noaa.gov/stp/solar/solarda3.html).
"""

import warnings
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from statsmodels.datasets import sunspots

from skrnn import RNNRegressor

HORIZON, N_ORIGINS, BETWEEN = 11, 10, 5
N_NETS = 5  # networks that differ in random_state, their forecasts averaged
FIRST_VALIDATION, FIRST_TEST = 1896, 1952

RIDGES = {"window": [9, 11, 22, 33, 44], "alpha": [0.1, 1.0, 10.0, 100.0]}
NETS = {"window": [22, 44], "cell": ["rnn_tanh", "gru"], "max_iter": [20, 40, 80]}


def windows(train, length):
    """Return all windows of `length` years, and for each of their steps the year that follows."""
    stretches = np.lib.stride_tricks.sliding_window_view(train, length + 1)
    return stretches[:, :-1], stretches[:, 1:]


def last_value(train, known):
    return np.array([[past[-1]] * HORIZON for past in known])


def a_cycle_ago(train, known):
    return np.array([past[-HORIZON:] for past in known])


def ridge(train, known, *, window, alpha):
    X, Y = windows(train, window)
    model = Ridge(alpha=alpha).fit(X, Y[:, -1])
    seen = np.array([past[-window:] for past in known])
    for _ in range(HORIZON):
        seen = np.column_stack([seen, model.predict(seen[:, -window:])])
    return seen[:, -HORIZON:]


def network(train, known, *, window, **settings):
    X, Y = windows(train, window)
    model = RNNRegressor(readout="step", hidden_layer_sizes=32, **settings)
    forecasts = [
        model.set_params(random_state=seed).fit(X[..., None], Y).forecast(known, HORIZON)
        for seed in range(N_NETS)
    ]
    return np.mean(forecasts, axis=0)


def backtest(numbers, years, first, forecaster, **settings):
    """Return origins, forecasts and true values, the latter two of shape (N_ORIGINS, HORIZON).

    The training set, which also sets the scale, ends at the first origin.
    """
    origins = first + BETWEEN * np.arange(N_ORIGINS)
    ends = np.searchsorted(years, origins) + 1
    scale = numbers[: ends[0]].std()
    scaled = numbers / scale
    forecast = forecaster(scaled[: ends[0]], [scaled[:end] for end in ends], **settings)
    return origins, scale * forecast, np.array([numbers[end : end + HORIZON] for end in ends])


def error(forecast, truth):
    """Return the mean absolute error by horizon."""
    return np.abs(forecast - truth).mean(axis=0)


def choose(numbers, years, forecaster, grid):
    """Return the hyperparameters with the smallest error in the forecasts between 1896 and 1941."""
    candidates = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    errors = [
        error(*backtest(numbers, years, FIRST_VALIDATION, forecaster, **settings)[1:]).mean()
        for settings in candidates
    ]
    best = candidates[np.argmin(errors)]
    print(f"{forecaster.__name__}: {best}, error {min(errors):.1f} up to {FIRST_TEST}")
    return best


def print_table(errors):
    print(f"\nmean absolute error of forecasts from {N_ORIGINS} years, by years ahead:")
    print(f"{'':22}" + "".join(f"{h:6}" for h in range(1, HORIZON + 1)) + "   all")
    for name, of_horizons in errors.items():
        cells = "".join(f"{e:6.1f}" for e in [*of_horizons, of_horizons.mean()])
        print(f"{name:22}{cells}")


def plot(numbers, years, origins, forecasts, errors):
    """Plot observations and non-overlapping forecasts (left), and the errors by horizon (right)."""
    fig, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.3), width_ratios=(2, 1), layout="constrained"
    )
    shown = years >= origins[0] - 22
    left.plot(years[shown], numbers[shown], color="0.55", linewidth=1, label="observed")
    colors = {name: f"C{i}" for i, name in enumerate(errors)}
    for i in range(0, N_ORIGINS, HORIZON // BETWEEN + 1):
        left.axvline(origins[i], color="0.9", zorder=0)
        ahead, known = origins[i] + np.arange(HORIZON + 1), numbers[years == origins[i]]
        for name, forecast in forecasts.items():
            left.plot(ahead, np.append(known, forecast[i]), color=colors[name])
    left.set(xlabel="year", ylabel="sunspots", title="Forecasts from the vertical lines on")
    for name, of_horizons in errors.items():
        right.plot(range(1, HORIZON + 1), of_horizons, "o-", ms=4, color=colors[name], label=name)
    right.set(xlabel="years ahead", ylabel="mean absolute error", ylim=(0, None))
    right.set_title(f"Forecasts from {N_ORIGINS} years")
    fig.legend(loc="outside lower center", ncols=5, frameon=False)
    fig.savefig("forecast.png", dpi=150)


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are a setting here
    data = sunspots.load_pandas().data
    years, numbers = data["YEAR"].to_numpy(), data["SUNACTIVITY"].to_numpy(dtype=np.float32)

    models = {
        "last value": (last_value, {}),
        "value 11 years before": (a_cycle_ago, {}),
        "ridge": (ridge, choose(numbers, years, ridge, RIDGES)),
        "recurrent network": (network, choose(numbers, years, network, NETS)),
    }
    forecasts, errors = {}, {}
    for name, (forecaster, settings) in models.items():
        origins, forecasts[name], truth = backtest(
            numbers, years, FIRST_TEST, forecaster, **settings
        )
        errors[name] = error(forecasts[name], truth)
    print_table(errors)
    learned = {name: forecasts[name] for name in ("ridge", "recurrent network")}
    plot(numbers, years, origins, learned, errors)


if __name__ == "__main__":
    main()
