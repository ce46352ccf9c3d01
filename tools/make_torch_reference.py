"""Write what PyTorch computes on small cases, for tests/test_torch_reference.py to compare with.

Run from the root of the repository:

    pip install ".[bench]" && python tools/make_torch_reference.py

Cell, layers and lengths are crossed in both precisions; the losses take turns, so that every cell,
depth and kind of lengths meets every loss. A file of tests/reference holds one case:

    cell, loss, hidden_layer_sizes
    steps (sum of T_i, D), lengths (n,), targets (n, outputs), sample_weight (n,)
    weights     by skrnn's names, as the fields of one record
    last        top layer's last state of every sequence (n, H)
    outputs     (n, outputs)
    loss_value  weighted mean over the samples
    gradient    of loss_value, a record like weights
    learning_rate, max_grad_norm
    losses, grad_norms  before each step of Adam on all samples, norms before clipping
    final_weights       after the last step, a record like weights

Files of tests/reference/options hold nets of two directions, of embedded codes and of one output
per step, in float64, up to the gradient; readout, bidirectional and embedded are as in skrnn's
Architecture.

torch has two biases where skrnn has one: b_hh is held at 0, but for the block of a GRU's n that is
skrnn's b_hn.
"""

from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

TARGET = Path("tests/reference")
N_SEQUENCES, N_FEATURES, N_UNITS, N_STEPS = 19, 2, 3, 20
LEARNING_RATE = 0.01
CELLS = {
    "rnn_tanh": partial(nn.RNN, nonlinearity="tanh"),
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
N_OUTPUTS = {"squared_error": 2, "binary_log_loss": 1, "multinomial_log_loss": 3}
LENGTHS = {
    "equal": np.full(N_SEQUENCES, 6),
    "ragged": np.array([4, 1, 7, 3, 9, 1, 2, 9, 5, 3, 8, 1, 6, 4, 2, 3, 7, 5, 3]),
}


class Net(nn.Module):
    """Recurrent layers and a linear layer on the last state."""

    def __init__(self, cell, n_layers, n_outputs):
        super().__init__()
        self.rnn = CELLS[cell](N_FEATURES, N_UNITS, n_layers, batch_first=True)
        self.readout = nn.Linear(N_UNITS, n_outputs)
        for layer in range(n_layers):
            hold_at_zero(getattr(self.rnn, f"bias_hh_l{layer}"), free_rows(cell))

    def forward(self, sequences):
        """Return the outputs and the top layer's last states."""
        state = self.rnn(as_input(sequences))[1]
        last = (state[0] if isinstance(state, tuple) else state)[-1]
        return self.readout(last), last


def free_rows(cell):
    """Rows of b_hh that are trained."""
    return slice(2 * N_UNITS, 3 * N_UNITS) if cell == "gru" else slice(0, 0)


def hold_at_zero(bias, free):
    """Set all but the free rows to 0; their gradient is 0 before any norm is taken."""
    mask = torch.zeros_like(bias)
    mask[free] = 1
    with torch.no_grad():
        bias *= mask
    if mask.any():
        bias.register_hook(lambda gradient: gradient * mask.to(gradient.dtype))
    else:
        bias.requires_grad_(False)


def as_input(sequences):
    """One array if the lengths are equal, else a packed one."""
    padded, lengths = pad_sequence(sequences, batch_first=True), [len(x) for x in sequences]
    if len(set(lengths)) == 1:
        return padded
    return pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)


def make_data(rng, lengths, loss):
    """Steps of all sequences, targets, and sample weights of mean 1."""
    steps = rng.standard_normal((lengths.sum(), N_FEATURES))
    sample_weight = rng.uniform(0.5, 1.5, len(lengths))
    if loss == "squared_error":
        targets = rng.standard_normal((len(lengths), N_OUTPUTS[loss]))
    else:
        targets = rng.integers(max(N_OUTPUTS[loss], 2), size=(len(lengths), 1))
    if loss == "binary_log_loss":
        targets = targets.astype(np.float64)
    return steps, targets, sample_weight / sample_weight.mean()


def sample_losses(loss, outputs, targets):
    """Loss of every sample, (n,)."""
    if loss == "squared_error":
        return F.mse_loss(outputs, targets, reduction="none").sum(axis=1) / 2
    if loss == "binary_log_loss":
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none")[:, 0]
    return F.cross_entropy(outputs, targets[:, 0], reduction="none")


