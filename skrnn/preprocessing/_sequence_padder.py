"""SequencePadder: sequences as one array, and back."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import Interval, StrOptions
from skrnn._data.containers import as_sequences
from skrnn._data.numeric import numbers_of
from skrnn._data.sequences import Sequences
from skrnn._typing import Integers, Rows
from skrnn.preprocessing._base import SequenceTransformer, without_padding


class SequencePadder(SequenceTransformer):
    """Pad sequences to one length, and remove the padding again.

    `skrnn.pad_sequences` as a transformer that learns the length at fit. The estimators need no
    padding; tools that accept nothing but one numeric array do. An array padded by NaN trains and
    predicts as its sequences do; other values are for libraries that use masks or lengths.

    Parameters
    ----------
    length : int or None, default=None
        Steps of the padded sequences. None is the length of the longest one at fit. A longer
        sequence is an error: set `length`, or truncate it by `SequenceShortener` before.
    value : float, default=nan
        Value of all features of the padding.
    side : {"right", "left"}, default="right"
        Whether to pad after the steps or before them ("post" and "pre" in Keras).
    flatten : bool, default=False
        Return the table (n, T D) of flattened sequences instead of the array (n, T, D).
    features_per_step : int or None, default=None
        Features D per step where X is a table of two dimensions: its rows are then p / D steps of D
        features, time-major (`X3.reshape(n, T * D)`). None is 1. Sequences know their D.

    Attributes
    ----------
    length_ : int
        Steps of the padded sequences.
    n_features_in_ : int
        Columns p of a table; features D per step for sequences.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Names of the columns, where X is a frame or holds frames, and they are all strings.

    See Also
    --------
    skrnn.pad_sequences : Pads by NaN, as a function.
    skrnn.as_sequences : Puts sequences into an object array.

    Notes
    -----
    Absent steps, those whose features are all NaN, are padding already where they are at the ends
    of a sequence: they are removed first, do not count in its length, and are not restored. Those
    between other steps stay NaN.

    Examples
    --------
    >>> from skrnn.preprocessing import SequencePadder
    >>> padder = SequencePadder(value=0.0, side="left", flatten=True)
    >>> padder.fit_transform([[1.0, 2.0, 3.0], [4.0]])
    array([[1., 2., 3.],
           [0., 0., 4.]])
    >>> [x.ravel().tolist() for x in padder.inverse_transform([[0.0, 5.0, 6.0]])]
    [[5.0, 6.0]]
    >>> [x.ravel().tolist() for x in padder.inverse_transform([[0.0, 0.0, 6.0]], lengths=[2])]
    [[0.0, 6.0]]
    """

    _parameter_constraints: dict[str, Any] = {
        **SequenceTransformer._parameter_constraints,
        "length": [Interval(Integral, 1, None, closed="left"), None],
        "value": [Real],
        "side": [StrOptions({"right", "left"})],
        "flatten": ["boolean"],
    }

    length_: int

    def __init__(
        self,
        length: int | None = None,
        *,
        value: float = np.nan,
        side: Literal["right", "left"] = "right",
        flatten: bool = False,
        features_per_step: int | None = None,
    ):
        self.length = length
        self.value = value
        self.side = side
        self.flatten = flatten
        self.features_per_step = features_per_step

    def _learn(self, steps: Rows, lengths: Integers) -> dict[str, Any]:
        lengths = without_padding(steps, lengths).lengths
        length = self.length or max(1, int(lengths.max()))
        _require_room(lengths, length)
        return {"length_": length}

    def transform(self, X: Any) -> Any:
        """Pad sequences.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n, T, D), or table of shape (n, T D) if `flatten`
            T is `length_`; float32 if that holds all values exactly, else float64. A table is a
            frame if X is one.

        Raises
        ------
        ValueError
            If X is not as at fit, or a sequence is longer than `length_`.
        """
        check_is_fitted(self)
        steps, lengths = self._transformed(X)
        padded = steps.reshape(len(lengths), self.length_, -1)
        return self._as_table(X, padded.reshape(len(padded), -1)) if self.flatten else padded

    def _transform_steps(self, steps: Rows, lengths: Integers) -> tuple[Rows, Integers]:
        sequences = without_padding(steps, lengths)
        _require_room(sequences.lengths, self.length_)
        n, T = len(sequences), self.length_
        padded = np.full((n * T, steps.shape[1]), self.value, steps.dtype)
        padded[self._inside(sequences.lengths, T).rows()] = steps[sequences.rows()]
        return padded, np.full(n, T)

    def inverse_transform(self, X: Any, lengths: ArrayLike | None = None) -> NDArray[np.object_]:
        """Remove the padding.

        Parameters
        ----------
        X : array of shape (n, T, D), or table of shape (n, T D)
            Padded sequences, as from `transform` or from elsewhere.
        lengths : array-like of shape (n,), default=None
            Steps of each sequence. None takes for padding all steps on the padded side that equal
            `value`: pass lengths if sequences may have such steps of their own at that end.

        Returns
        -------
        ndarray of shape (n,) and dtype object
            Item i is the i-th sequence as an array (T_i, D), as from `skrnn.as_sequences`.

        Raises
        ------
        ValueError
            If X is not as described, or lengths are out of range.
        """
        check_is_fitted(self)
        steps, T = self._steps_of_padded(X)
        if lengths is None:
            found = self._find_lengths(steps, T)
        else:
            found = _check_lengths(lengths, len(steps) // T, T)
        inside = self._inside(found, T)
        return as_sequences([x.copy() for x in inside.of(steps)])

    def _steps_of_padded(self, X: Any) -> tuple[Rows, int]:
        """The steps of an array or a table of padded sequences, and how many each has."""
        array = numbers_of(X, "X")
        D = self._schema.width
        rows = array.ndim == 2 and array.shape[1] % D == 0
        if array.size == 0 or not (rows or (array.ndim == 3 and array.shape[2] == D)):
            raise ValueError(
                f"X has shape {array.shape}, expected padded sequences of {D} features per step: "
                f"(n, T, {D}), or (n, T * {D})."
            )
        steps = array.reshape(-1, D)
        return steps, len(steps) // len(array)

    def _find_lengths(self, steps: Rows, T: int) -> Integers:
        """Lengths up to the last step, or from the first, that is not padding."""
        padding = np.isnan(steps) if np.isnan(self.value) else steps == self.value
        real = ~padding.all(axis=1).reshape(-1, T)
        inward = real if self.side == "left" else real[:, ::-1]
        return np.where(real.any(axis=1), T - inward.argmax(axis=1), 0)

    def _inside(self, lengths: Integers, T: int) -> Sequences:
        """The rows of real steps in sequences padded to T steps, as sequences without values."""
        before = T - lengths if self.side == "left" else 0
        return Sequences(None, np.arange(len(lengths)) * T + before, lengths)

    def _names_of_steps(self, steps: NDArray[np.object_]) -> Sequence[Sequence[str]]:
        D = steps.shape[1]
        names = list(steps[0]) if self._schema.kind == "sequences" else [f"x{j}" for j in range(D)]
        return [names] * (self.length_ if self.flatten else 1)


def _check_lengths(lengths: ArrayLike, n: int, T: int) -> Integers:
    array = np.asarray(lengths)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"lengths must be {n} integers, one per sequence; got shape {array.shape} of "
            f"{array.dtype}."
        )
    if array.min() < 1 or array.max() > T:
        i = np.argmax((array < 1) | (array > T))
        raise ValueError(f"lengths[{i}] is {array[i]}, expected a number from 1 to {T}.")
    return array.astype(np.intp)


def _require_room(lengths: Integers, length: int) -> None:
    longest = lengths.max()
    if longest > length:
        raise ValueError(
            f"Sequence {lengths.argmax()} has {longest} steps, but length is {length}. Set "
            f"SequencePadder(length={longest}), or truncate sequences by "
            f'SequenceShortener("last", k={length}) before.'
        )
