"""Recurrent neural networks that belong in scikit-learn."""

from skrnn._data.containers import as_sequences, pad_sequences
from skrnn._estimators.classifier import RNNClassifier
from skrnn._estimators.regressor import RNNRegressor

__all__ = ["RNNClassifier", "RNNRegressor", "__version__", "as_sequences", "pad_sequences"]
__version__ = "0.1.0"
