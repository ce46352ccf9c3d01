"""The stored vowels are those of the source, in its order and its split."""

from importlib.resources import files

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.datasets import load_japanese_vowels

# Sums of each coefficient over all steps of a part, computed from the text of the source.
SUMS = {
    "train": "3714.556909 -2369.939149 1051.870250 -1142.413528 935.906118 -899.840437"
    " -743.954416 -220.987292 -875.876432 -774.422520 -100.830342 368.478536",
    "test": "4292.591468 -2896.597517 1238.767749 -1734.069895 1313.607516 -1392.299980"
    " -887.276347 -240.227143 -1201.907366 -1025.201560 -139.236838 525.336483",
}
SPEAKERS = {"train": [30] * 9, "test": [31, 35, 88, 44, 29, 24, 40, 50, 29]}
# Utterances, steps, shortest, longest.
SIZES = {None: (640, 9961, 7, 29), "train": (270, 4274, 7, 26), "test": (370, 5687, 7, 29)}


@pytest.mark.parametrize("split", SIZES)
def test_sizes(split):
    X, _ = load_japanese_vowels(return_X_y=True, split=split)
    lengths = [len(x) for x in X]
    assert (len(X), sum(lengths), min(lengths), max(lengths)) == SIZES[split]


def test_types():
    X, y = load_japanese_vowels(return_X_y=True)
    assert (X.dtype, X.ndim) == (object, 1)
    assert (y.dtype, y.shape) == (np.int64, X.shape)
    assert all(x.dtype == np.float64 and x.shape[1:] == (12,) for x in X)


@pytest.mark.parametrize("split", SPEAKERS)
def test_speakers_are_in_blocks_as_in_the_source(split):
    _, y = load_japanese_vowels(return_X_y=True, split=split)
    assert_array_equal(y, np.repeat(np.arange(1, 10), SPEAKERS[split]))


@pytest.mark.parametrize("split", SUMS)
def test_sums_agree_with_the_source(split):
    X, _ = load_japanese_vowels(return_X_y=True, split=split)
    assert_allclose(np.concatenate(X).sum(axis=0), np.fromstring(SUMS[split], sep=" "), atol=1e-6)


def test_values_are_exactly_those_of_the_source():
    X, _ = load_japanese_vowels(return_X_y=True)
    # fmt: off
    assert X[0][0].tolist() == [
        1.860936, -0.207383, 0.261557, -0.214562, -0.171253, -0.118167,
        -0.277557, 0.025668, 0.126701, -0.306756, -0.213076, 0.088728,
    ]
    assert X[269][-1].tolist() == [
        0.966744, -0.323093, 0.305467, -0.419457, 0.514195, -0.31106,
        -0.033985, 0.154038, -0.389686, -0.089183, 0.16625, 0.173642,
    ]
    assert X[270][0].tolist() == [
        1.635533, 0.024848, 0.432087, -0.361914, -0.074776, -0.693481,
        -0.229621, 0.261503, -0.089421, -0.020431, -0.008612, 0.139754,
    ]
    assert X[639][-1].tolist() == [
        1.177449, -0.40408, 0.052026, -0.284812, 0.42984, -0.203484,
        -0.072393, -0.080955, -0.244424, -0.001849, -0.016634, 0.224688,
    ]
    # fmt: on


def test_every_value_has_six_decimals():
    X, _ = load_japanese_vowels(return_X_y=True)
    assert all(value == float(f"{value:.6f}") for value in np.concatenate(X).ravel().tolist())


def test_parts_make_up_the_whole():
    X, y = load_japanese_vowels(return_X_y=True)
    parts = [load_japanese_vowels(return_X_y=True, split=split) for split in ("train", "test")]
    assert_array_equal(y, np.concatenate([part[1] for part in parts]))
    for x, part in zip(X, np.concatenate([part[0] for part in parts]), strict=True):
        assert_array_equal(x, part)


def test_bunch_holds_the_pair_and_names_it():
    bunch = load_japanese_vowels(split="test")
    X, y = load_japanese_vowels(return_X_y=True, split="test")
    assert_array_equal(np.concatenate(bunch.data), np.concatenate(X))
    assert_array_equal(bunch.target, y)
    assert bunch.n_train == 270
    assert bunch.feature_names == [f"lpc_{k + 1}" for k in range(12)]
    assert bunch.target_names == [f"speaker_{k}" for k in np.unique(y)]


@pytest.mark.parametrize(
    "claim",
    [
        "Kudo",
        "Toyama",
        "Shimbo",
        "passing-through regions",
        "20(11-13), 1103-1111",
        "10.24432/C5NS47",
        "CC BY 4.0",
    ],
)
def test_description_cites_the_source(claim):
    assert claim in load_japanese_vowels().DESCR


def test_loads_do_not_share_memory():
    first, _ = load_japanese_vowels(return_X_y=True)
    first[0][:] = 0
    second, _ = load_japanese_vowels(return_X_y=True)
    assert second[0][0, 0] == 1.860936


@pytest.mark.parametrize("split", ["valid", "", 0, ["train"]])
def test_unknown_split_is_refused(split):
    with pytest.raises(ValueError, match="split must be None, 'train' or 'test'"):
        load_japanese_vowels(split=split)


def test_file_is_small():
    path = files("skrnn.datasets") / "data" / "japanese_vowels.npz"
    assert len(path.read_bytes()) < 600_000
