"""Samples to learn from: sequences with targets and weights."""

from typing import Any, NamedTuple

import numpy as np

from skrnn._data.sequences import Sequences, starts_of
from skrnn._typing import Booleans, Floats, Integers, Rows

VALUES_AT_ONCE = 2**16  # that are compared: bounds the memory


class Samples(NamedTuple):
    """Sequences, their targets (n, outputs) and weights (n,) or (n, outputs).

    A target that is missing is 0, with the weight 0. With `per_step` targets and weights belong to
    steps, and are aligned with the sequences' values. `groups` (n,) are numbers, or None. `rows`
    (n,) are the numbers that the user knows them by, if any; for each such number, `merged_into`
    has the one that it was merged into.
    """

    sequences: Sequences
    targets: Floats
    weight: Floats
    groups: Integers | None = None
    per_step: bool = False
    rows: Integers | None = None
    merged_into: Integers | None = None

    def numbered(self) -> "Samples":
        """The same, known by their present order."""
        rows = np.arange(len(self.sequences))
        return self._replace(rows=rows, merged_into=rows)

    def users_rows(self) -> Integers:
        """Numbers of all that these were given as, in the user's order; for numbered samples."""
        assert self.rows is not None and self.merged_into is not None
        return np.flatnonzero(np.isin(self.merged_into, self.rows))

    def take(self, idx: Any) -> "Samples":
        groups, rows = (None if of is None else of[idx] for of in (self.groups, self.rows))
        taken = self._replace(sequences=self.sequences.take(idx), groups=groups, rows=rows)
        if self.per_step:
            return taken
        return taken._replace(targets=self.targets[idx], weight=self.weight[idx])

    def astype(self, dtype: np.dtype) -> "Samples":
        """Weights, and targets that are no numbers of classes, in a dtype."""
        targets = self.targets if self.targets.dtype.kind in "iu" else self.targets.astype(dtype)
        return self._replace(targets=targets, weight=self.weight.astype(dtype))

    def flat(self) -> tuple[Floats, Floats]:
        """Targets and weights of these sequences alone, one below the other."""
        idx = self.sequences.rows() if self.per_step else slice(None)
        return self.targets[idx], self.weight[idx]

    def valid(self) -> tuple[Floats, Floats]:
        """Targets and weights of these sequences, or of their steps, where the weight is not 0."""
        targets, weight = self.flat()
        valid = (weight > 0).reshape(len(weight), -1).any(axis=1)
        return targets[valid], weight[valid]

    def weights_of_sequences(self) -> Floats:
        """Weight of each sequence: the sum over its outputs, and with `per_step` over its steps."""
        weight = self.flat()[1]
        weight = weight if weight.ndim == 1 else weight.sum(axis=1)
        if not self.per_step:
            return weight
        return np.add.reduceat(weight, starts_of(self.sequences.lengths))

    def longest_first(self) -> "Samples":
        return self.take(self.sequences.longest_first())

    def in_canonical_order(self) -> "Samples":
        """Sort so that the order depends neither on the users' order nor on repetition or dtype.

        By length, which targets count, targets (in an order that scaling them keeps), group and
        values. Equal sequences of a group are merged, their weights added.
        """
        n, merged = len(self.sequences), self.weight.copy()
        keys = [_one_each(self.sequences.lengths), self._of_each(self.targets)]
        if not merged.all():
            keys.insert(1, self._of_each(merged > 0))
        if self.groups is not None:
            keys.append(_one_each(self.groups))
        order, tied = np.arange(n), np.arange(n) > 0
        for key in [*keys, self.sequences]:
            sort_ties(order, tied, key)
        firsts = np.maximum.accumulate(np.where(tied, 0, np.arange(n)))
        weights: Any = self._of_each(merged) if self.per_step else merged
        ties = tied.copy()
        sort_ties(order, ties, self._of_each(merged.view(np.uint8).reshape(len(merged), -1)))
        for i in np.flatnonzero(tied):
            weights[order[firsts[i]]] += weights[order[i]]
        whole = self._replace(weight=merged)
        if self.rows is not None and self.merged_into is not None:
            merged_into = self.merged_into.copy()
            merged_into[self.rows[order]] = self.rows[order[firsts]]
            whole = whole._replace(merged_into=merged_into)
        return whole.take(order[~tied])

    def _of_each(self, values: Any) -> Sequences:
        """Rows of targets or weights, those of each sequence."""
        values = values.reshape(len(values), -1)
        return self.sequences.of(values) if self.per_step else _one_each(values)


def _one_each(values: Any) -> Sequences:
    """Sequences of one step."""
    return Sequences.stacked(values.reshape(len(values), -1), np.ones(len(values), np.intp))


def sort_ties(order: Integers, tied: Booleans, sequences: Sequences) -> None:
    """Sort those that are tied so far by the values of their sequences, in place, stable.

    `order` has their numbers; `tied` says which are tied with the one before, and these sequences
    have one length. Some values at a time are compared, and only of those that are still tied.
    """
    width, start = sequences.values.shape[1], 0
    n_values = sequences.lengths * width
    while True:
        in_tie = tied | np.append(tied[1:], False)
        at = np.flatnonzero(in_tie & (n_values[order] > start))
        if not len(at):
            return
        stop = start + max(1, VALUES_AT_ONCE // len(at))
        stop = stop if start else min(width, stop)  # few are tied after a step
        keys = _keys(sequences.take(order[at]), start, stop)
        if (tied[at[1:]] & (keys[1:] != keys[:-1])).any():
            by_key = np.lexsort((keys, np.cumsum(~tied[at])))
            order[at], keys = order[at[by_key]], keys[by_key]
            tied[at[1:]] &= keys[1:] == keys[:-1]
        start = stop


def _keys(sequences: Sequences, start: int, stop: int) -> Any:
    """Bytes that sort as some values of the sequences do; the last one stands for those beyond."""
    width = sequences.values.shape[1]
    numbers = np.minimum(np.arange(start, stop), width * sequences.lengths[:, None] - 1)
    rows = sequences.starts[:, None] + sequences.stride * (numbers // width)
    keys = sortable(sequences.values[rows, numbers % width])
    return keys.view(f"S{keys.itemsize * keys.shape[1]}")[:, 0]


def sortable(values: Rows) -> Any:
    """Integers whose bytes sort as finite values do, in the same order for float32 and float64.

    The bits of a float, read as an integer, sort as its value does, if all are flipped of negative
    numbers, and of others the sign; most significant byte first. Adding 0 turns -0 into 0.
    """
    size, kind = values.itemsize, values.dtype.kind
    if kind in "bu":
        return values.astype(f">u{size}")
    sign = np.array(1 << (8 * size - 1), f"u{size}")
    if kind == "i":
        return (values.view(f"u{size}") ^ sign).astype(f">u{size}")
    bits = (values + values.dtype.type(0)).view(f"u{size}")
    negative = (bits.view(f"i{size}") >> (8 * size - 1)).view(f"u{size}")  # all bits or none
    bits ^= negative | sign
    return bits.astype(f">u{size}")
