"""Features in units of their own spread, which is what the net reads."""

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

import numpy as np

from skrnn._data.sequences import Sequences, blocks
from skrnn._typing import Floats, Rows

TAIL = 0.05  # of the weight, on either side of the range that most values lie in
REACH = 5.0  # ranges beyond it: what is farther away does not count for mean and deviation
LIMIT = 10.0  # deviations, from which on features grow as GROWTH times the logarithm
GROWTH = 3.0
LEVELS = 5.0  # of a table: benchmarks/standardizing.py --levels prints what it costs
VALUES_AT_ONCE = 2**16  # bounds the memory
VALUES_BESIDE = 2**10


class Scaling(NamedTuple):
    """What turns features into z = (x - mean) / scale, each (D,), compressed beyond +-limit.

    Mean and deviation are those of the values clipped to fences (Tukey 1977): REACH ranges beyond
    the range from the quantile TAIL to the quantile 1 - TAIL; so that a glitch does not matter. The
    range of a feature that is constant in between is the median distance of its other values.
    Beyond the limit, z becomes limit + GROWTH log(z / limit). That of categories, which stay as
    they are, is infinite.
    """

    mean: Floats
    scale: Floats
    limit: Floats

    @classmethod
    def learn(cls, sequences: Sequences, weight: Floats, categorical: tuple[int, ...]) -> "Scaling":
        """From sequences in the order in which their sums are to be taken, and their weights.

        Sums are in float64, what they come to in the dtype of the sequences.
        """
        D, dtype = sequences.values.shape[1], sequences.values.dtype
        mean, scale, limit = np.zeros(D), np.ones(D), np.full(D, LIMIT)
        numbers = [j for j in range(D) if j not in categorical]
        ranges = _ranges(sequences, weight, numbers)
        mean[numbers], scale[numbers] = _moments(sequences, weight, numbers, *ranges)
        bad = ~np.isfinite(mean + scale)
        if bad.any():
            j = bad.argmax()
            raise ValueError(f"Feature {j} of X is too far apart for float64: scale it.")
        scale = np.maximum(scale, np.finfo(dtype).tiny)
        limit[list(categorical)] = np.inf
        return cls(*(array.astype(dtype) for array in (mean, scale, limit)))

    def coarse(self, values: Rows) -> list[int]:
        """Numbers of the features whose spread is lost between the numbers that float32 has."""
        if values.dtype != np.float32:
            return []
        return np.flatnonzero(self.scale < 2 * np.spacing(np.abs(self.mean))).tolist()

    def apply(self, values: Rows) -> Rows:
        """Features (rows, D); rows side by side, as ufuncs are fast along long ones alone."""
        n_rows, D = values.shape
        n_beside = max(1, VALUES_BESIDE // D)
        n_wide = n_rows // n_beside
        wide = Scaling(*(np.tile(of, n_beside) for of in self))
        scaled, end = np.empty((n_rows, D), values.dtype), n_wide * n_beside
        n_at_once = max(1, VALUES_AT_ONCE // (n_beside * D))
        given, found = (of[:end].reshape(n_wide, n_beside * D) for of in (values, scaled))
        with np.errstate(over="ignore"):
            for rows in blocks(n_wide, n_at_once):
                found[rows] = wide.apply_to_few(given[rows])
            scaled[end:] = self.apply_to_few(values[end:])
        return scaled

    def apply_to_few(self, values: Rows) -> Rows:
        """The same, all at once; powers may overflow."""
        z = values - self.mean
        z /= self.scale
        squares = z * z
        if np.vdot(squares, squares) > LIMIT**4:  # else none can be beyond
            beyond = squares > self.limit**2
            far = z[beyond]
            z[beyond] = np.copysign(LIMIT + GROWTH * np.log(np.abs(far) / LIMIT), far)
        return z


def columns_apart(sequences: Sequences, scaling: Scaling) -> list[int]:
    """Numbers of the steps at which sequences of one feature, of equal lengths, are far apart.

    They are where the means of the steps differ by more than LEVELS deviations within a step, of as
    many sequences as are looked at at once, scaled; the five that are farthest away.
    """
    T = int(sequences.lengths[0])
    if (sequences.lengths != T).any():
        return []
    some = sequences.take(slice(max(2, VALUES_AT_ONCE // T)))
    table = scaling.apply(some.values[some.rows()]).reshape(-1, T)
    means, within = table.mean(axis=0), np.median(table.std(axis=0))
    if not means.std() > LEVELS * within > 0:
        return []
    distance = np.abs(means - np.median(means))
    farthest = np.argsort(-distance, kind="stable")[:5]
    return sorted(farthest[distance[farthest] > LEVELS * within].tolist())


def _blocks(sequences: Sequences, weight: Floats) -> Iterator[tuple[Rows, Floats]]:
    """Some steps at a time, and the weight of each; cut in the same way for the same sequences."""
    size = max(1, VALUES_AT_ONCE // sequences.values.shape[1])
    pieces, which = sequences.pieces(size)
    cuts = np.flatnonzero(np.diff(np.cumsum(pieces.lengths) // size)) + 1
    for idx in np.split(np.arange(len(pieces)), cuts):
        part = pieces.take(idx)
        yield part.values[part.rows()], np.repeat(weight[which[idx]], part.lengths)


def _ranges(sequences: Sequences, weight: Floats, features: list[int]) -> tuple[Floats, ...]:
    """Quantiles TAIL and 1 - TAIL of each feature, and its range."""
    if sequences.lengths.sum() > len(sequences.values):
        sequences, weight = _row_by_row(sequences, weight)
    n_at_once = max(1, VALUES_AT_ONCE // int(sequences.lengths.sum()))
    ranges = []
    for start in range(0, len(features), n_at_once):
        columns, of_steps = _columns(sequences, weight, features[start : start + n_at_once])
        ranges += [_range_of(column, of_steps) for column in columns]
    low, high, range_ = np.array(ranges, dtype=np.float64).reshape(-1, 3).T
    return low, high, range_


def _row_by_row(sequences: Sequences, weight: Floats) -> tuple[Sequences, Floats]:
    """Each row as a sequence of its own, with the weight of all sequences that it is a step of."""
    (rows,) = np.nonzero(sequences.times_read())
    change = np.zeros(len(sequences.values) + 1)
    np.add.at(change, sequences.starts, weight)
    np.subtract.at(change, sequences.starts + sequences.lengths, weight)
    once = Sequences(sequences.values, rows, np.ones_like(rows))
    return once, change.cumsum()[rows]


def _columns(
    sequences: Sequences, weight: Floats, features: list[int]
) -> tuple[Floats, Floats | None]:
    """Features (features, steps) of all steps, and the weight of each; None if these are equal."""
    n_steps, end = int(sequences.lengths.sum()), 0
    columns = np.empty((len(features), n_steps), sequences.values.dtype)
    of_steps = None if (weight == weight[0]).all() else np.empty(n_steps)
    for steps, own in _blocks(sequences, weight):
        start, end = end, end + len(steps)
        columns[:, start:end] = steps[:, features].T
        if of_steps is not None:
            of_steps[start:end] = own
    return columns, of_steps


def _range_of(column: Floats, weight: Floats | None) -> tuple[float, float, float]:
    """The same of one feature; without weights its values are put into another order."""
    low, high = _quantiles(column, weight, TAIL)
    if low < high:
        return low, high, high - low
    others = column != column.dtype.type(low)
    if not others.any():
        return low, high, 0.0
    distances = np.abs(column[others] - column.dtype.type(low))
    return low, high, _quantiles(distances, None if weight is None else weight[others], 0.5)[0]


def _quantiles(column: Floats, weight: Floats | None, q: float) -> tuple[float, float]:
    """The values with a share q of the weight at or below, and at or above them."""
    n = len(column)
    if weight is None:
        k = max(0, ceil(q * n - 1e-9) - 1)
        column.partition(sorted({k, n - 1 - k}))
        return float(column[k]), float(column[n - 1 - k])
    order, share = column.argsort(kind="stable"), q * weight.sum() * (1 - 1e-9)
    below = np.searchsorted(weight[order].cumsum(), share)
    above = np.searchsorted(weight[order[::-1]].cumsum(), share)
    return float(column[order[below]]), float(column[order[n - 1 - above]])


def _moments(
    sequences: Sequences,
    weight: Floats,
    features: list[int],
    low: Floats,
    high: Floats,
    range_: Floats,
) -> tuple[Floats, Floats]:
    """Mean and deviation of the clipped values; a constant has the deviation 1.

    The sums are of (x - low) / range, which are no large numbers.
    """
    reach, unit = REACH * range_, np.where(range_ > 0, range_, 1.0)
    total, sums, squares = 0.0, np.zeros(len(features)), np.zeros(len(features))
    for steps, own in _blocks(sequences, weight):
        values = (steps[:, features].clip(low - reach, high + reach) - low) / unit
        total += own.sum()
        sums += own @ values
        squares += own @ np.square(values, out=values)
    mean = sums / total
    deviation = unit * np.sqrt(np.maximum(squares / total - mean**2, 0))
    return low + unit * mean, np.where(deviation > 0, deviation, 1.0)
