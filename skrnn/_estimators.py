"""RNNClassifier and RNNRegressor: parameters, labels, and scikit-learn's manners."""

import copy
import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.special import log_expit, log_softmax
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from ._blas import one_thread
from ._cells import CELLS
from ._compat import Interval, StrOptions, fit_context
from ._docs import document
from ._losses import LOSSES
from ._network import ParallelNetwork
from ._optimizers import OPTIMIZERS
from ._sequences import Sequences, canonical_order, require_valid_steps
from ._training import Descent, NotFiniteError, Patience, train
from ._validation import check_sample_weight, check_target, read_steps, unchanged_on_error


class _Rows(NamedTuple):
    """What is learned from: sequences, their targets (n, outputs) and weights (n,)."""

    sequences: Sequences
    targets: np.ndarray
    weight: np.ndarray

    def take(self, rows):
        return _Rows(self.sequences.take(rows), self.targets[rows], self.weight[rows])


class BaseRNN(BaseEstimator):
    """What classifier and regressor share: everything but the meaning of the target."""

    _parameter_constraints: dict = {
        "cell": [StrOptions(set(CELLS))],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "features_per_step": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "solver": [StrOptions(set(OPTIMIZERS))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "bptt_steps": [Interval(Integral, 1, None, closed="left"), None],
        "shuffle": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        cell: str = "gru",
        *,
        hidden_layer_sizes: int | Sequence[int] = (64,),
        features_per_step: int | None = None,
        alpha: float = 0.0001,
        solver: str = "adam",
        learning_rate_init: float = 0.005,
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
        self.cell = cell
        self.hidden_layer_sizes = hidden_layer_sizes
        self.features_per_step = features_per_step
        self.alpha = alpha
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_grad_norm = max_grad_norm
        self.bptt_steps = bptt_steps
        self.shuffle = shuffle
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    @property
    def weights_(self) -> dict[str, np.ndarray]:
        """The weights by name, views of one flat vector: writing into them changes the net."""
        return self._network().weights(self._theta)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from sequences X and targets y.

        Parameters
        ----------
        X : {table (n, p), array (n, T, D), n sequences (T_i, D) or (T_i,)}
            See the class. Steps whose features are all NaN are skipped.
        y : array-like of shape (n,) or (n, n_outputs)
            One target a sequence.
        sample_weight : array-like of shape (n,), default=None
            Weight 2 counts a sequence twice, weight 0 leaves it out.

        Returns
        -------
        self
            The fitted estimator. If fitting fails, it is exactly as it was before.

        Raises
        ------
        ValueError
            If X, y or sample_weight is not as described (the message names the sequence), or if
            the loss is no longer finite.
        """
        with unchanged_on_error(self):
            goes_on = self.warm_start and hasattr(self, "_theta")
            history = self._fit(X, y, sample_weight, goes_on, self.max_iter)
        if history.stopped == "max_iter":
            warnings.warn(
                f"The loss was still getting better after max_iter={self.max_iter} epochs. "
                "Increase max_iter or learning_rate_init, or raise tol.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _partial_fit(self, X, y, sample_weight, classes=None):
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        self._validate_params()  # scikit-learn's decorator leaves it out once fitted
        with unchanged_on_error(self):
            self._fit(X, y, sample_weight, hasattr(self, "_theta"), 1, classes)
        return self

    def _fit(self, X, y, sample_weight, goes_on, max_iter, classes=None):
        """Train for at most max_iter epochs; `goes_on` where the fit before stopped."""
        rows = self._read_rows(X, y, sample_weight, goes_on, classes)
        rng = copy.deepcopy(self._rng) if goes_on else check_random_state(self.random_state)
        architecture = self._describe(rows)
        if goes_on and architecture != self._architecture:
            raise ValueError(
                f"Cannot go on: the net was {self._architecture} and is now asked to be "
                f"{architecture}. Fit without warm_start, or leave cell and sizes as they were."
            )
        self._architecture = architecture
        network = self._network()
        theta = self._theta.copy() if goes_on else network.initialize(rng)
        rows, held_out = self._split(rows, rng, goes_on)
        rows = self._prepare(rows, None if goes_on else network.weights(theta)["b_o"])
        optimizer = self._optimizer_for(theta, goes_on)
        history = self._train(network, theta, rows, held_out, optimizer, rng, max_iter)
        self._theta, self._optimizer, self._rng = theta, optimizer, copy.deepcopy(rng)
        self._remember(history, goes_on)
        return history

    def _read_rows(self, X, y, sample_weight, goes_on, classes):
        """Sequences, encoded targets and weights, in canonical order if they are to be shuffled."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        sequences = self._read_sequences(
            X, reset=not goes_on, dtype=self._theta.dtype if goes_on else None
        )
        y, n = self._read_target(y), len(sequences)
        if len(y) != n:
            raise ValueError(
                f"X has {n} sequences, but y has {len(y)} targets: found input variables with "
                "inconsistent numbers of samples."
            )
        weight = check_sample_weight(sample_weight, n)
        weight = np.ldexp(weight, -np.frexp(weight.max())[1])  # exact, and no sum can overflow
        kept = np.flatnonzero(weight)
        rows = _Rows(sequences.take(kept), self._encode(y[kept], goes_on, classes), weight[kept])
        if not self.shuffle:
            return rows
        order, weight = canonical_order(*rows)
        return rows.take(order)._replace(weight=weight)

    def _read_sequences(self, X, *, reset, dtype):
        steps, lengths = read_steps(self, X, self.features_per_step, reset=reset, dtype=dtype)
        require_valid_steps(steps, lengths)
        return Sequences.from_steps(steps, lengths)

    def _describe(self, rows):
        """(cell, inputs, sizes, outputs, dtype): all that the shapes of the weights depend on."""
        sizes = self.hidden_layer_sizes
        sizes = [sizes] if isinstance(sizes, Integral) or np.ndim(sizes) == 0 else list(sizes)
        if not sizes or not all(isinstance(H, Integral) and H >= 1 for H in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be integers >= 1, one a layer, got {sizes!r}."
            )
        values = rows.sequences.values
        sizes = tuple(int(H) for H in sizes)
        return self.cell, values.shape[1], sizes, self.n_outputs_, values.dtype.name

    def _network(self):
        cell, *rest = self._architecture
        return ParallelNetwork(CELLS[cell], *rest)

    def _split(self, rows, rng, goes_on):
        """Training and validation part; the same ones again when the fit goes on."""
        if not self.early_stopping:
            return rows, None
        if not (goes_on and hasattr(self, "_split_seed")):
            self._split_seed = rng.randint(np.iinfo(np.int32).max)
        n = len(rows.weight)
        try:
            train_part, held_out = train_test_split(
                np.arange(n),
                test_size=self.validation_fraction,
                random_state=self._split_seed,
                stratify=self._strata(rows.targets),
            )
            if len(held_out) < 2:
                raise ValueError("it would hold one sequence")
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True needs a validation part, but {n} different sequences cannot "
                f"be split by validation_fraction={self.validation_fraction}: {error}."
            ) from None
        return rows.take(train_part), rows.take(held_out)

    def _optimizer_for(self, theta, goes_on):
        optimizer = OPTIMIZERS[self.solver]
        settings = {name: getattr(self, name) for name in optimizer.settings}
        settings["learning_rate"] = self.learning_rate_init
        if not goes_on or type(self._optimizer) is not optimizer:
            return optimizer(theta.size, theta.dtype, **settings)
        old = copy.deepcopy(self._optimizer)
        vars(old).update(settings)
        return old

    def _train(self, network, theta, rows, held_out, optimizer, rng, max_iter):
        n = len(rows.weight)
        batch_size = min(32 if self.batch_size == "auto" else self.batch_size, n)

        def epoch():
            order = rng.permutation(n) if self.shuffle and batch_size < n else np.arange(n)
            for start in range(0, n, batch_size):
                batch = rows.take(order[start : start + batch_size])
                yield self._batch(network, batch.take(batch.sequences.longest_first()))

        def outputs(theta, sequences):
            raw = network.outputs(theta, sequences)
            if not np.isfinite(raw).all():
                raise NotFiniteError
            return raw

        def score(theta):
            raw = outputs(theta, held_out.sequences)
            return self._score_raw(held_out.targets, raw, held_out.weight)

        def report(history):
            if self.verbose:
                print(self._report_line(history))

        penalty = self.alpha * network.is_penalized()
        try:
            with one_thread, np.errstate(over="ignore", invalid="ignore", under="ignore"):
                history = train(
                    theta,
                    epoch,
                    Descent(optimizer, penalty, self.max_grad_norm),
                    Patience(self.tol, self.n_iter_no_change),
                    max_iter=max_iter,
                    score=None if held_out is None else score,
                    probe=lambda theta: outputs(theta, rows.sequences.take(slice(batch_size))),
                    report=report,
                )
        except NotFiniteError as error:
            raise ValueError(
                f"The loss or its gradient was not finite in epoch {error.args[0]}. {_CALM}"
            ) from None
        if history.stopped == "not finite":
            warnings.warn(
                f"The loss or its gradient was not finite in epoch {len(history.losses) + 1}; the "
                f"weights of an earlier epoch were kept. {_CALM}",
                ConvergenceWarning,
                stacklevel=5,
            )
        return history

    def _batch(self, network, batch):
        """Number of rows, and the loss with its gradient as a function of theta."""
        n, dtype = len(batch.weight), network.dtype
        y = np.ascontiguousarray(batch.targets.T)
        weight = (batch.weight / n).astype(dtype)
        loss = LOSSES[self._loss]
        limits = {
            "bptt_steps": self.bptt_steps,
            "max_bytes": get_config()["working_memory"] * 2**20,
        }

        def loss_and_gradient(theta, gradient):
            return network.loss_and_gradient(
                theta, gradient, batch.sequences, y, weight, loss, **limits
            )

        return n, loss_and_gradient

    def _report_line(self, history):
        line = f"Epoch {len(history.losses)}, loss = {history.losses[-1]:.8f}"
        if history.scores:
            line += f", validation score = {history.scores[-1]:.6f}"
        return line

    def _remember(self, history, goes_on):
        """Set the fitted attributes that tell what happened, after those of the fit before."""
        curves = {"loss_curve_": history.losses, "grad_norm_curve_": history.grad_norms}
        if self.early_stopping:
            curves["validation_scores_"] = history.scores
        for name, values in curves.items():
            before = getattr(self, name, None) if goes_on else None
            setattr(self, name, (before or []) + values)
        if not self.early_stopping:
            self.validation_scores_ = None
        self.n_iter_ = len(self.loss_curve_)
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_)
        self.best_validation_score_ = max(self.validation_scores_) if self.early_stopping else None

    def _raw(self, X):
        """Raw outputs (n, n_outputs_)."""
        check_is_fitted(self)
        network = self._network()
        sequences = self._read_sequences(X, reset=False, dtype=network.dtype)
        with one_thread, np.errstate(over="ignore", invalid="ignore", under="ignore"):
            raw = network.outputs(self._theta, sequences)
        if not np.isfinite(raw).all():
            i = np.flatnonzero(~np.isfinite(raw).all(axis=1))[0]
            largest = np.abs(sequences.values).max()
            raise ValueError(
                f"The output for sequence {i} is not finite: X is too large (its largest value is "
                f"{largest:.3g}), or the weights are. Scale X as at fit; or fit again. {_CALM}"
            )
        return raw


