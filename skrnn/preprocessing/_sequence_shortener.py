"""SequenceShortener: fewer steps where sequences are too long."""

from collections.abc import Callable
from numbers import Integral
from typing import NamedTuple

import numpy as np

from skrnn._compat import Interval, StrOptions
from skrnn._data.sequences import Sequences
from skrnn.preprocessing._base import SequenceTransformer, without_padding


class SequenceShortener(SequenceTransformer):
    """Shorten sequences: their first or last steps, every k-th step, or means of k steps.

    Time and memory of training grow with the number of steps, and what lies hundreds of steps back
    is hard to learn from. For two ways at once, say the means of 4 over the last 200 steps, put two
    of these into a pipeline.

    X comes back in the container that came in, as from `StepTransformer`; frames that become
    shorter get a new index.

    Parameters
    ----------
    method : {"first", "last", "every", "mean"}, default="last"
        "first" and "last" keep so many steps. "every" keeps the first of every k steps, "mean"
        gives the mean of every k; both count from the start of the sequence, and the last k may be
        fewer.
    k : int, default=100
        How many steps.
    features_per_step : int or None, default=None
        Features D of a time step where X is a table of two dimensions: its rows are then p / D
        steps of D features, time-major (`X3.reshape(n, T * D)`). None is 1. Sequences know their D.

    Attributes
    ----------
    n_features_in_ : int
        Columns p of a table; features D of a step for sequences.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Names of the columns, where X is a frame or holds frames, and they are all strings.

    See Also
    --------
    skrnn.RNNClassifier : Its `bptt_steps` reads all steps, but learns from the last ones alone.
    SequencePadder : Makes sequences equally long.

    Notes
    -----
    T steps become min(T, k), or T / k rounded up. Absent steps at the ends of a sequence are
    padding: the shortening is that of what lies between them, and the steps that this is short of
    T are absent ones at the end. So padded and ragged sequences give the same. Between other steps
    an absent one counts as a step; a mean is that of the values that are not NaN, feature by
    feature.

    Examples
    --------
    >>> from skrnn.preprocessing import SequenceShortener
    >>> X = [[1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0]]
    >>> [x.tolist() for x in SequenceShortener("last", k=3).fit_transform(X)]
    [[3.0, 4.0, 5.0], [6.0, 7.0]]
    >>> [x.tolist() for x in SequenceShortener("every", k=2).fit_transform(X)]
    [[1.0, 3.0, 5.0], [6.0]]
    >>> [x.tolist() for x in SequenceShortener("mean", k=2).fit_transform(X)]
    [[1.5, 3.5, 5.0], [6.5]]
    """

    _parameter_constraints: dict = {
        **SequenceTransformer._parameter_constraints,
        "method": [StrOptions({"first", "last", "every", "mean"})],
        "k": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, method="last", k=100, *, features_per_step=None):
        self.method = method
        self.k = k
        self.features_per_step = features_per_step

    def _transform_steps(self, steps, lengths):
        method, whole = METHODS[self.method], Sequences.stacked(steps, lengths)
        shortened = Sequences.stacked(None, method.length(lengths, self.k))
        cut, inner = shortened.lengths < lengths, without_padding(steps, lengths)
        starts = np.where(cut, inner.starts, whole.starts)
        kept = Sequences(steps, starts, np.where(cut, inner.lengths, lengths))
        found = method.shorten(kept, self.k)
        values = np.full((shortened.lengths.sum(), steps.shape[1]), np.nan, steps.dtype)
        rows = Sequences(None, shortened.starts, found.lengths).rows()
        values[rows] = found.values[found.rows()]
        return values, shortened.lengths

    def _names_of_steps(self, steps):
        T, D = steps.shape
        n = T if self._schema.kind == "sequences" else METHODS[self.method].length(T, self.k)
        return steps if n == T else [[f"x{j}" for j in range(D)]] * n


def _at_most(T, k):
    return np.minimum(T, k)


def _parts(T, k):
    """How many k are in T, the last of them perhaps in part."""
    return -(-T // k)


def _first(sequences, k):
    return Sequences(sequences.values, sequences.starts, _at_most(sequences.lengths, k))


def _last(sequences, k):
    lengths = _at_most(sequences.lengths, k)
    starts = sequences.starts + sequences.lengths - lengths
    return Sequences(sequences.values, starts, lengths)


def _every(sequences, k):
    return Sequences(sequences.values, sequences.starts, _parts(sequences.lengths, k), stride=k)


def _mean(sequences, k):
    """Means from the start of every part up to the next; what lies between sequences is NaN."""
    parts = _every(sequences, k)
    missing = np.isnan(sequences.values)
    sums = np.where(missing, 0, sequences.values)
    sums = np.add.reduceat(sums, parts.rows(), axis=0, dtype=np.float64)
    counts = np.add.reduceat(~missing, parts.rows(), axis=0, dtype=np.float64)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return Sequences.stacked(means, parts.lengths)


class Method(NamedTuple):
    """How many steps T become, and the shortened sequences."""

    length: Callable
    shorten: Callable


METHODS = {
    "first": Method(_at_most, _first),
    "last": Method(_at_most, _last),
    "every": Method(_parts, _every),
    "mean": Method(_parts, _mean),
}
