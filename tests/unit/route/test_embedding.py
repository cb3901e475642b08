import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.route.complexity.additive import AdditiveModel, Curve
from mixserve.route.complexity.embedding import NAMES, Embedding, embedding_features
from mixserve.route.complexity.heuristic import Heuristic
from mixserve.route.complexity.score import EASIEST, HARDEST
from mixserve.route.complexity.text_features import DOUBT, TextFeatures, text_features
from mixserve.route.complexity.word_vectors import DIMENSIONS, UNIT, ZERO, WordVectors
from mixserve.route.request import Message, Prompt

EMBEDDING = Embedding()


def table(**words: float) -> bytes:
    """Each word with a vector whose numbers are all the same."""
    rows = b"".join(bytes([ZERO + round(value * UNIT)]) * DIMENSIONS for value in words.values())
    return b"\n".join(word.encode() for word in words) + b"\n\n" + rows


def asked(text: str) -> Prompt:
    return Prompt((Message("user", text),))


def test_the_mean_is_over_the_different_words_of_the_table():
    vectors = WordVectors.parse(table(apple=1.0, pear=-3.0, plum=0.5))
    assert vectors.mean([b"apple", b"pear", b"apple", b"unknown"], doubt=0) == (-1.0,) * DIMENSIONS
    assert vectors.mean([b"apple", b"pear"], doubt=2) == (-0.5,) * DIMENSIONS
    assert vectors.mean([], doubt=1) == (0.0,) * DIMENSIONS


def test_many_words_with_the_largest_numbers_do_not_run_into_each_other():
    words = {f"w{number}": 127 / UNIT for number in range(2000)}
    vectors = WordVectors.parse(table(**words))
    assert vectors.mean([word.encode() for word in words], doubt=0) == (127 / UNIT,) * DIMENSIONS


def test_a_table_with_half_a_vector_is_refused():
    with pytest.raises(AssertionError, match="one vector a word"):
        WordVectors.parse(table(apple=1.0)[:-1])


def test_the_shipped_table_knows_which_words_belong_together():
    vectors = WordVectors.shipped()

    def likeness(one: bytes, other: bytes) -> float:
        return sum(a * b for a, b in zip(vectors.mean([one], doubt=1), vectors.mean([other], doubt=1), strict=True))

    assert likeness(b"doctor", b"hospital") > likeness(b"doctor", b"railway")


def test_features_are_those_of_the_text_and_then_those_of_its_words():
    features = embedding_features("How many apples?", WordVectors.parse(table(apples=1.0)))
    assert features[: len(TextFeatures._fields)] == text_features("How many apples?")
    assert features[len(TextFeatures._fields) :] == pytest.approx((1 / (1 + DOUBT),) * DIMENSIONS)


def test_the_dimensions_are_told_as_one_term():
    curves = tuple(Curve(name, (0.0,), (0.01 if name.startswith("meaning.") else 0.0,)) for name in NAMES)
    model = AdditiveModel(curves, (-1.0, 0.0, 0.1, 1.0))
    assert Embedding(model)(asked("How many apples?")) == (4, "+0.50: meaning +0.50, length +0.00")


@pytest.mark.parametrize("text", ["", "图书馆在哪里?"])
def test_without_words_to_look_up_the_heuristic_decides(text):
    assert EMBEDDING(asked(text)) == Heuristic()(asked(text))


def test_a_head_with_other_features_is_refused():
    with pytest.raises(AssertionError, match="other features"):
        Embedding(AdditiveModel.shipped("heuristic"))


@given(st.text(max_size=300))
def test_every_text_gets_a_score(text: str) -> None:
    assert EASIEST <= EMBEDDING(asked(text)).score <= HARDEST
