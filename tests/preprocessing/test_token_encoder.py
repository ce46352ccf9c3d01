"""Codes are compared with dictionaries and counters written by hand."""

import pickle
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError, SkipTestWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import estimator_checks, get_tags

from _factories import objects
from skrnn import RNNClassifier, as_sequences, pad_sequences
from skrnn.datasets import make_phonotactics
from skrnn.preprocessing import StepTransformer, TokenEncoder

TEXTS = ["beta", "a", "tab"]
INDEX = ["p", "q", "r"]
CODES = [[2, 3, 4, 1], [1], [4, 1, 2]]  # a, b, e, t


# By name: containers of three texts.
OF_TEXTS = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "array": np.array(TEXTS),
    "object": objects(TEXTS),
    "column": np.array(TEXTS)[:, None],
    "object column": objects(TEXTS, (-1, 1)),
    "pandas Series": pd.Series(TEXTS, index=INDEX, name="s"),
    "pandas objects": pd.Series(TEXTS, index=INDEX, name="s", dtype=object),
    "pandas categories": pd.Series(TEXTS, index=INDEX, name="s", dtype="category"),
    "pandas column": pd.DataFrame({"s": TEXTS}, index=INDEX),
    "polars Series": pl.Series("s", TEXTS),
    "polars column": pl.DataFrame({"s": TEXTS}),
}
LETTERS = [list(text) for text in TEXTS]
# Containers of three sequences of letters.
OF_TOKENS = {
    "lists": LETTERS,
    "tuples": tuple(map(tuple, LETTERS)),
    "arrays": [np.array(tokens) for tokens in LETTERS],
    "columns": [np.array(tokens, dtype=object)[:, None] for tokens in LETTERS],
    "pandas Series in a list": [pd.Series(tokens) for tokens in LETTERS],
    "polars Series in a list": [pl.Series(tokens) for tokens in LETTERS],
    "object": objects(LETTERS),
    "object column": objects(LETTERS, (-1, 1)),
    "pandas lists": pd.Series(LETTERS, index=INDEX, name="s"),
    "polars lists": pl.Series("s", LETTERS),
    "polars column": pl.DataFrame({"s": LETTERS}),
}
CONTAINERS = {
    **{f"texts, {name}": X for name, X in OF_TEXTS.items()},
    **{f"tokens, {name}": X for name, X in OF_TOKENS.items()},
}


def flat(X):
    return [x.ravel().tolist() for x in as_sequences(X)]


def assert_container_like(out, X):
    assert type(out) is type(X)
    if isinstance(X, np.ndarray):
        assert out.dtype == object and out.shape == X.shape
    if isinstance(X, (pd.Series, pd.DataFrame)):
        assert out.index.equals(X.index)
    if isinstance(X, (pd.Series, pl.Series)):
        assert out.name == X.name


# Codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("X", CONTAINERS.values(), ids=CONTAINERS)
def test_tokens_become_codes_in_the_same_container(X, dtype):
    encoder = TokenEncoder(dtype=dtype)
    out = encoder.fit_transform(X)
    assert_container_like(out, X)
    assert flat(out) == CODES
    assert encoder.tokens_.tolist() == ["a", "b", "e", "t"]
    assert encoder.n_tokens_ == 5
    padded = pad_sequences(out)  # as the estimators read it
    assert padded.dtype == dtype and padded.shape == (3, 4, 1)


@pytest.mark.parametrize("X", CONTAINERS.values(), ids=CONTAINERS)
def test_codes_become_tokens_whatever_the_container(X):
    encoder = TokenEncoder()
    assert encoder.inverse_transform(encoder.fit_transform(X)) == LETTERS


LABELS = {
    "integers": [[7, -3], [10, 7]],
    "numpy integers": [np.array([7, -3]), np.array([10, 7])],
    "floats": [[0.5, -1.0], [2.0, 0.5]],
    "pairs": [[("b", 1), ("a", 2)], [("b", 2), ("b", 1)]],
    "booleans": [[True, False], [True]],
    "days": [np.array(["2020-02", "2020-01"], dtype="M8[D]"), np.array(["2021-01"], dtype="M8[D]")],
    "null character": [["\0", ""], ["\0\0"]],
}


