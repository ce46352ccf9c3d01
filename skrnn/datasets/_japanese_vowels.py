"""The Japanese vowels of Kudo, Toyama and Shimbo, to be classified by speaker."""

from importlib.resources import files
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

N_TRAIN = 270
SPLITS = {None: slice(None), "train": slice(N_TRAIN), "test": slice(N_TRAIN, None)}

Split: TypeAlias = Literal["train", "test"] | None
Utterances: TypeAlias = NDArray[np.object_]  # (n,) of float64 arrays (T_i, 12)
Speakers: TypeAlias = NDArray[np.int64]  # (n,)


def _read(split: Split) -> tuple[Utterances, Speakers, str]:
    """Read the utterances, their speakers and the description of the data set."""
    folder = files("skrnn.datasets") / "data"
    with (folder / "japanese_vowels.npz").open("rb") as stream, np.load(stream) as stored:
        steps = stored["millionths"] / 1e6
        lengths = stored["lengths"].astype(np.int64)
        speakers = stored["speakers"].astype(np.int64)
    utterances = np.fromiter(np.split(steps, lengths.cumsum()[:-1]), object, len(lengths))
    description = (folder / "README.md").read_text(encoding="utf-8")
    return utterances[SPLITS[split]], speakers[SPLITS[split]], description


@overload
def load_japanese_vowels(
    *, return_X_y: Literal[True], split: Split = None
) -> tuple[Utterances, Speakers]: ...


@overload
def load_japanese_vowels(*, return_X_y: Literal[False] = False, split: Split = None) -> Bunch: ...


def load_japanese_vowels(*, return_X_y: bool = False, split: Split = None) -> Any:
    """Load the Japanese vowels data set (classification of sequences).

    Nine male speakers said the vowels /ae/, 640 times in all [1]_. An utterance is a
    sequence of 7 to 29 steps of 12 LPC cepstrum coefficients; the task is to identify the
    speaker. The split is that of the authors, into 270 utterances for training and 370 for
    testing [2]_.

    ==================   =====================
    Sequences            640
    Steps per sequence   7 to 29
    Features per step    12, real
    Classes              9
    Training, test       270, 370
    ==================   =====================

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    split : {"train", "test"} or None, default=None
        The part to load. None loads all utterances, the training part first.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (n_utterances,), dtype object
            The utterances, each a float64 array of shape (n_steps, 12).
        target : ndarray of shape (n_utterances,), dtype int64
            The speaker of each utterance, 1 to 9.
        feature_names : list of 12 str
            ``"lpc_1"`` to ``"lpc_12"``.
        target_names : list of 9 str
            ``"speaker_1"`` to ``"speaker_9"``; target `k` is name `k - 1`.
        n_train : int
            The size of the training part, 270, whatever `split` is.
        DESCR : str
            Description, licence and citation of the data set.

    (data, target) : tuple of two ndarrays, if ``return_X_y=True``
        As described above.

    References
    ----------
    .. [1] M. Kudo, J. Toyama and M. Shimbo (1999). "Multidimensional curve classification
       using passing-through regions". Pattern Recognition Letters 20(11-13), 1103-1111.
    .. [2] M. Kudo, J. Toyama and M. Shimbo. "Japanese Vowels". UCI Machine Learning
       Repository. https://doi.org/10.24432/C5NS47. Licence: CC BY 4.0.

    Examples
    --------
    >>> from skrnn.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(return_X_y=True, split="train")
    >>> X.shape, y.shape
    ((270,), (270,))
    >>> X[0].shape, int(y[0])
    ((20, 12), 1)
    """
    if split not in tuple(SPLITS):
        raise ValueError(f"split must be None, 'train' or 'test', got {split!r}.")
    data, target, description = _read(split)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        feature_names=[f"lpc_{i}" for i in range(1, 13)],
        target_names=[f"speaker_{k}" for k in range(1, 10)],
        n_train=N_TRAIN,
        DESCR=description,
    )
