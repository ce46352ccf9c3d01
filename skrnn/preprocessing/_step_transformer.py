"""StepTransformer: any transformer of tables, on the steps of all sequences stacked."""

import copy
from functools import partial
from numbers import Integral
from typing import Any, Self

import narwhals as nw
import numpy as np
from scipy.sparse import issparse
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skrnn._compat import HasMethods, Interval, fit_context
from skrnn._sequences import items_of, unwrap
from skrnn._validation import check_sample_weight, read_steps, unchanged_on_error
from skrnn.preprocessing._containers import like_container, with_index_of


def _inner_has(name):
    def check(self):
        return hasattr(getattr(self, "transformer_", self.transformer), name)

    return check


class StepTransformer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Apply a transformer of tables to the steps of sequences.

    The steps of all sequences are stacked into one table, one row a step; the transformer is fitted
    on it or applied to it, and the result is cut back into the container that came in: a list of
    arrays gives a list of arrays, an array (n, T, D) an array (n, T, n_outputs), a Series of arrays
    a Series with the same index, a list of frames a list of frames. Sequences of shape (T_i,) stay
    so if the transformer gives one feature.

    A table (n, p) has one flattened sequence a row and gives such a table; a frame gives a frame of
    the same library. `set_output` chooses another output for tables; sequences are not affected.

    A step whose features are all NaN is absent: the transformer does not see it, and it comes back
    as NaN. So sequences padded by NaN give what ragged ones give. A step that is partly NaN, and
    infinity, are left to the transformer: some impute, some refuse.

    Parameters
    ----------
    transformer : transformer
        What has `fit` and `transform` for tables, for example `StandardScaler()`, or a pipeline of
        such.
    features_per_step : int or None, default=None
        Features D of a time step where X is a table of two dimensions: its rows are then p / D
        steps of D features, time-major (`X3.reshape(n, T * D)`). None is 1. Sequences know their D.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone of `transformer`.
    n_features_in_ : int
        Columns p of a table; features D of a step for sequences.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Names of the columns, where X is a frame or holds frames, and they are all strings.

    See Also
    --------
    skrnn.RNNClassifier : Takes the same containers.
    skrnn.pad_sequences : Sequences as one array padded by NaN.

    Notes
    -----
    `transformer` sees numbers alone, float32 if all sequences are, else float64; a sparse or a
    framed output is turned into an array. It must keep the rows: one step in, one step out.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skrnn.preprocessing import StepTransformer
    >>> X = [np.array([[1.0, 10.0], [3.0, 30.0]]), np.array([[2.0, 20.0]])]
    >>> scaler = StepTransformer(StandardScaler())
    >>> for x in scaler.fit_transform(X):
    ...     print(x.round(2))
    [[-1.22 -1.22]
     [ 1.22  1.22]]
    [[0. 0.]]
    >>> scaler.transformer_.mean_
    array([ 2., 20.])
    """

    _parameter_constraints: dict = {
        "transformer": [HasMethods(["fit", "transform"])],
        "features_per_step": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, transformer, *, features_per_step=None):
        self.transformer = transformer
        self.features_per_step = features_per_step

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.transformer)
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = inner.input_tags.positive_only
        tags.target_tags.required = inner.target_tags.required
        tags.transformer_tags = copy.copy(inner.transformer_tags or tags.transformer_tags)
        tags.non_deterministic = inner.non_deterministic
        return tags

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the transformer on the steps of all sequences.

        Parameters
        ----------
        X : {table (n, p), array (n, T, D), n sequences (T_i, D) or (T_i,)}
            As arrays or frames. Steps whose features are all NaN are left out.
        y : array-like of n targets, default=None
            For a transformer that wants targets: one a sequence, repeated for its steps; or one a
            step, where every target is as long as its sequence.
        sample_weight : array-like of shape (n,), default=None
            Weight of each sequence, repeated for its steps. Sequences of weight 0 are left out; the
            other weights count if `transformer` takes weights.

        Returns
        -------
        self
            The fitted transformer. If fitting fails, it is exactly as it was before.

        Raises
        ------
        ValueError
            If X, y or sample_weight is not as described, or no step is left.
        TypeError
            If `transformer` has no `fit` and `transform`.
        """
        with unchanged_on_error(self), config_context(transform_output="default"):
            steps, lengths = read_steps(self, X, self.features_per_step, reset=True)
            weight = np.repeat(check_sample_weight(sample_weight, len(lengths)), lengths)
            kept = ~_absent(steps) & (weight > 0)
            if not kept.any():
                raise ValueError(
                    "X has no step to learn from: in every sequence (of those with a weight), the "
                    "features of all steps are NaN."
                )
            inner = clone(self.transformer)
            targets = [] if y is None else [_targets_of_steps(y, lengths)[kept]]
            weighted = sample_weight is not None and has_fit_parameter(inner, "sample_weight")
            weights = {"sample_weight": weight[kept]} if weighted else {}
            inner.fit(steps[kept], *targets, **weights)
            one = _rows(inner.transform, steps[[kept.argmax()]])
            self._step_widths = steps.shape[1], one.shape[1]
            self.transformer_ = inner
        return self

    def transform(self, X: Any) -> Any:
        """Transform the steps of all sequences.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        sequences or table, in the container of X
            The steps transformed; those that are absent are NaN.
        """
        check_is_fitted(self)
        steps, lengths = read_steps(self, X, self.features_per_step, reset=False)
        steps = _map_present(self.transformer_.transform, steps, self._step_widths[1])
        if self._kind == "sequences":
            return _like_sequences(X, steps, lengths, self._names_out)
        table = steps.reshape(len(lengths), -1)
        config = getattr(self, "_sklearn_output_config", {})
        library = config.get("transform", get_config()["transform_output"])
        if library == "default":
            return _like_table(X, table, self._names_out)
        return _frame(library, X, table, self._names_out())

    @available_if(_inner_has("inverse_transform"))
    def inverse_transform(self, X: Any) -> Any:
        """Undo the transformation of the steps.

        Parameters
        ----------
        X : what `transform` gives

        Returns
        -------
        sequences or table, in the container of X
            Steps as they were; those that are absent are NaN.
        """
        check_is_fitted(self)
        D, outputs = self._step_widths
        reader = copy.copy(self)  # what transform gave is read as what it takes
        reader.n_features_in_ = self.n_features_in_ // D * outputs
        vars(reader).pop("feature_names_in_", None)
        frame = nw.from_native(X, pass_through=True)
        values = frame.to_numpy() if isinstance(frame, nw.DataFrame) else X
        features_per_step = outputs if self._kind == "tabular" else None
        steps, lengths = read_steps(reader, values, features_per_step, reset=False)
        steps = _map_present(self.transformer_.inverse_transform, steps, D)
        names = partial(OneToOneFeatureMixin.get_feature_names_out, self)
        if self._kind == "sequences":
            return _like_sequences(X, steps, lengths, names)
        return _like_table(X, steps.reshape(len(lengths), -1), names)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container of transformed tables; sequences come back as they came.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            "default" gives an array for an array and a frame for a frame; None changes nothing.

        Returns
        -------
        self
        """
        if transform not in (None, "default", "pandas", "polars"):
            raise ValueError(
                f"transform={transform!r}, expected 'default', 'pandas', 'polars' or None."
            )
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}  # clone keeps it by this name
        return self

    @available_if(_inner_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the outputs, made by the transformer from the names of the inputs.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the inputs; None is `feature_names_in_`, else x0, x1, ...

        Returns
        -------
        ndarray of str
            For sequences, names of the features of a step. For a table, names of all its columns:
            step for step those that the transformer makes from the names of the step's columns,
            with `step0_`, `step1_`, ... before them where they would not differ.
        """
        # the mixin's method is scikit-learn's check of input_features
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        steps = names.reshape(-1, self._step_widths[0])
        outputs = [self.transformer_.get_feature_names_out(step) for step in steps]
        flat = [name for step in outputs for name in step]
        if len(set(flat)) < len(flat):
            flat = [f"step{t}_{name}" for t, step in enumerate(outputs) for name in step]
        return np.array(flat, dtype=object)

    def _names_out(self):
        """Names of the outputs, None if the transformer cannot tell."""
        try:
            return self.get_feature_names_out()
        except (AttributeError, ValueError):
            return None


