"""Who is speaking? The answer after every step of an utterance, while it goes on.

A network learns to tell nine speakers by whole utterances (the Japanese vowels, official split) and
then hears those of the test part step by step: `step` takes one step of all utterances at once, and
gives the probabilities so far and the state to go on from. An utterance that is over is passed as
NaN, which leaves its state as it was.

The figure, streaming.png, has the probability of the true speaker over time for some utterances,
and the accuracy of all after so many steps. No part of an utterance was ever learned from.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNClassifier, pad_sequences
from skrnn.datasets import load_japanese_vowels
from skrnn.preprocessing import StepTransformer


def listen(model, X):
    """Probabilities after every step, (T, n, classes), of utterances that begin together."""
    scaler, net = model[:-1], model[-1]
    state, heard = None, []
    for x_t in pad_sequences(scaler.transform(X)).swapaxes(0, 1):  # (n, D), NaN where it is over
        output, state = net.step(x_t, state)
        heard.append(output)
    return np.array(heard)


def plot(true, correct, lengths, chosen):
    """Left the true speaker's probability for the chosen utterances, right the accuracy of all."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for i in chosen:
        steps = np.arange(1, lengths[i] + 1)
        left.plot(steps, true[: lengths[i], i], "o-", ms=4, label=f"utterance {i}")
    left.set(title="Four utterances", ylabel="probability of the true speaker", ylim=(0, 1.03))
    right.plot(np.arange(1, len(correct) + 1), correct.mean(axis=1), "o-", ms=4, label="accuracy")
    right.axhline(1 / 9, color="0.5", linestyle=":", label="chance")
    right.set(title=f"All {len(lengths)}, at their end if they are over", ylabel="accuracy")
    for axes in (left, right):
        axes.set_xlabel("steps heard")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="center right", frameon=False)
    fig.savefig("streaming.png", dpi=150)


def main():
    X_train, y_train = load_japanese_vowels(return_X_y=True, split="train")
    X_test, y_test = load_japanese_vowels(return_X_y=True, split="test")
    model = make_pipeline(StepTransformer(StandardScaler()), RNNClassifier(random_state=0))
    model.fit(X_train, y_train)

    heard = listen(model, X_test)
    difference = np.abs(heard[-1] - model.predict_proba(X_test)).max()
    print(f"largest difference at the end to predict_proba of the whole {difference:.1e}")

    codes, lengths = np.searchsorted(model.classes_, y_test), np.array([len(x) for x in X_test])
    true = heard[:, np.arange(len(X_test)), codes]
    correct = heard.argmax(axis=2) == codes
    for steps in (1, 3, 5, 7, 10, 15, len(heard)):
        print(f"accuracy after {steps:2} steps {correct[steps - 1].mean():.3f}")
    settled = len(correct) - np.logical_and.accumulate(correct[::-1]).sum(axis=0) + 1
    print(f"median of the step from which the answer stays right {np.median(settled):.0f}")

    order = np.argsort(settled, kind="stable")
    plot(true, correct, lengths, chosen=order[[0, len(order) // 2, 9 * len(order) // 10, -1]])


if __name__ == "__main__":
    main()
