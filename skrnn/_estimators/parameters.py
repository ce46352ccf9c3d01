"""The parts of the docstrings that the estimators share."""

import textwrap

SUMMARY = """
Recurrent layers read each sequence step by step; a dense layer on what the readout takes of their
states gives the output, one a sequence or one a step. Trained by backpropagation through time, with
the gradient clipped by its L2 norm, on sequences of any and of different lengths.

X may be a table (n, p) whose rows are flattened sequences, an array (n, T, D) of n sequences of T
steps of D features, or a list, object array or Series of n sequences, each (T_i, D) or (T_i,), as
arrays or frames. A step whose features are all NaN is absent and skipped, so padding by NaN changes
nothing. The kind of container seen at fit, table or sequences, is kept. The dtype of X is that of
the arithmetic: float32 in, float32 throughout.
"""

PARAMETERS = """
cell : {"rnn_tanh", "rnn_relu", "gru", "lstm"}, default="gru"
    The recurrence [1]_ [2]_ [3]_.
hidden_layer_sizes : int or array-like of int, default=(64,)
    Units of each recurrent layer; layers are stacked. An int is one layer.
bidirectional : bool, default=False
    Whether every layer also reads each sequence from its own end to its start [7]_, with weights of
    its own, and hands on both states. Excludes `bptt_steps`, `step` and `forecast`.
readout : {"last", "mean", "max", "step"}, default="last"
    What the outputs are read from: the state after the last step (of both directions, the final
    state of each), the mean of the states over all steps, the greatest value of each unit; or, with
    "step", the state after every step, for one target and one output a step.
initial_state : {"zeros", "normal", "learned"}, default="zeros"
    The state before the first step: zero; drawn for each batch in `fit`, normal with standard
    deviation 0.1, and zero at predict; or a parameter of each layer.
dropout : float, default=0.0
    Probability, in [0, 1), that a state is dropped on its way to the next layer or to the readout,
    in `fit` alone; one mask a sequence, the same at all its steps [8]_.
categorical_features : array-like of {bool, int, str} or None, default=None
    Which of the D features of a step are integer codes: a mask of D booleans, their numbers, or
    their names where sequences are frames. Each code is replaced by a vector that is learned [9]_.
    Codes that did not occur at fit share one, which is zero.
embedding_dim : int or array-like of int, default=16
    Length of these vectors; an int for all categorical features, or one for each.
features_per_step : int or None, default=None
    Features D of a time step where X is a table of two dimensions: its rows are then p / D steps of
    D features, time-major (`X3.reshape(n, T * D)`). None is 1. Sequences know their D.
alpha : float, default=0.0001
    Strength of the L2 penalty `alpha / 2 * ||W||^2` on the weights; biases, embeddings and initial
    states are free. With "adamw" it is no part of the loss: every update takes `alpha` times the
    step size off the weights. With fewer than a few hundred sequences more is often better: try
    0.001.
solver : {"adam", "adamw", "rmsprop", "sgd", "lbfgs"}, default="adam"
    Adam [4]_; Adam with decoupled weight decay [10]_; RMSprop [11]_; stochastic gradient descent
    with momentum; or L-BFGS [12]_, for small data: each of its iterations, called epochs elsewhere,
    takes all sequences, at least once, and its vectors are float64. It ignores step size,
    `batch_size` and `max_grad_norm`, and refuses `partial_fit`, `early_stopping`, `bptt_steps`,
    `dropout` and `initial_state="normal"`.
learning_rate_init : float, default=0.005
    Step size of the first epoch.
learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="constant"
    Step size of the epochs t = 1, 2, ..., counted on by `warm_start` and `partial_fit`.
    "invscaling" is `learning_rate_init / t ** power_t`. "adaptive" is divided by 5 whenever
    training would stop by `tol`, until it is below 1e-6. "cosine" falls to 0 along half a cosine
    over `max_iter` epochs, and then starts anew [13]_.
power_t : float, default=0.5
    Exponent of "invscaling".
batch_size : int or "auto", default="auto"
    Sequences a batch; "auto" is 32, or all if there are fewer.
max_iter : int, default=200
    Greatest number of epochs.
max_grad_norm : float or None, default=1.0
    Gradients whose L2 norm, over all weights together, is larger are scaled down to it [5]_. None
    does not clip.
bptt_steps : int or None, default=None
    Steps that the gradient goes back over (truncated backpropagation through time [6]_), which also
    bounds the memory. For the readout "last" they are those at the end of each sequence; what comes
    before is read, but saves the way back. For the others, sequences are learned from in windows of
    so many steps, each from the state that the one before left. None goes back over all steps.
shuffle : bool, default=True
    Whether to draw new batches each epoch. If so, the result depends on neither the order of the
    sequences nor on whether one is repeated or weighted. If not, the order is the user's.
momentum : float, default=0.9
    Momentum of "sgd", in [0, 1).
nesterovs_momentum : bool, default=True
    Whether the momentum is Nesterov's; only for "sgd".
beta_1 : float, default=0.9
    Decay of the first moment; only for "adam" and "adamw".
beta_2 : float, default=0.999
    Decay of the second moment; only for "adam", "adamw" and "rmsprop".
epsilon : float, default=1e-8
    Added to the root of the second moment; only for "adam", "adamw" and "rmsprop".
tol : float, default=1e-4
    The loss, or the validation score, must get better by more than this ...
n_iter_no_change : int, default=20
    ... within this many epochs, or training stops. "lbfgs" stops when no entry of the gradient is
    larger than `tol`.
early_stopping : bool, default=False
    Whether to set a part of the training data aside, stop when its score (accuracy or R^2) no
    longer rises, and restore the weights of the best epoch.
validation_fraction : float, default=0.1
    Size of that part, in (0, 1); stratified by class, or whole `groups` where `fit` gets them. With
    `shuffle=False` it is the last part, as for sequences in order of time. Not used where `fit`
    gets `X_val`.
warm_start : bool, default=False
    Whether `fit` goes on where the fit before stopped, the optimiser's state included.
random_state : int, RandomState instance or None, default=None
    Draws the initial weights, the validation part and the batches. An int gives the same bits at
    every fit.
verbose : bool or int, default=False
    Whether to print the loss of every epoch.
"""

