"""Print a hash of the bits of some sixty fits, to see that a change of the code changes no number.

    python benchmarks/bits.py > before    # then change the code
    python benchmarks/bits.py | diff before -

A line holds the name of a fit and one hash each of its weights, of its curves, and of what it
predicts. Bits depend on the machine and on the version of NumPy, so that both runs need the same.
"""

import hashlib
import sys
import warnings

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning

from skrnn import RNNClassifier, RNNRegressor, as_sequences, pad_sequences

RNG = np.random.default_rng(0)
N, D = 60, 3
LENGTHS = RNG.integers(2, 14, N)
RAGGED = [RNG.standard_normal((T, D)) for T in LENGTHS]
NARROW = [x.astype(np.float32) for x in RAGGED]
CUBE = RNG.standard_normal((N, 9, D))
CODED = [np.column_stack([x[:, :2], RNG.integers(4, size=len(x))]) for x in RAGGED]
GAPS = [np.insert(x, [0, 1, len(x)], np.nan, axis=0) for x in RAGGED]
FRAMES = [pd.DataFrame(x, columns=list("abc")) for x in NARROW]
REAL = np.array([x[:, 0].sum() + x[-1, 1] for x in RAGGED])
LABELS = np.array(["low", "middle", "high"])[np.digitize(REAL, [-1.0, 1.0])]
PER_STEP = [x[:, 0].cumsum() for x in RAGGED]
WEIGHT = RNG.integers(0, 4, N).astype(float)
GROUPS = np.arange(N) // 4

SMALL = {"hidden_layer_sizes": (7, 5), "max_iter": 3, "batch_size": 16, "random_state": 0}
clf, reg = RNNClassifier, RNNRegressor


def cases():
    """Name, class, parameters, X, y and what else `fit` takes."""
    for cell in ("rnn_tanh", "rnn_relu", "gru", "lstm"):
        for readout in ("last", "mean", "max"):
            yield f"{cell} {readout}", clf, {"cell": cell, "readout": readout}, RAGGED, LABELS, {}
        yield f"{cell} step", reg, {"cell": cell, "readout": "step"}, RAGGED, PER_STEP, {}
        yield f"{cell} bidirectional", reg, {"cell": cell, "bidirectional": True}, RAGGED, REAL, {}
        yield f"{cell} float32", clf, {"cell": cell}, NARROW, LABELS, {}
        learned = {"cell": cell, "initial_state": "learned", "hidden_layer_sizes": 6}
        yield f"{cell} learned", reg, learned, CUBE, REAL, {}
    for readout in ("mean", "step"):
        both = {"bidirectional": True, "readout": readout, "dropout": 0.3}
        y = REAL if readout == "mean" else PER_STEP
        yield f"bidirectional {readout}", reg, both, RAGGED, y, {}
    for loss in ("absolute_error", "huber", "quantile"):
        yield loss, reg, {"loss": loss}, RAGGED, REAL, {}
    yield "poisson", reg, {"loss": "poisson"}, RAGGED, np.abs(REAL).round(), {}
    several = {"loss": "quantile", "quantile": [0.9, 0.1, 0.5]}
    yield "quantiles", reg, several, RAGGED, REAL, {}
    for solver in ("adamw", "sgd", "rmsprop", "lbfgs"):
        yield solver, clf, {"solver": solver}, RAGGED, LABELS, {}
    for schedule in ("invscaling", "adaptive", "cosine"):
        yield schedule, reg, {"learning_rate": schedule, "tol": 10.0}, RAGGED, REAL, {}
    yield "two classes", clf, {}, RAGGED, LABELS == "low", {}
    yield "multilabel", clf, {}, RAGGED, np.column_stack([REAL > 0, REAL > 1]).astype(int), {}
    yield "outputs", reg, {}, RAGGED, np.column_stack([REAL, REAL**2]), {}
    steps = [np.where(y > 0, "up", "down") for y in PER_STEP]
    yield "labels per step", clf, {"readout": "step"}, RAGGED, as_sequences(steps), {}
    yield "weights", reg, {}, RAGGED, REAL, {"sample_weight": WEIGHT}
    yield "balanced", clf, {"class_weight": "balanced"}, RAGGED, LABELS, {"sample_weight": WEIGHT}
    stopped = {"early_stopping": True, "validation_fraction": 0.3}
    yield "early stopping", clf, stopped, RAGGED, LABELS, {}
    yield "groups", clf, stopped, RAGGED, LABELS, {"groups": GROUPS}
    own = {"X_val": RAGGED[:20], "y_val": REAL[:20]}
    yield "validation set", reg, {"early_stopping": True}, RAGGED, REAL, own
    yield "table", clf, {}, CUBE.reshape(N, -1), LABELS, {}
    table = {"features_per_step": D}
    yield "table of steps", reg, table, pd.DataFrame(CUBE.reshape(N, -1)), REAL, {}
    yield "gaps", reg, {}, GAPS, REAL, {}
    yield "padded", reg, {}, pad_sequences(RAGGED), REAL, {}
    yield "frames", clf, {}, FRAMES, LABELS, {}
    coded = {"categorical_features": [2], "embedding_dim": 3}
    yield "embedding", clf, coded, CODED, LABELS, {}
    yield "embedding, both directions", reg, coded | {"bidirectional": True}, CODED, REAL, {}
    yield "dropout, normal", reg, {"dropout": 0.4, "initial_state": "normal"}, RAGGED, REAL, {}
    for readout in ("last", "mean"):
        yield f"truncated {readout}", reg, {"bptt_steps": 4, "readout": readout}, RAGGED, REAL, {}
    yield "in order", reg, {"shuffle": False}, RAGGED, REAL, {}
    yield "unclipped", reg, {"max_grad_norm": None, "alpha": 0.1}, RAGGED, REAL, {}
    long = [np.tile(x, (30, 1)) for x in RAGGED[:24]]
    yield "little memory", reg, {"working_memory": 0.05}, long, REAL[:24], {}
    yield "large steps", reg, {"hidden_layer_sizes": 256, "batch_size": 256}, *large(), {}


