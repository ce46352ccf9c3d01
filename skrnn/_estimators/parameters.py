"""The parameters of the estimators: constraints, documentation, and what excludes what."""

import inspect
import textwrap
from collections.abc import Iterable
from difflib import get_close_matches
from functools import update_wrapper, wraps
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar

import numpy as np
from sklearn.metrics import get_scorer_names

from skrnn._compat import Interval, Method, Options, StrOptions
from skrnn._nn.cells import CELLS
from skrnn._nn.pooling import READOUTS
from skrnn._training.optimizers import OPTIMIZERS
from skrnn._training.schedules import SCHEDULES

Estimator = TypeVar("Estimator")


class Parameter(NamedTuple):
    """What values are valid, and the parameter's documentation; its default is the signature's."""

    constraints: list[Any]
    type: str
    text: str


PARAMETERS = {
    "cell": Parameter(
        [StrOptions(CELLS.keys())],
        '{"rnn_tanh", "rnn_relu", "gru", "lstm"}',
        """
        The recurrence [1]_ [2]_ [3]_.
        """,
    ),
    "hidden_layer_sizes": Parameter(
        ["array-like", Interval(Integral, 1, None, closed="left")],
        "int or array-like of int",
        """
        Units of each recurrent layer; layers are stacked. An int is one layer.
        """,
    ),
    "bidirectional": Parameter(
        ["boolean"],
        "bool",
        """
        Whether every layer also reads each sequence backward [7]_, with weights of its own; the
        next layer reads the states of both directions. Excludes `bptt_steps`, `step` and
        `forecast`.
        """,
    ),
    "readout": Parameter(
        [StrOptions(READOUTS.keys())],
        '{"last", "mean", "max", "step"}',
        """
        Pooling of the hidden states for the output: the state after the last step (of both
        directions, the final state of each), the mean of the states over all steps, the greatest
        value of each unit; or, with "step", no pooling: one target and one output per step.
        """,
    ),
    "initial_state": Parameter(
        [StrOptions({"zeros", "normal", "learned"})],
        '{"zeros", "normal", "learned"}',
        """
        The state before the first step: zero; drawn for each batch in `fit`, normal with standard
        deviation 0.1, and zero at predict; or a parameter of each layer that is learned.
        """,
    ),
    "dropout": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        "float",
        """
        Probability, in [0, 1), that a unit's state is dropped on its way to the next layer or to
        the readout, in `fit` alone; one mask per sequence, shared by all its steps [8]_.
        """,
    ),
    "categorical_features": Parameter(
        ["array-like", None],
        "array-like of {bool, int, str} or None",
        """
        Which of the D features per step are integer codes: a mask of D booleans, their numbers, or
        their names where sequences are frames. Each code is replaced by a vector that is learned
        [9]_. Codes that did not occur at fit share one, which is zero.
        """,
    ),
    "embedding_dim": Parameter(
        ["array-like", Interval(Integral, 1, None, closed="left")],
        "int or array-like of int",
        """
        Length of the vectors that embed codes; an int for all `categorical_features`, or one for
        each.
        """,
    ),
    "features_per_step": Parameter(
        [Interval(Integral, 1, None, closed="left"), None],
        "int or None",
        """
        Features D per step where X is a table of two dimensions: its rows are then p / D steps of D
        features, time-major (`X3.reshape(n, T * D)`). None is 1. Sequences know their D.
        """,
    ),
    "standardize": Parameter(
        ["boolean"],
        "bool",
        """
        Whether to standardise each feature per step, by mean and deviation over the training
        sequences, of values clipped to fences far outside of where most of them lie; beyond 10
        deviations from the mean, the net reads the logarithm. A table of one feature per step has
        one mean and one deviation. Categories are left as they are. Later calls of `partial_fit`,
        and warm starts, keep those of the first.
        """,
    ),
    "alpha": Parameter(
        [Interval(Real, 0, None, closed="left")],
        "float",
        """
        Strength of the L2 penalty `alpha / 2 * ||W||^2` on the weights; biases, embeddings and
        initial states are free. With solver "adamw" it is not part of the loss: every update
        subtracts `alpha` times the learning rate times the weights. With fewer than a few hundred
        sequences more is often better: try 0.001.
        """,
    ),
    "solver": Parameter(
        [StrOptions({*OPTIMIZERS, "lbfgs"})],
        '{"adam", "adamw", "rmsprop", "sgd", "lbfgs"}',
        """
        Adam [4]_; Adam with decoupled weight decay [10]_; RMSprop [11]_; stochastic gradient
        descent with momentum; or L-BFGS [12]_, for small data: each of its iterations, called
        epochs elsewhere, takes all sequences, at least once, and its vectors are float64. L-BFGS
        ignores learning rate, `batch_size` and `max_grad_norm`, and refuses `partial_fit`,
        `early_stopping`, `bptt_steps`, `dropout` and `initial_state="normal"`.
        """,
    ),
    "learning_rate_init": Parameter(
        [Interval(Real, 0, None, closed="neither")],
        "float",
        """
        Learning rate of the first epoch.
        """,
    ),
    "learning_rate": Parameter(
        [StrOptions(SCHEDULES.keys())],
        '{"constant", "invscaling", "adaptive", "cosine"}',
        """
        Learning rate of the epochs t = 1, 2, ..., which `warm_start` and `partial_fit` continue to
        count. "invscaling" is `learning_rate_init / t ** power_t`. "adaptive" is divided by 5
        whenever training would stop by `tol`, until it is below 1e-6. "cosine" falls to 0 along
        half a cosine over `max_iter` epochs, and then starts anew [13]_.
        """,
    ),
    "power_t": Parameter(
        [Interval(Real, 0, None, closed="left")],
        "float",
        """
        Exponent of `learning_rate="invscaling"`.
        """,
    ),
    "batch_size": Parameter(
        [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        'int or "auto"',
        """
        Sequences per batch; "auto" is 32, or all if there are fewer.
        """,
    ),
    "max_iter": Parameter(
        [Interval(Integral, 1, None, closed="left")],
        "int",
        """
        Maximum number of epochs.
        """,
    ),
    "max_grad_norm": Parameter(
        [Interval(Real, 0, None, closed="neither"), None],
        "float or None",
        """
        Gradients whose L2 norm, over all weights together, is larger are scaled down to it [5]_.
        None does not clip.
        """,
    ),
    "bptt_steps": Parameter(
        [Interval(Integral, 1, None, closed="left"), None],
        "int or None",
        """
        Steps that the gradient goes back over (truncated backpropagation through time [6]_), which
        also bounds the memory. For the readout "last" they are those at the end of each sequence;
        earlier steps are read, but not learned from. For the others, sequences are learned from in
        windows of so many steps, each starting at the state that the previous one left. None goes
        back over all steps.
        """,
    ),
    "shuffle": Parameter(
        ["boolean"],
        "bool",
        """
        Whether to draw new batches every epoch. If so, the result depends neither on the order of
        the sequences nor on whether one is repeated or weighted. If not, the order is the user's.
        """,
    ),
    "momentum": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        "float",
        """
        Momentum of solver "sgd", in [0, 1).
        """,
    ),
    "nesterovs_momentum": Parameter(
        ["boolean"],
        "bool",
        """
        Whether the momentum of solver "sgd" is Nesterov's.
        """,
    ),
    "beta_1": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        "float",
        """
        Decay of the first moment in solvers "adam" and "adamw".
        """,
    ),
    "beta_2": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        "float",
        """
        Decay of the second moment in solvers "adam", "adamw" and "rmsprop".
        """,
    ),
    "epsilon": Parameter(
        [Interval(Real, 0, None, closed="neither")],
        "float",
        """
        Added to the root of the second moment in solvers "adam", "adamw" and "rmsprop".
        """,
    ),
    "tol": Parameter(
        [Interval(Real, 0, None, closed="left")],
        "float",
        """
        Minimum improvement of the loss, or with early stopping of the validation score, that counts
        as one. Solver "lbfgs" stops when no entry of the gradient is larger.
        """,
    ),
    "n_iter_no_change": Parameter(
        [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "int or inf",
        """
        Number of epochs without an improvement of more than `tol` after which training stops;
        `np.inf` is never. Not used by solver "lbfgs".
        """,
    ),
    "early_stopping": Parameter(
        ["boolean", StrOptions({"auto"})],
        '"auto" or bool',
        """
        Whether to hold out a validation part of the training data, stop when its score no longer
        improves, and restore the weights of the best epoch. "auto" does so where `X_val` is passed
        to `fit`, or there are enough different sequences: 1 000 for a classifier, 250 for a
        regressor; and never with `partial_fit` and solver "lbfgs". With False, `X_val` is measured,
        but stops nothing.
        """,
    ),
    "scoring": Parameter(
        [str, callable, None],
        "str, callable or None",
        """
        Score on the validation part: "loss" is minus the loss, without the penalty; None is that
        of `score`, accuracy or R^2; or the name of one of scikit-learn's scorers, or a scorer,
        which is called with a copy of the estimator, and rows of X, y and sample_weight as they
        were passed. For one target per step, see `skrnn.metrics.step_scorer`.
        """,
    ),
    "validation_fraction": Parameter(
        [Interval(Real, 0, 1, closed="neither")],
        "float",
        """
        Fraction of the training data to hold out for early stopping, in (0, 1); stratified by
        class, or whole `groups` where `fit` gets them. With `shuffle=False` it is the last part, as
        for sequences in order of time. Not used where `fit` gets `X_val`.
        """,
    ),
    "warm_start": Parameter(
        ["boolean"],
        "bool",
        """
        Whether `fit` resumes where the previous fit stopped, the optimiser's state included.
        """,
    ),
    "random_state": Parameter(
        ["random_state"],
        "int, RandomState instance or None",
        """
        Draws the initial weights, the validation part and the batches. An int gives the same bits
        in every fit.
        """,
    ),
    "verbose": Parameter(
        ["verbose"],
        "bool or int",
        """
        Whether to print a line per epoch: its loss, the validation loss, the gradient's norm, the
        learning rate and the seconds it took.
        """,
    ),
}