def _targets_of_steps(y, lengths):
    """One target a step: those of every sequence one below the other, or each repeated."""
    items = items_of(y)
    items = np.asarray(y) if items is None else items
    if len(items) != len(lengths):
        raise ValueError(
            f"X has {len(lengths)} sequences, but y has {len(items)} targets: found input "
            "variables with inconsistent numbers of samples."
        )
    if np.ndim(items[0]) == 0:
        return np.repeat(np.asarray(y), lengths, axis=0)
    counts = np.array([len(item) for item in items])
    if (counts == lengths).all():
        return np.concatenate([np.asarray(item) for item in items])
    if (counts != counts[0]).any():
        i = (counts != lengths).argmax()
        raise ValueError(
            f"Sequence {i} has {lengths[i]} steps, but y[{i}] has {counts[i]} targets."
        )
    return np.repeat(np.asarray(y), lengths, axis=0)


def _absent(steps):
    return np.isnan(steps).all(axis=1)


def _map_present(function, steps, width):
    """Rows of a function of the steps that are there; NaN, `width` wide, where there are none."""
    absent = _absent(steps)
    if absent.all():
        return np.full((len(steps), width), np.nan, steps.dtype)
    if not absent.any():
        return _rows(function, steps)
    values = _rows(function, steps[~absent])
    mapped = np.full((len(steps), values.shape[1]), np.nan, np.result_type(values, np.float32))
    mapped[~absent] = values
    return mapped


