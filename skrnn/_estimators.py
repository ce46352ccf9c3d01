"""RNNClassifier and RNNRegressor: parameters, labels, and scikit-learn's manners."""

import copy
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from functools import lru_cache
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
from sklearn.utils import check_random_state, check_scalar, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from ._blas import one_thread
from ._cells import CELLS
from ._compat import Interval, StrOptions, fit_context
from ._docs import document
from ._losses import LOSSES, REGRESSION_LOSSES
from ._network import Design, Standing, make_network
from ._optimizers import OPTIMIZERS, SCHEDULES
from ._parallel import ParallelNetwork
from ._readouts import READOUTS
from ._sequences import Rows, Sequences, present_steps, require_valid_steps, unwrap
from ._training import Descent, NotFiniteError, Patience, minimize, train
from ._validation import (
    check_for_lbfgs,
    check_sample_weight,
    check_step_weight,
    check_target,
    read_step,
    read_steps,
    require_codes,
    require_valid_rows,
    step_targets,
    unavailable_with_lbfgs,
    unchanged_on_error,
    which_features,
)


class _Reading(NamedTuple):
    """X as sequences; the lengths it was given in, and which of these steps are there."""

    sequences: Sequences
    lengths: np.ndarray
    present: np.ndarray | None
    rectangular: bool


