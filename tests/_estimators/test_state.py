"""Files: what is in them, what is promised of them, and what is said of damaged ones."""

import copy
import pickle
import warnings
from pathlib import Path
from pickletools import genops

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skrnn
import skrnn.preprocessing
from skrnn import RNNClassifier, RNNRegressor
from skrnn._estimators import state as states
from skrnn.preprocessing import SequencePadder, StepImputer, StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FORMATS = sorted((Path(__file__).parent.parent / "reference" / "states").glob("format_*.pickle"))
RNG = np.random.default_rng(0)
X = [RNG.standard_normal((T, 2)) for T in (3, 1, 4, 2, 5, 2)]
LABELS = np.array(["a", "b", "c"] * 2)
SMALL = {"hidden_layer_sizes": (4, 3), "max_iter": 3, "random_state": 0}
PLAIN = np.ndarray | str | int | float | bool | None

CASES = {
    "classifier": lambda: RNNClassifier(**SMALL).fit(X, LABELS),
    "regressor": lambda: RNNRegressor(**SMALL, solver="sgd").fit(X, RNG.standard_normal((6, 2))),
    "quantiles": lambda: RNNRegressor(**SMALL, loss="quantile", quantile=[0.1, 0.9]).fit(
        X, RNG.standard_normal(6)
    ),
    "lbfgs": lambda: RNNClassifier(**SMALL, solver="lbfgs", bidirectional=True).fit(X, LABELS),
    "codes": lambda: RNNClassifier(**SMALL, categorical_features=[1], embedding_dim=2).fit(
        [np.abs(x).round() for x in X], LABELS
    ),
    "table": lambda: RNNRegressor(**SMALL, learning_rate="adaptive", readout="step").fit(
        np.ones((6, 4)), np.zeros((6, 4))
    ),
}
EVERY_CASE = pytest.mark.parametrize("case", CASES)


def inputs(case):
    if case == "table":
        return np.ones((6, 4))
    return [np.abs(x).round() for x in X] if case == "codes" else X


def leaves(value):
    """All values that are not containers, and the containers' types."""
    if isinstance(value, dict):
        assert type(value) is dict and all(isinstance(key, str) for key in value)
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        assert type(value) in (list, tuple)
        for item in value:
            yield from leaves(item)
    else:
        yield value


@EVERY_CASE
def test_a_state_is_plain_values_by_name(case):
    state = CASES[case]().__getstate__()["_state"]
    assert state["format"] == states.FORMAT
    assert state["skrnn"] == skrnn.__version__
    assert state["scikit-learn"] == sklearn.__version__
    for value in leaves(state):
        assert isinstance(value, PLAIN | np.generic), type(value)


@EVERY_CASE
def test_a_pickle_names_no_private_module(case):
    modules = {
        arg.split(" ")[0] if isinstance(arg, str) else arg
        for op, arg, _ in genops(pickle.dumps(CASES[case]()))
        if op.name in ("GLOBAL", "SHORT_BINUNICODE") and isinstance(arg, str)
    }
    assert "skrnn" in modules
    assert not any(name.startswith("skrnn._") for name in modules)


@EVERY_CASE
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy])
def test_a_copy_predicts_and_resumes_to_the_same_bits(case, copied):
    model = CASES[case]()
    twin = copied(model)
    np.testing.assert_array_equal(twin.predict(inputs(case)), model.predict(inputs(case)))
    assert vars(twin).keys() == vars(model).keys()
    if case in ("classifier", "regressor"):
        y = LABELS if case == "classifier" else np.ones((6, 2))
        for estimator in (model, twin):
            estimator.set_params(warm_start=True).fit(X, y)
        np.testing.assert_equal(twin.weights_, model.weights_)


def test_what_is_not_ours_passes_through():
    class Own(RNNClassifier):
        pass

    with sklearn.config_context(enable_metadata_routing=True):
        model = Own(**SMALL).set_fit_request(sample_weight=True)
    model.note = {"of": ["the", "user"]}
    for estimator in (model, model.fit(X, LABELS)):
        state = estimator.__getstate__()
        assert state["note"] is estimator.note
        assert {"cell", "_metadata_request", "_state"} <= state.keys()
        twin = Own.__new__(Own)
        twin.__setstate__(state)
        assert twin.get_params() == estimator.get_params() and twin.note == model.note


def test_an_unfitted_estimator_stays_unfitted():
    twin = pickle.loads(pickle.dumps(RNNClassifier(cell="lstm")))
    assert twin.cell == "lstm"
    with pytest.raises(NotFittedError):
        twin.predict(X)


# Formats --------------------------------------------------------------------------------------


def test_every_format_has_a_file():
    assert [path.stem for path in FORMATS] == [f"format_{k + 1}" for k in range(states.FORMAT)]


@pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.stem)
def test_a_file_of_any_format_predicts_the_same(path):
    """The file was written when the format was new, with what it predicted; weights to the bit."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = pickle.loads(path.read_bytes())
    for name, (model, weights, X, predicted) in stored.items():
        np.testing.assert_equal(model.weights_, weights, name)
        tolerance = 1e-5 if model.weights_["W_ho"].dtype == np.float32 else 1e-12
        np.testing.assert_allclose(
            getattr(model, "predict_proba", model.predict)(X), predicted, rtol=tolerance
        )
        assert clone(model).get_params() == type(model)(**model.get_params()).get_params()


def restored(change, kind=RNNClassifier):
    """An estimator from a state that `change` has changed in place."""
    state = copy.deepcopy(CASES["classifier"]().__getstate__())
    change(state["_state"])
    twin = kind.__new__(kind)
    twin.__setstate__(state)
    return twin


def test_older_formats_are_brought_up_without_a_word(monkeypatch):
    def rename(state):
        return {"theta" if key == "vector" else key: value for key, value in state.items()}

    def age(state):
        state["format"], state["vector"] = newest, state.pop("theta")

    newest = states.FORMAT
    monkeypatch.setattr(states, "FORMAT", newest + 1)
    monkeypatch.setitem(states.UPGRADES, newest, rename)
    np.testing.assert_array_equal(restored(age).predict(X), CASES["classifier"]().predict(X))


def test_a_newer_format_is_warned_of():
    def grow(state):
        state.update({"format": 99, "skrnn": "7.0", "gills": 2})

    words = r"RNNClassifier was saved by skrnn 7\.0 in format 99, but this is skrnn .*Update skrnn"
    with pytest.warns(InconsistentVersionWarning, match=words):
        twin = restored(grow)
    np.testing.assert_array_equal(twin.predict(X), CASES["classifier"]().predict(X))


@pytest.mark.parametrize("field", ["theta", "targets", "architecture"])
def test_a_missing_field_is_an_error_in_words(field):
    with pytest.raises(ValueError, match=rf"state has no field '{field}'.*fit again"):
        restored(lambda state: state.pop(field))


@pytest.mark.parametrize("field", ["kind", "n_features", "width"])
def test_a_missing_field_of_a_part_is_an_error_in_words(field):
    with pytest.raises(ValueError, match=rf"state has no field '{field}'"):
        restored(lambda state: state["inputs"]["schema"].pop(field))


def test_what_has_no_format_is_refused():
    with pytest.raises(ValueError, match=r"not saved by a released version.*Fit again"):
        RNNClassifier.__new__(RNNClassifier).__setstate__({"cell": "gru", "_theta": np.ones(3)})


# Compact copies -------------------------------------------------------------------------------


@EVERY_CASE
def test_a_compact_copy_predicts_the_same_bits_and_is_smaller(case):
    model = CASES[case]()
    compact = model.compact()
    np.testing.assert_array_equal(compact.predict(inputs(case)), model.predict(inputs(case)))
    assert hasattr(model, "loss_curve_") and not hasattr(compact, "loss_curve_")
    assert len(pickle.dumps(compact)) < len(pickle.dumps(model))
    compact.weights_["W_ho"][:] = 0
    assert model.weights_["W_ho"].any()


def test_a_compact_copy_cannot_be_resumed_but_fitted():
    compact = CASES["classifier"]().compact()
    with pytest.raises(ValueError, match=r"made by compact\(\).*Fit without warm_start"):
        compact.partial_fit(X, LABELS)
    with pytest.raises(ValueError, match=r"made by compact\(\)"):
        compact.set_params(warm_start=True).fit(X, LABELS)
    expected = clone(compact).set_params(warm_start=False).fit(X, LABELS)
    compact.set_params(warm_start=False).fit(X, LABELS)
    np.testing.assert_equal(compact.weights_, expected.weights_)


# Histories ------------------------------------------------------------------------------------


def test_partial_fit_keeps_the_last_thousand_calls(monkeypatch):
    monkeypatch.setattr("skrnn._estimators.base.N_CALLS_KEPT", 4)
    model, losses = RNNRegressor(**SMALL), []
    for _ in range(7):
        model.partial_fit(X, np.arange(6.0))
        losses.append(model.loss_)
    assert model.loss_curve_ == losses[-4:] and len(model.grad_norm_curve_) == 4
    assert model.n_iter_ == 7 and model.best_loss_ == min(losses)
    model.set_params(warm_start=True, max_iter=5).fit(X, np.arange(6.0))
    assert len(model.loss_curve_) == 4 + 5 and model.n_iter_ == 12


def test_the_types_of_skops_are_all_public_estimators_and_transformers():
    public = {
        value
        for module in (skrnn, skrnn.preprocessing)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseEstimator)
    }
    assert sorted(skrnn.SKOPS_TYPES) == sorted(f"{c.__module__}.{c.__name__}" for c in public)


def test_transformers_are_plain_values_too():
    skops = pytest.importorskip("skops.io")
    pipeline = make_pipeline(StepImputer(), StepTransformer(StandardScaler()), SequencePadder())
    data = skops.dumps(pipeline.fit(X))
    twin = skops.loads(data, trusted=skrnn.SKOPS_TYPES)
    np.testing.assert_array_equal(twin.transform(X), pipeline.transform(X))
    assert b"skrnn._" not in pickle.dumps(pipeline)


# skops ----------------------------------------------------------------------------------------


@EVERY_CASE
def test_skops_trusts_the_public_classes_alone(case):
    skops = pytest.importorskip("skops.io")
    model = CASES[case]()
    data = skops.dumps(model)
    assert set(skops.get_untrusted_types(data=data)) <= set(skrnn.SKOPS_TYPES)
    twin = skops.loads(data, trusted=skrnn.SKOPS_TYPES)
    np.testing.assert_array_equal(twin.predict(inputs(case)), model.predict(inputs(case)))
