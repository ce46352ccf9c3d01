"""The structure: modules import lower levels only, and what is public is named so."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import skrnn

LEVELS = {
    "_blas": 0,
    "_cells": 0,
    "_compat": 0,
    "_docs": 0,
    "_losses": 0,
    "_optimizers": 0,
    "_sequences": 0,
    "_threads": 0,
    "_training": 0,
    "_watch": 0,
    "_readouts": 0,
    "_layers": 1,
    "_partner": 1,
    "_validation": 1,
    "_chain": 2,
    "_heads": 2,
    "_network": 3,
    "_parallel": 4,
    "_streams": 4,
    "_base": 5,
    "_classifier": 6,
    "_regressor": 6,
}
FOLDER = Path(skrnn.__file__).parent


def imported_siblings(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            yield node.module


def test_every_module_has_a_level():
    assert {path.stem for path in FOLDER.glob("_[a-z]*.py")} == set(LEVELS)


@pytest.mark.parametrize("name", LEVELS)
def test_imports_point_down(name):
    for imported in imported_siblings(FOLDER / f"{name}.py"):
        assert LEVELS[imported] < LEVELS[name], f"{name} imports {imported}"


@pytest.mark.parametrize("name", [name for name, level in LEVELS.items() if level < 5])
def test_only_the_estimators_know_the_base_classes(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert "BaseEstimator" not in text and "ClassifierMixin" not in text


@pytest.mark.parametrize("name", ["skrnn", "skrnn.preprocessing", "skrnn.datasets"])
def test_what_is_public_is_in_all_and_has_a_docstring(name):
    module = import_module(name)
    public = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", "").startswith("skrnn")
    }
    assert public <= set(module.__all__)
    assert all(getattr(module, key).__doc__ for key in public)
