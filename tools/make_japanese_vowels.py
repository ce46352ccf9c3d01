"""Write skrnn's copy of the Japanese vowels from the .ts files of the aeon package.

Run from the root of the repository:

    pip download --no-deps aeon
    python tools/make_japanese_vowels.py PATH

where PATH is the wheel or a folder that holds the two .ts files.
"""

import sys
import zipfile
from pathlib import Path

import numpy as np

IN_WHEEL = "aeon/datasets/data/JapaneseVowels/"
TARGET = Path("skrnn/datasets/data/japanese_vowels.npz")


def read_utterances(text):
    """Yield the (n_steps, 12) frames and the speaker of each line of data.

    A line is twelve channels and the speaker, divided by ':'; a channel is its values in
    order of time, divided by ','.
    """
    lines = text.partition("@data")[2].split()
    for line in lines:
        *channels, speaker = line.split(":")
        yield np.array([channel.split(",") for channel in channels], dtype=float).T, int(speaker)


def to_millionths(frames):
    """Return six-decimal numbers as integers that divide back to the very same floats."""
    millionths = np.rint(frames * 1e6).astype(np.int32)
    if not np.array_equal(millionths / 1e6, frames):
        raise ValueError("The source holds values of more than six decimals.")
    return millionths


def main(path):
    """Convert both parts, training part first."""
    folder = zipfile.Path(path, IN_WHEEL) if path.is_file() else path
    sources = [folder / f"JapaneseVowels_{part}.ts" for part in ("TRAIN", "TEST")]
    pairs = [p for source in sources for p in read_utterances(source.read_text(encoding="utf-8"))]
    utterances, speakers = zip(*pairs, strict=True)
    np.savez_compressed(
        TARGET,
        millionths=to_millionths(np.concatenate(utterances)),
        lengths=np.array([len(frames) for frames in utterances], dtype=np.uint8),
        speakers=np.array(speakers, dtype=np.uint8),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
