"""A fit that fails changes nothing; what is not finite is said to be so."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

import _factories
from _factories import make_cube, make_sequences, replaced, state, with_value
from skrnn._nn.cells import CELLS
from skrnn._training.schedules import Schedule

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": 2, "max_iter": 1, "batch_size": "auto"}


N = 6
Y = np.array([0, 1] * 3)
RAGGED = make_sequences((3, 2, 4, 2, 5, 3))
CUBE = make_cube(N, 4)
TABLE = CUBE.reshape(N, 8)


def classifier(**parameters):
    return _factories.classifier(**SMALL | parameters)


def regressor(**parameters):
    return _factories.regressor(**SMALL | parameters)


def counts(**parameters):
    return regressor(loss="poisson", **parameters)


BOTH = pytest.mark.parametrize("make", [classifier, regressor])


# partial_fit and warm_start -------------------------------------------------------------------

BAD_STEPS = {
    "unknown label": ((RAGGED, np.where(Y, 0, 7)), {}, r"not in classes_.*7"),
    "other classes": ((RAGGED, Y), {"classes": [0, 1, 2]}, r"classes=\[0, 1, 2\].*first call"),
    "other width": ((CUBE[:, :, :1], Y), {}, r"expecting 2 features"),
    "other kind": ((TABLE, Y), {}, r"fitted on sequences"),
    "multilabel": ((RAGGED, np.column_stack([Y, 1 - Y])), {}, r"first call"),
    "infinity": ((with_value(RAGGED, np.inf), Y), {}, r"sequence 2"),
    "lengths": ((RAGGED, Y[:3]), {}, r"6 sequences.*3 targets"),
}


@pytest.mark.parametrize(("args", "kwargs", "words"), BAD_STEPS.values(), ids=BAD_STEPS)
@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_a_failed_partial_fit_changes_nothing(args, kwargs, words, first):
    given = {"classes": [0, 1]} if first == "partial_fit" else {}
    estimator = getattr(classifier(), first)(RAGGED, Y, **given)
    before, weights = state(estimator), estimator.weights_["W_hh_0"].copy()
    with pytest.raises(ValueError, match=words):
        estimator.partial_fit(*args, **kwargs)
    assert state(estimator) == before
    np.testing.assert_array_equal(estimator.weights_["W_hh_0"], weights)


def test_a_failed_partial_fit_of_a_regressor_changes_nothing():
    estimator = regressor().fit(RAGGED, Y)
    before = state(estimator)
    with pytest.raises(ValueError, match="2 outputs, expected 1"):
        estimator.partial_fit(RAGGED, np.column_stack([Y, Y]))
    assert state(estimator) == before


def test_a_failed_first_fit_leaves_nothing_behind():
    for estimator in (classifier(), regressor()):
        before = state(estimator)
        for bad in (with_value(RAGGED, np.inf), replaced(RAGGED, []), TABLE[:, :0]):
            with pytest.raises(ValueError, match=r"infinity|empty|0 feature"):
                estimator.fit(bad, Y)
            assert state(estimator) == before
        assert not hasattr(estimator, "n_features_in_")


@BOTH
def test_a_first_partial_fit_of_one_sequence_is_warned_of(make):
    kwargs = {"classes": [0, 1]} if make is classifier else {}
    words = "one sequence, but sets the scale of features and targets for all calls that follow"
    for one in (RAGGED[:1], CUBE[:1], TABLE[:1], pd.DataFrame(TABLE[:1]), pd.Series(RAGGED[:1])):
        with pytest.warns(UserWarning, match=words):
            estimator = make().partial_fit(one, Y[:1], **kwargs)
        estimator.partial_fit(one, Y[:1])
    make().partial_fit(RAGGED[:2], Y[:2], **kwargs).partial_fit(RAGGED[:1], Y[:1])
    make().fit(RAGGED, Y).partial_fit(RAGGED[:1], Y[:1])


# what is not finite ---------------------------------------------------------------------------

LONG = make_sequences([30] * 12, seed=1)
LONG_Y = np.resize([0, 1], 12)
WILD = {"cell": "rnn_relu", "solver": "sgd", "max_grad_norm": None, "tol": 0}
RAW = {"cell": "rnn_relu", "standardize": False}


@BOTH
def test_a_loss_that_is_not_finite_says_when_and_what_to_change(make):
    estimator = make().fit(LONG, LONG_Y)
    before = state(estimator)
    estimator.set_params(learning_rate_init=1e200, max_iter=20, **WILD)
    with pytest.raises(
        ValueError, match=r"epoch \d.*learning_rate_init.*max_grad_norm.*standardize"
    ):
        estimator.fit(LONG, LONG_Y)
    estimator.set_params(**make().get_params())
    assert state(estimator) == before


@pytest.mark.parametrize("magnitude", [1e200, 1e300])
def test_inputs_without_bounds_and_a_cell_without_bounds_end_in_the_documented_error(magnitude):
    X = [magnitude * np.sign(x) for x in LONG]
    for max_grad_norm in (1.0, None):
        with pytest.raises(ValueError, match=r"not finite in epoch 1.*scale the inputs"):
            regressor(**RAW, max_grad_norm=max_grad_norm, max_iter=3).fit(X, LONG_Y)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "rnn_relu"])
@pytest.mark.parametrize("magnitude", [1e-320, 1e-300, 1e30, 1e300])
def test_bounded_cells_bear_inputs_of_any_magnitude(cell, magnitude):
    X = [magnitude * np.sign(x) for x in LONG]
    proba = classifier(cell=cell, max_iter=3).fit(X, LONG_Y).predict_proba(X)
    assert ((proba > 0) & (proba < 1)).all()
    assert np.isfinite(regressor(cell=cell, max_iter=3).fit(X, LONG_Y).predict(X)).all()


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("max_iter", [1, 2, 3, 6])
@pytest.mark.parametrize("learning_rate_init", [1.0, 1e2, 1e8, 1e150])
@pytest.mark.parametrize("make", [classifier, regressor, counts])
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
        assert "not finite" in str(error) or "Training diverged" in str(error)
    else:
        assert np.isfinite(estimator.loss_curve_).all()
        raw = estimator.decision_function if make is classifier else estimator.predict
        assert np.isfinite(raw(LONG)).all()


def test_predictions_that_overflow_are_an_error_and_not_nan():
    estimator = classifier(**RAW).fit(LONG, LONG_Y)
    X = [1.7e308 * np.sign(x) for x in LONG]
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(ValueError, match=r"[Ss]equence 0.*not finite|not finite.*sequence 0"):
            getattr(estimator, method)(X)


@BOTH
def test_an_earlier_epoch_is_kept_with_a_warning(make, monkeypatch):
    """The rate is that of a healthy fit at first, and then of none."""
    monkeypatch.setattr(Schedule, "rate", lambda self: 0.01 if self.epochs < 20 else 1e200)
    y = np.array([x[-1, 0] > 0 for x in LONG]).astype(int)
    estimator = make(max_iter=50, cell="rnn_tanh")
    with pytest.warns(ConvergenceWarning, match=r"Training diverged.*best epoch.*were kept"):
        estimator.fit(LONG, y)
    assert estimator.stop_reason_ == "diverged"
    assert estimator.n_iter_ == len(estimator.loss_curve_) < 50
    assert estimator.score(LONG, y) > 0.5


def test_numbers_too_large_for_the_dtype_of_the_fit_are_said_to_be_so():
    estimator = classifier().fit([x.astype(np.float32) for x in RAGGED], Y)
    with pytest.raises(ValueError, match=r"[Ss]equence 0.*float32|float32.*[Ss]equence 0"):
        estimator.predict([x * 1e300 for x in RAGGED])


@pytest.mark.parametrize("y", [[1e308, -1e308] * 3])
def test_targets_whose_spread_is_beyond_floats_are_blamed_on_y(y):
    with pytest.raises(ValueError, match=r"\by\b|target"):
        regressor().fit(RAGGED, y)


@pytest.mark.parametrize("scale", [1e39, 1e300])
def test_targets_beyond_float32_are_predicted_or_refused_but_never_infinite(scale):
    X = [x.astype(np.float32) for x in RAGGED]
    try:
        predicted = regressor().fit(X, scale * Y).predict(X)
    except ValueError as error:
        assert re.search(r"\by\b|target", str(error))
    else:
        assert np.isfinite(predicted).all()


def test_while_an_estimator_is_fitted_again_it_predicts_as_before():
    """Also to other threads: the scorer is called in the middle of the fit."""
    seen = []

    def scorer(twin, X, y):
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(clf.predict, LONG).result())
        return 0.0

    clf = classifier().fit(LONG, np.array(["ant", "bee"])[LONG_Y])
    before = clf.predict(LONG)
    clf.set_params(early_stopping=True, validation_fraction=0.3, scoring=scorer)
    clf.fit(LONG, np.array(["cow", "dog", "eel"])[np.arange(len(LONG)) % 3])
    assert len(seen) == clf.n_iter_ and clf.classes_.tolist() == ["cow", "dog", "eel"]
    for predicted in seen:
        np.testing.assert_array_equal(predicted, before)
