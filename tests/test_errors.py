import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skrnn import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still getting better")

N = 6
RNG = np.random.default_rng(0)
Y = np.array([0, 1, 0, 1, 0, 1])
RAGGED = [RNG.normal(size=(T, 2)) for T in (3, 2, 4, 2, 5, 3)]
UNIVARIATE = [x[:, 0] for x in RAGGED]
CUBE = RNG.normal(size=(N, 4, 2))
TABLE = CUBE.reshape(N, 8)
SMALL = {"hidden_layer_sizes": 2, "max_iter": 1, "random_state": 0}
NUMPY = (
    "broadcast|inhomogeneous|setting an array element|reshape array|out of bounds|iteration over|"
    "Cannot cast|not iterable|unsupported operand|range\\(\\)"
)


def clf(**parameters):
    return RNNClassifier(**(SMALL | parameters))


def reg(**parameters):
    return RNNRegressor(**(SMALL | parameters))


def counts(**parameters):
    return reg(loss="poisson", **parameters)


def objects(items, shape=(-1,)):
    boxes = np.empty(len(items), dtype=object)
    boxes[:] = items
    return boxes.reshape(shape)


def state(estimator):
    return pickle.dumps(vars(estimator))


def assert_not_said_by_numpy(error):
    assert not re.search(NUMPY, str(error)), error


# what X may not be: sequence 2 is the bad one --------------------------------------------------


def replaced(item):
    return [item if i == 2 else x for i, x in enumerate(RAGGED)]


def with_value(value, whole_step=False):
    item = RAGGED[2].copy()
    item[1, :] = value if whole_step else item[1, :]
    item[1, 0] = value
    return replaced(item)


BAD_ITEMS = {
    "no step": (replaced(np.empty((0, 2))), r"Sequence 2 is empty.*at least one step"),
    "no feature": (replaced(np.empty((3, 0))), r"Sequence 2 is empty.*at least one step"),
    "empty list": (replaced([]), r"Sequence 2 is empty.*at least one step"),
    "partly NaN": (with_value(np.nan), r"NaN in some.*sequence 2, step 1.*(Impute|absent)"),
    "infinity": (with_value(np.inf), r"infinity: sequence 2, step 1.*absent by NaN"),
    "a step of minus infinity": (with_value(-np.inf, True), r"infinity: sequence 2, step 1"),
    "all NaN": (replaced(np.full((3, 2), np.nan)), r"Sequence 2 has no step left.*Leave it out"),
    "other width": (
        replaced(np.ones((4, 3))),
        r"Sequence 2.*3 features.*of 2.*\(steps, features\)",
    ),
    "turned": (replaced(np.ones((2, 9))), r"Sequence 2.*9 features.*x\.T"),
    "one dimension too many": (replaced(np.ones((1, 4, 2))), r"Sequence 2 has 3 dim.*\(steps,"),
    "a scalar": (replaced(3.0), r"Sequence 2 has 0 dimensions.*\(steps, features\)"),
    "None": (replaced(None), r"Sequence 2.*\(steps, features\)"),
    "text": (replaced(np.array([["a", "b"]])), r"Sequence 2.*numbers"),
    "numbers as text": (replaced(np.array([["1", "2"]])), r"Sequence 2.*numbers"),
    "a string": (replaced("abc"), r"Sequence 2.*numbers"),
    "text among objects": (replaced(np.array([["a", 1]], dtype=object)), r"Sequence 2.*number"),
    "dates": (replaced(np.zeros((2, 2), "M8[D]")), r"Sequence 2.*datetime64.*numbers"),
    "complex": (replaced(np.ones((2, 2), complex)), r"Complex data.*Sequence 2.*x\.real"),
    "not rectangular": (replaced([[1.0, 2.0], [3.0]]), r"Sequence 2 is not rectangular.*\(steps,"),
    "an integer beyond floats": (replaced([[10**400, 1]]), r"Sequence 2.*number"),
}
CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "1-D object array": objects,
    "(n, 1) object array": lambda X: objects(X, (-1, 1)),
    "pandas Series": pd.Series,
    "pandas one column": lambda X: pd.DataFrame({"x": X}),
    "polars Series": lambda X: pl.Series(X, dtype=pl.Object),
}


