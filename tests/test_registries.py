"""One definition and one line add a cell, a loss, a schedule or a readout.

What is added here is of no use but to be different from what there is. It is run through the checks
that the registries are parametrised over, and through the estimators.
"""

import pickle

import numpy as np
import pytest

from _factories import NAMES, classifier, make_ragged, outputs, regressor, step_regressor
from _nn._nets import (
    LENGTHS,
    check_cell_derivative,
    check_checkpointing,
    check_gradient,
    check_outputs_are_those_of_the_gradient,
    check_pooling,
    check_steps_are_prefixes,
    check_truncation_to_last_steps,
    check_truncation_to_windows,
    check_zeros_stay_zero,
    make_net,
)
from skrnn._data.sequences import Segment
from skrnn._nn.backprop import TrainingWorkspace
from skrnn._nn.cells import CELLS, Block, Cell
from skrnn._nn.initializers import identity
from skrnn._nn.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    ClassificationLoss,
    RegressionLoss,
)
from skrnn._nn.pooling import READOUTS, Readout
from skrnn._nn.streaming import FittedNetwork
from skrnn._parallel.host import computing
from skrnn._training.schedules import SCHEDULES, Schedule

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# Cells with a recurrent matrix ----------------------------------------------------------------


class UpdateGate(Cell):
    """Collins et al. (2017): n = tanh(a_n);  f = sigmoid(a_f);  h = n + f (h_prev - n)."""

    gates = ("n", "f")
    blocks = (Block("f", scale=0.5), Block("n"))
    recurrent_start = staticmethod(identity)
    keeps_h = True

    @staticmethod
    def views(a, h_prev, h, m):
        return (*a, h_prev, h)

    @staticmethod
    def gradient_views(da):
        return tuple(da)

    @staticmethod
    def forward(step, scratch):
        f, n, h_prev, h = step
        np.tanh(f, out=f)
        f *= scratch.half
        f += scratch.half
        np.tanh(n, out=n)
        np.subtract(h_prev, n, out=h)
        h *= f
        h += n

    @staticmethod
    def backward(step, d_step, d_state, scratch):
        (dh,) = d_state
        (f, n, h_prev, _), (df, dn) = step, d_step
        df[:] = dh * (h_prev - n) * f * (1 - f)
        dn[:] = dh * (1 - f) * (1 - n * n)
        dh *= f


class Leaky(Cell):
    """One block, and a part of h that bypasses the products: h = (3 h_prev + tanh(a)) / 4."""

    keeps_h = True

    @staticmethod
    def views(a, h_prev, h, m):
        return h_prev, h

    @staticmethod
    def gradient_views(da):
        return tuple(da)

    @staticmethod
    def forward(step, scratch):
        h_prev, h = step
        np.tanh(h, out=h)  # where a is
        h += 3 * h_prev
        h /= 4

    @staticmethod
    def backward(step, d_step, d_state, scratch):
        (dh,) = d_state
        (h_prev, h), (da,) = step, d_step
        da[:] = dh * (1 - (4 * h - 3 * h_prev) ** 2) / 4
        dh *= 0.75


class Memory(Cell):
    """One block and a state beside h, called q: q = q_prev / 2 + a;  h = tanh(q)."""

    gates = ("q",)
    blocks = (Block("q"),)
    states = ("h", "q")
    n_memory = 1

    @staticmethod
    def views(a, h_prev, h, m):
        return (*a, h, *m)

    @staticmethod
    def gradient_views(da):
        return tuple(da)

    @staticmethod
    def forward(step, scratch):
        a, q_prev, h, q = step
        np.multiply(q_prev, scratch.half, out=q)
        q += a
        np.tanh(q, out=h)

    @staticmethod
    def backward(step, d_step, d_state, scratch):
        dh, dq = d_state
        (_, _, h, _), (da,) = step, d_step
        dq += dh * (1 - h * h)
        da[:] = dq
        dq *= 0.5


