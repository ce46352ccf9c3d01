"""What PyTorch computes, skrnn computes: tools/make_torch_reference.py wrote the files."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, softmax

from _factories import Silence
from skrnn import RNNClassifier, RNNRegressor
from skrnn._data.samples import Samples
from skrnn._data.sequences import Sequences
from skrnn._nn.losses import LOSSES
from skrnn._nn.network import Architecture, Network
from skrnn._nn.streaming import FittedNetwork
from skrnn._parallel.host import computing
from skrnn._parallel.shards import Batch, ShardedObjective
from skrnn._training.early_stopping import EarlyStopping
from skrnn._training.health import Yardstick
from skrnn._training.loops import Trainer, Updater
from skrnn._training.optimizers import Adam
from skrnn._training.schedules import Schedule

FILES = sorted((Path(__file__).parent / "reference").glob("*.npz"))
OPTIONS = sorted((Path(__file__).parent / "reference" / "options").glob("*.npz"))
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def case(request):
    with np.load(request.param) as arrays:
        return dict(arrays)


def with_loss(loss):
    return pytest.mark.parametrize(
        "case",
        [pytest.param(path, id=path.stem) for path in FILES if f"-{loss}-" in path.name],
        indirect=True,
    )


@pytest.fixture
def network(case):
    return net_of(case, case["outputs"].shape[1])


def net_of(case, n_outputs):
    n_features, sizes = case["steps"].shape[1], tuple(case["hidden_layer_sizes"].tolist())
    return Network(
        Architecture(str(case["cell"]), n_features, sizes, n_outputs, case["steps"].dtype.name)
    )


def start_of(case, network):
    theta = np.full(network.n_weights, np.nan, network.dtype)
    fill(network.weights(theta), case["weights"])
    return theta


def fill(views, record):
    assert views.keys() == set(record.dtype.names)
    for name, view in views.items():
        view[...] = record[name]


def batch_of(case, n_targets, **options):
    """All samples, their loss divided by the number of targets."""
    sequences = Sequences.stacked(case["steps"], case["lengths"])
    samples = Samples(sequences, case["targets"], case["sample_weight"], **options)
    return Batch(samples.longest_first(), None, n_targets)


def objective(case, network):
    """The loss of a batch, with its gradient."""
    loss = LOSSES[str(case["loss"])]()
    return ShardedObjective(network, loss, bptt_steps=None, max_bytes=np.inf)


def outputs_of(case, network, theta):
    with computing():
        return FittedNetwork(network, theta).outputs(
            Sequences.stacked(case["steps"], case["lengths"])
        )


def assert_equal(ours, torchs, case):
    assert np.shape(ours) == np.shape(torchs)
    error = np.abs(ours - torchs).max() / np.abs(torchs).max()
    assert error <= TOLERANCE[case["steps"].dtype.name]


def assert_all_equal(network, ours, record, case):
    for name, view in network.weights(ours).items():
        assert_equal(view, record[name], case)


def test_files_hold_every_cell_and_loss_in_both_precisions():
    stems = [path.stem.split("-") for path in FILES]
    cells = {(cell, loss, dtype) for cell, _, _, loss, dtype in stems}
    assert cells == {
        (cell, loss, dtype)
        for cell in ("rnn_tanh", "rnn_relu", "gru", "lstm")
        for loss in ("squared_error", "binary_log_loss", "multinomial_log_loss")
        for dtype in TOLERANCE
    }
    assert {(layers, kind) for _, layers, kind, _, _ in stems} == {
        (layers, kind) for layers in "12" for kind in ("equal", "ragged")
    }


def test_last_states(case):
    n_units = case["last"].shape[1]
    network = net_of(case, n_units)  # that reads out the states themselves
    theta = np.zeros(network.n_weights, network.dtype)
    readout = {"W_ho": np.eye(n_units), "b_o": 0}
    for name, view in network.weights(theta).items():
        view[...] = readout[name] if name in readout else case["weights"][name]
    assert_equal(outputs_of(case, network, theta), case["last"], case)


def test_outputs(case, network):
    outputs = outputs_of(case, network, start_of(case, network))
    assert outputs.dtype == case["outputs"].dtype
    assert_equal(outputs, case["outputs"], case)


def test_loss_and_gradient(case, network):
    theta = start_of(case, network)
    gradient = np.full_like(theta, np.nan)
    with computing():
        value = objective(case, network)(theta, gradient, batch_of(case, len(case["lengths"])))
    assert_equal(value, case["loss_value"], case)
    assert_all_equal(network, gradient, case["gradient"], case)


def test_adam_with_clipping(case, network):
    n, n_steps, theta = len(case["lengths"]), len(case["losses"]), start_of(case, network)
    adam = Adam(theta.size, theta.dtype, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    rate = Schedule(learning_rate_init=float(case["learning_rate"]))
    updater = Updater(adam, rate, np.zeros_like(theta), float(case["max_grad_norm"]))
    with computing():
        stopping = EarlyStopping(0.0, n_steps + 1)
        rest = updater, stopping, Silence(), Yardstick(np.inf)
        trainer = Trainer(theta, objective(case, network), *rest)
        history = trainer.run(lambda: [batch_of(case, n)], n_steps)
    assert 0 < np.sum(case["grad_norms"] > case["max_grad_norm"]) < n_steps
    assert_equal(history.losses, case["losses"], case)
    assert_equal(history.grad_norms, case["grad_norms"], case)
    assert_all_equal(network, theta, case["final_weights"], case)


def fitted(estimator, case, y, **labels):
    """The estimator after one epoch, torch's weights written into it, and its sequences."""
    X = np.split(case["steps"], np.cumsum(case["lengths"])[:-1])
    sizes = case["hidden_layer_sizes"].tolist()
    estimator.set_params(cell=str(case["cell"]), hidden_layer_sizes=sizes, random_state=0)
    estimator.partial_fit(X, y, **labels)
    fill(estimator.weights_, case["weights"])
    return estimator, X