def named_arrays(net, of):
    """What `of` takes of every parameter, as a record under skrnn's names."""
    rnn, arrays = net.rnn, {}
    for i, end in product(range(rnn.num_layers), ["", "_reverse"][: 1 + rnn.bidirectional]):
        arrays[f"W_xh_{i}{end}"] = of(getattr(rnn, f"weight_ih_l{i}{end}"))
        arrays[f"W_hh_{i}{end}"] = of(getattr(rnn, f"weight_hh_l{i}{end}"))
        arrays[f"b_h_{i}{end}"] = of(getattr(rnn, f"bias_ih_l{i}{end}"))
        if isinstance(rnn, nn.GRU):
            arrays[f"b_hn_{i}{end}"] = of(getattr(rnn, f"bias_hh_l{i}{end}"))[free_rows("gru")]
    if hasattr(net, "embedding"):
        arrays["E_0"] = of(net.embedding.weight)
    arrays |= {"W_ho": of(net.readout.weight), "b_o": of(net.readout.bias)}
    arrays = {name: tensor.detach().numpy() for name, tensor in arrays.items()}
    dtype = [(name, array.dtype, array.shape) for name, array in arrays.items()]
    return np.array(tuple(arrays.values()), dtype)


class Problem(NamedTuple):
    """A net and what it is to learn, as tensors."""

    net: Net
    sequences: list
    targets: torch.Tensor
    sample_weight: torch.Tensor
    loss: str

    def loss_value(self):
        """Weighted mean over the samples."""
        losses = sample_losses(self.loss, self.net(self.sequences)[0], self.targets)
        return (self.sample_weight * losses).mean()


def make_problem(seed, cell, n_layers, lengths, loss, dtype):
    """Draw in float64, then cast: both precisions of a seed start at the same numbers."""
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.float64)
    net = Net(cell, n_layers, N_OUTPUTS[loss]).to(dtype)
    data = map(torch.from_numpy, make_data(np.random.default_rng(seed), lengths, loss))
    steps, targets, weight = (x.to(dtype) if x.is_floating_point() else x for x in data)
    return Problem(net, torch.split(steps, lengths.tolist()), targets, weight, loss)


def clip(parameters, max_norm):
    """Scale the gradients to max_norm if they are longer; return their norm.

    torch divides by norm + 1e-6, skrnn by the norm: the bound given to torch makes up for it.
    """
    norm = get_total_norm([p.grad for p in parameters]).item()
    clip_grad_norm_(parameters, max_norm * (1 + 1e-6 / norm))
    return norm


def descend(problem, max_grad_norm):
    """Take the steps of Adam; return the losses and the norms before each."""
    parameters = [p for p in problem.net.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, eps=1e-8)
    losses, norms = [], []
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        loss = problem.loss_value()
        loss.backward()
        norms.append(clip(parameters, max_grad_norm))
        losses.append(loss.item())
        optimizer.step()
    return losses, norms


def at_start(problem):
    """What a file holds of inputs, and of outputs and gradient before any step."""
    outputs, last = problem.net(problem.sequences)
    value = problem.loss_value()
    value.backward()
    return {
        "steps": torch.cat(problem.sequences).numpy(),
        "lengths": np.array([len(x) for x in problem.sequences]),
        "targets": problem.targets.numpy(),
        "sample_weight": problem.sample_weight.numpy(),
        "weights": named_arrays(problem.net, lambda p: p),
        "last": last.detach().numpy(),
        "outputs": outputs.detach().numpy(),
        "loss_value": value.item(),
        "gradient": named_arrays(problem.net, lambda p: p.grad),
    }


def after_descent(problem, max_grad_norm):
    """What a file holds of the steps of Adam."""
    losses, norms = descend(problem, max_grad_norm)
    n_clipped = np.greater(norms, max_grad_norm).sum()
    if not 3 <= n_clipped <= N_STEPS - 3:
        raise ValueError(f"{n_clipped} of {N_STEPS} steps were clipped: too few or too many.")
    return {
        "learning_rate": LEARNING_RATE,
        "max_grad_norm": max_grad_norm,
        "losses": losses,
        "grad_norms": norms,
        "final_weights": named_arrays(problem.net, lambda p: p),
    }


def middle_norm(problem):
    """Bound under which about half of the steps are clipped."""
    _, norms = descend(problem, np.inf)
    return float(np.median(norms))


def write_case(seed, cell, n_layers, kind, loss, dtype):
    """Compute one case and write its file."""
    description = (seed, cell, n_layers, LENGTHS[kind], loss)
    bound = middle_norm(make_problem(*description, torch.float64))
    problem = make_problem(*description, getattr(torch, dtype))
    np.savez_compressed(
        TARGET / f"{cell}-{n_layers}-{kind}-{loss}-{dtype}.npz",
        cell=cell,
        loss=loss,
        hidden_layer_sizes=[N_UNITS] * n_layers,
        **at_start(problem),
        **after_descent(problem, bound),
    )