SUMMARY = """
Recurrent layers read each sequence step by step; a linear layer on their pooled hidden states gives
the output, one per sequence or one per step. Trained by backpropagation through time, with the
gradient clipped by its L2 norm, on sequences of any and of different lengths.

X may be a table (n, p) whose rows are flattened sequences, an array (n, T, D) of n sequences of T
steps of D features, or a list, object array or Series of n sequences, each (T_i, D) or (T_i,), as
arrays or frames. A step whose features are all NaN is absent and skipped, so padding by NaN changes
nothing. The kind of container seen at fit, table or sequences, is kept. The dtype of X is that of
the arithmetic: float32 in, float32 throughout.
"""

ATTRIBUTES = """
n_features_in_ : int
    Columns p of a table; features D per step for sequences.
feature_names_in_ : ndarray of shape (n_features_in,)
    Names of the columns, where X is a frame or holds frames, and they are all strings.
n_outputs_ : int
    Outputs of the net: one per column of y, per class (two classes have one) or per quantile.
n_iter_ : int
    Number of epochs.
weights_ : dict of str to ndarray
    The weights, for features and targets that are standardised: for layer 0 `W_xh_0` (G H, D),
    `W_hh_0` (G H, H), `b_h_0` (G H,) and, for "gru", `b_hn_0` (H,); likewise for the layers above;
    `W_ho` (K, H) and `b_o` (K,). G gates one below the other: r, z, n for "gru"; i, f, g, o for
    "lstm". If `bidirectional`, the same once more with `_reverse` at the end of the names, and 2 H
    columns for what reads both directions. With a learned initial state, `h0_0` (H,) and for "lstm"
    `c0_0` (H,). For the first categorical feature `E_0` (codes + 1, dimension), whose last row is
    that of unknown codes, for the second `E_1`.
categories_ : list of ndarray, or None
    The codes of every categorical feature, sorted: `E_0[k]` is the vector of `categories_[0][k]`.
    None if there are no categorical features.
feature_mean_, feature_scale_ : ndarray of shape (D,)
    What features are standardised by: the weights are those of (x - mean) / scale. None with
    `standardize=False`.
stop_reason_ : str
    Why training ended: "converged", "max_iter", "early_stopping", "callback", "interrupted" or
    "diverged", where the weights of an earlier epoch were kept.
loss_ : float
    Loss of the last epoch, averaged over its batches, the penalty included but for "adamw"; with
    "lbfgs" the loss at its end.
loss_curve_ : list of float
    Loss of every epoch; after more than 1 000 calls of `partial_fit`, of the last 1 000.
best_loss_ : float or None
    Minimum loss of an epoch; None with early stopping.
grad_norm_curve_ : list of float
    L2 norm of the gradient before clipping, averaged over the batches of every epoch; with "lbfgs"
    the norm at its end. As long as `loss_curve_`.
early_stopping_ : bool
    Whether a validation part was held out or passed that decided when to stop.
validation_loss_curve_ : list of float or None
    Loss on the validation part after every epoch, in the units of `loss_`, without the penalty.
    None if there is no validation part.
validation_scores_ : list of float or None
    Score on the validation part after every epoch, by `scoring`; greater is better.
best_validation_score_ : float or None
    Score on the validation part of the weights that were kept; None without early stopping.
best_epoch_ : int or None
    The epoch whose weights were kept, from 1 on; None without early stopping.
"""

