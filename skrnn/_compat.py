"""The pieces of scikit-learn that are private, or not in all versions, in one place."""

from collections.abc import Callable
from typing import Any, Self, TypeVar

from sklearn.base import _fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    RealNotInt,
)
from sklearn.utils._param_validation import StrOptions as _StrOptions

try:
    from sklearn.callback import CallbackSupportMixin  # scikit-learn 1.9
except ImportError:

    class NoContext:
        """The context of a fit that nobody can watch."""

        def subcontext(self, **task: Any) -> Self:
            return self

        def call_on_fit_task_begin(self, **state: Any) -> None:
            pass

        def call_on_fit_task_end(self, **state: Any) -> bool:
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing but the context."""

        def _init_callback_context(self, **task: Any) -> NoContext:
            return NoContext()


class StrOptions(_StrOptions):
    """The same, listed in the order of the registry whose keys they are, or else sorted."""

    def __str__(self) -> str:
        options = sorted(self.options) if isinstance(self.options, set) else self.options
        return f"a str among {{{', '.join(map(repr, options))}}}"


Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Validate the parameters before a method fits; scikit-learn's decorator, with a type."""
    return _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "RealNotInt",
    "StrOptions",
    "fit_context",
]
