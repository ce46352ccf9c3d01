"""SequenceShortener: fewer steps where sequences are too long."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrnn._compat import Interval, StrOptions
from skrnn._data.sequences import Sequences
from skrnn._typing import Integers, Rows
from skrnn.preprocessing._base import SequenceTransformer, without_padding


class SequenceShortener(SequenceTransformer):
    """Shorten sequences: keep the first or last steps, every k-th step, or means of k steps.

    Time and memory of training grow with the number of steps, and dependencies over hundreds of
    steps are hard to learn. To combine two methods, for example means of 4 over the last 200 steps,
    chain two of these in a pipeline.

    The output is in the container of X, as with `StepTransformer`; frames that become shorter get a
    new index.

    Parameters
    ----------
    method : {"first", "last", "every", "mean"}, default="last"
        "first" and "last" keep that end of each sequence, at most `k` steps. "every" keeps the
        first of every `k` steps, "mean" averages every `k` steps; both count from the start of the
        sequence, and the last group may have fewer than `k`.
    k : int, default=100
        Steps to keep with `method` "first" and "last"; steps that become one with "every" and
        "mean".
    features_per_step : int or None, default=None
        Features D per step where X is a table of two dimensions: its rows are then p / D steps of D
        features, time-major (`X3.reshape(n, T * D)`). None is 1. Sequences know their D.

    Attributes
    ----------
    n_features_in_ : int
        Columns p of a table; features D per step for sequences.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Names of the columns, where X is a frame or holds frames, and they are all strings.

    See Also
    --------
    skrnn.RNNClassifier : Its `bptt_steps` reads all steps, but backpropagates through the last.
    SequencePadder : Pads sequences to one length.

    Notes
    -----
    T steps become min(T, k), or T / k rounded up. Absent steps at the ends of a sequence are
    padding: the steps between them are shortened, and the result is padded by absent steps at the
    end, to the length that follows from T. So padded and ragged sequences give the same result. An
    absent step between others counts as a step; means are over the values that are not NaN, feature
    by feature.

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

    _parameter_constraints: dict[str, Any] = {
        **SequenceTransformer._parameter_constraints,
        "method": [StrOptions({"first", "last", "every", "mean"})],
        "k": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        method: Literal["first", "last", "every", "mean"] = "last",
        k: int = 100,
        *,
        features_per_step: int | None = None,
    ):
        self.method = method
        self.k = k
        self.features_per_step = features_per_step

    def _transform_steps(self, steps: Rows, lengths: Integers) -> tuple[Rows, Integers]:
        method, whole = METHODS[self.method], Sequences.stacked(steps, lengths)
        shortened = Sequences.stacked(None, method.length(lengths, self.k))
        # sequences that stay whole keep their absent steps at both ends
        cut, inner = shortened.lengths < lengths, without_padding(steps, lengths)
        starts = np.where(cut, inner.starts, whole.starts)
        kept = Sequences(steps, starts, np.where(cut, inner.lengths, lengths))
        found = method.shorten(kept, self.k)
        values = np.full((shortened.lengths.sum(), steps.shape[1]), np.nan, steps.dtype)
        rows = Sequences(None, shortened.starts, found.lengths).rows()
        values[rows] = found.values[found.rows()]
        return values, shortened.lengths

    def _names_of_steps(self, steps: NDArray[np.object_]) -> Sequence[Sequence[str]]:
        T, D = steps.shape
        n = T if self._schema.kind == "sequences" else METHODS[self.method].length(T, self.k)
        return steps.tolist() if n == T else [[f"x{j}" for j in range(D)]] * n


def _at_most(T: Any, k: int) -> Any:
    return np.minimum(T, k)


def _n_groups(T: Any, k: int) -> Any:
    """T / k, rounded up."""
    return -(-T // k)


def _first(sequences: Sequences, k: int) -> Sequences:
    return Sequences(sequences.values, sequences.starts, _at_most(sequences.lengths, k))


def _last(sequences: Sequences, k: int) -> Sequences:
    lengths = _at_most(sequences.lengths, k)
    starts = sequences.starts + sequences.lengths - lengths
    return Sequences(sequences.values, starts, lengths)


def _every(sequences: Sequences, k: int) -> Sequences:
    return Sequences(sequences.values, sequences.starts, _n_groups(sequences.lengths, k), stride=k)


def _mean(sequences: Sequences, k: int) -> Sequences:
    """Means from the start of each group to the start of the next.

    The steps between two sequences fall into the last group of the first: they are all NaN.
    """
    groups = _every(sequences, k)
    missing = np.isnan(sequences.values)
    sums = np.where(missing, 0, sequences.values)
    sums = np.add.reduceat(sums, groups.rows(), axis=0, dtype=np.float64)
    counts = np.add.reduceat(~missing, groups.rows(), axis=0, dtype=np.float64)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return Sequences.stacked(means, groups.lengths)


class Method(NamedTuple):
    """How many steps T steps become, for a number or an array T; and the shortened sequences."""

    length: Callable[[Any, int], Any]
    shorten: Callable[[Sequences, int], Sequences]


METHODS = {
    "first": Method(_at_most, _first),
    "last": Method(_at_most, _last),
    "every": Method(_n_groups, _every),
    "mean": Method(_n_groups, _mean),
}
