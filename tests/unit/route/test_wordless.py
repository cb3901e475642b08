"""How hard a prompt is of which no word can be counted."""

import pytest

from mixserve.route.complexity.additive import AdditiveModel
from mixserve.route.complexity.heuristic import Heuristic
from mixserve.route.complexity.score import MIDDLE
from mixserve.route.complexity.wordless import judge_wordless
from mixserve.route.request import Message, Prompt

HEURISTIC = Heuristic()
MODEL = AdditiveModel.shipped("heuristic")


def score(text: str) -> int:
    return HEURISTIC(Prompt((Message("user", text),))).score


@pytest.mark.parametrize(
    "text", ["こんにちは", "Привет, как дела?", "法国的首都是哪里", "שלום", "ما هي عاصمة فرنسا؟", "👍"]
)
def test_a_greeting_and_a_short_question_are_easy_in_any_script_but_never_easiest(text):
    assert score(text) == 2


@pytest.mark.parametrize(
    "text", ["请比较儒家与道家在治国理念上的异同。" * 10, "Сравните эти подходы и объясните различия. " * 6]
)
def test_a_longer_text_counts_as_the_middle(text):
    assert score(text) == MIDDLE


@pytest.mark.parametrize(
    "text",
    [
        "求函数f(x)=x^2+3x-4的极值,并证明当x>0时f(x)>=-4。",
        "Поезд едет 60 км/ч и выезжает в 15:00, второй едет 80 км/ч и выезжает в 16:00. Когда он догонит первый?",
    ],
)
def test_a_calculation_is_hard_in_any_script(text):
    assert score(text) >= 4


def test_signs_as_wide_as_an_ideograph_are_the_same_signs():
    wide = "计算（３＋４）＊５等于多少"  # noqa: RUF001 - the very point
    assert judge_wordless(wide, MODEL) == judge_wordless("计算(3+4)*5等于多少", MODEL)


def test_a_dense_script_says_more_in_as_many_characters():
    assert length_term("一" * 200) == length_term("ж" * 500)
    assert length_term("一" * 1000) > length_term("ж" * 1000)


def length_term(text: str) -> float:
    only_length = AdditiveModel(tuple(each for each in MODEL.curves if each.name == "length"), MODEL.thresholds)
    return float(judge_wordless(text, only_length).reason.rpartition(" ")[2])


@pytest.mark.parametrize("text", ["", " \n"])
def test_without_text_it_is_the_middle(text):
    assert judge_wordless(text, MODEL) == (MIDDLE, "not judged: no text")


def test_the_reason_says_what_was_not_judged():
    assert judge_wordless("שלום", MODEL).reason == (
        "no Latin script, words not judged: -0.45: length -0.21, number_words -0.16"
    )
