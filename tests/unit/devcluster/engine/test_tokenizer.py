from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixserve_devcluster.engine.tokenizer import encode, encode_chat

TEXTS = st.text(max_size=40)


@given(TEXTS)
def test_four_characters_are_a_token(text: str) -> None:
    assert len(encode(text)) == -(-len(text) // 4)


def test_equal_characters_are_equal_tokens_everywhere() -> None:
    first, second, third = encode("baklbaklx")
    assert first == second != third


def test_half_a_surrogate_pair_is_a_token_too() -> None:
    assert len(encode("\ud83d")) == 1


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS), max_size=4), TEXTS, TEXTS)
def test_a_conversation_that_goes_on_begins_with_the_tokens_it_had(
    turns: list[tuple[str, str]], answer: str, question: str
) -> None:
    before = encode_chat(turns)
    after = encode_chat([*turns, ("assistant", answer), ("user", question)])
    answered = [*before, *encode(answer)]
    assert after[: len(answered)] == answered


def test_turns_do_not_run_into_each_other() -> None:
    assert encode_chat([("user", "ab"), ("user", "cd")]) != encode_chat([("user", "abcd")])
