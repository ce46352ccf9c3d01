"""Features in units of their own spread, which is what the net reads."""

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

import numpy as np

from skrnn._data.sequences import Sequences
from skrnn._typing import Floats, Rows

TAIL = 0.005  # of the weight on either side, which does not count for mean and deviation
LIMIT = 10.0  # standard deviations: no feature is larger
VALUES_AT_ONCE = 2**16  # bounds the memory
VALUES_BESIDE = 2**10


class Scaling(NamedTuple):
    """What turns features into (x - mean) / scale, clipped to +-limit; each of shape (D,).

    Mean and deviation are those of the values clipped to where a fraction TAIL of the weight lies
    beyond on either side (winsorised, Tukey 1962), so that a rare glitch does not matter. What is
    constant between has its greatest distance from there as its scale. Categories stay as they are.
    """

    mean: Floats
    scale: Floats
    limit: Floats

    @classmethod
    def learn(cls, sequences: Sequences, weight: Floats, categorical: tuple[int, ...]) -> "Scaling":
        """From sequences in the order in which their sums are to be taken, and their weights.

        Sums are in float64, what they come to in the dtype of the sequences.
        """
        D = sequences.values.shape[1]
        mean, scale, limit = np.zeros(D), np.ones(D), np.full(D, LIMIT)
        numbers = [j for j in range(D) if j not in categorical]
        ranges = _clipped_range(sequences, weight, numbers)
        mean[numbers], scale[numbers] = _moments(sequences, weight, numbers, *ranges)
        if not np.isfinite(scale).all():
            j = np.flatnonzero(~np.isfinite(scale))[0]
            raise ValueError(f"Feature {j} of X is too far apart for float64: scale it.")
        limit[list(categorical)] = np.inf
        dtype = sequences.values.dtype
        scale = np.maximum(scale, np.finfo(dtype).tiny)
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
        for start in range(0, n_wide, n_at_once):
            rows = slice(start, start + n_at_once)
            found[rows] = wide.apply_to_few(given[rows])
        scaled[end:] = self.apply_to_few(values[end:])
        return scaled

    def apply_to_few(self, values: Rows) -> Rows:
        """The same, all at once."""
        scaled = values - self.mean
        scaled /= self.scale
        np.maximum(scaled, -self.limit, out=scaled)
        np.minimum(scaled, self.limit, out=scaled)
        return scaled


def _blocks(sequences: Sequences, weight: Floats) -> Iterator[tuple[Rows, Floats]]:
    """Some steps at a time, and the weight of each; cut in the same way for the same sequences."""
    size = max(1, VALUES_AT_ONCE // sequences.values.shape[1])
    pieces, which = sequences.pieces(size)
    cuts = np.flatnonzero(np.diff(np.cumsum(pieces.lengths) // size)) + 1
    for idx in np.split(np.arange(len(pieces)), cuts):
        part = pieces.take(idx)
        yield part.values[part.rows()], np.repeat(weight[which[idx]], part.lengths)


def _clipped_range(
    sequences: Sequences, weight: Floats, features: list[int]
) -> tuple[Floats, Floats, Floats]:
    """Where TAIL of the weight lies below and above, and the greatest distance from the former."""
    if sequences.lengths.sum() > len(sequences.values):
        sequences, weight = _row_by_row(sequences, weight)
    n_at_once = max(1, VALUES_AT_ONCE // int(sequences.lengths.sum()))
    ranges = []
    for start in range(0, len(features), n_at_once):
        columns, of_steps = _columns(sequences, weight, features[start : start + n_at_once])
        ranges += [_range_of(column, of_steps) for column in columns]
    low, high, farthest = np.array(ranges, dtype=np.float64).reshape(-1, 3).T
    return low, high, farthest


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
    n = len(column)
    if weight is None:
        k = max(0, ceil(TAIL * n - 1e-9) - 1)
        column.partition(sorted({0, k, n - 1 - k, n - 1}))
        first, low, high, last = column[[0, k, n - 1 - k, n - 1]].tolist()
    else:
        order = column.argsort(kind="stable")
        share = TAIL * weight.sum() * (1 - 1e-9)
        below = np.searchsorted(weight[order].cumsum(), share)
        above = np.searchsorted(weight[order[::-1]].cumsum(), share)
        first, low, high, last = column[order[[0, below, n - 1 - above, n - 1]]].tolist()
    return low, high, max(low - first, last - low)


def _moments(
    sequences: Sequences,
    weight: Floats,
    features: list[int],
    low: Floats,
    high: Floats,
    farthest: Floats,
) -> tuple[Floats, Floats]:
    """Mean and deviation of the clipped values.

    The sums are of (x - low) / (high - low): neither end has less than TAIL of the weight, so that
    the variance is no small difference of large numbers.
    """
    width = high - low
    unit = np.where(width > 0, width, 1.0)
    total, sums, squares = 0.0, np.zeros(len(features)), np.zeros(len(features))
    for steps, own in _blocks(sequences, weight):
        values = (steps[:, features].clip(low, high) - low) / unit
        total += own.sum()
        sums += own @ values
        squares += own @ np.square(values, out=values)
    mean = sums / total
    deviation = unit * np.sqrt(np.maximum(squares / total - mean**2, 0))
    scale = np.where(width > 0, deviation, np.where(farthest > 0, farthest, 1.0))
    return low + unit * mean, scale
