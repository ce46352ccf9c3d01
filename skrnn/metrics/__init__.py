"""Scores of outputs per step."""

from skrnn.metrics._step_scorer import step_scorer

__all__ = ["step_scorer"]
