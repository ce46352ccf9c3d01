"""StepImputer: values for what is missing inside sequences."""

from collections.abc import Callable
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from skrnn._compat import Interval, StrOptions
from skrnn._data.sequences import Sequences
from skrnn._typing import Booleans, Integers, Rows
from skrnn.preprocessing._base import SequenceTransformer, without_padding


class StepImputer(SequenceTransformer):
    """Impute missing values inside sequences.

    The estimators refuse a step that is partly NaN. This transformer imputes it, by default with
    the last value of the feature in the same sequence, and can append which values were imputed: a
    mask, and the number of steps since the feature was last observed [1]_. No value comes from a
    later step, so a prefix is imputed as the whole sequence is, unless `leading="bfill"`.

    The output is in the container of X, as with `StepTransformer`.

    Parameters
    ----------
    strategy : {"ffill", "mean", "median", "constant"}, default="ffill"
        "ffill" repeats the last observed value of the feature in the sequence. "mean" and "median"
        are those of the feature over all sequences of the fit; "constant" is `fill_value`.
    leading : {"mean", "median", "constant", "bfill"}, default="mean"
        With `strategy="ffill"`, what to impute before the first observed value: "mean", "median" or
        `fill_value` ("constant") as in `strategy`, or the first observed value itself ("bfill"),
        which looks ahead. With "bfill", a feature that a sequence never observes gets the mean.
    fill_value : float, default=0.0
        What "constant" imputes, in `strategy` and in `leading`; also the value of a feature that
        was never observed at fit.
    absent : {"keep", "impute", "impute_end"}, default="keep"
        What to do with a step whose features are all NaN. "keep" leaves it to the estimators, which
        skip it; with one feature per step, every missing value is such a step, so nothing is
        imputed. "impute" imputes it if it lies between steps that are present; absent steps at the
        ends stay NaN, since they may be padding. "impute_end" also imputes those after the last
        step that is present, for sequences that are not padded there and must not end early:
        windows and forecasts. Absent steps before the first one that is present always stay NaN.
    add_indicator : bool, default=False
        Append to every step, for each feature, whether it was missing (1.0) or observed (0.0).
    add_time_since : bool, default=False
        Append to every step, for each feature, the number of steps since it was last observed
        before this step, or since the start of the sequence.
    features_per_step : int or None, default=None
        Features D per step where X is a table of two dimensions: its rows are then p / D steps of D
        features, time-major (`X3.reshape(n, T * D)`). None is 1. Sequences know their D.

    Attributes
    ----------
    statistics_ : ndarray of shape (D,)
        What is imputed where no value of the sequence can be.
    n_features_in_ : int
        Columns p of a table; features D per step for sequences.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Names of the columns, where X is a frame or holds frames, and they are all strings.

    See Also
    --------
    StepTransformer : With `SimpleImputer` or `KNNImputer`, imputes each step on its own.
    sklearn.impute.SimpleImputer : The same for tables.

    Notes
    -----
    The appended features are those of all D features, missing at fit or not, so that their number
    does not depend on the data; they follow the values, the mask first. The steps since the last
    observation are 0 at the first step; an observation at the previous step makes them 1, and each
    step without one adds 1. Absent steps count, padding does not.

    References
    ----------
    .. [1] Che, Purushotham, Cho, Sontag & Liu (2018), "Recurrent neural networks for multivariate
       time series with missing values", Scientific Reports 8.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.preprocessing import StepImputer
    >>> X = [np.array([[1.0, np.nan], [np.nan, 5.0], [np.nan, 6.0]]), np.array([[3.0, 7.0]])]
    >>> imputer = StepImputer(add_indicator=True, add_time_since=True)
    >>> imputer.fit_transform(X)[0]
    array([[1., 6., 0., 1., 0., 0.],
           [1., 5., 1., 0., 1., 1.],
           [1., 6., 1., 0., 2., 1.]])
    >>> imputer.get_feature_names_out(["a", "b"]).tolist()
    ['a', 'b', 'missingindicator_a', 'missingindicator_b', 'timesince_a', 'timesince_b']
    """

    _parameter_constraints: dict[str, Any] = {
        **SequenceTransformer._parameter_constraints,
        "strategy": [StrOptions({"ffill", "mean", "median", "constant"})],
        "leading": [StrOptions({"bfill", "mean", "median", "constant"})],
        "fill_value": [Interval(Real, None, None, closed="neither")],
        "absent": [StrOptions({"keep", "impute", "impute_end"})],
        "add_indicator": ["boolean"],
        "add_time_since": ["boolean"],
    }

    statistics_: NDArray[np.float64]

    def __init__(
        self,
        strategy: Literal["ffill", "mean", "median", "constant"] = "ffill",
        *,
        leading: Literal["mean", "median", "constant", "bfill"] = "mean",
        fill_value: float = 0.0,
        absent: Literal["keep", "impute", "impute_end"] = "keep",
        add_indicator: bool = False,
        add_time_since: bool = False,
        features_per_step: int | None = None,
    ):
        self.strategy = strategy
        self.leading = leading
        self.fill_value = fill_value
        self.absent = absent
        self.add_indicator = add_indicator
        self.add_time_since = add_time_since
        self.features_per_step = features_per_step

    def _learn(self, steps: Rows, lengths: Integers) -> dict[str, Any]:
        strategy = self.leading if self.strategy == "ffill" else self.strategy
        statistics = np.full(steps.shape[1], self.fill_value, dtype=np.float64)
        if strategy != "constant":
            missing = np.isnan(steps)
            known = ~missing.all(axis=0)
            observed = steps[~missing.all(axis=1)][:, known].astype(np.float64)
            statistics[known] = STATISTICS[strategy](observed, axis=0)
        return {"statistics_": statistics}

    def _transform_steps(self, steps: Rows, lengths: Integers) -> tuple[Rows, Integers]:
        missing, sequences = np.isnan(steps), without_padding(steps, lengths)
        parts = [self._fill(steps, lengths)]
        if self.add_indicator:
            parts.append(missing)
        if self.add_time_since:
            parts.append(_time_since(missing, np.repeat(sequences.starts, lengths)))
        imputed = np.concatenate(parts, axis=1, dtype=steps.dtype)
        absent = np.logical_and.reduce(missing, axis=1)
        if self.absent == "impute_end":
            sequences = _to_the_end(sequences, lengths)
        if self.absent != "keep":
            absent[sequences.rows()] = False
        imputed[absent] = np.nan
        return imputed, lengths

    def _fill(self, steps: Rows, lengths: Integers) -> Rows:
        if self.strategy == "ffill":
            steps = _fill_forward(steps, lengths)
            if self.leading == "bfill":  # the only gaps left are leading ones
                steps = _fill_forward(steps[::-1], lengths[::-1])[::-1]
        return np.where(np.isnan(steps), self.statistics_, steps)

    def _names_of_outputs(self, names: NDArray[np.object_]) -> list[str]:
        prefixes = {"missingindicator_": self.add_indicator, "timesince_": self.add_time_since}
        added = [prefix for prefix, wanted in prefixes.items() if wanted]
        return [prefix + name for prefix in ["", *added] for name in names]


