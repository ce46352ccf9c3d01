"""What users write, for mypy: it must find no error but where one is announced."""

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from skrnn import RNNClassifier, RNNRegressor
from skrnn.datasets import load_japanese_vowels

X, y = load_japanese_vowels(return_X_y=True, split="train")
assert_type(X, NDArray[np.object_])
model = RNNClassifier(cell="lstm", hidden_layer_sizes=(8, 4), class_weight="balanced").fit(X, y)
assert_type(model, RNNClassifier)
assert_type(model.loss_curve_, list[float])
assert_type(model.n_features_in_, int)
assert_type(model.weights_, dict[str, np.ndarray])
assert_type(RNNRegressor(loss="huber").fit(X, y).partial_fit(X, y), RNNRegressor)
probabilities, state = model.step(X[0][:1])

RNNClassifier(cell="tanh")  # type: ignore[arg-type]
RNNClassifier(readout="sum")  # type: ignore[arg-type]
RNNRegressor(loss="squared")  # type: ignore[arg-type]
RNNRegressor(solver="adagrad")  # type: ignore[arg-type]
RNNRegressor(hidden_size=8)  # type: ignore[call-arg]
