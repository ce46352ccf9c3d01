"""Transformers of sequences."""

from skrnn.preprocessing._sequence_padder import SequencePadder
from skrnn.preprocessing._sequence_shortener import SequenceShortener
from skrnn.preprocessing._step_imputer import StepImputer
from skrnn.preprocessing._step_transformer import StepTransformer
from skrnn.preprocessing._token_encoder import TokenEncoder

__all__ = ["SequencePadder", "SequenceShortener", "StepImputer", "StepTransformer", "TokenEncoder"]
