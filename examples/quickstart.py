"""Search, train and predict on real utterances of different lengths, in about a minute.

Nine speakers say two Japanese vowels; who is speaking? There are 270 training utterances of 7 to 26
steps of 12 coefficients, and 370 test utterances (the official split).
"""

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import GridSearchCV

from skrnn import RNNClassifier
from skrnn.datasets import load_japanese_vowels


def search():
    """Make a grid search over cell and width, in two processes, that prints its progress."""
    model = RNNClassifier(alpha=0.001, tol=0.001, random_state=0)
    grid = {"cell": ["rnn_tanh", "gru", "lstm"], "hidden_layer_sizes": [32, 64]}
    return GridSearchCV(model, grid, cv=3, n_jobs=2, verbose=3)


def main():
    X_train, y_train = load_japanese_vowels(return_X_y=True, split="train")
    X_test, y_test = load_japanese_vowels(return_X_y=True, split="test")
    lengths = [len(x) for x in X_train]
    print(f"{len(X_train)} utterances of {min(lengths)} to {max(lengths)} steps for training")

    model = search().fit(X_train, y_train)
    print(f"best: {model.best_params_}, accuracy {model.best_score_:.3f} in cross-validation")

    y_pred = model.predict(X_test)
    print("\nconfusion matrix on the test set, one row per speaker, one column per prediction:")
    print(confusion_matrix(y_test, y_pred))
    sure = model.predict_proba(X_test).max(axis=1)
    wrong = y_pred != y_test
    print(
        f"median probability of correct predictions {np.median(sure[~wrong]):.3f}, "
        f"of wrong predictions {np.median(sure[wrong]):.3f}"
    )
    print(f"test accuracy {accuracy_score(y_test, y_pred):.3f}")


if __name__ == "__main__":
    main()