@pytest.mark.parametrize("X", LABELS.values(), ids=LABELS)
def test_tokens_may_be_any_labels_that_can_be_sorted(X):
    tokens = [list(x.tolist() if isinstance(x, np.ndarray) else x) for x in X]
    vocabulary = sorted({token for sequence in tokens for token in sequence})
    encoder = TokenEncoder(tokenizer=None).fit(X)
    assert list(encoder.tokens_) == vocabulary
    codes = encoder.transform(X)
    assert flat(codes) == [[vocabulary.index(t) + 1 for t in sequence] for sequence in tokens]
    assert encoder.inverse_transform(codes) == tokens


def test_unknown_tokens_share_code_zero():
    encoder = TokenEncoder().fit(["abba"])
    codes = encoder.transform(["bxa", [1, "a", "x"]])
    assert flat(codes) == [[2, 0, 1], [0, 1, 0]]
    assert encoder.inverse_transform(codes) == [["b", None, "a"], [None, "a", None]]


# Texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokenizer", "lowercase", "expected"),
    [
        ("char", True, list("é a-1 b")),
        ("char", False, list("É A-1 b")),
        ("word", True, ["é", "a", "1", "b"]),
        ("word", False, ["É", "A", "1", "b"]),
        (str.split, True, ["é", "a-1", "b"]),
        (re.compile(r"\d").findall, False, ["1"]),
        (iter, False, list("É A-1 b")),
    ],
)
def test_how_a_text_is_split(tokenizer, lowercase, expected):
    encoder = TokenEncoder(tokenizer, lowercase=lowercase)
    assert encoder.inverse_transform(encoder.fit_transform(["É A-1 b"])) == [expected]


def test_words_are_those_of_count_vectorizer_and_words_of_one_letter():
    texts = ["Don't panic!", "I did_it -- 42 Ärzte.", "A B ab"]
    pattern = CountVectorizer(token_pattern=r"(?u)\b\w+\b").fit(texts)
    expected = pattern.get_feature_names_out().tolist()
    assert TokenEncoder("word").fit(texts).tokens_.tolist() == expected


def test_tokens_of_sequences_are_not_converted():
    assert TokenEncoder("word").fit([["The cat", "Sat"]]).tokens_.tolist() == ["Sat", "The cat"]


# The vocabulary -------------------------------------------------------------------------------

SEQUENCES = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=1, max_size=8)
ANY_TEXTS = st.lists(st.text(min_size=1), min_size=1, max_size=8)


@given(ANY_TEXTS, st.booleans())
def test_inverse_transform_restores_the_characters(texts, lowercase):
    encoder = TokenEncoder(lowercase=lowercase)
    back = encoder.inverse_transform(encoder.fit_transform(texts))
    assert ["".join(tokens) for tokens in back] == [t.lower() if lowercase else t for t in texts]


@given(ANY_TEXTS, ANY_TEXTS)
def test_codes_are_in_range_and_zero_exactly_where_unknown(texts, others):
    encoder = TokenEncoder(lowercase=False).fit(texts)
    known = set("".join(texts))
    for text, codes in zip(others, flat(encoder.transform(others)), strict=True):
        assert all(0 <= code < encoder.n_tokens_ for code in codes)
        assert [code == 0 for code in codes] == [letter not in known for letter in text]


@given(SEQUENCES, st.randoms(use_true_random=False))
def test_order_of_the_sequences_does_not_matter(X, random):
    shuffled = random.sample(X, len(X))
    for parameters in ({}, {"max_tokens": 3}):
        encoder, other = TokenEncoder(**parameters).fit(X), TokenEncoder(**parameters).fit(shuffled)
        assert encoder.tokens_.tolist() == other.tokens_.tolist()


@given(SEQUENCES, st.integers(1, 12))
def test_max_tokens_keeps_the_most_frequent(X, max_tokens):
    counts = Counter(token for sequence in X for token in sequence)
    best_first = sorted(counts, key=lambda token: (-counts[token], token))
    tokens = TokenEncoder(max_tokens=max_tokens).fit(X).tokens_.tolist()
    assert tokens == sorted(best_first[:max_tokens])


