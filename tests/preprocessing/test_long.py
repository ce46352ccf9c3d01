"""Sequences of long frames, compared with groups of pandas; and predictions joined to frames."""

import datetime as dt
import pickle
import zoneinfo
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from skrnn import RNNClassifier, RNNRegressor
from skrnn.preprocessing import SequencesFromLong, StepTransformer, from_long, to_long

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
KEYS = {"id": "id", "time": "t"}
# Rows out of order; sorted by time, "a" has u = 3, 2 and "b" has u = 4, 1, 5.
ROWS = {
    "id": ["b", "a", "b", "a", "b"],
    "t": [3, 9, 1, 2, 7],
    "u": [1.0, 2.0, 4.0, 3.0, 5.0],
    "v": [10, 20, 40, 30, 50],
    "y": ["no", "yes", "no", "yes", "no"],
}
EXPECTED = [[[3, 30], [2, 20]], [[4, 40], [1, 10], [5, 50]]]
library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)


def lists(X):
    return [x.tolist() for x in X]


def without(*names):
    return {name: values for name, values in ROWS.items() if name not in names}


# Sequences ------------------------------------------------------------------------------------


@library
def test_rows_of_an_id_sorted_by_time_are_its_sequence(make):
    X, y, ids = result = from_long(make(ROWS), **KEYS, target="y")
    assert lists(X) == EXPECTED
    assert y.tolist() == ["yes", "no"]
    assert ids.tolist() == ["a", "b"]
    assert X.shape == (2,) and X.dtype == object and all(x.dtype == np.float64 for x in X)
    assert result._fields == ("X", "y", "ids")
    assert from_long(make(without("y")), **KEYS).y is None


@library
def test_columns_are_the_features_in_their_order(make):
    X = from_long(make(ROWS), **KEYS, columns=["v", "t", "u"]).X
    assert lists(X) == [
        [[30, 2, 3], [20, 9, 2]],
        [[40, 1, 4], [10, 3, 1], [50, 7, 5]],
    ]
    assert from_long(make(ROWS), **KEYS, columns="v").X[0].tolist() == [[30], [20]]


@library
def test_float32_stays_float32_if_all_columns_are(make):
    rows = ROWS | {"u": np.array(ROWS["u"], dtype=np.float32)}
    for time_delta in (False, True):
        X = from_long(make(rows), **KEYS, columns="u", time_delta=time_delta).X
        assert {x.dtype for x in X} == {np.dtype(np.float32)}
        X = from_long(make(rows), **KEYS, columns=["u", "v"], time_delta=time_delta).X
        assert {x.dtype for x in X} == {np.dtype(np.float64)}


@pytest.mark.parametrize(
    "build",
    [
        pl.DataFrame,
        pa.table,
        lambda rows: pa.table(rows).to_pandas(types_mapper=pd.ArrowDtype),
        lambda rows: pd.DataFrame(rows).convert_dtypes(),
    ],
    ids=["polars", "pyarrow", "pandas with arrow", "pandas nullable"],
)
def test_missing_features_are_nan(build):
    rows = {"id": [1, 1, 1], "t": [1, 2, 3], "i": [1, None, 3], "b": [True, False, None]}
    X = from_long(build(rows | {"f": [None, 0.5, np.nan]}), **KEYS).X
    assert_array_equal(X[0], [[1, 1, np.nan], [np.nan, 0, 0.5], [3, np.nan, np.nan]])


IDS = {
    "text": (["b", "a", "b", "a", "b"], ["a", "b"]),
    "integers": ([10, 9, 10, 9, 10], [9, 10]),
    "negative": ([1, -1, 1, -1, 1], [-1, 1]),
    "floats": ([0.5, -np.inf, 0.5, -np.inf, 0.5], [-np.inf, 0.5]),
    "booleans": ([True, False, True, False, True], [False, True]),
    "dates": (
        [dt.datetime(2020, 1, 1 + k) for k in (1, 0, 1, 0, 1)],
        np.array(["2020-01-01", "2020-01-02"], dtype="M8[us]").tolist(),
    ),
}


@library
@pytest.mark.parametrize(("values", "expected"), IDS.values(), ids=IDS)
def test_ids_are_ascending(make, values, expected):
    X, _, ids = from_long(make(ROWS | {"id": values}), **KEYS, columns=["u", "v"])
    assert ids.tolist() == expected
    assert lists(X) == EXPECTED


