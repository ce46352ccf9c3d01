"""TokenEncoder: texts, and sequences of labels, as sequences of codes."""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from numbers import Integral
from typing import Any, Literal, Self

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skrnn._compat import Interval, Options, RealNotInt, StrOptions, fit_context
from skrnn._data.containers import as_sequences, unwrap
from skrnn._data.inputs import assign
from skrnn._typing import Integers
from skrnn.preprocessing._containers import Transformer, like_container


class TokenEncoder(Transformer):
    """Encode texts, or sequences of labels, as sequences of integer codes.

    The known tokens, sorted, have the codes 1, 2, ..., `n_tokens_ - 1`. All others share the code
    0: those that are too rare to be known, and at `transform` those that are new. A sequence of
    T_i tokens becomes an array (T_i, 1), one categorical feature per step, in the container of X:
    a list becomes a list, an array an object array, a Series a Series with the same index. A text
    without tokens, which is empty or, with "word", has no word, becomes one step of code 0.

    Parameters
    ----------
    tokenizer : {"char", "word"}, callable or None, default="char"
        How to split a text into tokens. "char": into characters. "word": into maximal sequences of
        letters, digits and underscores; unlike `CountVectorizer`, words of one letter are kept. A
        callable is passed a text and returns its tokens. None: texts are refused. Any other item of
        X is taken as a sequence of tokens, whatever `tokenizer` is.
    lowercase : bool, default=True
        Convert texts to lower case before splitting them, as `CountVectorizer` does. Tokens of
        sequences are not converted.
    min_frequency : int, float or None, default=None
        Frequency at fit below which a token is unknown: a number of occurrences (int), or a
        fraction of all tokens (float in (0, 1)). None is 1 occurrence.
    max_tokens : int or None, default=None
        Maximal number of known tokens: the most frequent, and among equally frequent ones the first
        in sorted order. Code 0 does not count. None is no limit.
    dtype : {numpy.float64, numpy.float32}, default=numpy.float64
        Type of the codes, in which a network that is fitted on them computes.

    Attributes
    ----------
    tokens_ : ndarray of one dimension, dtype object
        The known tokens, sorted; `tokens_[k]` has the code k + 1.
    n_tokens_ : int
        Number of codes, including that of unknown tokens.

    See Also
    --------
    StepTransformer : Applies transformers of tables to the steps of sequences.
    sklearn.feature_extraction.text.CountVectorizer : Counts tokens, without their order.

    Notes
    -----
    Codes are categories, not amounts: pass `categorical_features=[0]` to the estimator. With
    `min_frequency` or `max_tokens`, code 0 occurs at fit, so that a network learns an embedding for
    rare tokens; without them, code 0 occurs at predict only, and for texts without tokens.

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

    _parameter_constraints: dict[str, Any] = {
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

    tokens_: NDArray[np.object_]
    n_tokens_: int

    def __init__(
        self,
        tokenizer: Literal["char", "word"] | Callable[[str], Iterable[Any]] | None = "char",
        *,
        lowercase: bool = True,
        min_frequency: int | float | None = None,
        max_tokens: int | None = None,
        dtype: type[np.float64] | type[np.float32] = np.float64,
    ):
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.min_frequency = min_frequency
        self.max_tokens = max_tokens
        self.dtype = dtype

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the known tokens.

        Parameters
        ----------
        X : list, tuple, array, Series or frame of one column
            n texts, or n sequences of tokens: lists, tuples, Series or arrays (T_i,) or (T_i, 1).
            Tokens are strings, or any labels that are hashable and sortable.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted encoder. If fitting fails, it is exactly as it was before.

        Raises
        ------
        ValueError
            If X is not as described, a sequence or a token in it is missing, there is no token, or
            none is frequent enough.
        TypeError
            If tokens are not hashable or not sortable.
        """
        counts = Counter(chain.from_iterable(self._parse(X)))
        if not counts:
            raise ValueError("X has no token to learn: all of its sequences are empty.")
        tokens = _most_frequent(_frequent(counts, self.min_frequency), self.max_tokens)
        known = np.fromiter(tokens, object, len(tokens))
        assign(self, {"tokens_": known, "n_tokens_": len(tokens) + 1})
        return self

    def transform(self, X: Any) -> Any:
        """Encode tokens.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        n arrays of shape (T_i, 1), in the container of X
            The codes, 0 for unknown tokens. For a column of lists in polars, lists of codes.

        Raises
        ------
        ValueError, TypeError
            If X is not as described, or a sequence or a token in it is missing.

        Warns
        -----
        UserWarning
            If there are texts without tokens, or sequences of none.
        """
        check_is_fitted(self)
        codes = {token: code for code, token in enumerate(self.tokens_, start=1)}
        sequences = [
            np.fromiter((codes.get(token, 0) for token in tokens), self.dtype, len(tokens))
            for tokens in self._parse(X)
        ]
        _warn_of_empty([i for i, sequence in enumerate(sequences) if len(sequence) == 0])
        unknown = np.zeros(1, self.dtype)
        parts = [(sequence if len(sequence) else unknown)[:, None] for sequence in sequences]
        return like_container(unwrap(X), parts)

    def inverse_transform(self, X: Any) -> list[list[Any]]:
        """Decode codes to tokens.

        Parameters
        ----------
        X : n sequences of codes, each (T_i, 1) or (T_i,)
            Output of `transform`, in any container. Steps that are NaN are left out.

        Returns
        -------
        list of n lists
            The tokens of each sequence, None for unknown ones, and `[None]` for a sequence without
            tokens.
        """
        check_is_fitted(self)
        tokens = [None, *self.tokens_]
        sequences = (_as_codes(x, i, self.n_tokens_) for i, x in enumerate(as_sequences(X)))
        return [[tokens[code] for code in codes] for codes in sequences]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the name of the one feature.

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

    def _parse(self, X: Any) -> Iterator[Sequence[Any]]:
        """The tokens of each sequence, one sequence after the other."""
        items = _items(unwrap(X))
        if len(items) == 0:
            raise ValueError("Found 0 sample(s): X is empty, and at least one text is required.")
        for i, item in enumerate(items):
            tokens = self._split(item, i) if isinstance(item, str) else _labels(item, i)
            _check_tokens(tokens, item, i)
            yield tokens

    def _split(self, text: str, i: int) -> Sequence[Any]:
        if self.tokenizer is None:
            raise ValueError(
                f"Sequence {i} is the text {text!r:.80}, and tokenizer=None accepts sequences of "
                "tokens only. Set tokenizer to 'char', 'word' or a function."
            )
        split = self.tokenizer if callable(self.tokenizer) else TOKENIZERS[self.tokenizer]
        tokens = split(text.lower() if self.lowercase else text)
        if not isinstance(tokens, Iterable):
            raise TypeError(
                f"tokenizer returned {tokens!r:.40} for sequence {i}, {text!r:.40}: expected a "
                "list of tokens."
            )
        return list(tokens)


