from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.route.picking import affinity as module
from mixserve.route.picking.affinity import BLOCK_ENDS, FIRST_BLOCK_BYTES, HASHED_BYTES, Affinity, affinity_of

SYSTEM = b"You answer in one sentence. " * 100


def shared(one: Affinity, other: Affinity) -> int:
    """Bytes that two prompts are seen to share."""
    pairs = zip(one.blocks, other.blocks, BLOCK_ENDS, strict=False)
    return max((end for first, second, end in pairs if first == second), default=0)


def test_prompts_that_begin_alike_share_their_first_blocks_alone() -> None:
    one, other = affinity_of(SYSTEM + b"a" * 900, pool="p"), affinity_of(SYSTEM + b"b" * 900, pool="p")
    assert len(SYSTEM) * 8 / 9 < shared(one, other) <= len(SYSTEM)
    assert one.blocks[-1] != other.blocks[-1]


def test_a_chat_that_grows_keeps_its_blocks() -> None:
    before, after = affinity_of(SYSTEM, pool="p"), affinity_of(SYSTEM + b"and then?" * 100, pool="p")
    assert after.blocks[: len(before.blocks)] == before.blocks
    assert len(after.blocks) > len(before.blocks)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"pool": "q"}, id="of another pool"),
        pytest.param({"pool": "p", "adapter": "a"}, id="with an adapter"),
        pytest.param({"pool": "p", "salt": "tenant"}, id="with another salt"),
        pytest.param({"pool": "pa", "adapter": ""}, id="of a pool whose name goes on"),
    ],
)
def test_nothing_is_shared_with_a_prompt(other: dict[str, str]) -> None:
    assert not set(affinity_of(SYSTEM, pool="p").blocks) & set(affinity_of(SYSTEM, **other).blocks)


def test_the_same_text_after_another_beginning_is_not_shared() -> None:
    one, other = (affinity_of(letter * FIRST_BLOCK_BYTES + SYSTEM, pool="p") for letter in (b"a", b"b"))
    assert not set(one.blocks) & set(other.blocks)


def test_a_prompt_shorter_than_a_block_has_nothing_to_share() -> None:
    assert affinity_of(b"x" * (FIRST_BLOCK_BYTES - 1), pool="p").blocks == ()
    assert len(affinity_of(b"x" * FIRST_BLOCK_BYTES, pool="p").blocks) == 1


def test_a_session_is_one_of_its_pool() -> None:
    assert affinity_of(b"", pool="p").session is None
    one, same = affinity_of(b"", pool="p", session="s"), affinity_of(SYSTEM, pool="p", session="s")
    assert one.session == same.session
    assert one.session not in {affinity_of(b"", pool=pool, session=name).session for pool, name in ("qs", "pt")}


@given(st.text(max_size=2000))
def test_text_and_its_bytes_are_the_same_prompt(text: str) -> None:
    assert affinity_of(text, pool="p").blocks == affinity_of(text.encode(), pool="p").blocks


def test_half_a_surrogate_pair_is_hashed_like_any_text() -> None:
    assert affinity_of("\ud83d" * FIRST_BLOCK_BYTES, pool="p").blocks


def test_work_is_bounded_whatever_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    monkeypatch.setattr(module, "crc32", lambda data, start=0: hashed.append(len(data)) or start + 1)
    found = affinity_of(b"x" * 10_000_000, pool="p")
    assert sum(hashed) == HASHED_BYTES + len("p\0\0")
    assert len(hashed) - 1 == len(found.blocks) == len(BLOCK_ENDS) <= 50
    assert found.prompt_length == 10_000_000


def test_blocks_grow_by_an_eighth_at_most() -> None:
    assert BLOCK_ENDS[0] == FIRST_BLOCK_BYTES
    assert BLOCK_ENDS[-1] == HASHED_BYTES
    assert all(begin < end <= begin * 9 / 8 for begin, end in pairwise(BLOCK_ENDS))


def test_every_process_gets_the_same_hashes() -> None:
    assert affinity_of(b"x" * FIRST_BLOCK_BYTES, pool="p", session="s") == Affinity(
        blocks=(3355466437,), session=2205638406, prompt_length=FIRST_BLOCK_BYTES
    )