class OwnBias(Cell):
    """Blocks that read h, h and x, and x alone: h = tanh(u) + tanh(b) tanh(x)."""

    gates = ("u", "b", "v")
    blocks = (Block("u", "h"), Block("b"), Block("v", "x"))
    biases = {"v": 0.5}

    @staticmethod
    def views(a, h_prev, h, m):
        return a, *a, h

    @staticmethod
    def gradient_views(da):
        return tuple(da)

    @staticmethod
    def forward(step, scratch):
        a, u, b, v, h = step
        np.tanh(a, out=a)
        np.multiply(b, v, out=h)
        h += u

    @staticmethod
    def backward(step, d_step, d_state, scratch):
        (dh,) = d_state
        (_, u, b, v, _), (du, db, dv) = step, d_step
        du[:] = dh * (1 - u * u)
        db[:] = dh * v * (1 - b * b)
        dv[:] = dh * b * (1 - v * v)


# Cells without --------------------------------------------------------------------------------


class MinGRU(Cell):
    """Feng et al. (2024): z = sigmoid(a_z);  n = a_n;  h = n + z (h_prev - n)."""

    gates = ("z", "n")
    blocks = (Block("z", "x", 0.5), Block("n", "x"))
    keeps_h = True

    @staticmethod
    def views(a, h_prev, h, m):
        return (*a, h_prev, h)

    @staticmethod
    def gradient_views(da):
        return tuple(da)

    @staticmethod
    def forward(step, scratch):
        z, n, h_prev, h = step
        np.tanh(z, out=z)
        z *= scratch.half
        z += scratch.half
        np.subtract(h_prev, n, out=h)
        h *= z
        h += n

    @staticmethod
    def backward(step, d_step, d_state, scratch):
        (dh,) = d_state
        (z, n, h_prev, _), (dz, dn) = step, d_step
        dz[:] = dh * (h_prev - n) * z * (1 - z)
        dn[:] = dh * (1 - z)
        dh *= z


class Average(Leaky):
    """One block: h = (3 h_prev + tanh(a)) / 4, of x alone."""

    blocks = (Block("h", "x"),)


class Memoryless(Cell):
    """One block, and nothing is carried: h = tanh(a), of x alone."""

    blocks = (Block("h", "x"),)

    @staticmethod
    def views(a, h_prev, h, m):
        return (h,)

    @staticmethod
    def gradient_views(da):
        return tuple(da)

    @staticmethod
    def forward(step, scratch):
        (h,) = step
        np.tanh(h, out=h)

    @staticmethod
    def backward(step, d_step, d_state, scratch):
        (dh,) = d_state
        (h,), (da,) = step, d_step
        da[:] = dh * (1 - h * h)


class Accumulator(Memory):
    """One block and a state beside h, of x alone."""

    blocks = (Block("q", "x"),)


# Losses, a schedule, a readout ----------------------------------------------------------------


class LogCosh(RegressionLoss):
    """log(cosh(o - y)), of derivative tanh(o - y)."""

    def value_and_gradient(self, y, o, weight):
        error = np.abs(o - y)
        value = error + np.log1p(np.exp(-2 * error)) - np.log(2)
        return (weight * value).sum(), weight * np.tanh(o - y)


class Exponential(RegressionLoss):
    """y exp(-o) + o: of positive targets, which are in units of their mean."""

    lower = 1e-3

    def value_and_gradient(self, y, o, weight):
        ratio = y * np.exp(-o)
        return (weight * (ratio + o)).sum(), weight * (1 - ratio)

    def units(self, y, weight):
        return np.zeros(y.shape[1]), np.average(y, axis=0, weights=weight)

    def inverse_link(self, o):
        return np.exp(o)


class Signs(ClassificationLoss):
    """log(1 + exp(-y o)) with y in {-1, 1}: of two classes, and of labels."""

    kinds = ("binary", "multilabel")

    def n_outputs(self, n_classes):
        return n_classes if n_classes > 2 else 1

    def encode(self, codes, dtype):
        return 2 * codes.astype(dtype) - 1

    def value_and_gradient(self, y, o, weight):
        d_o = -y / (1 + np.exp(y * o))
        return (weight * np.logaddexp(0, -y * o)).sum(), weight * d_o

    def start(self, y, weight, n_outputs):
        return np.zeros(n_outputs)

    def inverse_link(self, o):
        return 1 / (1 + np.exp(-o))

    def decision(self, raw):
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def decide(self, raw):
        return (self.decision(raw) > 0).astype(int)

    def probabilities(self, raw):
        p = self.inverse_link(raw)
        return p if raw.shape[1] > 1 else np.hstack([1 - p, p])

    def log_probabilities(self, raw):
        return np.log(self.probabilities(raw))