@pytest.fixture(scope="module")
def fitted():
    return clf().fit(RAGGED, Y), reg().fit(RAGGED, Y)


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize(("X", "words"), BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_a_bad_sequence_is_named_at_fit_and_at_predict(X, words, container, fitted):
    X = container(X)
    for estimator in fitted:
        before = state(estimator)
        for read in (lambda: estimator.fit(X, Y), lambda: estimator.predict(X)):  # noqa: B023
            with pytest.raises(ValueError, match=words):
                read()
            assert state(estimator) == before


def with_cube(place, value):
    X = CUBE.copy()
    X[place] = value
    return X


BAD_CUBES = {
    "partly NaN": (with_cube((2, 1, 0), np.nan), r"NaN in some.*sequence 2, step 1"),
    "infinity": (with_cube((2, 1, 0), np.inf), r"infinity: sequence 2, step 1"),
    "all NaN": (with_cube(2, np.nan), r"Sequence 2 has no step left"),
    "no step": (CUBE[:, :0], r"Sequence 0 is empty"),
    "no feature": (CUBE[:, :, :0], r"Sequence 0 is empty"),
    "no sequence": (CUBE[:0], r"no sequence.*at least one"),
    "complex": (CUBE.astype(complex), r"Complex data not supported"),
    "text": (CUBE.astype(str), r"X holds <U.*numbers are required"),
    "dates": (np.zeros(CUBE.shape, "M8[D]"), r"X holds datetime64.*numbers are required"),
    "text among objects": (CUBE.astype(object), r"Sequence 2.*number"),
    "four dimensions": (CUBE[None], r"\(n, T, D\)|\(steps, features\)|sequence"),
}
BAD_CUBES["text among objects"][0][2, 1, 0] = "a"


@pytest.mark.parametrize(("X", "words"), BAD_CUBES.values(), ids=BAD_CUBES)
def test_a_bad_3d_array_is_refused_at_fit_and_at_predict(X, words, fitted):
    for estimator in fitted:
        before = state(estimator)
        for read in (lambda: estimator.fit(X, Y), lambda: estimator.predict(X)):  # noqa: B023
            with pytest.raises(ValueError, match=words):
                read()
            assert state(estimator) == before


def with_table(place, value, dtype=float):
    X = TABLE.astype(dtype)
    X[place] = value
    return X


BAD_TABLES = {
    "partly NaN": (with_table((2, 3), np.nan), ValueError, r"NaN in some.*sequence 2, step 1"),
    "infinity": (with_table((2, 2), np.inf), ValueError, r"infinity: sequence 2, step 1"),
    "infinity, pandas": (
        pd.DataFrame(with_table((2, 2), np.inf)),
        ValueError,
        r"infinity: sequence 2, step 1",
    ),
    "all NaN": (with_table(2, np.nan), ValueError, r"Sequence 2 has no step left"),
    "width": (TABLE[:, :7], ValueError, r"features_per_step=2 must divide.*=7.*one sequence"),
    "no row": (TABLE[:0], ValueError, r"0 sample"),
    "no column": (TABLE[:, :0], ValueError, r"0 feature"),
    "complex": (TABLE.astype(complex), ValueError, r"Complex data not supported"),
    "text": (TABLE.astype(object).astype("U3") + "a", ValueError, r"string"),
    "text among objects": (with_table((2, 2), "a", object), ValueError, r"'a'"),
    "sparse": (sparse.csr_array(TABLE), TypeError, r"[Ss]parse.*toarray"),
    "sparse matrix": (sparse.csr_matrix(TABLE), TypeError, r"[Ss]parse.*toarray"),
    "sparse frame": (
        pd.DataFrame(TABLE).astype(pd.SparseDtype(float, 0.0)),
        TypeError,
        r"[Ss]parse.*toarray",
    ),
    "one dimension": (TABLE[0], ValueError, r"2D array"),
    "no dimension": (np.array(1.0), ValueError, r"2D array"),
    "a table of sequences": (
        pd.DataFrame({"a": UNIVARIATE, "b": UNIVARIATE}),
        (TypeError, ValueError),
        r"column|sequence",
    ),
}


@pytest.mark.parametrize(("X", "error", "words"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_refused_at_fit(X, error, words):
    for make in (clf, reg):
        estimator = make(features_per_step=2).fit(TABLE, Y)
        before = state(estimator)
        with pytest.raises(error, match=words):
            estimator.fit(X, Y)
        assert state(estimator) == before


@pytest.mark.parametrize(
    "name", ["partly NaN", "infinity", "all NaN", "no row", "complex", "sparse"]
)
def test_a_bad_table_is_refused_at_predict(name):
    X, error, words = BAD_TABLES[name]
    estimator = clf(features_per_step=2).fit(TABLE, Y)
    before = state(estimator)
    with pytest.raises(error, match=words):
        estimator.predict(X)
    with pytest.raises(ValueError, match="8 features"):
        estimator.predict(TABLE[:, :6])
    assert state(estimator) == before


def test_a_sparse_sequence_is_named():
    X = [sparse.csr_array(x) if i == 2 else x for i, x in enumerate(RAGGED)]
    for read in (clf().fit, lambda X, y: clf().fit(RAGGED, Y).predict(X)):
        with pytest.raises(TypeError, match=r"Sequence 2 is sparse.*toarray"):
            read(X, Y)


NO_SEQUENCE = {
    "list": [],
    "tuple": (),
    "object array": np.empty(0, object),
    "3-D array": CUBE[:0],
}


@pytest.mark.parametrize("X", NO_SEQUENCE.values(), ids=NO_SEQUENCE)
def test_no_sequence_at_all_is_said_so(X):
    for read in (clf().fit, lambda X, y: clf().fit(RAGGED, Y).predict(X)):
        with pytest.raises(ValueError, match=r"no sequence|0 sample"):
            read(X, [])


NOT_SEQUENCES = {
    "numbers": [1.0, 2.0, 3.0],
    "a number among lists": [[1.0], 2.0, [3.0, 4.0]],
    "a list among numbers": [1.0, [2.0], 3.0],
    "text": ["a", "b", "c"],
    "lists of text": [["a", "b"], ["a"], ["b"]],
    "ragged steps": [[[1.0, 2.0], [3.0]], [[1.0, 2.0]], [[1.0, 2.0]]],
    "ragged widths": [[[1.0, 2.0]], [[1.0]], [[1.0]]],
    "an empty list first": [[], [1.0], [2.0]],
    "an empty list last": [[1.0], [2.0], []],
    "only empty lists": [[], [], []],
    "four levels": [[[[1.0]]], [[[1.0]]], [[[1.0]]]],
    "None": None,
    "a number": 3.0,
    "a string": "abc",
    "dicts": [{"a": 1}, {"a": 2}, {"a": 3}],
    "complex": [[1j, 1.0], [1.0], [2.0]],
    "a generator": (x for x in RAGGED[:3]),
    "structured": np.zeros(3, dtype=[("a", float), ("b", float)]),
    "structured sequences": [np.zeros(3, dtype=[("a", float), ("b", float)])] * 3,
    "integers beyond floats": [[10**400], [1, 2], [3]],
    "two columns of lists": objects([[1.0]] * 6, (3, 2)),
}


@pytest.mark.parametrize("fitted_on", ["nothing", "table", "sequences"])
@pytest.mark.parametrize("X", NOT_SEQUENCES.values(), ids=NOT_SEQUENCES)
def test_what_cannot_be_read_never_ends_in_the_words_of_numpy(X, fitted_on):
    estimator = reg()
    read = estimator.fit
    if fitted_on != "nothing":
        estimator.fit(TABLE[:, :1] if fitted_on == "table" else UNIVARIATE, Y)
        read = lambda X, y: estimator.predict(X)  # noqa: E731
    before = state(estimator)
    with pytest.raises((TypeError, ValueError)) as caught:
        read(X, [0.0, 1.0, 2.0])
    assert_not_said_by_numpy(caught.value)
    assert state(estimator) == before


# X against the fit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X",
    [CUBE[0], TABLE, pd.DataFrame(TABLE), pl.DataFrame(TABLE), TABLE.astype(object), CUBE[0, :1]],
    ids=["one sequence", "array", "pandas", "polars", "objects", "one step"],
)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "partial_fit"])
def test_a_table_is_refused_by_what_was_fitted_on_sequences(X, method):
    estimator = clf().fit(CUBE, Y)
    targets = (np.resize(Y, len(X)),) if method == "partial_fit" else ()
    before = state(estimator)
    with pytest.raises(ValueError, match=r"fitted on sequences.*X\[None\]"):
        getattr(estimator, method)(X, *targets)
    assert state(estimator) == before


