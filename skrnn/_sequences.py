"""What users hand in, as sequences; and sequences as batches of columns."""

from itertools import groupby, pairwise
from math import isfinite
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

COLUMNS = 16  # widths are multiples of it: a column's bits then do not depend on its neighbours


class Run(NamedTuple):
    """Steps start to start + steps of a batch, of the same width.

    The first n sequences go on at `start`. Some may end within the run, and then hear their last
    step again, to no effect: `ends` says which, as (steps from start, first, last) of columns.
    """

    start: int
    steps: int
    n: int
    width: int
    ends: tuple[tuple[int, int, int], ...]

    @property
    def spans(self):
        """All real steps, as (steps, first, last): columns first to last have so many."""
        going_on = self.ends[-1][1] if self.ends else self.n
        return ((self.steps, 0, going_on), *self.ends) if going_on else self.ends

    def running(self):
        """How many sequences have the step, for every step: they are the first columns."""
        counts = np.full(self.steps, self.n)
        for t, first, _ in self.ends:
            counts[t:] = first
        return counts.tolist()


class Sequences:
    """n sequences in values (steps of all, D), one row a step.

    Step t of sequence i is `values[starts[i] + t * stride]`, for t < lengths[i]; a stride of -1
    reads backward. Taking rows moves no values.
    """

    def __init__(self, values, starts, lengths, stride=1):
        self.values, self.starts, self.lengths, self.stride = values, starts, lengths, stride

    @classmethod
    def stacked(cls, values, lengths):
        """From values that have the sequences one below the other."""
        return cls(values, _starts(lengths), lengths)

    @classmethod
    def empty(cls, lengths, width, dtype):
        """Room for sequences of these lengths."""
        return cls.stacked(np.empty((lengths.sum(), width), dtype), lengths)

    @classmethod
    def from_steps(cls, steps, lengths, present=None):
        """From steps (sum of lengths, D), of which those are left out that are not `present`."""
        if present is not None:
            lengths = np.add.reduceat(present, _starts(lengths), dtype=np.intp)
            steps = steps[present]
        return cls.stacked(steps, lengths)

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, i):
        return self.values[self.starts[i] : self.starts[i] + self.lengths[i]]

    def __setitem__(self, i, values):
        self.values[self.starts[i] : self.starts[i] + self.lengths[i]] = values

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def bytes(self):
        """What each sequence is, in bytes."""
        data, size = self.values.tobytes(), self.values.itemsize * self.values.shape[1]
        stops = (size * (self.starts + self.lengths)).tolist()
        return [data[a:b] for a, b in zip((size * self.starts).tolist(), stops, strict=True)]

    def take(self, rows):
        return Sequences(self.values, self.starts[rows], self.lengths[rows], self.stride)

    def reversed(self):
        """The same, each read from its last step to its first."""
        ends = self.starts + self.stride * (self.lengths - 1)
        return Sequences(self.values, ends, self.lengths, -self.stride)

    def of(self, values):
        """Other values of the same steps, row for row."""
        return Sequences(values, self.starts, self.lengths, self.stride)

    def rows(self):
        """Row numbers of all steps, sequence by sequence."""
        offsets = np.arange(self.lengths.sum()) - np.repeat(_starts(self.lengths), self.lengths)
        return np.repeat(self.starts, self.lengths) + self.stride * offsets

    def longest_first(self):
        """Row numbers, longest sequence first."""
        return np.argsort(-self.lengths, kind="stable")

    def steps(self, run):
        """The inputs of a run, (steps, D, n), where the sequences are sorted longest first."""
        times = np.arange(run.start, run.start + run.steps)[:, None]
        if run.ends and run.ends[0][0] < run.steps:  # what ends within repeats its last step
            times = np.minimum(times, self.lengths[: run.n] - 1)
        rows = self.starts[: run.n] + self.stride * times
        return self.values.take(rows, axis=0).transpose(0, 2, 1)

    def put(self, run, values):
        """Write the real steps of a run, given as (steps, D, width)."""
        for steps, first, last in run.spans:
            times = np.arange(run.start, run.start + steps)[:, None]
            rows = self.starts[first:last] + self.stride * times
            self.values[rows] = values[:steps, :, first:last].transpose(0, 2, 1)

    def runs(self, *, longest=None, exact=False):
        """Cut the time of a batch, sorted longest first, where its width changes.

        No run has more than `longest` steps; none goes on where a sequence ends if `exact`.
        """
        groups, n = [], len(self)  # of equal lengths, shortest first: length, first, last
        for length, group in groupby(reversed(self.lengths.tolist())):
            last, n = n, n - len(list(group))
            groups.append((length, n, last))
        changes = {end for end, n, last in groups if exact or width_of(n) != width_of(last)}
        longest = longest or max(changes)
        cuts, k = sorted(changes.union(range(0, max(changes), longest))), 0
        for start, stop in pairwise(cuts):
            n, ends = groups[k][2], []
            while k < len(groups) and groups[k][0] <= stop:
                length, first, last = groups[k]
                ends.append((length - start, first, last))
                k += 1
            yield Run(start, stop - start, n, width_of(n), tuple(ends))


