"""Synthetic tasks that need memory.

Each task is drawn as one array of the steps of all sequences, without padding: `starts` are the
rows at which sequences start, and `lengths` their numbers of steps.
"""

from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state, check_scalar

from skrnn._typing import Integers

Seed: TypeAlias = int | np.random.RandomState | None
# arrays (n, T, ...) if all sequences have one length by definition, else (n,) of arrays (T_i, ...)
PerSequence: TypeAlias = NDArray[Any]

VOWELS = np.array([list("eiy"), list("aou")])  # front, back
CONSONANTS = np.array(list("bdfgklmnprstvz"))
SIBILANTS = np.array(list("sz"))


def _draw_layout(
    rng: np.random.RandomState, n_samples: int, length: int, min_length: int | None, shortest: int
) -> tuple[Integers, Integers]:
    """Draw lengths, all equal if `min_length` is None, and return them and their starts."""
    lengths = _draw_lengths(rng, n_samples, "length", length, min_length, shortest)
    return lengths, lengths.cumsum() - lengths


def _draw_lengths(
    rng: np.random.RandomState,
    n_samples: int,
    name: str,
    length: int,
    min_length: int | None,
    shortest: int,
) -> Integers:
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    check_scalar(length, name, Integral, min_val=shortest)
    low = length if min_length is None else min_length
    check_scalar(low, f"min_{name}", Integral, min_val=shortest, max_val=length)
    return rng.randint(low, length + 1, size=n_samples)


def _sequences(steps: NDArray[Any], starts: Integers, min_length: int | None) -> PerSequence:
    """Split steps (sum of lengths, ...) into sequences, one array if `min_length` is None."""
    if min_length is None:
        return steps.reshape(len(starts), -1, *steps.shape[1:])
    return np.fromiter(np.split(steps, starts[1:]), object, len(starts))


