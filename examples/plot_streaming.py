"""Who is speaking? Predictions after every step of an utterance, as it arrives.

A network is trained on whole utterances of nine speakers (the Japanese vowels, official split) and
then reads those of the test set step by step: `step` takes one step of all utterances at once, and
returns the probabilities so far and the state for the next call. Utterances that have ended are
padded with NaN, which leaves their state unchanged.

The figure, streaming.png, has the probability of the true speaker over time for some utterances,
and the accuracy over all of them by number of steps. The network was not trained on partial
utterances.
"""

import matplotlib.pyplot as plt
import numpy as np

from skrnn import RNNClassifier, pad_sequences
from skrnn.datasets import load_japanese_vowels


def listen(model, X):
    """Return probabilities after every step, (T, n, classes), of utterances that start together."""
    state, outputs = None, []
    for x_t in pad_sequences(X).swapaxes(0, 1):  # (n, D), NaN padding at the end
        output, state = model.step(x_t, state)
        outputs.append(output)
    return np.array(outputs)


def plot(true, correct, lengths, chosen):
    """Plot the true speaker's probability (left) and the accuracy of all utterances (right)."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for i in chosen:
        steps = np.arange(1, lengths[i] + 1)
        left.plot(steps, true[: lengths[i], i], "o-", ms=4, label=f"utterance {i}")
    left.set(title="Four utterances", ylabel="probability of the true speaker", ylim=(0, 1.03))
    right.plot(np.arange(1, len(correct) + 1), correct.mean(axis=1), "o-", ms=4, label="accuracy")
    right.axhline(1 / 9, color="0.5", linestyle=":", label="chance")
    right.set(title=f"All {len(lengths)}, ended ones with their last output", ylabel="accuracy")
    for axes in (left, right):
        axes.set_xlabel("steps read")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="center right", frameon=False)
    fig.savefig("streaming.png", dpi=150)


def main():
    X_train, y_train = load_japanese_vowels(return_X_y=True, split="train")
    X_test, y_test = load_japanese_vowels(return_X_y=True, split="test")
    model = RNNClassifier(random_state=0).fit(X_train, y_train)

    probabilities = listen(model, X_test)
    difference = np.abs(probabilities[-1] - model.predict_proba(X_test)).max()
    print(f"largest difference of the final output to predict_proba {difference:.1e}")

    codes, lengths = np.searchsorted(model.classes_, y_test), np.array([len(x) for x in X_test])
    true = probabilities[:, np.arange(len(X_test)), codes]
    correct = probabilities.argmax(axis=2) == codes
    for steps in (1, 3, 5, 7, 10, 15, len(probabilities)):
        print(f"accuracy after {steps:2} steps {correct[steps - 1].mean():.3f}")
    settled = len(correct) - np.logical_and.accumulate(correct[::-1]).sum(axis=0) + 1
    print(f"median step from which the prediction stays correct {np.median(settled):.0f}")

    order = np.argsort(settled, kind="stable")
    plot(true, correct, lengths, chosen=order[[0, len(order) // 2, 9 * len(order) // 10, -1]])


if __name__ == "__main__":
    main()
