"""Every tool of scikit-learn with every container of sequences; docs/user_guide/tools.md shows it.

Where scikit-learn does not support a container, the error is expected, so that a version that
supports it is noticed; the messages are those of 1.9. `python tools/make_tool_matrix.py`
writes the table of the page.
"""

import re
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, RANSACRegressor
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    permutation_test_score,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import resample

from skrnn import RNNClassifier, RNNRegressor, as_sequences, pad_sequences
from skrnn.preprocessing import SequencePadder, StepTransformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, T, D = 24, 3, 2
RNG = np.random.default_rng(0)
NAMES = [f"{name}{t}" for t in range(T) for name in "ab"]
CLASSES = np.tile(["a", "b", "c"], N // 3)
BINARY = np.tile([0, 1], N // 2)
LABELS = np.column_stack([BINARY, np.tile([0, 1, 1], N // 3)])
HALF_KNOWN = np.where(np.arange(N) % 4, BINARY, -1)
NUMBERS = RNG.normal(size=(N, 2))
GROUPS = np.repeat(range(6), N // 6)
WEIGHT = np.tile([1.0, 2.0, 0.5, 3.0], N // 4)
WEIGHTS = dict.fromkeys(["steptransformer__sample_weight", "rnnclassifier__sample_weight"], WEIGHT)
SIGNAL = np.unique(CLASSES, return_inverse=True)[1] - 1.0
CUBE = RNG.normal(size=(N, T, D)) + SIGNAL[:, None, None]
LENGTHS = np.resize([2, 4, 1, 3, 3], N)
RAGGED = [RNG.normal(size=(n, D)) + s for n, s in zip(LENGTHS, SIGNAL, strict=True)]

SMALL = {"hidden_layer_sizes": 2, "max_iter": 2, "learning_rate_init": 0.1, "random_state": 0}
GRID = {"learning_rate_init": [0.01, 0.3]}
SCORED = {"cv": 3, "scoring": "neg_log_loss"}


class Data(NamedTuple):
    """Sequences in a container, their name, and for a table the number of columns per step."""

    X: Any
    name: str
    features_per_step: int | None = None

    def classifier(self, kind=RNNClassifier, **parameters):
        parameters = SMALL | {"features_per_step": self.features_per_step} | parameters
        return kind("rnn_tanh", **parameters)

    def regressor(self):
        return self.classifier(RNNRegressor)

    def steps(self, transformer):
        return StepTransformer(transformer, features_per_step=self.features_per_step)

    def padder(self, value):
        options = {"flatten": True, "features_per_step": self.features_per_step}
        return SequencePadder(value=value, side="left", **options)

    def of_padded(self, kind):
        return self.classifier(kind, features_per_step=SEQUENCES[self.name][0].shape[1])


def frame(library):
    return library.DataFrame(dict(zip(NAMES, CUBE.reshape(N, T * D).T, strict=True)))


SEQUENCES = {"ragged": RAGGED, "equal": list(CUBE), "univariate": list(CUBE[:, :, :1])}
CONTAINERS = {
    "list": Data(RAGGED, "ragged"),
    "object array": Data(as_sequences(RAGGED), "ragged"),
    "frame of arrays": Data(pd.DataFrame({"x": RAGGED}), "ragged"),
    "padded table": Data(pad_sequences(RAGGED, flatten=True), "ragged", D),
    "3-D array": Data(CUBE, "equal"),
    "table": Data(CUBE.reshape(N, T * D), "equal", D),
    "pandas": Data(frame(pd), "equal", D),
    "polars": Data(frame(pl), "equal", D),
    "table, D = 1": Data(CUBE[:, :, 0], "univariate", 1),
}


# tools: functions of data that return arrays ----------------------------------------------------


def outputs(model, X, y):
    """All outputs of a fitted model for X, and its score."""
    names = ["predict_proba", "predict"]
    return [getattr(model, name)(X) for name in names if hasattr(model, name)] + [model.score(X, y)]


def fits(build, y=CLASSES):
    """A tool that fits the model that `build` makes for the data, predicts and scores."""
    return lambda data: outputs(build(data).fit(data.X, y), data.X, y)


def classifies(build, y=CLASSES):
    """A tool that does so with the model that `build` makes of a classifier."""
    return fits(lambda data: build(data.classifier()), y)


def regresses(build, y=NUMBERS[:, 0]):
    return fits(lambda data: build(data.regressor()), y)


def padded(build, kind=RNNClassifier, y=CLASSES, value=np.nan):
    """The same, after a transformer that makes a table of any container."""
    return fits(lambda data: make_pipeline(data.padder(value), build(data.of_padded(kind))), y)


def split(data):
    X, X_test, y, y_test = train_test_split(data.X, CLASSES, stratify=CLASSES, random_state=0)
    return outputs(data.classifier().fit(X, y), X_test, y_test)


def resampled(data):
    X, y = resample(data.X, CLASSES, random_state=0)
    return outputs(data.classifier().fit(X, y), X, y)


def validated(data, cv=3, groups=None):
    options = SCORED | {"cv": cv, "groups": groups, "return_train_score": True}
    scores = cross_validate(data.classifier(), data.X, CLASSES, **options)
    return scores["test_score"], scores["train_score"]


def predicted(data, method):
    return [cross_val_predict(data.classifier(), data.X, CLASSES, cv=3, method=method)]


def searched(data, search, **options):
    model = search(data.classifier(), GRID, **SCORED, **options).fit(data.X, CLASSES)
    return [model.cv_results_["mean_test_score"], *outputs(model, data.X, CLASSES)]


def learned(data):
    options = SCORED | {"train_sizes": [0.5, 1.0], "shuffle": True, "random_state": 0}
    return learning_curve(data.classifier(), data.X, CLASSES, **options)


def varied(data):
    (name, values), *_ = GRID.items()
    options = SCORED | {"param_name": name, "param_range": values}
    return validation_curve(data.classifier(), data.X, CLASSES, **options)


def permuted(data):
    options = SCORED | {"n_permutations": 2, "random_state": 0}
    return permutation_test_score(data.classifier(), data.X, CLASSES, **options)


def scaled(data, transformer=None):
    return make_pipeline(data.steps(transformer or StandardScaler()), data.classifier())


def framed(data):
    model = scaled(data).set_output(transform="pandas").fit(data.X, CLASSES)
    expected = type(data.X) if data.features_per_step is None else pd.DataFrame
    assert type(model[:-1].transform(data.X)) is expected
    return outputs(model, data.X, CLASSES)


def cloned(data):
    model = data.classifier().fit(data.X, CLASSES)
    copy = clone(model)
    assert not hasattr(copy, "classes_")
    expected = outputs(model, data.X, CLASSES)
    np.testing.assert_equal(outputs(copy.fit(data.X, CLASSES), data.X, CLASSES), expected)
    return expected


def frozen(data):
    model = data.classifier().fit(data.X, CLASSES)
    kept = outputs(FrozenEstimator(model).fit(data.X, CLASSES[::-1]), data.X, CLASSES)
    np.testing.assert_equal(kept, outputs(model, data.X, CLASSES))
    return kept


def thawed(data):
    """A frozen model is calibrated without being fitted again."""
    model = data.classifier().fit(data.X, CLASSES)
    calibrated = CalibratedClassifierCV(FrozenEstimator(model), cv=3).fit(data.X, CLASSES)
    return outputs(calibrated, data.X, CLASSES)


def weighted(data):
    plain = outputs(scaled(data).fit(data.X, CLASSES), data.X, CLASSES)
    model = scaled(data).fit(data.X, CLASSES, **WEIGHTS)
    results = outputs(model, data.X, CLASSES)
    assert not np.array_equal(results[0], plain[0])
    return results


def routed(data):
    net = data.classifier(early_stopping=True)
    with config_context(enable_metadata_routing=True):
        scaler = data.steps(StandardScaler().set_fit_request(sample_weight=True))
        requesting = clone(net).set_fit_request(sample_weight=True, groups=True)
        model = make_pipeline(
            scaler.set_fit_request(sample_weight=True),
            requesting.set_score_request(sample_weight=True),
        )
        grid = {f"rnnclassifier__{name}": values for name, values in GRID.items()}
        search = GridSearchCV(model, grid, cv=GroupKFold(3))
        search.fit(data.X, CLASSES, sample_weight=WEIGHT, groups=GROUPS)
        score = search.score(data.X, CLASSES, sample_weight=WEIGHT)
    alone = make_pipeline(data.steps(StandardScaler()), net).set_params(**search.best_params_)
    alone.fit(data.X, CLASSES, **WEIGHTS, rnnclassifier__groups=GROUPS)
    results = outputs(search, data.X, CLASSES)[:2]
    np.testing.assert_equal(results, outputs(alone, data.X, CLASSES)[:2])
    assert score == accuracy_score(CLASSES, results[1], sample_weight=WEIGHT)
    return [search.cv_results_["mean_test_score"], *results]


def two(net):
    return [("first", net), ("second", clone(net).set_params(random_state=1))]


def passed_through(net):
    return StackingClassifier(two(net), cv=3, passthrough=True)


def importances(data):
    model = data.classifier().fit(data.X, CLASSES)
    options = {"scoring": "neg_log_loss", "n_repeats": 2, "random_state": 0}
    return [permutation_importance(model, data.X, CLASSES, **options).importances]


def dependence(data):
    model = data.classifier().fit(data.X, BINARY)
    return [partial_dependence(model, data.X, features=[0], grid_resolution=4)["average"]]


class Ranked(RNNClassifier):
    """A classifier that has the importances of its columns."""

    def fit(self, X, y):
        super().fit(X, y)
        importance = permutation_importance(self, X, y, n_repeats=2, random_state=0)
        self.feature_importances_ = importance.importances_mean
        return self


def selects(build, kind=RNNClassifier):
    return lambda data: [build(data.classifier(kind)).fit(data.X, BINARY).get_support()]


def selects_in_steps(selector):
    """A tool whose selector of columns selects features of the steps."""

    def build(data):
        left = None if data.features_per_step is None else 1
        return make_pipeline(data.steps(selector), data.classifier(features_per_step=left))

    return fits(build, BINARY)


def of_columns(data):
    scaler = ColumnTransformer([("scaled", data.steps(StandardScaler()), slice(0, None))])
    return make_pipeline(scaler, data.classifier())


def of_columns_in_steps(data):
    return scaled(
        data, ColumnTransformer([("scaled", StandardScaler(), [0])], remainder="passthrough")
    )


HALVING = {"min_resources": 12, "random_state": 0}
TWO = {"n_estimators": 2, "random_state": 0}
BAG, BAG_OF_REGRESSORS = partial(BaggingClassifier, **TWO), partial(BaggingRegressor, **TWO)
BOOST, BOOSTED_REGRESSOR = partial(AdaBoostClassifier, **TWO), partial(AdaBoostRegressor, **TWO)
CODED = partial(OutputCodeClassifier, random_state=1)
SELF_TRAINED = partial(SelfTrainingClassifier, threshold=0.4, max_iter=2)
ROBUST = partial(RANSACRegressor, min_samples=12, max_trials=2, random_state=0)
SINH = partial(TransformedTargetRegressor, func=np.arcsinh, inverse_func=np.sinh)
ELIMINATE = partial(RFE, n_features_to_select=2)
SELECT = partial(SequentialFeatureSelector, n_features_to_select=2, cv=2)
ELIMINATE_IN_STEPS = RFE(LogisticRegression(), n_features_to_select=1)
SELECT_IN_STEPS = SequentialFeatureSelector(LogisticRegression(), n_features_to_select=1, cv=2)
TOOLS = {
    "train_test_split": split,
    "resample": resampled,
    "StratifiedKFold": partial(validated, cv=StratifiedKFold(3)),
    "GroupKFold": partial(validated, cv=GroupKFold(3), groups=GROUPS),
    "StratifiedGroupKFold": partial(validated, cv=StratifiedGroupKFold(3), groups=GROUPS),
    "TimeSeriesSplit": partial(validated, cv=TimeSeriesSplit(3)),
    "cross_validate": validated,
    "cross_val_predict, predict": partial(predicted, method="predict"),
    "cross_val_predict, predict_proba": partial(predicted, method="predict_proba"),
    "learning_curve": learned,
    "validation_curve": varied,
    "permutation_test_score": permuted,
    "GridSearchCV, n_jobs=2": partial(searched, search=GridSearchCV, n_jobs=2),
    "RandomizedSearchCV": partial(searched, search=RandomizedSearchCV, n_iter=2, random_state=0),
    "HalvingGridSearchCV": partial(searched, search=HalvingGridSearchCV, **HALVING),
    "HalvingRandomSearchCV": partial(
        searched, search=HalvingRandomSearchCV, n_candidates=2, **HALVING
    ),
    "sample_weight through Pipeline": weighted,
    "sample_weight and groups routed through GridSearchCV": routed,
    "clone": cloned,
    "set_output": framed,
    "Pipeline with StepTransformer(StandardScaler)": fits(scaled),
    "Pipeline with StandardScaler": classifies(lambda net: make_pipeline(StandardScaler(), net)),
    "ColumnTransformer": fits(of_columns),
    "StepTransformer(ColumnTransformer)": fits(of_columns_in_steps),
    "CalibratedClassifierCV": classifies(partial(CalibratedClassifierCV, cv=3)),
    "CalibratedClassifierCV(FrozenEstimator)": thawed,
    "FrozenEstimator": frozen,
    "FixedThresholdClassifier": classifies(
        partial(FixedThresholdClassifier, threshold=0.4), BINARY
    ),
    "TunedThresholdClassifierCV": classifies(
        partial(TunedThresholdClassifierCV, cv=3, thresholds=5), BINARY
    ),
    "VotingClassifier": classifies(lambda net: VotingClassifier(two(net), voting="soft")),
    "VotingRegressor": regresses(lambda net: VotingRegressor(two(net))),
    "StackingClassifier": classifies(lambda net: StackingClassifier(two(net), cv=3)),
    "StackingRegressor": regresses(lambda net: StackingRegressor(two(net), cv=3)),
    "StackingClassifier, passthrough=True": classifies(passed_through),
    "OneVsRestClassifier": classifies(OneVsRestClassifier),
    "OneVsOneClassifier": classifies(OneVsOneClassifier),
    "OutputCodeClassifier": classifies(CODED),
    "MultiOutputClassifier": classifies(MultiOutputClassifier, LABELS),
    "MultiOutputRegressor": regresses(MultiOutputRegressor, NUMBERS),
    "ClassifierChain": classifies(ClassifierChain, LABELS),
    "RegressorChain": regresses(RegressorChain, NUMBERS),
    "RNNClassifier, y of several labels": classifies(lambda net: net, LABELS),
    "RNNRegressor, y of several numbers": regresses(lambda net: net, NUMBERS),
    "TransformedTargetRegressor": regresses(SINH, NUMBERS),
    "BaggingClassifier": classifies(BAG),
    "BaggingRegressor": regresses(BAG_OF_REGRESSORS),
    "AdaBoostClassifier": classifies(BOOST),
    "AdaBoostRegressor": regresses(BOOSTED_REGRESSOR),
    "SelfTrainingClassifier": classifies(SELF_TRAINED, HALF_KNOWN),
    "RANSACRegressor": regresses(ROBUST),
    "permutation_importance": importances,
    "partial_dependence": dependence,
    "RFE": selects(ELIMINATE),
    "RFE of a net with feature_importances_": selects(ELIMINATE, Ranked),
    "SequentialFeatureSelector": selects(SELECT),
    "StepTransformer(RFE)": selects_in_steps(ELIMINATE_IN_STEPS),
    "StepTransformer(SequentialFeatureSelector)": selects_in_steps(SELECT_IN_STEPS),
    "SequencePadder(value=0), StackingClassifier, passthrough=True": padded(
        passed_through, value=0.0
    ),
    "SequencePadder, OneVsOneClassifier": padded(OneVsOneClassifier),
    "SequencePadder, OutputCodeClassifier": padded(CODED),
    "SequencePadder, BaggingClassifier": padded(BAG),
    "SequencePadder, BaggingRegressor": padded(BAG_OF_REGRESSORS, RNNRegressor, NUMBERS[:, 0]),
    "SequencePadder(value=0), AdaBoostClassifier": padded(BOOST, value=0.0),
    "SequencePadder(value=0), AdaBoostRegressor": padded(
        BOOSTED_REGRESSOR, RNNRegressor, NUMBERS[:, 0], value=0.0
    ),
    "SequencePadder, SelfTrainingClassifier": padded(SELF_TRAINED, y=HALF_KNOWN),
    "SequencePadder, RANSACRegressor": padded(ROBUST, RNNRegressor, NUMBERS[:, 0]),
}


# what is refused, and a part of each message ----------------------------------------------------

SEQUENCE = "setting an array element with a sequence"
NOT_2D = "Expected 2D array, got 1D array instead"
DIM_3 = "Found array with dim 3"
NAN = "Input X contains NaN"
HALF_NAN = "NaN in some features of a step but not in all"
NOT_DIVIDED = "features_per_step=2 must divide the number of columns"
NO_IMPORTANCE = "should have `coef_` or `feature_importances_`"
ONE_FEATURE = {"table, D = 1": "a minimum of 2 is required"}

NO_SEQUENCES = {
    "list": SEQUENCE,
    "object array": SEQUENCE,
    "frame of arrays": SEQUENCE,
    "3-D array": DIM_3,
}
CHAIN = (
    NO_SEQUENCES | dict.fromkeys(["table", "pandas", "polars"], NOT_DIVIDED) | {"padded table": NAN}
)
BAGGING = {"list": SEQUENCE, "object array": NOT_2D, "3-D array": DIM_3}
ADABOOST = {
    "list": SEQUENCE,
    "object array": NOT_2D,
    "frame of arrays": "truth value of an array",
    "padded table": NAN,
}
TABLES = ["padded table", "table", "pandas", "polars", "table, D = 1"]
EXPECTED = {
    "Pipeline with StandardScaler": NO_SEQUENCES,
    "ColumnTransformer": {
        "list": NOT_2D,
        "object array": "tuple index out of range",
        "3-D array": "should be a 2D NumPy array",
    },
    "StackingClassifier, passthrough=True": {
        "list": SEQUENCE,
        "object array": "same number of dimensions",
        "frame of arrays": SEQUENCE,
        "padded table": NAN,
        "3-D array": "same number of dimensions",
    },
    "OneVsOneClassifier": NO_SEQUENCES,
    "OutputCodeClassifier": {"list": SEQUENCE, "3-D array": DIM_3},
    "ClassifierChain": CHAIN,
    "RegressorChain": CHAIN,
    "BaggingClassifier": BAGGING,
    "BaggingRegressor": BAGGING,
    "AdaBoostClassifier": ADABOOST,
    "AdaBoostRegressor": ADABOOST,
    "SelfTrainingClassifier": NO_SEQUENCES,
    "RANSACRegressor": NO_SEQUENCES,
    "permutation_importance": {
        "list": SEQUENCE,
        "object array": NOT_2D,
        "padded table": HALF_NAN,
        "3-D array": DIM_3,
        "polars": "X does not have valid feature names",
    },
    "partial_dependence": {
        "list": NOT_2D,
        "object array": "tuple index out of range",
        "frame of arrays": "could not be broadcast",
        "3-D array": "should be a 2D NumPy array",
        "polars": "no attribute 'kind'",
    },
    "RFE": NO_SEQUENCES | dict.fromkeys(TABLES, NO_IMPORTANCE),
    "RFE of a net with feature_importances_": CHAIN | {"padded table": HALF_NAN},
    "SequentialFeatureSelector": NO_SEQUENCES | dict.fromkeys(TABLES[:-1], NOT_DIVIDED),
    "StepTransformer(RFE)": ONE_FEATURE,
    "StepTransformer(SequentialFeatureSelector)": ONE_FEATURE,
}


@cache
def reference(tool, name):
    """Results of the tool for the sequences as a list, else as the first container it accepts."""
    refused = EXPECTED.get(tool, {})
    same = [Data(SEQUENCES[name], name)] if "list" not in refused else []
    same += [data for c, data in CONTAINERS.items() if data.name == name and c not in refused]
    return TOOLS[tool](same[0])


# frames are stored column by column, so the rows of a column are summed in another order
TOLERANCE = {"Pipeline with StandardScaler": 1e-12}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_has_the_same_results_for_every_container_it_accepts(tool, container):
    data, refusal = CONTAINERS[container], EXPECTED.get(tool, {}).get(container)
    if refusal is not None:
        with pytest.raises(Exception, match=re.escape(refusal)):
            TOOLS[tool](data)
        return
    for result, expected in zip(TOOLS[tool](data), reference(tool, data.name), strict=True):
        if np.asarray(result).dtype.kind == "f":
            np.testing.assert_allclose(result, expected, rtol=TOLERANCE.get(tool, 0), atol=0)
        else:
            np.testing.assert_array_equal(result, expected)


def test_a_search_in_two_processes_is_the_serial_one():
    serial = searched(CONTAINERS["list"], GridSearchCV)
    np.testing.assert_equal(reference("GridSearchCV, n_jobs=2", "ragged"), serial)


# the page, and its workarounds ------------------------------------------------------------------


class Workaround(NamedTuple):
    """For tools that refuse containers: other tools, if any, that accept them, in a sentence."""

    tools: list
    instead: list
    sentence: str


TABLE_CHECKERS = [
    "OneVsOneClassifier",
    "OutputCodeClassifier",
    "BaggingClassifier",
    "BaggingRegressor",
    "SelfTrainingClassifier",
    "RANSACRegressor",
]
NAN_CHECKERS = [
    "StackingClassifier, passthrough=True",
    "AdaBoostClassifier",
    "AdaBoostRegressor",
]
IN_STEPS = ["StepTransformer(RFE)", "StepTransformer(SequentialFeatureSelector)"]
RANKED = "RFE of a net with feature_importances_"
WORKAROUNDS = [
    Workaround(
        ["Pipeline with StandardScaler"],
        ["Pipeline with StepTransformer(StandardScaler)"],
        "Put transformers of tables into `StepTransformer`, which also treats a feature in the "
        "same way at all steps.",
    ),
    Workaround(
        ["ColumnTransformer"],
        ["StepTransformer(ColumnTransformer)"],
        "It selects columns of a table or a frame; inside `StepTransformer`, features of the "
        "steps.",
    ),
    Workaround(
        TABLE_CHECKERS,
        [f"SequencePadder, {tool}" for tool in TABLE_CHECKERS],
        "They check that X is a table, and accept a padded one, which "
        "`SequencePadder(flatten=True)` before them makes of any container. "
        "(`OutputCodeClassifier` checks only where a bit of its random code is the same for all "
        "classes.)",
    ),
    Workaround(
        NAN_CHECKERS,
        [f"SequencePadder(value=0), {tool}" for tool in NAN_CHECKERS],
        "They refuse NaN too, so they accept tables of equal lengths only. Pad ragged sequences "
        'by a number, `SequencePadder(value=0.0, side="left", flatten=True)`, which the net then '
        "reads as further steps at the start.",
    ),
    Workaround(
        ["ClassifierChain", "RegressorChain"],
        ["RNNClassifier, y of several labels", "RNNRegressor, y of several numbers"],
        "They append targets to X as columns, which can be steps only where a step is one column. "
        "The estimators themselves accept a y of several labels or numbers, in every container.",
    ),
    Workaround(
        ["permutation_importance"],
        [],
        "It permutes columns: pass a table of equal lengths, where a column is a feature at a "
        "step, or a frame of arrays to permute whole sequences. In a padded table, permuted "
        "columns leave steps partly NaN. A polars frame loses its names, with a warning; "
        "`X.to_pandas()` keeps them.",
    ),
    Workaround(
        ["partial_dependence"],
        [],
        "It varies columns of a table: flatten by `pad_sequences(X, flatten=True)`, and convert a "
        "polars frame by `X.to_pandas()`.",
    ),
    Workaround(
        ["RFE", RANKED, "SequentialFeatureSelector"],
        [*IN_STEPS, RANKED],
        "They remove columns of a table one by one, so a step must be one column, and they select "
        "steps. `RFE` also needs `feature_importances_`, which a net does not have ([they can be "
        "added](#selecting-steps-and-features)). To select features of the steps, put the "
        "selector, around an estimator of tables, into `StepTransformer`.",
    ),
    Workaround(
        IN_STEPS,
        [RANKED],
        "A step of one feature has none to remove; steps themselves are selected as above.",
    ),
]
PAGE = Path(__file__).parents[1] / "docs" / "user_guide" / "tools.md"
MARKS = "<!-- written by tools/make_tool_matrix.py -->\n", "<!-- end of what it writes -->\n"


def row(*cells):
    return "| " + " | ".join(cells) + " |\n"


def matrix():
    """The table of the page, and the workarounds."""
    table = row("", *CONTAINERS) + row("---", *[":-:"] * len(CONTAINERS))
    for tool in TOOLS:
        refused = EXPECTED.get(tool, {})
        table += row(tool, *["✗" if c in refused else "✓" for c in CONTAINERS])
    lines = [f"- **{', '.join(tools)}**: {sentence}\n" for tools, _, sentence in WORKAROUNDS]
    return f"\n{table}\nWorkarounds where a container is refused:\n\n{''.join(lines)}\n"


def page_with_matrix():
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.partition(MARKS[0])[0], page.partition(MARKS[1])[2]
    return before + MARKS[0] + matrix() + MARKS[1] + after


def accepts(tools, containers):
    """Whether one of the tools accepts one of the containers."""
    return any(c not in EXPECTED.get(tool, {}) for tool, c in product(tools, containers))


def same_sequences(container):
    return [c for c, data in CONTAINERS.items() if data.name == CONTAINERS[container].name]


def test_the_page_shows_the_matrix():
    assert PAGE.read_text(encoding="utf-8") == page_with_matrix(), (
        "run python tools/make_tool_matrix.py"
    )


def test_every_refusal_has_a_workaround():
    assert sorted(tool for tools, *_ in WORKAROUNDS for tool in tools) == sorted(EXPECTED)
    for tools, instead, _ in WORKAROUNDS:
        for tool, refused in product(tools, CONTAINERS):
            if refused in EXPECTED[tool]:
                assert accepts(instead, [refused]) or accepts([tool], same_sequences(refused))


# conformal prediction -------------------------------------------------------------------------

SERIES = as_sequences([RNG.normal(size=(2 + i % 4, D)) for i in range(60)])
SUMS = np.array([x.sum() for x in SERIES])
SMALL_NET = {"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("prefit", [True, False])
def test_conformal_intervals_of_sequences(prefit):
    regression = pytest.importorskip("mapie.regression")
    net = RNNRegressor(**SMALL_NET)
    model = net.fit(SERIES, SUMS) if prefit else net
    mapie = regression.SplitConformalRegressor(model, confidence_level=0.9, prefit=prefit)
    mapie = mapie if prefit else mapie.fit(SERIES, SUMS)
    predicted, intervals = mapie.conformalize(SERIES, SUMS).predict_interval(SERIES)
    np.testing.assert_array_equal(predicted, net.fit(SERIES, SUMS).predict(SERIES))
    inside = (intervals[:, 0, 0] <= SUMS) & (intervals[:, 1, 0] >= SUMS)
    assert inside.mean() >= 0.9


CONFORMAL = {
    "univariate sequences": (as_sequences([x[:, 0] for x in SERIES]), None),
    "padded table": (pad_sequences(SERIES, flatten=True), D),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("prefit", [True, False])
@pytest.mark.parametrize(("X", "features_per_step"), CONFORMAL.values(), ids=CONFORMAL)
def test_conformal_sets_of_classes(X, features_per_step, prefit):
    classification = pytest.importorskip("mapie.classification")
    y = (SUMS > 0).astype(int)
    net = RNNClassifier(**SMALL_NET, features_per_step=features_per_step)
    model = net.fit(X, y) if prefit else net
    mapie = classification.SplitConformalClassifier(model, confidence_level=0.9, prefit=prefit)
    mapie = mapie if prefit else mapie.fit(X, y)
    predicted, sets = mapie.conformalize(X, y).predict_set(X)
    np.testing.assert_array_equal(predicted, net.fit(X, y).predict(X))
    assert sets[np.arange(len(y)), y, 0].mean() >= 0.9
