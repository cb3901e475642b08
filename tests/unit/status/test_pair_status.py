from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mixserve.api.names import Reason
from mixserve.api.speculative_pair import SpeculationMethod, SpeculativePairSpec
from mixserve.plan.roofline import Roofline
from mixserve.plan.speed_up import SpeculationSpeed, prior_accepted_length
from mixserve.status.acceptance import Acceptance
from mixserve.status.pair_status import PairAssessment, PairUse, build_pair_status
from mixserve.status.rfc3339 import to_rfc3339
from mixserve.validate.violation import Violation
from support.pools import NOW_S

if TYPE_CHECKING:
    from mixserve.api.speculative_pair_status import PairInPool, SpeculativePairStatus

# A step takes 22 ms up to 20 tokens, and a millisecond more for each further one.
MODEL = Roofline(
    weights_s=0.02,
    experts_s=0.0,
    unused_share=0.0,
    kv_s_per_context_token=0.0,
    compute_s_per_batch_token=0.001,
    overhead_s=0.002,
)
PAIR = SpeculativePairSpec(method=SpeculationMethod.NGRAM, tokens=3)
SPEED = SpeculationSpeed(pair=PAIR, model=MODEL, draft=None, context_tokens=1000)
KNOWN = PairAssessment(generations=(1, 1), tokenizers_match="True", speeds={"fp8": SPEED, "awq": None})
USE = PairUse(
    pool="llama", assessment=KNOWN, variant="fp8", acceptance=Acceptance(rate=0.7123, length=3.1369), batch=5.04
)
SILENT = replace(USE, acceptance=None, batch=None)
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
    assert numbers(build(USE)) == ("0.71", "3.14", "5.0", "3.1")


def test_the_speed_up_is_that_of_the_batch_and_of_what_was_measured() -> None:
    large = numbers(build(replace(USE, batch=10.0)))
    bad = numbers(build(replace(USE, acceptance=Acceptance(0.1, 1.3))))
    assert (large[3], bad[3]) == ("1.6", "1.3")


def test_what_was_not_measured_yet_is_expected_of_a_request_alone() -> None:
    usual = prior_accepted_length(SpeculationMethod.NGRAM, 3)
    assert numbers(build(SILENT)) == (None, None, "1.0", f"{usual:.1f}")


def test_pools_are_sorted() -> None:
    status = build(replace(USE, pool="b"), replace(USE, pool="a"))
    assert [each.name for each in status.pools] == ["a", "b"]
    assert status.observed_generation == 3


def test_nothing_measured_is_no_number() -> None:
    assert numbers(build(replace(SILENT, variant=None))) == (None, None, None, None)
    assert numbers(build(replace(SILENT, variant="awq"))) == (None, None, "1.0", None)


def test_an_engine_that_counts_no_drafts_has_no_length() -> None:
    assert numbers(build(replace(USE, acceptance=Acceptance(0.5, None))))[:2] == ("0.50", None)


@pytest.mark.parametrize(
    ("uses", "status", "reason", "says"),
    [
        ((), "Unknown", "NotUsed", "No pool names it"),
        ((USE,), "True", "Ready", "can use it"),
        (
            (USE, replace(USE, pool="old", assessment=replace(KNOWN, violations=(WRONG,)))),
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
    wrong = replace(USE, assessment=replace(KNOWN, violations=(WRONG,)))
    [worse] = build(wrong, previous=first, now_s=NOW_S + 60).conditions
    assert again.last_transition_time == to_rfc3339(NOW_S)
    assert worse.last_transition_time == to_rfc3339(NOW_S + 60)


@pytest.mark.parametrize(
    "moved",
    [
        replace(USE, acceptance=Acceptance(rate=0.74, length=3.2)),
        replace(USE, batch=4.0),
        replace(USE, batch=5.1),
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
        replace(USE, batch=3.0),
        replace(USE, batch=7.0),
        replace(USE, batch=5.6),  # the larger step costs a tenth of the speed-up
    ],
)
def test_when_one_has_moved_all_are_written_anew_but_only_when_it_is_time(moved: PairUse) -> None:
    first = build(USE)
    assert build(moved, previous=first, may_move=False) == first
    assert build(moved, previous=first) == build(moved)


def test_what_was_measured_stays_when_nothing_runs_any_more() -> None:
    first = build(USE)
    assert build(SILENT, previous=first) == first
    assert build(replace(SILENT, batch=40.0), previous=first) == first  # too little was proposed so far


def test_what_is_measured_for_the_first_time_is_news() -> None:
    first = build(SILENT)
    assert build(USE, previous=first, may_move=False) == build(USE)
    assert build(replace(SILENT, batch=12.0), previous=first, may_move=False) == first


def test_a_speed_up_that_becomes_known_is_news() -> None:
    unknown = replace(SILENT, assessment=replace(KNOWN, speeds={}))
    assert build(SILENT, previous=build(unknown)) == build(SILENT)


def test_without_a_ready_replica_there_is_nothing_to_say_twice() -> None:
    first = build(replace(SILENT, variant=None))
    assert build(replace(SILENT, variant=None), previous=first) == first


def test_what_is_no_number_is_told_at_once() -> None:
    first = build(USE)
    now = replace(USE, assessment=replace(KNOWN, tokenizers_match="False"))
    assert entry(build(now, previous=first, may_move=False)).tokenizers_match == "False"
    assert build(previous=first, may_move=False).pools == ()


def test_numbers_of_another_variant_or_another_pair_are_forgotten() -> None:
    first = build(USE)
    assert build(replace(SILENT, variant="awq"), previous=first) == build(replace(SILENT, variant="awq"))
    assert build(SILENT, previous=first, generation=4) == build(SILENT, generation=4)