def _rows(function, steps):
    """A function of steps, be what it gives sparse or a frame, as an array (n, features)."""
    with config_context(transform_output="default"):
        output = function(steps)
    array = output.toarray() if issparse(output) else np.asarray(output)
    if array.ndim != 2 or len(array) != len(steps):
        raise ValueError(
            f"The transformer gave an output of shape {array.shape} for {len(steps)} steps: it "
            "must give a table of one row for every step."
        )
    return array


# Back into the container that came in ----------------------------------------------------------


def _like_sequences(X, steps, lengths, names):
    """Steps one below the other as sequences in a container like X."""
    X = unwrap(X)
    if isinstance(X, np.ndarray) and X.ndim == 3:
        return steps.reshape(*X.shape[:2], steps.shape[1])
    names, parts = names(), np.split(steps, np.cumsum(lengths)[:-1])
    parts = [_like_item(item, part, names) for item, part in zip(items_of(X), parts, strict=True)]
    return like_container(X, parts)


def _like_item(item, steps, names):
    """Steps as one sequence like item: a frame if they have names, a Series, or an array."""
    array = steps[:, 0] if steps.shape[1] == 1 and np.ndim(item) == 1 else steps
    if isinstance(item, (np.ndarray, list, tuple)):
        return array
    known = nw.from_native(item, pass_through=True, allow_series=True)
    if isinstance(known, nw.DataFrame) and names is not None:
        return _frame(known.implementation, item, steps, names)
    if isinstance(known, nw.Series) and array.ndim == 1:
        series = nw.new_series(known.name, array, backend=known.implementation)
        return with_index_of(item, series)
    return array


def _like_table(X, table, names):
    """A table as a frame of the library of X, as an array if X is none or there are no names."""
    frame = nw.from_native(X, pass_through=True)
    names = names() if isinstance(frame, nw.DataFrame) else None
    return table if names is None else _frame(frame.implementation, X, table, names)


def _frame(library, X, values, names):
    """Values (n, features) as a frame of the library, with the index of X where there is one."""
    names = None if names is None else list(names)
    return with_index_of(X, nw.from_numpy(values, names, backend=library))
