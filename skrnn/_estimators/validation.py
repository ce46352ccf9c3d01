"""The validation part: whether there is one, what is in it, and what is measured on it."""

import warnings
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from skrnn._data.samples import Samples
from skrnn._data.sequences import blocks
from skrnn._estimators.targets import ClassTargets, RealTargets, Targets
from skrnn._nn.losses import Loss, RegressionLoss
from skrnn._training.health import Yardstick
from skrnn._typing import Floats, Integers, Rows

# With fewer samples, early_stopping="auto" holds none out: they are missed more than they help.
N_TO_HOLD_OUT = {ClassTargets: 1000, RealTargets: 250}
ROWS_AT_ONCE = 2**16  # of which losses are computed: bounds the memory


def split(
    params: Any, samples: Samples, targets: Targets, seed: int
) -> tuple[Samples, Samples | None]:
    """Samples to learn from, and those that are held out; the same ones for the same seed.

    With "auto", None are held out where they cannot be.
    """
    n = len(samples.sequences)
    try:
        train_idx, held_out = _parts(params, samples, targets, seed)
        if len(held_out) < 2:
            raise ValueError("it would hold one sequence")
    except ValueError as error:
        if params.early_stopping == "auto":
            return samples, None
        raise ValueError(
            f"early_stopping=True needs a validation part, but {n} different sequences cannot be "
            f"split by validation_fraction={params.validation_fraction}: {error}."
        ) from None
    return samples.take(train_idx), samples.take(held_out)


def _parts(params: Any, samples: Samples, targets: Targets, seed: int) -> tuple[Integers, Integers]:
    """Numbers of the samples of both: whole groups, else by class, else those that come last."""
    units, strata, rare = np.arange(len(samples.sequences)), None, np.empty(0, dtype=np.intp)
    if samples.groups is not None:
        _, firsts, units = np.unique(samples.groups, return_index=True, return_inverse=True)
        units = np.argsort(np.argsort(firsts))[units]  # numbered as they come
    elif params.shuffle and not samples.per_step:
        strata = targets.strata(samples.targets)
    if isinstance(targets, ClassTargets) and strata is not None:
        rare = _rare(targets, strata)
        strata = np.delete(strata, rare)
    _, held_out = train_test_split(
        np.delete(np.arange(units.max() + 1), rare),
        test_size=params.validation_fraction,
        shuffle=params.shuffle,
        random_state=seed if params.shuffle else None,
        stratify=strata,
    )
    is_held_out = np.isin(units, held_out)
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _rare(targets: ClassTargets, strata: Rows) -> Integers:
    """Samples of labels that have one alone: these stay in the training part."""
    counts = np.bincount(strata, minlength=len(targets.classes))
    (rare,) = np.nonzero(counts == 1)
    if len(rare):
        warnings.warn(
            f"Labels of one sequence stay in the training part, and are not validated: "
            f"{targets.classes[rare].tolist()}.",
            stacklevel=2,
        )
    return np.flatnonzero(np.isin(strata, rare))


# What is measured -----------------------------------------------------------------------------


def mean_loss(loss: Loss, samples: Samples, o: Rows) -> float:
    """Mean loss of raw outputs (rows, n_outputs), in the units of training."""
    y, weight = samples.flat()
    value = 0.0
    for rows in blocks(len(y), ROWS_AT_ONCE):
        columns = (np.ascontiguousarray(part[rows].T) for part in (y, o, weight))
        value += float(loss.value_and_gradient(*columns)[0])
    return value / _total(samples)


def _total(samples: Samples) -> float:
    _, weight = samples.valid()
    return len(weight) * float(weight.mean())


def yardstick_of(loss: Loss, samples: Samples, start: Floats) -> Yardstick:
    """Losses of constant raw outputs `start`, and of perfect ones."""
    y, weight = samples.flat()
    o = np.broadcast_to(start.astype(weight.dtype), (len(y), len(start)))
    perfect = 0.0
    if isinstance(loss, RegressionLoss):
        least = loss.least(y)
        perfect = float(np.sum(weight.reshape(len(y), -1) * least)) / _total(samples)
    return Yardstick(mean_loss(loss, samples, o), perfect)