@given(SEQUENCES, st.one_of(st.integers(1, 6), st.floats(0.01, 0.5)))
def test_min_frequency_is_that_of_one_hot_encoder(X, min_frequency):
    column = np.concatenate(X)[:, None]
    one_hot = OneHotEncoder(min_frequency=min_frequency, handle_unknown="ignore").fit(column)
    infrequent = one_hot.infrequent_categories_[0]
    expected = np.setdiff1d(column, [] if infrequent is None else infrequent)
    encoder = TokenEncoder(min_frequency=min_frequency)
    if expected.size:
        assert_array_equal(encoder.fit(X).tokens_, expected)
    else:
        with pytest.raises(ValueError, match="No token is left"):
            encoder.fit(X)


def test_both_limits_hold():
    X = ["aaaa", "bbb", "cc", "d"]
    codes = TokenEncoder(min_frequency=2, max_tokens=5).fit_transform(X)
    assert flat(codes) == [[1] * 4, [2] * 3, [3] * 2, [0]]
    codes = TokenEncoder(min_frequency=2, max_tokens=1).fit_transform(X)
    assert flat(codes) == [[1] * 4, [0] * 3, [0] * 2, [0]]


# Decoding -------------------------------------------------------------------------------------


def test_padding_is_not_decoded():
    encoder = TokenEncoder()
    padded = pad_sequences(encoder.fit_transform(TEXTS))
    assert encoder.inverse_transform(padded) == LETTERS
    assert encoder.inverse_transform(padded[:, :, 0]) == LETTERS


def test_codes_may_be_integers_of_one_dimension():
    encoder = TokenEncoder().fit(TEXTS)
    codes = [[2, 0], np.array([4], dtype=np.uint8)]
    assert encoder.inverse_transform(codes) == [["b", None], ["t"]]


@pytest.mark.parametrize("code", [5, -1, 1.5, np.inf, -np.inf])
def test_codes_out_of_range_are_refused(code):
    encoder = TokenEncoder().fit(TEXTS)
    with pytest.raises(ValueError, match=f"Sequence 1 has the code {code}, expected .* 0 to 4"):
        encoder.inverse_transform([[1.0], [2.0, code]])


@pytest.mark.parametrize("x", [["a"], np.ones((2, 2)), np.ones((1, 1, 1)), [True], [1j]])
def test_arrays_that_are_not_codes_are_refused(x):
    with pytest.raises(ValueError, match=r"Sequence 1 has the shape .* codes as from transform"):
        TokenEncoder().fit(TEXTS).inverse_transform([[1.0], x])


# Errors ---------------------------------------------------------------------------------------

WRONG_X = {
    "text": ("abc", "X is a single text, 'abc': pass a list"),
    "bytes": (b"abc", "X is a single text"),
    "empty": ([], "Found 0 sample"),
    "number": (3, "X is of type int: pass"),
    "None": (None, "X is of type NoneType: pass"),
    "generator": ((text for text in TEXTS), r"X is of type generator: pass .* list\(X\)"),
    "dict": ({"a": 1}, "X is of type dict: pass"),
    "wide array": (np.array([["a", "b"]]), r"X is of type ndarray, of shape \(1, 2\): pass"),
    "wide frame": (pd.DataFrame({"a": TEXTS, "b": TEXTS}), r"type DataFrame, of shape \(3, 2\)"),
}
WRONG_SEQUENCE = {
    "None": (None, "Sequence 1 is None, neither a text"),
    "NaN": (np.nan, "Sequence 1 is nan, neither a text"),
    "NA": (pd.NA, "Sequence 1 is <NA>, neither a text"),
    "number": (3, "Sequence 1 is 3, neither a text"),
    "bytes": (b"abc", "Sequence 1 is b'abc', neither a text"),
    "set": ({"a"}, "Sequence 1 is {'a'}, neither a text"),
    "array of two dimensions": (np.ones((2, 2)), "Sequence 1 is array"),
    "missing token": (["a", None], "Sequence 1 has a token that is missing"),
    "token NaN": (["a", np.nan], "Sequence 1 has a token that is missing"),
    "token NA": (["a", pd.NA], "Sequence 1 has a token that is missing"),
    "token NaT": ([np.datetime64("NaT")], "Sequence 1 has a token that is missing"),
}


