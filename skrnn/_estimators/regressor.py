"""RNNRegressor: the units of targets, and forecasts."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_scalar, column_or_1d

from skrnn._compat import Interval, StrOptions, fit_context
from skrnn._data.validation import check_target, unavailable_with_lbfgs
from skrnn._estimators.base import CALM, BaseRNN, calculating, set_parameters
from skrnn._estimators.parameters import document
from skrnn._nn.losses import LOSSES, REGRESSION_LOSSES
from skrnn._nn.network import make_network


@document
class RNNRegressor(MultiOutputMixin, RegressorMixin, BaseRNN):
    """Recurrent neural network regressor.

    {summary}

    Targets are standardised inside, each output by its weighted mean and standard deviation over
    the training set, so that predictions follow any shift and positive scaling of y; with
    loss="poisson" they are divided by their mean, and predictions follow positive scaling.

    Parameters
    ----------
    {parameters}
    loss : str, default="squared_error"
        What is made small. Predictions tend to the mean of the target with "squared_error", to its
        median with "absolute_error", and between them with "huber" (Huber 1964), which turns from
        squared to linear at 1.35 standard deviations of the target. "poisson" is for targets >= 0
        such as counts, and predicts a mean > 0, the exponential of the output. "quantile" predicts
        quantiles (Koenker & Bassett 1978). Whatever the loss, `score` and early stopping go by R^2.
    quantile : float or array-like of float, default=0.5
        With loss="quantile", the quantile to predict, in (0, 1). Several quantiles of a y of one
        output are predicted at once, (n, Q), a column each in the order given; they are sorted, so
        that they never cross: a greater quantile is never predicted less. `score` and early
        stopping then take the middle one, of two in the middle the lesser.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    RNNClassifier : The same net for classes.
    skrnn.preprocessing.StepTransformer : Scales the steps of sequences.

    References
    ----------
    {references}

    Examples
    --------
    >>> from skrnn import RNNRegressor
    >>> from skrnn.datasets import make_adding_problem
    >>> X, y = make_adding_problem(400, length=4, random_state=0)
    >>> reg = RNNRegressor(random_state=0).fit(X[:300], y[:300])
    >>> bool(reg.score(X[300:], y[300:]) > 0.99)
    True
    """

    _parameter_constraints: dict = {
        **BaseRNN._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
    }

    def __init__(
        self,
        cell: str = "gru",
        *,
        hidden_layer_sizes: int | Sequence[int] = (64,),
        bidirectional: bool = False,
        readout: str = "last",
        initial_state: str = "zeros",
        dropout: float = 0.0,
        categorical_features: ArrayLike | None = None,
        embedding_dim: int | Sequence[int] = 16,
        features_per_step: int | None = None,
        loss: str = "squared_error",
        quantile: float | Sequence[float] = 0.5,
        alpha: float = 0.0001,
        solver: str = "adam",
        learning_rate_init: float = 0.005,
        learning_rate: str = "constant",
        power_t: float = 0.5,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        max_grad_norm: float | None = 1.0,
        bptt_steps: int | None = None,
        shuffle: bool = True,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        tol: float = 1e-4,
        n_iter_no_change: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ):
        set_parameters(self, locals())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    @unavailable_with_lbfgs
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Go on learning for one epoch over X and y.

        Shift and scale of the targets are those of the first call.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self
            The fitted estimator.
        """
        return self._partial_fit(X, y, sample_weight)

    def _read_target(self, y):
        y = check_target(y, dtype=np.float64)
        is_column = y.ndim == 2 and y.shape[1] == 1 and self.readout != "step"
        return column_or_1d(y, warn=True) if is_column else y

    def _encode(self, y, goes_on, classes):
        """Targets as columns; sets the loss and n_outputs_."""
        if not goes_on:
            self._y_is_flat = y.ndim == 1
        y = y.reshape(len(y), -1)
        self._set_loss(goes_on)
        loss, n_columns = self._loss_function(), y.shape[1]
        if n_columns > 1 and loss.outputs_per_target > 1:
            raise ValueError(
                f"Several quantiles, quantile={self.quantile!r}, are for a y of one output, but y "
                f"has {n_columns} outputs: ask for one quantile, or fit one regressor an output."
            )
        n_outputs = n_columns * loss.outputs_per_target
        if goes_on and n_outputs != self.n_outputs_:
            expected = self.n_outputs_ // loss.outputs_per_target
            raise ValueError(f"y has {n_columns} outputs, expected {expected} as at first.")
        if (y < loss.lower).any():
            raise ValueError(
                f'loss="{self.loss}" needs targets y >= {loss.lower:g}, but y holds the negative '
                f"{y.min():g}."
            )
        self.n_outputs_ = n_outputs
        return y

    def _set_loss(self, goes_on):
        loss = LOSSES[self.loss]
        loss = loss(**{name: getattr(self, name) for name in loss.settings})
        settings = {name: getattr(loss, name) for name in loss.settings}
        if goes_on and (self.loss, settings) != (self._loss, self._loss_settings):
            raise ValueError(
                f"Cannot go on: the net was fitted with loss={self._loss!r} {self._loss_settings} "
                f"and is now asked for loss={self.loss!r} {settings}. Fit without warm_start, or "
                "leave loss and quantile as they were."
            )
        self._loss, self._loss_settings = self.loss, settings

    def _strata(self, targets):
        return None

    def _prepare(self, rows, bias):
        """Targets in the units of the loss, those of the first fit; weights to mean 1."""
        loss, dtype = self._loss_function(), np.dtype(self._design.dtype)
        rows = rows._replace(weight=rows.weight / rows.heard()[1].mean())
        if bias is not None:
            self._shift, self._scale = loss.units(*rows.heard())
        if np.abs(rows.targets).max() > np.finfo(dtype).max:
            raise ValueError(
                f"The targets y are too large for {dtype}, the dtype of X: scale them."
            )
        rows = rows._replace(targets=(rows.targets - self._shift) / self._scale)
        if bias is not None:
            bias[:] = loss.start(*rows.heard())
        return rows._replace(targets=rows.targets.astype(dtype), weight=rows.weight.astype(dtype))

    def _predictions(self, raw):
        """Raw outputs (n, n_outputs_) in the units of y; beyond its dtype, the largest number."""
        limits = np.finfo(raw.dtype)
        with np.errstate(over="ignore"):
            y = self._loss_function().inverse_link(raw) * self._scale + self._shift
        return y.clip(limits.min, limits.max).astype(raw.dtype)

    def _score_raw(self, y, raw, weight):
        scored = self._loss_function().scored(self._predictions(raw))
        return r2_score(y, scored, sample_weight=weight)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs), like y; (n, Q) for Q quantiles
        """
        return self._predict(X, self._of_step)

    def _of_step(self, raw):
        y = self._predictions(raw)
        return y[:, 0] if self._y_is_flat and self.n_outputs_ == 1 else y

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """R^2 of the predictions, whatever the loss; of several quantiles, of the middle one.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. With `readout="step"` all steps count that are there.

        Returns
        -------
        float
        """
        return self._score(X, y, sample_weight)

    _score_targets = _score_raw

    def forecast(self, X: Any, n_steps: int) -> np.ndarray:
        """Go on from the end of sequences by feeding predictions back as inputs.

        For a regressor that predicts its own next input: fitted with `readout="step"` to
        `[s[:-1] for s in S]` and `[s[1:] for s in S]`, or with another readout to the value that
        follows each sequence.

        Parameters
        ----------
        X : as in `fit`
            What is known so far.
        n_steps : int
            Steps to predict, at least 1.

        Returns
        -------
        ndarray of shape (n, n_steps) or (n, n_steps, D)
            The next steps of every sequence; without the last axis if y had none.

        Raises
        ------
        ValueError
            If outputs cannot be inputs: their number is not D, or inputs are categories; or if the
            net is bidirectional.
        """
        check_scalar(n_steps, "n_steps", Integral, min_val=1)
        stream, given = self._stream("forecast"), self._read_to_predict(X)
        D = self._design.n_in
        several = self._loss_function().outputs_per_target > 1
        if self.n_outputs_ != D or self._categorical or several:
            raise ValueError(
                f"forecast feeds outputs back as inputs, but {type(self).__name__} was fitted on "
                f"{D} features a step, {len(self._categorical)} of them categories, and "
                f"{self.n_outputs_} outputs{' that are quantiles of one' * several}. Fit it to "
                "predict the step that comes next: all features, and nothing else."
            )
        future = []
        with calculating():
            standing = make_network(self._design).after(self._theta, given.sequences)
            for _ in range(n_steps):
                future.append(self._of_step(stream.read_out(standing)))
                standing = stream.step(future[-1].reshape(-1, D).T, standing)
        future = np.stack(future, axis=1)
        bounded = np.abs(future) < np.finfo(future.dtype).max
        if not bounded.all():
            i = np.nonzero(~bounded)[0][0]
            raise ValueError(
                f"The forecast of sequence {i} grows beyond all bounds. Forecast fewer steps, or "
                f"fit again. {CALM}"
            )
        return future