ATTRIBUTES = """
n_features_in_ : int
    Columns p of a table; features D of a step for sequences.
feature_names_in_ : ndarray of shape (n_features_in,)
    Names of the columns, where X is a frame or holds frames, and they are all strings.
n_outputs_ : int
    Outputs of the net: one a column of y, a class (two classes have one) or a quantile.
n_iter_ : int
    Epochs in all.
weights_ : dict of str to ndarray
    The weights: for layer 0 `W_xh_0` (G H, D), `W_hh_0` (G H, H), `b_h_0` (G H,) and, for "gru",
    `b_hn_0` (H,); likewise for the layers above; `W_ho` (K, H) and `b_o` (K,). G gates one below
    the other: r, z, n for "gru"; i, f, g, o for "lstm". If `bidirectional`, the same once more with
    `_reverse` at the end of the names, and 2 H columns for what reads both halves. With a learned
    initial state, `h0_0` (H,) and for "lstm" `c0_0` (H,). For the first categorical feature `E_0`
    (codes + 1, dimension), whose last row is that of unknown codes, for the second `E_1`.
categories_ : list of ndarray, or None
    The codes of every categorical feature, sorted: `E_0[k]` is the vector of `categories_[0][k]`.
    None if there are no categorical features.
loss_ : float
    Loss of the last epoch, averaged over its batches, the penalty included but for "adamw"; with
    "lbfgs" the loss at its end.
loss_curve_ : list of float
    Loss of every epoch.
best_loss_ : float or None
    Least loss of an epoch; None with `early_stopping`.
grad_norm_curve_ : list of float
    L2 norm of the gradient before clipping, averaged over the batches of every epoch; with "lbfgs"
    the norm at its end.
validation_scores_ : list of float or None
    Score on the validation part after every epoch, with `early_stopping`.
best_validation_score_ : float or None
    The greatest of them.
best_epoch_ : int or None
    The epoch that had it, from 1 on, whose weights were kept.
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


def document(cls):
    """Fill the shared parts into the docstring of a class."""
    parts = {
        "summary": SUMMARY,
        "parameters": PARAMETERS,
        "attributes": ATTRIBUTES,
        "references": REFERENCES,
    }
    filled = {name: textwrap.indent(text.strip(), "    ").strip() for name, text in parts.items()}
    cls.__doc__ = cls.__doc__.format(**filled)
    return cls
