"""Transformers of sequences."""

from skrnn.preprocessing._step_transformer import StepTransformer
from skrnn.preprocessing._token_encoder import TokenEncoder

__all__ = ["StepTransformer", "TokenEncoder"]
