"""Recurrent neural networks that belong in scikit-learn."""

from ._classifier import RNNClassifier
from ._regressor import RNNRegressor
from ._sequences import as_sequences, pad_sequences

__all__ = ["RNNClassifier", "RNNRegressor", "__version__", "as_sequences", "pad_sequences"]
__version__ = "0.1.0"