@pytest.mark.parametrize(("X", "message"), WRONG_X.values(), ids=WRONG_X)
def test_what_holds_no_texts_is_refused(X, message):
    for method in (TokenEncoder().fit, TokenEncoder().fit(TEXTS).transform):
        with pytest.raises(ValueError, match=message):
            method(X)


@pytest.mark.parametrize(("item", "message"), WRONG_SEQUENCE.values(), ids=WRONG_SEQUENCE)
def test_a_sequence_that_cannot_be_read_is_named(item, message):
    for method in (TokenEncoder().fit, TokenEncoder().fit(TEXTS).transform):
        with pytest.raises(ValueError, match=re.escape(message)):
            method(["ab", item])


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_texts_of_a_column_are_named(missing):
    for X in (pd.Series(["a", missing]), pd.DataFrame({"s": ["a", missing]})):
        with pytest.raises(ValueError, match="Sequence 1 is "):
            TokenEncoder().fit(X)
    with pytest.raises(ValueError, match="Sequence 1 is None"):
        TokenEncoder().fit(pl.Series(["a", None]))


def test_numbers_are_not_texts():
    for X in ([1, 2], np.array([1.0, 2.0]), np.ones((3, 1)), pd.Series([1, 2]), pl.Series([1])):
        with pytest.raises(ValueError, match=r"Sequence 0 is 1.*, neither a text"):
            TokenEncoder().fit(X)


EMPTY = {
    "empty text": ("char", ["ab", "", "a", ""]),
    "text without words": ("word", ["a b", "?!", "a", " "]),
    "no tokens": (None, [["a", "b"], [], ["a"], ()]),
    "empty array": (None, [["a", "b"], np.array([]), ["a"], np.empty((0, 1), dtype=object)]),
    "Series": ("word", pd.Series(["a b", "?!", "a", ""], index=list("pqrs"))),
    "polars lists": (None, pl.Series([["a", "b"], [], ["a"], []])),
}


@pytest.mark.parametrize(("tokenizer", "X"), EMPTY.values(), ids=EMPTY)
def test_a_sequence_without_tokens_is_one_unknown_token(tokenizer, X):
    encoder = TokenEncoder(tokenizer).fit(X)
    assert encoder.tokens_.tolist() == ["a", "b"]
    with pytest.warns(UserWarning, match="2 sequences of X have no token, .* sequence 1: each"):
        codes = encoder.transform(X)
    assert_container_like(codes, X)
    assert flat(codes) == [[1, 2], [0], [1], [0]]
    assert pad_sequences(codes).shape == (4, 2, 1)
    assert encoder.inverse_transform(codes) == [["a", "b"], [None], ["a"], [None]]