B_FIRST = pd.CategoricalDtype(["b", "c", "a"])
CATEGORIES = {
    "pandas": (pd.DataFrame(ROWS).astype({"id": B_FIRST, "y": "category"}), True),
    "pandas, sorted": (pd.DataFrame(ROWS).astype({"id": "category"}), False),
    "pandas, ordered": (
        pd.DataFrame(ROWS).astype({"id": pd.CategoricalDtype(["b", "a"], True)}),
        True,
    ),
    "polars": (pl.DataFrame(ROWS).with_columns(pl.col("id", "y").cast(pl.Categorical)), False),
    "polars Enum": (
        pl.DataFrame(ROWS).with_columns(pl.col("id").cast(pl.Enum(["b", "c", "a"]))),
        True,
    ),
    "pyarrow": (
        pa.table(ROWS).set_column(0, "id", pa.array(ROWS["id"]).dictionary_encode()),
        False,
    ),
}
categories = pytest.mark.parametrize(("frame", "b_first"), CATEGORIES.values(), ids=CATEGORIES)


@categories
def test_ids_that_are_categories_have_their_order(frame, b_first):
    X, y, ids = from_long(frame, **KEYS, target="y")
    order = -1 if b_first else 1
    assert lists(X) == EXPECTED[::order]
    assert ids.tolist() == ["a", "b"][::order] and y.tolist() == ["yes", "no"][::order]
    transformer = SequencesFromLong(time="t", columns=["u", "v"])
    assert lists(transformer.fit_transform(frame)) == EXPECTED[::order]
    out = to_long(y, like=frame, **KEYS, name="again")
    assert column(out, "again") == ROWS["y"]
    if isinstance(frame, pd.DataFrame):
        by_id = frame.groupby("id", observed=True)["u"]
        assert ids.tolist() == by_id.first().index.tolist()
    if isinstance(frame, pl.DataFrame):
        assert ids.tolist() == frame["id"].unique().sort().to_list()


def test_categories_need_not_be_text():
    frame = pd.DataFrame(ROWS | {"id": pd.Categorical([2, 1, 2, 1, 2], categories=[2, 1])})
    ids = from_long(frame, **KEYS, columns="u").ids
    assert ids.tolist() == [2, 1] and ids.dtype == np.int64


ZONE = zoneinfo.ZoneInfo("Europe/Berlin")
ZONED = pd.Series([pd.Timestamp(2024, 3, 31 - day, tz=ZONE) for day in (0, 1, 0, 1, 0)])
ZONED_FRAMES = {
    "pandas": lambda: pd.DataFrame(ROWS | {"id": ZONED}),
    "pandas, categories": lambda: pd.DataFrame(ROWS | {"id": ZONED.astype("category")}),
    "pandas with arrow": lambda: pd.DataFrame(
        ROWS | {"id": ZONED.astype(pd.ArrowDtype(pa.timestamp("us", "Europe/Berlin")))}
    ),
    "polars": lambda: pl.DataFrame(ROWS | {"id": pl.from_pandas(ZONED)}),
    "pyarrow": lambda: pa.table(ROWS | {"id": pa.Array.from_pandas(ZONED)}),
}


@pytest.mark.parametrize("build", ZONED_FRAMES.values(), ids=ZONED_FRAMES)
def test_ids_keep_their_time_zone(build):
    frame = build()
    X, y, ids = from_long(frame, **KEYS, columns=["u", "v"], y=ZONED.groupby(ZONED).count()[::-1])
    assert lists(X) == EXPECTED and y.tolist() == [2, 3]
    assert ids.tolist() == [ZONED[1], ZONED[0]]
    assert [id.tzinfo.key for id in ids] == ["Europe/Berlin"] * 2
    for other in (ids[::-1], ZONED[:2], pd.Index(ZONED[:2]), pl.from_pandas(ZONED[:2])):
        assert column(to_long([1, 2], like=frame, **KEYS, ids=other), "prediction") == [
            1,
            2,
            1,
            2,
            1,
        ]
    with pytest.raises(ValueError, match=r"each once: 2024-03-30 .* is missing"):
        to_long([1, 2], like=frame, **KEYS, ids=ZONED[:2].dt.tz_localize(None))


@library
def test_ids_that_are_dates_are_matched_whatever_they_are_in(make):
    dates = [dt.datetime(2020, 1, day) for day in (2, 1, 2, 1, 2)]
    frame = make(ROWS | {"id": dates})
    for other in (dates[:2], pd.Series(dates[:2]), pd.to_datetime(dates[:2]), pl.Series(dates[:2])):
        assert column(to_long([1, 2], like=frame, **KEYS, ids=other), "prediction") == [
            1,
            2,
            1,
            2,
            1,
        ]
    for other in (["a", "b"], [1, 2], pd.to_datetime(dates[:2], utc=True)):
        with pytest.raises(ValueError, match="each once: 2020-01-01 00:00:00 is missing"):
            to_long([1, 2], like=frame, **KEYS, ids=other)


# Times ----------------------------------------------------------------------------------------

DAY = 86400.0
DATES = [dt.datetime(2020, 1, day) for day in ROWS["t"]]
TIMES = {
    "integers": (ROWS["t"], 1.0),
    "int8": (np.array(ROWS["t"], dtype=np.int8), 1.0),
    "unsigned": (np.array(ROWS["t"], dtype=np.uint8), 1.0),
    "floats": ([t / 4 for t in ROWS["t"]], 0.25),
    "datetimes": (DATES, DAY),
    "zoned": ([date.replace(tzinfo=dt.UTC) for date in DATES], DAY),
    "durations": ([date - DATES[1] for date in DATES], DAY),
}


