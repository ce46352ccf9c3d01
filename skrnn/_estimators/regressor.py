"""RNNRegressor: the units of targets, and forecasts."""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import MultiOutputMixin, RegressorMixin

from skrnn._compat import Interval, StrOptions, fit_context
from skrnn._data.inputs import Inputs, ParsedInput
from skrnn._data.validation import check_count
from skrnn._estimators.base import BaseRNN
from skrnn._estimators.parameters import document, named, set_parameters, unavailable_with_lbfgs
from skrnn._estimators.targets import RealTargets
from skrnn._estimators.training import CALM
from skrnn._nn.losses import REGRESSION_LOSSES
from skrnn._parallel.host import computing, interrupts, quiet
from skrnn._typing import (
    CellName,
    Floats,
    InitialState,
    LossName,
    ReadoutName,
    Rows,
    ScheduleName,
    SolverName,
)


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
        The loss to minimise. Predictions tend to the mean of the target with "squared_error", to
        its median with "absolute_error", and between them with "huber" (Huber 1964), which turns
        from squared to linear at 1.35 standard deviations of the target. "poisson" is for targets
        >= 0 such as counts, and predicts a mean > 0, the exponential of the output. "quantile"
        predicts quantiles (Koenker & Bassett 1978). Whatever the loss, `score` and early stopping
        go by R^2.
    quantile : float or array-like of float, default=0.5
        With loss="quantile", the quantile to predict, in (0, 1). Several quantiles of a y of one
        output are predicted at once, (n, Q), one column each in the order given; they are sorted,
        so that they never cross: a greater quantile is never predicted less. `score` and early
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
        "loss": [StrOptions(REGRESSION_LOSSES.keys())],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
    }

    @named
    def __init__(
        self,
        cell: CellName = "gru",
        *,
        hidden_layer_sizes: int | Sequence[int] = (64,),
        bidirectional: bool = False,
        readout: ReadoutName = "last",
        initial_state: InitialState = "zeros",
        dropout: float = 0.0,
        categorical_features: ArrayLike | None = None,
        embedding_dim: int | Sequence[int] = 16,
        features_per_step: int | None = None,
        standardize: bool = True,
        loss: LossName = "squared_error",
        quantile: float | Sequence[float] = 0.5,
        alpha: float = 0.0001,
        solver: SolverName = "adam",
        learning_rate_init: float = 0.005,
        learning_rate: ScheduleName = "constant",
        power_t: float = 0.5,
        batch_size: int | Literal["auto"] = "auto",
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
        n_iter_no_change: float = 20,
        early_stopping: bool | Literal["auto"] = False,
        scoring: str | Callable[..., float] | None = "loss",
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ):
        set_parameters(self, locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = REGRESSION_LOSSES[self.loss].lower >= 0
        return tags

    @unavailable_with_lbfgs
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Continue learning for one epoch over X and y.

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

    def _check_targets(self, y: Any, per_step: bool) -> Rows:
        return RealTargets.check(y, per_step=per_step)

    def _learn_targets(self, y: Any, previous: Any, classes: None) -> RealTargets:
        if previous is None:
            return RealTargets.learn(y, self)
        return previous.resume(y, self)

    def _output(self, targets: RealTargets, raw: Rows) -> Floats:
        return targets.values(raw)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs), like y; (n, Q) for Q quantiles
        """
        return self._predict(X, RealTargets.values)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """R^2 of the predictions, whatever the loss; of several quantiles, of the middle one.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. With `readout="step"` all steps count that are present. Of several outputs
            the mean, each over its targets that are not missing.

        Returns
        -------
        float
        """
        return self._score(X, y, sample_weight)

    def forecast(self, X: Any, n_steps: int) -> np.ndarray:
        """Forecast the steps after the end of sequences by feeding predictions back as inputs.

        For a regressor that predicts its own next input: fitted with `readout="step"` to
        `[s[:-1] for s in S]` and `[s[1:] for s in S]`, or with another readout to the value that
        follows each sequence.

        Parameters
        ----------
        X : as in `fit`
            What is known so far, in the units of y.
        n_steps : int
            Steps to predict, at least 1.

        Returns
        -------
        ndarray of shape (n, n_steps) or (n, n_steps, D)
            The next steps of every sequence; without the last axis if y had none.

        Raises
        ------
        ValueError
            If outputs cannot be inputs: their number is not D, inputs are categories, or the output
            is a quantile other than the median; if the net is bidirectional; or if the last step of
            a sequence is missing, since a forecast would start before the end.
        """
        check_count(n_steps, "n_steps")
        inputs, targets, network = self._streamed("forecast")
        D = network.architecture.n_in
        self._require_next_inputs(inputs, targets, D)
        future = []
        with computing(), quiet():
            parsed = inputs.parse(self, X, network.theta.dtype)
            _require_last_steps(parsed)
            carry = network.carry_after(parsed.sequences)
            for _ in range(n_steps):
                interrupts.check()
                future.append(targets.values(network.read_out(carry)))
                carry = network.step(inputs.read_step(future[-1].reshape(-1, D)).T, carry)
        steps = np.stack(future, axis=1)
        bounded = np.abs(steps) < np.finfo(steps.dtype).max
        if not bounded.all():
            i = np.nonzero(~bounded)[0][0]
            raise ValueError(
                f"The forecast of sequence {i} grows beyond all bounds. Forecast fewer steps, or "
                f"fit again. {CALM}"
            )
        return steps

    def _require_next_inputs(self, inputs: Inputs, targets: RealTargets, D: int) -> None:
        """Refuse to feed back outputs that cannot be the inputs of the next step."""
        quantiles = getattr(targets.loss, "quantile", (0.5,))
        several = len(quantiles) > 1
        if targets.n_outputs != D or inputs.categorical or several:
            raise ValueError(
                f"forecast feeds outputs back as inputs, but {type(self).__name__} was fitted "
                f"on {D} features per step, {len(inputs.categorical)} of them categories, and "
                f"{targets.n_outputs} outputs{' that are quantiles of one' * several}. Fit it "
                "to predict the step that comes next: all features, and nothing else."
            )
        if quantiles != (0.5,):
            raise ValueError(
                f"forecast feeds outputs back as inputs, but the quantile {quantiles[0]:g} of the "
                "next step, fed back, leads to no quantile of later steps: a band of 80 % would "
                "hold far more of them. Predict all steps at once, without forecast: fit to y "
                "(n, n_steps), one output per step ahead, as from skrnn.preprocessing.make_windows("
                "series, length, horizon=n_steps). The median, quantile=0.5, can be fed back."
            )


def _require_last_steps(parsed: ParsedInput) -> None:
    """Refuse sequences that end with absent steps, which would go on too early."""
    if parsed.present is None:
        return
    last = parsed.present[np.cumsum(parsed.lengths) - 1]
    if not last.all():
        raise ValueError(
            f"The last step of sequence {last.argmin()} is missing, so a forecast, which goes on "
            "from the last step that is present, would start before the end. Fill such steps by "
            'StepImputer(absent="impute_end"), or loop over step and feed its outputs back where '
            "steps are missing. If they are padding, drop them: p = SequencePadder(); "
            "p.inverse_transform(p.fit_transform(X))."
        )
