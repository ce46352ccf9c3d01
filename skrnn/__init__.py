"""Recurrent neural networks that belong in scikit-learn."""

from skrnn._data.containers import as_sequences, pad_sequences
from skrnn._estimators.classifier import RNNClassifier
from skrnn._estimators.regressor import RNNRegressor
from skrnn._version import __version__

__all__ = [
    "SKOPS_TYPES",
    "RNNClassifier",
    "RNNRegressor",
    "__version__",
    "as_sequences",
    "pad_sequences",
]

SKOPS_TYPES = [  # all that files of skops name
    "skrnn.RNNClassifier",
    "skrnn.RNNRegressor",
    "skrnn.preprocessing.SequencePadder",
    "skrnn.preprocessing.SequenceShortener",
    "skrnn.preprocessing.SequencesFromLong",
    "skrnn.preprocessing.SlidingWindows",
    "skrnn.preprocessing.StepImputer",
    "skrnn.preprocessing.StepTransformer",
    "skrnn.preprocessing.TokenEncoder",
]

for _public in (RNNClassifier, RNNRegressor):
    _public.__module__ = "skrnn"  # files name no private module
