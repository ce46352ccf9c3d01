"""The structure: modules import lower levels only, and what is public is named so."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import skrnn

FOLDER = Path(skrnn.__file__).parent
LEVELS = (  # from the bottom up: a module imports from earlier lines only
    ("_compat", "_typing", "_version", "_parallel.host"),
    ("_data.numeric", "_data.sequences", "_nn.blas", "_nn.initializers", "_parallel.threads"),
    ("_data.samples", "_data.containers", "_nn.cells", "_nn.embedding", "_nn.linear"),
    ("_nn.losses", "_nn.pooling", "_training.optimizers", "_training.schedules"),
    ("_training.early_stopping", "_training.health", "_training.monitor", "_data.scaling"),
    ("_data.inputs", "_data.targets", "_nn.recurrent", "_training.loops"),
    ("_data.validation",),
    ("_nn.stack", "_nn.heads"),
    ("_nn.network",),
    ("_nn.workspace",),
    ("_nn.backprop",),
    ("_parallel.shards",),
    ("_nn.streaming",),
    ("_estimators.parameters", "_estimators.targets"),
    ("_estimators.validation",),
    ("_estimators.training",),
    ("_estimators.state",),
    ("_estimators.base",),
    ("_estimators.classifier", "_estimators.regressor", "metrics._step_scorer"),
    ("preprocessing._containers", "datasets._japanese_vowels", "datasets._synthetic"),
    ("preprocessing._base", "preprocessing._windows"),
    ("preprocessing._sequence_shortener", "preprocessing._step_imputer"),
    ("preprocessing._sequence_padder", "preprocessing._step_transformer"),
    ("preprocessing._token_encoder",),
    ("preprocessing._long",),
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
PACKAGES = {path.parent for path in FOLDER.rglob("__init__.py")}


def name_of(path):
    return ".".join(path.relative_to(FOLDER).with_suffix("").parts)


def imports(path):
    """Imports of a file, anywhere in it: the module, and what is imported from it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from ((node.module, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)


def test_every_module_has_a_level():
    modules = {name_of(path) for path in FOLDER.rglob("*.py") if path.stem != "__init__"}
    assert modules == set(LEVEL)


@pytest.mark.parametrize("name", LEVEL)
def test_imports_point_down(name):
    for names in imports(FOLDER.joinpath(*name.split(".")).with_suffix(".py")):
        for short in (full.removeprefix("skrnn.") for full in names):
            assert LEVEL.get(short, -1) < LEVEL[name], f"{name} imports {short}"


@pytest.mark.parametrize("package", sorted(PACKAGES), ids=lambda path: path.name)
def test_no_module_imports_through_a_package(package):
    """An import of names from `skrnn` itself, or from a sub-package, would hide what it needs."""
    packages = {"skrnn"} | {f"skrnn.{folder.name}" for folder in PACKAGES - {FOLDER}}
    for path in package.glob("*.py"):
        if path.name == "__init__.py":
            continue
        imported = {module for module, _ in imports(path)} & packages
        assert not imported, f"{path} imports {imported}"


@pytest.mark.parametrize("name", [n for n in LEVEL if n.startswith(("_data", "_nn", "_training"))])
def test_only_estimators_and_transformers_know_the_base_classes(name):
    path = FOLDER.joinpath(*name.split(".")).with_suffix(".py")
    text = path.read_text(encoding="utf-8")
    assert "BaseEstimator" not in text and "ClassifierMixin" not in text


@pytest.mark.parametrize(
    "name", ["skrnn", "skrnn.preprocessing", "skrnn.datasets", "skrnn.metrics"]
)
def test_what_is_public_is_in_all_and_has_a_docstring(name):
    module = import_module(name)
    public = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", "").startswith("skrnn")
    }
    assert public <= set(module.__all__)
    assert all(getattr(module, key).__doc__ for key in public)
