"""Made-up tasks that ask a network to remember.

Every task is drawn as one flat array of steps, sequence after sequence; `starts` says where
each sequence begins in it and `lengths` how long it is, so no padding is ever written.
"""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state, check_scalar

VOWELS = np.array([list("eiy"), list("aou")])  # front, back
CONSONANTS = np.array(list("bdfgklmnprstvz"))
SIBILANTS = np.array(list("sz"))


def _layout(rng, n_samples, length, min_length, shortest):
    """Draw `lengths`, all equal if `min_length` is None, and return them with `starts`."""
    lengths = _draw_lengths(rng, n_samples, "length", length, min_length, shortest)
    return lengths, lengths.cumsum() - lengths


def _draw_lengths(rng, n_samples, name, length, min_length, shortest):
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    check_scalar(length, name, Integral, min_val=shortest)
    low = length if min_length is None else min_length
    check_scalar(low, f"min_{name}", Integral, min_val=shortest, max_val=length)
    return rng.randint(low, length + 1, size=n_samples)


def _sequences(steps, starts, min_length):
    """Cut flat steps (sum of lengths, ...) into sequences, a block if `min_length` is None."""
    if min_length is None:
        return steps.reshape(len(starts), -1, *steps.shape[1:])
    return np.fromiter(np.split(steps, starts[1:]), object, len(starts))


def make_adding_problem(
    n_samples: int = 100,
    *,
    length: int = 50,
    min_length: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Generate the adding problem (regression).

    A step is a value, uniform in [0, 1), and a marker, 0 or 1. Two steps are marked, one
    drawn from the first half of the sequence and one from the rest; the target is the sum
    of their values. To predict 1 always has a mean squared error of 1/6.

    The task is that of [1]_ in the simpler form of [2]_: the original draws values in
    [-1, 1], marks the first and last step with -1 and scales the target.

    Parameters
    ----------
    n_samples : int, default=100
        The number of sequences.

    length : int, default=50
        The number of steps of a sequence, or the largest if `min_length` is given. At
        least 2.

    min_length : int or None, default=None
        If given, lengths are uniform in [`min_length`, `length`]. At least 2.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length, 2), or (n_samples,) of object
        The sequences: one block if `min_length` is None, else an array each, of shape
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
    lengths, starts = _layout(rng, n_samples, length, min_length, shortest=2)
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
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Generate the temporal order problem (classification into 4 classes).

    A step is a symbol, coded one-hot. All are distractors but two: one between 10 and 20
    percent of the way through the sequence and one between 50 and 60 percent, each of them
    X or Y. The class is their order.

    The task follows [1]_, without the symbols that open and close a sequence there; the two
    places scale with the length, and are those of the paper for 100 steps.

    Parameters
    ----------
    n_samples : int, default=100
        The number of sequences.

    length : int, default=100
        The number of steps of a sequence, or the largest if `min_length` is given. At
        least 2.

    min_length : int or None, default=None
        If given, lengths are uniform in [`min_length`, `length`]. At least 2.

    n_distractors : int, default=4
        The number of symbols that mean nothing. At least 1.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length, n_distractors + 2), or (n_samples,) of object
        The sequences: one block if `min_length` is None, else an array each, of shape
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
    lengths, starts = _layout(rng, n_samples, length, min_length, shortest=2)
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
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Generate words of four invented languages (classification of texts into 4 classes).

    A word is a string of syllables, each a consonant and a vowel. The languages have the same
    sounds and differ in two rules, one near and one far. Vowels are front (e, i, y) or back
    (a, o, u): those of a word all agree, or they alternate from syllable to syllable. The first
    and the last consonant are s or z: they agree, or they do not, whatever stands between.

    Any three neighbouring letters with two vowels show the rule of vowels. Only a whole word
    shows that of consonants, the first-last assimilation of [1]_: s and z are found inside as
    well, as often in one language as in another. So a linear model of n-grams tells two groups
    of two languages apart, and what remembers the first letter tells all four.

    Parameters
    ----------
    n_samples : int, default=100
        The number of words.

    length : int, default=8
        The number of syllables of a word, or the largest if `min_length` is given. At least
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
    lengths, starts = _layout(rng, n_samples, length, min_length, shortest=2)
    alternate, differ, back, first = rng.randint(2, size=(4, n_samples))
    syllable = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    place = (np.repeat(back, lengths) + np.repeat(alternate, lengths) * syllable) % 2
    vowels = VOWELS[place, rng.randint(3, size=len(place))]
    consonants = rng.choice(CONSONANTS, size=len(place))
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
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Generate the parity problem (classification into 2 classes).

    A step is a bit, 0 or 1 with equal chances; the class is whether the ones are even or
    odd in number. One bit of memory is enough, yet flipping any step flips the answer.
    With `per_step` there is a class at every step, that of the sequence so far.

    Parameters
    ----------
    n_samples : int, default=100
        The number of sequences.

    length : int, default=20
        The number of steps of a sequence, or the largest if `min_length` is given. At
        least 1.

    min_length : int or None, default=None
        If given, lengths are uniform in [`min_length`, `length`]. At least 1.

    per_step : bool, default=False
        Whether there is a class for every step, or for the whole sequence alone.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length, 1), or (n_samples,) of object
        The sequences: one block if `min_length` is None, else an array each, of shape
        (n_steps, 1).

    y : ndarray of shape (n_samples,), dtype int
        0 for an even number of ones, 1 for an odd one. With `per_step`, of shape
        (n_samples, length), or (n_samples,) of object: an array each, of shape (n_steps,).

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
    lengths, starts = _layout(rng, n_samples, length, min_length, shortest=1)
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
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Generate the delayed recall problem (classification into `n_symbols` classes).

    A step is a symbol, coded one-hot and drawn uniformly. The class is the first symbol;
    those after it are noise, and of the same alphabet, so that a network has to know that
    it must not listen any longer. The task is a plain relative of Experiment 2 of [1]_.

    Parameters
    ----------
    n_samples : int, default=100
        The number of sequences.

    length : int, default=20
        The number of steps of a sequence, or the largest if `min_length` is given. At
        least 1, which leaves nothing to recall.

    min_length : int or None, default=None
        If given, lengths are uniform in [`min_length`, `length`]. At least 1.

    n_symbols : int, default=4
        The size of the alphabet. At least 2.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, length, n_symbols), or (n_samples,) of object
        The sequences: one block if `min_length` is None, else an array each, of shape
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
    lengths, starts = _layout(rng, n_samples, length, min_length, shortest=1)
    symbols = rng.randint(n_symbols, size=lengths.sum())
    return _sequences(np.eye(n_symbols)[symbols], starts, min_length), symbols[starts]