class OneAgainstAll(ClassificationLoss):
    """Squared error of indicators, whose outputs are compared by a softmax."""

    kinds = ("multiclass",)

    def value_and_gradient(self, y, o, weight):
        error = o - (y == np.arange(len(o))[:, None])
        return 0.5 * (weight * error**2).sum(), (weight * error).astype(o.dtype)

    def start(self, y, weight, n_outputs):
        return np.full(n_outputs, 1 / n_outputs)

    def inverse_link(self, o):
        p = np.exp(o)
        return p / p.sum(axis=1, keepdims=True)

    def decide(self, raw):
        return raw.argmax(axis=1)

    def log_probabilities(self, raw):
        return np.log(self.inverse_link(raw))


class Halving(Schedule):
    """The rate is halved every `power_t` epochs."""

    settings = ("learning_rate_init", "power_t")

    def rate(self):
        return self.learning_rate_init / 2 ** (self.epochs // self.power_t)


class Fading(Readout):
    """The sum of 0.9^t h_t over the steps t = 0, 1, ..."""

    def collect(self, segment: Segment, h):
        factors = 0.9 ** np.arange(segment.start, segment.start + segment.steps)
        faded = (factors[:, None, None] * h).astype(h.dtype)
        for steps, first, last in segment.spans:
            self.total[:, first:last] += faded[:steps, :, first:last].sum(axis=0)

    def spread(self, segment, d):
        return {
            t: (slice(0, n), (0.9 ** (segment.start + t) * d[:, :n]).astype(d.dtype))
            for t, n in enumerate(segment.running())
        }

    @staticmethod
    def fold(total, h, count):
        return (np.where(count > 0, total, 0) + 0.9**count * h).astype(h.dtype)


RECURRENT = {"update": UpdateGate, "leaky": Leaky, "memory": Memory, "bias": OwnBias}
ELEMENTWISE = {
    "mingru": MinGRU,
    "average": Average,
    "memoryless": Memoryless,
    "accumulator": Accumulator,
}
NEW_CELLS = RECURRENT | ELEMENTWISE
NEW_LOSSES = {
    "log_cosh": LogCosh,
    "exponential": Exponential,
    "signs": Signs,
    "one_against_all": OneAgainstAll,
}
NEW_CLASSIFICATION_LOSSES = {
    name: loss for name, loss in NEW_LOSSES.items() if issubclass(loss, ClassificationLoss)
}
NEW_REGRESSION_LOSSES = {
    name: loss for name, loss in NEW_LOSSES.items() if issubclass(loss, RegressionLoss)
}


@pytest.fixture(autouse=True)
def added(monkeypatch):
    """Add them, the classification losses before the others, as the first of a kind is taken."""
    for name, cell in NEW_CELLS.items():
        monkeypatch.setitem(CELLS, name, cell)
    for name, loss in NEW_REGRESSION_LOSSES.items():
        monkeypatch.setitem(REGRESSION_LOSSES, name, loss)
    monkeypatch.setitem(SCHEDULES, "halving", Halving)
    monkeypatch.setitem(READOUTS, "fading", Fading)
    losses = CLASSIFICATION_LOSSES.copy()
    CLASSIFICATION_LOSSES.clear()
    CLASSIFICATION_LOSSES.update(NEW_CLASSIFICATION_LOSSES | losses)
    yield
    CLASSIFICATION_LOSSES.clear()
    CLASSIFICATION_LOSSES.update(losses)


# The checks of the registries -----------------------------------------------------------------

EVERY_CELL = pytest.mark.parametrize("cell", NEW_CELLS)
EVERY_LOSS = pytest.mark.parametrize("loss", NEW_LOSSES)
EVERY_READOUT = pytest.mark.parametrize("readout", ["last", "mean", "max", "step", "fading"])
DIRECTIONS = pytest.mark.parametrize("bidirectional", [False, True])


@EVERY_CELL
def test_derivative_of_every_input_of_a_cell_is_exact(cell, assert_gradient):
    check_cell_derivative(assert_gradient, cell)


@EVERY_CELL
def test_columns_of_zeros_stay_zero(cell):
    check_zeros_stay_zero(cell)


@EVERY_CELL
@EVERY_READOUT
def test_gradient_of_cells_is_exact(cell, readout, assert_gradient):
    for lengths in ("equal", "ragged"):
        options = {"readout": readout, "initial_state": "learned", "lengths": lengths}
        check_gradient(assert_gradient, cell, sizes=(2, 2), **options)


@EVERY_CELL
@EVERY_READOUT
def test_gradient_of_cells_in_both_directions_is_exact(cell, readout, assert_gradient):
    options = {"readout": readout, "bidirectional": True, "initial_state": "learned"}
    check_gradient(assert_gradient, cell, sizes=(2, 1), **options)


@EVERY_CELL
def test_gradient_with_noise_and_codes_is_exact(cell, assert_gradient):
    options = {"initial_state": "normal", "embedded": ((1, 4, 3),)}
    check_gradient(assert_gradient, cell, sizes=(2, 2), lengths="many", dropout=0.4, **options)


@EVERY_LOSS
@pytest.mark.parametrize("readout", ["last", "step", "fading"])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_gradient_of_losses_is_exact(loss, readout, lengths, assert_gradient):
    options = {"readout": readout, "bidirectional": readout == "step"}
    check_gradient(assert_gradient, "rnn_tanh", loss, sizes=(3,), lengths=lengths, **options)


@pytest.mark.parametrize("longest", [None, 1, 3])
@pytest.mark.parametrize("lengths", [[5, 5], [7, 4, 4, 1], [9] * 17 + [2]], ids=len)
def test_pooling_is_exact_however_time_is_cut(lengths, longest, assert_gradient):
    check_pooling(assert_gradient, "fading", lengths, longest)


@EVERY_CELL
@EVERY_READOUT
@DIRECTIONS
def test_states_that_are_computed_again_give_the_same_gradient(cell, readout, bidirectional):
    check_checkpointing(cell, readout=readout, bidirectional=bidirectional)
    if not bidirectional:
        check_checkpointing(cell, readout=readout, bptt_steps=50)


@EVERY_CELL
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
@pytest.mark.parametrize("k", [1, 3])
def test_truncated_gradient_is_that_of_steps_from_fixed_states(cell, k, initial_state):
    check_truncation_to_last_steps(cell, k, initial_state=initial_state)
    check_truncation_to_windows(cell, k, initial_state=initial_state)


@EVERY_CELL
@EVERY_READOUT
@DIRECTIONS
def test_outputs_are_those_that_the_gradient_is_taken_of(cell, readout, bidirectional):
    check_outputs_are_those_of_the_gradient(cell, readout, bidirectional)


@EVERY_CELL
@EVERY_READOUT
@pytest.mark.parametrize("initial_state", ["zeros", "learned"])
def test_a_step_at_a_time_gives_the_outputs_of_every_prefix(cell, readout, initial_state):
    check_steps_are_prefixes(cell, readout, initial_state)


# What a cell says of itself -------------------------------------------------------------------


def products_of(cell):
    """Products per step of the layers, as the loop over time finds them."""
    network, theta = make_net(cell, (4, 3), 1, np.random.default_rng(0), initial_state="learned")
    space, x = TrainingWorkspace(network), np.ones((5, 2, 3))
    space.pack(network.weights(theta))
    products = []
    for layer in space.stacks[0][1]:
        layer.begin(6 * 16)
        arrays = layer.unroll(Segment(0, 5, 3, 16, ()), 0)
        layer.forward(arrays, 3, np.resize(x, (5, layer.layer.n_in, 3)), None)
        products += [own for own, _ in arrays.steps]
    return products


@pytest.mark.parametrize("cell", ELEMENTWISE)
def test_a_cell_without_a_recurrent_matrix_has_no_product_inside_the_time_loop(cell):
    assert len(products_of(cell)) == 10
    assert not any(products_of(cell))


@pytest.mark.parametrize("cell", RECURRENT)
def test_a_cell_with_a_recurrent_matrix_has_products_inside_the_time_loop(cell):
    assert all(products_of(cell))


@EVERY_CELL
def test_weights_are_those_of_the_description(cell):
    kind, H = NEW_CELLS[cell], 4
    network, _ = make_net(cell, (H,), 1, np.random.default_rng(0), initial_state="learned")
    start = network.weights(network.initialize(np.random.RandomState(0)))
    names = ["W_xh", *["W_hh"] * (cell in RECURRENT), "b_h", *["b_hu"] * (cell == "bias")]
    names += [f"{state}0" for state in kind.states]
    assert [name for name in start if name.endswith("_0")] == [f"{name}_0" for name in names]
    biases = np.repeat([kind.biases.get(gate, 0.0) for gate in kind.gates], H)
    np.testing.assert_array_equal(start["b_h_0"], biases)
    penalized = {name for name, view in network.weights(network.penalty(1.0)).items() if view.any()}
    assert penalized == {name for name in start if name.startswith("W_")}


@EVERY_CELL
def test_states_have_the_names_of_the_cell(cell):
    fitted = FittedNetwork(*make_net(cell, (4, 3), 1, np.random.default_rng(0)))
    with computing():
        state = fitted.to_user(fitted.step(np.ones((2, 5)), fitted.carry_before(5)))
    names = [f"{name}_{layer}" for layer in range(2) for name in NEW_CELLS[cell].states]
    assert list(state) == [*names, "pooled", "steps"]


# Through the estimators -----------------------------------------------------------------------

X, LABELS, REAL = make_ragged(30)
REAL = REAL + 3  # positive
TARGETS = {
    "binary": np.equal(LABELS, NAMES[0]),
    "multiclass": LABELS,
    "multilabel": (LABELS[:, None] != NAMES).astype(int),
}
SETTINGS = {"batch_size": 10, "max_iter": 4, "n_iter_no_change": 100}

PROBLEMS = {
    **{f"regressor, {cell}": (regressor, {"cell": cell}, REAL) for cell in NEW_CELLS},
    **{f"classifier, {cell}": (classifier, {"cell": cell}, LABELS) for cell in NEW_CELLS},
    **{
        f"bidirectional, {cell}": (
            regressor,
            {"cell": cell, "bidirectional": True, "hidden_layer_sizes": (4, 3)},
            REAL,
        )
        for cell in NEW_CELLS
    },
    **{
        f"every option, {cell}": (
            regressor,
            {"cell": cell, "bptt_steps": 3, "dropout": 0.3, "initial_state": "normal"},
            REAL,
        )
        for cell in NEW_CELLS
    },
    **{
        f"lbfgs, {cell}": (regressor, {"cell": cell, "solver": "lbfgs"}, REAL) for cell in NEW_CELLS
    },
    **{
        f"steps, {cell}": (step_regressor, {"cell": cell}, [x[:, 0] for x in X])
        for cell in NEW_CELLS
    },
    **{f"regressor, {loss}": (regressor, {"loss": loss}, REAL) for loss in NEW_REGRESSION_LOSSES},
    **{
        f"early stopping, {loss}": (regressor, {"loss": loss, "early_stopping": True}, REAL)
        for loss in NEW_REGRESSION_LOSSES
    },
    **{f"classifier, {kind}": (classifier, {}, y) for kind, y in TARGETS.items()},
    **{
        f"early stopping, {kind}": (classifier, {"early_stopping": True}, y)
        for kind, y in TARGETS.items()
    },
    "balanced": (classifier, {"class_weight": "balanced"}, LABELS),
    "halving": (regressor, {"learning_rate": "halving", "power_t": 2.0}, REAL),
    "fading": (regressor, {"readout": "fading"}, REAL),
    "fading, bidirectional": (classifier, {"readout": "fading", "bidirectional": True}, LABELS),
    "fading, truncated": (regressor, {"readout": "fading", "bptt_steps": 3}, REAL),
}


def said(estimator):
    """All values of all predictions."""
    return [np.concatenate([np.ravel(part) for part in out]) for out in outputs(estimator, X)]


@pytest.mark.parametrize(("make", "params", "y"), PROBLEMS.values(), ids=PROBLEMS)
def test_estimators_fit_predict_and_pickle(make, params, y):
    estimator = make(**SETTINGS | params).fit(X, y)
    assert all(np.isfinite(values).all() for values in said(estimator) if values.dtype.kind == "f")
    again = pickle.loads(pickle.dumps(estimator))
    for own, expected in zip(said(again), said(estimator), strict=True):
        np.testing.assert_array_equal(own, expected)


@pytest.mark.parametrize(
    ("make", "params", "y"),
    [problem for problem in PROBLEMS.values() if "solver" not in problem[1]],
    ids=[name for name, problem in PROBLEMS.items() if "solver" not in problem[1]],
)
def test_estimators_resume(make, params, y):
    settings = SETTINGS | params
    half = make(**settings | {"max_iter": 2, "warm_start": True}).fit(X, y)
    half = pickle.loads(pickle.dumps(half)).fit(X, y)
    if params.get("early_stopping"):  # goes on from the best weights
        assert half.n_iter_ == 4
        return
    whole = make(**settings).fit(X, y)
    assert half.loss_curve_ == whole.loss_curve_
    for own, expected in zip(said(half), said(whole), strict=True):
        np.testing.assert_array_equal(own, expected)
    if "class_weight" not in params:
        assert half.partial_fit(X, y).n_iter_ == 5


@EVERY_CELL
@pytest.mark.parametrize("readout", ["last", "fading"])
def test_streams_give_the_predictions_of_prefixes(cell, readout):
    reg, x = regressor(cell=cell, readout=readout).fit(X, REAL), np.stack([x[:1] for x in X])
    output, state = reg.step(x[:, 0])
    np.testing.assert_allclose(output, reg.predict(x), rtol=1e-10)
    twice = np.concatenate([x, 2 * x], axis=1)
    np.testing.assert_allclose(reg.step(2 * x[:, 0], state)[0], reg.predict(twice), rtol=1e-10)


@pytest.mark.parametrize("cell", ELEMENTWISE)
def test_fitted_weights_hold_no_recurrent_matrix_where_there_is_none(cell):
    for bidirectional in (False, True):
        reg = regressor(cell=cell, bidirectional=bidirectional).fit(X, REAL)
        assert not any(name.startswith("W_hh") for name in reg.weights_)


@pytest.mark.parametrize("kind", TARGETS)
def test_the_first_loss_of_a_kind_is_taken(kind):
    clf = classifier(max_iter=1).fit(X, TARGETS[kind])
    assert type(clf._model.targets.loss) is (OneAgainstAll if kind == "multiclass" else Signs)
    untrained = clf.score(X, TARGETS[kind])
    clf.set_params(max_iter=30, learning_rate_init=0.05).fit(X, TARGETS[kind])
    assert clf.score(X, TARGETS[kind]) > max(untrained, 0.6)


def test_targets_that_a_loss_does_not_take_are_refused_by_its_own_bound():
    with pytest.raises(ValueError, match=r'loss="exponential" needs targets y >= 0\.001'):
        regressor(loss="exponential").fit(X, REAL - 10)
    assert regressor(loss="exponential").__sklearn_tags__().target_tags.positive_only


def test_what_is_added_is_named_where_a_parameter_is_refused():
    for name, new in {
        "cell": "mingru",
        "readout": "fading",
        "learning_rate": "halving",
        "loss": "log_cosh",
    }.items():
        with pytest.raises(ValueError, match=f"'{name}' parameter of RNNRegressor.*{new}"):
            regressor(**{name: "no such"}).fit(X, REAL)
