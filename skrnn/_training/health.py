"""What a curve of losses says about a fit."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

HOPELESS = 10.0  # times the loss of a constant prediction: worse than no fit
USELESS = 0.99
SWING = 0.1  # of the loss of a constant prediction
CLIPPED = 0.95  # of the updates

Verdict = Literal["useless", "rising", "oscillating", "clipped", "falling", "fine"]


class Yardstick(NamedTuple):
    """The losses of the best constant prediction, and of a perfect one."""

    constant: float
    perfect: float = 0.0

    def relative(self, loss: float) -> float:
        """0 is perfect, 1 as good as a constant; the loss itself where a constant is perfect."""
        gap = self.constant - self.perfect
        return (loss - self.perfect) / (gap if gap > 1e-6 else 1.0)


def falls(figures: Sequence[float]) -> bool:
    """Whether the least figure is among the last fifth."""
    n = _n_recent(figures)
    return min(figures[-n:]) < min(figures[:-n], default=np.inf)


def verdict_on(losses: Sequence[float], clipped: Sequence[float], *, unfinished: bool) -> Verdict:
    """What relative losses, epoch by epoch, and shares of clipped updates say.

    `unfinished` are fits that did not stop by themselves.
    """
    still_falls = unfinished and falls(losses)
    if min(losses) > USELESS:
        return "falling" if still_falls else "useless"
    if losses[-1] - min(losses) > 5 * SWING:
        return "rising"
    if still_falls:
        return "clipped" if clipped and np.mean(clipped) > CLIPPED else "falling"
    return "oscillating" if np.std(losses[-_n_recent(losses) :]) > SWING else "fine"


def _n_recent(figures: Sequence[float]) -> int:
    return max(1, len(figures) // 5)