class BaseRNN(BaseEstimator):
    """What classifier and regressor share: everything but the meaning of the target."""

    _parameter_constraints: dict = {
        "cell": [StrOptions(set(CELLS))],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "readout": [StrOptions(set(READOUTS))],
        "initial_state": [StrOptions({"zeros", "normal", "learned"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "categorical_features": ["array-like", None],
        "embedding_dim": ["array-like", Interval(Integral, 1, None, closed="left")],
        "features_per_step": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "solver": [StrOptions({*OPTIMIZERS, "lbfgs"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "power_t": [Interval(Real, 0, None, closed="left")],
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
        return _stateless(self._design).weights(self._theta)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from sequences X and targets y.

        Parameters
        ----------
        X : {table (n, p), array (n, T, D), n sequences (T_i, D) or (T_i,)}
            See the class. Steps whose features are all NaN are skipped.
        y : array-like of shape (n,) or (n, n_outputs)
            One target a sequence. With `readout="step"` one a step: (n, T), (n, T, n_outputs) or n
            arrays (T_i,) or (T_i, n_outputs); those of steps that are absent are ignored.
        sample_weight : array-like of shape (n,), default=None
            Weight 2 counts a sequence twice, weight 0 leaves it out. With `readout="step"` also one
            a step, as y: a step of weight 0 is read, but its output does not count.

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
                "Increase max_iter or learning_rate_init (which lbfgs ignores), or raise tol.",
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
        self._check_combinations()
        rows = self._read_rows(X, y, sample_weight, goes_on, classes)
        rng = copy.deepcopy(self._rng) if goes_on else check_random_state(self.random_state)
        design = self._make_design(rows)
        if goes_on and design != self._design:
            pairs = zip(design._fields, self._design, design, strict=True)
            changed = [f"{name} from {old!r} to {new!r}" for name, old, new in pairs if old != new]
            raise ValueError(
                f"Cannot go on with a net that changes {', '.join(changed)}. Fit without "
                "warm_start, or leave it as it was."
            )
        self._design = design
        network = ParallelNetwork(design)
        theta = self._theta.copy() if goes_on else network.whole.initialize(rng)
        rows, held_out = self._split(rows, rng, goes_on)
        rows = self._prepare(rows, None if goes_on else network.whole.weights(theta)["b_o"])
        history = self._train(network, theta, rows, held_out, rng, goes_on, max_iter)
        self._theta, self._rng = theta, copy.deepcopy(rng)
        self._remember(history, goes_on)
        return history

    def _check_combinations(self):
        check_for_lbfgs(self)
        if self.bidirectional and self.bptt_steps is not None:
            raise ValueError(
                f"bptt_steps={self.bptt_steps} and bidirectional=True exclude each other: what is "
                "read backward starts at the end of the sequence, not at the end of a window. Set "
                "bptt_steps=None or bidirectional=False."
            )

    def _read_rows(self, X, y, sample_weight, goes_on, classes):
        """Sequences, encoded targets and weights, in canonical order if they are to be shuffled."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        given = self._read(X, reset=not goes_on, dtype=self._theta.dtype if goes_on else None)
        per_step = self.readout == "step"
        y = self._read_target(step_targets(y, given.lengths, given.present) if per_step else y)
        weight = self._read_weight(sample_weight, given, len(y))
        weight = np.ldexp(weight, -np.frexp(weight.max())[1])  # exact, and no sum can overflow
        heard = np.flatnonzero(weight)
        codes = self._encode(y[heard], goes_on, classes)
        targets = np.zeros((len(y), codes.shape[1]), codes.dtype)
        targets[heard] = codes
        rows = Rows(given.sequences, targets, weight, per_step)
        rows = rows.take(np.flatnonzero(rows.weights_of_sequences()))
        if not goes_on:
            self.categories_ = self._learn_categories(rows.sequences)
        rows = rows._replace(sequences=self._embed(rows.sequences))
        return rows.in_canonical_order() if self.shuffle else rows

    def _read_weight(self, sample_weight, given, n_targets):
        """Weight of each target."""
        n = len(given.sequences)
        if self.readout == "step":
            return check_step_weight(sample_weight, given.lengths, given.present)
        if n_targets != n:
            raise ValueError(
                f"X has {n} sequences, but y has {n_targets} targets: found input variables with "
                "inconsistent numbers of samples."
            )
        return check_sample_weight(sample_weight, n)

    def _read(self, X, *, reset, dtype):
        steps, lengths = read_steps(self, X, self.features_per_step, reset=reset, dtype=dtype)
        require_valid_steps(steps, lengths)
        if reset:
            names = getattr(self, "feature_names_in_", None) if self._kind == "sequences" else None
            self._categorical = which_features(self.categorical_features, steps.shape[1], names)
        require_codes(steps, lengths, self._categorical)
        present = present_steps(steps)
        sequences = Sequences.from_steps(steps, lengths, present)
        rectangular = self._kind == "tabular" or getattr(unwrap(X), "ndim", 0) == 3
        return _Reading(sequences, lengths, present, rectangular)

    def _learn_categories(self, sequences):
        """Codes of every categorical feature in the sequences that are learned from."""
        if not self._categorical:
            return None
        steps = sequences.values[sequences.rows()]
        return [np.unique(steps[:, feature]) for feature in self._categorical]

    def _embed(self, sequences):
        """Codes of categorical features as 0, 1, ..., what is not known as the number after."""
        if not self._categorical:
            return sequences
        values = sequences.values.copy()
        for feature, categories in zip(self._categorical, self.categories_, strict=True):
            codes = values[:, feature]
            places = np.searchsorted(categories, codes).clip(max=len(categories) - 1)
            unknown = categories[places] != codes
            values[:, feature] = np.where(unknown, len(categories), places)
        return sequences.of(values)

    def _make_design(self, rows):
        """All that the shapes of the weights depend on."""
        sizes = _integers(self.hidden_layer_sizes, "hidden_layer_sizes", "a layer")
        values, embedded = rows.sequences.values, ()
        if self._categorical:
            dims = _integers(self.embedding_dim, "embedding_dim", "a categorical feature")
            dims = dims * len(self._categorical) if len(dims) == 1 else dims
            if len(dims) != len(self._categorical):
                raise ValueError(
                    f"embedding_dim={self.embedding_dim!r} has {len(dims)} numbers, but there are "
                    f"{len(self._categorical)} categorical_features."
                )
            codes = (len(categories) + 1 for categories in self.categories_)
            embedded = tuple(zip(self._categorical, codes, dims, strict=True))
        return Design(
            self.cell,
            values.shape[1],
            sizes,
            self.n_outputs_,
            values.dtype.name,
            self.readout,
            bool(self.bidirectional),
            self.initial_state,
            embedded,
        )

    def _split(self, rows, rng, goes_on):
        """Training and validation part; the same ones again when the fit goes on."""
        if not self.early_stopping:
            return rows, None
        if not (goes_on and hasattr(self, "_split_seed")):
            self._split_seed = rng.randint(np.iinfo(np.int32).max)
        n = len(rows.sequences)
        try:
            train_part, held_out = train_test_split(
                np.arange(n),
                test_size=self.validation_fraction,
                random_state=self._split_seed,
                stratify=None if rows.per_step else self._strata(rows.targets),
            )
            if len(held_out) < 2:
                raise ValueError("it would hold one sequence")
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True needs a validation part, but {n} different sequences cannot "
                f"be split by validation_fraction={self.validation_fraction}: {error}."
            ) from None
        return rows.take(train_part), rows.take(held_out)

    def _train(self, network, theta, rows, held_out, rng, goes_on, max_iter):
        """Let the solver lower the loss, in place on theta."""
        try:
            with _calculating():
                if self.solver == "lbfgs":
                    history = self._minimize(network, theta, rows, max_iter)
                else:
                    history = self._descend(network, theta, rows, held_out, rng, goes_on, max_iter)
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

    def _minimize(self, network, theta, rows, max_iter):
        self._optimizer = self._schedule = None
        longest_first = rows.sequences.longest_first()
        return minimize(
            theta,
            list(self._batches(network, rows, longest_first, _ROWS_AT_ONCE, None)),
            self._penalty(network),
            max_iter=max_iter,
            tol=self.tol,
            report=self._report,
        )

    def _descend(self, network, theta, rows, held_out, rng, goes_on, max_iter):
        n = len(rows.sequences)
        batch_size = min(32 if self.batch_size == "auto" else self.batch_size, n)

        def epoch():
            order = rng.permutation(n) if self.shuffle and batch_size < n else np.arange(n)
            return self._batches(network, rows, order, batch_size, rng)

        def outputs(theta, sequences):
            raw = network.outputs(theta, sequences)
            if not np.isfinite(raw).all():
                raise NotFiniteError
            return raw

        def score(theta):
            raw = outputs(theta, held_out.sequences)
            targets, weight = held_out.flat()
            return self._score_raw(targets, raw, weight)

        return train(
            theta,
            epoch,
            self._descent(theta, self._penalty(network), goes_on),
            Patience(self.tol, self.n_iter_no_change),
            max_iter=max_iter,
            score=None if held_out is None else score,
            probe=lambda theta: outputs(theta, rows.sequences.take(slice(batch_size))),
            report=self._report,
        )

    def _penalty(self, network):
        penalty = network.whole.is_penalized()
        penalty *= self.alpha
        return penalty

    def _descent(self, theta, penalty, goes_on):
        """Steps of the solver; sets its state, which is that of the fit before if that goes on."""
        before = (self._optimizer, self._schedule) if goes_on else (None, None)
        self._optimizer = self._set_up(
            OPTIMIZERS[self.solver], before[0], n_weights=theta.size, dtype=theta.dtype
        )
        self._schedule = self._set_up(SCHEDULES[self.learning_rate], before[1])
        return Descent(self._optimizer, self._schedule, penalty, self.max_grad_norm)

    def _set_up(self, kind, before, **shape):
        """One of its kind: a copy of what was before, if it is one, with the present settings.

        These are Python's numbers, as NumPy's float64 would widen float32.
        """
        settings = {name: np.asarray(getattr(self, name)).item() for name in kind.settings}
        if type(before) is not kind:
            return kind(**shape, **settings)
        again = copy.deepcopy(before)
        vars(again).update(settings)
        return again

    def _batches(self, network, rows, order, size, rng):
        for start in range(0, len(order), size):
            yield self._batch(network, rows.take(order[start : start + size]).longest_first(), rng)

    def _batch(self, network, batch, rng):
        """Number of targets, and the loss with its gradient as a function of theta."""
        n = len(batch.sequences)
        total = max(1, len(_heard(batch)[0])) if batch.per_step else n
        drawn = self.dropout or self.initial_state == "normal"
        settings = {
            "total": total,
            "draws": network.whole.draw(rng, n, self.dropout) if drawn else None,
            "bptt_steps": self.bptt_steps,
            "max_bytes": get_config()["working_memory"] * 2**20,
        }
        loss = self._loss_function()

        def loss_and_gradient(theta, gradient):
            return network.loss_and_gradient(theta, gradient, batch, loss, **settings)

        return total, loss_and_gradient

    def _loss_function(self):
        return LOSSES[self._loss](**self._loss_settings)

    def _report(self, history):
        if not self.verbose:
            return
        line = f"Epoch {len(history.losses)}, loss = {history.losses[-1]:.8f}"
        if history.scores:
            line += f", validation score = {history.scores[-1]:.6f}"
        print(line)

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

    def _read_to_predict(self, X):
        check_is_fitted(self)
        given = self._read(X, reset=False, dtype=self._theta.dtype)
        return given._replace(sequences=self._embed(given.sequences))

    def _raw(self, given):
        """Raw outputs (n, n_outputs_); with readout "step" of all steps that are there."""
        with _calculating():
            raw = ParallelNetwork(self._design).outputs(self._theta, given.sequences)
        if not np.isfinite(raw).all():
            row = np.flatnonzero(~np.isfinite(raw).all(axis=1))[0]
            of_step = np.repeat(np.arange(len(given.lengths)), given.sequences.lengths)
            i = of_step[row] if self._design.readout == "step" else row
            largest = np.abs(given.sequences.values).max()
            raise ValueError(
                f"The output for sequence {i} is not finite: X is too large (its largest value is "
                f"{largest:.3g}), or the weights are. Scale X as at fit; or fit again. {_CALM}"
            )
        return raw

    def _predict(self, X, function):
        """A function of raw outputs (rows, n_outputs_), in the container that goes with X."""
        given = self._read_to_predict(X)
        raw = self._raw(given)
        if self._design.readout != "step":
            return function(raw)
        first = _stateless(self._design).output_before(self._theta)
        return _boxed(function(_carried(raw, given, first)), given)

    def _score(self, X, y, sample_weight):
        given = self._read_to_predict(X)
        if self._design.readout == "step":
            y = step_targets(y, given.lengths, given.present)
            sample_weight = check_step_weight(sample_weight, given.lengths, given.present)
        return self._score_targets(y, self._raw(given), sample_weight)

    def hidden_states(self, X: Any) -> np.ndarray:
        """States of the top layer after every step.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n, T, H), or (n,) of arrays (T_i, H)
            An array for a table or an array (n, T, D), else an object array of n arrays. H is twice
            the units of the layer if it is bidirectional: forward, then backward. The state at a
            step that is absent is that of the step before.
        """
        given = self._read_to_predict(X)
        with _calculating():
            network = make_network(self._design)
            states = network.hidden_states(self._theta, given.sequences)
        return _boxed(_carried(states, given, network.state_before(self._theta)), given)

    def step(self, x_t: ArrayLike, state: dict | None = None) -> tuple[np.ndarray, dict]:
        """Take one step of n sequences, and give the output for what was seen so far.

        For streams: at every step the output is what `predict_proba` of a classifier, or `predict`
        of a regressor, gives for the sequences up to there, at the cost of one step.

        Parameters
        ----------
        x_t : array-like of shape (n, D), or (n,) where D is 1
            Features of the step, one row a sequence. A row that is all NaN leaves its sequence as
            it was.
        state : dict or None, default=None
            What the call before returned; None before the first step.

        Returns
        -------
        output : ndarray of shape (n, n_classes), (n,) or (n, n_outputs)
        state : dict of str to ndarray
            One row a sequence: `h_0` (n, H), for "lstm" `c_0`, and so on for each layer; `pooled`
            what the readout has of the steps so far, and `steps` (n,) how many they are. It can be
            pickled, and rows be taken from it; it is never changed.

        Raises
        ------
        ValueError
            If the net is bidirectional: its backward half starts at the end of a sequence.
        """
        network = self._stream("step")
        x = read_step(x_t, self._design.n_in, self._theta.dtype)
        views = network.weights(self._theta)
        before = _standing(network, views, state, len(x))
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(x).all():
                after = network.step(views, self._embed_step(x), before)
            else:
                after = self._step_of_some(network, views, x, before)
            raw = network.read_out(views, after)
        if not np.isfinite(raw).all():
            row = np.flatnonzero(~np.isfinite(raw).all(axis=1))[0]
            raise ValueError(f"The output for row {row} is not finite: x_t is too large. {_CALM}")
        return self._of_step(raw), _state(after)

    def _stream(self, method):
        """The net, if it can go through time step by step."""
        if not hasattr(self, "_theta"):
            check_is_fitted(self)  # which takes longer than a step
        if self._design.bidirectional:
            raise ValueError(
                f"{method} is not for bidirectional=True: the backward half of the net starts at "
                "the end of a sequence, which a stream has not reached. Fit with "
                "bidirectional=False."
            )
        return _stateless(self._design)

    def _embed_step(self, x):
        if not self._categorical:
            return x.T
        lengths = np.ones(len(x), dtype=int)
        require_codes(x, lengths, self._categorical)
        steps = Sequences.stacked(x, lengths)
        return self._embed(steps).values.T

    def _step_of_some(self, network, views, x, before):
        """A step of the sequences whose row is not NaN; the others stay where they stand."""
        require_valid_rows(x)
        moves = ~np.isnan(x[:, 0])
        after = network.step(views, self._embed_step(np.where(moves[:, None], x, 0)), before)
        layers = [
            [np.where(moves, new, old) for new, old in zip(*states, strict=True)]
            for states in zip(after.layers, before.layers, strict=True)
        ]
        total = np.where(moves, after.total, before.total)
        return Standing(layers, total, np.where(moves, after.count, before.count))


@document
class RNNClassifier(ClassifierMixin, BaseRNN):
    """Recurrent neural network classifier.

    {summary}

    Parameters
    ----------
    {parameters}
    class_weight : dict {{label: weight}}, list of dict, "balanced" or None, default=None
        Factor on the weight of every sequence of a class; "balanced" makes all classes weigh the
        same. With multilabel targets the classes are the 0 and 1 of each label, weighed label by
        label: {{0: 1, 1: 5}} is for all labels, a list has a dict for each.

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
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }
    _loss_settings: dict = {}

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
        class_weight: dict | list[dict] | str | None = None,
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
        _set_parameters(self, locals())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @unavailable_with_lbfgs
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
                "column, by sklearn.multioutput.MultiOutputClassifier; or, if a column is a step, "
                'set readout="step".'
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
        y, weight = rows.targets, rows.weight
        if self.class_weight is not None:
            weight = self._weigh_classes(rows)
            if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
                raise ValueError(
                    f"class_weight={self.class_weight!r} must give numbers >= 0, not all of them 0."
                )
        rows = rows._replace(weight=weight)
        rows = rows._replace(weight=weight / _heard(rows)[1].mean())
        if bias is not None:
            bias[:] = self._log_prior(*_heard(rows))
        if self._loss == "binary_log_loss":
            y = y.astype(self._design.dtype)
        return rows._replace(targets=y, weight=rows.weight.astype(self._design.dtype))

    def _weigh_classes(self, rows):
        """Weights times those of the classes; for multilabel a column for each label."""
        targets, weight = _heard(rows)
        columns = [
            rows.weight * self._class_factors(class_weight, heard, weight)[codes]
            for class_weight, heard, codes in zip(
                self._class_weights(),
                targets.astype(int).T,
                rows.targets.astype(int).T,
                strict=True,
            )
        ]
        return np.column_stack(columns) if self._multilabel else columns[0]

    def _class_weights(self):
        """One class_weight for each column of targets."""
        n_columns = self.n_outputs_ if self._multilabel else 1
        if not isinstance(self.class_weight, list):
            return [self.class_weight] * n_columns
        dicts = all(isinstance(factors, dict) for factors in self.class_weight)
        if not (self._multilabel and dicts and len(self.class_weight) == n_columns):
            raise ValueError(
                f"class_weight={self.class_weight!r} must be a list only for a multilabel y, of "
                "one dict a label, {0: weight, 1: weight}."
            )
        return self.class_weight

    def _class_factors(self, class_weight, codes, weight):
        labels = np.arange(2) if self._multilabel else self.classes_
        if class_weight == "balanced":
            totals = np.bincount(codes, weight, minlength=len(labels))
            return totals.sum() / np.count_nonzero(totals) / np.where(totals > 0, totals, 1)
        return compute_class_weight(class_weight, classes=labels, y=labels[codes])

    def _log_prior(self, y, weight):
        """Half a sequence is added to each class, so that none has probability zero."""
        if self._loss == "binary_log_loss":
            ones = (weight.T * y.T).sum(axis=1)
            return np.log(ones + 0.5) - np.log(weight.sum(axis=0) - ones + 0.5)
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
        return self._predict(X, self._decision)

    def _decision(self, raw):
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
        return self._predict(X, self._labels)

    def _labels(self, raw):
        codes = self._decide(raw)
        return codes if self._multilabel else self.classes_[codes]

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy: the share of labels that `predict` gets right.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`. With `readout="step"` all steps count that are there.

        Returns
        -------
        float
        """
        return self._score(X, y, sample_weight)

    def _score_targets(self, y, raw, weight):
        return accuracy_score(y, self._labels(raw), sample_weight=weight)

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
        return self._predict(X, self._probabilities)

    def _probabilities(self, raw):
        inverse_link = self._loss_function().inverse_link
        p = inverse_link(raw)
        if self.n_outputs_ == 1 and not self._multilabel:
            p = np.hstack([inverse_link(-raw), p])
        tiny = np.finfo(p.dtype).eps
        return p.clip(tiny, 1 - tiny)

    _of_step = _probabilities

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
        return self._predict(X, self._log_probabilities)

    def _log_probabilities(self, raw):
        if self._loss == "multinomial_log_loss":
            return log_softmax(raw, axis=1)
        return log_expit(raw) if self._multilabel else log_expit(np.hstack([-raw, raw]))


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
        _set_parameters(self, locals())

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
        rows = rows._replace(weight=rows.weight / _heard(rows)[1].mean())
        if bias is not None:
            self._shift, self._scale = loss.units(*_heard(rows))
        if np.abs(rows.targets).max() > np.finfo(dtype).max:
            raise ValueError(
                f"The targets y are too large for {dtype}, the dtype of X: scale them."
            )
        rows = rows._replace(targets=(rows.targets - self._shift) / self._scale)
        if bias is not None:
            bias[:] = loss.start(*_heard(rows))
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
        if self.n_outputs_ != D or self._categorical:
            raise ValueError(
                f"forecast feeds outputs back as inputs, but {type(self).__name__} was fitted on "
                f"{D} features a step, {len(self._categorical)} of them categories, and "
                f"{self.n_outputs_} outputs. Fit it to predict the step that comes next: all "
                "features, and nothing else."
            )
        views, future = stream.weights(self._theta), []
        with _calculating():
            standing = make_network(self._design).after(self._theta, given.sequences)
            for _ in range(n_steps):
                future.append(self._of_step(stream.read_out(views, standing)))
                standing = stream.step(views, future[-1].reshape(-1, D).T, standing)
        future = np.stack(future, axis=1)
        bounded = np.abs(future) < np.finfo(future.dtype).max
        if not bounded.all():
            i = np.nonzero(~bounded)[0][0]
            raise ValueError(
                f"The forecast of sequence {i} grows beyond all bounds. Forecast fewer steps, or "
                f"fit again. {_CALM}"
            )
        return future


_ROWS_AT_ONCE = 512  # of those whose loss L-BFGS-B asks for

_CALM = (
    "Decrease learning_rate_init, set max_grad_norm (for example 1.0) to clip the gradient (lbfgs "
    "ignores both), or scale the inputs, for example by "
    "skrnn.preprocessing.StepTransformer(StandardScaler())."
)


@contextmanager
def _calculating():
    """BLAS on one thread; what overflows is dealt with where it shows."""
    with one_thread, np.errstate(over="ignore", invalid="ignore", under="ignore"):
        yield


_stateless = lru_cache(make_network)  # for what needs no working memory


def _set_parameters(estimator, given):
    """Set what an `__init__` was given, by its `locals()`."""
    for name, value in given.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def _integers(value, name, of_what):
    """One integer or several, all >= 1, as a tuple."""
    values = [value] if isinstance(value, Integral) or np.ndim(value) == 0 else list(value)
    if not values or not all(isinstance(v, Integral) and v >= 1 for v in values):
        raise ValueError(f"{name} must be integers >= 1, one {of_what}, got {value!r}.")
    return tuple(int(v) for v in values)


def _heard(rows):
    """Targets and weights of the rows, or steps, whose weight is not zero."""
    targets, weight = rows.flat()
    heard = (weight > 0).reshape(len(weight), -1).any(axis=1)
    return targets[heard], weight[heard]


def _carried(values, given, first):
    """Values of all steps as given: a step that is absent has that of the step before.

    Before the first step that is there, `first` (1, ...).
    """
    if given.present is None:
        return values
    latest = np.cumsum(given.present) - 1
    begun = latest >= np.repeat(given.sequences.starts, given.lengths)
    return np.concatenate([values, first])[np.where(begun, latest, len(values))]


def _boxed(values, given):
    """Values of all steps as an array (n, T, ...) or as an object array of n arrays (T_i, ...)."""
    if given.rectangular:
        return values.reshape(len(given.lengths), -1, *values.shape[1:])
    boxes = np.empty(len(given.lengths), dtype=object)
    boxes[:] = np.split(values, np.cumsum(given.lengths)[:-1])
    return boxes


def _state(standing):
    """As `step` gives it to users: one row a sequence."""
    state = {
        f"{name}_{i}": h.T
        for i, layer in enumerate(standing.layers)
        for name, h in zip("hc", layer, strict=False)
    }
    return state | {"pooled": standing.total.T, "steps": standing.count}


def _standing(network, views, state, n):
    """Where n sequences stand, by what `step` gave before."""
    if state is None:
        return network.before(views, n)
    names = [
        [f"{name}_{i}" for name in "hc"[: layer.n_states]]
        for i, layer in enumerate(network.chain.layers)
    ]
    widths = {"pooled": network.chain.n_out}
    for layer, own in zip(network.chain.layers, names, strict=True):
        widths |= dict.fromkeys(own, layer.n_hidden)
    _require_state(state, widths, n)
    layers = [[state[name].T for name in own] for own in names]
    return Standing(layers, state["pooled"].T, state["steps"])


def _require_state(state, widths, n):
    """Refuse all but `steps` (n,) and arrays (n, width) of these names and widths."""
    try:
        shapes = {name: array.shape for name, array in state.items()}
        n_rows = len(state["steps"])
    except (AttributeError, KeyError, TypeError):
        shapes, n_rows = None, 0
    if shapes != {name: (n_rows, width) for name, width in widths.items()} | {"steps": (n_rows,)}:
        raise ValueError(
            "state must be what step returned for this estimator, or None. Rows may be taken from "
            "it, of every array the same."
        )
    if n_rows != n:
        raise ValueError(
            f"x_t has {n} rows, but state is of {n_rows} sequences: pass a row for each of them, "
            "all NaN where there is none."
        )