@with_loss("binary_log_loss")
def test_predict_proba_of_two_classes(case):
    y = case["targets"][:, 0]
    clf, X = fitted(RNNClassifier(standardize=False), case, y, classes=np.unique(y))
    p = expit(case["outputs"])
    assert_equal(clf.predict_proba(X), np.hstack([1 - p, p]), case)


@with_loss("multinomial_log_loss")
def test_predict_proba_of_three_classes(case):
    y = case["targets"][:, 0]
    clf, X = fitted(RNNClassifier(standardize=False), case, y, classes=np.unique(y))
    assert_equal(clf.predict_proba(X), softmax(case["outputs"], axis=1), case)


@with_loss("squared_error")
def test_predict_of_a_regressor(case):
    y = case["targets"]
    reg, X = fitted(RNNRegressor(standardize=False), case, y)
    assert_equal(reg.predict(X), case["outputs"] * y.std(axis=0) + y.mean(axis=0), case)


# directions, codes, outputs of steps ----------------------------------------------------------


@pytest.fixture(params=OPTIONS, ids=lambda path: path.stem)
def options_case(request):
    with np.load(request.param) as arrays:
        return dict(arrays)


def net_of_options(case):
    return Network(
        Architecture(
            str(case["cell"]),
            case["steps"].shape[1],
            tuple(case["hidden_layer_sizes"].tolist()),
            case["outputs"].shape[1],
            case["steps"].dtype.name,
            readout=str(case["readout"]),
            bidirectional=bool(case["bidirectional"]),
            embedded=tuple(map(tuple, case["embedded"].tolist())),
        )
    )


def test_files_hold_every_option():
    assert {path.stem for path in OPTIONS} == {
        "gru-bidirectional",
        "lstm-bidirectional",
        "rnn_tanh-embedded",
        "lstm-steps",
        "gru-all",
    }


def test_outputs_loss_and_gradient_of_options(options_case):
    case, network = options_case, net_of_options(options_case)
    theta, per_step = start_of(case, network), bool(case["readout"] == "step")
    assert_equal(outputs_of(case, network, theta), case["outputs"], case)
    batch, gradient = batch_of(case, len(case["targets"]), per_step=per_step), np.empty_like(theta)
    with computing():
        value = objective(case, network)(theta, gradient, batch)
    assert_equal(value, case["loss_value"], case)
    assert_all_equal(network, gradient, case["gradient"], case)


def fitted_on_options(case):
    """The estimator after one epoch, torch's weights written into it, and its sequences."""
    kind = RNNRegressor if case["loss"] == "squared_error" else RNNClassifier
    estimator = kind(standardize=False)
    coded = case["embedded"][:, 0].astype(int).tolist() if len(case["embedded"]) else None
    estimator.set_params(
        cell=str(case["cell"]),
        hidden_layer_sizes=case["hidden_layer_sizes"].tolist(),
        bidirectional=bool(case["bidirectional"]),
        readout=str(case["readout"]),
        categorical_features=coded,
        embedding_dim=2,
    )
    cuts, y = np.cumsum(case["lengths"])[:-1], case["targets"]
    y = y if case["loss"] == "squared_error" else y[:, 0]
    X, y = np.split(case["steps"], cuts), np.split(y, cuts) if case["readout"] == "step" else y
    classes = {} if case["loss"] == "squared_error" else {"classes": np.unique(case["targets"])}
    estimator.partial_fit(X, y, **classes)
    for name, view in estimator.weights_.items():
        own = case["weights"][name]
        view[: len(own)] = own  # below E_0 skrnn has a vector for codes that are not known
    return estimator, X


def test_predictions_of_options(options_case):
    case, y = options_case, options_case["targets"]
    (estimator, X), o = fitted_on_options(case), case["outputs"]
    predicted = getattr(estimator, "predict_proba", estimator.predict)(X)
    if case["loss"] == "squared_error":
        expected = o * y.std(axis=0) + y.mean(axis=0)
    elif case["loss"] == "binary_log_loss":
        expected = np.hstack([expit(-o), expit(o)])
    else:
        expected = softmax(o, axis=1)
    assert_equal(np.concatenate(list(predicted)).reshape(o.shape[0], -1), expected, case)
