from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.simulate.requests import Request, chained_block_hashes

TOKEN_LISTS = st.lists(st.integers(0, 3), max_size=40)


@pytest.mark.parametrize(("prompt", "answer"), [(0, 1), (1, 0), (-1, 1)])
def test_a_request_without_prompt_or_answer_is_refused(prompt: int, answer: int) -> None:
    with pytest.raises(ValueError, match="request a: prompt_tokens and answer_tokens must be at least 1"):
        Request(request_id="a", prompt_tokens=prompt, answer_tokens=answer)


def test_only_full_blocks_have_a_hash() -> None:
    assert len(chained_block_hashes(range(11), 4)) == 2


def test_equal_blocks_behind_different_ones_differ() -> None:
    first, second = chained_block_hashes([1, 2, 1, 2], 2)
    assert first != second


def test_a_hash_is_the_same_in_another_process() -> None:
    code = "from mixserve.simulate.requests import chained_block_hashes; print(chained_block_hashes([1, 2, 3, 4], 2))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(chained_block_hashes([1, 2, 3, 4], 2))


@given(one=TOKEN_LISTS, other=TOKEN_LISTS, size=st.integers(1, 5))
def test_hashes_agree_exactly_as_far_as_whole_blocks_do(one: list[int], other: list[int], size: int) -> None:
    pairs = zip(chained_block_hashes(one, size), chained_block_hashes(other, size), strict=False)
    for index, (mine, theirs) in enumerate(pairs):
        end = (index + 1) * size
        assert (mine == theirs) == (one[:end] == other[:end])