class Options(NamedTuple):
    """What the net of one case is."""

    cell: str
    n_layers: int
    loss: str
    bidirectional: bool = False
    embedded: bool = False
    per_step: bool = False


N_CODES, N_DIMENSIONS = 4, 2
OPTIONS = {
    "gru-bidirectional": Options("gru", 2, "squared_error", bidirectional=True),
    "lstm-bidirectional": Options("lstm", 2, "binary_log_loss", bidirectional=True),
    "rnn_tanh-embedded": Options("rnn_tanh", 1, "multinomial_log_loss", embedded=True),
    "lstm-steps": Options("lstm", 2, "squared_error", per_step=True),
    "gru-all": Options("gru", 2, "multinomial_log_loss", True, True, True),
}


class OptionsNet(nn.Module):
    """Recurrent layers of one direction or two, over codes or not, read once or at every step."""

    def __init__(self, options):
        super().__init__()
        self.options, directions = options, 1 + options.bidirectional
        n_in = N_FEATURES - 1 + N_DIMENSIONS if options.embedded else N_FEATURES
        self.rnn = CELLS[options.cell](
            n_in, N_UNITS, options.n_layers, batch_first=True, bidirectional=options.bidirectional
        )
        self.readout = nn.Linear(directions * N_UNITS, N_OUTPUTS[options.loss])
        if options.embedded:
            self.embedding = nn.Embedding(N_CODES, N_DIMENSIONS)
        for name, bias in self.rnn.named_parameters():
            if name.startswith("bias_hh"):
                hold_at_zero(bias, free_rows(options.cell))

    def forward(self, sequences):
        """Return the outputs (n, outputs), or those of all steps one below the other."""
        if self.options.embedded:
            sequences = [
                torch.cat([x[:, :-1], self.embedding(x[:, -1].long())], dim=1) for x in sequences
            ]
        steps, last = self.rnn(as_input(sequences))
        if self.options.per_step:
            padded, lengths = pad_packed_sequence(steps, batch_first=True)
            return self.readout(torch.cat([h[:T] for h, T in zip(padded, lengths, strict=True)]))
        last = last[0] if isinstance(last, tuple) else last
        return self.readout(torch.cat(list(last[-1 - self.options.bidirectional :]), dim=1))


def write_options_case(seed, name, options):
    """Compute one case of options and write its file."""
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.float64)
    net, rng, lengths = OptionsNet(options), np.random.default_rng(seed), LENGTHS["ragged"]
    steps, _, _ = make_data(rng, lengths, options.loss)
    if options.embedded:
        steps[:, -1] = rng.integers(N_CODES, size=len(steps))
    n_targets = lengths.sum() if options.per_step else len(lengths)
    _, targets, weight = make_data(rng, np.ones(n_targets, int), options.loss)
    outputs = net(torch.split(torch.from_numpy(steps), lengths.tolist()))
    losses = sample_losses(options.loss, outputs, torch.from_numpy(targets))
    value = (torch.from_numpy(weight) * losses).mean()
    value.backward()
    np.savez_compressed(
        TARGET / "options" / f"{name}.npz",
        cell=options.cell,
        loss=options.loss,
        hidden_layer_sizes=[N_UNITS] * options.n_layers,
        readout="step" if options.per_step else "last",
        bidirectional=options.bidirectional,
        embedded=[(N_FEATURES - 1, N_CODES, N_DIMENSIONS)] * options.embedded,
        steps=steps,
        lengths=lengths,
        targets=targets,
        sample_weight=weight,
        weights=named_arrays(net, lambda p: p),
        outputs=outputs.detach().numpy(),
        loss_value=value.item(),
        gradient=named_arrays(net, lambda p: p.grad),
    )


def main():
    """Write all cases, each in both precisions, and those of the options."""
    torch.set_num_threads(1)
    (TARGET / "options").mkdir(parents=True, exist_ok=True)
    crossed = product(enumerate(CELLS), (1, 2), enumerate(LENGTHS))
    for seed, ((i, cell), n_layers, (j, kind)) in enumerate(crossed):
        loss = list(N_OUTPUTS)[(i + n_layers + j) % len(N_OUTPUTS)]
        for dtype in ("float64", "float32"):
            write_case(seed, cell, n_layers, kind, loss, dtype)
    for seed, (name, options) in enumerate(OPTIONS.items()):
        write_options_case(seed, name, options)


if __name__ == "__main__":
    main()
