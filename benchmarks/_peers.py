"""The same net in skrnn, PyTorch and ONNX, with the same weights."""

import numpy as np
import torch
from torch import nn

from skrnn import RNNClassifier

N_CLASSES = 3
LEARNING_RATE = 0.005
TORCH_RNNS = {"rnn_tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
ONNX_RNNS = {  # operator, its attributes, its order of our gates
    "rnn_tanh": ("RNN", {}, [0]),
    "gru": ("GRU", {"linear_before_reset": 1}, [1, 0, 2]),
    "lstm": ("LSTM", {}, [0, 3, 1, 2]),
}


def labels(n):
    """Return class indices, balanced."""
    return np.random.default_rng(1).permutation(np.arange(n) % N_CLASSES)


def classifier(cell, hidden_layer_sizes, batch_size, epochs, bidirectional=False):
    """Return our classifier, with all criteria for stopping early turned off."""
    return RNNClassifier(
        cell,
        hidden_layer_sizes=hidden_layer_sizes,
        bidirectional=bidirectional,
        batch_size=batch_size,
        max_iter=epochs,
        alpha=0,
        learning_rate_init=LEARNING_RATE,
        tol=0,
        n_iter_no_change=10**9,
        random_state=0,
    )


class TorchNet(nn.Module):
    """Recurrent layers and a linear readout of the last hidden state; accepts packed sequences."""

    def __init__(self, cell, n_in, n_hidden, n_out=N_CLASSES, **settings):
        super().__init__()
        self.rnn = TORCH_RNNS[cell](n_in, n_hidden, **{"batch_first": True} | settings)
        self.n_ends = 2 if self.rnn.bidirectional else 1
        self.readout = nn.Linear(self.n_ends * n_hidden, n_out)

    def forward(self, x):
        h = last_state(self.rnn(x)[1])[-self.n_ends :]
        return self.readout(h.movedim(0, 1).flatten(1))


def last_state(state):
    """Return h without the c of an LSTM."""
    return state[0] if isinstance(state, tuple) else state


def fit_torch(net, take, y, batch_size, epochs):
    """Train with the plain loop; `take(rows)` returns the arguments of the net."""
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(y)).split(batch_size):
            optimizer.zero_grad()
            loss = loss_function(net(*take(rows)), y[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(rows)
        losses.append(total / len(y))
    return losses


def carry_over(estimator, net):
    """Copy the weights of a fitted estimator to a torch net of one layer."""
    weights = {name: torch.tensor(w) for name, w in estimator.weights_.items()}
    values = {
        "rnn.weight_ih_l0": weights["W_xh_0"],
        "rnn.weight_hh_l0": weights["W_hh_0"],
        "rnn.bias_ih_l0": weights["b_h_0"],
        "rnn.bias_hh_l0": _second_bias(weights, torch.zeros_like(weights["b_h_0"])),
        "readout.weight": weights["W_ho"],
        "readout.bias": weights["b_o"],
    }
    net.load_state_dict(values)
    return net.eval()


def _second_bias(weights, zeros):
    """Torch and ONNX have two biases per gate; ours has a second one for the n of a GRU only."""
    if "b_hn_0" in weights:
        zeros[-len(weights["b_hn_0"]) :] = weights["b_hn_0"]
    return zeros


def onnx_model(estimator):
    """Export a fitted classifier as an ONNX graph from (n, T, D) to probabilities, as bytes."""
    from onnx import TensorProto, helper, numpy_helper

    operator, attributes, order = ONNX_RNNS[estimator.cell]
    weights = estimator.weights_
    H = weights["W_hh_0"].shape[1]

    def gates(array):
        return array.reshape(len(order), H, -1)[order].reshape(array.shape)

    bias = weights["b_h_0"]
    biases = [gates(bias), gates(_second_bias(weights, np.zeros_like(bias)))]
    constants = {
        "W": gates(weights["W_xh_0"])[None],
        "R": gates(weights["W_hh_0"])[None],
        "B": np.concatenate(biases)[None],
        "W_ho": weights["W_ho"],
        "b_o": weights["b_o"],
        "axis": np.array([0]),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node(
            operator, ["steps", "W", "R", "B"], ["", "h"], hidden_size=H, **attributes
        ),
        helper.make_node("Squeeze", ["h", "axis"], ["last"]),
        helper.make_node("Gemm", ["last", "W_ho", "b_o"], ["o"], transB=1),
        helper.make_node("Softmax", ["o"], ["p"], axis=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "T", estimator.n_features_in_])
    p = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", N_CLASSES])
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "net", [x], [p], initializers)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
