"""Inference: `predict_proba` against PyTorch and ONNX Runtime, and the latency of `step`.

Run with `python benchmarks/predict.py`. The peers get the weights of our net, and their outputs are
compared with ours before anything is timed. Each peer gets its better setting of threads, and of
all samples in one call or in batches. A ratio of 2 means twice as fast as the better peer.
"""

import warnings
from functools import partial
from itertools import product

import numpy as np
import onnxruntime
import torch
from _common import (
    GRID,
    QUICK_GRID,
    Side,
    Table,
    compare,
    milliseconds,
    options,
    parse,
    print_machine,
    print_summary,
    ratio,
    thread_counts,
)
from _peers import TorchNet, carry_over, classifier, labels, last_state, onnx_model
from sklearn.exceptions import ConvergenceWarning

from skrnn import RNNClassifier

LATENCY_D, LATENCY_H = 8, 64


def fitted(cell, T, D, H, n=64):
    X = np.random.default_rng(0).standard_normal((n, T, D), dtype=np.float32)
    return classifier(cell, H, 32, epochs=1).fit(X, labels(n))


def torch_net(estimator):
    H = estimator.weights_["W_hh_0"].shape[1]
    return carry_over(estimator, TorchNet(estimator.cell, estimator.n_features_in_, H))


def torch_sides(estimator, X, batch):
    net = torch_net(estimator)

    @torch.no_grad()
    def predict(size):
        parts = [torch.softmax(net(x), 1) for x in torch.from_numpy(X).split(size)]
        return torch.cat(parts).numpy()

    return {
        f"{threads}, {size}": Side(partial(predict, size), partial(torch.set_num_threads, threads))
        for threads, size in product(thread_counts(), (len(X), batch))
    }


def onnx_session(model, threads):
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


def onnx_sides(estimator, X, batch):
    model = onnx_model(estimator)

    def predict(session, size):
        parts = np.split(X, range(size, len(X), size))
        return np.concatenate([session.run(None, {"x": x})[0] for x in parts])

    return {
        f"{threads}, {size}": Side(partial(predict, onnx_session(model, threads), size))
        for threads, size in product(thread_counts(), (len(X), batch))
    }


def compare_at(shape, cell, args):
    """Return seconds per call of every side, and the peers' settings, at one shape."""
    n, T, D, H, batch = shape
    estimator = fitted(cell, T, D, H)
    X = np.random.default_rng(2).standard_normal((n, T, D), dtype=np.float32)
    expected = estimator.predict_proba(X)
    peers = {
        "torch": torch_sides(estimator, X, batch),
        "ONNX Runtime": onnx_sides(estimator, X, batch),
    }
    for settings in peers.values():
        for side in settings.values():
            np.testing.assert_allclose(side.call(), expected, rtol=1e-3, atol=1e-5)
    own = Side(lambda: estimator.predict_proba(X))
    return compare(own, peers, args.rounds, args.seconds)


def batches(args):
    table = Table(
        "n, T, D, H, batch",
        "cell",
        "skrnn, ms",
        "torch, ms",
        "ONNX Runtime, ms",
        "torch at (threads, rows)",
        "ONNX Runtime at",
        "over torch",
        "over ONNX Runtime",
    )
    ratios = {f"{cell}, over the better": {} for cell in args.cells}
    for shape in QUICK_GRID if args.quick else GRID:
        for cell in args.cells:
            times, settings = compare_at(shape, cell, args)
            over = [ratio(times[peer], times["skrnn"]) for peer in settings]
            where = ", ".join(map(str, shape))
            ratios[f"{cell}, over the better"][where] = min(over)
            table.print_row(where, cell, *milliseconds(times), *settings.values(), *over)
    print_summary(ratios)


def own_steps(estimator, x):
    """Return the final probabilities of one sequence (T, D), read step by step."""
    state = None
    for x_t in x:
        p, state = estimator.step(x_t[None], state)
    return p


@torch.no_grad()
def torch_steps(net, x):
    state = None
    for x_t in x:
        _, state = net.rnn(x_t[None, None], state)
        p = torch.softmax(net.readout(last_state(state)[-1]), 1)
    return p.numpy()


def latency(args):
    """Print microseconds per step of one sequence."""
    print()
    table = Table("one step, D 8, H 64", "skrnn, µs", "torch, µs", "torch's threads", "ratio")
    T = 20 if args.quick else 200
    x = np.random.default_rng(3).standard_normal((T, LATENCY_D), dtype=np.float32)
    ratios = {"step": {}}
    for cell in args.cells:
        estimator = fitted(cell, 50, LATENCY_D, LATENCY_H)
        net, expected = torch_net(estimator), own_steps(estimator, x)
        np.testing.assert_allclose(torch_steps(net, torch.tensor(x)), expected, atol=1e-5)
        torch_call = partial(torch_steps, net, torch.tensor(x))
        peers = {
            "torch": {
                threads: Side(torch_call, partial(torch.set_num_threads, threads))
                for threads in thread_counts()
            }
        }
        own = Side(partial(own_steps, estimator, x))
        times, settings = compare(own, peers, args.rounds, args.seconds)
        ratios["step"][cell] = ratio(times["torch"], times["skrnn"])
        microseconds = [1000 * figure / T for figure in milliseconds(times)]
        table.print_row(cell, *microseconds, settings["torch"], ratios["step"][cell])
    print_summary(ratios)


def main():
    args = parse(options(__doc__, seconds=0.3))
    warnings.simplefilter("ignore", ConvergenceWarning)
    batches(args)
    if hasattr(RNNClassifier, "step"):
        latency(args)
    print_machine("torch", "onnxruntime", note="float32")


if __name__ == "__main__":
    main()
