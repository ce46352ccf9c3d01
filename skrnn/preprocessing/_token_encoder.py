"""TokenEncoder: texts, and sequences of labels, as sequences of codes."""

import re
from collections import Counter
from itertools import chain
from numbers import Integral
from typing import Any, Self

import narwhals as nw
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import Interval, Options, RealNotInt, StrOptions, fit_context
from skrnn._data.containers import as_sequences, unwrap
from skrnn.preprocessing._containers import like_container


class TokenEncoder(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn texts, or sequences of labels, into sequences of codes.

    The known tokens, sorted, have the codes 1, 2, ..., `n_tokens_ - 1`. All others share the code
    0: those that are too rare to be known, and at `transform` those that are new. A sequence of
    T_i tokens becomes an array (T_i, 1), one categorical feature a step, in the container that came
    in: a list gives a list, an array an object array, a Series a Series with the same index.

    Parameters
    ----------
    tokenizer : {"char", "word"}, callable or None, default="char"
        How a text becomes tokens. "char": its characters. "word": its runs of letters, digits and
        underscores; unlike `CountVectorizer`, words of one letter are kept. A callable takes a text
        and returns its tokens. None: texts are refused. What is no text is a sequence of tokens
        already, whatever `tokenizer` is.
    lowercase : bool, default=True
        Turn texts to lower case first, as `CountVectorizer` does. Tokens of sequences are left
        as they are.
    min_frequency : int, float or None, default=None
        Tokens that occur less often at fit than so many times (int), or than so large a share of
        all tokens (float in (0, 1)), are not known.
    max_tokens : int or None, default=None
        How many tokens are known at most: the most frequent, of equally frequent ones the first
        in their order. Code 0 does not count.
    dtype : {numpy.float64, numpy.float32}, default=numpy.float64
        Type of the codes, and so of the arithmetic of a network that reads them.

    Attributes
    ----------
    tokens_ : ndarray of one dimension, dtype object
        The known tokens, sorted; `tokens_[k]` has the code k + 1.
    n_tokens_ : int
        Number of codes, that of unknown tokens among them.

    See Also
    --------
    StepTransformer : Transformers of tables on the steps of sequences.
    sklearn.feature_extraction.text.CountVectorizer : Counts of tokens, without their order.

    Notes
    -----
    Codes are names, not amounts: tell the estimator by `categorical_features=[0]`. With
    `min_frequency` or `max_tokens`, code 0 occurs at fit, and a network learns what a rare token
    stands for; without them it meets code 0 first at predict.

    Examples
    --------
    >>> from skrnn.preprocessing import TokenEncoder
    >>> encoder = TokenEncoder(tokenizer="word")
    >>> X = encoder.fit_transform(["Time flies.", "Time will tell"])
    >>> encoder.tokens_
    array(['flies', 'tell', 'time', 'will'], dtype=object)
    >>> [x.ravel().tolist() for x in X]
    [[3.0, 1.0], [3.0, 4.0, 2.0]]
    >>> encoder.inverse_transform(encoder.transform(["will time stop?"]))
    [['will', 'time', None]]
    """

    _parameter_constraints: dict = {
        "tokenizer": [StrOptions({"char", "word"}), callable, None],
        "lowercase": ["boolean"],
        "min_frequency": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "max_tokens": [Interval(Integral, 1, None, closed="left"), None],
        "dtype": [Options(type, {np.float64, np.float32})],
    }

    def __init__(
        self,
        tokenizer="char",
        *,
        lowercase=True,
        min_frequency=None,
        max_tokens=None,
        dtype=np.float64,
    ):
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.min_frequency = min_frequency
        self.max_tokens = max_tokens
        self.dtype = dtype

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn which tokens there are.

        Parameters
        ----------
        X : list, tuple, array, Series or frame of one column
            n texts, or n sequences of tokens: lists, tuples, Series or arrays (T_i,) or (T_i, 1).
            Tokens are strings, or any labels that can be hashed and sorted.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted encoder. If fitting fails, it is exactly as it was before.

        Raises
        ------
        ValueError
            If X is not as described, a sequence or a token in it is missing or empty, or no token
            is frequent enough.
        TypeError
            If tokens cannot be hashed or sorted.
        """
        counts = Counter(chain.from_iterable(self._read(X)))
        tokens = _most_frequent(_frequent(counts, self.min_frequency), self.max_tokens)
        self.tokens_ = np.fromiter(tokens, object, len(tokens))
        self.n_tokens_ = len(tokens) + 1
        return self

    def transform(self, X: Any) -> Any:
        """Turn tokens into codes.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        n arrays of shape (T_i, 1), in the container of X
            The codes, 0 for tokens that are not known. Where a column of polars has lists of
            tokens, lists of codes.
        """
        check_is_fitted(self)
        codes = {token: code for code, token in enumerate(self.tokens_, start=1)}
        sequences = [
            np.fromiter((codes.get(token, 0) for token in tokens), self.dtype, len(tokens))
            for tokens in self._read(X)
        ]
        return like_container(unwrap(X), [sequence[:, None] for sequence in sequences])

    def inverse_transform(self, X: Any) -> list[list]:
        """Turn codes back into tokens.

        Parameters
        ----------
        X : n sequences of codes, each (T_i, 1) or (T_i,)
            What `transform` gives, in any container. Steps that are NaN are left out.

        Returns
        -------
        list of n lists
            The tokens of each sequence, None where they were not known.
        """
        check_is_fitted(self)
        tokens = [None, *self.tokens_]
        sequences = (_as_codes(x, i, self.n_tokens_) for i, x in enumerate(as_sequences(X)))
        return [[tokens[code] for code in codes] for codes in sequences]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The name of the one feature of a step.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (1,)
            `["token"]`.
        """
        check_is_fitted(self)
        return np.array(["token"], dtype=object)

    def _read(self, X):
        """The tokens of each sequence, one sequence after the other."""
        items = _items(unwrap(X))
        if len(items) == 0:
            raise ValueError("Found 0 sample(s): X is empty, and at least one text is required.")
        for i, item in enumerate(items):
            tokens = self._split(item, i) if isinstance(item, str) else _labels(item, i)
            _check_tokens(tokens, item, i)
            yield tokens

    def _split(self, text, i):
        if self.tokenizer is None:
            raise ValueError(
                f"Sequence {i} is the text {text!r:.80}, and tokenizer=None takes sequences of "
                "tokens alone. Set tokenizer to 'char', 'word' or a function."
            )
        split = self.tokenizer if callable(self.tokenizer) else TOKENIZERS[self.tokenizer]
        return list(split(text.lower() if self.lowercase else text))


TOKENIZERS = {"char": list, "word": re.compile(r"\w+").findall}


# Which tokens are known -----------------------------------------------------------------------


def _frequent(counts, min_frequency):
    """The counts of tokens that are not too rare."""
    if min_frequency is None:
        return counts
    least = min_frequency if isinstance(min_frequency, Integral) else min_frequency * counts.total()
    frequent = {token: count for token, count in counts.items() if count >= least}
    if not frequent:
        raise ValueError(
            f"No token is left: min_frequency={min_frequency}, but the most frequent occurs "
            f"{max(counts.values())} times among {counts.total()}. Take a lower min_frequency."
        )
    return frequent


def _most_frequent(counts, max_tokens):
    """At most so many tokens, sorted; of equally frequent ones the first."""
    try:
        tokens = sorted(counts)
    except TypeError:
        types = sorted({type(token).__name__ for token in counts})
        raise TypeError(
            f"Tokens must be sortable, but X has tokens of the types {', '.join(types)}: make all "
            "of them text."
        ) from None
    return sorted(sorted(tokens, key=counts.get, reverse=True)[:max_tokens])


# What users hand in ---------------------------------------------------------------------------


def _items(X):
    """The texts or sequences in a container."""
    if isinstance(X, (str, bytes)):
        raise ValueError(f"X is a single text, {X!r:.80}: pass a list of texts.")
    if isinstance(X, (list, tuple)):
        return X
    if isinstance(X, np.ndarray) and (X.ndim == 1 or (X.ndim == 2 and X.shape[1] == 1)):
        return X.ravel().tolist()
    column = nw.from_native(X, pass_through=True, allow_series=True)
    if isinstance(column, nw.DataFrame) and column.shape[1] == 1:
        column = column[:, 0]
    if isinstance(column, nw.Series):
        return column.to_list()
    shape = f", of shape {X.shape}" if hasattr(X, "shape") else ""
    raise ValueError(
        f"X is of type {type(X).__name__}{shape}: pass a list, an array of one dimension or a "
        "Series, of texts or of sequences of tokens. list(X) makes one of what can be iterated "
        "over."
    )


def _labels(item, i):
    """The tokens of what is no text."""
    if isinstance(item, (list, tuple)):
        return item
    if isinstance(item, np.ndarray) and (item.ndim == 1 or item.shape[1:] == (1,)):
        return item.ravel().tolist()
    series = nw.from_native(item, pass_through=True, allow_series=True)
    if isinstance(series, nw.Series):
        return series.to_list()
    raise ValueError(
        f"Sequence {i} is {item!r:.80}, neither a text nor a list or array (T,) of tokens. If it "
        "is missing, leave it out, with its target."
    )


def _check_tokens(tokens, item, i):
    if len(tokens) == 0:
        raise ValueError(
            f"Sequence {i} has no token: it is {item!r:.80}. Leave it out, with its target."
        )
    try:
        distinct = set(tokens)
    except TypeError:
        raise TypeError(
            f"Sequence {i} has tokens that cannot be hashed: {item!r:.80}. Tokens are strings, "
            "numbers or tuples; a sequence is one list of them."
        ) from None
    if any(map(_is_missing, distinct)):
        raise ValueError(f"Sequence {i} has a token that is missing, None or NaN: {item!r:.80}.")


def _is_missing(token):
    equal = token == token  # not so for NaN, and pandas.NA cannot tell
    return token is None or not isinstance(equal, (bool, np.bool_)) or not equal


def _as_codes(codes, i, n_tokens):
    """A sequence of codes (T,), those that are absent left out."""
    if codes.dtype.kind not in "iuf" or codes.ndim > 2 or codes.shape[1:] not in ((), (1,)):
        raise ValueError(
            f"Sequence {i} has the shape {codes.shape} and type {codes.dtype}, expected numbers of "
            "shape (T,) or (T, 1): codes as transform gives them."
        )
    codes = codes[~np.isnan(codes)]
    bad = ~((codes >= 0) & (codes < n_tokens) & (codes == np.floor(codes)))
    if bad.any():
        raise ValueError(
            f"Sequence {i} has the code {codes[bad.argmax()]:g}, expected whole numbers from 0 to "
            f"{n_tokens - 1}."
        )
    return codes.astype(np.intp)
