"""Transformers of sequences."""

from skrnn.preprocessing._step_transformer import StepTransformer

__all__ = ["StepTransformer"]