def width_of(n):
    """Columns of an array that holds n sequences.

    Not a multiple of 1024: rows 4 kB apart share lines of the first cache, and products with them
    take up to half as long again.
    """
    width = -(-n // COLUMNS) * COLUMNS
    return width + COLUMNS if width and width % 1024 == 0 else width


def present_steps(steps):
    """Which steps are there; None for all of them. A step whose features are all NaN is absent."""
    return None if is_finite(steps) else ~np.isnan(steps).all(axis=1)


def is_finite(values):
    """Whether no value is infinite or NaN, at the cost of a sum of squares where it can tell."""
    return isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def _starts(lengths):
    return np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.intp)


class Rows(NamedTuple):
    """What is learned from: sequences, their targets (n, outputs) and weights (n,).

    With `per_step` targets and weights belong to steps, and are aligned with the sequences' values.
    `groups` (n,) are numbers, or None.
    """

    sequences: Sequences
    targets: np.ndarray
    weight: np.ndarray
    groups: np.ndarray | None = None
    per_step: bool = False

    def take(self, rows):
        taken = self._replace(sequences=self.sequences.take(rows))
        if self.groups is not None:
            taken = taken._replace(groups=self.groups[rows])
        if self.per_step:
            return taken
        return taken._replace(targets=self.targets[rows], weight=self.weight[rows])

    def flat(self):
        """Targets and weights of these sequences alone, one below the other."""
        rows = self.sequences.rows() if self.per_step else slice(None)
        return self.targets[rows], self.weight[rows]

    def heard(self):
        """Targets and weights of these sequences, or of their steps, where the weight is not 0."""
        targets, weight = self.flat()
        heard = (weight > 0).reshape(len(weight), -1).any(axis=1)
        return targets[heard], weight[heard]

    def weights_of_sequences(self):
        """Weight of each sequence, that of all its steps together."""
        if not self.per_step:
            return self.weight
        return np.add.reduceat(self.flat()[1], _starts(self.sequences.lengths))

    def longest_first(self):
        return self.take(self.sequences.longest_first())

    def in_canonical_order(self):
        """Sort so that the order depends on neither the users' order nor on repetition.

        By length, targets (in an order that scaling them keeps), group and bytes. Equal sequences
        of a group are merged, their weights added.
        """
        n, targets, weights = len(self.sequences), self.targets, self.weight.copy()
        if self.per_step:
            targets, weights = self.sequences.of(targets), self.sequences.of(weights)
        keys = list(
            zip(
                self.sequences.lengths.tolist(),
                [target.ravel().tolist() for target in targets],
                [0] * n if self.groups is None else self.groups.tolist(),
                self.sequences.bytes(),
                [weight.tobytes() for weight in weights],
                strict=True,
            )
        )
        order = np.array(sorted(range(n), key=keys.__getitem__))
        is_first = [keys[i][:-1] != keys[j][:-1] for i, j in pairwise(order)]
        firsts = np.maximum.accumulate(np.where([True, *is_first], np.arange(n), 0))
        for i, first in zip(order, order[firsts], strict=True):
            if i != first:
                weights[first] += weights[i]
        merged = weights.values if self.per_step else weights
        return self._replace(weight=merged).take(order[np.unique(firsts)])


# What users hand in ---------------------------------------------------------------------------


def kind_of(X, fitted=None):
    """Whether X is "tabular" (every row a flattened sequence) or "sequences".

    Nested lists of numbers can be either: they follow the kind `fitted`, else their shape.
    """
    if isinstance(X, np.ndarray) and (X.ndim >= 3 or X.dtype != object):
        return "sequences" if X.ndim >= 3 else "tabular"
    items = items_of(X)
    if items is None:
        return "tabular"
    if len(items) == 0:
        return fitted or "sequences"
    ndims = [_ndim(item) for item in items]
    if not isinstance(X, (list, tuple)) or max(ndims) == 0:
        return "sequences" if max(ndims) >= 1 else "tabular"
    nested = all(isinstance(item, (list, tuple)) for item in items) and set(ndims) == {1}
    if not nested:
        return "sequences"
    ragged = len({len(item) for item in items}) > 1
    return "sequences" if ragged else fitted or "tabular"


