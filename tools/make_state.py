"""Write fitted estimators, their weights and predictions, as later versions have to read them.

Run once per format, with the version that introduces it: `python tools/make_state.py format_2`.
"""

import pickle
import sys
import warnings
from pathlib import Path

import numpy as np

from skrnn import RNNClassifier, RNNRegressor


def make():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((T, 2)) for T in (3, 1, 4, 2, 5, 2)]
    narrow = [x.astype(np.float32) for x in X]
    codes = [np.abs(x).round() for x in X]
    labels, real = ["a", "b", "c"] * 2, rng.standard_normal(6)
    small = {"hidden_layer_sizes": (4, 3), "max_iter": 3, "random_state": 0}
    coded = {"categorical_features": [1], "embedding_dim": 2}
    stopped = {"early_stopping": True, "validation_fraction": 0.5, "shuffle": False}
    fits = {
        "lstm": (RNNClassifier("lstm", **small), X, labels),
        "float32": (RNNRegressor(**small, readout="mean"), narrow, real),
        "codes": (RNNClassifier(**small, **coded), codes, labels),
        "both": (RNNRegressor(**small, bidirectional=True, solver="lbfgs"), X, real),
        "quantiles": (RNNRegressor(**small, loss="quantile", quantile=[0.1, 0.9]), X, real),
        "stopped": (RNNRegressor("rnn_tanh", **small, **stopped), X, real),
        "table": (RNNRegressor("rnn_relu", **small, initial_state="learned"), np.eye(6), real),
        "multilabel": (RNNClassifier(**small), X, np.eye(6, 2, dtype=int)),
    }
    for name, (model, X, y) in fits.items():
        model.fit(X, y)
        weights = {key: weight.copy() for key, weight in model.weights_.items()}
        yield name, (model, weights, X, getattr(model, "predict_proba", model.predict)(X))


def main():
    warnings.simplefilter("ignore")
    folder = Path(__file__).parent.parent / "tests" / "reference" / "states"
    folder.mkdir(exist_ok=True)
    (folder / f"{sys.argv[1]}.pickle").write_bytes(pickle.dumps(dict(make()), protocol=4))


if __name__ == "__main__":
    main()
