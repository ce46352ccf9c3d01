"""Doctests of methods, which pytest misses where their class is of a public module."""

import doctest

import pytest

import skrnn.datasets
import skrnn.preprocessing

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
CLASSES = [
    value
    for module in (skrnn, skrnn.preprocessing)
    for name in module.__all__
    if isinstance(value := getattr(module, name), type)
]


def doctests_of_methods(cls):
    """Those below the class, whichever module its methods are written in."""
    found = doctest.DocTestFinder(exclude_empty=True).find(cls, module=False)
    return [test for test in found if test.name != cls.__name__ and test.examples]


def test_doctests_of_inherited_methods_are_found():
    class Parent:
        def method(self):
            """Return nothing.

            >>> 1 + 1
            2
            """

    class Child(Parent):
        own = Parent.method

    Child.__module__ = "skrnn"
    assert [test.name for test in doctests_of_methods(Child)] == ["Child.own"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_examples_of_methods_are_right(cls):
    for test in doctests_of_methods(cls):
        assert doctest.DocTestRunner(optionflags=FLAGS).run(test).failed == 0, test.name