def large():
    """Enough sequences for parts of a batch to be worth threads."""
    X = np.random.default_rng(1).standard_normal((300, 4, D)).astype(np.float32)
    return X, X[:, :, 0].sum(axis=1)


def hash_of(values):
    """The first digits of a hash of arrays, or of lists of them."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, (list, tuple)) or np.asarray(value).dtype.kind == "O":
            digest.update(hash_of(value).encode())
        else:
            array = np.ascontiguousarray(value)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:12]


def state_of(estimator):
    curves = estimator.loss_curve_, estimator.grad_norm_curve_, estimator.validation_scores_ or [0]
    return hash_of(estimator.weights_.values()), hash_of(curves)


def predictions(estimator, X):
    names = ("predict", "predict_proba", "predict_log_proba", "decision_function", "hidden_states")
    outputs = [getattr(estimator, name)(X) for name in names if hasattr(estimator, name)]
    return hash_of(as_text(outputs))


def as_text(outputs):
    """Labels of objects or strings by their text."""
    return [str(out.tolist()) if np.asarray(out).dtype.kind == "U" else out for out in outputs]


def continued():
    """Fits that go on, and streams."""
    warm = reg(**SMALL, warm_start=True).fit(RAGGED, REAL).fit(RAGGED, REAL)
    yield "warm start", *state_of(warm), predictions(warm, RAGGED)
    parts = clf(**SMALL, solver="adamw").partial_fit(RAGGED, LABELS, np.unique(LABELS))
    parts.partial_fit(NARROW[:30], LABELS[:30])
    yield "partial fit", *state_of(parts), predictions(parts, RAGGED)
    stopped = clf(**SMALL, early_stopping=True, warm_start=True)
    stopped.fit(RAGGED, LABELS).fit(RAGGED, LABELS)
    yield "warm start, early stopping", *state_of(stopped), predictions(stopped, RAGGED)
    ahead = reg(**SMALL, readout="step").fit([x[:-1] for x in RAGGED], [x[1:] for x in RAGGED])
    yield "forecast", *state_of(ahead), hash_of([ahead.forecast(RAGGED, 5)])


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    wanted = sys.argv[1:]
    for name, kind, params, X, y, given in cases():
        if wanted and name not in wanted:
            continue
        params = SMALL | params
        with config_context(working_memory=params.pop("working_memory", 1024)):
            estimator = kind(**params).fit(X, y, **given)
        print(name, *state_of(estimator), predictions(estimator, X), sep="\t")
    if not wanted:
        for line in continued():
            print(*line, sep="\t")


if __name__ == "__main__":
    main()
