"""The choice of the rule that standardises features: candidates on raw data of many kinds.

Run with `python benchmarks/standardizing.py`, after `pip install ".[bench-data]"`. A rule learns a
centre and a scale per feature from the steps of the training set, in float64, and the net gets the
scaled steps in float32. Real sets are taken raw, and spoiled in ways that are met in the field;
synthetic ones are sparse, rare or heavy-tailed. `--adding` counts the epochs of the adding problem,
and `--levels` measures what one scale for a whole table costs where its columns are the steps and
differ in level. `--results FILE` stores results, so that an interrupted run can be resumed; a rule
that scales a set to the same bits as another is measured once.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import warnings
from argparse import ArgumentParser
from dataclasses import replace
from functools import partial
from hashlib import sha1

import numpy as np
from _common import Results, Table, print_machine
from _sets import SETS, Data
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skrnn import RNNClassifier, RNNRegressor, as_sequences
from skrnn.datasets import make_adding_problem, make_temporal_order

# Rules: from values (steps, features) to centre and scale, and a limit of the result -----------


def quantile(values, q):
    """Return the least value with a share of at least q at or below it, which weights repeat."""
    return np.quantile(values, q, axis=0, method="inverted_cdf")


def nothing(values):
    return np.zeros(values.shape[1]), np.ones(values.shape[1])


def quartiles(values):
    low, center, high = (quantile(values, q) for q in (0.25, 0.5, 0.75))
    return center, np.where(low == high, 1, high - low)


def largest(distances):
    return distances.max(0)


def median(distances):
    """Return the median of the distances that are not 0."""
    kept = [column[column > 0] for column in distances.T]
    return np.array([quantile(column, 0.5) if len(column) else 0 for column in kept])


def frequent(distances):
    """Return the deviation if .5 % of the values were at the median distance, the others at 0."""
    return np.sqrt(0.005 * 0.995) * median(distances)


def moments(values, tail=0.0, rare=largest):
    """Return mean and deviation of the values clipped to the quantiles `tail` and 1 - `tail`.

    A feature constant between these is scaled by `rare` of the distances from there.
    """
    low, high = quantile(values, tail), quantile(values, 1 - tail)
    clipped = values.clip(low, high)
    center = np.where(low == high, low, clipped.mean(0))
    scale = np.where(low == high, rare(abs(values - low)), clipped.std(0))
    return center, np.where(scale == 0, 1, scale)


def fenced(values, tail=0.05, reach=5.0):
    """Return mean and deviation of values clipped `reach` ranges of two quantiles beyond them.

    The range of a feature constant between these is the median distance of its other values.
    """
    low, high = quantile(values, tail), quantile(values, 1 - tail)
    width = reach * np.where(low == high, median(abs(values - low)), high - low)
    clipped = values.clip(low - width, high + width)
    scale = np.where(width == 0, 1, clipped.std(0))
    return np.where(width == 0, low, clipped.mean(0)), scale


def within(bound):
    return lambda z: z.clip(-bound, bound)


def slow(bound, growth=10):
    """Return a function that grows as `growth` times the logarithm beyond a bound."""

    def limit(z):
        excess = np.maximum(abs(z) / bound, 1)
        return z.clip(-bound, bound) + np.sign(z) * growth * np.log(excess)

    return limit


tails = partial(moments, tail=0.005)
by_median, as_half_percent = (partial(tails, rare=rare) for rare in (median, frequent))
RULES = {  # the first two are what the others are held against
    "none": (nothing, within(np.inf)),
    "mean, deviation": (moments, within(np.inf)),
    "same, ±10": (moments, within(10)),
    "median, IQR": (quartiles, within(np.inf)),
    ".5 %": (tails, within(np.inf)),
    ".5 %, ±5": (tails, within(5)),
    ".5 %, ±10": (tails, within(10)),
    ".5 %, ±20": (tails, within(20)),
    ".1 %, ±10": (partial(moments, tail=0.001), within(10)),
    "rare by median, ±20": (by_median, within(20)),
    "rare by median, log": (by_median, slow(10)),
    "rare as .5 %, ±10": (as_half_percent, within(10)),
    "rare as .5 %, ±20": (as_half_percent, within(20)),
    "rare as .5 %, ±50": (as_half_percent, within(50)),
    "fences, ±10": (fenced, within(10)),
    "fences, log": (fenced, slow(10)),
    "fences, 3 log": (fenced, slow(10, 3)),
}
CHOSEN = "fences, 3 log"  # what skrnn does itself


def scaled(rule, data):
    """Return data in float32, scaled by a rule learned from the training set."""
    learn, limit = RULES[rule]
    center, scale = learn(np.concatenate(data.X))
    return each(data, lambda x: limit((x - center) / scale).astype(np.float32))


# Ways in which data are met --------------------------------------------------------------------


def each(data, change, change_test=None):
    """Return data with every sequence changed."""
    X_test = as_sequences([(change_test or change)(x) for x in data.X_test])
    return replace(data, X=as_sequences([change(x) for x in data.X]), X_test=X_test)


def beside(value):
    """Return a function that adds a feature: a constant, or what a function makes of the length."""

    def change(x):
        feature = value(len(x)) if callable(value) else np.full(len(x), value)
        return np.column_stack([x, feature])

    return change


def far(data):
    return each(data, lambda x: 1e4 + 100 * x)


def tiny(data):
    return each(data, lambda x: 1e-6 * x)


def mixed(data):
    return each(data, lambda x: x * 10.0 ** (np.arange(x.shape[1]) % 9 - 4))


def glitches(size, share=0.001):
    def change(data):
        rng = np.random.default_rng(0)
        return each(data, lambda x: np.where(rng.random(x.shape) < share, size, x))

    return change


def clock(data):
    """Add Unix seconds; a sequence starts somewhere in a year."""
    rng = np.random.default_rng(0)
    return each(data, beside(lambda T: 1.7e9 + rng.uniform(0, 3e7) + np.arange(T)))


def later(data):
    """Add Unix seconds; test sequences start in the year after."""
    rng = np.random.default_rng(0)
    year = beside(lambda T: 1.7e9 + rng.uniform(0, 3e7) + np.arange(T))
    following = beside(lambda T: 1.73e9 + rng.uniform(0, 3e7) + np.arange(T))
    return each(data, year, following)


def constant(data):
    return each(data, beside(1000.0))


def awakened(data):
    """Add a feature that is 3 in training and varies in the test set."""
    rng = np.random.default_rng(0)
    return each(data, beside(3.0), beside(lambda T: 3 + 2 * rng.normal(size=T)))


KINDS = {
    "raw": lambda data: data,
    "1e4 + 100 x": far,
    "1e-6 x": tiny,
    "scales 1e-4 to 1e4": mixed,
    "glitches of 1e4": glitches(1e4),
    "glitches of 1e6": glitches(1e6),
    "-999 at 2 % of values": glitches(-999, 0.02),
    "and Unix seconds": clock,
    "and seconds, test later": later,
    "and a constant": constant,
    "and a constant but in test": awakened,
}
FEW = ("raw", "1e4 + 100 x", "glitches of 1e4", "-999 at 2 % of values", "and Unix seconds")
REAL = {
    "JapaneseVowels": tuple(KINDS),
    "ItalyPowerDemand": FEW,
    "BasicMotions": FEW,
    "Solar": FEW,
    "digits, 8 steps": FEW,
}


# Synthetic data ---------------------------------------------------------------------------------


def split(X, y, n_train=300):
    return Data(X[:n_train], y[:n_train], X[n_train:], y[n_train:])


def counts_total(rng):
    X = rng.poisson(0.05, (1300, 50, 2))
    return X, (X[:, :, 0].sum(1) > X[:, :, 1].sum(1)).astype(int)


def counts_order(rng):
    X = rng.poisson(0.05, (1300, 50, 2))
    last = (X > 0) * np.arange(1, 51)[:, None]
    return X, last.max(1).argmax(1)


def events(rng, share, size=20.0):
    """Noise beside two features that are 0 but at one step of some sequences: 3 classes."""
    y = rng.choice(3, 1300, p=[1 - 100 * share, 50 * share, 50 * share])
    X = np.zeros((1300, 50, 3))
    X[:, :, 2] = rng.normal(size=(1300, 50))
    happened = y.nonzero()[0]
    X[happened, rng.integers(50, size=len(happened)), y[happened] - 1] = size
    return X, y


def events_and_glitches(rng):
    X, y = events(rng, 0.003)
    X[:, :, :2] += 1e4 * (rng.random((1300, 50, 2)) < 0.0001)
    return X, y


def rain(rng):
    X = rng.gamma(0.7, 10, (1300, 50, 1)) * (rng.random((1300, 50, 1)) < 0.2)
    return X, X.sum((1, 2))


def spikes(rng):
    X = rng.gamma(0.7, 10, (1300, 50, 1)) * (rng.random((1300, 50, 1)) < 0.02)
    return X + 0.01 * rng.normal(size=X.shape), X.sum((1, 2))


def lognormal(rng, sigma):
    y = rng.integers(2, size=1300)
    return np.exp(sigma * (rng.normal(size=(1300, 20, 1)) + 0.25 * (2 * y - 1)[:, None, None])), y


def student(rng):
    y = rng.integers(2, size=1300)
    return rng.standard_t(1.5, (1300, 20, 1)) + 0.35 * (2 * y - 1)[:, None, None], y


def order(rng):
    return make_temporal_order(1300, length=30, random_state=0)


SYNTHETIC = {
    "sparse counts, total": counts_total,
    "sparse counts, order": counts_order,
    "one-hot symbols": order,
    "events at .3 %": partial(events, share=0.003),
    "events at .3 %, of .01": partial(events, share=0.003, size=0.01),
    "events at .7 %": partial(events, share=0.007),
    "events at .3 %, and glitches": events_and_glitches,
    "rain, 80 % zeros": rain,
    "spikes over noise, 2 %": spikes,
    "lognormal, 1": partial(lognormal, sigma=1),
    "lognormal, 2": partial(lognormal, sigma=2),
    "Student, 1.5": student,
}
HEAVY = ("lognormal, 1", "lognormal, 2", "Student, 1.5")


def all_sets():
    """Return functions that load a set, by name."""
    pairs = [(name, kind) for name, kinds in REAL.items() for kind in kinds]
    real = {f"{name}: {kind}": partial(spoiled, name, kind) for name, kind in pairs}
    return {name: partial(drawn, name) for name in SYNTHETIC} | real


def spoiled(name, kind):
    return KINDS[kind](SETS[name]())


def drawn(name):
    return split(*SYNTHETIC[name](np.random.default_rng(0)))


# Measuring --------------------------------------------------------------------------------------


def measure(data, seed, max_iter):
    """Return the test score, at least -1."""
    estimator = RNNRegressor if data.is_regression else RNNClassifier
    net = estimator(max_iter=max_iter, random_state=seed, standardize=False).fit(data.X, data.y)
    return max(net.score(data.X_test, data.y_test), -1)


def digest(data):
    return sha1(b"".join(x.tobytes() for x in [*data.X, *data.X_test])).hexdigest()[:16]


def mean_score(name, data, args, results):
    """Return the mean test score over the seeds; data of the same bits are measured once."""
    key, run = (name, digest(data), args.max_iter), partial(measure, data, max_iter=args.max_iter)
    return np.mean([results.get(partial(run, i), *key, i) for i in range(args.seeds)])


def run_set(name, load, args, results):
    """Print the row of a set; return the mean score of every rule."""
    raw = load()
    scores = [mean_score(name, scaled(rule, raw), args, results) for rule in RULES]
    Table.print_row(name, *(f"{score:.3f}" for score in scores))
    return scores


def print_losses(names, scores):
    """Print how far each rule is below the better of the first two, heavy tails apart."""
    kept = [i for i, name in enumerate(names) if name not in HEAVY]
    below = scores[:, :2].max(1, keepdims=True) - scores
    print()
    table = Table("rule", "mean score", "worst loss", "at", "losses of more than .02")
    for j, rule in enumerate(RULES):
        worst = max(kept, key=lambda i: below[i, j])
        count = (below[kept, j] > 0.02).sum()
        figures = f"{scores[:, j].mean():.3f}", f"{below[worst, j]:.3f}"
        table.print_row(rule, *figures, names[worst], count)


def compare(args, results):
    sets = {name: load for name, load in all_sets().items() if args.only in name}
    Table("set", *RULES)
    scores = np.array([run_set(name, load, args, results) for name, load in sets.items()])
    print_losses(list(sets), scores)
    print_machine("aeon", note=f"float32, max_iter={args.max_iter}, {args.seeds} seeds, one thread")


# The adding problem -----------------------------------------------------------------------------


def epochs(data, seed, target=0.01, max_iter=12):
    """Return the first epoch with a mean squared error below the target on new data."""
    params = {"early_stopping": True, "n_iter_no_change": max_iter, "max_iter": max_iter}
    net = RNNRegressor(random_state=seed, standardize=False, scoring=None, **params)
    net.fit(data.X, data.y, X_val=data.X_test, y_val=data.y_test)
    errors = (1 - np.array(net.validation_scores_)) * data.y_test.var()
    return int(np.argmax([*(errors < target), True])) + 1


def compare_epochs(args, results):
    raw = split(*make_adding_problem(2500, length=100, random_state=0), n_train=2000)
    Table("rule", "epochs to a mean squared error of .01", "of each seed")
    for rule in RULES:
        data = scaled(rule, raw)
        key = "adding", digest(data)
        counts = [results.get(partial(epochs, data, i), *key, i) for i in range(args.seeds)]
        Table.print_row(rule, float(np.mean(counts)), ", ".join(map(str, counts)))
    print_machine(note=f"float32, at most 12 epochs, {args.seeds} seeds, one thread")


# Tables whose columns are the steps -------------------------------------------------------------

FACTORS = (1, 2, 3, 5, 7, 10, 30, 100, 300)


def sklearn_table(loader):
    X, y = loader(return_X_y=True)
    return train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)


def archive_table(name):
    data = SETS[name]()
    return *(np.array([x.ravel() for x in X]) for X in (data.X, data.X_test)), data.y, data.y_test


TABLES = {
    "wine": partial(sklearn_table, load_wine),
    "breast cancer": partial(sklearn_table, load_breast_cancer),
    "ItalyPowerDemand": partial(archive_table, "ItalyPowerDemand"),
}
AS_THEY_ARE = ("GunPoint", "ArrowHead")


def per_column(X, X_test):
    """Return both parts with every column standardised by the first."""
    center, scale = moments(X)
    return (X - center) / scale, (X_test - center) / scale


def level_ratio(X):
    """Return the spread of the columns' means over the median spread within a column."""
    spread = X.std(0)
    return float(X.mean(0).std() / np.median(spread[spread > 0]))