@library
@pytest.mark.parametrize(("times", "unit"), TIMES.values(), ids=TIMES)
def test_time_deltas_are_an_optional_feature(make, times, unit):
    X = from_long(make(ROWS | {"t": times}), **KEYS, columns="u", time_delta=True).X
    assert lists(X) == [[[3, 0], [2, 7 * unit]], [[4, 0], [1, 2 * unit], [5, 4 * unit]]]


@pytest.mark.parametrize(
    "make",
    [pl.DataFrame, pa.table, lambda rows: pa.table(rows).to_pandas(types_mapper=pd.ArrowDtype)],
)
@pytest.mark.parametrize(
    ("of", "unit"),
    [(lambda day: dt.date(2020, 1, day), DAY), (Decimal, 1.0)],
    ids=["date", "Decimal"],
)
def test_days_and_decimals_are_times(make, of, unit):
    frame = make(ROWS | {"t": [of(day) for day in ROWS["t"]]})
    X = from_long(frame, **KEYS, columns="v", time_delta=True).X
    assert lists(X) == [[[30, 0], [20, 7 * unit]], [[40, 0], [10, 2 * unit], [50, 4 * unit]]]


def test_local_times_are_sorted_as_they_passed():
    spring = pd.to_datetime(["2024-03-31 00:30", "2024-03-31 01:30"], utc=True)
    frame = pd.DataFrame({"id": 0, "t": spring.tz_convert("Europe/Berlin"), "u": [1.0, 2.0]})
    for rows in (frame, pl.from_pandas(frame)):
        assert from_long(rows, **KEYS, time_delta=True).X[0].tolist() == [[1, 0], [2, 3600]]


def test_nanoseconds_count():
    times = np.array([1, 0], dtype="M8[ns]")
    for make in LIBRARIES.values():
        X = from_long(make({"id": [0, 0], "t": times, "u": [1.0, 2.0]}), **KEYS).X
        assert X[0].tolist() == [[2], [1]]


def test_time_deltas_can_be_the_only_feature():
    X = from_long(pd.DataFrame(ROWS), **KEYS, columns=[], time_delta=True).X
    assert lists(X) == [[[0], [7]], [[0], [2], [4]]]


@library
@pytest.mark.parametrize("times", [["3", "9", "1", "2", "7"], [dt.time(k) for k in range(5)]])
def test_columns_that_are_not_times_are_refused(make, times):
    with pytest.raises(ValueError, match=r"Column 't' has the type .*Parse it first"):
        from_long(make(ROWS | {"t": times}), **KEYS, columns="u")


@library
def test_two_rows_of_the_same_id_and_time_are_refused_by_name(make):
    frame = make(ROWS | {"t": [3, 9, 3, 2, 3]})
    for call in (from_long, lambda frame, **keys: to_long([0, 0], like=frame, **keys)):
        with pytest.raises(ValueError, match="Two rows have id=b and t=3, the first of 2 such"):
            call(frame, **KEYS)


# Targets --------------------------------------------------------------------------------------


@library
def test_targets_per_step(make):
    X, y, _ = from_long(make(ROWS), **KEYS, columns="u", target="v", target_per_step=True)
    assert lists(y) == [[30, 20], [40, 10, 50]]
    assert y.dtype == object and all(len(a) == len(b) for a, b in zip(X, y, strict=True))


@library
def test_several_targets_are_columns(make):
    rows = ROWS | {"p": [1, 0, 1, 0, 1], "q": [0.5, 2.0, 0.5, 2.0, 0.5]}
    y = from_long(make(rows), **KEYS, columns="u", target=["p", "q"]).y
    assert_array_equal(y, [[0, 2], [1, 0.5]])
    y = from_long(make(rows), **KEYS, columns="u", target=["p", "v"], target_per_step=True).y
    assert lists(y) == [[[0, 30], [0, 20]], [[1, 40], [1, 10], [1, 50]]]


@library
def test_a_target_that_varies_within_an_id_is_refused_by_name(make):
    rows = ROWS | {"y": ["yes", "no", "yes", "no", "no"]}
    message = "Target 'y' is not constant for id=b: it is yes and no. .*target_per_step=True"
    with pytest.raises(ValueError, match=message):
        from_long(make(rows), **KEYS, target="y")


@library
@pytest.mark.parametrize("column", ["id", "t", "y"])
def test_missing_ids_times_and_targets_are_refused(make, column):
    values = list(ROWS[column])
    values[2] = None
    with pytest.raises(ValueError, match=f"Row 2 has no '{column}': it is null or NaN"):
        from_long(make(ROWS | {column: values}), **KEYS, target="y")


