"""What transformers of sequences share: they parse X into steps and return its container."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import Interval, fit_context
from skrnn._data.containers import require_no_infinity, unwrap
from skrnn._data.inputs import InputSchema, assign, parse_steps, read_as
from skrnn._data.sequences import Sequences, present_steps
from skrnn._parallel.host import computing
from skrnn._typing import Integers, Rows
from skrnn.preprocessing._containers import (
    Names,
    Transformer,
    frame_of,
    like_rows,
    like_sequences,
    like_table,
)


class SequenceTransformer(Transformer):
    """A transformer that works on the concatenated steps (sum of T_i, D) and the lengths T_i.

    A subclass has the parameter `features_per_step`. It defines `_transform_steps`, or overrides
    `_transformed`; and it overrides `_learn` and `_names_of_outputs` where they apply.
    """

    _parameter_constraints: dict[str, Any] = {
        "features_per_step": [Interval(Integral, 1, None, closed="left"), None],
    }

    features_per_step: int | None
    _schema: InputSchema
    _sklearn_output_config: dict[str, str]  # of `set_output`; clone copies it by this name

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the steps of all sequences.

        Parameters
        ----------
        X : {table (n, p), array (n, T, D), n sequences (T_i, D) or (T_i,)}
            As arrays or frames. Steps whose features are all NaN are absent.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted transformer. If fitting fails, it is exactly as it was before.

        Raises
        ------
        ValueError
            If X is not as described, or holds infinity.
        """
        with computing():
            steps, lengths, schema = self._parse(X, None)
            learned = self._learn(steps, lengths)
        assign(self, schema.attributes() | {"_schema": schema} | learned)
        return self

    def transform(self, X: Any) -> Any:
        """Transform sequences.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        sequences or table, in the container of X
            Steps that are absent are NaN.
        """
        check_is_fitted(self)
        steps, lengths = self._transformed(X)
        return self._like(X, self._schema, steps, lengths, self._names_out, self._as_table)

    def set_output(
        self, *, transform: Literal["default", "pandas", "polars"] | None = None
    ) -> Self:
        """Choose the container of transformed tables; sequences keep theirs.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            "default" returns an array for an array and a frame for a frame; None changes nothing.

        Returns
        -------
        self
        """
        if transform not in (None, "default", "pandas", "polars"):
            raise ValueError(
                f"transform={transform!r}, expected 'default', 'pandas', 'polars' or None."
            )
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the outputs.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the inputs; None is `feature_names_in_`, else x0, x1, ...

        Returns
        -------
        ndarray of str
            For sequences, names of the features per step. For a table, names of all its columns,
            step by step, prefixed by `step0_`, `step1_`, ... where they would not be unique.
        """
        # the mixin's method is scikit-learn's check of input_features
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        outputs = self._names_of_steps(names.reshape(-1, self._schema.width))
        flat = [name for step in outputs for name in step]
        if len(set(flat)) < len(flat):
            flat = [f"step{t}_{name}" for t, step in enumerate(outputs) for name in step]
        return np.array(flat, dtype=object)

    def _parse(self, X: Any, schema: InputSchema | None) -> tuple[Rows, Integers, InputSchema]:
        """Steps, lengths and schema of X, which is compared with `schema` if there is one."""
        steps, lengths, schema = parse_steps(self, X, self.features_per_step, schema)
        require_no_infinity(Sequences.stacked(steps, lengths))
        return steps, lengths, schema

    def _learn(self, steps: Rows, lengths: Integers) -> dict[str, Any]:
        """Fitted attributes that are learned from the steps; here none."""
        return {}

    def _transformed(self, X: Any) -> tuple[Rows, Integers]:
        """Transformed steps of X, and lengths."""
        with computing():
            steps, lengths, _ = self._parse(X, self._schema)
            return self._transform_steps(steps, lengths)

    @abstractmethod
    def _transform_steps(self, steps: Rows, lengths: Integers) -> tuple[Rows, Integers]:
        """Transformed steps and lengths; sequences of equal lengths must keep equal lengths."""

    def _names_of_steps(self, steps: NDArray[np.object_]) -> Sequence[Iterable[str]]:
        """Names of the outputs of each step of a table, or of any step of sequences."""
        return [self._names_of_outputs(step) for step in steps]

    def _names_of_outputs(self, names: NDArray[np.object_]) -> Iterable[str]:
        """Names of the outputs of a step, from the names of its features."""
        return names

    def _names_out(self) -> NDArray[np.object_] | None:
        """Names of the outputs, None if the transformer does not know them."""
        try:
            return self.get_feature_names_out()
        except (AttributeError, ValueError):
            return None

    def _like(
        self,
        X: Any,
        schema: InputSchema,
        steps: Rows,
        lengths: Integers,
        find_names: Callable[[], Names | None],
        as_table: Callable[[Any, Rows], Any],
    ) -> Any:
        """Steps in a container like X, which is of that schema."""
        kind, X = read_as(unwrap(X), schema, type(self).__name__)
        if kind == "tabular":
            return as_table(X, steps.reshape(len(lengths), -1))
        if schema.kind == "tabular":
            return like_rows(X, steps, lengths)
        return like_sequences(X, steps, lengths, find_names)

    def _as_table(self, X: Any, table: Rows) -> Any:
        """A table in the container chosen by `set_output`, else in that of X."""
        config = getattr(self, "_sklearn_output_config", {})
        library = config.get("transform", get_config()["transform_output"])
        if library == "default":
            return like_table(X, table, self._names_out)
        return frame_of(library, X, table, self._names_out())


def without_padding(steps: Rows, lengths: Integers) -> Sequences:
    """Sequences without the absent steps at their ends; empty if all their steps are absent."""
    sequences, present = Sequences.stacked(steps, lengths), present_steps(steps)
    if present is None:
        return sequences
    rows = np.arange(len(steps))
    first = np.minimum.reduceat(np.where(present, rows, len(rows)), sequences.starts)
    last = np.maximum.reduceat(np.where(present, rows, -1), sequences.starts)
    return Sequences(steps, first, np.maximum(last - first + 1, 0))