def scale_ratio(X):
    """Return the spread of the whole table over the median spread within a column."""
    spread = X.std(0)
    return float(X.std() / np.median(spread[spread > 0]))


def score_table(name, table, args, results):
    """Return the mean score of nets that read one column of a table per step, scaled as one."""
    X, X_test, y, y_test = table
    data = Data(X[:, :, None], y, X_test[:, :, None], y_test)
    return mean_score(name, scaled(CHOSEN, data), args, results)


def apart(table, factor):
    """Return columns of deviation 1 whose means have a deviation of `factor`."""
    level = np.random.default_rng(0).normal(size=table.shape[1])
    return table + factor * (level - level.mean()) / level.std()


def unequal(table, factor):
    """Return columns of mean 0 whose deviations are up to `factor` and down to its inverse."""
    return table * float(factor) ** np.random.default_rng(0).uniform(-1, 1, table.shape[1])


def compare_factors(title, change, tables, args, results):
    Table(title, "level ratio", "scale ratio", *tables)
    for factor in FACTORS:
        changed = {
            name: (*(change(x, factor) for x in per_column(*table[:2])), *table[2:])
            for name, table in tables.items()
        }
        ratios = np.mean([(level_ratio(t[0]), scale_ratio(t[0])) for t in changed.values()], 0)
        scores = (score_table(name, t, args, results) for name, t in changed.items())
        Table.print_row(factor, *ratios.tolist(), *(f"{score:.3f}" for score in scores))
    print()