def unwrap(X):
    """What is no container we know, but turns into an array, as that array."""
    if isinstance(X, np.ndarray) and X.dtype.names:
        raise ValueError(f"X is a structured array. {LAYOUT}")
    if isinstance(X, np.ma.MaskedArray):
        return _fill_masked(X)
    known = (
        isinstance(X, (np.ndarray, list, tuple))
        or nw.from_native(X, pass_through=True, allow_series=True) is not X
    )
    return np.asarray(X) if not known and hasattr(X, "__array__") else X


def _fill_masked(array):
    """Masked values are missing: NaN."""
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    return array.filled(np.nan)


def items_of(X):
    """The items of a container that may hold sequences, None for any other."""
    if isinstance(X, (list, tuple)):
        return X
    if isinstance(X, np.ndarray):
        if X.ndim >= 3:
            return X
        one_column = X.dtype == object and (X.ndim == 1 or X.shape[1:] == (1,))
        return X.ravel() if one_column else None
    table = nw.from_native(X, pass_through=True, allow_series=True)
    if isinstance(table, nw.DataFrame) and table.shape[1] == 1:
        table = table[:, 0]
    if isinstance(table, nw.Series) and table.dtype in (nw.Object, nw.List, nw.Array):
        items = table.to_list()
        return [_as_float32(item) for item in items] if _is_float32(table.dtype) else items
    return None


def _is_float32(dtype):
    while dtype in (nw.List, nw.Array):
        dtype = dtype.inner
    return dtype == nw.Float32


def _as_float32(item):
    try:
        return np.asarray(item, dtype=np.float32)
    except (TypeError, ValueError):  # not rectangular, which is said elsewhere
        return item


def _ndim(item):
    if isinstance(item, (list, tuple)):
        return 1 + (_ndim(item[0]) if len(item) else 0)
    if hasattr(item, "shape"):
        return len(item.shape)
    return np.ndim(item) if hasattr(item, "__array__") else 0