def test_nan_is_not_a_time():
    for make in LIBRARIES.values():
        with pytest.raises(ValueError, match="Row 1 has no 't'"):
            from_long(make({"id": [0, 0], "t": [0.0, np.nan], "u": [1, 2]}), **KEYS)


def test_a_target_is_not_a_feature():
    frame = pd.DataFrame(ROWS)
    X = from_long(frame[["id", "t", "u", "v"]], **KEYS, target="v", target_per_step=True).X
    assert lists(X) == [[[3], [2]], [[4], [1], [5]]]
    with pytest.raises(ValueError, match="'v' is both the target and among columns"):
        from_long(frame, **KEYS, columns=["u", "v"], target="v", target_per_step=True)


# Targets beside the frame ---------------------------------------------------------------------


@categories
def test_a_series_indexed_by_id_is_aligned(frame, b_first):
    order = -1 if b_first else 1
    for index in (["b", "a"], ["a", "b"], pd.CategoricalIndex(["b", "a"])):
        y = pd.Series(["no" if id == "b" else "yes" for id in index], index=index)
        X, y, _ = from_long(frame, **KEYS, columns=["u", "v"], y=y)
        assert lists(X) == EXPECTED[::order] and y.tolist() == ["yes", "no"][::order]
    y = pd.DataFrame({"p": [1, 2], "q": [3, 4]}, index=["b", "a"])
    assert_array_equal(from_long(frame, **KEYS, columns="u", y=y).y, [[2, 4], [1, 3]][::order])


@library
@pytest.mark.parametrize(
    "y", [["yes", "no"], np.array(["yes", "no"]), pl.Series(["yes", "no"])], ids=str
)
def test_other_targets_are_in_the_order_of_the_ids(make, y):
    assert from_long(make(ROWS), **KEYS, columns="u", y=y).y.tolist() == ["yes", "no"]
    with pytest.raises(ValueError, match="y has 3 targets, but the frame has 2 different 'id'"):
        from_long(make(ROWS), **KEYS, columns="u", y=[1, 2, 3])


def test_masked_targets_stay_masked():
    y = np.ma.array([1.0, 2.0], mask=[True, False])
    assert from_long(pd.DataFrame(ROWS), **KEYS, columns="u", y=y).y.mask.tolist() == [True, False]


@library
@pytest.mark.parametrize(
    ("index", "problem"),
    [
        (["a", "c"], "b is missing"),
        (["b", "a", "b"], "b is there twice"),
        (["a", "d", "b", "c"], "d is no id of the frame"),
        (None, "a is missing"),
        ([("a", 1), ("b", 1)], "a is missing"),
    ],
)
def test_a_series_that_does_not_have_every_id_once_is_refused(make, index, problem):
    y = pd.Series(range(len(index or "ab")), index=index)
    message = rf"The index of y must have each 'id' .*groupby\('id'\).*but {problem}"
    with pytest.raises(ValueError, match=message):
        from_long(make(ROWS), **KEYS, columns="u", y=y)


def test_targets_are_in_the_frame_or_beside_it():
    for wrong in ({"target": "y"}, {"target_per_step": True}):
        with pytest.raises(ValueError, match="excludes target and target_per_step"):
            from_long(pd.DataFrame(ROWS), **KEYS, columns="u", y=[1, 2], **wrong)


# Dates are no numbers -------------------------------------------------------------------------

TEMPORAL = {
    "datetimes": DATES,
    "zoned": [date.replace(tzinfo=dt.UTC) for date in DATES],
    "dates": [date.date() for date in DATES],
    "durations": [date - DATES[1] for date in DATES],
    "times": [dt.time(k) for k in range(5)],
}
temporal = pytest.mark.parametrize("values", TEMPORAL.values(), ids=TEMPORAL)


