"""The private pieces of scikit-learn that estimators of other packages need, in one place."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Interval, Options, RealNotInt, StrOptions

__all__ = ["HasMethods", "Interval", "Options", "RealNotInt", "StrOptions", "fit_context"]