def stack_table(X, features_per_step):
    """Rows (n, p), each a flattened sequence, as steps (n T, D) and lengths."""
    D = features_per_step or 1
    n, p = X.shape
    if p % D:
        raise ValueError(
            f"features_per_step={D} must divide the number of columns (n_features={p}): every row "
            "is one sequence, its steps one after the other."
        )
    return X.reshape(n * (p // D), D), np.full(n, p // D)


def stack_items(X):
    """Sequences (T_i, D) or (T_i,) as steps (sum of T_i, D), lengths and step feature names."""
    items = items_of(X)
    if len(items) == 0:
        raise ValueError("Found 0 sample(s): X holds no sequence, and at least one is required.")
    if isinstance(X, np.ndarray) and X.ndim == 3 and X.dtype != object and X.size:
        arrays = _as_numbers(X, "X", None)
        n, T, D = arrays.shape
        return arrays.reshape(n * T, D), np.full(n, T), None
    names = [_names(item) for item in items]
    arrays = [_as_sequence(item, i) for i, item in enumerate(items)]
    D = arrays[0].shape[1]
    for i, array in enumerate(arrays):
        if array.shape[1] != D:
            raise ValueError(
                f"Sequence {i} has steps of {array.shape[1]} features, but sequence 0 has steps "
                f"of {D}. {LAYOUT}"
            )
        if names[i] != names[0]:
            raise ValueError(
                f"Sequence {i} has the columns {names[i]}, but sequence 0 has {names[0]}. All "
                "frames need the same columns in the same order."
            )
    if any(array.dtype != np.float32 for array in arrays):
        arrays = [array.astype(np.float64, copy=False) for array in arrays]
    return np.concatenate(arrays), np.array([len(array) for array in arrays]), names[0]


LAYOUT = (
    "Each sequence is an array of shape (steps, features), or (steps,) for one feature; an array "
    "of shape (channels, time), as in aeon, is turned by x.T."
)


def _frame(item):
    """A frame of any library, None for anything else."""
    if isinstance(item, (np.ndarray, list, tuple)):  # narwhals takes its time to say so
        return None
    frame = nw.from_native(item, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def _names(item):
    frame = _frame(item)
    return None if frame is None else list(frame.columns)


def _as_sequence(item, i):
    if hasattr(item, "toarray"):
        raise TypeError(f"Sequence {i} is sparse; dense arrays are required: use x.toarray().")
    array = _as_numbers(_as_array(item, i), f"Sequence {i}", item)
    if array.ndim not in (1, 2):
        raise ValueError(f"Sequence {i} has {array.ndim} dimensions. {LAYOUT}")
    if array.size == 0:
        raise ValueError(
            f"Sequence {i} is empty (shape {array.shape}). Every sequence needs at least one step "
            "of at least one feature: leave it out, with its target."
        )
    return array[:, None] if array.ndim == 1 else array


def _as_array(item, i):
    if isinstance(item, np.ma.MaskedArray):
        return _fill_masked(item)
    frame = _frame(item)
    try:
        return np.asarray(item) if frame is None else frame.to_numpy()
    except ValueError:
        raise ValueError(f"Sequence {i} is not rectangular. {LAYOUT}") from None


def _as_numbers(array, what, item):
    """The array in float32 if it is, else in float64."""
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {what} is complex. Pass x.real, x.imag.")
    if array.dtype.kind in "USmM":
        raise ValueError(
            f"{what} holds {array.dtype}, but numbers are required: turn text and categories into "
            "numbers first."
        )
    try:
        return array.astype(np.float32 if array.dtype == np.float32 else np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} holds what is not a number: {item!r:.80}. {LAYOUT}") from None


def require_valid_steps(steps, lengths):
    """Refuse infinity, steps that are partly NaN, and sequences with no step left."""
    if is_finite(steps):
        return
    require_no_infinity(steps, lengths)
    starts = _starts(lengths)
    missing = np.isnan(steps)
    absent = missing.all(axis=1)
    bad = missing.any(axis=1) & ~absent
    if bad.any():
        raise ValueError(
            f"Input X contains NaN in some features of a step but not in all: "
            f"{place_of(lengths, bad)}. Impute them by skrnn.preprocessing.StepImputer(), or mark "
            "the whole step as absent by NaN."
        )
    empty = np.logical_and.reduceat(absent, starts)
    if empty.any():
        raise ValueError(
            f"Sequence {empty.argmax()} has no step left: all its features are NaN. Leave it out, "
            "with its target."
        )


def require_no_infinity(steps, lengths):
    bad = np.isinf(steps).any(axis=1)
    if bad.any():
        raise ValueError(
            f"Input X contains infinity: {place_of(lengths, bad)}, or what is too large for "
            f"{steps.dtype}. Replace it, or mark the whole step as absent by NaN."
        )


def place_of(lengths, bad):
    """Where the first bad one of the steps of all sequences stands, in words."""
    row, starts = bad.argmax(), _starts(lengths)
    i = np.searchsorted(starts, row, side="right") - 1
    return f"sequence {i}, step {row - starts[i]}"


def _require_items(X):
    """The items of a container, those of a plain array or an iterator being its rows."""
    X = unwrap(X)
    items = items_of(X)
    if items is None and hasattr(X, "columns"):
        raise ValueError(
            "X is a frame of several columns, not sequences: pass one frame or array a sequence."
        )
    return list(X) if items is None else items


def as_sequences(X: Any) -> np.ndarray:
    """Put sequences into a one-dimensional object array, one array a sequence.

    The container that every splitter and search of scikit-learn takes: `np.array` would turn
    sequences of equal length into one numeric array instead. Targets of every step that come as a
    list of lists, which scikit-learn refuses, go through it likewise.

    Parameters
    ----------
    X : iterable of n array-likes, each (T_i, D) or (T_i,)

    Returns
    -------
    ndarray of shape (n,) and dtype object
        Item i is the i-th sequence as an array.

    Examples
    --------
    >>> from skrnn import as_sequences
    >>> X = as_sequences([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]])
    >>> X.shape, X[1].shape
    ((2,), (2, 2))
    """
    items = _require_items(X)
    boxes = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        boxes[i] = _as_array(item, i)
        if boxes[i].ndim == 0:
            raise ValueError(f"Item {i} is {item!r}, not a sequence.")
    return boxes


def pad_sequences(X: Any, *, flatten: bool = False) -> np.ndarray:
    """Put sequences into one array, the shorter ones followed by NaN.

    The estimators skip steps that are NaN, so the padded array trains and predicts as the ragged
    sequences do; tools that accept nothing but one numeric array can hold it.

    Parameters
    ----------
    X : sequences of n arrays, each (T_i, D) or (T_i,)
    flatten : bool, default=False
        Return the table (n, T D) of flattened sequences instead, for the tools of scikit-learn
        that want two dimensions; the estimator then needs `features_per_step=D`.

    Returns
    -------
    ndarray of shape (n, T, D) or (n, T D)
        T is the length of the longest sequence; float32 if all sequences are, else float64.

    Examples
    --------
    >>> from skrnn import pad_sequences
    >>> pad_sequences([[1.0], [2.0, 3.0]], flatten=True)
    array([[ 1., nan],
           [ 2.,  3.]])
    """
    steps, lengths, _ = stack_items(_require_items(X))
    padded = np.full((len(lengths), lengths.max(), steps.shape[1]), np.nan, steps.dtype)
    padded[np.arange(lengths.max()) < lengths[:, None]] = steps
    return padded.reshape(len(padded), -1) if flatten else padded
