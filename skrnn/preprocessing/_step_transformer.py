"""StepTransformer: any transformer of tables, on the concatenated steps of all sequences."""

import copy
from collections.abc import Callable, Iterable
from functools import partial
from inspect import signature
from typing import Any, Self

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn import config_context, get_config
from sklearn.base import OneToOneFeatureMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import HasMethods, fit_context
from skrnn._data.containers import items_of
from skrnn._data.inputs import InputSchema, assign, parse_steps
from skrnn._data.numeric import known_table, numbers_of
from skrnn._data.sequences import present_steps
from skrnn._data.validation import check_sample_weight
from skrnn._parallel.host import computing
from skrnn._typing import Booleans, Floats, Integers, Rows
from skrnn.preprocessing._base import SequenceTransformer
from skrnn.preprocessing._containers import like_table


def _inner_has(name: str) -> Callable[[Any], bool]:
    def check(self: Any) -> bool:
        return hasattr(getattr(self, "transformer_", self.transformer), name)

    return check


class StepTransformer(SequenceTransformer):
    """Apply a transformer of tables to the steps of sequences.

    The steps of all sequences are concatenated to one table with one row per step; the transformer
    is fitted on it or applied to it, and the result is split again, into the container of X: a list
    of arrays becomes a list of arrays, an array (n, T, D) an array (n, T, n_outputs), a Series of
    arrays a Series with the same index, a list of frames a list of frames. Sequences of shape
    (T_i,) keep one dimension if the transformer returns one feature.

    A table (n, p) with one flattened sequence per row becomes such a table, and a frame becomes a
    frame of the same library. `set_output` chooses another output for tables; sequences are not
    affected.

    A step whose features are all NaN is absent: it is not passed to the transformer, and is NaN in
    the output. So sequences padded by NaN give the same result as ragged ones. A step that is
    partly NaN, and infinity, are left to the transformer: some impute, some refuse.

    Parameters
    ----------
    transformer : transformer
        Transformer of tables, with `fit` and `transform`, for example `StandardScaler()` or a
        pipeline.
    features_per_step : int or None, default=None
        Features D per step where X is a table of two dimensions: its rows are then p / D steps of D
        features, time-major (`X3.reshape(n, T * D)`). None is 1. Sequences know their D.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone of `transformer`.
    n_features_in_ : int
        Columns p of a table; features D per step for sequences.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Names of the columns, where X is a frame or holds frames, and they are all strings.

    See Also
    --------
    StepImputer : Imputes from the same sequence, not from the same step.
    skrnn.RNNClassifier : Accepts the same containers.
    skrnn.pad_sequences : Puts sequences into one array padded by NaN.

    Notes
    -----
    `transformer` is passed an array, float32 if that holds all values exactly, else float64; its
    output is converted to an array if it is sparse or a frame. It must return one row per step.

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

    _parameter_constraints: dict[str, Any] = {
        **SequenceTransformer._parameter_constraints,
        "transformer": [HasMethods(["fit", "transform"])],
    }

    transformer_: Any
    _n_outputs: int  # features per step of the output

    def __init__(self, transformer: Any, *, features_per_step: int | None = None):
        self.transformer = transformer
        self.features_per_step = features_per_step

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if not hasattr(self.transformer, "__sklearn_tags__"):  # which fit refuses
            return tags
        inner = get_tags(self.transformer)
        tags.input_tags.positive_only = inner.input_tags.positive_only
        tags.target_tags.required = inner.target_tags.required
        tags.transformer_tags = copy.copy(inner.transformer_tags or tags.transformer_tags)
        tags.non_deterministic = inner.non_deterministic
        return tags

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None, **metadata: Any
    ) -> Self:
        """Fit the transformer on the steps of all sequences.

        Parameters
        ----------
        X : {table (n, p), array (n, T, D), n sequences (T_i, D) or (T_i,)}
            As arrays or frames. Steps whose features are all NaN are left out.
        y : array-like of n targets, default=None
            For a transformer that uses targets: one per sequence, repeated for its steps; or one
            per step, n arrays as long as their sequences.
        sample_weight : array-like of shape (n,), default=None
            Weight of each sequence, repeated for its steps. Sequences of weight 0 are left out; the
            other weights are used if `transformer` supports weights.
        **metadata : dict
            Further arguments of the `fit` of `transformer`; those with one value per sequence, or
            one per step, are repeated as `y` is. With scikit-learn's metadata routing enabled,
            weights and metadata are routed where they are requested.

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
        inner = clone(self.transformer)
        return self._fit_steps(inner, "fit", None, X, y, sample_weight, metadata)

    @available_if(_inner_has("partial_fit"))
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None, **metadata: Any
    ) -> Self:
        """Continue fitting the transformer on the steps of further sequences.

        Parameters
        ----------
        X, y, sample_weight, **metadata : as in `fit`

        Returns
        -------
        self
            The fitted transformer. If fitting fails, it is exactly as it was before.
        """
        first = not hasattr(self, "transformer_")
        inner = clone(self.transformer) if first else copy.deepcopy(self.transformer_)
        schema = None if first else self._schema
        return self._fit_steps(inner, "partial_fit", schema, X, y, sample_weight, metadata)

    def _fit_steps(
        self,
        inner: Any,
        method: str,
        schema: InputSchema | None,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None,
        metadata: dict[str, Any],
    ) -> Self:
        with computing():
            steps, lengths, schema = self._parse(X, schema)
            weight = check_sample_weight(sample_weight, len(lengths))
            kept = _steps_to_fit(steps, lengths, weight)
        if sample_weight is not None:
            metadata = {**metadata, "sample_weight": weight}
        routed = self._metadata_for(inner, method, metadata)
        routed = {name: _of_steps(value, lengths, kept) for name, value in routed.items()}
        targets = [] if y is None else [_targets_of_steps(y, lengths)[kept]]
        with config_context(transform_output="default"):
            getattr(inner, method)(steps[kept], *targets, **routed)
        n_outputs = _rows(inner.transform, steps[[kept.argmax()]]).shape[1]
        fitted = {"_schema": schema, "transformer_": inner, "_n_outputs": n_outputs}
        assign(self, schema.attributes() | fitted)
        return self

    def get_metadata_routing(self) -> MetadataRouter:
        """Return where metadata are routed: to this transformer and to the inner one.

        Returns
        -------
        MetadataRouter
            As scikit-learn's user guide of metadata routing describes it.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping.add(caller="partial_fit", callee="partial_fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(transformer=self.transformer, method_mapping=mapping)

    def _metadata_for(self, inner: Any, method: str, metadata: dict[str, Any]) -> dict[str, Any]:
        """What the transformer requests; without routing all but weights that it does not take."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, method, **metadata)["transformer"][method]
        takes = signature(getattr(inner, method)).parameters
        return {k: v for k, v in metadata.items() if k != "sample_weight" or k in takes}

    def _parse(self, X: Any, schema: InputSchema | None) -> tuple[Rows, Integers, InputSchema]:
        """As in the base class, but infinity is left to the transformer."""
        return parse_steps(self, X, self.features_per_step, schema)

    def _transformed(self, X: Any) -> tuple[Rows, Integers]:
        """As in the base class, but the transformer may use all threads of BLAS."""
        with computing():
            steps, lengths, _ = self._parse(X, self._schema)
            present = present_steps(steps)
        return _map_present(self.transformer_.transform, steps, present, self._n_outputs), lengths

    @available_if(_inner_has("inverse_transform"))
    def inverse_transform(self, X: Any) -> Any:
        """Undo the transformation of the steps.

        Parameters
        ----------
        X : output of `transform`

        Returns
        -------
        sequences or table, in the container of X
            Steps as they were; those that are absent are NaN.
        """
        check_is_fitted(self)
        schema = self._schema_of_outputs()
        with computing():
            steps, lengths = self._parse_outputs(X, schema)
            present = present_steps(steps)
        steps = _map_present(
            self.transformer_.inverse_transform, steps, present, self._schema.width
        )
        names = partial(OneToOneFeatureMixin.get_feature_names_out, self)
        as_table = partial(like_table, find_names=names)
        return self._like(X, schema, steps, lengths, names, as_table)

    def _schema_of_outputs(self) -> InputSchema:
        """What `transform` returns."""
        n_steps = self.n_features_in_ // self._schema.width
        tabular = self._schema.kind == "tabular"
        width = self._n_outputs
        return InputSchema(self._schema.kind, n_steps * width if tabular else width, width)

    def _parse_outputs(self, X: Any, schema: InputSchema) -> tuple[Rows, Integers]:
        """Steps and lengths of what `transform` returned, whatever its columns are called."""
        frame = isinstance(known_table(X), nw.DataFrame)
        values = numbers_of(X, "X") if frame and schema.kind == "tabular" else X
        features_per_step = schema.width if schema.kind == "tabular" else None
        steps, lengths, _ = parse_steps(self, values, features_per_step, schema)
        return steps, lengths

    @available_if(_inner_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the outputs, made by the transformer from those of the inputs.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the inputs; None is `feature_names_in_`, else x0, x1, ...

        Returns
        -------
        ndarray of str
            For sequences, names of the features per step. For a table, names of all its columns:
            step by step those that the transformer makes from the names of the step's columns,
            prefixed by `step0_`, `step1_`, ... where they would not be unique.
        """
        return super().get_feature_names_out(input_features)

    def _names_of_outputs(self, names: NDArray[np.object_]) -> Iterable[str]:
        return self.transformer_.get_feature_names_out(names)


def _steps_to_fit(steps: Rows, lengths: Integers, weight: Floats) -> Booleans:
    """Which steps are present, in sequences of non-zero weight."""
    present = present_steps(steps)
    kept = np.repeat(weight > 0, lengths)
    kept = kept if present is None else kept & present
    if not kept.any():
        raise ValueError(
            "X has no step to learn from: in all sequences (of non-zero weight), the features of "
            "all steps are NaN."
        )
    return kept


def _targets_of_steps(y: Any, lengths: Integers) -> NDArray[Any]:
    """Targets per step: concatenated if they are given so, else repeated from one per sequence."""
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
    return np.repeat(np.asarray(y), lengths, axis=0)  # several targets per sequence


def _of_steps(value: Any, lengths: Integers, kept: Booleans) -> Any:
    """Metadata of sequences as metadata of the steps that are kept; any other unchanged."""
    sized = hasattr(value, "__len__") and not isinstance(value, (str, dict))
    if not sized or len(value) != len(lengths):
        return value
    return _targets_of_steps(value, lengths)[kept]


def _map_present(
    function: Callable[[Rows], Any], steps: Rows, present: Booleans | None, width: int
) -> Rows:
    """Output of a function of the present steps; NaN where steps are absent.

    `width` is that of the output, for steps that are all absent.
    """
    if present is None or present.all():
        return _rows(function, steps)
    if not present.any():
        return np.full((len(steps), width), np.nan, steps.dtype)
    values = _rows(function, steps[present])
    mapped = np.full((len(steps), values.shape[1]), np.nan, np.result_type(values, np.float32))
    mapped[present] = values
    return mapped


def _rows(function: Callable[[Rows], Any], steps: Rows) -> Rows:
    """Output of a function of steps as an array (n, features), even if it is sparse or a frame."""
    with config_context(transform_output="default"):
        output = function(steps)
    array = output.toarray() if issparse(output) else np.asarray(output)
    if array.ndim != 2 or len(array) != len(steps):
        raise ValueError(
            f"The transformer returned an output of shape {array.shape} for {len(steps)} steps: it "
            "must return a table with one row per step."
        )
    return array