@library
@temporal
def test_dates_are_no_features(make, values):
    frame = make(ROWS | {"v": values})
    message = (
        r"Column 'v' has the type .*dates, times and durations.*pd\.Timedelta.*time_delta=True"
    )
    for call in (
        lambda: from_long(frame, **KEYS, target="y"),
        lambda: from_long(frame, **KEYS, columns=["u", "v"]),
        lambda: SequencesFromLong(time="t", columns=["v"]).fit(frame),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@library
@temporal
def test_dates_are_no_targets(make, values):
    frame = make(ROWS | {"v": values})
    for per_step in (False, True):
        for target in ("v", ["u", "v"]):
            with pytest.raises(ValueError, match="Target 'v' holds dates, times or durations"):
                from_long(
                    frame,
                    **KEYS,
                    columns=[],
                    time_delta=True,
                    target=target,
                    target_per_step=per_step,
                )
    for y in (values[:2], pd.Series(values[:2], index=["b", "a"]), np.array(values[:2])):
        with pytest.raises(ValueError, match=r"y holds dates.*pd\.Timedelta"):
            from_long(frame, **KEYS, columns="u", y=y)


# Errors ---------------------------------------------------------------------------------------


@library
def test_columns_that_do_not_exist_are_named(make):
    frame = make(ROWS)
    for wrong in ({"id": "x"}, {"time": "x"}, {"columns": ["u", "x"]}, {"target": "x"}):
        with pytest.raises(ValueError, match=r"There is no column 'x': the frame has .*'id', 't'"):
            from_long(frame, **(KEYS | {"columns": "u"} | wrong))


def test_names_of_columns_may_be_integers_and_are_no_mask():
    frame = pd.DataFrame(ROWS).rename(columns={"u": 0, "v": 1})
    assert lists(from_long(frame, **KEYS, target="y").X) == EXPECTED
    assert lists(from_long(frame, **KEYS, columns=[1]).X) == [[[30], [20]], [[40], [10], [50]]]
    with pytest.raises(ValueError, match="There is no column True"):
        from_long(frame, **KEYS, columns=[True, False])


@library
def test_features_that_are_not_numbers_are_refused(make):
    with pytest.raises(ValueError, match=r"Column 'y' has the type .*features are numbers"):
        from_long(make(ROWS), **KEYS)
    with pytest.raises(ValueError, match="No column is left"):
        from_long(make({"id": [1], "t": [1]}), **KEYS)
    with pytest.raises(ValueError, match="the frame has no rows"):
        from_long(make({"id": [], "t": [], "u": []}), **KEYS)


@pytest.mark.parametrize("frame", [ROWS, np.ones((3, 3)), [[1, 2]], pd.Series([1]), None])
def test_other_data_than_frames_are_refused(frame):
    with pytest.raises(TypeError, match="pass a DataFrame"):
        from_long(frame, **KEYS)


def test_a_lazy_frame_must_be_collected():
    with pytest.raises(TypeError, match=r"pass frame\.collect\(\)"):
        from_long(pl.LazyFrame(ROWS), **KEYS)


@pytest.mark.parametrize("ids", [[1, "a"], [[1], [2]]])
def test_ids_must_be_sortable(ids):
    with pytest.raises(TypeError, match="ids in 'id' are not sortable"):
        from_long(pd.DataFrame({"id": ids, "t": 1, "u": 1.0}), **KEYS)


# Joining predictions --------------------------------------------------------------------------


def column(frame, name):
    return frame[name].to_pylist() if isinstance(frame, pa.Table) else frame[name].to_list()


PREDICTIONS = {
    "per step": ([np.array([3, 2]), np.array([4, 1, 5])], ROWS["u"]),
    "per step, lists": ([[3, 2], [4, 1, 5]], ROWS["u"]),
    "per step, text": ([list("ab"), list("cde")], list("dbcae")),
    "per step, one output": ([np.array([[3], [2]]), np.array([[4], [1], [5]])], None),
    "per sequence": (np.array([0.5, 1.5]), [1.5, 0.5, 1.5, 0.5, 1.5]),
    "per sequence, text": (np.array(["yes", "no"], dtype=object), ["no", "yes", "no", "yes", "no"]),
    "per sequence, list": ([1, 2], [2, 1, 2, 1, 2]),
    "per sequence, Series": (pd.Series([1, 2]), [2, 1, 2, 1, 2]),
    "per sequence, Series by id": (pd.Series([2, 1], index=["b", "a"]), [2, 1, 2, 1, 2]),
    "per sequence, masked": (
        np.ma.array(["yes", "no"], mask=[False, True]),
        [None, "yes", None, "yes", None],
    ),
}


@library
@pytest.mark.parametrize(("predictions", "expected"), PREDICTIONS.values(), ids=PREDICTIONS)
def test_predictions_are_joined_to_their_rows(make, predictions, expected):
    frame = make(ROWS)
    out = to_long(predictions, like=frame, **KEYS)
    assert type(out) is type(frame)
    name = "prediction_0" if expected is None else "prediction"
    values = [None if pd.isna(value) else value for value in column(out, name)]
    assert values == (expected or ROWS["u"])
    columns = out.column_names if isinstance(out, pa.Table) else list(out.columns)
    assert columns == [*ROWS, name]
    assert all(column(out, name) == column(frame, name) for name in ROWS)
    assert "prediction" not in str(frame)


@library
def test_several_outputs_are_several_columns(make):
    frame = make({"id": [1, 0, 0, 1], "t": [0, 1, 0, 1]})
    block = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    out = to_long(block, like=frame, **KEYS)
    assert column(out, "prediction_0") == [4, 2, 0, 6]
    assert column(out, "prediction_1") == [5, 3, 1, 7]
    out = to_long(block[:, :, :1], like=frame, **KEYS, name=["p"])
    assert column(out, "p") == [4, 2, 0, 6]
    out = to_long(block[:, :, 0], like=frame, **KEYS, per_step=True)
    assert column(out, "prediction") == [4, 2, 0, 6]
    assert to_long(block, like=pl.DataFrame(frame), **KEYS)["prediction_0"].dtype == pl.Float32


@library
@pytest.mark.parametrize("K", [1, 2, 3, 4])
def test_several_outputs_per_sequence_are_repeated_in_its_rows(make, K):
    proba = np.arange(2 * K, dtype=np.float32).reshape(2, K)
    given = {} if K != 3 else {"per_step": False}  # "b" has 3 steps
    for predictions in (proba, pd.DataFrame(proba), pd.DataFrame(proba, index=["a", "b"])):
        out = to_long(predictions, like=make(ROWS), **KEYS, **given)
        for k in range(K):
            expected = [proba[int(id == "b"), k] for id in ROWS["id"]]
            assert column(out, f"prediction_{k}") == expected
    out = to_long(proba.tolist(), like=make(ROWS), **KEYS, per_step=False)
    assert column(out, f"prediction_{K - 1}") == expected


@library
def test_outputs_that_may_be_steps_are_refused(make):
    frame = make({"id": [1, 0, 0, 1], "t": [0, 1, 0, 1]})
    predictions = np.array([[0.0, 1.0], [2.0, 3.0]])
    with pytest.raises(
        ValueError, match=r"2 outputs per sequence, or one per step\. Pass per_step"
    ):
        to_long(predictions, like=frame, **KEYS)
    out = to_long(predictions, like=frame, **KEYS, per_step=True)
    assert column(out, "prediction") == [2, 1, 0, 3]
    out = to_long(predictions, like=frame, **KEYS, per_step=False)
    assert column(out, "prediction_1") == [3, 1, 1, 3]
    for per_step in (None, True):  # as from a net with readout="step"
        out = to_long(list(predictions), like=frame, **KEYS, per_step=per_step)
        assert column(out, "prediction") == [2, 1, 0, 3]


@library
def test_masked_predictions_are_missing(make):
    frame = make({"id": [1, 0, 0, 1], "t": [0, 1, 0, 1]})
    block = np.ma.masked_equal(np.arange(8).reshape(2, 2, 2), 4)
    for predictions in (block, list(block)):
        out = to_long(predictions, like=frame, **KEYS)
        assert_array_equal(column(out, "prediction_0"), [np.nan, 2, 0, 6])
        assert column(out, "prediction_1") == [5, 3, 1, 7]
    for predictions in (block[0], block[0].astype(np.float32)):
        predictions[0, 1] = np.ma.masked
        out = to_long(predictions, like=frame, **KEYS, per_step=False)
        assert_array_equal(column(out, "prediction_1"), [3, np.nan, np.nan, 3])
    text = np.ma.array([["p", "q"], ["r", "s"]], mask=[[0, 1], [0, 0]])
    out = to_long(text, like=frame, **KEYS, per_step=True)
    assert [None if pd.isna(value) else value for value in column(out, "prediction")] == [
        "r",
        None,
        "p",
        "s",
    ]


def test_the_index_of_pandas_is_kept():
    frame = pd.DataFrame(ROWS, index=[7, 3, 3, "x", 1])
    out = to_long(from_long(frame, **KEYS, columns="u").X, like=frame, **KEYS, name=["again"])
    assert out.index.equals(frame.index)
    assert_array_equal(out["again"], frame["u"])


@library
def test_predictions_in_another_order_need_their_ids(make):
    X, _, ids = from_long(make(ROWS), **KEYS, columns="u")
    out = to_long(X[::-1], like=make(ROWS), **KEYS, name=["again"], ids=ids[::-1])
    assert column(out, "again") == ROWS["u"]
    for wrong, problem in {"aa": "a is there twice", "ac": "b is missing"}.items():
        with pytest.raises(ValueError, match=f"of the column 'id', each once: {problem}"):
            to_long(X, like=make(ROWS), **KEYS, ids=list(wrong))
    with pytest.raises(ValueError, match=r"ids have the shape \(2, 1\)"):
        to_long(X, like=make(ROWS), **KEYS, ids=[["a"], ["b"]])
    by_id = pd.DataFrame({"p": ["yes", "no"]}, index=["a", "b"])
    assert column(to_long(by_id["p"], like=make(ROWS), **KEYS), "prediction") == ROWS["y"]
    with pytest.raises(ValueError, match="each once: a is missing"):
        to_long(by_id["p"].set_axis(["b", "c"]), like=make(ROWS), **KEYS)


def test_predictions_that_do_not_fit_are_refused():
    frame = pd.DataFrame(ROWS)
    with pytest.raises(ValueError, match="There are 3 predictions, but the frame has 2 different"):
        to_long([1, 2, 3], like=frame, **KEYS)
    with pytest.raises(ValueError, match="There are 2 predictions for id=b, which has 3 rows"):
        to_long(np.ones((2, 2)), like=frame, **KEYS, per_step=True)
    with pytest.raises(ValueError, match="per_step=True, but predictions are one number or label"):
        to_long([1, 2], like=frame, **KEYS, per_step=True)
    for wrong in (np.ones((2, 3, 2)), [[1, 2], [1, 2, 3]]):
        with pytest.raises(ValueError, match=r"expected an array \(n,\) or \(n, K\)"):
            to_long(wrong, like=frame, **KEYS, per_step=False)
    for wrong in ([1, [1, 2, 3]], [[1, 2], 3], [[[1], [2]], [[1, 1]] * 3]):
        with pytest.raises(ValueError, match=r"Predictions .*differ in shape"):
            to_long(wrong, like=frame, **KEYS)
    for per_step in (None, False, True):
        with pytest.raises(ValueError, match="There are 0 predictions"):
            to_long([], like=frame, **KEYS, per_step=per_step)
    with pytest.raises(ValueError, match="has a column 'u' already: choose another by name="):
        to_long([1, 2], like=frame, **KEYS, name="u")
    for scalar in (1.0, "a", None, len):
        with pytest.raises(ValueError, match=r"predictions are .*expected one item per sequence"):
            to_long(scalar, like=frame, **KEYS)
    with pytest.raises(ValueError, match="predictions, of dtype complex128, cannot be a column"):
        to_long(np.ones(2) * 1j, like=pa.Table.from_pandas(frame), **KEYS)
    with pytest.raises(ValueError, match="has 2 names for 1 outputs"):
        to_long([1, 2], like=frame, **KEYS, name=["p", "q"])


LONG = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(-50, 50), st.floats(allow_nan=False, width=32)),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:2],
)


