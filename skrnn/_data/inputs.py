"""X as sequences: parsed once, against what was learned of it at fit."""

from numbers import Integral
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skrnn._data.containers import (
    LAYOUT,
    kind_of,
    place_of,
    require_valid_steps,
    stack_items,
    stack_table,
    unwrap,
)
from skrnn._data.scaling import Scaling
from skrnn._data.sequences import Sequences, present_steps
from skrnn._typing import Booleans, Floats, Integers, Rows


class InputSchema(NamedTuple):
    """What X was at fit.

    `kind` is "tabular" or "sequences"; `n_features` the columns of a table or the features per step
    of sequences; `names` theirs, where all are strings; `width` the features per step of either.
    """

    kind: str
    n_features: int
    width: int
    names: list[str] | None = None

    def attributes(self) -> dict[str, Any]:
        """The fitted attributes of an estimator."""
        attributes: dict[str, Any] = {"n_features_in_": self.n_features}
        if self.names is not None:
            attributes["feature_names_in_"] = np.array(self.names, dtype=object)
        return attributes


def assign(estimator: Any, fitted: dict[str, Any]) -> None:
    """Set all fitted attributes, and remove the names of an earlier fit if there are none now."""
    estimator.__dict__.update(fitted)
    if "feature_names_in_" not in fitted:
        estimator.__dict__.pop("feature_names_in_", None)


class ParsedInput(NamedTuple):
    """X as sequences; the lengths it was given in, and which of these steps are present.

    `present` is None for all of them; what is `rectangular` came as one array.
    """

    sequences: Sequences
    lengths: Integers
    present: Booleans | None
    rectangular: bool

    def carried(self, values: Rows, first: Rows) -> Rows:
        """Values of all steps as given: a step that is absent has that of the previous one.

        Before the first step that is present, `first` (1, ...).
        """
        if self.present is None:
            return values
        latest = np.cumsum(self.present) - 1
        begun = latest >= np.repeat(self.sequences.starts, self.lengths)
        return np.concatenate([values, first])[np.where(begun, latest, len(values))]

    def boxed(self, values: Rows) -> Any:
        """Values of all steps as an array (n, T, ...) or an object array of arrays (T_i, ...)."""
        if self.rectangular:
            return values.reshape(len(self.lengths), -1, *values.shape[1:])
        boxes = np.empty(len(self.lengths), dtype=object)
        boxes[:] = np.split(values, np.cumsum(self.lengths)[:-1])
        return boxes


class Inputs(NamedTuple):
    """What was learned of X: its schema, the codes of its categorical features, their scaling.

    `scaling` is None where features are read as they are.
    """

    schema: InputSchema
    categorical: tuple[int, ...] = ()
    categories: list[Floats] | None = None
    scaling: Scaling | None = None

    def parse(self, estimator: Any, X: Any, dtype: Any) -> ParsedInput:
        """X of a later call as the net reads it, in its dtype."""
        parsed = self.parse_unscaled(estimator, X, dtype)
        return parsed._replace(sequences=self.scaled(parsed.sequences))

    def parse_unscaled(self, estimator: Any, X: Any, dtype: Any) -> ParsedInput:
        """X of a later call in the dtype of the net, its codes encoded."""
        parsed, _, _ = _parse(estimator, X, self.schema, self.categorical, dtype)
        return parsed._replace(sequences=self.encode(parsed.sequences))

    def scaled(self, sequences: Sequences) -> Sequences:
        """Features in units of their spread."""
        if self.scaling is None:
            return sequences
        return sequences.of(self.scaling.apply(sequences.values))

    def with_scaling(self, sequences: Sequences, weight: Floats) -> "Inputs":
        """Learn the spread of the features in the sequences to learn from."""
        return self._replace(scaling=Scaling.learn(sequences, weight, self.categorical))

    def named(self, features: list[int]) -> str:
        """Features by name, where they have names."""
        names = self.schema.names if self.schema.kind == "sequences" else None
        which = [names[j] if names else j for j in features]
        return f"Features {which} per step"

    def with_categories(self, sequences: Sequences) -> "Inputs":
        """Learn the codes of every categorical feature in the sequences to learn from."""
        if not self.categorical:
            return self
        steps = sequences.values[sequences.rows()]
        codes = [np.unique(steps[:, feature]) for feature in self.categorical]
        return self._replace(categories=codes)

    def encode(self, sequences: Sequences) -> Sequences:
        """Codes of categorical features as 0, 1, ..., and as the next number if not known."""
        return sequences.of(self.encode_steps(sequences.values)) if self.categorical else sequences

    def encode_steps(self, steps: Rows) -> Rows:
        steps = steps.copy()
        for feature, categories in zip(self.categorical, self.categories or [], strict=True):
            codes = steps[:, feature]
            idx = np.searchsorted(categories, codes).clip(max=len(categories) - 1)
            unknown = categories[idx] != codes
            steps[:, feature] = np.where(unknown, len(categories), idx)
        return steps

    def read_step(self, x: Rows) -> Rows:
        """One step (n, D) of n sequences as the net reads it."""
        if self.categorical:
            require_codes(x, np.ones(len(x), dtype=np.intp), self.categorical)
            x = self.encode_steps(x)
        return x if self.scaling is None else self.scaling.apply_to_few(x)

    def tables(self, embedding_dim: Any) -> tuple[tuple[int, int, int], ...]:
        """(feature, codes, dimension) of every embedding, one code more for those not known."""
        if not self.categorical:
            return ()
        n = len(self.categorical)
        dims = check_integers(embedding_dim, "embedding_dim", "categorical feature")
        dims = dims * n if len(dims) == 1 else dims
        if len(dims) != n:
            raise ValueError(
                f"embedding_dim={embedding_dim!r} has {len(dims)} numbers, but there are {n} "
                "categorical_features."
            )
        n_codes = [len(codes) + 1 for codes in self.categories or []]
        return tuple(zip(self.categorical, n_codes, dims, strict=True))


