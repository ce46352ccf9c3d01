"""Random calls, of which `benchmarks/fuzz.py` makes more; and what must be refused."""

import datetime as dt

import numpy as np
import pytest
from _fuzz import draw_call, judge

from _factories import (
    classifier,
    make_cube,
    make_sequences,
    objects,
    regressor,
    state,
    step_classifier,
    step_regressor,
)
from skrnn.preprocessing import StepTransformer, from_long, make_windows

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The first call of partial_fit:UserWarning"),
]

N_CALLS = 320


@pytest.mark.parametrize("part", range(8))
def test_every_call_works_or_is_refused_in_words(part):
    for number in range(part, N_CALLS, 8):
        call = draw_call(0, number)
        finding = judge(call).finding
        assert not finding, f"call {number}: {call}\n{finding}"


# what must be refused -------------------------------------------------------------------------

X = make_sequences((3, 2, 4, 2, 5, 3))
CUBE = make_cube(6, 3)
Y = np.array([0, 1] * 3)
DATES = np.arange(6).astype("M8[D]")
DATED = [x.astype("i8").astype("M8[D]") for x in X]
STEPS = [np.arange(len(x)) % 2 for x in X]
DATED_STEPS = [np.arange(len(x)).astype("m8[s]") for x in X]
VAL = {"X_val": X, "y_val": Y}

FITS = {  # arguments of fit, and words
    "dates in X": ({"X": DATED}, "Sequence 0 holds datetime64"),
    "dates in a 3-D X": ({"X": CUBE.astype("m8[s]")}, "X holds timedelta64"),
    "a date in X": ({"X": [[[dt.date(2020, 1, 1)]], *[[[1.0]]] * 5]}, "Sequence 0 holds datetime"),
    "dates in y": ({"y": DATES}, "y holds dates"),
    "dates in sample_weight": ({"sample_weight": DATES}, "sample_weight holds dates"),
    "dates in X_val": (VAL | {"X_val": DATED}, "X_val.*Sequence 0 holds datetime64"),
    "dates in y_val": (VAL | {"y_val": DATES}, "y_val.*holds dates"),
    "dates in weights": (VAL | {"sample_weight_val": DATES}, "sample_weight_val.*holds dates"),
    "complex y": ({"y": Y + 1j}, "Complex data not supported: y is complex"),
    "complex objects in y": ({"y": (Y + 1j).astype(object)}, "y is complex"),
    "groups that do nothing": ({"groups": Y}, "groups were passed, but early_stopping=False"),
    "X_val alone": ({"X_val": X}, "X_val and y_val go together"),
    "y_val alone": ({"y_val": Y}, "X_val and y_val go together"),
    "weights of nothing": ({"sample_weight_val": np.ones(6)}, "X_val and y_val go together"),
    "groups and X_val": (VAL | {"groups": Y}, "groups choose what to hold out, but X_val"),
    "no y": ({"y": None}, "requires y to be passed"),
    "a function as y": ({"y": objects([len] * 6)}, "y |Unknown label type"),
}


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(("arguments", "words"), FITS.values(), ids=FITS)
def test_a_fit_refuses(arguments, words, make):
    estimator = make(early_stopping=False).fit(X, Y)
    before = state(estimator)
    with pytest.raises((TypeError, ValueError), match=words):
        estimator.fit(**{"X": X, "y": Y} | arguments)
    assert state(estimator) == before


@pytest.mark.parametrize("make", [step_classifier, step_regressor])
def test_a_fit_per_step_refuses_times(make):
    with pytest.raises(ValueError, match="y holds dates"):
        make().fit(X, DATED_STEPS)
    with pytest.raises(ValueError, match="sample_weight holds dates"):
        make().fit(X, STEPS, sample_weight=DATED_STEPS)


PARAMETERS = {
    "unknown scorer": ({"scoring": "acuracy"}, r"scoring='acuracy'.*Did you mean 'accuracy'"),
    "no scorer": ({"scoring": 1}, "'scoring' parameter"),
    "unknown scorer that is not needed": (
        {"scoring": "roc", "early_stopping": False},
        r"scoring='roc' is neither \"loss\"",
    ),
    "True units": ({"hidden_layer_sizes": True}, "hidden_layer_sizes must be integers"),
    "a layer of True units": ({"hidden_layer_sizes": (2, True)}, "hidden_layer_sizes must be"),
}


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(("parameters", "words"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters_are_refused(parameters, words, make):
    with pytest.raises(ValueError, match=words):
        make(**parameters).fit(X, Y)


@pytest.mark.parametrize("make", [classifier, step_classifier])
@pytest.mark.parametrize("classes", [None, [], ()])
def test_a_first_partial_fit_needs_all_classes(classes, make):
    y = Y if make is classifier else STEPS
    with pytest.raises(ValueError, match=r"first call, all labels.*classes=np\.unique\(y\)"):
        make().partial_fit(X, y, classes=classes)
    make().partial_fit(X, y, classes=[0, 1]).partial_fit(X, y)
    make().fit(X, y).partial_fit(X, y)


def test_several_labels_are_known_from_their_columns():
    assert classifier().partial_fit(X, np.column_stack([Y, Y])).n_outputs_ == 2


COUNTS = {
    "True": (True, TypeError),
    "negative": (-1, ValueError),
    "zero": (0, ValueError),
    "a float": (2.0, TypeError),
    "text": ("2", TypeError),
    "None": (None, TypeError),
}


@pytest.mark.parametrize(("n", "error"), COUNTS.values(), ids=COUNTS)
def test_counts_are_integers_from_one(n, error):
    net = step_regressor().fit([x[:-1] for x in X], [x[1:] for x in X])
    with pytest.raises(error, match=r"n_steps"):
        net.forecast(X, n)
    for name in ("length", "horizon", "step"):
        with pytest.raises(error, match=name):
            make_windows(np.arange(9.0), **{"length": 2} | {name: n})


def test_dates_are_refused_by_transformers_and_streams():
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(ValueError, match="Sequence 0 holds datetime64"):
        StepTransformer(StandardScaler()).fit(DATED)
    with pytest.raises(ValueError, match="datetime64"):
        make_windows(DATES, 2)
    with pytest.raises(ValueError, match="x_t holds datetime64"):
        regressor().fit(X, Y).step(DATED[0])
    frame = {"id": [1, 1], "time": [0, 1], "x": DATES[:2].astype("M8[s]")}
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="Column 'x'"):
        from_long(pd.DataFrame(frame), id="id", time="time")
