"""Schedules of the learning rate: `rate()` is that of the present epoch.

`settings` names the parameters of the estimators that a class takes, by these names.
"""

from math import cos, pi
from typing import Any, ClassVar


class Schedule:
    """A learning rate that does not change; what the others start from.

    `epochs` and `divisions` are all that changes: the epochs so far, and how often `lower` was
    heeded.
    """

    settings: ClassVar[tuple[str, ...]] = ("learning_rate_init",)

    def __init__(self, **settings: Any):
        self.learning_rate_init = settings["learning_rate_init"]
        self.power_t, self.max_iter = settings.get("power_t", 0.5), settings.get("max_iter", 1)
        self.epochs = self.divisions = 0

    def rate(self) -> float:
        return self.learning_rate_init

    def end_epoch(self) -> None:
        self.epochs += 1

    def lower(self) -> bool:
        """Lower the rate, as the loss gets no better at this one; whether there is a lower one."""
        return False


class InverseScaling(Schedule):
    """The rate of epoch t = 1, 2, ... is divided by t^power_t (Robbins & Monro 1951)."""

    settings = ("learning_rate_init", "power_t")

    def rate(self) -> float:
        return self.learning_rate_init * (self.epochs + 1) ** -self.power_t


class Adaptive(Schedule):
    """The rate is divided by 5 when the loss gets no better, until it is below 1e-6."""

    def rate(self) -> float:
        return self.learning_rate_init / 5**self.divisions

    def lower(self) -> bool:
        if self.rate() < 1e-6:
            return False
        self.divisions += 1
        return True


class Cosine(Schedule):
    """Half a cosine down to 0 over max_iter epochs, then anew (Loshchilov & Hutter 2017)."""

    settings = ("learning_rate_init", "max_iter")

    def rate(self) -> float:
        part = self.epochs % self.max_iter / self.max_iter
        return self.learning_rate_init * (1 + cos(pi * part)) / 2


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Schedule,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
    "cosine": Cosine,
}
