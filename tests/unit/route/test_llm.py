import json

import pytest

from mixserve.route.complexity.llm import (
    ASKED_CHARACTERS,
    INSTRUCTIONS,
    SCORES,
    NoAnswer,
    decided,
    question,
    read_answer,
)
from mixserve.route.complexity.score import Complexity
from mixserve.route.request import InferenceRequest, Message, Prompt, read_request


def asked(text: str, *, guided: bool = True) -> dict:
    body = question(Prompt((Message("user", text),)), model="small", guided=guided)
    assert body is not None
    assert isinstance(read_request(body), InferenceRequest)
    return json.loads(body)


def answer(content: object) -> bytes:
    return json.dumps(
        {"id": "1", "choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}
    ).encode()


def test_the_question_has_the_rules_then_the_text_and_leaves_room_for_one_digit():
    body = asked("How are you?")
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"] == INSTRUCTIONS
    assert "<request>\nHow are you?\n</request>" in body["messages"][1]["content"]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("small", 1, 0)


def test_only_an_engine_that_can_is_told_to_allow_nothing_but_scores():
    assert asked("x")["structured_outputs"] == {"choice": ["1", "2", "3", "4", "5"]}
    assert "structured_outputs" not in asked("x", guided=False)


def test_of_a_long_text_begin_and_end_are_asked():
    text = "b" * ASKED_CHARACTERS + "middle" * 1000 + "e" * ASKED_CHARACTERS
    content = asked(text)["messages"][1]["content"]
    assert f"<request>\n{'b' * ASKED_CHARACTERS}\n[...]\n{'e' * ASKED_CHARACTERS}\n</request>" in content


@pytest.mark.parametrize(
    "prompt", [Prompt(()), Prompt((Message("user", " \n"),)), Prompt((Message("user", "", unread=True),))]
)
def test_without_a_text_there_is_nothing_to_ask(prompt):
    assert question(prompt, model="small", guided=True) is None


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("around", ["{}", " {}", "{}\n"])
def test_one_digit_is_a_score(score, around):
    assert read_answer(answer(around.format(score))) == Complexity(int(score), "the model's score")


@pytest.mark.parametrize(
    "body",
    [
        *map(answer, ["", "0", "6", "3.", "33", "Score: 3", "٣", None, ["3"]]),
        b'{"choices":[]}',
        b'{"error":{"message":"overloaded"}}',
        b"<html>",
        b"\xff",
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"x":' + b"[" * 100_000,
        b"",
    ],
)
def test_anything_else_is_no_score(body):
    assert read_answer(body) is NoAnswer.UNREADABLE


@pytest.mark.parametrize("why", NoAnswer)
def test_without_an_answer_the_heuristic_decides_and_says_why(why):
    heuristic = Complexity(2, "-0.40: length -0.21")
    assert decided(why, heuristic=heuristic) == (2, f"{why}, so Heuristic -0.40: length -0.21")


def test_with_an_answer_the_model_decides():
    assert decided(Complexity(4, "the model's score"), heuristic=Complexity(1, "x")).score == 4
