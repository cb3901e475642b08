from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mixserve.api.names import Reason
from mixserve.status.acceptance import Acceptance
from mixserve.status.pair_status import PairUse, build_pair_status
from mixserve.status.rfc3339 import to_rfc3339
from mixserve.validate.violation import Violation
from support.pools import NOW_S

if TYPE_CHECKING:
    from mixserve.api.speculative_pair_status import PairInPool, SpeculativePairStatus

USE = PairUse(
    pool="llama",
    tokenizers_match="True",
    variant="fp8",
    acceptance=Acceptance(rate=0.7123, length=3.1369),
    batch=12.34,
    speed_up=1.8765,
)
WRONG = Violation(Reason.INVALID_SPEC, "spec.speculativePairRef", "vLLM 0.30 has no suffix decoding", "choose 0.32")


def build(
    *uses: PairUse,
    previous: SpeculativePairStatus | None = None,
    may_move: bool = True,
    generation: int = 3,
    now_s: float = NOW_S,
) -> SpeculativePairStatus:
    return build_pair_status(
        generation=generation, uses=uses, previous=previous, numbers_may_move=may_move, now_s=now_s
    )


def entry(status: SpeculativePairStatus) -> PairInPool:
    [found] = status.pools
    return found


def numbers(status: SpeculativePairStatus) -> tuple[str | None, ...]:
    found = entry(status)
    return (found.acceptance_rate, found.accepted_length, found.batch, found.expected_speed_up)


def test_numbers_are_rounded() -> None:
    assert numbers(build(USE)) == ("0.71", "3.14", "12.3", "1.9")


def test_pools_are_sorted() -> None:
    status = build(replace(USE, pool="b"), replace(USE, pool="a"))
    assert [each.name for each in status.pools] == ["a", "b"]
    assert status.observed_generation == 3


def test_nothing_measured_is_no_number() -> None:
    assert numbers(build(PairUse(pool="llama", tokenizers_match="Unknown"))) == (None, None, None, None)


def test_an_engine_that_counts_no_drafts_has_no_length() -> None:
    assert numbers(build(replace(USE, acceptance=Acceptance(0.5, None))))[:2] == ("0.50", None)


@pytest.mark.parametrize(
    ("uses", "status", "reason", "says"),
    [
        ((), "Unknown", "NotUsed", "No pool names it"),
        ((USE,), "True", "Ready", "can use it"),
        (
            (USE, replace(USE, pool="old", violations=(WRONG,))),
            "False",
            "InvalidSpec",
            "LLMServingPool old: spec.speculativePairRef: vLLM 0.30 has no suffix decoding; choose 0.32",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_ready_says_whether_pools_can_use_it(uses: tuple[PairUse, ...], status: str, reason: str, says: str) -> None:
    [condition] = build(*uses).conditions
    assert (condition.type, condition.status, condition.reason) == ("Ready", status, reason)
    assert says in condition.message


def test_a_condition_that_stays_keeps_its_time() -> None:
    first = build(USE)
    [again] = build(USE, previous=first, now_s=NOW_S + 60).conditions
    [worse] = build(replace(USE, violations=(WRONG,)), previous=first, now_s=NOW_S + 60).conditions
    assert again.last_transition_time == to_rfc3339(NOW_S)
    assert worse.last_transition_time == to_rfc3339(NOW_S + 60)


@pytest.mark.parametrize(
    "moved",
    [
        replace(USE, acceptance=Acceptance(rate=0.74, length=3.2)),
        replace(USE, batch=15.0),
        replace(USE, batch=9.0),
        replace(USE, speed_up=1.92),
    ],
)
def test_numbers_that_have_hardly_moved_stay_as_they_were(moved: PairUse) -> None:
    first = build(USE)
    assert build(moved, previous=first) == first


@pytest.mark.parametrize(
    "moved",
    [
        replace(USE, acceptance=Acceptance(rate=0.66, length=3.1)),
        replace(USE, acceptance=Acceptance(rate=0.71, length=2.9)),
        replace(USE, acceptance=Acceptance(rate=0.71, length=None)),
        replace(USE, batch=20.0),
        replace(USE, batch=8.0),
        replace(USE, speed_up=1.7),
    ],
)
def test_when_one_has_moved_all_are_written_anew_but_only_when_it_is_time(moved: PairUse) -> None:
    first = build(USE)
    assert build(moved, previous=first, may_move=False) == first
    assert build(moved, previous=first) == build(moved)


def test_what_was_measured_stays_when_nothing_runs_any_more() -> None:
    first = build(USE)
    idle = replace(USE, acceptance=None, batch=None, speed_up=None)
    assert build(idle, previous=first) == first


def test_what_is_measured_for_the_first_time_is_news() -> None:
    first = build(replace(USE, acceptance=None, batch=None, speed_up=None))
    assert numbers(build(USE, previous=first, may_move=False)) == (None, None, None, None)
    assert numbers(build(USE, previous=first)) == ("0.71", "3.14", "12.3", "1.9")


def test_what_is_no_number_is_told_at_once() -> None:
    first = build(USE)
    now = replace(USE, tokenizers_match="False")
    assert entry(build(now, previous=first, may_move=False)).tokenizers_match == "False"
    assert build(previous=first, may_move=False).pools == ()


def test_numbers_of_another_variant_or_another_pair_are_forgotten() -> None:
    first = build(USE)
    silent = replace(USE, acceptance=None, batch=None, speed_up=None)
    assert numbers(build(replace(silent, variant="awq"), previous=first)) == (None, None, None, None)
    assert numbers(build(silent, previous=first, generation=4)) == (None, None, None, None)


def test_no_batch_is_not_a_small_batch() -> None:
    first = build(replace(USE, batch=None))
    assert numbers(first)[2] is None
    assert numbers(build(USE, previous=first))[2] == "12.3"