def learn_inputs(estimator: Any, X: Any) -> tuple[ParsedInput, Inputs]:
    """X of a first call, and what is learned of it but for the categories."""
    parsed, schema, categorical = _parse(estimator, X, None, None, None)
    return parsed, Inputs(schema, categorical)


def _parse(
    estimator: Any,
    X: Any,
    schema: InputSchema | None,
    categorical: tuple[int, ...] | None,
    dtype: Any,
) -> tuple[ParsedInput, InputSchema, tuple[int, ...]]:
    X = unwrap(X)
    steps, lengths, schema = parse_steps(
        estimator, X, estimator.features_per_step, schema, dtype=dtype
    )
    require_valid_steps(steps, lengths)
    if categorical is None:
        names = schema.names if schema.kind == "sequences" else None
        categorical = which_features(estimator.categorical_features, schema.width, names)
    require_codes(steps, lengths, categorical)
    present = present_steps(steps)
    sequences = Sequences.from_steps(steps, lengths, present)
    rectangular = schema.kind == "tabular" or getattr(X, "ndim", 0) == 3
    return ParsedInput(sequences, lengths, present, rectangular), schema, categorical


def parse_steps(
    estimator: Any, X: Any, D: int | None, schema: InputSchema | None, *, dtype: Any = None
) -> tuple[Rows, Integers, InputSchema]:
    """X as steps (sum of T_i, D) one below the other, the lengths T_i, and its schema.

    D is `features_per_step`. X is compared with `schema`, which is None at a first call.
    """
    X = unwrap(X)
    name, kind = type(estimator).__name__, kind_of(X, schema and schema.kind)
    if schema is not None and kind != schema.kind:
        raise ValueError(_WRONG_KIND[kind].format(name=name))
    if kind == "tabular":
        table, names = parse_table(estimator, X, schema)
        steps, lengths = stack_table(table, D)
        found = InputSchema(kind, table.shape[1], steps.shape[1], names)
    else:
        steps, lengths, names = stack_items(X)
        width = steps.shape[1]
        if D not in (None, width):
            raise ValueError(
                f"features_per_step={D}, but the sequences of X have steps of {width} features: "
                f"leave it at None for sequences. {LAYOUT}"
            )
        found = InputSchema(kind, width, width, _all_strings(names))
        if schema is not None:
            _compare_step_features(name, found, names, schema)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        steps = steps if dtype is None else steps.astype(dtype, copy=False)
    return steps, lengths, schema or found


def _all_strings(names: list[Any] | None) -> list[str] | None:
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return names


def _compare_step_features(
    name: str, found: InputSchema, names: list[Any] | None, schema: InputSchema
) -> None:
    if found.width != schema.width:
        raise ValueError(
            f"X has {found.width} features, but {name} is expecting {schema.width} features as "
            f"input at every step of a sequence. {LAYOUT}"
        )
    if names is not None and schema.names is not None and names != schema.names:
        raise ValueError(
            f"The frames of X have the columns {names}, but {name} was fitted on {schema.names}, "
            "and they must be in the same order."
        )


