import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.route.complexity.text_features import (
    DOUBT,
    WINDOW,
    TextFeatures,
    counted_words,
    is_latin,
    text_features,
)


@given(st.text(max_size=300))
def test_every_number_is_finite(text: str) -> None:
    assert all(math.isfinite(value) for value in text_features(text))


@pytest.mark.parametrize(
    ("feature", "less", "more"),
    [
        ("length", "one", "one two"),
        ("repetition", "apples pears plums", "apples pears apples"),
        ("richness", "apples pears apples", "apples pears plums"),
        ("recurrence", "apples pears apples", "apples apples apples"),
        ("content_length", "short word here", "considerable vocabulary"),
        ("spread", "abcd abcd abcd", "a abcdefghijkl a"),
        ("long_words", "plain words", "incomprehensibility words"),
        ("function_words", "apples fall", "the and of"),
        ("comparing_words", "apples fell", "more apples than pears"),
        ("condition_words", "apples fell", "if apples fell then"),
        ("number_words", "apples fell", "three apples fell"),
        ("number_words", "apples fell", "30 apples fell"),
        ("symbols", "x is y", "(x + y) = 2 * z"),
        ("commas", "apples and pears", "apples, pears"),
    ],
)
def test_a_feature_tells_these_two_apart(feature, less, more):
    assert getattr(text_features(less), feature) < getattr(text_features(more), feature)


def test_what_is_rare_counts_less_in_a_short_text():
    assert text_features("7").number_words == pytest.approx(1 / (1 + DOUBT))
    assert text_features("7 " * 100).number_words == pytest.approx(100 / (100 + DOUBT))


def test_a_long_text_is_seen_at_both_ends_and_counts_in_full_length():
    begin, end = "if " * WINDOW, "twice " * WINDOW
    features = text_features(begin + "filling " * 100_000 + end)
    assert features.condition_words > 0.1
    assert features.comparing_words > 0.1
    assert features.content_length == text_features(begin + end).content_length
    assert features.length == pytest.approx(math.log(len(begin) + len(end) + 800_000))


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("How are you?", True),
        ("Où est la bibliothèque, s'il vous plaît ?", True),
        ("Где находится библиотека?", False),
        ("图书馆在哪里?", False),
        ("", False),
        (" \n", False),
    ],
)
def test_words_are_counted_in_latin_script_only(text, latin):
    assert is_latin(text) is latin


def test_words_are_in_lower_case_without_digits_and_punctuation():
    assert counted_words("The 3rd café-owner's X2") == [b"the", b"rd", "café".encode(), b"owner", b"s", b"x"]


def test_the_empty_text_has_features():
    assert isinstance(text_features(""), TextFeatures)
