"""What both estimators share: parameters, fitting, predicting and streaming; no meaning of y."""

import copy
import warnings
from contextlib import contextmanager
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import CallbackSupportMixin, Interval, StrOptions, fit_context
from skrnn._data.containers import require_valid_steps, unwrap
from skrnn._data.samples import Rows
from skrnn._data.sequences import Sequences, is_finite, present_steps
from skrnn._data.validation import (
    Reading,
    check_for_lbfgs,
    check_groups,
    check_integers,
    check_sample_weight,
    check_step_weight,
    read_step,
    read_steps,
    require_codes,
    require_valid_rows,
    step_targets,
    unchanged_on_error,
    which_features,
)
from skrnn._nn.blas import one_thread
from skrnn._nn.cells import CELLS
from skrnn._nn.losses import LOSSES
from skrnn._nn.network import Design, make_network
from skrnn._nn.pooling import READOUTS
from skrnn._nn.streaming import Stream, moved
from skrnn._parallel.shards import ParallelNetwork, outputs_of
from skrnn._training.early_stopping import Patience
from skrnn._training.loops import Descent, NotFiniteError, minimize, train
from skrnn._training.monitor import Watch
from skrnn._training.optimizers import OPTIMIZERS
from skrnn._training.schedules import SCHEDULES