@library
@given(rows=LONG, random=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_and_to_long_inverts_from_long(make, rows, random):
    def frame(rows):
        ids, times, values = zip(*rows, strict=True)
        return make({"id": ids, "t": times, "u": values})

    X, _, ids = from_long(frame(rows), **KEYS, time_delta=True)
    by_hand = pd.DataFrame(rows, columns=["id", "t", "u"]).sort_values("t").groupby("id")
    assert ids.tolist() == list(by_hand.groups)
    for x, (_, group) in zip(X, by_hand, strict=True):
        assert_array_equal(x[:, 0], group["u"])
        assert_array_equal(x[:, 1], group["t"].diff().fillna(0))
    shuffled = random.sample(rows, len(rows))
    again = from_long(frame(shuffled), **KEYS, time_delta=True)
    assert lists(again.X) == lists(X) and again.ids.tolist() == ids.tolist()
    joined = to_long([x[:, 0] for x in X], like=frame(shuffled), **KEYS, name="again")
    assert column(joined, "again") == column(joined, "u")


# With the estimators --------------------------------------------------------------------------


def walks(n=12):
    """A long frame of n walks, with a class per walk and the sum so far per step."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.repeat(np.arange(n), rng.integers(2, 6, size=n))})
    frame["t"] = frame.groupby("id").cumcount()
    frame["u"] = rng.normal(size=len(frame))
    frame["label"] = np.where(frame["id"] % 2, "odd", "even")
    frame["sum"] = frame.groupby("id")["u"].cumsum()
    return frame.sample(frac=1, random_state=0)


NET = {"hidden_layer_sizes": 4, "max_iter": 2, "tol": 10.0, "n_iter_no_change": 1}


def test_cross_validated_predictions_per_step_are_joined_to_the_frame():
    frame = walks()
    X, y, _ = from_long(frame, **KEYS, columns="u", target="sum", target_per_step=True)
    net = RNNRegressor(readout="step", random_state=0, **NET)
    predicted = cross_val_predict(net, X, y, cv=3)
    out = to_long(predicted, like=frame, **KEYS)
    assert out.index.equals(frame.index)
    for i, part in out.sort_values("t").groupby("id"):
        assert_array_equal(part["prediction"], predicted[i])


def test_predictions_for_a_test_part_are_joined_by_ids():
    frame = walks()
    X, y, ids = from_long(frame, **KEYS, columns="u", target="label")
    X, X_test, y, y_test, _, ids_test = train_test_split(X, y, ids, random_state=0)
    assert (np.diff(ids_test) < 0).any()
    part = frame[frame["id"].isin(ids_test)]
    out = to_long(y_test, like=part, **KEYS, ids=ids_test)
    assert_array_equal(out["prediction"], out["label"])
    proba = RNNClassifier(random_state=0, **NET).fit(X, y).predict_proba(X_test)
    out = to_long(proba[:, 1], like=part, **KEYS, ids=ids_test, name="odd").drop_duplicates("id")
    assert_array_equal(out.set_index("id").loc[ids_test, "odd"], proba[:, 1])


# The transformer ------------------------------------------------------------------------------


@library
@pytest.mark.parametrize("time_delta", [False, True])
def test_the_transformer_is_from_long(make, time_delta):
    transformer = SequencesFromLong(time="t", columns=["v", "u"], time_delta=time_delta)
    expected = from_long(make(ROWS), **KEYS, columns=["v", "u"], time_delta=time_delta).X
    assert lists(transformer.fit_transform(make(ROWS))) == lists(expected)
    assert transformer.n_features_in_ == 2
    assert transformer.feature_names_in_.tolist() == ["v", "u"]
    names = ["v", "u", "t_delta"] if time_delta else ["v", "u"]
    assert transformer.get_feature_names_out().tolist() == names
    with config_context(transform_output="pandas"):
        assert lists(transformer.fit_transform(make(ROWS))) == lists(expected)


@library
def test_the_transformer_uses_the_columns_of_the_fit(make):
    transformer = SequencesFromLong(time="t").fit(make(without("y")))
    other = {name: ROWS[name] for name in ("y", "v", "id", "u", "t")}
    assert lists(transformer.transform(make(other))) == EXPECTED
    with pytest.raises(ValueError, match="There is no column 'u'"):
        transformer.transform(make(without("u")))


def test_a_pipeline_accepts_long_frames():
    frame = walks()
    _, y, _ = from_long(frame, **KEYS, columns="u", target="label")
    pipeline = make_pipeline(
        SequencesFromLong(time="t", columns=["u"], time_delta=True),
        StepTransformer(StandardScaler()),
        RNNClassifier(random_state=0, **NET),
    )
    pipeline.fit(frame, y)
    X = from_long(frame, **KEYS, columns="u", time_delta=True).X
    alone = clone(pipeline[1:]).fit(X, y)
    assert_allclose(pipeline.predict_proba(frame), alone.predict_proba(X))
    out = to_long(pipeline.predict(frame), like=frame, **KEYS)
    assert_array_equal(out.drop_duplicates("id").sort_values("id")["prediction"], alone.predict(X))


def test_a_fit_that_fails_changes_nothing():
    transformer = SequencesFromLong(time="t", columns=["u"]).fit(pd.DataFrame(ROWS))
    before = vars(transformer).copy()
    for frame in (ROWS, pd.DataFrame(without("u")), pd.DataFrame(without("t"))):
        with pytest.raises((TypeError, ValueError)):
            transformer.fit(frame)
    assert vars(transformer) == before


def test_copies_are_the_transformer():
    transformer = SequencesFromLong(time="t", columns=["u", "v"]).fit(pd.DataFrame(ROWS))
    assert clone(transformer).get_params() == transformer.get_params()
    copied = pickle.loads(pickle.dumps(transformer))
    assert lists(copied.transform(pl.DataFrame(ROWS))) == EXPECTED


def test_an_unfitted_transformer_says_so():
    for method in ("transform", "get_feature_names_out"):
        with pytest.raises(NotFittedError):
            getattr(SequencesFromLong(), method)(pd.DataFrame(ROWS))


@pytest.mark.parametrize(
    ("parameter", "value"), [("id", 3), ("time", None), ("columns", 1), ("time_delta", "yes")]
)
def test_parameters_out_of_range_are_named(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of SequencesFromLong must"):
        SequencesFromLong(**{parameter: value}).fit(pd.DataFrame(ROWS))


def test_check_estimator():
    with pytest.warns(SkipTestWarning, match="requires input"):  # most checks make tables
        results = estimator_checks.check_estimator(SequencesFromLong())
    assert results and {result["status"] for result in results} == {"passed"}


@pytest.mark.parametrize(
    "name",
    [
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_get_params_invariance",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_param_validation",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_transformer_n_iter",
        "check_valid_tag_types",
    ],
)
def test_checks_that_need_no_table(name):
    getattr(estimator_checks, name)("SequencesFromLong", SequencesFromLong())


@pytest.mark.parametrize("y", [1, len, "ab"])
def test_a_scalar_is_no_target(y):
    with pytest.raises(ValueError, match=r"y is .*one target for each 'id'"):
        from_long(pd.DataFrame(ROWS), **KEYS, columns="u", y=y)


@pytest.mark.parametrize("name", ["columns", "target"])
def test_names_of_columns_that_are_numbers_are_said_to_be_missing(name):
    with pytest.raises(ValueError, match="There is no column 1"):
        from_long(pd.DataFrame(ROWS), **KEYS, **{"columns": "u"} | {name: 1})


def test_a_transformer_is_as_before_if_it_cannot_transform_what_it_was_fitted_on():
    transformer = SequencesFromLong(**KEYS, columns=["u"]).fit(pd.DataFrame(ROWS))
    before = vars(transformer).copy()
    frame = pd.DataFrame(ROWS)[[*KEYS.values(), "u"]].astype({KEYS["time"]: str})
    with pytest.raises(ValueError, match="times are numbers"):
        transformer.fit_transform(frame)
    assert vars(transformer) == before