def compare_levels(args, results):
    """Print what columns apart, columns of unequal spread, and tables as they are cost."""
    tables = {name: load() for name, load in TABLES.items()}
    compare_factors("columns apart by", apart, tables, args, results)
    compare_factors("spreads differ by", unequal, tables, args, results)
    tables |= {name: archive_table(name) for name in AS_THEY_ARE}
    Table("as it is", "level ratio", "scale ratio", "one scale", "a scale per column")
    for name, table in tables.items():
        ratios = level_ratio(table[0]), scale_ratio(table[0])
        both = table, (*per_column(*table[:2]), *table[2:])
        scores = (score_table(name, t, args, results) for t in both)
        Table.print_row(name, *ratios, *(f"{score:.3f}" for score in scores))
    print_machine("aeon", note=f"float32, max_iter={args.max_iter}, {args.seeds} seeds, one thread")


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="sets whose name contains this")
    parser.add_argument("--adding", action="store_true", help="epochs of the adding problem")
    parser.add_argument("--levels", action="store_true", help="tables with one feature per step")
    parser.add_argument("--max-iter", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--results", help="file to store results in and to resume from")
    parser.add_argument("--quick", action="store_true", help="a few small sets, one seed")
    args = parser.parse_args()
    if args.quick:
        args.only, args.seeds, args.max_iter = "ItalyPowerDemand", 1, 5
    warnings.simplefilter("ignore", ConvergenceWarning)
    run = compare_epochs if args.adding else compare_levels if args.levels else compare
    run(args, Results(args.results))


if __name__ == "__main__":
    main()