@document
class RNNClassifier(ClassifierMixin, BaseRNN):
    """Recurrent neural network classifier.

    {summary}

    Parameters
    ----------
    {parameters}
    class_weight : dict {{label: weight}}, "balanced" or None, default=None
        Factor on the weight of every sequence of a class; "balanced" makes all classes weigh the
        same. Not for multilabel targets.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; `arange(n_outputs_)` for a multilabel target.
    {attributes}

    See Also
    --------
    RNNRegressor : The same net for real targets.
    skrnn.preprocessing.StepTransformer : Scales the steps of sequences.

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNClassifier
    >>> X = [np.full(T, level) for level in (-1.0, 1.0) for T in range(3, 13)]
    >>> y = ["low"] * 10 + ["high"] * 10
    >>> clf = RNNClassifier(random_state=0).fit(X, y)
    >>> clf.predict([[-1.0, -1.0], [1.0, 1.0, 1.0]])
    array(['low', 'high'], dtype='<U4')
    """

    _parameter_constraints: dict = {
        **BaseRNN._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        cell: str = "gru",
        *,
        hidden_layer_sizes: int | Sequence[int] = (64,),
        features_per_step: int | None = None,
        class_weight: dict | str | None = None,
        alpha: float = 0.0001,
        solver: str = "adam",
        learning_rate_init: float = 0.005,
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
        super().__init__(
            cell,
            hidden_layer_sizes=hidden_layer_sizes,
            features_per_step=features_per_step,
            alpha=alpha,
            solver=solver,
            learning_rate_init=learning_rate_init,
            batch_size=batch_size,
            max_iter=max_iter,
            max_grad_norm=max_grad_norm,
            bptt_steps=bptt_steps,
            shuffle=shuffle,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Go on learning for one epoch over X and y.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels that y will ever hold; required at the first call, unless y is multilabel.

        Returns
        -------
        self
            The fitted estimator.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                'class_weight="balanced" is not supported by partial_fit, which does not see all '
                "the labels: pass the weights as a dict."
            )
        return self._partial_fit(X, y, sample_weight, classes)

    def _read_target(self, y):
        if issparse(y):
            y = y.toarray()
        y = check_target(y, dtype=None)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y has several columns of classes, which is not supported. Fit one classifier a "
                "column, by sklearn.multioutput.MultiOutputClassifier."
            )
        if not kind.startswith("multilabel"):
            y = column_or_1d(y, warn=True)
        return y

    def _encode(self, y, goes_on, classes):
        """Targets as the loss wants them; sets classes_, n_outputs_ and the loss."""
        multilabel = y.ndim == 2
        if not goes_on:
            self._set_classes(y, multilabel, classes)
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise ValueError(
                f"classes={classes!r} is not what the first call gave: {self.classes_!r}."
            )
        if multilabel != self._multilabel or (multilabel and y.shape[1] != self.n_outputs_):
            raise ValueError("y is not of the kind and width that the first call gave.")
        if multilabel:
            return y.astype(np.float64)
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[codes] != y
        if unknown.any():
            raise ValueError(
                f"y holds labels that are not in classes_: {np.unique(y[unknown])}. partial_fit "
                "must be given all classes at the first call."
            )
        return codes[:, None]

    def _set_classes(self, y, multilabel, classes):
        self._multilabel = multilabel
        if multilabel:
            if self.class_weight is not None:
                raise ValueError(
                    "class_weight is not supported for a multilabel y: use sample_weight."
                )
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(y if classes is None else classes)
            if len(self.classes_) < 2:
                raise ValueError(
                    f"RNNClassifier needs at least 2 classes, but y holds one class (of the rows "
                    f"with a weight): {self.classes_.tolist()[0]!r}."
                )
        K = len(self.classes_)
        self.n_outputs_ = 1 if K == 2 and not multilabel else K
        logits_apart = self.n_outputs_ == 1 or multilabel
        self._loss = "binary_log_loss" if logits_apart else "multinomial_log_loss"

    def _strata(self, targets):
        return None if self._multilabel else targets[:, 0]

    def _prepare(self, rows, bias):
        """Apply class weights, scale weights to mean 1; start the bias at the log prior."""
        weight, y = rows.weight, rows.targets
        if self.class_weight is not None:
            weight = weight * self._class_factors(y[:, 0], weight)[y[:, 0]]
            if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
                raise ValueError(
                    f"class_weight={self.class_weight!r} must give numbers >= 0, not all of them 0."
                )
        weight = weight / weight.mean()
        if bias is not None:
            bias[:] = self._log_prior(y, weight)
        if self._loss == "binary_log_loss":
            y = y.astype(self._architecture[-1])
        return rows._replace(targets=y, weight=weight)

    def _class_factors(self, codes, weight):
        if self.class_weight == "balanced":
            totals = np.bincount(codes, weight, minlength=len(self.classes_))
            return totals.sum() / np.count_nonzero(totals) / np.where(totals > 0, totals, 1)
        return compute_class_weight(
            self.class_weight, classes=self.classes_, y=self.classes_[codes]
        )

    def _log_prior(self, y, weight):
        """Half a sequence is added to each class, so that none has probability zero."""
        if self._loss == "binary_log_loss":
            ones = weight @ y
            return np.log(ones + 0.5) - np.log(weight.sum() - ones + 0.5)
        return np.log(np.bincount(y[:, 0], weight, minlength=self.n_outputs_) + 0.5) - np.log(
            weight.sum() / self.n_outputs_ + 0.5
        )

    def _score_raw(self, targets, raw, weight):
        y = targets if self._multilabel else targets[:, 0]
        return accuracy_score(y, self._decide(raw), sample_weight=weight)

    def _decide(self, raw):
        """Codes of the classes, (n,), or of the labels, (n, n_outputs_)."""
        if self._multilabel:
            return (raw > 0).astype(int)
        return (raw[:, 0] > 0).astype(int) if raw.shape[1] == 1 else raw.argmax(axis=1)

    def decision_function(self, X: Any) -> np.ndarray:
        """Raw outputs: logits, before they are turned into probabilities.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,) for two classes, else (n, n_classes)
        """
        raw = self._raw(X)
        return raw[:, 0] if self.n_outputs_ == 1 and not self._multilabel else raw

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class, or the labels more probable than not.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,), or (n, n_outputs) for multilabel
        """
        codes = self._decide(self._raw(X))
        return codes if self._multilabel else self.classes_[codes]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities, strictly between 0 and 1.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of `classes_`.
        """
        raw = self._raw(X)
        p = LOSSES[self._loss].inverse_link(raw)
        if self.n_outputs_ == 1 and not self._multilabel:
            p = np.hstack([LOSSES[self._loss].inverse_link(-raw), p])
        tiny = np.finfo(p.dtype).eps
        return p.clip(tiny, 1 - tiny)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict logarithms of probabilities, without rounding the small ones.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n, n_classes)
            Columns in the order of `classes_`.
        """
        raw = self._raw(X)
        if self._loss == "multinomial_log_loss":
            return log_softmax(raw, axis=1)
        return log_expit(raw) if self._multilabel else log_expit(np.hstack([-raw, raw]))


@document
class RNNRegressor(MultiOutputMixin, RegressorMixin, BaseRNN):
    """Recurrent neural network regressor.

    {summary}

    Targets are standardised inside, each output by its weighted mean and standard deviation over
    the training set, so that predictions follow any shift and positive scaling of y.

    Parameters
    ----------
    {parameters}

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

    _loss = "squared_error"

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Go on learning for one epoch over X and y.

        The mean and scale of the targets are those of the first call.

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
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _encode(self, y, goes_on, classes):
        columns = 1 if y.ndim == 1 else y.shape[1]
        if goes_on and (y.ndim == 1, columns) != (self._y_is_flat, self.n_outputs_):
            raise ValueError(f"y has {columns} outputs, expected {self.n_outputs_} as at first.")
        self._y_is_flat, self.n_outputs_ = y.ndim == 1, columns
        return y.reshape(-1, columns)

    def _strata(self, targets):
        return None

    def _prepare(self, rows, bias):
        """Standardise the targets, by the first fit's mean and scale; weights to mean 1."""
        weight, y = rows.weight / rows.weight.mean(), rows.targets
        if bias is not None:
            self._mean, self._scale = _mean_and_scale(y, weight)
        dtype = np.dtype(self._architecture[-1])
        if np.abs(y).max() > np.finfo(dtype).max:
            raise ValueError(
                f"The targets y are too large for {dtype}, the dtype of X: scale them."
            )
        y = ((y - self._mean) / self._scale).astype(dtype)
        return rows._replace(targets=y, weight=weight)

    def _score_raw(self, targets, raw, weight):
        return r2_score(targets, raw * self._scale + self._mean, sample_weight=weight)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs), like y
        """
        raw = self._raw(X)
        y = (raw * self._scale + self._mean).astype(raw.dtype)
        return y[:, 0] if self._y_is_flat else y


_CALM = (
    "Decrease learning_rate_init, set max_grad_norm (for example 1.0) to clip the gradient, or "
    "scale the inputs, for example by skrnn.preprocessing.StepTransformer(StandardScaler())."
)


def _mean_and_scale(y, weight):
    """Weighted mean and standard deviation of each column; the scale of a constant is 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(y, axis=0, weights=weight)
        largest = np.abs(y - mean).max(axis=0)
    if not np.isfinite(largest).all():
        raise ValueError(f"The targets y are too far apart for {y.dtype}: scale them.")
    varies = largest > 10 * np.finfo(y.dtype).eps * np.abs(mean)
    largest = np.where(varies, largest, 1.0)
    deviation = np.sqrt(np.average(((y - mean) / largest) ** 2, axis=0, weights=weight))
    return mean, np.where(varies, largest * deviation, 1.0)