def make_adding_problem(
    n_samples: int = 100,
    *,
    length: int = 50,
    min_length: int | None = None,
    random_state: Seed = None,
) -> tuple[PerSequence, NDArray[np.float64]]:
    """Generate the adding problem (regression).

    A step is a value, uniform in [0, 1), and a marker, 0 or 1. Two steps are marked, one
    drawn from the first half of the sequence and one from the rest; the target is the sum
    of their values. Always predicting 1 has a mean squared error of 1/6.

    The task is that of [1]_ in the simpler form of [2]_: the original draws values in
    [-1, 1], marks the first and last step with -1 and scales the target.

    Parameters
    ----------
    n_samples : int, default=100
        The number of sequences.

    length : int, default=50
        The number of steps per sequence, or the largest if `min_length` is given. At
        least 2.

    min_length : int or None, default=None
        If given, lengths are uniform in [`min_length`, `length`]. At least 2.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length, 2), or (n_samples,) of object
        The sequences: one array if `min_length` is None, else one per sequence, of shape
        (n_steps, 2).

    y : ndarray of shape (n_samples,), dtype float64
        The sums, in [0, 2).

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber (1997). "Long short-term memory". Neural
       Computation 9(8), 1735-1780. Experiment 4.
    .. [2] M. Arjovsky, A. Shah and Y. Bengio (2016). "Unitary evolution recurrent neural
       networks". International Conference on Machine Learning, 1120-1128.

    Examples
    --------
    >>> from skrnn.datasets import make_adding_problem
    >>> X, y = make_adding_problem(n_samples=5, length=10, random_state=0)
    >>> X.shape, y.shape
    ((5, 10, 2), (5,))
    >>> values, markers = X[0].T
    >>> bool(values @ markers == y[0])
    True
    """
    rng = check_random_state(random_state)
    lengths, starts = _draw_layout(rng, n_samples, length, min_length, shortest=2)
    first = starts + rng.randint(lengths // 2)
    second = starts + rng.randint(lengths // 2, lengths)
    steps = np.column_stack([rng.uniform(size=lengths.sum()), np.zeros(lengths.sum())])
    steps[first, 1] = steps[second, 1] = 1
    return _sequences(steps, starts, min_length), steps[first, 0] + steps[second, 0]


def make_temporal_order(
    n_samples: int = 100,
    *,
    length: int = 100,
    min_length: int | None = None,
    n_distractors: int = 4,
    random_state: Seed = None,
) -> tuple[PerSequence, Integers]:
    """Generate the temporal order problem (classification into 4 classes).

    A step is a symbol, one-hot encoded. All are distractors but two: one at 10 to 20 percent
    of the length of the sequence and one at 50 to 60 percent, each of them X or Y. The class
    is the pair, in order.

    The task follows [1]_, without the symbols that start and end a sequence there; the two
    positions scale with the length, and are those of the paper for 100 steps.

    Parameters
    ----------
    n_samples : int, default=100
        The number of sequences.

    length : int, default=100
        The number of steps per sequence, or the largest if `min_length` is given. At
        least 2.

    min_length : int or None, default=None
        If given, lengths are uniform in [`min_length`, `length`]. At least 2.

    n_distractors : int, default=4
        The number of symbols that do not affect the class. At least 1.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length, n_distractors + 2), or (n_samples,) of object
        The sequences: one array if `min_length` is None, else one per sequence, of shape
        (n_steps, n_distractors + 2). The last two columns are X and Y.

    y : ndarray of shape (n_samples,), dtype int
        0 for XX, 1 for XY, 2 for YX, 3 for YY.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber (1997). "Long short-term memory". Neural
       Computation 9(8), 1735-1780. Experiment 6a.

    Examples
    --------
    >>> from skrnn.datasets import make_temporal_order
    >>> X, y = make_temporal_order(n_samples=5, length=20, random_state=0)
    >>> X.shape, y.shape
    ((5, 20, 6), (5,))
    >>> "".join("abcdXY"[k] for k in X[0].argmax(axis=1)), int(y[0])
    ('bbXbadadbcddYcdabdbd', 1)
    """
    check_scalar(n_distractors, "n_distractors", Integral, min_val=1)
    rng = check_random_state(random_state)
    lengths, starts = _draw_layout(rng, n_samples, length, min_length, shortest=2)
    early = starts + rng.randint(lengths // 10, lengths // 5 + 1)
    late = starts + rng.randint(lengths // 2, 3 * lengths // 5 + 1)
    first, second = rng.randint(2, size=(2, n_samples))
    symbols = rng.randint(n_distractors, size=lengths.sum())
    symbols[early] = n_distractors + first
    symbols[late] = n_distractors + second
    return _sequences(np.eye(n_distractors + 2)[symbols], starts, min_length), 2 * first + second


def make_phonotactics(
    n_samples: int = 100,
    *,
    length: int = 8,
    min_length: int | None = None,
    random_state: Seed = None,
) -> tuple[NDArray[np.object_], Integers]:
    """Generate words of four artificial languages (classification of texts into 4 classes).

    A word is a sequence of syllables, each a consonant and a vowel. The languages have the same
    sounds and differ in two rules, one local and one long-distance. Vowels are front (e, i, y)
    or back (a, o, u): those of a word all agree, or they alternate from syllable to syllable.
    The first and the last consonant are s or z: they agree, or they differ, whatever is between.

    Any three adjacent letters with two vowels determine the rule of vowels. Only a whole word
    determines that of consonants, the first-last assimilation of [1]_: s and z occur inside as
    well, equally often in all languages. So a linear model of n-grams separates two groups of
    two languages, and a model that remembers the first letter separates all four.

    Parameters
    ----------
    n_samples : int, default=100
        The number of words.

    length : int, default=8
        The number of syllables per word, or the largest if `min_length` is given. At least
        2. A word has twice as many letters.

    min_length : int or None, default=None
        If given, the numbers of syllables are uniform in [`min_length`, `length`]. At least 2.

    random_state : int, RandomState instance or None, default=None
        Determines the words. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples,), dtype object
        The words, as strings.

    y : ndarray of shape (n_samples,), dtype int
        0 or 1 if the vowels agree, 2 or 3 if they alternate; even if the first and the last
        consonant agree, odd if not.

    References
    ----------
    .. [1] R. Lai (2015). "Learnable vs. unlearnable harmony patterns". Linguistic Inquiry
       46(3), 425-451.

    Examples
    --------
    >>> from skrnn.datasets import make_phonotactics
    >>> X, y = make_phonotactics(n_samples=5, length=6, min_length=3, random_state=0)
    >>> X.tolist(), y.tolist()
    (['sinozi', 'zifanivafezo', 'zykalyza', 'sipozy', 'sakirosisasy'], [3, 2, 2, 3, 2])
    """
    rng = check_random_state(random_state)
    lengths, starts = _draw_layout(rng, n_samples, length, min_length, shortest=2)
    alternate, differ, back, first = rng.randint(2, size=(4, n_samples))
    syllable = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    is_back = (np.repeat(back, lengths) + np.repeat(alternate, lengths) * syllable) % 2
    vowels = VOWELS[is_back, rng.randint(3, size=len(is_back))]
    consonants = rng.choice(CONSONANTS, size=len(is_back))
    consonants[starts] = SIBILANTS[first]
    consonants[starts + lengths - 1] = SIBILANTS[first ^ differ]
    words = np.split(np.char.add(consonants, vowels), starts[1:])
    return np.fromiter(map("".join, words), object, n_samples), 2 * alternate + differ


def make_parity(
    n_samples: int = 100,
    *,
    length: int = 20,
    min_length: int | None = None,
    per_step: bool = False,
    random_state: Seed = None,
) -> tuple[PerSequence, NDArray[Any]]:
    """Generate the parity problem (classification into 2 classes).

    A step is a bit, 0 or 1 with equal probability; the class is whether the number of ones
    is even or odd. One bit of memory is enough, yet flipping any step flips the class. With
    `per_step` there is a class per step, that of the sequence up to the step.

    Parameters
    ----------
    n_samples : int, default=100
        The number of sequences.

    length : int, default=20
        The number of steps per sequence, or the largest if `min_length` is given. At
        least 1.

    min_length : int or None, default=None
        If given, lengths are uniform in [`min_length`, `length`]. At least 1.

    per_step : bool, default=False
        Whether there is a class per step, or one per sequence.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length, 1), or (n_samples,) of object
        The sequences: one array if `min_length` is None, else one per sequence, of shape
        (n_steps, 1).

    y : ndarray of shape (n_samples,), dtype int
        0 for an even number of ones, 1 for an odd one. With `per_step`, of shape
        (n_samples, length), or (n_samples,) of object: one array per sequence, of shape
        (n_steps,).

    Examples
    --------
    >>> from skrnn.datasets import make_parity
    >>> X, y = make_parity(n_samples=5, length=8, random_state=0)
    >>> X.shape, y.shape
    ((5, 8, 1), (5,))
    >>> int(X[0].sum()), int(y[0])
    (6, 0)
    >>> X, y = make_parity(n_samples=5, length=8, per_step=True, random_state=0)
    >>> X[0, :, 0].astype(int).tolist(), y[0].tolist()
    ([0, 1, 1, 0, 1, 1, 1, 1], [0, 1, 0, 0, 1, 0, 1, 0])
    """
    rng = check_random_state(random_state)
    lengths, starts = _draw_layout(rng, n_samples, length, min_length, shortest=1)
    bits = rng.randint(2, size=lengths.sum())
    ones = bits.cumsum()
    parity = (ones - np.repeat(ones[starts] - bits[starts], lengths)) % 2
    X = _sequences(bits[:, None].astype(np.float64), starts, min_length)
    return X, _sequences(parity, starts, min_length) if per_step else parity[starts + lengths - 1]


def make_delayed_recall(
    n_samples: int = 100,
    *,
    length: int = 20,
    min_length: int | None = None,
    n_symbols: int = 4,
    random_state: Seed = None,
) -> tuple[PerSequence, Integers]:
    """Generate the delayed recall problem (classification into `n_symbols` classes).

    A step is a symbol, one-hot encoded and drawn uniformly. The class is the first symbol;
    the others are noise from the same alphabet, so that a network has to learn to ignore
    them. The task is a simpler variant of Experiment 2 of [1]_.

    Parameters
    ----------
    n_samples : int, default=100
        The number of sequences.

    length : int, default=20
        The number of steps per sequence, or the largest if `min_length` is given. At
        least 1, which needs no recall.

    min_length : int or None, default=None
        If given, lengths are uniform in [`min_length`, `length`]. At least 1.

    n_symbols : int, default=4
        The size of the alphabet. At least 2.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length, n_symbols), or (n_samples,) of object
        The sequences: one array if `min_length` is None, else one per sequence, of shape
        (n_steps, n_symbols).

    y : ndarray of shape (n_samples,), dtype int
        The column of the first symbol.

    References
    ----------
    .. [1] S. Hochreiter and J. Schmidhuber (1997). "Long short-term memory". Neural
       Computation 9(8), 1735-1780.

    Examples
    --------
    >>> from skrnn.datasets import make_delayed_recall
    >>> X, y = make_delayed_recall(n_samples=5, min_length=3, length=8, random_state=0)
    >>> X.shape, y.shape
    ((5,), (5,))
    >>> X[0].argmax(axis=1).tolist(), int(y[0])
    ([3, 3, 1, 3, 1, 2, 0], 3)
    """
    check_scalar(n_symbols, "n_symbols", Integral, min_val=2)
    rng = check_random_state(random_state)
    lengths, starts = _draw_layout(rng, n_samples, length, min_length, shortest=1)
    symbols = rng.randint(n_symbols, size=lengths.sum())
    return _sequences(np.eye(n_symbols)[symbols], starts, min_length), symbols[starts]


def make_copy(
    n_samples: int = 100,
    *,
    delay: int = 20,
    min_delay: int | None = None,
    n_copied: int = 5,
    n_symbols: int = 8,
    random_state: Seed = None,
) -> tuple[PerSequence, PerSequence]:
    """Generate the copy problem (classification of every step into `n_symbols` + 1 classes).

    A sequence has `n_copied` symbols, the word; `delay` steps, the last a marker and the others
    blank; and `n_copied` further blanks. At these last steps the classes are the symbols of the
    word, in order; at all steps before, the class is "blank".

    The task is that of [1]_, with words of 10 symbols there, and was introduced in [2]_. Always
    predicting "blank" is correct at all but the last `n_copied` steps: score these only.

    Parameters
    ----------
    n_samples : int, default=100
        The number of sequences.

    delay : int, default=20
        The number of steps between the word and its copy, or the largest if `min_delay` is
        given. At least 1. A sequence has `delay` + 2 `n_copied` steps.

    min_delay : int or None, default=None
        If given, delays are uniform in [`min_delay`, `delay`]. At least 1.

    n_copied : int, default=5
        The number of symbols per word. At least 1.

    n_symbols : int, default=8
        The size of the alphabet. At least 2.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, delay + 2 n_copied, n_symbols + 2), or (n_samples,) of object
        The sequences, steps one-hot encoded: one array if `min_delay` is None, else one per
        sequence, of shape (n_steps, n_symbols + 2). The last two columns are blank and marker.

    y : ndarray of shape (n_samples, delay + 2 n_copied), dtype int, or (n_samples,) of object
        The class of every step: the column of a symbol, or `n_symbols` for blank. One array if
        `min_delay` is None, else one per sequence, of shape (n_steps,).

    References
    ----------
    .. [1] M. Arjovsky, A. Shah and Y. Bengio (2016). "Unitary evolution recurrent neural
       networks". International Conference on Machine Learning, 1120-1128.
    .. [2] S. Hochreiter and J. Schmidhuber (1997). "Long short-term memory". Neural
       Computation 9(8), 1735-1780.

    Examples
    --------
    >>> from skrnn.datasets import make_copy
    >>> X, y = make_copy(n_samples=5, delay=6, n_copied=3, random_state=0)
    >>> X.shape, y.shape
    ((5, 12, 10), (5, 12))
    >>> "".join("abcdefgh.?"[k] for k in X[0].argmax(axis=1))
    'ehf.....?...'
    >>> "".join("abcdefgh."[k] for k in y[0])
    '.........ehf'
    """
    check_scalar(n_copied, "n_copied", Integral, min_val=1)
    check_scalar(n_symbols, "n_symbols", Integral, min_val=2)
    rng = check_random_state(random_state)
    lengths = _draw_lengths(rng, n_samples, "delay", delay, min_delay, shortest=1) + 2 * n_copied
    ends = lengths.cumsum()
    starts, copies = ends - lengths, ends - n_copied
    word, offsets = rng.randint(n_symbols, size=(n_samples, n_copied)), np.arange(n_copied)
    symbols, classes = np.full((2, ends[-1]), n_symbols)
    symbols[starts[:, None] + offsets] = word
    symbols[copies - 1] = n_symbols + 1
    classes[copies[:, None] + offsets] = word
    X = _sequences(np.eye(n_symbols + 2)[symbols], starts, min_delay)
    return X, _sequences(classes, starts, min_delay)