REFERENCES = """
.. [1] Elman (1990). Finding structure in time. Cognitive Science, 14(2).
.. [2] Cho et al. (2014). Learning phrase representations using RNN encoder-decoder for statistical
       machine translation. EMNLP.
.. [3] Hochreiter & Schmidhuber (1997). Long short-term memory. Neural Computation, 9(8).
.. [4] Kingma & Ba (2015). Adam: a method for stochastic optimization. ICLR.
.. [5] Pascanu, Mikolov & Bengio (2013). On the difficulty of training recurrent neural networks.
       ICML.
.. [6] Williams & Peng (1990). An efficient gradient-based algorithm for on-line training of
       recurrent network trajectories. Neural Computation, 2(4).
.. [7] Schuster & Paliwal (1997). Bidirectional recurrent neural networks. IEEE Transactions on
       Signal Processing, 45(11).
.. [8] Gal & Ghahramani (2016). A theoretically grounded application of dropout in recurrent neural
       networks. NIPS.
.. [9] Bengio, Ducharme, Vincent & Jauvin (2003). A neural probabilistic language model. JMLR, 3.
.. [10] Loshchilov & Hutter (2019). Decoupled weight decay regularization. ICLR.
.. [11] Tieleman & Hinton (2012). Lecture 6.5: RMSProp. Coursera, Neural Networks for Machine
       Learning.
.. [12] Byrd, Lu, Nocedal & Zhu (1995). A limited memory algorithm for bound constrained
       optimization. SIAM Journal on Scientific Computing, 16(5).
.. [13] Loshchilov & Hutter (2017). SGDR: stochastic gradient descent with warm restarts. ICLR.
"""


