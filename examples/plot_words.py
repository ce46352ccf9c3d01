"""Words of four invented languages: a recurrent network on letters against a bag of n-grams.

The languages have the same letters and differ in two rules. One is local: the vowels of a word are
all front or all back, or they alternate. One is long-range: its first and its last consonant agree,
or they do not. The input of both models is letters. Three neighbouring letters reveal the local
rule, so a linear model of n-grams learns it; no n-gram reveals the long-range rule, only the order
does.

The figure, words.png, has the accuracy by length of the word, including words longer than those of
the training set.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.pipeline import make_pipeline

from skrnn import RNNClassifier
from skrnn.datasets import make_phonotactics
from skrnn.preprocessing import TokenEncoder

LONGEST = 8  # syllables of the longest training word

MODELS = {
    "n-grams and logistic regression": make_pipeline(
        CountVectorizer(analyzer="char", ngram_range=(1, 3)),
        LogisticRegression(max_iter=1000),
    ),
    "recurrent network": make_pipeline(
        TokenEncoder(tokenizer="char", dtype=np.float32),
        RNNClassifier(categorical_features=[0], embedding_dim=16, random_state=0),
    ),
}


def plot(syllables, correct):
    """Plot accuracy by number of syllables, one line per model."""
    lengths = np.unique(syllables)
    plt.axvspan(lengths[0], LONGEST, color="0.93", label="lengths of the training set")
    for name, right in correct.items():
        plt.plot(lengths, [right[syllables == n].mean() for n in lengths], "o-", label=name)
    plt.axhline(0.25, color="0.5", linestyle=":", label="chance")
    plt.xlabel("syllables")
    plt.ylabel("accuracy")
    plt.ylim(0, 1.03)
    plt.legend(loc="center", bbox_to_anchor=(0.6, 0.75))
    plt.savefig("words.png")


def main():
    X_train, y_train = make_phonotactics(1000, length=LONGEST, min_length=3, random_state=0)
    X_test, y_test = make_phonotactics(3000, length=2 * LONGEST, min_length=3, random_state=1)
    syllables = np.array([len(word) // 2 for word in X_test])
    short = syllables <= LONGEST
    print(f"{len(X_train)} training words: {', '.join(X_train[:4])}, ...")

    correct = {}
    for name, model in MODELS.items():
        y_pred = model.fit(X_train, y_train).predict(X_test)
        correct[name] = y_pred == y_test
        print(f"\n{name}: accuracy {accuracy_score(y_test[short], y_pred[short]):.3f}, ", end="")
        print(f"of words longer than those of the training set {correct[name][~short].mean():.3f}")
        print(f"confusion matrix, one row per language:\n{confusion_matrix(y_test, y_pred)}")
    plot(syllables, correct)


if __name__ == "__main__":
    main()
