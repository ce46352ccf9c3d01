"""Random calls of all that is public, kinds x dtypes x methods x parameters, and their judge."""

import datetime as dt
import io
import pickle
import re
import warnings
from collections import deque
from contextlib import suppress
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, UndefinedMetricWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import StandardScaler

from _factories import NAMES, NUMPYS_WORDS, objects, replaced, state
from skrnn import RNNClassifier, RNNRegressor, as_sequences, pad_sequences
from skrnn.metrics import step_scorer
from skrnn.preprocessing import (
    SequencePadder,
    SequencesFromLong,
    SequenceShortener,
    SlidingWindows,
    StepImputer,
    StepTransformer,
    TokenEncoder,
    from_long,
    make_windows,
    to_long,
)


class Draw:
    """What is drawn at random; the same for the same seeds."""

    def __init__(self, *seeds):
        self.rng = np.random.default_rng(seeds)

    def of(self, options):
        options = list(options)
        return options[self.rng.integers(len(options))]

    def chance(self, p):
        return self.rng.random() < p

    def which(self, options):
        """One of the entries of a dict: its key and value."""
        key = self.of(options)
        return key, options[key]


# values ---------------------------------------------------------------------------------------

DTYPES = (
    *("f8", "f8", "f8", "f4", "f2", "longdouble", ">f4", "complex", "?", "O", "U", "S", "V8"),
    *("i1", "i8", "u1", "u8", ">i8", "M8[D]", "M8[ns]", "m8[s]"),
)
ODD = {
    "NaN": np.nan,
    "inf": np.inf,
    "-inf": -np.inf,
    "1e300": 1e300,
    "-1e300": -1e300,
    "1e-320": 1e-320,
    "huge integer": 10**400,
    "None": None,
    "pd.NA": pd.NA,
    "NaT": pd.NaT,
    "date": dt.date(2020, 1, 1),
    "time": dt.time(1),
    "duration": dt.timedelta(1),
    "Timestamp": pd.Timestamp("2020"),
    "Period": pd.Period("2020"),
    "text": "a",
    "number as text": "1.5",
    "bytes": b"a",
    "complex": 1 + 2j,
    "list": [1.0, 2.0],
    "tuple": (1.0,),
    "array": np.ones(2),
    "dict": {"a": 1},
    "object": object,
    "Decimal": Decimal("1.5"),
    "masked": np.ma.masked,
    "True": True,
}


def in_dtype(array, dtype):
    """The same values in a dtype, as near as they can be."""
    array = np.abs(array) * 9 if dtype in ("u1", "u8", "?") else array
    if dtype[0] in "Mm":
        return (array * 100).astype("i8").astype(dtype)
    if dtype == "V8":
        return array.astype([("a", "f4"), ("b", "f4")])
    return array.astype(dtype)


def spoiled(draw, array):
    """The same with one odd value, and its name."""
    if not array.size:
        return "", array
    name, value = draw.which(ODD)
    idx = tuple(draw.rng.integers(size) for size in array.shape)
    if name == "NaN" and draw.chance(0.5) and array.ndim > 1:
        idx = idx[:-1]  # a whole step
    if isinstance(value, float) and array.dtype.kind == "f":
        array = array.copy()
        with np.errstate(over="ignore"):
            array[idx] = value
        return name, array
    if name == "masked":
        array = np.ma.array(array)
        array[idx] = np.ma.masked
        return name, array
    array = array.astype(object)
    if array.ndim:
        array[idx] = objects([value])[0] if not isinstance(value, list) else value
    return name, array


# X --------------------------------------------------------------------------------------------

WIDTHS = {"table": 2, "univariate": 1, "sequences": 2, "coded": 2}
ODD_ITEMS = {
    "wider": lambda x: np.ones((3, 3)),
    "narrower": lambda x: np.ones((3, 1)),
    "flat": lambda x: np.ones(3),
    "empty": lambda x: x[:0],
    "no features": lambda x: np.ones((3, 0)),
    "0-d": lambda x: np.array(1.0),
    "3-D": lambda x: x[None],
    "None": lambda x: None,
    "scalar": lambda x: 1.0,
    "text": lambda x: "abc",
    "dict": lambda x: {"a": [1.0]},
    "nothing": lambda x: [],
    "ragged": lambda x: [[1.0], [1.0, 2.0]],
    "all NaN": lambda x: np.full(np.shape(x), np.nan),
    "a frame": lambda x: pd.DataFrame(x, columns=list("ab")[: x.shape[1]]),
    "sparse": sparse.csr_array,
    "sequences": lambda x: objects([x, x]),
}


def stacked(items):
    return np.ma.stack(items) if any(map(np.ma.isMaskedArray, items)) else np.stack(items)


def flat(items):
    """Sequences of equal length as the rows of a table."""
    cube = stacked(items)
    return cube.reshape(len(cube), -1)


def columns_of(table):
    return [f"c{j}" for j in range(np.shape(table)[1])]


def frame(items, library=pd, **options):
    table = flat(items)
    names = columns_of(table)
    return library.DataFrame(dict(zip(names, table.T, strict=True)), **options)


def long_frame(items):
    rows = [(f"s{i}", t, *x) for i, item in enumerate(items) for t, x in enumerate(item)]
    return pd.DataFrame(rows, columns=["id", "time", *columns_of(items[0])])


def memmap(array):
    """An array in a file, which nobody may write to."""
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        np.save(file, array)
        file.flush()
        return np.load(file.name, mmap_mode="r")


def polars_lists(items):
    """A column of lists, unless polars would panic."""
    if any(item.dtype.kind in "cVSO" for item in items):
        raise TypeError
    return pl.Series([item.tolist() for item in items])


def renamed(table, names):
    table.columns = names
    return table