def _to_the_end(sequences: Sequences, lengths: Integers) -> Sequences:
    """Sequences with the absent steps at their ends, up to lengths; empty ones stay empty."""
    starts, ends = sequences.starts, np.cumsum(lengths)
    whole = np.where(sequences.lengths > 0, ends - starts, 0)
    return Sequences(sequences.values, starts, whole)


def _fill_forward(steps: Rows, lengths: Integers) -> Rows:
    """Steps whose gaps repeat the last observed value before them in the sequence, if any."""
    starts = np.repeat(Sequences.stacked(steps, lengths).starts, lengths)
    observed = _last_observed(np.isnan(steps))
    filled = np.take_along_axis(steps, np.maximum(observed, 0), axis=0)
    return np.where(observed >= starts[:, None], filled, np.nan)


def _time_since(missing: Booleans, starts: Integers) -> Integers:
    """Steps since the last observation before each step, or since the start of the sequence."""
    before = np.roll(_last_observed(missing), 1, axis=0)
    before[:1] = 0
    return np.arange(len(missing))[:, None] - np.maximum(before, starts[:, None])


def _last_observed(missing: Booleans) -> Integers:
    """For each value the row of the last one up to it that is not missing; -1 if there is none."""
    rows = np.arange(len(missing))[:, None]
    return np.maximum.accumulate(np.where(missing, -1, rows), axis=0)


STATISTICS: dict[str, Callable[..., Any]] = {
    "mean": np.nanmean,
    "median": np.nanmedian,
    "bfill": np.nanmean,
}
