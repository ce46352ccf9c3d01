"""Samples to learn from: sequences with targets and weights."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from skrnn._data.sequences import Sequences, starts_of
from skrnn._typing import Floats, Integers, Rows

VALUES_AT_ONCE = 2**16  # of which sort keys are made: bounds the memory


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
        targets: Any = self.targets
        weights: Any = merged
        if self.per_step:
            targets, weights = self.sequences.of(targets), self.sequences.of(merged)
        keys = list(
            zip(
                self.sequences.lengths.tolist(),
                [b""] * n if merged.all() else [(weight > 0).tobytes() for weight in weights],
                [target.ravel().tolist() for target in targets],
                [0] * n if self.groups is None else self.groups.tolist(),
                sort_keys(self.sequences),
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
        whole = self._replace(weight=merged)
        if self.rows is not None and self.merged_into is not None:
            merged_into = self.merged_into.copy()
            merged_into[self.rows[order]] = self.rows[order[firsts]]
            whole = whole._replace(merged_into=merged_into)
        return whole.take(order[np.unique(firsts)])


def sort_keys(sequences: Sequences) -> list[bytes]:
    """Bytes that sort as the values of the sequences do; of some sequences at a time."""
    keys: list[bytes] = []
    n = len(sequences)
    n_parts = min(n, 1 + sequences.values.size // VALUES_AT_ONCE)
    for idx in np.array_split(np.arange(n), n_parts):
        part = sequences.take(idx)
        keys += Sequences.stacked(sortable(part.values[part.rows()]), part.lengths).bytes()
    return keys


def sortable(values: Rows) -> Any:
    """Integers whose bytes sort as finite values do, in the same order for float32 and float64.

    The bits of a float, read as an integer, sort as its value does, if all are flipped of negative
    numbers, and of others the sign; most significant byte first. Adding 0 turns -0 into 0.
    """
    size = values.itemsize
    bits = (values + values.dtype.type(0)).view(f"u{size}")
    negative = (bits.view(f"i{size}") >> (8 * size - 1)).view(f"u{size}")  # all bits or none
    bits ^= negative | bits.dtype.type(1 << (8 * size - 1))
    return bits.astype(f">u{size}")