@pytest.mark.parametrize("X", [CUBE, RAGGED, UNIVARIATE, CUBE.tolist(), [TABLE[0]]])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_sequences_are_refused_by_what_was_fitted_on_a_table(X, method):
    estimator = clf().fit(TABLE, Y)
    with pytest.raises(ValueError, match=r"fitted on a table.*pad_sequences"):
        getattr(estimator, method)(X)


@pytest.mark.parametrize(
    "X",
    [UNIVARIATE, CUBE[:, :, :1], [x.T for x in CUBE], np.swapaxes(CUBE, 1, 2), TABLE.tolist()],
    ids=["univariate", "one feature", "turned", "turned array", "nested lists"],
)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "partial_fit"])
def test_another_number_of_features_than_at_fit_is_refused(X, method):
    estimator = clf().fit(RAGGED, Y)
    before = state(estimator)
    words = r"RNNClassifier is expecting 2 features.*\(steps, features\).*x\.T"
    with pytest.raises(ValueError, match=words):
        getattr(estimator, method)(X, *((Y,) if method == "partial_fit" else ()))
    assert state(estimator) == before


def test_features_per_step_must_agree_with_sequences():
    with pytest.raises(ValueError, match=r"features_per_step=3.*steps of 2.*None"):
        clf(features_per_step=3).fit(RAGGED, Y)
    clf(features_per_step=2).fit(RAGGED, Y)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "score"])
