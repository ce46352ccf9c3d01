"""Real data sets, none downloaded: from skrnn, scikit-learn and the wheel of aeon."""

from dataclasses import dataclass
from pathlib import Path

import aeon.datasets
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skrnn import as_sequences
from skrnn.datasets import load_japanese_vowels
from skrnn.preprocessing import StepTransformer

AEON = Path(aeon.datasets.__file__).parent / "data"


@dataclass
class Data:
    """Sequences (T_i, D) and targets, split into a training and a test set."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    def standardized(self):
        """Return data in float32, steps standardised by the training set; so are numbers as y."""
        scaler = StepTransformer(StandardScaler()).fit(as_sequences(self.X))
        X, X_test = (
            as_sequences([x.astype(np.float32) for x in scaler.transform(as_sequences(X))])
            for X in (self.X, self.X_test)
        )
        y, y_test = self.y, self.y_test
        if self.is_regression:
            mean, scale = y.mean(), y.std()
            y, y_test = (y - mean) / scale, (y_test - mean) / scale
        return Data(X, y, X_test, y_test)

    @property
    def is_regression(self):
        return self.y.dtype.kind == "f"

    @property
    def longest(self):
        """Return the number of steps of the longest sequence of both sets."""
        return max(len(x) for part in (self.X, self.X_test) for x in part)

    @property
    def shape(self):
        """Return training and test sequences, steps, features, classes or kind of target."""
        lengths = {len(x) for part in (self.X, self.X_test) for x in part}
        steps = " to ".join(map(str, sorted({min(lengths), max(lengths)})))
        kind = "a number" if self.is_regression else len(np.unique(self.y))
        return len(self.X), len(self.X_test), steps, self.X[0].shape[1], kind

    def halves(self):
        """Return test samples to choose defaults by, and held-out test samples.

        Stratified by class; for regression, whose windows may overlap, first and second half.
        """
        rows = np.arange(len(self.y_test))
        if self.is_regression:
            return np.array_split(rows, 2)
        return train_test_split(rows, test_size=0.5, stratify=self.y_test, random_state=0)


def load(name):
    """Load a data set, standardised."""
    return SETS[name]().standardized()


# Loading data as they are ---------------------------------------------------------------------


def vowels():
    parts = (load_japanese_vowels(return_X_y=True, split=split) for split in ("train", "test"))
    return Data(*(array for part in parts for array in part))


def digits(steps):
    """Load the digits, a third for training, as `steps` rows of pixels or pixel by pixel."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        X.reshape(len(X), steps, -1), y, train_size=600, stratify=y, random_state=0
    )
    return Data(X, y, X_test, y_test)


def archive(name):
    """Load a data set of the UCR, UEA or TSER archive with its official split."""
    arrays = []
    for part in ("TRAIN", "TEST"):
        X, y = aeon.datasets.load_from_ts_file(str(AEON / name / f"{name}_{part}.ts"))
        arrays += [[x.T for x in X], y]
    return Data(*arrays)


def windows(series, length, ahead):
    """Return windows of `length` steps, and the value `ahead` steps after the end of each."""
    starts = range(len(series) - length - ahead + 1)
    X = np.stack([series[i : i + length, None] for i in starts])
    return X, series[length + ahead - 1 :]


def pressure():
    """Load blood pressure, ten steps ahead: a record, then 400 windows of a later part of it."""
    folder = AEON / "KDD-TSAD_135"
    series = [
        np.loadtxt(folder / f"135_UCR_Anomaly_InternalBleeding16_{part}.csv", **CSV, usecols=1)
        for part in ("TRAIN", "TEST")
    ]
    X, y = windows(series[0], 50, 10)
    X_test, y_test = windows(series[1], 50, 10)
    return Data(X[::2], y[::2], X_test[:400], y_test[:400])


def solar():
    """Load solar generation: the next half-hour from half a day before; three days, then three."""
    X, y = windows(np.loadtxt(AEON / "solar" / "solar.csv", **CSV, usecols=1), 24, 1)
    half = len(y) // 2
    return Data(X[:half], y[:half], X[half:], y[half:])


CSV = {"delimiter": ",", "skiprows": 1}
ARCHIVE = (
    "ItalyPowerDemand",
    "GunPoint",
    "ArrowHead",
    "OSULeaf",
    "ACSF1",
    "BasicMotions",
    "PickupGestureWiimoteZ",
    "Covid3Month_disc",
    "CardanoSentiment",
    "Covid3Month",
)
SETS = {
    "JapaneseVowels": vowels,
    "digits, 8 steps": lambda: digits(8),
    "digits, 64 steps": lambda: digits(64),
    **{name: lambda name=name: archive(name) for name in ARCHIVE},
    "BloodPressure": pressure,
    "Solar": solar,
}
