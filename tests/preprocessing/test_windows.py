"""Windows are compared with slices; values that count time show which steps reach where."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from skrnn import RNNRegressor, as_sequences
from skrnn.preprocessing import SlidingWindows, StepImputer, StepTransformer, make_windows


def clock(T, D=1, start=0):
    """A series whose values are 10 t + column."""
    return 10.0 * np.arange(start, start + T)[:, None] + np.arange(D)


# Windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_step", [False, True])
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    D=st.integers(1, 3),
    length=st.integers(1, 6),
    horizon=st.integers(1, 4),
    step=st.integers(1, 5),
)
def test_windows_are_slices_of_one_series_each(per_step, lengths, D, length, horizon, step):
    series = [clock(T, D, start=100 * i) for i, T in enumerate(lengths)]
    X, y, groups = [], [], []
    for i, x in enumerate(series):
        for start in range(0, len(x) - length - horizon + 1, step):
            stop = start + length
            ends = range(start + 1, stop + 1) if per_step else [stop]
            X.append(x[start:stop])
            y.append([x[end : end + horizon].ravel() for end in ends])
            groups.append(i)
    if not X:
        with pytest.raises(ValueError, match="Series 0 has"):
            make_windows(series, length, horizon, step, per_step=per_step, short="skip")
        return
    windows = make_windows(series, length, horizon, step, per_step=per_step, short="skip")
    y = np.array(y)
    y = y if per_step else y[:, 0]
    assert_array_equal(windows.X, X, strict=True)
    assert_array_equal(windows.y, y[..., 0] if horizon * D == 1 else y, strict=True)
    assert_array_equal(windows.groups, groups)
    assert windows._fields == ("X", "y", "groups")


ONE = clock(7, 2)
CONTAINERS = {
    "array": ONE,
    "pandas": pd.DataFrame(ONE, columns=["u", "v"], index=range(9, 2, -1)),
    "polars": pl.DataFrame(ONE, schema=["u", "v"]),
    "list of one": [ONE],
    "object array": as_sequences([ONE]),
    "three dimensions": ONE[None],
    "nested lists": [ONE.tolist()],
}
UNIVARIATE = {
    "array": ONE[:, 0],
    "column": ONE[:, :1],
    "list": ONE[:, 0].tolist(),
    "integers": ONE[:, 0].astype(int),
    "pandas": pd.Series(ONE[:, 0], index=range(9, 2, -1)),
    "polars": pl.Series(ONE[:, 0]),
    "list of one list": [ONE[:, 0].tolist()],
    "frame": pd.DataFrame({"u": ONE[:, 0]}),
}


@pytest.mark.parametrize("series", CONTAINERS.values(), ids=CONTAINERS)
def test_a_series_may_come_in_any_container(series):
    X, y, _ = make_windows(series, 3, 2)
    assert_array_equal(X, [ONE[k : k + 3] for k in range(3)])
    assert_array_equal(y, [ONE[k + 3 : k + 5].ravel() for k in range(3)])


@pytest.mark.parametrize("series", UNIVARIATE.values(), ids=UNIVARIATE)
def test_a_series_may_have_one_column(series):
    X, y, groups = make_windows(series, 3)
    assert_array_equal(X, [ONE[k : k + 3, :1] for k in range(4)])
    assert_array_equal(y, [30, 40, 50, 60])
    assert_array_equal(groups, [0, 0, 0, 0])
    assert make_windows(series, 3, per_step=True).y.shape == (4, 3)


@pytest.mark.parametrize(
    ("targets", "columns"),
    [
        (None, [0, 1]),
        (1, [1]),
        (-1, [1]),
        ([1, 0], [1, 0]),
        ("v", [1]),
        (["v", "u"], [1, 0]),
        ([False, True], [1]),
        (np.array([True, False]), [0]),
        ((np.True_, True), [0, 1]),
    ],
)
@pytest.mark.parametrize("per_step", [False, True])
def test_targets_are_the_columns_to_forecast(targets, columns, per_step):
    series = CONTAINERS["pandas"]
    X, y, _ = make_windows([series, series], 2, 2, targets=targets, per_step=per_step)
    expected = make_windows([ONE[:, columns]] * 2, 2, 2, per_step=per_step).y
    assert X.shape == (8, 2, 2)
    assert_array_equal(y, expected)


def test_the_last_targets_per_step_are_those_of_windows():
    series = [clock(9, 2), clock(12, 2)]
    whole, steps = (make_windows(series, 4, 3, per_step=per_step) for per_step in (False, True))
    assert_array_equal(steps.y[:, -1], whole.y)


def test_float32_stays_float32():
    for series in (ONE.astype(np.float32), [ONE.astype(np.float32)] * 2):
        X, y, _ = make_windows(series, 2)
        assert X.dtype == y.dtype == np.float32
    assert make_windows([ONE, ONE.astype(np.float32)], 2).X.dtype == np.float64


def test_windows_of_one_series_share_memory_only_with_each_other():
    series = clock(100)
    X, y, _ = make_windows(series, 50, step=2)
    assert np.shares_memory(X[0], X[1])
    assert not np.shares_memory(X, series) and not np.shares_memory(X, y)
    y[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        X[0] = 0


# Missing steps --------------------------------------------------------------------------------


def gap(*rows):
    series = ONE.copy()
    series[list(rows)] = np.nan
    return series


@pytest.mark.parametrize(("rows", "n"), [([2], 1), ([3, 4], 2), ([0, 1], 0), ([6], 0)])
def test_windows_whose_last_step_is_missing_are_counted(rows, n):
    if not n:
        assert len(make_windows(gap(*rows), 3).X) == 4  # and warns of nothing
        return
    message = rf'The last step of {n} of 4 windows is missing.*absent="impute_end"'
    with pytest.warns(UserWarning, match=message):
        X = make_windows(gap(*rows), 3).X
    assert (~np.isnan(X[:, -1]).all(axis=-1)).sum() == 4 - n
    imputed = StepImputer(absent="impute_end").fit_transform(X)[:, -1, 0]
    assert_array_equal(imputed, [10 * (min(rows) - 1 if t in rows else t) for t in range(2, 6)])


def test_steps_that_are_partly_missing_are_there_and_targets_per_step_are_ignored():
    series = gap()
    series[3, 0] = np.nan
    assert np.isnan(make_windows(series, 3).X).any()
    assert np.isnan(make_windows(gap(3), 3, per_step=True).X).any()


def test_what_the_warning_says_cures():
    tide = np.sin(0.5 * np.arange(400))
    holes = tide.copy()
    holes[np.random.default_rng(0).permutation(380)[:60]] = np.nan
    with pytest.warns(UserWarning, match="windows is missing"):
        X, y, _ = make_windows(holes, 8)
    X, y = X[~np.isnan(y)], y[~np.isnan(y)]
    present = ~np.isnan(X[:, -1]).all(axis=-1)
    net = RNNRegressor("rnn_tanh", hidden_layer_sizes=8, max_iter=60, tol=0.0, random_state=0)
    with pytest.warns(ConvergenceWarning):
        all_of_them = net.fit(X, y).score(X, y)
        only_present = net.fit(X[present], y[present]).score(X[present], y[present])
    assert only_present > all_of_them


@pytest.mark.parametrize(
    "series",
    [
        np.ma.masked_equal(ONE, 30.0),
        [np.ma.masked_equal(ONE, 30.0)],
        np.ma.masked_equal(ONE.astype(int), 30)[None],
    ],
    ids=["one", "list", "three dimensions"],
)
def test_masked_values_are_missing(series):
    X, y, _ = make_windows(series, 2, targets=0)
    expected = gap()
    expected[3, 0] = np.nan
    assert_array_equal(X, make_windows(expected, 2).X)
    assert_array_equal(y, [20, np.nan, 40, 50, 60])


def test_masked_rows_of_a_table_are_missing():
    table = np.ma.masked_equal(ONE.astype(int), 30)
    out = SlidingWindows(2).fit_transform(table)
    expected = gap()
    expected[3, 0] = np.nan
    assert_array_equal(out, SlidingWindows(2).fit_transform(expected))


# Times ----------------------------------------------------------------------------------------

DAYS = pd.date_range("2024-03-29", periods=7)
INDEXES = {
    "days": DAYS,
    "days across a change of the clock": DAYS.tz_localize("Europe/Berlin"),
    "hours": pd.date_range("2024", periods=7, freq="h"),
    "months": pd.date_range("2024", periods=7, freq="MS"),
    "business days": pd.bdate_range("2024-03-28", periods=7),
    "durations": pd.timedelta_range(0, periods=7, freq="3s"),
    "periods": pd.period_range("2024-01", periods=7, freq="M"),
    "dates": pd.Index(DAYS.date),
    "arrow": pd.Index(DAYS.astype("timestamp[ns][pyarrow]")),
    "jitter": DAYS + pd.to_timedelta([0, 1, -2, 0, 2, 1, 0], unit="h"),
    "one of many": pd.MultiIndex.from_product([["a"], DAYS]),
}
indexes = pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)


def frame_of(index):
    return pd.DataFrame(ONE, index=index, columns=["u", "v"])


TIMED = {
    "frame": frame_of,
    "list": lambda index: [CONTAINERS["pandas"], frame_of(index)],
    "Series": lambda index: pd.Series(ONE[:, 0], index=index),
}
timed = pytest.mark.parametrize("build", TIMED.values(), ids=TIMED)


def cut(series):
    """Windows by both ways."""
    make_windows(series, 2)
    if isinstance(series, pd.DataFrame):
        SlidingWindows(2).fit_transform(series)


@timed
@indexes
def test_times_in_order_are_windows_without_a_word(index, build):
    cut(build(index))


@timed
@indexes
def test_unsorted_times_are_refused(index, build):
    for order in ([0, 1, 3, 2, 4, 5, 6], range(6, -1, -1)):
        with pytest.raises(ValueError, match=r"index of (series [01]|X) are not asc.*sort_index"):
            make_windows(build(index[list(order)]), 2)
        with pytest.raises(ValueError, match=r"index of X are not ascending"):
            SlidingWindows(2).fit_transform(frame_of(index[list(order)]))


@timed
@indexes
def test_times_that_are_there_twice_are_refused(index, build):
    with pytest.raises(ValueError, match=r"index of .* has the time .* twice.*groupby\(level=0\)"):
        cut(build(index[[0, 1, 2, 2, 3, 4, 5]]))


@timed
@pytest.mark.parametrize("name", sorted(set(INDEXES) - {"jitter", "business days"}))
def test_gaps_in_times_are_warned_of(name, build):
    longer = INDEXES[name]
    series = build(longer)
    known = [0, 1, 2, 3, 5, 6]
    series = [s.iloc[known] for s in series] if isinstance(series, list) else series.iloc[known]
    times = longer.get_level_values(-1)
    message = re.escape(f"not evenly spaced: {times[5]} comes after {times[3]}. ")
    with pytest.warns(UserWarning, match=message + r".*x\.asfreq"):
        cut(series)


def test_gaps_filled_as_told_are_steps_that_are_missing():
    frame = pd.DataFrame(ONE, index=DAYS, columns=["u", "v"]).drop(DAYS[4])
    assert_array_equal(make_windows(frame.asfreq("D"), 2, per_step=True).X[3], gap(4)[3:5])
    make_windows(frame.to_numpy(), 2)


def test_business_days_are_even_where_pandas_knows_them():
    frame = pd.DataFrame(ONE, index=pd.DatetimeIndex(list(INDEXES["business days"])))
    with pytest.warns(UserWarning, match="not evenly spaced"):
        make_windows(frame, 2)
    make_windows(frame.asfreq("B"), 2)


def test_missing_times_and_many_series_in_one_frame_are_refused():
    index = DAYS.where(DAYS[3] != DAYS)
    with pytest.raises(ValueError, match="has times that are missing"):
        make_windows(pd.DataFrame(ONE, index=index), 2)
    panel = pd.concat({"a": pd.DataFrame(ONE, index=DAYS), "b": pd.DataFrame(ONE, index=DAYS)})
    with pytest.raises(ValueError, match=r"several levels.*groupby\(level=0\)"):
        make_windows(panel, 2)
    assert make_windows([x for _, x in panel.groupby(level=0)], 2).groups.max() == 1


@pytest.mark.parametrize("values", [DAYS, DAYS - DAYS[0], DAYS.tz_localize("UTC")])
def test_dates_are_no_series(values):
    for series in (values.to_series(), values.to_frame(), [values.to_series()]):
        with pytest.raises(ValueError):
            make_windows(series, 2)


# Leaks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 2, 5])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_time_series_splits_need_the_documented_gap(horizon, step):
    X, y, _ = make_windows(clock(60), 4, horizon, step)
    y = y.reshape(len(y), -1)
    assert (X.max(axis=(1, 2)) < y.min(axis=1)).all()
    gap = int(np.ceil(horizon / step)) - 1
    for train, test in TimeSeriesSplit(3, gap=gap).split(X):
        assert y[train].max() < y[test].min()
    if gap:
        for train, test in TimeSeriesSplit(3, gap=gap - 1).split(X):
            assert y[train].max() >= y[test].min()


def test_groups_keep_series_apart():
    series = [clock(T, start=100 * i) for i, T in enumerate([9, 5, 12, 7])]
    X, y, groups = make_windows(series, 3)
    for train, test in GroupKFold(4).split(X, y, groups):
        assert len({*(X[train] // 1000).ravel(), *(y[train] // 1000)}) == 3
        assert not np.isin(X[test] // 1000, X[train] // 1000).any()


NET = {"hidden_layer_sizes": 8, "max_iter": 30, "random_state": 0}
learning = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@learning
def test_waves_can_be_forecast_and_noise_cannot():
    rng = np.random.default_rng(0)
    model = make_pipeline(StepTransformer(StandardScaler()), RNNRegressor(**NET))
    waves = [np.sin(0.4 * np.arange(80) + phase) for phase in rng.uniform(0, 6, size=4)]
    noise = [rng.normal(size=80) for _ in range(4)]
    for series, low, high in ((waves, 0.9, 1.0), (noise, -np.inf, 0.05)):
        X, y, groups = make_windows(series, 8)
        scores = cross_val_score(model, X, y, groups=groups, cv=GroupKFold(2))
        assert low < scores.mean() < high
        X, y, _ = make_windows(np.concatenate(series), 8, horizon=2)
        scores = cross_val_score(model, X, y, cv=TimeSeriesSplit(2, gap=1))
        assert low - 0.2 < scores.mean() < high


@learning
def test_a_net_with_outputs_per_step_learns_from_them_and_forecasts():
    series = np.sin(0.4 * np.arange(120))
    X, y, _ = make_windows(series[:-5], 10, per_step=True)
    net = RNNRegressor(readout="step", **NET).fit(X, y)
    assert net.score(X, y) > 0.9
    assert net.forecast(series[None, -15:-5, None], 5).shape == (1, 5)


# Errors ---------------------------------------------------------------------------------------


def test_series_that_are_too_short_are_named_or_skipped():
    series = [clock(5), clock(4), clock(9)]
    message = r"Series 1 has 4 steps, but .* length \+ horizon = 5.*short='skip'"
    with pytest.raises(ValueError, match=message):
        make_windows(series, 3, 2)
    assert make_windows(series, 3, 2, short="skip").groups.tolist() == [0, 2, 2, 2, 2, 2]
    with pytest.raises(ValueError, match="Series 0 has 5 steps"):
        make_windows(series, 9, short="skip")
    with pytest.raises(ValueError, match="short='ignore'"):
        make_windows(series, 3, short="ignore")


@pytest.mark.parametrize("name", ["length", "horizon", "step"])
def test_numbers_out_of_range_are_named(name):
    with pytest.raises(ValueError, match=name):
        make_windows(ONE, **({"length": 2} | {name: 0}))
    with pytest.raises(TypeError, match=name):
        make_windows(ONE, **({"length": 2} | {name: 1.5}))


@pytest.mark.parametrize(
    "targets",
    [2, -3, "w", [0, "u"], [], 0.5, True, [True], [True, 0], [False, False], [True] * 3, np.True_],
)
def test_targets_that_are_not_columns_are_refused(targets):
    with pytest.raises(ValueError, match="must name columns from 0 to 1"):
        make_windows(ONE, 2, targets=targets)


def test_errors_list_the_names_of_columns():
    with pytest.raises(ValueError, match=r"targets='w' must name columns of \['u', 'v'\]"):
        make_windows(CONTAINERS["polars"], 2, targets="w")


def test_other_data_than_series_are_refused():
    with pytest.raises(ValueError, match="Sequence 1 has steps of 1 features"):
        make_windows([clock(9, 2), clock(9)], 2)
    with pytest.raises(ValueError, match="Found 0 sample"):
        make_windows([], 2)
    with pytest.raises(ValueError, match="Sequence 0"):
        make_windows(["ab", "cd"], 1)


# The transformer ------------------------------------------------------------------------------


@given(T=st.integers(1, 12), D=st.integers(1, 3), length=st.integers(1, 6))
def test_a_row_becomes_the_window_that_ends_with_it(T, D, length):
    X = clock(T, D)
    out = SlidingWindows(length).fit_transform(X)
    assert out.shape == (T, length, D)
    for t, window in enumerate(out):
        known = X[max(0, t + 1 - length) : t + 1]
        assert_array_equal(window[length - len(known) :], known)
        assert np.isnan(window[: length - len(known)]).all()


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_frames_have_their_names_checked(make):
    frame = make({"u": ONE[:, 0], "v": ONE[:, 1]})
    transformer = SlidingWindows(2)
    with config_context(transform_output="pandas"):
        assert_array_equal(transformer.fit_transform(frame), SlidingWindows(2).fit_transform(ONE))
    assert transformer.n_features_in_ == 2
    if hasattr(transformer, "feature_names_in_"):  # scikit-learn 1.6 cannot read polars 2
        assert transformer.get_feature_names_out().tolist() == ["u", "v"]
        with pytest.raises(ValueError, match="feature names should match"):
            transformer.transform(make({"v": ONE[:, 0], "u": ONE[:, 1]}))


def test_absent_steps_stay_absent_and_float32_stays_float32():
    X = ONE.astype(np.float32)
    X[3] = np.nan
    with pytest.warns(UserWarning, match="The last step of 1 of 7 windows is missing"):
        out = SlidingWindows(2).fit_transform(X)
    assert out.dtype == np.float32
    assert_array_equal(out[3:5], [X[2:4], X[3:5]])


def test_sliding_windows_are_those_of_make_windows():
    X, y, _ = make_windows(ONE, 3, targets=0)
    rows = SlidingWindows(3).fit_transform(ONE[:-1])
    assert_array_equal(rows[2:], X)
    assert_array_equal(ONE[1:, 0][2:], y)


@learning
def test_the_length_of_a_window_can_be_searched_over():
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], size=(300, 1))
    y = np.roll(x[:, 0], 1)  # one step ago
    y[0] = 0
    model = make_pipeline(StandardScaler(), SlidingWindows(), RNNRegressor("rnn_tanh", **NET))
    search = GridSearchCV(model, {"slidingwindows__length": [1, 2]}, cv=TimeSeriesSplit(2))
    search.fit(x, y)
    assert search.best_params_ == {"slidingwindows__length": 2}
    assert search.best_score_ > 0.9 and search.cv_results_["mean_test_score"][0] < 0.05
    assert search.predict(x[-2:])[-1] == pytest.approx(search.predict(x)[-1])


def test_copies_are_the_transformer():
    transformer = SlidingWindows(2).fit(ONE)
    assert clone(transformer).get_params() == {"length": 2}
    copied = pickle.loads(pickle.dumps(transformer))
    assert_array_equal(copied.transform(ONE), transformer.transform(ONE))
    with pytest.raises(NotFittedError):
        SlidingWindows().transform(ONE)


def test_a_fit_that_fails_changes_nothing():
    transformer = SlidingWindows(2).fit(CONTAINERS["pandas"])
    before = vars(transformer).copy()
    for X in (ONE[None], [["a", "b"]], np.ones((0, 2))):
        with pytest.raises(ValueError):
            transformer.fit(X)
    assert vars(transformer) == before


@pytest.mark.parametrize("X", [ONE[None], [ONE], ONE[:, 0]])
def test_other_data_than_tables_are_refused(X):
    with pytest.raises(ValueError, match=r"dim 3|2D array"):
        SlidingWindows().fit(X)


def test_check_estimator():
    with pytest.warns(SkipTestWarning, match="requires input"):
        results = estimator_checks.check_estimator(SlidingWindows())
    assert results and {result["status"] for result in results} == {"passed"}


class OfTables(SlidingWindows):
    """Tagged as accepting tables, so that scikit-learn runs its checks of them."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


ORDERED = {"check_methods_sample_order_invariance", "check_methods_subset_invariance"}


@estimator_checks.parametrize_with_checks([OfTables(1), OfTables(3)])
def test_checks_that_make_tables(estimator, check):
    if estimator.length > 1 and check.func.__name__ in ORDERED:
        with pytest.raises(AssertionError, match="not invariant"):
            check(estimator)
    else:
        check(estimator)


@pytest.mark.parametrize("targets", [[[0]], [{0}], {"a": 0}, [None]])
def test_what_is_no_column_is_no_target(targets):
    with pytest.raises(ValueError, match=r"targets=.* must name columns"):
        make_windows(np.arange(9.0), 2, targets=targets)
