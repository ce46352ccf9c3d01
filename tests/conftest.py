"""What holds for every test: no check is skipped, no property test depends on time or luck."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # read once, when SciPy is imported

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("skrnn", deadline=None, derandomize=True)
settings.load_profile("skrnn")

pytest.register_assert_rewrite("_factories")

_WORST = pytest.StashKey[dict]()


def pytest_ignore_collect(collection_path):
    """Search test modules alone: doctest would import every script that stands beside them."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None


@pytest.fixture
def assert_gradient(request):
    """Hold a gradient against central differences; the worst error is printed at the end."""

    def check(function, at, gradient, *, tolerance=1e-6, step=1e-6):
        at = np.array(at, dtype=np.float64)
        numeric = np.empty_like(at)
        for i in np.ndindex(at.shape):
            value = at[i]
            at[i] = value + step
            above = function(at)
            at[i] = value - step
            numeric[i] = (above - function(at)) / (2 * step)
            at[i] = value
        error = np.abs(gradient - numeric).max() / np.abs(numeric).max()
        _keep_worst(request.config, {request.node.path.stem: (float(error), request.node.name)})
        assert error < tolerance

    return check


def _keep_worst(config, errors):
    worst = config.stash.setdefault(_WORST, {})
    for part, error in errors.items():
        worst[part] = max(worst.get(part, (0.0, "")), tuple(error))


def pytest_sessionfinish(session):
    """Hand the worst errors of a worker process over to the main one."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["worst"] = session.config.stash.get(_WORST, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Take over what a worker process handed over."""
    _keep_worst(node.config, getattr(node, "workeroutput", {}).get("worst", {}))


def pytest_terminal_summary(terminalreporter, config):
    for part, (error, name) in sorted(config.stash.get(_WORST, {}).items()):
        terminalreporter.write_line(
            f"{part}: worst relative error of a gradient {error:.1e}, in {name}"
        )
