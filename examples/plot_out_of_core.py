"""Learn from a file that does not fit into memory: `partial_fit`, chunk by chunk.

A file of 300 MB is written piece by piece. Training for two epochs reads it through a memory map,
with one chunk at a time in memory. One of three patterns appears at a random step in noise of
twelve features; which? The last chunk is the test set.

The figure, out_of_core.png, has the peak memory of the process (as the system counts it; needs
Linux or macOS), the memory that holding all chunks read so far would need, and the accuracy.
"""

import resource
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.format import open_memmap

from skrnn import RNNClassifier

N, T, D = 156_000, 40, 12  # sequences, steps, features: 300 MB of float32
CHUNK = 6_000
CLASSES = np.arange(3)
EPOCHS = 2


def write(path):
    """Write the file piece by piece, and return the labels, which fit into memory."""
    rng = np.random.default_rng(0)
    y = rng.integers(len(CLASSES), size=N)
    patterns = 2 * rng.standard_normal((len(CLASSES), D), dtype=np.float32)
    open_memmap(path, mode="w+", dtype=np.float32, shape=(N, T, D))
    for start in range(0, N, 1000):
        labels = y[start : start + 1000]
        X = rng.standard_normal((len(labels), T, D), dtype=np.float32)
        X[np.arange(len(labels)), rng.integers(T, size=len(labels))] += patterns[labels]
        open_memmap(path, mode="r+")[start : start + len(labels)] = X
    return y


def read(path, start):
    """Return a chunk; open the map anew, or pages read before would count as memory in use."""
    return np.load(path, mmap_mode="r")[start : start + CHUNK]


def peak_memory():
    """Return the peak memory of the process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def learn(path, y):
    """Return peak memory and test accuracy after each chunk."""
    net = RNNClassifier("rnn_tanh", hidden_layer_sizes=16, batch_size=200, random_state=0)
    peaks, accuracies, test = [peak_memory()], [], N - CHUNK
    for _ in range(EPOCHS):
        for start in range(0, test, CHUNK):
            net.partial_fit(read(path, start), y[start : start + CHUNK], classes=CLASSES)
            peaks.append(peak_memory())
            accuracies.append(net.score(read(path, test), y[test:]))
    return peaks, accuracies


def plot(peaks, accuracies, chunk_size):
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    chunks = np.arange(len(peaks))
    left.plot(chunks, peaks, "o-", ms=3, label="peak of the process")
    held = np.minimum(chunks, len(accuracies) // EPOCHS) * chunk_size
    left.plot(chunks, peaks[0] + held, "0.5", linestyle="--", label="if all chunks read were held")
    left.set(title="Memory", ylabel="MB", ylim=(0, None))
    right.plot(chunks[1:], accuracies, "o-", ms=3, label="accuracy")
    right.axhline(1 / len(CLASSES), color="0.5", linestyle=":", label="chance")
    right.set(title="On the test chunk", ylabel="accuracy", ylim=(0, 1.03))
    for axes in (left, right):
        axes.set_xlabel(f"training chunks of {chunk_size:.1f} MB")
        axes.legend(loc="lower right", frameon=False)
    fig.savefig("out_of_core.png", dpi=150)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sequences.npy"
        y = write(path)
        size = path.stat().st_size / 1e6
        peaks, accuracies = learn(path, y)
    chunk_size = size * CHUNK / N
    print(f"file {size:.0f} MB, chunk {chunk_size:.1f} MB; peak before training {peaks[0]:.0f} MB")
    for k in (1, 2, 5, 10, 25, 50):
        print(f"after {k:2} chunks: peak {peaks[k]:.0f} MB, accuracy {accuracies[k - 1]:.3f}")
    plot(peaks, accuracies, chunk_size)


if __name__ == "__main__":
    main()
