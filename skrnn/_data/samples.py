"""Samples to learn from: sequences with targets and weights."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skrnn._data.sequences import Sequences, starts_of


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
        return np.add.reduceat(self.flat()[1], starts_of(self.sequences.lengths))

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
