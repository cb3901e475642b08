from collections import Counter

import pytest

from mixserve.route.complexity.heuristic import Heuristic
from mixserve.route.request import Message, Prompt
from mixserve_devcluster.demo.prompts import (
    QUESTIONS,
    SYSTEM_PROMPT,
    Difficulty,
    conversation,
    difficulty,
    question,
)

SCORES = {Difficulty.EASY: {1, 2}, Difficulty.MEDIUM: {3}, Difficulty.HARD: {4, 5}}


def characters(messages: list[dict[str, str]]) -> int:
    return sum(len(message["content"]) for message in messages if message["role"] != "assistant")


@pytest.mark.parametrize("tokens", [1, 400, 4096])
def test_the_default_classifier_sends_each_to_the_tier_that_its_difficulty_is_meant_for(tokens):
    for number in range(200):
        messages = tuple(Message(one["role"], one["content"]) for one in conversation(number, tokens))
        assert Heuristic()(Prompt(messages)).score in SCORES[difficulty(number)], question(number)


def test_of_twenty_in_a_row_thirteen_are_easy_five_medium_and_two_hard():
    for first in (0, 7, 100):
        counts = Counter(difficulty(number) for number in range(first, first + 20))
        assert counts == {Difficulty.EASY: 13, Difficulty.MEDIUM: 5, Difficulty.HARD: 2}


def test_all_questions_are_asked():
    asked = {question(number) for number in range(200)}
    assert asked == {text for texts in QUESTIONS.values() for text in texts}


@pytest.mark.parametrize("tokens", [200, 1000, 4096])
def test_conversations_are_about_as_long_as_asked_and_differ(tokens):
    assert characters(conversation(1, tokens)) == pytest.approx(4 * tokens, abs=4)
    assert conversation(1, tokens)[1] != conversation(21, tokens)[1]


def test_the_shortest_are_the_instructions_and_the_question():
    contents = [one["content"] for one in conversation(3, 1)]
    assert contents == [SYSTEM_PROMPT, question(3)]
