from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve_devcluster.engine.answers import make_answer
from mixserve_devcluster.engine.tokenizer import encode

SEEDS = st.integers(-(2**63), 2**63)


@given(seed=SEEDS, limit=st.integers(1, 3000))
def test_an_answer_has_the_tokens_that_it_says(seed: int, limit: int) -> None:
    answer = make_answer(seed, max_tokens=limit, ignore_eos=True)
    assert len(encode(answer.text)) == answer.tokens == limit
    assert answer.finish_reason == "length"


@given(seed=SEEDS)
def test_the_same_prompt_gets_the_same_answer(seed: int) -> None:
    assert make_answer(seed, max_tokens=100) == make_answer(seed, max_tokens=100)


@given(seed=SEEDS)
def test_an_answer_ends_by_itself_after_a_sentence_to_a_page(seed: int) -> None:
    answer = make_answer(seed, max_tokens=4096)
    assert 16 <= answer.tokens <= 512
    assert answer.finish_reason == "stop"


def test_a_limit_below_cuts_it_short() -> None:
    answer = make_answer(0, max_tokens=3)
    assert (answer.tokens, answer.finish_reason, len(answer.text)) == (3, "length", 12)


def test_different_prompts_get_different_words_and_lengths() -> None:
    answers = [make_answer(seed, max_tokens=4096) for seed in range(100)]
    assert len({answer.text[:20] for answer in answers}) == 100
    assert len({answer.tokens for answer in answers}) > 50


def test_a_smallest_length_makes_it_longer() -> None:
    assert make_answer(0, max_tokens=4096, min_tokens=600).tokens == 600


def test_the_parts_make_the_whole() -> None:
    answer = make_answer(7, max_tokens=20, ignore_eos=True)
    assert answer.part(0, 3) + answer.part(3, 4) + answer.part(4, 20) == answer.text


@pytest.mark.parametrize("position", [0, 3, 6, 17])
def test_a_stop_string_ends_the_answer_and_is_not_in_it(position: int) -> None:
    whole = make_answer(7, max_tokens=20, ignore_eos=True)
    stop = whole.text[position : position + 5]
    answer = make_answer(7, max_tokens=20, ignore_eos=True, stop=("QQ", stop))
    assert answer.text == whole.text[:position]
    assert (answer.finish_reason, answer.stop_reason) == ("stop", stop)
    assert answer.tokens == -(-(position + 5) // 4)


def test_of_several_stop_strings_the_first_to_be_complete_counts() -> None:
    whole = make_answer(7, max_tokens=20, ignore_eos=True)
    later, earlier = whole.text[20:26], whole.text[21:24]
    answer = make_answer(7, max_tokens=20, ignore_eos=True, stop=(later, earlier))
    assert answer.stop_reason == earlier


def test_a_stop_string_before_the_smallest_length_is_passed_over() -> None:
    whole = make_answer(7, max_tokens=20, ignore_eos=True)
    early = whole.text[16:20]
    assert make_answer(7, max_tokens=20, ignore_eos=True, stop=(early,), min_tokens=4).tokens == 5
    assert make_answer(7, max_tokens=20, ignore_eos=True, stop=(early,), min_tokens=5).stop_reason is None
