from typing import Literal

import pytest

from mixserve.api.names import Reason
from mixserve.api.pool_status import BlockReason, Condition, LastDecision, PoolStatus
from mixserve.status.events import Event, build_events

Status = Literal["True", "False", "Unknown"]


def condition(kind: str, status: Status, reason: Reason, message: str = "why") -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time="2027-01-15T08:00:00Z",
        observed_generation=1,
    )


def decision(current: int, desired: int, blocked_by: BlockReason | None = None, term: str = "running") -> LastDecision:
    return LastDecision(
        time="2027-01-15T08:00:00Z",
        current=current,
        desired=desired,
        binding_term=term,
        terms=(),
        blocked_by=blocked_by,
        message=f"{current} to {desired}",
    )


def status(*conditions: Condition, last: LastDecision | None = None) -> PoolStatus:
    return PoolStatus(conditions=conditions, last_decision=last)


def reasons(before: PoolStatus | None, after: PoolStatus) -> list[tuple[str, Reason]]:
    return [(event.type, event.reason) for event in build_events(before, after)]


VALID = condition("Validated", "True", Reason.VALID)
WRONG = condition("Validated", "False", Reason.INVALID_SPEC)
READY = condition("Ready", "True", Reason.READY)


def test_what_stays_says_nothing() -> None:
    same = status(READY, WRONG, last=decision(1, 3))
    assert build_events(same, same) == ()


def test_a_condition_that_turns_false_is_a_warning() -> None:
    assert build_events(status(VALID), status(WRONG)) == (
        Event(type="Warning", reason=Reason.INVALID_SPEC, action="CheckValidated", message="Validated is False: why"),
    )


def test_a_condition_that_turns_true_again_is_told() -> None:
    assert reasons(status(WRONG), status(VALID)) == [("Normal", Reason.VALID)]


def test_another_reason_is_told_and_another_message_is_not() -> None:
    other = condition("Validated", "False", Reason.OWNED_FLAG)
    assert reasons(status(WRONG), status(other)) == [("Warning", Reason.OWNED_FLAG)]
    assert reasons(status(WRONG), status(WRONG.model_copy(update={"message": "new"}))) == []


def test_of_targets_that_are_missing_another_one_is_told() -> None:
    missing = condition("TargetsFound", "False", Reason.TARGET_NOT_FOUND, message="there is no smal")
    other = missing.model_copy(update={"message": "there is no larg"})
    found = condition("TargetsFound", "True", Reason.TARGETS_FOUND)
    assert reasons(None, status(missing)) == [("Warning", Reason.TARGET_NOT_FOUND)]
    assert reasons(status(missing), status(missing)) == []
    assert reasons(status(missing), status(other)) == [("Warning", Reason.TARGET_NOT_FOUND)]
    assert reasons(status(other), status(found)) == [("Normal", Reason.TARGETS_FOUND)]


def test_a_new_pool_tells_what_is_wrong_and_not_what_is_right() -> None:
    assert reasons(None, status(WRONG, READY)) == [("Warning", Reason.INVALID_SPEC)]


@pytest.mark.parametrize("before", ["True", "False"])
def test_what_can_not_be_checked_is_not_told(before: Status) -> None:
    unknown = condition("Fits", "Unknown", Reason.NOT_CHECKED)
    assert reasons(status(condition("Fits", before, Reason.FITS)), status(unknown)) == []


PROGRESS = condition("WorkloadReady", "False", Reason.PROGRESSING)
NOT_READY = condition("Ready", "False", Reason.NOT_READY)
WORKS = condition("WorkloadReady", "True", Reason.ALL_REPLICAS_READY)


def test_that_a_new_pool_starts_goes_without_saying() -> None:
    assert reasons(None, status(PROGRESS, NOT_READY)) == []


def test_a_pool_that_was_ready_and_starts_again_is_no_warning() -> None:
    assert reasons(status(READY, WORKS), status(NOT_READY, PROGRESS)) == [("Normal", Reason.PROGRESSING)]
    assert reasons(status(READY, PROGRESS), status(NOT_READY, PROGRESS)) == [("Normal", Reason.NOT_READY)]


def test_a_pool_that_gets_ready_says_so_once() -> None:
    assert reasons(status(NOT_READY, PROGRESS), status(READY, WORKS)) == [("Normal", Reason.READY)]
    assert reasons(status(READY, PROGRESS), status(READY, WORKS)) == [("Normal", Reason.ALL_REPLICAS_READY)]


def test_ready_does_not_repeat_what_another_condition_says() -> None:
    not_ready = condition("Ready", "False", Reason.INVALID_SPEC)
    assert reasons(status(READY, VALID), status(not_ready, WRONG)) == [("Warning", Reason.INVALID_SPEC)]
    assert reasons(status(READY, WRONG), status(not_ready, WRONG)) == [("Warning", Reason.INVALID_SPEC)]


def test_ready_again_is_told_beside_what_made_it_so() -> None:
    not_ready = condition("Ready", "False", Reason.INVALID_SPEC)
    assert reasons(status(not_ready, WRONG), status(READY, VALID)) == [
        ("Normal", Reason.READY),
        ("Normal", Reason.VALID),
    ]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (decision(3, 5), [("Normal", Reason.SCALE_UP)]),
        (decision(5, 3), [("Normal", Reason.SCALE_DOWN)]),
        (decision(3, 3), []),
        (decision(3, 3, BlockReason.DRAINING), [("Normal", Reason.DRAINING)]),
        (decision(3, 3, BlockReason.STABILIZING), []),
        (decision(3, 5, BlockReason.NOT_NATIVE), []),
    ],
)
def test_a_decision_is_told_when_it_changes_the_size(last: LastDecision, expected: list[tuple[str, Reason]]) -> None:
    assert reasons(status(last=decision(1, 1)), status(last=last)) == expected
    assert reasons(None, status(last=last)) == expected


def test_the_message_is_the_decisions() -> None:
    assert build_events(None, status(last=decision(3, 5))) == (
        Event(type="Normal", reason=Reason.SCALE_UP, action="Scale", message="3 to 5"),
    )


def test_a_size_on_the_way_is_told_once() -> None:
    before = status(last=decision(5, 3))
    assert reasons(before, status(last=decision(5, 3, term="minimum"))) == []
    assert reasons(before, status(last=decision(4, 3, BlockReason.DRAINING))) == [("Normal", Reason.DRAINING)]


def test_a_pool_without_a_decision_has_nothing_to_tell() -> None:
    assert build_events(None, PoolStatus()) == ()