TOKENIZERS: dict[str, Callable[[str], Iterable[str]]] = {
    "char": list,
    "word": re.compile(r"\w+").findall,
}


# Known tokens ---------------------------------------------------------------------------------


def _frequent(counts: Counter[Any], min_frequency: int | float | None) -> dict[Any, int]:
    """Counts of the tokens that are not too rare."""
    if min_frequency is None:
        return counts
    least = min_frequency if isinstance(min_frequency, Integral) else min_frequency * counts.total()
    frequent = {token: count for token, count in counts.items() if count >= least}
    if not frequent:
        raise ValueError(
            f"No token is left: min_frequency={min_frequency}, but the most frequent occurs "
            f"{max(counts.values())} times among {counts.total()}. Lower min_frequency."
        )
    return frequent


def _most_frequent(counts: dict[Any, int], max_tokens: int | None) -> list[Any]:
    """At most `max_tokens` tokens, sorted; among equally frequent ones the first."""
    try:
        tokens = sorted(counts)
    except TypeError:
        types = sorted({type(token).__name__ for token in counts})
        raise TypeError(
            f"Tokens must be sortable, but X has tokens of the types {', '.join(types)}: make all "
            "of them text."
        ) from None
    return sorted(sorted(tokens, key=counts.__getitem__, reverse=True)[:max_tokens])


# Parsing X ------------------------------------------------------------------------------------


def _items(X: Any) -> Sequence[Any]:
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
        "Series, of texts or of sequences of tokens. list(X) converts other iterables."
    )


def _labels(item: Any, i: int) -> Sequence[Any]:
    """The tokens of an item that is not a text."""
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


def _check_tokens(tokens: Sequence[Any], item: Any, i: int) -> None:
    try:
        distinct = set(tokens)
    except TypeError:
        raise TypeError(
            f"Sequence {i} has tokens that are not hashable: {item!r:.80}. Tokens are strings, "
            "numbers or tuples; a sequence is one list of them."
        ) from None
    if any(map(_is_missing, distinct)):
        raise ValueError(f"Sequence {i} has a token that is missing, None or NaN: {item!r:.80}.")


def _warn_of_empty(numbers: list[int]) -> None:
    if numbers:
        warnings.warn(
            f"{len(numbers)} sequences of X have no token, the first is sequence {numbers[0]}: "
            "each becomes one step of code 0, that of unknown tokens. Leave them out, with their "
            "targets, if nothing is to be learned from them or predicted for them.",
            stacklevel=3,
        )


def _is_missing(token: Any) -> bool:
    equal = token == token  # False for NaN, and no boolean for pandas.NA
    return token is None or not isinstance(equal, (bool, np.bool_)) or not equal


def _as_codes(codes: NDArray[Any], i: int, n_tokens: int) -> Integers:
    """A sequence of codes (T,) without absent steps."""
    if codes.dtype.kind not in "iuf" or codes.ndim > 2 or codes.shape[1:] not in ((), (1,)):
        raise ValueError(
            f"Sequence {i} has the shape {codes.shape} and type {codes.dtype}, expected numbers of "
            "shape (T,) or (T, 1): codes as from transform."
        )
    codes = codes[~np.isnan(codes)]
    bad = ~((codes >= 0) & (codes < n_tokens) & (codes == np.floor(codes)))
    if bad.any():
        raise ValueError(
            f"Sequence {i} has the code {codes[bad.argmax()]:g}, expected whole numbers from 0 to "
            f"{n_tokens - 1}."
        )
    return codes.astype(np.intp)
