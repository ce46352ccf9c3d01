"""Directions, dropout and initial states, through both estimators."""

import copy

import numpy as np
import pytest

from _factories import ESTIMATORS, KINDS, SMALL, make_coded, make_targets, raw
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 24
LENGTHS = np.random.default_rng(0).integers(1, 8, size=N).tolist()
X = make_coded(LENGTHS)
Y = {kind: make_targets(kind, LENGTHS) for kind in ESTIMATORS}


def unfitted(kind, **parameters):
    settings = SMALL | {"hidden_layer_sizes": (4, 3), "batch_size": 8}
    return ESTIMATORS[kind](**settings | parameters)


def fitted(kind, *, X=X, y=None, **parameters):
    return unfitted(kind, **parameters).fit(X, Y[kind] if y is None else y)


# bidirectional --------------------------------------------------------------------------------


def reversed_in_time(items):
    return [x[::-1] for x in items]


@KINDS
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("readout", READOUTS)
def test_both_halves_change_places_where_time_is_reversed(readout, cell, kind):
    per_step, y = readout == "step", make_targets(kind, LENGTHS, readout)
    estimator = fitted(
        kind, cell=cell, readout=readout, bidirectional=True, hidden_layer_sizes=4, y=y
    )
    swapped, w = copy.deepcopy(estimator), estimator.weights_
    for name, weight in swapped.weights_.items():
        if name == "W_ho":
            weight[...] = np.hstack([w[name][:, 4:], w[name][:, :4]])
        elif name != "b_o":
            other = name.removesuffix("_reverse") if "reverse" in name else f"{name}_reverse"
            weight[...] = w[other]
    expected, mirrored = raw(estimator, X), raw(swapped, reversed_in_time(X))
    if per_step:
        expected, mirrored = (
            np.concatenate(list(expected)),
            np.concatenate(reversed_in_time(mirrored)),
        )
    np.testing.assert_allclose(mirrored, expected, rtol=0, atol=1e-10)


def test_every_output_of_both_directions_depends_on_every_step():
    y = [x[:, 0] for x in X]
    estimator = fitted("regressor", readout="step", bidirectional=True, y=y)
    x = np.random.default_rng(4).standard_normal((5, 2))
    expected = estimator.predict([x])[0]
    for t in range(5):
        other = x.copy()
        other[t] += 1
        assert (estimator.predict([other])[0] != expected).all()


@KINDS
def test_bidirectional_and_truncation_exclude_each_other(kind):
    with pytest.raises(ValueError, match=r"bptt_steps=3 and bidirectional=True exclude each other"):
        fitted(kind, bidirectional=True, bptt_steps=3)


# dropout and initial states -------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_changes_the_fit_and_nothing_else(bidirectional, kind):
    settings = {"bidirectional": bidirectional, "max_iter": 1}
    without, with_dropout = fitted(kind, **settings), fitted(kind, dropout=0.5, **settings)
    assert not np.array_equal(without.weights_["W_ho"], with_dropout.weights_["W_ho"])
    for name, weight in with_dropout.weights_.items():
        without.weights_[name][...] = weight
    np.testing.assert_array_equal(raw(with_dropout, X), raw(without, X))


@pytest.mark.filterwarnings("ignore:The first call of partial_fit was given one sequence")
def test_a_dropout_mask_is_shared_by_the_steps_of_a_sequence():
    """Of constant inputs to a net without memory, the loss does not depend on how many they are."""

    def loss(T, dropout):
        reg = unfitted("regressor", dropout=dropout, readout="step", cell="rnn_tanh", batch_size=1)
        reg.set_params(hidden_layer_sizes=6, learning_rate_init=1e-300, alpha=0, standardize=False)
        reg.partial_fit([np.ones((T, 1))], [np.ones(T)])
        reg.weights_["W_hh_0"][:] = 0
        return reg.partial_fit([np.ones((T, 1))], [np.ones(T)]).loss_

    assert loss(4, dropout=0.5) == pytest.approx(loss(1, dropout=0.5), rel=1e-12)
    assert loss(4, dropout=0.5) != pytest.approx(loss(4, dropout=0.0), rel=1e-3)


@KINDS
@pytest.mark.parametrize("readout", [name for name in READOUTS if name != "step"])
def test_normal_states_are_drawn_at_fit_and_zero_at_predict(readout, kind):
    zeros = fitted(kind, readout=readout)
    normal = fitted(kind, readout=readout, initial_state="normal")
    assert normal.weights_.keys() == zeros.weights_.keys()
    assert not np.array_equal(normal.weights_["W_hh_0"], zeros.weights_["W_hh_0"])
    for name, weight in normal.weights_.items():
        zeros.weights_[name][...] = weight
    np.testing.assert_array_equal(raw(normal, X), raw(zeros, X))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_learned_states_are_weights_of_every_layer(bidirectional, cell):
    estimator = fitted("regressor", cell=cell, initial_state="learned", bidirectional=bidirectional)
    ends = ["", "_reverse"][: 1 + bidirectional]
    names = ["h0", "c0"] if cell == "lstm" else ["h0"]
    for i, H in enumerate((4, 3)):
        for name in (f"{name}_{i}{end}" for name in names for end in ends):
            assert estimator.weights_[name].shape == (H,)
            assert (estimator.weights_[name] != 0).all() or cell == "rnn_relu", name
    zeros = fitted("regressor", cell=cell, bidirectional=bidirectional)
    learned = estimator.weights_.keys() - zeros.weights_.keys()
    for name, weight in estimator.weights_.items():
        if name in learned:
            weight[...] = 0
        else:
            zeros.weights_[name][...] = weight
    np.testing.assert_array_equal(estimator.predict(X), zeros.predict(X))
