"""Transformers of sequences."""

from skrnn.preprocessing._long import SequencesFromLong, from_long, to_long
from skrnn.preprocessing._sequence_padder import SequencePadder
from skrnn.preprocessing._sequence_shortener import SequenceShortener
from skrnn.preprocessing._step_imputer import StepImputer
from skrnn.preprocessing._step_transformer import StepTransformer
from skrnn.preprocessing._token_encoder import TokenEncoder
from skrnn.preprocessing._windows import SlidingWindows, make_windows

for _public in (
    SequencePadder,
    SequenceShortener,
    SequencesFromLong,
    SlidingWindows,
    StepImputer,
    StepTransformer,
    TokenEncoder,
):
    _public.__module__ = "skrnn.preprocessing"  # files name no private module

__all__ = [
    "SequencePadder",
    "SequenceShortener",
    "SequencesFromLong",
    "SlidingWindows",
    "StepImputer",
    "StepTransformer",
    "TokenEncoder",
    "from_long",
    "make_windows",
    "to_long",
]