class BaseRNN(CallbackSupportMixin, BaseEstimator):
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
        return stateless(self._design).weights(self._theta)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
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
        groups : array-like of shape (n,), default=None
            With `early_stopping`: sequences of one group are held out together or not at all.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, default=None
            With `early_stopping`: what to score on, instead of a part of X.

        Returns
        -------
        self
            The fitted estimator. If fitting fails, it is exactly as it was before. If it is
            interrupted (Ctrl-C), it is as after the last batch, or as after the best epoch with
            `early_stopping`, and a warning says so; interrupted before the first batch is done, it
            is as it was before.

        Raises
        ------
        ValueError
            If X, y or sample_weight is not as described (the message names the sequence), or if
            the loss is no longer finite.
        """
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with unchanged_on_error(self):
            self._check_combinations()
            goes_on = self.warm_start and hasattr(self, "_theta")
            rows = self._read_rows(X, y, sample_weight, goes_on, groups=groups)
            held_out = self._read_validation(X_val, y_val, sample_weight_val, rows, groups)
            watch = Watch(self, context, X, y, self._fitted)
            history = self._fit(rows, held_out, goes_on, self.max_iter, watch)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
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
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with unchanged_on_error(self):
            self._check_combinations()
            goes_on = hasattr(self, "_theta")
            rows = self._read_rows(X, y, sample_weight, goes_on, classes)
            self._fit(rows, None, goes_on, 1, Watch(self, context, X, y, self._fitted))
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    def _fit(self, rows, held_out, goes_on, max_iter, watch):
        """Train for at most max_iter epochs; `goes_on` where the fit before stopped."""
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
        if self.early_stopping and held_out is None:
            rows, held_out = self._split(rows, rng, goes_on)
        rows = self._prepare(rows, None if goes_on else network.whole.weights(theta)["b_o"])
        history = self._train(network, theta, rows, held_out, rng, goes_on, max_iter, watch)
        vars(self).update(self._fitted(theta))
        self._rng = copy.deepcopy(rng)
        self._remember(history, goes_on)
        return history

    def _fitted(self, theta):
        """What makes a fit of weights theta."""
        return {"_theta": theta}

    def _check_combinations(self):
        check_for_lbfgs(self)
        if self.bidirectional and self.bptt_steps is not None:
            raise ValueError(
                f"bptt_steps={self.bptt_steps} and bidirectional=True exclude each other: what is "
                "read backward starts at the end of the sequence, not at the end of a window. Set "
                "bptt_steps=None or bidirectional=False."
            )

    def _read_rows(self, X, y, sample_weight, goes_on, classes=None, groups=None, dtype=None):
        """Sequences, encoded targets and weights, in canonical order if they are to be shuffled."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        if goes_on and dtype is None:
            dtype = self._theta.dtype
        given = self._read(X, reset=not goes_on, dtype=dtype)
        per_step = self.readout == "step"
        y = self._read_target(step_targets(y, given.lengths, given.present) if per_step else y)
        weight = self._read_weight(sample_weight, given, len(y))
        weight = np.ldexp(weight, -np.frexp(weight.max())[1])  # exact, and no sum can overflow
        heard = np.flatnonzero(weight)
        codes = self._encode(y[heard], goes_on, classes)
        targets = np.zeros((len(y), codes.shape[1]), codes.dtype)
        targets[heard] = codes
        groups = None if groups is None else check_groups(groups, len(given.sequences))
        rows = Rows(given.sequences, targets, weight, groups, per_step)
        rows = rows.take(np.flatnonzero(rows.weights_of_sequences()))
        if not goes_on:
            self.categories_ = self._learn_categories(rows.sequences)
        rows = rows._replace(sequences=self._embed(rows.sequences))
        return rows.in_canonical_order() if self.shuffle else rows

    def _read_validation(self, X_val, y_val, sample_weight_val, rows, groups):
        """What the user wants to be scored on, None if that is to be a part of the rows."""
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        given = [name for name, value in given.items() if value is not None]
        if not given:
            return None
        if X_val is None or y_val is None:
            raise ValueError(f"{given[0]} was passed, but X_val and y_val go together: pass both.")
        if not self.early_stopping:
            raise ValueError(
                "X_val and y_val were passed, but early_stopping=False: set early_stopping=True to "
                "stop by the score on them."
            )
        if groups is not None:
            raise ValueError("groups choose what to hold out, but X_val was passed: leave one out.")
        dtype = rows.sequences.values.dtype
        try:
            return self._read_rows(X_val, y_val, sample_weight_val, True, dtype=dtype)
        except ValueError as error:
            raise ValueError(f"In X_val, y_val or sample_weight_val: {error}") from None

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
        return Reading(sequences, lengths, present, rectangular)

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
        sizes = check_integers(self.hidden_layer_sizes, "hidden_layer_sizes", "a layer")
        values, embedded = rows.sequences.values, ()
        if self._categorical:
            dims = check_integers(self.embedding_dim, "embedding_dim", "a categorical feature")
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
        if not (goes_on and hasattr(self, "_split_seed")):
            self._split_seed = rng.randint(np.iinfo(np.int32).max)
        n = len(rows.sequences)
        try:
            train_part, held_out = self._parts(rows)
            if len(held_out) < 2:
                raise ValueError("it would hold one sequence")
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True needs a validation part, but {n} different sequences cannot "
                f"be split by validation_fraction={self.validation_fraction}: {error}."
            ) from None
        return rows.take(train_part), rows.take(held_out)

    def _parts(self, rows):
        """Row numbers of both parts: whole groups, else by class, else those that come last."""
        units = np.arange(len(rows.sequences))
        if rows.groups is not None:
            _, firsts, units = np.unique(rows.groups, return_index=True, return_inverse=True)
            units = np.argsort(np.argsort(firsts))[units]  # numbered as they come
        by_class = self.shuffle and rows.groups is None and not rows.per_step
        _, held_out = train_test_split(
            np.arange(units.max() + 1),
            test_size=self.validation_fraction,
            shuffle=self.shuffle,
            random_state=self._split_seed if self.shuffle else None,
            stratify=self._strata(rows.targets) if by_class else None,
        )
        is_held_out = np.isin(units, held_out)
        return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)

    def _train(self, network, theta, rows, held_out, rng, goes_on, max_iter, watch):
        """Let the solver lower the loss, in place on theta."""
        try:
            with calculating():
                if self.solver == "lbfgs":
                    history = self._minimize(network, theta, rows, max_iter, watch)
                else:
                    descent = self._descent(theta, self._penalty(network), goes_on)
                    history = self._descend(
                        network, theta, rows, held_out, rng, descent, max_iter, watch
                    )
        except NotFiniteError as error:
            raise ValueError(
                f"The loss or its gradient was not finite in epoch {error.args[0]}. {CALM}"
            ) from None
        if history.stopped == "not finite":
            warnings.warn(
                f"The loss or its gradient was not finite in epoch {len(history.losses) + 1}; the "
                f"weights of an earlier epoch were kept. {CALM}",
                ConvergenceWarning,
                stacklevel=5,
            )
        if history.stopped == "interrupted":
            warnings.warn(
                "Training was interrupted by the user; what was learned so far is kept.",
                stacklevel=5,
            )
        return history

    def _minimize(self, network, theta, rows, max_iter, watch):
        self._optimizer = self._schedule = None
        longest_first = rows.sequences.longest_first()
        return minimize(
            theta,
            list(self._batches(network, rows, longest_first, ROWS_AT_ONCE, None)),
            self._penalty(network),
            max_iter=max_iter,
            tol=self.tol,
            watch=watch,
        )

    def _descend(self, network, theta, rows, held_out, rng, descent, max_iter, watch):
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
            descent,
            Patience(self.tol, self.n_iter_no_change),
            max_iter=max_iter,
            watch=watch,
            score=None if held_out is None else score,
            probe=lambda theta: outputs(theta, rows.sequences.take(slice(batch_size))),
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
        total = max(1, len(batch.heard()[0])) if batch.per_step else n
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

    def _remember(self, history, goes_on):
        """Set the fitted attributes that tell what happened, after those of the fit before."""
        epochs_before = self.n_iter_ if goes_on else 0
        curves = {"loss_curve_": history.losses, "grad_norm_curve_": history.grad_norms}
        if self.early_stopping:
            curves["validation_scores_"] = history.scores
        for name, values in curves.items():
            before = getattr(self, name, None) if goes_on else None
            setattr(self, name, (before or []) + values)
        self.n_iter_ = len(self.loss_curve_)
        self.loss_ = self.loss_curve_[-1]
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_)
        self.best_epoch_ = history.best and epochs_before + history.best
        if not self.early_stopping:
            self.validation_scores_ = None
        self.best_validation_score_ = max(self.validation_scores_ or [], default=None)

    def _read_to_predict(self, X):
        check_is_fitted(self)
        given = self._read(X, reset=False, dtype=self._theta.dtype)
        return given._replace(sequences=self._embed(given.sequences))

    def _raw(self, given):
        """Raw outputs (n, n_outputs_); with readout "step" of all steps that are there."""
        with calculating():
            raw = outputs_of(self._design, self._theta, given.sequences)
        if not np.isfinite(raw).all():
            row = np.flatnonzero(~np.isfinite(raw).all(axis=1))[0]
            of_step = np.repeat(np.arange(len(given.lengths)), given.sequences.lengths)
            i = of_step[row] if self._design.readout == "step" else row
            largest = np.abs(given.sequences.values).max()
            raise ValueError(
                f"The output for sequence {i} is not finite: X is too large (its largest value is "
                f"{largest:.3g}), or the weights are. Scale X as at fit; or fit again. {CALM}"
            )
        return raw

    def _predict(self, X, function):
        """A function of raw outputs (rows, n_outputs_), in the container that goes with X."""
        given = self._read_to_predict(X)
        raw = self._raw(given)
        if self._design.readout != "step":
            return function(raw)
        first = stateless(self._design).output_before(self._theta)
        return given.boxed(function(given.carried(raw, first)))

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
        with calculating():
            network = make_network(self._design)
            states = network.hidden_states(self._theta, given.sequences)
        return given.boxed(given.carried(states, network.state_before(self._theta)))

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
        stream = self._stream("step")
        x = read_step(x_t, self._design.n_in, self._theta.dtype)
        before = stream.standing_of(state, len(x))
        with np.errstate(over="ignore", invalid="ignore"):
            if is_finite(x):
                after = stream.step(self._embed_step(x), before)
            else:
                require_valid_rows(x)
                moves = ~np.isnan(x[:, 0])
                x = self._embed_step(np.where(moves[:, None], x, 0))
                after = moved(stream.step(x, before), before, moves)
            raw = stream.read_out(after)
            fine = is_finite(raw)
        if not fine:
            row = np.flatnonzero(~np.isfinite(raw).all(axis=1))[0]
            raise ValueError(f"The output for row {row} is not finite: x_t is too large. {CALM}")
        return self._of_step(raw), stream.state_of(after)

    def _stream(self, method):
        """The net, if it can go through time step by step, as it was prepared for these weights."""
        if not hasattr(self, "_theta"):
            check_is_fitted(self)  # which takes longer than a step
        if self._design.bidirectional:
            raise ValueError(
                f"{method} is not for bidirectional=True: the backward half of the net starts at "
                "the end of a sequence, which a stream has not reached. Fit with "
                "bidirectional=False."
            )
        stream = STREAMS.get(self)
        if stream is None or stream.theta is not self._theta:
            stream = STREAMS[self] = Stream(stateless(self._design), self._theta)
        return stream

    def _embed_step(self, x):
        if not self._categorical:
            return x.T
        lengths = np.ones(len(x), dtype=int)
        require_codes(x, lengths, self._categorical)
        steps = Sequences.stacked(x, lengths)
        return self._embed(steps).values.T


ROWS_AT_ONCE = 512  # of those whose loss L-BFGS-B asks for

CALM = (
    "Decrease learning_rate_init, set max_grad_norm (for example 1.0) to clip the gradient (lbfgs "
    "ignores both), or scale the inputs, for example by "
    "skrnn.preprocessing.StepTransformer(StandardScaler())."
)


@contextmanager
def calculating():
    """BLAS on one thread; what overflows is dealt with where it shows."""
    with one_thread, np.errstate(over="ignore", invalid="ignore", under="ignore"):
        yield


stateless = lru_cache(make_network)  # for what needs no working memory
STREAMS = WeakKeyDictionary()  # of estimators, as long as these live


def set_parameters(estimator, given):
    """Set what an `__init__` was given, by its `locals()`."""
    for name, value in given.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)
