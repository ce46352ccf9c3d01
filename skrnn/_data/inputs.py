"""X as sequences: parsed once, against what was learned of it at fit."""

import warnings
from numbers import Integral
from typing import Any, NamedTuple, NoReturn

import narwhals as nw
import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skrnn._data.containers import (
    as_computed,
    is_nested_list,
    kind_of,
    place_of,
    require_container,
    series_of,
    stack_items,
    stack_table,
    unwrap,
    without_absent,
)
from skrnn._data.numeric import LAYOUT, known_table, numbers_of
from skrnn._data.scaling import Scaling
from skrnn._data.sequences import Sequences, blocks, starts_of
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
    """X as sequences without the steps that are absent, and as given.

    The values of `given` say which steps are present, None for all; what is `rectangular` came as
    one array.
    """

    sequences: Sequences
    given: Sequences
    rectangular: bool

    @property
    def lengths(self) -> Integers:
        """The lengths that X was given in."""
        return self.given.lengths

    @property
    def present(self) -> Booleans | None:
        """Which steps are present, sequence by sequence, None for all."""
        return None if self.given.values is None else self.given.apart().values

    def carried(self, values: Rows, first: Rows) -> Rows:
        """Values of all steps as given: a step that is absent has that of the previous one.

        Before the first step that is present, `first` (1, ...).
        """
        present = self.present
        if present is None:
            return values
        latest = np.cumsum(present) - 1
        begun = latest >= np.repeat(starts_of(self.sequences.lengths), self.lengths)
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

    def named(self, features: list[int]) -> str:
        """Features by name, where they have names."""
        names = self.schema.names if self.schema.kind == "sequences" else None
        which = [names[j] if names else j for j in features]
        return f"Features {which} per step"

    def with_categories(self, sequences: Sequences) -> "Inputs":
        """Learn the codes of every categorical feature in the sequences to learn from."""
        if not self.categorical:
            return self
        steps, is_read = sequences.values, sequences.times_read() > 0
        found = [
            [np.unique(steps[rows, feature][is_read[rows]]) for rows in blocks(len(steps))]
            for feature in self.categorical
        ]
        return self._replace(categories=[np.unique(np.concatenate(codes)) for codes in found])

    def encode(self, sequences: Sequences) -> Sequences:
        """Codes of categorical features as 0, 1, ..., and as the next number if not known."""
        return sequences.of(self.encode_steps(sequences.values)) if self.categorical else sequences

    def encode_steps(self, steps: Rows) -> Rows:
        steps = steps.copy()
        for feature, categories in zip(self.categorical, self.categories or [], strict=True):
            for rows in blocks(len(steps)):
                codes = steps[rows, feature]
                idx = np.searchsorted(categories, codes).clip(max=len(categories) - 1)
                unknown = categories[idx] != codes
                steps[rows, feature] = np.where(unknown, len(categories), idx)
        return steps

    def read_step(self, x: Rows) -> Rows:
        """One step (n, D) of n sequences as the net reads it."""
        if self.categorical:
            require_codes(Sequences.stacked(x, np.ones(len(x), np.intp)), self.categorical)
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
    series, starts = series_of(X)
    steps, lengths, schema = parse_steps(
        estimator, series, estimator.features_per_step, schema, dtype=dtype
    )
    given = Sequences.stacked(steps, lengths)
    if len(starts):
        given = Sequences(steps, starts, np.full(len(X), X.shape[1]))
    sequences, present = without_absent(given)
    if categorical is None:
        names = schema.names if schema.kind == "sequences" else None
        categorical = which_features(estimator.categorical_features, schema.width, names)
    require_codes(given, categorical)
    rectangular = isinstance(X, np.ndarray) and (X.ndim == 3 or X.dtype != object)
    if schema.kind == "tabular":  # but for nested lists of other lengths
        rectangular = bool((lengths == schema.n_features // schema.width).all())
    return ParsedInput(sequences, given.of(present), rectangular), schema, categorical


def parse_steps(
    estimator: Any, X: Any, D: int | None, schema: InputSchema | None, *, dtype: Any = None
) -> tuple[Rows, Integers, InputSchema]:
    """X as steps (sum of T_i, D) one below the other, the lengths T_i, and its schema.

    D is `features_per_step`. X is compared with `schema`, which is None at a first call.
    """
    X, name = unwrap(X), type(estimator).__name__
    kind, X = read_as(X, schema, name)
    if kind == "tabular":
        table, names = parse_table(estimator, X, schema, dtype=dtype, hint=_hint_for(X))
        steps, lengths = stack_table(table, D)
        found = InputSchema(kind, table.shape[1], steps.shape[1], names)
    else:
        steps, lengths, names = stack_items(X, dtype)
        width = steps.shape[1]
        if D not in (None, width):
            raise ValueError(
                f"features_per_step={D}, but the sequences of X have steps of {width} features: "
                f"leave it at None for sequences. {LAYOUT}"
            )
        found = InputSchema(kind, width, width, _all_strings(names))
        if schema is not None:
            _compare_step_features(name, found, names, schema)
        elif D is None and width > 1 and (lengths == 1).all():
            warnings.warn(_ONE_STEP, stacklevel=2)
    return steps, lengths, schema or found


def read_as(X: Any, schema: InputSchema | None, name: str) -> tuple[str, Any]:
    """Kind that X is read as, and X: a row for what was fitted on sequences becomes one of them.

    Nested lists are rows of any lengths where a step has one feature: a table if all are as long
    as those of the fit.
    """
    require_container(X)
    kind = kind_of(X, schema and schema.kind)
    if kind == "tabular" and getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        raise ValueError(_PANEL)
    if schema is None:
        return kind, X
    if schema.kind == "sequences" and isinstance(X, (np.ndarray, list, tuple)):
        X, one_row = _as_one_row(X, kind, schema.width)
        kind = "sequences" if one_row else kind
    elif schema.width == 1 and is_nested_list(X):
        return "tabular" if {len(row) for row in X} == {schema.n_features} else "sequences", X
    if kind != schema.kind:
        _refuse_kind(X, kind, name, schema)
    return kind, X


def _as_one_row(X: Any, kind: str, D: int) -> tuple[Any, bool]:
    """An array or a list of shape (1, D) as one sequence of one step; any other as it is."""
    if isinstance(X, np.ndarray):
        one_row = kind == "tabular" and X.shape == (1, D)
        return (X[None] if one_row else X), one_row
    one_row = D > 1 and len(X) == 1 and is_nested_list(X) and len(X[0]) == D
    return ([X] if one_row else X), one_row


def _hint_for(X: Any) -> str:
    return LONG if isinstance(known_table(X), nw.DataFrame) else ""


def _refuse_kind(X: Any, kind: str, name: str, schema: InputSchema) -> NoReturn:
    """Say how X has to be passed to what was fitted on the other kind."""
    if kind == "sequences":
        raise ValueError(_WRONG_KIND["sequences"].format(name=name))
    if isinstance(known_table(X), nw.DataFrame):
        raise ValueError(_WRONG_KIND["frame"].format(name=name))
    array = numbers_of(X, "X")
    if array.ndim == 0:
        raise ValueError(f"X is {X!r:.40}, not sequences. {LAYOUT}")
    if array.ndim == 1:
        one = "[x]" if schema.width == 1 else "x[None]"
        what = "sequence of one feature" if schema.width == 1 else "step of all features"
        raise ValueError(_WRONG_KIND["row"].format(name=name, one=one, what=what))
    raise ValueError(_WRONG_KIND["tabular"].format(name=name))


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
    estimator: Any, X: Any, schema: InputSchema | None, *, dtype: Any = None, hint: str = ""
) -> tuple[Rows, list[str] | None]:
    """A table as an array in this dtype or that in which it is computed, and its columns' names.

    scikit-learn compares it with `schema`, on a stand-in: its checks write to the estimator.
    Messages about what is no number end in `hint`.
    """
    stand_in = object.__new__(type(estimator))
    vars(stand_in).update(vars(estimator))
    for attribute in ("n_features_in_", "feature_names_in_"):
        vars(stand_in).pop(attribute, None)
    if schema is not None:
        vars(stand_in).update(schema.attributes())
    _refuse_sparse(X)
    checked = check_array(
        numbers_of(X, "X", hint),
        dtype=None,
        ensure_all_finite=False,
        input_name="X",
        estimator=estimator,
    )
    validate_data(stand_in, X, skip_check_array=True, reset=schema is None)
    names = getattr(stand_in, "feature_names_in_", None)
    return as_computed(checked, dtype), None if names is None else list(names)


def _refuse_sparse(X: Any) -> None:
    """Refuse what is sparse, as scikit-learn does; a frame without columns says that it is."""
    of_frame = hasattr(X, "sparse") and X.shape[1] > 0
    if of_frame or hasattr(X, "toarray"):
        dense = "X.sparse.to_dense()" if of_frame else "X.toarray()"
        raise TypeError(f"Sparse data was passed for X, but dense data is required: pass {dense}.")


_WRONG_KIND = {
    "tabular": (
        "X is a table of two dimensions, but this {name} was fitted on sequences. Reshape your "
        "data: X[None] if X is a single sequence (steps, features), or a list of sequences."
    ),
    "frame": (
        "X is a frame, which is a table of two dimensions, but this {name} was fitted on "
        "sequences. Pass [X] if X is a single sequence (steps, features), else a list of frames; "
        "skrnn.preprocessing.from_long makes sequences of a long frame."
    ),
    "row": (
        "X has one dimension, but this {name} was fitted on sequences. Reshape your data: {one} if "
        "it is a single {what}, or pass a list of sequences."
    ),
    "sequences": (
        "X holds sequences, but this {name} was fitted on a table of two dimensions whose rows are "
        "flattened sequences. Flatten each sequence into a row, or pad_sequences(X, flatten=True); "
        "or fit on sequences."
    ),
}
LONG = (
    "If X is a long frame, one row per step, skrnn.preprocessing.from_long(X, id=..., time=...) "
    "makes sequences of it."
)
_PANEL = (
    "X is a frame with a MultiIndex, as sktime's panels, and would be read as a table, one "
    "sequence per row. Pass [group.droplevel(0) for _, group in X.groupby(level=0)], or "
    "skrnn.preprocessing.from_long(X.reset_index(), id=..., time=...); or X.reset_index(drop=True) "
    "if it is a table."
)
_ONE_STEP = (
    "Every sequence of X has one step of several features. If X is laid out as (n, channels, "
    "time), as in aeon and sktime, pass X.transpose(0, 2, 1), or x.T for every x of a list. If one "
    "step is meant, features_per_step=D, the number of features, says so."
)


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


def require_codes(sequences: Sequences, features: tuple[int, ...]) -> None:
    """Refuse steps at which one of these features is no integer; of sequences as given."""
    steps = sequences.values
    bad = np.zeros(len(steps), bool)
    for feature in features:
        codes = steps[:, feature]
        bad |= (codes != np.rint(codes)) & ~np.isnan(codes)
    if bad.any():
        raise ValueError(
            f"A categorical feature is no integer code: {place_of(sequences, bad)} has "
            f"{steps[bad.argmax(), features].tolist()}. Turn categories into integers, for example "
            "by skrnn.preprocessing.TokenEncoder, or by StepTransformer(OrdinalEncoder())."
        )


def check_integers(value: Any, name: str, of_what: str) -> tuple[int, ...]:
    """One integer or several, all >= 1, as a tuple."""
    values = [value] if np.ndim(value) == 0 else list(value)
    if not values or not all(_is_integer(v) and int(v) >= 1 for v in values):
        raise ValueError(f"{name} must be integers >= 1, one per {of_what}, got {value!r}.")
    return tuple(int(v) for v in values)