def test_an_estimator_that_is_not_fitted_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(clf(), method)(*((RAGGED, Y) if method == "score" else (RAGGED,)))


# y and sample_weight --------------------------------------------------------------------------

BAD_TARGETS = {
    "too few": (clf, Y[:4], r"6 sequences.*4 targets"),
    "too many": (reg, np.arange(9.0), r"6 sequences.*9 targets"),
    "none": (clf, None, r"requires y to be passed"),
    "one class": (clf, [1] * N, r"at least 2 classes.*one class.*1"),
    "one class, strings": (clf, ["yes"] * N, r"at least 2 classes.*one class.*'yes'"),
    "real numbers as classes": (clf, Y + 0.5, r"Unknown label type"),
    "NaN class": (clf, np.where(Y, np.nan, 0.0), r"NaN"),
    "two columns of classes": (clf, np.column_stack([Y, 2 * Y]), r"MultiOutputClassifier"),
    "NaN target": (reg, np.where(Y, np.nan, 0.0), r"NaN"),
    "infinite target": (reg, np.where(Y, np.inf, 0.0), r"infinity"),
    "text target": (reg, ["a"] * N, r"'a'"),
    "three dimensions": (reg, np.zeros((N, 2, 2)), r"shape \(6, 2, 2\).*one target"),
}


