"""What the transformers of sequences share: they read steps and give the container back."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import Interval, fit_context
from skrnn._data.containers import require_no_infinity
from skrnn._data.inputs import InputSchema, parse_steps
from skrnn._data.sequences import Sequences, present_steps
from skrnn.preprocessing._containers import frame_of, like_sequences, like_table


class SequenceTransformer(TransformerMixin, BaseEstimator):
    """A transformer that works on steps (sum of T_i, D), one below the other, and lengths T_i.

    A subclass has the parameter `features_per_step`. It defines `_transform_steps(steps, lengths)`,
    which gives steps and lengths, those of equally long sequences equal again; and, where they
    apply, `_learn` and `_names_of_outputs`.
    """

    _parameter_constraints: dict = {
        "features_per_step": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)

    def __sklearn_tags__(self):
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
        steps, lengths, schema = self._parse(X, None)
        self._assign(schema, self._learn(steps, lengths))
        return self

    def _assign(self, schema: InputSchema, learned: dict[str, Any]) -> None:
        """Set all fitted attributes at once."""
        fitted = {"_schema": schema, "_step_widths": (schema.width,)}
        vars(self).update(fitted | schema.attributes() | learned)
        if schema.names is None:
            vars(self).pop("feature_names_in_", None)

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
        steps, lengths, schema = self._parse(X, self._schema)
        steps, lengths = self._transform_steps(steps, lengths)
        if schema.kind == "sequences":
            return like_sequences(X, steps, lengths, self._names_out)
        return self._as_table(X, steps.reshape(len(lengths), -1))

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

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the outputs.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the inputs; None is `feature_names_in_`, else x0, x1, ...

        Returns
        -------
        ndarray of str
            For sequences, names of the features of a step. For a table, names of all its columns,
            step for step, with `step0_`, `step1_`, ... before them where they would not differ.
        """
        # the mixin's method is scikit-learn's check of input_features
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        steps = names.reshape(-1, self._step_widths[0])
        outputs = self._names_of_steps(steps)
        flat = [name for step in outputs for name in step]
        if len(set(flat)) < len(flat):
            flat = [f"step{t}_{name}" for t, step in enumerate(outputs) for name in step]
        return np.array(flat, dtype=object)

    def _parse(self, X, schema):
        steps, lengths, schema = parse_steps(self, X, self.features_per_step, schema)
        require_no_infinity(steps, lengths)
        return steps, lengths, schema

    def _learn(self, steps, lengths):
        """Fitted attributes that are learned from the steps; here none."""
        return {}

    def _names_of_steps(self, steps):
        """Names of what the steps of a table become, or of what any step of sequences does."""
        return [self._names_of_outputs(step) for step in steps]

    def _names_of_outputs(self, names):
        """Names of what a step becomes, from the names of its features."""
        return names

    def _names_out(self):
        """Names of the outputs, None if the transformer cannot tell."""
        try:
            return self.get_feature_names_out()
        except (AttributeError, ValueError):
            return None

    def _as_table(self, X, table):
        """A table in the container that is set for the output, else in that of X."""
        config = getattr(self, "_sklearn_output_config", {})
        library = config.get("transform", get_config()["transform_output"])
        if library == "default":
            return like_table(X, table, self._names_out)
        return frame_of(library, X, table, self._names_out())


def without_padding(steps, lengths):
    """Sequences without the absent steps at their ends; of length 0 where there are no others."""
    sequences, present = Sequences.stacked(steps, lengths), present_steps(steps)
    if present is None:
        return sequences
    rows = np.arange(len(steps))
    first = np.minimum.reduceat(np.where(present, rows, len(rows)), sequences.starts)
    last = np.maximum.reduceat(np.where(present, rows, -1), sequences.starts)
    return Sequences(steps, first, np.maximum(last - first + 1, 0))