EQUAL = {  # containers of sequences of equal lengths
    "3-D array": stacked,
    "3-D in Fortran's order": lambda items: np.asfortranarray(stacked(items)),
    "3-D of every other step": lambda items: np.repeat(stacked(items), 2, axis=1)[:, ::2],
    "2-D array": flat,
    "2-D memmap": lambda items: memmap(flat(items)),
    "3-D memmap": lambda items: memmap(stacked(items)),
    "matrix": lambda items: np.asmatrix(flat(items)),
    "masked 3-D": lambda items: np.ma.array(stacked(items)),
    "nested rows": lambda items: flat(items).tolist(),
    "tuple of rows": lambda items: tuple(map(tuple, flat(items).tolist())),
    "pandas frame": frame,
    "pandas frame, integer names": lambda items: pd.DataFrame(flat(items)),
    "pandas frame, same names": lambda items: renamed(frame(items), ["c"] * flat(items).shape[1]),
    "pandas frame, mixed names": lambda items: renamed(
        frame(items), [0, *columns_of(flat(items))[1:]]
    ),
    "pandas nullable": lambda items: frame(items).convert_dtypes(),
    "pandas pyarrow": lambda items: frame(items).convert_dtypes(dtype_backend="pyarrow"),
    "pandas categories": lambda items: frame(items).astype("category"),
    "pandas sparse": lambda items: frame(items).astype(pd.SparseDtype("f8")),
    "pandas MultiIndex": lambda items: frame(items).set_index(
        pd.MultiIndex.from_arrays([np.arange(len(items)) // 2, np.arange(len(items))])
    ),
    "polars frame": lambda items: frame(items, pl, strict=False),
    "polars lazy": lambda items: frame(items, pl).lazy(),
    "pyarrow table": lambda items: pa.Table.from_pandas(frame(items), preserve_index=False),
    "csr": lambda items: sparse.csr_array(flat(items)),
    "coo matrix": lambda items: sparse.coo_matrix(flat(items)),
    "one column of the frame": lambda items: frame(items)["c0"],
    "flat array": lambda items: flat(items)[:, 0],
    "4-D array": lambda items: stacked(items)[None],
    "no rows": lambda items: flat(items)[:0],
    "no columns": lambda items: flat(items)[:, :0],
    "frame without columns": lambda items: frame(items).iloc[:, :0],
    "frame without rows": lambda items: frame(items).iloc[:0],
    "no sequences": lambda items: stacked(items)[:0],
    "no steps": lambda items: stacked(items)[:, :0],
}
ANY = {  # containers of sequences of any lengths
    "list": list,
    "tuple": tuple,
    "object array": objects,
    "column of objects": lambda items: objects(items, (-1, 1)),
    "row of objects": lambda items: objects(items, (1, -1)),
    "nested lists": lambda items: [item.tolist() for item in items],
    "nested tuples": lambda items: tuple(tuple(map(tuple, item.tolist())) for item in items),
    "lists of rows": lambda items: [list(item) for item in items],
    "flat lists": lambda items: [item.ravel().tolist() for item in items],
    "flat arrays": lambda items: [item.ravel() for item in items],
    "list of frames": lambda items: (
        [frame([x[:, None]]) for x in items]
        and [pd.DataFrame(x, columns=list("ab")[: x.shape[1]]) for x in items]
    ),
    "list of nullable frames": lambda items: [
        pd.DataFrame(x, columns=list("ab")[: x.shape[1]]).convert_dtypes() for x in items
    ],
    "list of pyarrow frames": lambda items: [
        pd.DataFrame(x, columns=list("ab")[: x.shape[1]]).convert_dtypes(dtype_backend="pyarrow")
        for x in items
    ],
    "list of polars frames": lambda items: [
        pl.DataFrame(x, schema=list("ab")[: x.shape[1]]) for x in items
    ],
    "list of tables": lambda items: [
        pa.table({f"c{j}": x[:, j] for j in range(x.shape[1])}) for x in items
    ],
    "list of Series": lambda items: [pd.Series(x[:, 0]) for x in items],
    "list of polars Series": lambda items: [pl.Series(x[:, 0]) for x in items],
    "list of masked": lambda items: [np.ma.array(x) for x in items],
    "list of sparse": lambda items: [sparse.csr_array(x) for x in items],
    "Series of arrays": lambda items: pd.Series(items),
    "Series of lists": lambda items: pd.Series([x.tolist() for x in items]),
    "frame of arrays": lambda items: pd.DataFrame({"x": items}),
    "frame of columns": lambda items: pd.DataFrame(
        {"a": [x[:, 0] for x in items], "b": [x[:, -1] for x in items]}
    ),
    "polars lists": lambda items: polars_lists(items),
    "polars frame of lists": lambda items: pl.DataFrame({"x": polars_lists(items)}),
    "pyarrow lists": lambda items: pa.table({"x": [x.tolist() for x in items]}),
    "arrow-typed Series": lambda items: pd.Series(
        [x.tolist() for x in items],
        dtype=pd.ArrowDtype(pa.list_(pa.list_(pa.from_numpy_dtype(items[0].dtype)))),
    ),
    "generator": lambda items: (item for item in items),
    "iterator": iter,
    "map": lambda items: map(np.asarray, items),
    "deque": deque,
    "dict": lambda items: dict(enumerate(items)),
    "dict values": lambda items: dict(enumerate(items)).values(),
    "set": lambda items: {tuple(item.ravel().tolist()) for item in items},
    "groupby": lambda items: long_frame(items).groupby("id"),
    "long frame": long_frame,
    "one sequence": lambda items: items[0],
    "one sequence of frames": lambda items: pd.DataFrame(items[0]),
    "mixed kinds": lambda items: replaced([*items], pd.DataFrame(items[0]), 0),
}
TABLES = (
    "2-D array",
    "2-D memmap",
    "nested rows",
    "tuple of rows",
    "pandas frame",
    "pandas nullable",
    "pandas pyarrow",
    "polars frame",
    "pyarrow table",
)
SEQUENCES = (
    "list",
    "tuple",
    "object array",
    "column of objects",
    "nested lists",
    "nested tuples",
    "lists of rows",
    "list of frames",
    "list of nullable frames",
    "list of pyarrow frames",
    "list of polars frames",
    "list of tables",
    "list of masked",
    "Series of arrays",
    "Series of lists",
    "frame of arrays",
    "polars lists",
    "polars frame of lists",
    "arrow-typed Series",
)
NO_DATA = {
    "None": None,
    "text": "abc",
    "texts": ["ab", "c", "dd"],
    "bytes": b"abc",
    "scalar": 1.5,
    "NaN": np.nan,
    "bool": True,
    "0-d": np.array(1.0),
    "0-d object": np.array(None, dtype=object),
    "empty list": [],
    "empty array": np.array([]),
    "empty lists": [[], []],
    "list of None": [None, None, None],
    "object": object(),
    "type": list,
    "function": len,
    "range": range(6),
    "date": dt.date(2020, 1, 1),
    "masked": np.ma.masked,
    "numbers": [1.0, 2.0, 3.0],
    "polars Expr": pl.col("a"),
    "empty frame": pd.DataFrame(),
    "empty polars": pl.DataFrame(),
    "empty Series": pd.Series([], dtype=object),
}


class Drawn(NamedTuple):
    """A value, what it is in words, and how many sequences and steps it is meant to have."""

    value: Any
    told: str
    lengths: tuple[int, ...] = ()


def draw_X(draw, layout, *, clean=0.5, no_data=0.03):
    """X in any container and dtype; `clean` of them are in order."""
    if draw.chance(no_data):
        name, value = draw.which(NO_DATA)
        return Drawn(value, name)
    is_clean = draw.chance(clean)
    while True:
        items, told = _items(draw, layout, is_clean=is_clean)
        equal = len({_shape(x) for x in items}) == 1
        container = _container(draw, layout, equal, is_clean=is_clean)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                X = (EQUAL | ANY)[container](items)
        except Exception:
            continue  # that cannot be built
        lengths = tuple((*_shape(x), 0)[0] for x in items)
        return Drawn(X, f"{container} of {told}", lengths)


def _shape(x):
    return getattr(x, "shape", (1,))


def _container(draw, layout, equal, *, is_clean):
    if draw.chance(0.05 if is_clean else 0.3):
        return draw.of(EQUAL | ANY if equal else ANY)
    if layout == "table" and equal:
        return draw.of(TABLES)
    return draw.of([*SEQUENCES, *(["3-D array"] * 4 if equal else [])])


def _items(draw, layout, *, is_clean):
    n = draw.of([6, 6, 6, 6, 8, 8, 12, 12, 2, 1])
    D = WIDTHS[layout] if is_clean or draw.chance(0.8) else draw.of([1, 2, 3])
    equal = layout == "table" or draw.chance(0.4)
    lengths = [draw.of([3, 3, 3, 3, 1])] * n if equal else draw.rng.integers(1, 5, size=n).tolist()
    items = [draw.rng.normal(size=(T, D)) for T in lengths]
    if layout == "coded":
        items = [np.column_stack([x[:, :-1], draw.rng.integers(3, size=len(x))]) for x in items]
    dtype = draw.of(["f8", "f8", "f4", "i8", "u1", "?", "O"] if is_clean else DTYPES)
    items = [in_dtype(x, dtype) for x in items]
    told = f"{n} x {D} {dtype}" + ("" if equal else " ragged")
    if not is_clean and draw.chance(0.6):
        i = draw.rng.integers(n)
        name, item = spoiled(draw, items[i])
        items, told = replaced(items, item, i), f"{told}, {name} in {i}"
    if not is_clean and draw.chance(0.2):
        i = draw.rng.integers(n)
        name, change = draw.which(ODD_ITEMS)
        try:
            items, told = replaced(items, change(items[i]), i), f"{told}, {i} is {name}"
        except Exception:
            told = f"{told}"  # cannot be built
    return items, told


# y and what goes along with it ----------------------------------------------------------------

OF_ONE = {
    "array": np.asarray,
    "list": lambda y: y.tolist(),
    "tuple": lambda y: tuple(y.tolist()),
    "column": lambda y: np.reshape(y, (len(y), -1)),
    "Series": lambda y: pd.Series(y) if y.ndim == 1 else pd.DataFrame(y),
    "nullable": lambda y: pd.Series(y).convert_dtypes(),
    "pyarrow Series": lambda y: pd.Series(y).convert_dtypes(dtype_backend="pyarrow"),
    "category": lambda y: pd.Series(y, dtype="category"),
    "polars": lambda y: pl.Series(y) if y.ndim == 1 else pl.DataFrame(y),
    "arrow": lambda y: pa.array(y) if y.ndim == 1 else pa.table(dict(enumerate(y.T))),
    "objects": lambda y: y.astype(object),
    "masked": np.ma.array,
    "index": pd.Index,
    "frame": lambda y: pd.DataFrame({"y": y}),
}
ODD_ONE = {
    "sparse": lambda y: sparse.csr_array(np.atleast_2d(y)),
    "generator": lambda y: (v for v in y),
    "dict": lambda y: dict(enumerate(y)),
    "set": lambda y: set(y.ravel().tolist()),
    "too few": lambda y: y[:-1],
    "too many": lambda y: np.concatenate([y, y[:1]]),
    "3-D": lambda y: np.reshape(y, (len(y), -1, 1)),
    "row": lambda y: np.reshape(y, (1, -1)),
    "lists": lambda y: [[v] for v in y],
    "ragged": lambda y: [[v] * (i % 2 + 1) for i, v in enumerate(y)],
    "arrays": lambda y: objects([np.array([v]) for v in y]),
    "nothing": lambda y: y[:0],
    "one": lambda y: y[0],
    "two columns": lambda y: np.column_stack([y, y]),
    "dates": lambda y: np.arange(len(y)).astype("M8[D]"),
    "durations": lambda y: pd.Series(np.arange(len(y)).astype("m8[s]")),
    "texts": lambda y: np.array(["a", "b"])[np.arange(len(y)) % 2],
    "mixed": lambda y: objects([1 if i % 2 else "a" for i in range(len(y))]),
    "all one": lambda y: np.full(y.shape, y.ravel()[0]),
    "all NaN": lambda y: np.full(y.shape, np.nan),
    "huge": lambda y: np.where(np.ones(y.shape, bool), 1e308, 0) * (-1) ** np.arange(len(y)),
    "complex": lambda y: y.astype(complex),
    "negative": lambda y: -np.abs(y.astype(float)),
}
OF_STEPS = {
    "list": list,
    "object array": objects,
    "lists": lambda parts: [part.tolist() for part in parts],
    "Series": lambda parts: pd.Series(parts),
    "polars": polars_lists,
    "stacked": np.stack,
    "masked": lambda parts: [np.ma.array(part) for part in parts],
    "Series of each": lambda parts: [pd.Series(part) for part in parts],
    "one each": lambda parts: np.array([part[0] for part in parts]),
    "too short": lambda parts: replaced(list(parts), parts[0][:-1], 0),
    "None for one": lambda parts: replaced(list(parts), None, 0),
    "text for one": lambda parts: replaced(list(parts), "abc", 0),
    "number for one": lambda parts: replaced(list(parts), 1.0, 0),
    "dates for one": lambda parts: replaced(list(parts), np.zeros(len(parts[0]), "M8[D]"), 0),
    "dict": lambda parts: dict(enumerate(parts)),
    "generator": lambda parts: (part for part in parts),
    "one below the other": np.concatenate,
    "3-D": lambda parts: [part[:, None, None] for part in parts],
    "columns": lambda parts: [np.column_stack([part, part]) for part in parts],
    "too few": lambda parts: list(parts)[:-1],
}


def draw_y(draw, kind, targets, lengths, *, clean=0.75):
    """Targets for X of these lengths."""
    lengths = lengths or (3,) * 6
    if draw.chance(0.03):
        return Drawn(*draw.which(NO_DATA)[::-1])
    while True:
        told, build = _target_container(draw, targets, draw.chance(clean))
        y, name = _targets(draw, kind, targets, lengths)
        if draw.chance(0.12):
            name, y = spoiled(draw, y)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if targets == "step":
                    y = np.split(y, np.cumsum(lengths)[:-1])
                return Drawn(build(y), f"{told} {name}")
        except Exception:
            continue  # that cannot be built


def _target_container(draw, targets, is_clean):
    if targets == "step":
        return draw.which(dict(list(OF_STEPS.items())[:3]) if is_clean else OF_STEPS)
    return draw.which(dict(list(OF_ONE.items())[:5]) if is_clean else OF_ONE | ODD_ONE)


def _targets(draw, kind, targets, lengths):
    n = sum(lengths) if targets == "step" else len(lengths)
    if targets == "columns":
        y = draw.rng.normal(size=(n, 2))
        return (np.abs(y) > 0.5).astype(int) if kind is RNNClassifier else y, "columns"
    if kind is RNNRegressor:
        dtype = draw.of(["f8", "f8", "f4", "i8", "?", "u1"])
        return in_dtype(3 * draw.rng.normal(size=n), dtype), dtype
    codes = np.arange(n) % 3
    name = draw.of(["codes", "names", "bool", "float"])
    labels = {"codes": codes, "names": NAMES[codes], "bool": codes > 0, "float": codes * 1.0}
    return labels[name], name


def draw_weight(draw, lengths):
    n = len(lengths) or 6
    if draw.chance(0.75):
        return Drawn(None, "none")
    weight = draw.rng.integers(3, size=n) / 1.0
    options = {
        "ones": np.ones(n),
        "some zero": weight,
        "list": weight.tolist(),
        "Series": pd.Series(weight),
        "polars": pl.Series(weight),
        "bool": weight > 0,
        "integers": weight.astype(int),
        "float32": weight.astype("f4"),
        "all zero": np.zeros(n),
        "column": weight[:, None],
        "columns": np.column_stack([weight, weight]),
        "per step": [np.ones(T) for T in lengths or [3] * n],
        "nested": [[1.0] * T for T in lengths or [3] * n],
        "masked": np.ma.array(weight + 1, mask=weight == 1),
        "objects": weight.astype(object),
        "negative": weight - 1.5,
        "tiny": weight * 1e-320,
        "huge": weight * 8e307,
    }
    return Drawn(*draw.which(options | _odd_vectors(weight))[::-1])


def _odd_vectors(values):
    """What stands for n values, and does not fit."""
    values = np.asarray(values)
    some = {
        name: objects(replaced(list(values), value, 0))
        for name, value in ODD.items()
        if name not in ("list", "tuple", "array")
    }
    return some | NO_DATA | {name: build for name, build in _built(ODD_ONE, values).items()}


def _built(builders, values):
    built = {}
    for name, build in builders.items():
        try:
            built[name] = build(values)
        except Exception:
            continue
    return built


def draw_groups(draw, n):
    groups = np.arange(n) // 2
    fine = {
        "array": groups,
        "text": groups.astype(str),
        "dates": groups.astype("M8[D]"),
        "Series": pd.Series(groups),
        "category": pd.Series(groups, dtype="category"),
        "polars": pl.Series(groups),
    }
    return Drawn(*draw.which(fine if draw.chance(0.4) else _odd_vectors(groups))[::-1])


def draw_classes(draw, y):
    if draw.chance(0.7):
        with suppress(Exception):  # y is no labels
            return Drawn(np.unique(np.concatenate([*map(np.ravel, y)])), "those of y")
    fine = {
        "integers": [0, 1, 2],
        "array": np.arange(3),
        "names": NAMES,
        "bool": [False, True],
        "float": [0.0, 1.0, 2.0],
        "Series": pd.Series([2, 1, 0]),
        "polars": pl.Series([0, 1, 2]),
    }
    odd = {"twice": [0, 1, 1, 2], "tuple of texts": ("a", "b"), "one": [0]}
    options = fine if draw.chance(0.6) else odd | _odd_vectors(np.arange(3))
    return Drawn(*draw.which(options)[::-1])


# parameters -----------------------------------------------------------------------------------

VALID = {
    "cell": ["rnn_tanh", "rnn_relu", "gru", "lstm"],
    "hidden_layer_sizes": [2, (2, 1), [2], np.array([1, 2]), np.int64(2)],
    "bidirectional": [True, np.True_],
    "initial_state": ["normal", "learned"],
    "dropout": [0, 0.5],
    "categorical_features": [[0], [-1], [True, False], [False, True], np.array([0]), []],
    "embedding_dim": [1, (2,), [1, 2]],
    "features_per_step": [1, 2, 3],
    "standardize": [False],
    "alpha": [0, 0.1, 1e3],
    "solver": ["adamw", "sgd", "rmsprop", "lbfgs"],
    "learning_rate_init": [0.1, 1e-10, 10],
    "learning_rate": ["invscaling", "adaptive", "cosine"],
    "batch_size": [1, 2, 100, "auto"],
    "max_iter": [1, 2],
    "max_grad_norm": [None, 0.1],
    "bptt_steps": [1, 2, None],
    "shuffle": [False],
    "momentum": [0, 0.5],
    "nesterovs_momentum": [False],
    "tol": [0, 10],
    "n_iter_no_change": [1, np.inf],
    "early_stopping": [True, "auto", False],
    "scoring": [None, "accuracy", "r2", "neg_log_loss", "neg_mean_squared_error", "roc_auc"],
    "validation_fraction": [0.5, 0.3],
    "warm_start": [True],
    "random_state": [1, None, np.random.RandomState(0)],
    "loss": ["absolute_error", "huber", "poisson", "quantile"],
    "quantile": [0.1, [0.1, 0.9], (0.5,), np.array([0.2, 0.5])],
    "class_weight": ["balanced", {0: 1.0, 1: 2.0}, {"ant": 2.0}, [{0: 1, 1: 2}, {0: 2, 1: 1}]],
}
BAD = [None, True, 0, -1, 1.5, np.nan, np.inf, "a", "", [], {}, (), [None], ["a"], object]
BAD_OF = {
    "class_weight": [{}, {0: -1, 1: 1, 2: 1}, {0: np.nan}, {0: "a"}, [1, 2], {"a": 1}, {0: None}],
    "quantile": [[0.0], [[0.1]], [0.5, 2], [np.nan], ["a"], [0.5, 0.5], 1, 0],
    "scoring": ["acuracy", "precission", 1, list, "f1"],
    "hidden_layer_sizes": [(0,), (2, "a"), [[2]], (1.5,), (), (None,), (True,), {2}],
    "embedding_dim": [(0,), (), (1, 2, 3), ["a"], [[1]], [None]],
    "categorical_features": [["a"], [5], [0, 0], [0.5], [None], "a", [[0]], 0, [True]],
}
SOLE = {"loss": RNNRegressor, "quantile": RNNRegressor, "class_weight": RNNClassifier}


def draw_parameters(draw, kind):
    """Mostly valid parameters, of small nets."""
    parameters = {"hidden_layer_sizes": 2, "max_iter": 1, "random_state": 0}
    for _ in range(draw.of([0, 1, 1, 2, 3])):
        name = draw.of(VALID)
        if SOLE.get(name, kind) is kind:
            options = BAD + BAD_OF.get(name, []) * 3 if draw.chance(0.1) else VALID[name]
            parameters[name] = draw.of(options)
    if draw.chance(0.1):
        parameters |= {"early_stopping": True, "validation_fraction": 0.4}
    return parameters


# what is called -------------------------------------------------------------------------------


class Call(NamedTuple):
    """A method of an estimator or a function, and its arguments."""

    name: str
    function: Any
    arguments: dict[str, Drawn]
    owner: Any = None
    parameters: Any = None

    def __str__(self):
        arguments = [f"{name}={drawn.told}" for name, drawn in self.arguments.items()]
        parameters = f"({self.parameters})" if self.parameters else ""
        return f"{self.name}{parameters}: {'; '.join(arguments)}"


LAYOUTS = tuple(WIDTHS)
KINDS = RNNClassifier, RNNRegressor
TARGETS = "one", "one", "columns", "step"


def draw_call(seed, number):
    """Call number `number` of the seed."""
    draw = Draw(seed, number)
    make = draw.of([*[_fit_call] * 6, *[_net_call] * 8, *[_transformer_call] * 5, _step_call])
    make = make if draw.chance(0.85) else draw.of([_function_call, _forecast_call, _step_call])
    return make(draw)


def _arguments(draw, kind, layout, targets, *, clean=0.4):
    X = draw_X(draw, layout, clean=clean)
    y = draw_y(draw, kind, targets, X.lengths)
    return {"X": X, "y": y, "sample_weight": draw_weight(draw, X.lengths)}


def _of_layout(layout):
    options = {"table": {"features_per_step": 2}, "coded": {"categorical_features": [1]}}
    return options.get(layout, {})


@cache
def _pickled(kind, layout, targets, next_inputs=False):
    """A fitted estimator as bytes."""
    rng = np.random.default_rng(0)
    lengths = [3] * 6 if layout == "table" else [3, 2, 4, 1, 3, 2]
    items = [rng.normal(size=(T, WIDTHS[layout])) for T in lengths]
    if layout == "coded":
        items = [np.column_stack([x[:, 0], np.arange(len(x)) % 3]) for x in items]
    if next_inputs:
        y = [2 * x for x in items] if targets == "step" else [x[-1] for x in items]
        y = [part[..., 0] if part.shape[-1] == 1 else part for part in y]
    else:
        y, _ = _targets(Draw(0), kind, targets, lengths)
        y = np.split(y, np.cumsum(lengths)[:-1]) if targets == "step" else y
    y = objects(y) if targets == "step" else np.array(y)
    net = kind(
        hidden_layer_sizes=2,
        max_iter=1,
        random_state=0,
        readout="step" if targets == "step" else "last",
        **_of_layout(layout),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return pickle.dumps(net.fit(flat(items) if layout == "table" else items, y))


def _fitted(kind, layout, targets, *, next_inputs=False):
    return pickle.loads(_pickled(kind, layout, targets, next_inputs))


def _fit_call(draw):
    kind, layout, targets = draw.of(KINDS), draw.of(LAYOUTS), draw.of(TARGETS)
    name = draw.of(["fit", "fit", "partial_fit"])
    parameters = _of_layout(layout) | draw_parameters(draw, kind)
    parameters["readout"] = "step" if targets == "step" else draw.of(["last", "mean", "max"])
    if draw.chance(0.3):
        net = _fitted(kind, layout, targets).set_params(**parameters)
    else:
        net = kind(**parameters)
    if name == "partial_fit" and draw.chance(0.8) and net.solver == "lbfgs":
        net.set_params(solver="adam")
    arguments = _arguments(draw, kind, layout, targets, clean=0.8)
    if name == "partial_fit" and kind is RNNClassifier and draw.chance(0.8):
        arguments["classes"] = draw_classes(draw, arguments["y"].value)
    if name == "fit" and draw.chance(0.1):
        arguments["groups"] = draw_groups(draw, len(arguments["X"].lengths) or 6)
    if name == "fit" and draw.chance(0.15):
        validation = _arguments(draw, kind, layout, targets)
        arguments |= {f"{key}_val": value for key, value in validation.items()}
        if draw.chance(0.1):
            del arguments[draw.of(["X_val", "y_val"])]
    return _method(net, name, arguments, parameters)


def _method(owner, name, arguments, parameters=None):
    told = f"{type(owner).__name__}.{name}"
    return Call(told, getattr(owner, name, None), arguments, owner, parameters)


NET_METHODS = (
    *("predict", "predict", "predict_proba", "predict_log_proba", "decision_function", "score"),
    *("hidden_states", "compact"),
)


def _net_call(draw):
    kind, layout, targets = draw.of(KINDS), draw.of(LAYOUTS), draw.of(TARGETS)
    name = draw.of([name for name in NET_METHODS if hasattr(kind, name)])
    net = _fitted(kind, layout, targets) if draw.chance(0.95) else kind()
    told = {"layout": layout, "targets": targets}
    arguments = _arguments(draw, kind, layout, targets)
    if name == "score":
        if targets == "step" and draw.chance(0.5):
            metric = accuracy_score if kind is RNNClassifier else r2_score
            scorer = step_scorer(metric)
            arguments = {"estimator": Drawn(net, "net"), **arguments}
            return Call("step_scorer", scorer, arguments, net, told)
        return _method(net, name, arguments, told)
    return _method(net, name, {} if name == "compact" else {"X": arguments["X"]}, told)


ROWS = {
    "array": lambda x: x,
    "list": lambda x: x.tolist(),
    "frame": pd.DataFrame,
    "nullable": lambda x: pd.DataFrame(x).convert_dtypes(),
    "polars": pl.DataFrame,
    "masked": np.ma.array,
    "flat": lambda x: x[:, 0],
    "one row": lambda x: x[0],
    "3-D": lambda x: x[None],
    "wider": lambda x: np.hstack([x, x]),
    "Fortran": np.asfortranarray,
    "csr": sparse.csr_array,
    "tuple": lambda x: tuple(map(tuple, x.tolist())),
    "Series": lambda x: pd.Series(x[:, 0]),
    "no rows": lambda x: x[:0],
    "generator": lambda x: (row for row in x),
    "dict": lambda x: dict(enumerate(x)),
}


def _step_call(draw):
    kind, layout = draw.of(KINDS), draw.of(LAYOUTS)
    net = _fitted(kind, layout, draw.of(TARGETS))
    n, D = draw.of([1, 3, 3]), WIDTHS[layout]
    x = draw.rng.integers(3, size=(n, D)) * 1.0
    before = draw_state(draw, net, n, D)
    while True:
        dtype = draw.of(["f8", "f4", "i8", "?"] if draw.chance(0.7) else DTYPES)
        told, row = ("", in_dtype(x, dtype))
        if draw.chance(0.2):
            told, row = spoiled(draw, row)
        name, build = draw.which(ROWS) if draw.chance(0.5) else ("array", ROWS["array"])
        try:
            x_t = Drawn(build(row), f"{name} of {n} x {D} {dtype} {told}")
            break
        except Exception:
            continue  # that cannot be built
    if draw.chance(0.05):
        x_t = Drawn(*draw.which(NO_DATA)[::-1])
    return _method(net, "step", {"x_t": x_t, "state": before}, {"layout": layout})


def draw_state(draw, net, n, D):
    """A state of n sequences, or what is none."""
    _, fine = net.step(np.ones((n, D)))
    if draw.chance(0.6):
        return draw.of([Drawn(None, "none"), Drawn(fine, "fine")])
    name = draw.of(fine)
    return Drawn(*draw.which(states(fine, name))[::-1])


def states(fine, name):
    """A state of which one array is odd, by what it is."""
    array = fine[name]
    first = (0,) * array.ndim

    def with_first(value, dtype=None):
        changed = array.astype(dtype or array.dtype)
        changed[first] = value
        return fine | {name: changed}

    odd = {
        "list": array.tolist(),
        "integers": array.astype(int),
        "bool": array.astype(bool),
        "text": array.astype(str),
        "complex": array.astype(complex),
        "objects": array.astype(object),
        "dates": array.astype("i8").astype("M8[s]"),
        "float16": array.astype("f2"),
        "longdouble": array.astype("longdouble"),
        "structured": array.astype([("a", "f4")]),
        "masked": np.ma.array(array, mask=True),
        "frame": pd.DataFrame(array),
        "Series": pd.Series(list(array)),
        "wider": np.concatenate([array, array], axis=-1),
        "flat": array.ravel(),
        "one row more": np.concatenate([array, array[:1]]),
        "turned": array.T.copy(),
        "csr": sparse.csr_array(np.atleast_2d(array)),
        "None": None,
        "number": 1.0,
        "Fortran": np.asfortranarray(array),
        "read-only": memmap(array),
    }
    return {f"{name} {what}": fine | {name: value} for what, value in odd.items()} | {
        f"{name} NaN": with_first(np.nan),
        f"{name} inf": with_first(np.inf),
        f"{name} 1e300": with_first(1e30),
        f"{name} -1": with_first(-1),
        f"{name} None in it": with_first(None, object),
        f"{name} text in it": with_first("a", object),
        f"without {name}": {key: value for key, value in fine.items() if key != name},
        "more": fine | {"more": array},
        "empty": {},
        "list": list(fine.values()),
        "items": tuple(fine.items()),
        "frame": pd.DataFrame({"h_0": [1.0]}),
        "number": 1,
        "text": "abc",
        "array": array,
    }


COUNTS = [1, 2, 3, np.int8(2), True, 0, -1, 1.0, 2.5, np.nan, None, "2", [2], np.array(2)]


def _forecast_call(draw):
    layout, targets = draw.of(["univariate", "sequences", "table"]), draw.of(["step", "columns"])
    net = _fitted(RNNRegressor, layout, targets, next_inputs=layout != "table")
    n_steps = draw.of(COUNTS[:3] if draw.chance(0.8) else COUNTS)
    arguments = {"X": draw_X(draw, layout, clean=0.6), "n_steps": Drawn(n_steps, repr(n_steps))}
    return _method(net, "forecast", arguments, {"layout": layout})


# transformers and functions -------------------------------------------------------------------

TRANSFORMERS = {
    SequencePadder: {
        "length": [None, 5, 1, 0],
        "value": [np.nan, 0, -1.0, "a", None, np.inf],
        "side": ["right", "left", "middle"],
        "flatten": [True, False],
    },
    SequenceShortener: {
        "method": ["first", "last", "every", "mean", "median"],
        "k": [1, 2, 0, 1.5],
    },
    StepImputer: {
        "strategy": ["ffill", "mean", "median", "constant", "mode"],
        "leading": ["mean", "median", "constant", "bfill", None],
        "fill_value": [0, -1.0, "a", None, np.nan],
        "absent": ["keep", "impute", "impute_end"],
        "add_indicator": [True, False],
        "add_time_since": [True, False],
    },
    StepTransformer: {"transformer": [StandardScaler(), "passthrough", None, 1]},
    TokenEncoder: {
        "tokenizer": ["char", "word", None, len],
        "lowercase": [True, False],
        "min_frequency": [None, 1, 2, 0.5, -1],
        "max_tokens": [None, 1, 3, 0],
        "dtype": [np.float64, np.float32, int],
    },
    SlidingWindows: {"length": [1, 2, 3, 0, "a"]},
    SequencesFromLong: {
        "id": ["id", "unit", 1, None],
        "time": ["time", "t", 2],
        "columns": [None, ["c0"], "c0", ["d"], [], 1],
        "time_delta": [True, False],
    },
}
TOKENS = {
    "texts": ["ab", "b a", "Cab"],
    "tuple": ("ab", "c"),
    "array": np.array(["ab", "c"]),
    "objects": objects(["ab", "c"]),
    "Series": pd.Series(["ab", "c"]),
    "polars": pl.Series(["ab", "c"]),
    "arrow": pd.Series(["ab", None], dtype="string[pyarrow]"),
    "lists": [["a", "b"], ["c"]],
    "numbers": [[1, 2], [3]],
    "arrays": [np.array(["a", "b"]), np.array(["c"])],
    "empty one": ["ab", ""],
    "missing": ["ab", None],
    "NaN": ["ab", np.nan],
    "mixed": ["ab", 1],
    "bytes": [b"ab", b"c"],
    "text": "abc",
    "codes": [[0.0, 1.0], [2.0]],
    "columns": [np.array([[1.0], [2.0]])],
    "wrong codes": [[0.5], [99.0], [-1.0]],
}


TRANSFORMER_METHODS = (
    "fit",
    "fit_transform",
    "transform",
    "transform",
    "inverse_transform",
    "partial_fit",
)


def _transformer_call(draw):
    kind, options = draw.which(TRANSFORMERS)
    parameters = {"transformer": StandardScaler()} if kind is StepTransformer else {}
    for name in draw.of([[], [draw.of(options)], list(options)]):
        valid = options[name][: max(1, len(options[name]) - 1)]
        parameters[name] = draw.of(valid if draw.chance(0.8) else options[name])
    layout = draw.of(["table", "univariate", "sequences"])
    if hasattr(kind(**parameters), "features_per_step") and layout == "table":
        parameters["features_per_step"] = 2
    owner, X = kind(**parameters), draw_input(draw, kind, layout)
    name = draw.of(TRANSFORMER_METHODS)
    if not hasattr(owner, name):
        name = "fit_transform"
    if name in ("transform", "inverse_transform") and draw.chance(0.95):
        try:
            owner = kind(**parameters).fit(_clean_input(kind, layout))
        except (TypeError, ValueError):
            parameters = {"transformer": StandardScaler()} if kind is StepTransformer else {}
            owner = kind(**parameters).fit(_clean_input(kind, "sequences"))
        if name == "inverse_transform" and draw.chance(0.5):
            with suppress(ValueError):
                X = Drawn(owner.transform(_clean_input(kind, layout)), "transformed")
    arguments = {"X": X}
    if kind is SequencePadder and name == "inverse_transform" and draw.chance(0.3):
        lengths = draw.of([[3] * 6, [1, 2], [9] * 6, [-1] * 6, [1.5] * 6, ["a"] * 6, 3, "abc"])
        arguments["lengths"] = Drawn(lengths, repr(lengths))
    return _method(owner, name, arguments, parameters)


def draw_input(draw, kind, layout):
    """X of a transformer."""
    if kind is TokenEncoder and draw.chance(0.8):
        return Drawn(*draw.which(TOKENS)[::-1])
    if kind is SequencesFromLong and draw.chance(0.8):
        return draw_long(draw)
    if kind is SlidingWindows and draw.chance(0.8):
        return draw_series(draw)
    return draw_X(draw, layout)


def _clean_input(kind, layout):
    items = list(np.random.default_rng(1).normal(size=(6, 4, WIDTHS[layout])))
    if kind is TokenEncoder:
        return TOKENS["texts"]
    if kind is SequencesFromLong:
        return long_frame(items)
    if kind is SlidingWindows:
        return items[0]
    return flat(items) if layout == "table" else items


def draw_series(draw):
    """One series, in any container."""
    T = draw.of([1, 5, 9, 9])
    while True:
        dtype = draw.of(["f8", "f4", "i8"] if draw.chance(0.7) else DTYPES)
        x, name = in_dtype(draw.rng.normal(size=(T, draw.of([1, 2]))), dtype), ""
        if draw.chance(0.2):
            name, x = spoiled(draw, x)
        container, build = draw.which(USUAL_SERIES if draw.chance(0.6) else SERIES)
        try:
            return Drawn(build(x), f"{container} {x.shape} {x.dtype} {name}")
        except Exception:
            continue  # that cannot be built


SERIES = {
    "array": lambda x: x,
    "flat": lambda x: x[:, 0],
    "list": lambda x: x.tolist(),
    "flat list": lambda x: x[:, 0].tolist(),
    "frame": lambda x: pd.DataFrame(x, columns=list("ab")[: x.shape[1]]),
    "Series": lambda x: pd.Series(x[:, 0]),
    "dated": lambda x: pd.Series(x[:, 0], index=pd.date_range("2020", periods=len(x))),
    "backward": lambda x: pd.Series(x[:, 0], index=pd.date_range("2020", periods=len(x))[::-1]),
    "polars": lambda x: pl.DataFrame(x),
    "polars Series": lambda x: pl.Series(x[:, 0]),
    "table": lambda x: pa.table({"a": x[:, 0]}),
    "several": lambda x: [x, x],
    "objects": lambda x: objects([x, x]),
    "3-D": lambda x: x[None],
    "nullable": lambda x: pd.DataFrame(x).convert_dtypes(),
    "generator": lambda x: iter(x),
    "dict": lambda x: {"a": x},
    "csr": sparse.csr_array,
    "0-d": lambda x: np.array(x.flat[0]),
    "nothing": lambda x: x[:0],
    "None": lambda x: None,
    "text": lambda x: "abc",
    "4-D": lambda x: x[None, None],
}


USUAL_SERIES = dict(list(SERIES.items())[:7])


def draw_long(draw):
    """A long frame, mostly with the columns id, time and c0."""
    rows = draw.of([9, 9, 9, 9, 1, 0])
    options = {"id": _ids, "time": _times, "c0": _columns, "c1": _columns}
    data = {}
    for name, make in options.items():
        columns = make(rows)
        usual = dict(list(columns.items())[:3])
        data[name] = draw.which(usual if draw.chance(0.8) else columns)
    told = ", ".join(f"{name}: {what}" for name, (what, _) in data.items())
    values = {name: column for name, (_, column) in data.items()}
    library = draw.of(["pandas"] * 4 + ["nullable", "polars", "arrow"] * 2 + ["dict", "records"])
    try:
        return Drawn(_LONG[library](values), f"{library} {told}")
    except Exception:
        return Drawn(pd.DataFrame(values), f"pandas {told}")


_LONG = {
    "pandas": pd.DataFrame,
    "nullable": lambda values: pd.DataFrame(values).convert_dtypes(),
    "polars": pl.DataFrame,
    "arrow": lambda values: pa.Table.from_pandas(pd.DataFrame(values)),
    "dict": dict,
    "records": lambda values: pd.DataFrame(values).to_dict("records"),
}


def _ids(n):
    codes = np.arange(n) // 3
    return {
        "text": codes.astype(str),
        "integers": codes,
        "floats": codes * 1.0,
        "category": pd.Categorical(codes),
        "dates": pd.Series(codes.astype("M8[s]")),
        "missing": objects([None if i == 1 else i // 3 for i in range(n)]),
        "mixed": objects([i if i % 2 else str(i) for i in range(n)]),
        "lists": objects([[i] for i in range(n)]),
    }


def _times(n):
    t = np.arange(n) % 3
    return {
        "integers": t,
        "floats": t * 0.5,
        "dates": t.astype("M8[D]").astype("M8[s]"),
        "date": objects([dt.date(2020, 1, 1 + int(i)) for i in t]),
        "text": t.astype(str),
        "missing": np.where(t == 1, np.nan, t),
        "twice": t // 2,
        "inf": np.where(t == 1, np.inf, t),
        "mixed": objects([i if i % 2 else str(i) for i in range(n)]),
        "lists": objects([[i] for i in range(n)]),
    }


def _columns(n):
    x = np.arange(n) / 2
    return {
        "floats": x,
        "float32": x.astype("f4"),
        "integers": np.arange(n),
        "bool": x > 1,
        "NaN": np.where(x == 1, np.nan, x),
        "inf": np.where(x == 1, np.inf, x),
        "text": x.astype(str),
        "dates": pd.Series(np.arange(n).astype("M8[s]")),
        "None": objects([None if i == 1 else i for i in range(n)]),
        "NA": objects([pd.NA if i == 1 else i for i in range(n)]),
        "complex": x + 1j,
        "lists": objects([[i] for i in range(n)]),
        "category": pd.Categorical(np.arange(n) // 2),
        "huge": objects([10**400] * n),
    }


def _function_call(draw):
    make = draw.of([_as_sequences, _pad_sequences, _from_long, _to_long, _make_windows])
    return make(draw)


def _as_sequences(draw):
    return Call("as_sequences", as_sequences, {"X": draw_X(draw, draw.of(LAYOUTS))})


def _pad_sequences(draw):
    arguments = {"X": draw_X(draw, draw.of(LAYOUTS))}
    return Call("pad_sequences", pad_sequences, arguments)


def _keys(draw, **options):
    """Keyword arguments, the first option of each in half of the calls."""
    return {
        name: Drawn(value, repr(value)[:60])
        for name, values in options.items()
        for value in [values[0] if draw.chance(0.85) else draw.of(values)]
    }


def _from_long(draw):
    names = ["c0", ["c0"], None, "d", [], 1, ["c0", "c0"], "id", ["time"], [None], {"c0"}]
    keys = _keys(
        draw,
        id=["id", "time", "d", None, 1, ["id"]],
        time=["time", "id", "c0", None, 1],
        columns=[None, *names],
        target=[None, None, *names],
        target_per_step=[False, True, "a"],
        time_delta=[False, True],
        y=[None, None, np.arange(3), pd.Series([1, 2, 3], index=["0", "1", "2"]), "abc", 1, {}],
    )
    return Call("from_long", from_long, {"frame": draw_long(draw)} | keys)


def _to_long(draw):
    frame = draw_long(draw)
    predictions = draw.which(
        _odd_vectors(np.arange(3.0))
        | {
            "three": np.arange(3.0),
            "three again": np.arange(3.0),
            "rows": np.arange(9.0).reshape(3, 3),
            "ragged": objects([np.arange(3.0)] * 3),
            "columns": objects([np.ones((3, 2))] * 3),
        }
    )
    keys = _keys(
        draw,
        id=["id", "time", "d", None, 1],
        time=["time", "id", "d", None],
        name=["prediction", "c0", ["a", "b"], None, 1, [], ["a", "a"]],
        ids=[None, [0, 1, 2], ["0", "1", "2"], ["2", "0"], "abc", 1, [[0]], [None] * 3],
        per_step=[None, True, False, "a"],
    )
    arguments = {"predictions": Drawn(*predictions[::-1]), "like": frame} | keys
    return Call("to_long", to_long, arguments)


def _make_windows(draw):
    keys = _keys(
        draw,
        length=[2, 1, 0, -1, 1.5, None, "a", True, 99],
        horizon=[1, 2, 0, None, "a", 99],
        step=[1, 2, 0, -1, None],
        targets=[None, 0, -1, "a", ["a"], [True, False], [], 5, None, {0}, [[0]], 1.5],
        per_step=[False, True],
        short=["raise", "skip", "a", None],
    )
    return Call("make_windows", make_windows, {"series": draw_series(draw)} | keys)


# the judge ------------------------------------------------------------------------------------

OURS = (ConvergenceWarning, DataConversionWarning, UndefinedMetricWarning)
LIBRARIES_WORDS = re.compile(
    NUMPYS_WORDS.pattern
    + "|could not convert|must be real number|truth value|not supported between|"
    "cannot be interpreted|unhashable|Length (of|mis)|promot|cannot reshape|out of range|"
    "object is not|is not callable|positional arg|unexpected keyword|'NoneType'|cannot convert|"
    "invalid literal|ambiguous|unsupported|unpack|dimension mismatch|must be the same length|"
    "no attribute|not understood|must have same|No matching|do not match|expected str|"
    "concatenation axis|zero-size|Cannot interpret|cannot cast|got an unexpected|Expected (bytes|"
    "str)"
)
NAMING = (
    "X|y|x|x_t|state|sample_weight|groups|classes|X_val|y_val|sample_weight_val|n_steps|frame|like|"
    "predictions|ids|id|time|name|columns?|targets?|series|length|lengths|horizon|step|short|"
    "metric|tokens?|text|[Ss]equences?|[Ss]eries|[Ii]tem|[Ff]rame|[Ll]abels|[Ww]eights?|c[01]"
)
SCIKIT_LEARNS = re.compile(
    "Found (array|input)|Reshape your data|Unknown label type|Input contains|not fitted yet|"
    "Input .* contains|feature names|sparse data was passed|Mix of label"
)


class Verdict(NamedTuple):
    """How a call ended, and what is wrong with that, if anything."""

    outcome: str
    message: str = ""
    finding: str = ""


def judge(call):
    """Make the call and judge how it ended."""
    if call.function is None:
        return Verdict("unavailable")
    before, given = _bytes(call.owner), _snapshots(call.arguments)
    arguments = {name: drawn.value for name, drawn in call.arguments.items()}
    result = error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call.function(**arguments)
        except Exception as raised:
            error = raised
    finding = _judge_error(call, error) or _judge_result(call, result)
    finding = finding or _judge_warnings(caught) or _judge_changes(call, before, given, error)
    outcome = "returned" if error is None else type(error).__name__
    return Verdict(outcome, "" if error is None else str(error), finding)


def _bytes(owner):
    if owner is None:
        return None
    return state(owner)


class _Contents(pickle.Pickler):
    """Pickles what frames of pandas hold, without what they remember of earlier calls."""

    def reducer_override(self, value):
        if isinstance(value, np.ma.MaskedArray):
            return tuple, ([value.data, np.ma.getmaskarray(value)],)
        if isinstance(value, (pd.DataFrame, pd.Series)):
            return tuple, ([value.to_numpy(dtype=object).tolist(), str(value.dtypes)],)
        return NotImplemented


def _snapshots(arguments):
    """What the arguments are, where that can be told."""
    snapshots = {}
    for name, drawn in arguments.items():
        if hasattr(drawn.value, "__next__"):
            continue
        file = io.BytesIO()
        with suppress(Exception):  # generators
            _Contents(file).dump(drawn.value)
            snapshots[name] = file.getvalue()
    return snapshots


def _judge_error(call, error):
    if error is None:
        return ""
    text = str(error)
    if not isinstance(error, (ValueError, TypeError)):
        return f"{type(error).__name__}: {text}"
    if isinstance(error, UnicodeError) or type(error).__module__.split(".")[0] in FOREIGN:
        return f"{type(error).__name__} of another library: {text}"
    if LIBRARIES_WORDS.search(text):
        return f"another library's words: {text}"
    parameters = getattr(call.owner, "get_params", dict)()
    named = re.search(rf"\b({'|'.join([NAMING, *parameters])})\b", text)
    if not named and not SCIKIT_LEARNS.search(text):
        return f"names nothing: {text}"
    return ""


FOREIGN = ("numpy", "pandas", "polars", "pyarrow", "narwhals", "scipy")
FINITE = "predict", "predict_proba", "predict_log_proba", "decision_function", "hidden_states"


def _judge_result(call, result):
    """Predictions are finite."""
    if result is None or call.name.split(".")[-1] not in (*FINITE, "forecast", "step"):
        return ""
    arrays = [result[0], *result[1].values()] if call.name.endswith("step") else [result]
    for array in arrays:
        for part in array if array.dtype == object else [array]:
            kind = np.asarray(part).dtype.kind
            if kind == "f" and not np.isfinite(part).all():
                return f"not finite: {part!r:.200}"
            if kind in "cmMV":
                return f"a result of dtype {part.dtype}"
    return ""


def _judge_warnings(caught):
    for warning in caught:
        if warning.category is not UserWarning and warning.category not in OURS:
            return f"{warning.category.__name__}: {warning.message} ({warning.filename})"
    return ""


def _judge_changes(call, before, given, error):
    """A call that fails, or that does not fit, leaves the estimator alone; any its arguments."""
    fits = call.name.split(".")[-1] in ("fit", "partial_fit", "fit_transform")
    if (error is not None or not fits) and _bytes(call.owner) != before:
        return "the estimator was changed"
    after = _snapshots({name: call.arguments[name] for name in given})
    changed = [name for name in given if name != "estimator" and after.get(name) != given[name]]
    return f"changed in place: {changed}" if changed else ""