def constraints() -> dict[str, Any]:
    """Constraints of all parameters, as scikit-learn wants them."""
    return {name: parameter.constraints for name, parameter in PARAMETERS.items()}


def defaults(cls: type) -> dict[str, Any]:
    """The default of every parameter of a class."""
    return {name: p.default for name, p in inspect.signature(cls).parameters.items()}


def document(cls: type[Estimator]) -> type[Estimator]:
    """Fill the shared parts into the docstring of a class."""
    signature = inspect.signature(cls).parameters
    parameters = "\n".join(
        f"{name} : {parameter.type}, default={_as_text(signature[name].default)}\n"
        + textwrap.indent(textwrap.dedent(parameter.text).strip(), "    ")
        for name, parameter in PARAMETERS.items()
    )
    parts = {
        "summary": SUMMARY,
        "parameters": parameters,
        "attributes": ATTRIBUTES,
        "references": REFERENCES,
    }
    filled = {name: textwrap.indent(text.strip(), "    ").strip() for name, text in parts.items()}
    cls.__doc__ = (cls.__doc__ or "").format(**filled)
    return cls


# What the user may have meant -------------------------------------------------------------------

ELSEWHERE = {  # names of other libraries
    "clip_norm": "max_grad_norm",
    "clipnorm": "max_grad_norm",
    "epochs": "max_iter",
    "hidden_dim": "hidden_layer_sizes",
    "hidden_size": "hidden_layer_sizes",
    "lr": "learning_rate_init",
    "n_epochs": "max_iter",
    "num_layers": "hidden_layer_sizes",
    "optimizer": "solver",
    "patience": "n_iter_no_change",
    "units": "hidden_layer_sizes",
    "weight_decay": "alpha",
}