@pytest.mark.parametrize("X", [RAGGED, CUBE, TABLE], ids=["ragged", "3-D", "2-D"])
@pytest.mark.parametrize(("make", "y", "words"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_a_bad_target_is_refused(make, y, words, X):
    estimator = make().fit(UNIVARIATE, Y)
    before = state(estimator)
    with pytest.raises(ValueError, match=words):
        estimator.fit(X, y)
    assert state(estimator) == before


@pytest.mark.parametrize("make", [clf, reg])
@pytest.mark.parametrize("build", [list, lambda y: [np.array(t) for t in y]])
def test_a_ragged_target_is_refused_in_words(build, make):
    with pytest.raises(ValueError, match=r"\by\b|target") as caught:
        make().fit(RAGGED, build([[0.0, 1.0]] * 5 + [[1.0]]))
    assert_not_said_by_numpy(caught.value)


BAD_WEIGHTS = {
    "too few": (np.ones(4), r"shape \(4,\), expected \(6,\)"),
    "two dimensions": (np.ones((N, 1)), r"shape \(6, 1\), expected \(6,\)"),
    "a number": (2.0, r"shape \(\), expected \(6,\)"),
    "negative": ([1, 1, -1, 1, 1, 1], r"sequence 2 is -1.*>= 0"),
    "NaN": ([1, 1, np.nan, 1, 1, 1], r"sequence 2 is nan.*>= 0"),
    "infinite": ([1, 1, np.inf, 1, 1, 1], r"sequence 2 is inf.*>= 0"),
    "text": (list("abcdef"), r"must be numbers"),
    "all zero": (np.zeros(N), r"is zero"),
}


@pytest.mark.parametrize("make", [clf, reg])
@pytest.mark.parametrize(("weight", "words"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_a_bad_sample_weight_is_refused(weight, words, make):
    estimator = make().fit(RAGGED, Y)
    for method in ("fit", "partial_fit"):
        before = state(estimator)
        with pytest.raises(ValueError, match=words):
            getattr(estimator, method)(CUBE, Y, sample_weight=weight)
        assert state(estimator) == before


def test_one_class_left_by_the_weights_is_refused():
    with pytest.raises(ValueError, match=r"one class \(of the rows with a weight\)"):
        clf().fit(RAGGED, Y, sample_weight=Y)


@pytest.mark.parametrize("make", [clf, reg])
@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e300])
def test_only_the_ratios_of_the_weights_count(make, scale):
    expected, fitted = make().fit(RAGGED, Y, np.ones(N)), make().fit(RAGGED, Y, np.full(N, scale))
    np.testing.assert_allclose(fitted.loss_, expected.loss_)


# partial_fit and warm_start -------------------------------------------------------------------


def test_the_first_partial_fit_must_see_two_classes():
    with pytest.raises(ValueError, match="at least 2 classes"):
        clf().partial_fit(RAGGED, ["a"] * N)
    clf().partial_fit(RAGGED, ["a"] * N, classes=["a", "b"])


BAD_STEPS = {
    "unknown label": ((RAGGED, np.where(Y, 0, 7)), {}, r"not in classes_.*7"),
    "other classes": ((RAGGED, Y), {"classes": [0, 1, 2]}, r"classes=\[0, 1, 2\].*first call"),
    "other width": ((CUBE[:, :, :1], Y), {}, r"expecting 2 features"),
    "other kind": ((TABLE, Y), {}, r"fitted on sequences"),
    "multilabel": ((RAGGED, np.column_stack([Y, 1 - Y])), {}, r"first call"),
    "infinity": ((with_value(np.inf), Y), {}, r"sequence 2"),
    "lengths": ((RAGGED, Y[:3]), {}, r"6 sequences.*3 targets"),
}


@pytest.mark.parametrize(("args", "kwargs", "words"), BAD_STEPS.values(), ids=BAD_STEPS)
@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_a_failed_partial_fit_changes_nothing(args, kwargs, words, first):
    estimator = getattr(clf(), first)(RAGGED, Y)
    before, weights = state(estimator), estimator.weights_["W_hh_0"].copy()
    with pytest.raises(ValueError, match=words):
        estimator.partial_fit(*args, **kwargs)
    assert state(estimator) == before
    np.testing.assert_array_equal(estimator.weights_["W_hh_0"], weights)


def test_a_failed_partial_fit_of_a_regressor_changes_nothing():
    estimator = reg().fit(RAGGED, Y)
    before = state(estimator)
    with pytest.raises(ValueError, match="2 outputs, expected 1"):
        estimator.partial_fit(RAGGED, np.column_stack([Y, Y]))
    assert state(estimator) == before


def test_a_failed_first_fit_leaves_nothing_behind():
    for estimator in (clf(), reg()):
        before = state(estimator)
        for bad in (with_value(np.inf), replaced([]), TABLE[:, :0]):
            with pytest.raises(ValueError, match=r"infinity|empty|0 feature"):
                estimator.fit(bad, Y)
            assert state(estimator) == before
        assert not hasattr(estimator, "n_features_in_")


@pytest.mark.parametrize("change", [{"hidden_layer_sizes": 3}, {"cell": "lstm"}])
def test_a_net_of_another_shape_cannot_go_on(change):
    estimator = clf(warm_start=True).fit(RAGGED, Y).set_params(**change)
    for method in ("fit", "partial_fit"):
        before = state(estimator)
        with pytest.raises(ValueError, match=r"Cannot go on.*warm_start"):
            getattr(estimator, method)(RAGGED, Y)
        assert state(estimator) == before


# parameters -----------------------------------------------------------------------------------

BAD_PARAMETERS = [
    {"hidden_layer_sizes": 0},
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": (3, 0)},
    {"hidden_layer_sizes": (2, -1)},
    {"hidden_layer_sizes": 2.5},
    {"hidden_layer_sizes": (2.5,)},
    {"hidden_layer_sizes": "3"},
    {"hidden_layer_sizes": ("a",)},
    {"hidden_layer_sizes": [[2, 2]]},
    {"hidden_layer_sizes": None},
    {"hidden_layer_sizes": np.array(3)},
    {"cell": "rnn"},
    {"solver": "newton"},
    {"features_per_step": 0},
    {"batch_size": 0},
    {"batch_size": "large"},
    {"max_iter": 0},
    {"max_grad_norm": 0},
    {"learning_rate_init": -1.0},
    {"alpha": -1.0},
    {"alpha": np.nan},
    {"validation_fraction": 1.0},
    {"beta_1": 1.0},
    {"random_state": "seed"},
]


@pytest.mark.parametrize("parameters", BAD_PARAMETERS, ids=str)
def test_a_bad_parameter_is_named(parameters):
    estimator = clf().fit(RAGGED, Y).set_params(**parameters)
    before = state(estimator)
    with pytest.raises(ValueError, match=f"{next(iter(parameters))}.* must be "):
        estimator.fit(CUBE, Y)
    assert state(estimator) == before


@pytest.mark.parametrize(
    "parameters",
    [{"solver": "newton"}, {"batch_size": 0}, {"learning_rate_init": "a"}, {"cell": "rnn"}],
    ids=str,
)
def test_a_bad_parameter_is_refused_by_a_later_partial_fit(parameters):
    estimator = clf().fit(RAGGED, Y).set_params(**parameters)
    before = state(estimator)
    with pytest.raises(ValueError, match=next(iter(parameters))):
        estimator.partial_fit(RAGGED, Y)
    assert state(estimator) == before


@pytest.mark.parametrize("factors", [{0: -1.0, 1: 1.0}, {0: np.nan}, {0: 0.0, 1: 0.0}])
def test_class_weights_that_are_no_weights_are_refused(factors):
    with pytest.raises(ValueError, match="class_weight"):
        clf(class_weight=factors).fit(RAGGED, Y)


MULTILABEL = np.column_stack([Y, 1 - Y])


@pytest.mark.parametrize(
    ("y", "class_weight"),
    [
        (Y, [{0: 1.0, 1: 2.0}]),
        (MULTILABEL, [{0: 1.0, 1: 2.0}]),
        (MULTILABEL, [{0: 1.0}] * 3),
        (MULTILABEL, ["balanced", "balanced"]),
        (MULTILABEL, {0: 1.0, 2: 2.0}),
        (MULTILABEL, {0: -1.0, 1: 1.0}),
    ],
    ids=str,
)
def test_class_weights_that_do_not_fit_the_labels_are_refused(y, class_weight):
    with pytest.raises(ValueError, match="class_weight"):
        clf(class_weight=class_weight).fit(RAGGED, y)


@pytest.mark.parametrize("y", [Y, MULTILABEL])
def test_balanced_classes_need_all_the_labels_at_once(y):
    with pytest.raises(ValueError, match=r'class_weight="balanced".*dict'):
        clf(class_weight="balanced").partial_fit(RAGGED, y)


def test_early_stopping_needs_enough_sequences():
    with pytest.raises(ValueError, match=r"early_stopping.*6 different sequences.*0\.1"):
        clf(early_stopping=True).fit(RAGGED, Y)
    with pytest.raises(ValueError, match="early_stopping"):
        clf(early_stopping=True).partial_fit(RAGGED, Y)


# what is not finite ---------------------------------------------------------------------------

LONG = [RNG.normal(size=(30, 2)) for _ in range(12)]
LONG_Y = np.resize([0, 1], 12)
WILD = {"cell": "rnn_relu", "solver": "sgd", "max_grad_norm": None, "tol": 0}


@pytest.mark.parametrize("make", [clf, reg])
def test_a_loss_that_is_not_finite_says_when_and_what_to_change(make):
    estimator = make().fit(LONG, LONG_Y)
    before = state(estimator)
    estimator.set_params(learning_rate_init=1e200, max_iter=20, **WILD)
    with pytest.raises(
        ValueError, match=r"epoch \d.*learning_rate_init.*max_grad_norm.*StandardScaler"
    ):
        estimator.fit(LONG, LONG_Y)
    estimator.set_params(**make().get_params())
    assert state(estimator) == before


@pytest.mark.parametrize("magnitude", [1e200, 1e300])
def test_inputs_without_bounds_and_a_cell_without_bounds_end_in_the_documented_error(magnitude):
    X = [magnitude * np.sign(x) for x in LONG]
    for max_grad_norm in (1.0, None):
        with pytest.raises(ValueError, match=r"not finite in epoch 1.*scale the inputs"):
            reg(cell="rnn_relu", max_grad_norm=max_grad_norm, max_iter=3).fit(X, LONG_Y)


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
@pytest.mark.parametrize("magnitude", [1e-320, 1e-300, 1e30, 1e300])
def test_bounded_cells_bear_inputs_of_any_magnitude(cell, magnitude):
    X = [magnitude * np.sign(x) for x in LONG]
    proba = clf(cell=cell, max_iter=3).fit(X, LONG_Y).predict_proba(X)
    assert ((proba > 0) & (proba < 1)).all()
    assert np.isfinite(reg(cell=cell, max_iter=3).fit(X, LONG_Y).predict(X)).all()


@pytest.mark.filterwarnings("ignore:The loss or its gradient:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("max_iter", [1, 2, 3, 6])
@pytest.mark.parametrize("learning_rate_init", [1.0, 1e2, 1e8, 1e150])
@pytest.mark.parametrize("make", [clf, reg, counts])
def test_a_fit_that_returns_predicts_finite_numbers_for_its_data(
    make, learning_rate_init, max_iter, early_stopping
):
    estimator = make(
        learning_rate_init=learning_rate_init,
        max_iter=max_iter,
        hidden_layer_sizes=3,
        early_stopping=early_stopping,
        validation_fraction=0.3,
        **WILD,
    )
    try:
        estimator.fit(LONG, LONG_Y)
    except ValueError as error:
        assert "not finite" in str(error)
    else:
        assert np.isfinite(estimator.loss_curve_).all()
        raw = estimator.decision_function if make is clf else estimator.predict
        assert np.isfinite(raw(LONG)).all()


def test_predictions_that_overflow_are_an_error_and_not_nan():
    estimator = clf(cell="rnn_relu").fit(LONG, LONG_Y)
    X = [1.7e308 * np.sign(x) for x in LONG]
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(ValueError, match=r"[Ss]equence 0.*not finite|not finite.*sequence 0"):
            getattr(estimator, method)(X)


@pytest.mark.parametrize("make", [clf, reg])
def test_an_earlier_epoch_is_kept_with_a_warning(make):
    estimator = make(hidden_layer_sizes=3, max_iter=50, learning_rate_init=1e8, **WILD)
    estimator.set_params(random_state=1)
    with pytest.warns(
        ConvergenceWarning, match=r"epoch \d+; the weights of an earlier epoch.*kept"
    ):
        estimator.fit(LONG, LONG_Y)
    assert 1 <= estimator.n_iter_ == len(estimator.loss_curve_) < 50
    assert np.isfinite(estimator.predict(LONG)).all()


def test_numbers_too_large_for_the_dtype_of_the_fit_are_said_to_be_so():
    estimator = clf().fit([x.astype(np.float32) for x in RAGGED], Y)
    with pytest.raises(ValueError, match=r"[Ss]equence 0.*float32|float32.*[Ss]equence 0"):
        estimator.predict([x * 1e300 for x in RAGGED])


@pytest.mark.parametrize("y", [[1e308, -1e308] * 3])
def test_targets_whose_spread_is_beyond_floats_are_blamed_on_y(y):
    with pytest.raises(ValueError, match=r"\by\b|target"):
        reg().fit(RAGGED, y)


@pytest.mark.parametrize("scale", [1e39, 1e300])
def test_targets_beyond_float32_are_predicted_or_refused_but_never_infinite(scale):
    X = [x.astype(np.float32) for x in RAGGED]
    try:
        predicted = reg().fit(X, scale * Y).predict(X)
    except ValueError as error:
        assert re.search(r"\by\b|target", str(error))
    else:
        assert np.isfinite(predicted).all()