def parse_table(
    estimator: Any, X: Any, schema: InputSchema | None
) -> tuple[Rows, list[str] | None]:
    """A table as an array in float64 or float32, and the names of its columns.

    scikit-learn compares it with `schema`, on a stand-in: its checks write to the estimator.
    """
    stand_in = object.__new__(type(estimator))
    vars(stand_in).update(vars(estimator))
    for attribute in ("n_features_in_", "feature_names_in_"):
        vars(stand_in).pop(attribute, None)
    if schema is not None:
        vars(stand_in).update(schema.attributes())
    table = _validated(stand_in, X, reset=schema is None)
    names = getattr(stand_in, "feature_names_in_", None)
    return table, None if names is None else list(names)


def _validated(estimator: Any, X: Any, *, reset: bool) -> Rows:
    frame = nw.from_native(X, pass_through=True)
    check = {"dtype": [np.float64, np.float32], "order": "C", "ensure_all_finite": False}
    try:
        if isinstance(frame, nw.DataFrame) and not frame.implementation.is_pandas():
            # scikit-learn would make polars' float32 wider
            validate_data(estimator, X, skip_check_array=True, reset=reset)
            return check_array(frame.to_numpy(), **check)
        return validate_data(estimator, X, reset=reset, **check)
    except OverflowError:
        raise ValueError("X holds an integer that is too large for a float.") from None
    except ValueError as error:
        if "could not convert" in str(error):
            raise ValueError(_not_a_number(X)) from None
        if "setting an array element" not in str(error):
            raise
        raise ValueError(
            f"X is neither a table of numbers nor a list or column of sequences. {LAYOUT}"
        ) from None


def _not_a_number(X: Any) -> str:
    """Say which row of a table holds text."""
    for i, row in enumerate(np.atleast_1d(np.asarray(X, dtype=object))):
        try:
            np.asarray(row, dtype=np.float64)
        except (TypeError, ValueError) as error:
            return f"Sequence {i} is not made of numbers: {error}. Turn text into numbers first."
    return "X holds what is not a number."


_WRONG_KIND = {
    "tabular": (
        "X is a table of two dimensions, but this {name} was fitted on sequences. Reshape your "
        "data: X[None] if X is a single sequence (steps, features), or a list of sequences."
    ),
    "sequences": (
        "X holds sequences, but this {name} was fitted on a table of two dimensions whose rows are "
        "flattened sequences. Flatten each sequence into a row, or pad_sequences(X, flatten=True); "
        "or fit on sequences."
    ),
}


def which_features(features: Any, D: int, names: list[str] | None) -> tuple[int, ...]:
    """Numbers of features given by number, mask or name; None is none of them."""
    if features is None:
        return ()
    names = names or []
    numbers = _numbers_of(list(features), D, names)
    if numbers is not None and len(set(numbers)) == len(numbers):
        return numbers
    known = f", or of the names {names}" if names else ""
    raise ValueError(
        f"categorical_features={features!r} must be different numbers of features from 0 to "
        f"{D - 1}, or a mask of {D} booleans{known}."
    )


def _numbers_of(features: list[Any], D: int, names: list[str]) -> tuple[int, ...] | None:
    """The same where they are a mask, names or numbers; None where they are something else."""
    if len(features) == D and all(isinstance(f, (bool, np.bool_)) for f in features):
        return tuple(np.flatnonzero(features).tolist())
    if all(isinstance(f, str) and f in names for f in features):
        return tuple(names.index(f) for f in features)
    if all(_is_integer(f) and -D <= f < D for f in features):
        return tuple(int(f) % D for f in features)
    return None


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def require_codes(steps: Rows, lengths: Integers, features: tuple[int, ...]) -> None:
    """Refuse steps at which one of these features is no integer."""
    codes = steps[:, features]
    bad = ((codes != np.rint(codes)) & ~np.isnan(codes)).any(axis=1)
    if bad.any():
        raise ValueError(
            f"A categorical feature is no integer code: {place_of(lengths, bad)} has "
            f"{codes[bad.argmax()].tolist()}. Turn categories into integers, for example by "
            "skrnn.preprocessing.TokenEncoder, or by StepTransformer(OrdinalEncoder())."
        )


def check_integers(value: Any, name: str, of_what: str) -> tuple[int, ...]:
    """One integer or several, all >= 1, as a tuple."""
    values = [value] if np.ndim(value) == 0 else list(value)
    if not values or not all(isinstance(v, Integral) and int(v) >= 1 for v in values):
        raise ValueError(f"{name} must be integers >= 1, one per {of_what}, got {value!r}.")
    return tuple(int(v) for v in values)