def suggest(value: Any, options: Iterable[Any]) -> str:
    """A question after an error, empty where nothing is like the value."""
    known = {str(option).lower(): option for option in options}
    close = get_close_matches(str(value).lower(), known, n=1)
    return f" Did you mean {known[close[0]]!r}?" if close else ""


def hint_of(params: Any, message: str) -> str:
    """What to add to scikit-learn's message that a parameter is invalid."""
    name = message.split("'")[1]
    value = getattr(params, name, None)
    if name == "learning_rate" and isinstance(value, Real):
        return " Did you mean learning_rate_init? learning_rate is a schedule."
    options = [c.options for c in params._parameter_constraints[name] if isinstance(c, StrOptions)]
    return suggest(value, options[0]) if options and isinstance(value, str) else ""


def named(init: Method) -> Method:
    """Decorate an `__init__`: a parameter that there is not is answered by one that there is."""
    names = [*inspect.signature(init).parameters][1:]

    @wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in kwargs.keys() - names:
            meant = ELSEWHERE.get(name)
            question = f" Did you mean {meant!r}?" if meant else suggest(name, names)
            raise TypeError(f"{type(self).__name__} has no parameter {name!r}.{question}")
        init(self, *args, **kwargs)

    return checked  # type: ignore[return-value]


def _as_text(default: Any) -> str:
    return f'"{default}"' if isinstance(default, str) else repr(default)


def set_parameters(estimator: Any, given: dict[str, Any]) -> None:
    """Set what an `__init__` was given, by its `locals()`."""
    for name, value in given.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


# What excludes what ---------------------------------------------------------------------------

VALID_WITH_LBFGS: dict[str, tuple[Any, ...]] = {
    "early_stopping": (False, "auto"),
    "bptt_steps": (None,),
    "dropout": (0.0,),
    "initial_state": ("zeros", "learned"),
}


def check_combinations(params: Any) -> None:
    """Refuse parameters that exclude each other, and names of scorers that there are not."""
    names = ["loss", *get_scorer_names()]
    if isinstance(params.scoring, str) and params.scoring not in names:
        raise ValueError(
            f'scoring={params.scoring!r} is neither "loss" nor one of scikit-learn\'s scorers, '
            f"sklearn.metrics.get_scorer_names().{suggest(params.scoring, names)}"
        )
    if params.solver == "lbfgs":
        for name, valid in VALID_WITH_LBFGS.items():
            value = getattr(params, name)
            if value not in valid:
                raise ValueError(
                    f'{name}={value!r} is not supported by solver="lbfgs", which needs one loss '
                    f"and its exact gradient: take another solver, or leave {name} at {valid[0]!r}."
                )
    if params.bidirectional and params.bptt_steps is not None:
        raise ValueError(
            f"bptt_steps={params.bptt_steps} and bidirectional=True exclude each other: what is "
            "read backward starts at the end of the sequence, not at the end of a window. Set "
            "bptt_steps=None or bidirectional=False."
        )


class UnavailableError(AttributeError, ValueError):
    """A method that parameters rule out; `hasattr` is False, which scikit-learn goes by."""


class _Unavailable:
    """A method that solver "lbfgs" does not have."""

    def __init__(self, method: Any):
        self.method = method
        update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, estimator: Any, owner: Any = None) -> Any:
        if estimator is not None and estimator.solver == "lbfgs":
            raise UnavailableError(
                f'{self.method.__name__} is not supported by solver="lbfgs", which needs all of '
                "the data at once: take another solver, or fit."
            )
        return self.method.__get__(estimator, owner)


def unavailable_with_lbfgs(method: Method) -> Method:
    """Decorate a method that goes over the data batch by batch."""
    return _Unavailable(method)  # type: ignore[return-value]
