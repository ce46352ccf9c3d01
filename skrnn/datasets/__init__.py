"""Data sets of sequences: a recorded one and synthetic tasks."""

from skrnn.datasets._japanese_vowels import load_japanese_vowels
from skrnn.datasets._synthetic import (
    make_adding_problem,
    make_copy,
    make_delayed_recall,
    make_parity,
    make_phonotactics,
    make_temporal_order,
)

__all__ = [
    "load_japanese_vowels",
    "make_adding_problem",
    "make_copy",
    "make_delayed_recall",
    "make_parity",
    "make_phonotactics",
    "make_temporal_order",
]
