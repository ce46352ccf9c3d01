"""scikit-learn's own checks, without an expected failure and without a skip."""

import inspect
from unittest import SkipTest

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrnn import RNNClassifier, RNNRegressor
from skrnn._nn.cells import CELLS

# Seeded: where nothing bounds the outputs, some starts get to logits so large that probabilities
# round to the same number, and check_classifier_multioutput wants them in the order of the logits.
SMALL = {"hidden_layer_sizes": 16, "max_iter": 100, "learning_rate_init": 0.01}
SETTINGS = {"gru": {}, "rnn_relu": {"random_state": 3}}  # the defaults; small nets for the others
ESTIMATORS = [
    estimator(cell, **SETTINGS.get(cell, SMALL))
    for estimator in (RNNClassifier, RNNRegressor)
    for cell in CELLS
]
COMPOSITE = [
    RNNClassifier(hidden_layer_sizes=8, solver="lbfgs", random_state=0),  # likewise
    RNNRegressor(loss="huber", solver="adamw", learning_rate="cosine", **SMALL),
    RNNClassifier(
        "lstm",
        bidirectional=True,
        readout="mean",
        dropout=0.1,
        **SMALL | {"hidden_layer_sizes": (8, 8)},
    ),
    RNNRegressor("gru", hidden_layer_sizes=16, readout="max", initial_state="learned"),
    RNNClassifier("rnn_tanh", initial_state="normal", readout="mean", bptt_steps=2, **SMALL),
]
STRICT = (
    {"xfail_strict": True}  # scikit-learn 1.8
    if "xfail_strict" in inspect.signature(parametrize_with_checks).parameters
    else {}
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_checks(
    ESTIMATORS + COMPOSITE, expected_failed_checks=lambda estimator: {}, **STRICT
)
def test_check_estimator(estimator, check):
    try:
        check(estimator)
    except SkipTest as skip:
        pytest.fail(f"skipped: {skip}")


@pytest.mark.parametrize(
    "check",
    [
        "check_param_validation",
        "check_dataframe_column_names_consistency",
        "check_inplace_ensure_writeable",
    ],
)
@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
def test_checks_that_scikit_learn_keeps_for_itself(estimator, check):
    check = getattr(estimator_checks, check)
    check(estimator.__name__, estimator())
