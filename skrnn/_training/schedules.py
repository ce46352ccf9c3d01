"""Schedules of the learning rate: `rate()` is that of the present epoch.

`settings` names the parameters of the estimators that a class takes.
"""

from math import cos, pi


class Constant:
    """The same rate in all epochs; what the other schedules start from."""

    settings = ("learning_rate_init",)

    def __init__(self, **settings):
        vars(self).update(settings)
        self.epochs = 0

    def rate(self):
        return self.learning_rate_init

    def end_epoch(self):
        self.epochs += 1

    def lower(self):
        """Go on to a lower rate, as the loss gets no better at this one; whether there is one."""
        return False


class InverseScaling(Constant):
    """The rate of epoch t = 1, 2, ... is divided by t^power_t (Robbins & Monro 1951)."""

    settings = ("learning_rate_init", "power_t")

    def rate(self):
        return self.learning_rate_init * (self.epochs + 1) ** -self.power_t


class Adaptive(Constant):
    """The rate is divided by 5 when the loss gets no better, until it is below 1e-6."""

    divisions = 0

    def rate(self):
        return self.learning_rate_init / 5**self.divisions

    def lower(self):
        if self.rate() < 1e-6:
            return False
        self.divisions += 1
        return True


class Cosine(Constant):
    """Half a cosine down to 0 over max_iter epochs, then anew (Loshchilov & Hutter 2017)."""

    settings = ("learning_rate_init", "max_iter")

    def rate(self):
        part = self.epochs % self.max_iter / self.max_iter
        return self.learning_rate_init * (1 + cos(pi * part)) / 2


SCHEDULES = {
    "constant": Constant,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
    "cosine": Cosine,
}