def make_copy(
    n_samples: int = 100,
    *,
    delay: int = 20,
    min_delay: int | None = None,
    n_copied: int = 5,
    n_symbols: int = 8,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Generate the copy problem (classification of every step into `n_symbols` + 1 classes).

    A word of `n_copied` symbols, `delay` steps that are blank but for the last, a marker, and
    `n_copied` further blanks. In these last steps the classes are the symbols of the word, one
    after the other; at all steps before, the class is "blank".

    The task is that of [1]_, with words of 10 symbols there, and goes back to [2]_. Who always
    says "blank" is right at all but the last `n_copied` steps: judge by these.

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
        The number of symbols of a word. At least 1.

    n_symbols : int, default=8
        The size of the alphabet. At least 2.

    random_state : int, RandomState instance or None, default=None
        Determines the sequences. Pass an int for the same output on every call.

    Returns
    -------
    X : ndarray of shape (n_samples, delay + 2 n_copied, n_symbols + 2), or (n_samples,) of object
        The sequences, steps coded one-hot: one block if `min_delay` is None, else an array
        each, of shape (n_steps, n_symbols + 2). The last two columns are blank and marker.

    y : ndarray of shape (n_samples, delay + 2 n_copied), dtype int, or (n_samples,) of object
        The class of every step: the column of a symbol, or `n_symbols` for blank. One block if
        `min_delay` is None, else an array each, of shape (n_steps,).

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
    word, place = rng.randint(n_symbols, size=(n_samples, n_copied)), np.arange(n_copied)
    shown, asked = np.full((2, ends[-1]), n_symbols)
    shown[starts[:, None] + place] = word
    shown[copies - 1] = n_symbols + 1
    asked[copies[:, None] + place] = word
    X = _sequences(np.eye(n_symbols + 2)[shown], starts, min_delay)
    return X, _sequences(asked, starts, min_delay)
