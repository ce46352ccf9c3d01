"""Parameters out of their range are refused by name, before anything changes."""

import numpy as np
import pytest

from _factories import BOTH, make_cube, make_sequences, state

X = make_sequences((3, 2, 4, 2, 5, 3))
Y = np.array([0, 1] * 3)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BAD_PARAMETERS = [
    {"hidden_layer_sizes": 0},
    {"hidden_layer_sizes": 2.5},
    {"hidden_layer_sizes": "3"},
    {"hidden_layer_sizes": None},
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
    {"readout": "sum"},
    {"readout": ["last"]},
    {"initial_state": "ones"},
    {"initial_state": 0},
    {"dropout": 1.0},
    {"dropout": -0.1},
    {"dropout": "a"},
    {"bidirectional": "yes"},
    {"bptt_steps": 0},
    {"bptt_steps": 2.5},
]
BAD_SIZES = [(), (3, 0), (2, -1), (2.5,), ("a",), [[2, 2]], np.array(3)]


@BOTH
@pytest.mark.parametrize("sizes", BAD_SIZES, ids=str)
def test_layers_without_a_positive_number_of_units_are_refused(sizes, make):
    estimator = make().fit(X, Y).set_params(hidden_layer_sizes=sizes)
    before = state(estimator)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes.* must be "):
        estimator.fit(make_cube(6, 4), Y)
    assert state(estimator) == before


@BOTH
@pytest.mark.parametrize("parameters", BAD_PARAMETERS, ids=str)
def test_a_bad_parameter_is_named(parameters, make):
    estimator = make().fit(X, Y)
    estimator.set_params(**parameters)
    before, (name,) = state(estimator), parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of RNN.* must be "):
        estimator.fit(make_cube(6, 4), Y)
    assert state(estimator) == before


@BOTH
@pytest.mark.parametrize(
    "parameters",
    [{"solver": "newton"}, {"batch_size": 0}, {"learning_rate_init": "a"}, {"cell": "rnn"}],
    ids=str,
)
def test_a_bad_parameter_is_refused_by_a_later_partial_fit(parameters, make):
    estimator = make().fit(X, Y).set_params(**parameters)
    before, (name,) = state(estimator), parameters
    with pytest.raises(ValueError, match=name):
        estimator.partial_fit(X, Y)
    assert state(estimator) == before