def test_an_empty_text_does_not_fail_the_predictions_of_others():
    X, y = make_phonotactics(60, random_state=0)
    model = make_pipeline(
        TokenEncoder(), RNNClassifier(categorical_features=[0], max_iter=2, random_state=0)
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    with pytest.warns(UserWarning, match="1 sequences of X have no token"):
        proba = model.predict_proba([*X[:3], "", *X[3:6]])
    np.testing.assert_allclose(np.delete(proba, 3, axis=0), model.predict_proba(X[:6]), rtol=1e-10)


def test_where_there_is_no_token_there_is_nothing_to_learn():
    for parameters in ({}, {"min_frequency": 2}, {"max_tokens": 1}):
        with pytest.raises(ValueError, match="X has no token to learn"):
            TokenEncoder("word", **parameters).fit(["", "?!"])


def test_texts_are_refused_without_a_tokenizer():
    with pytest.raises(ValueError, match="Sequence 1 is the text 'ab', and tokenizer=None"):
        TokenEncoder(tokenizer=None).fit([["a"], "ab"])


def test_tokens_must_be_hashable_and_sortable():
    with pytest.raises(TypeError, match="Sequence 1 has tokens that are not hashable"):
        TokenEncoder().fit(["a", [["a"], ["b"]]])
    with pytest.raises(TypeError, match="of the types int, str: make all of them text"):
        TokenEncoder().fit([[1, "a"]])


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("tokenizer", "letter"),
        ("lowercase", "yes"),
        ("min_frequency", 0),
        ("min_frequency", 1.0),
        ("max_tokens", 0),
        ("max_tokens", 1.5),
        ("dtype", np.int64),
        ("dtype", "float32"),
    ],
)
def test_parameters_out_of_range_are_named(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of TokenEncoder must be"):
        TokenEncoder(**{parameter: value}).fit(TEXTS)


def test_a_fit_that_fails_changes_nothing():
    encoder = TokenEncoder().fit(TEXTS)
    before = vars(encoder).copy()
    for X in (["xy", None], [[1, "a"]], []):
        with pytest.raises((TypeError, ValueError)):
            encoder.fit(X)
    assert vars(encoder) == before


# In scikit-learn ------------------------------------------------------------------------------


def test_unfitted_encoders_say_so():
    encoder = TokenEncoder()
    for method in (encoder.transform, encoder.inverse_transform, encoder.get_feature_names_out):
        with pytest.raises(NotFittedError):
            method(TEXTS)


def test_one_feature_has_one_name():
    assert TokenEncoder().fit(TEXTS).get_feature_names_out().tolist() == ["token"]


def test_copies_are_the_encoder():
    encoder = TokenEncoder("word", min_frequency=1, dtype=np.float32).fit(TEXTS)
    assert clone(encoder).get_params() == encoder.get_params()
    assert flat(pickle.loads(pickle.dumps(encoder)).transform(TEXTS)) == [[2], [1], [3]]


def test_a_configured_output_does_not_affect_sequences():
    with config_context(transform_output="pandas"):
        assert flat(TokenEncoder().fit_transform(TEXTS)) == CODES


def test_many_threads_encode_with_one_encoder():
    X, _ = make_phonotactics(200, random_state=0)
    encoder = TokenEncoder().fit(X)
    expected = flat(encoder.transform(X))
    with ThreadPoolExecutor(4) as pool:
        assert all(flat(out) == expected for out in pool.map(encoder.transform, [X] * 20))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", [list, np.array, pd.Series])
def test_in_a_search_over_a_pipeline_of_texts(make):
    words, y = make_phonotactics(60, length=4, min_length=2, random_state=0)
    X = make(list(words))
    one_hot = StepTransformer(OneHotEncoder(handle_unknown="ignore"))
    net = RNNClassifier("rnn_tanh", hidden_layer_sizes=4, max_iter=2, random_state=0)
    pipeline = make_pipeline(TokenEncoder(), one_hot, net)
    grid = {"tokenencoder__min_frequency": [None, 0.1], "tokenencoder__max_tokens": [None, 3]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.predict(X)) == 60


def test_tags_are_those_of_count_vectorizer():
    tags = get_tags(TokenEncoder())
    assert tags.input_tags == get_tags(CountVectorizer()).input_tags
    assert tags.transformer_tags.preserves_dtype == []  # `dtype` decides


def test_check_estimator():
    with pytest.warns(SkipTestWarning, match="requires input"):  # most checks make tables
        results = estimator_checks.check_estimator(TokenEncoder())
    assert results and {result["status"] for result in results} == {"passed"}


@pytest.mark.parametrize(
    "name",
    [
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_estimators_unfitted",
        "check_fit1d",
        "check_get_params_invariance",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_param_validation",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_transformer_n_iter",
        "check_transformers_unfitted",
        "check_valid_tag_types",
    ],
)
def test_checks_that_need_no_table(name):
    getattr(estimator_checks, name)("TokenEncoder", TokenEncoder())


def test_a_tokenizer_that_returns_no_tokens_is_named():
    with pytest.raises(TypeError, match="tokenizer returned 2 for sequence 0, 'ab'"):
        TokenEncoder(tokenizer=len).fit(["ab"])
