"""Events of a pool or a policy: only what changed between two statuses, so a pool that stays as it is says nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mixserve.api.names import ConditionType, PolicyCondition, Reason
from mixserve.api.pool_status import BlockReason, Condition, PoolStatus

_TARGETS_FOUND = PolicyCondition.TARGETS_FOUND


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a pool or a policy.

    Attributes:
        type: "Warning" where somebody should look.
        reason: CamelCase, part of the API's contract.
        action: what the operator did, CamelCase.
        message: for people.
    """

    type: Literal["Normal", "Warning"]
    reason: Reason
    action: str
    message: str


def build_events(previous: PoolStatus | None, new: PoolStatus) -> tuple[Event, ...]:
    """What to tell about the step from one status to the next; `previous` is None for a new pool."""
    before = previous or PoolStatus()
    return (*condition_events(before.conditions, new.conditions), *_scale_events(before, new))


def condition_events(before: Sequence[Condition], new: Sequence[Condition]) -> Iterator[Event]:
    """Conditions that became false, say something else while false, or became true again.

    Ready sums up the others: that it turned false is told only where none of them turned false with it, and when it
    turns true, that the workload is ready goes without saying. So does that a new pool's replicas are starting.
    """
    old = {condition.type: condition for condition in before}
    changed = [condition for condition in new if _is_news(old.get(condition.type), condition)]
    for condition in changed:
        if _goes_without_saying(condition, changed):
            continue
        yield Event(
            type="Normal" if _is_calm(condition) else "Warning",
            reason=Reason(condition.reason),
            action=f"Check{condition.type}",
            message=f"{condition.type} is {condition.status}: {condition.message}",
        )


def _is_news(old: Condition | None, new: Condition) -> bool:
    if new.status == "False":
        return not _is_calm(new) if old is None else _gist(old) != _gist(new)
    if new.status == "True":
        return old is not None and old.status != "True"
    return False


def _gist(condition: Condition) -> tuple[str, ...]:
    """What of a condition is news. The message only where it says nothing but what is missing: another name."""
    message = (condition.message,) if condition.type == _TARGETS_FOUND else ()
    return (condition.status, condition.reason, *message)


def _goes_without_saying(condition: Condition, changed: Sequence[Condition]) -> bool:
    # Which targets there are is no part of the sum.
    others = {(one.type, one.status) for one in changed if one is not condition and one.type != _TARGETS_FOUND}
    if condition.type == ConditionType.READY and condition.status == "False":
        return any(status == "False" for _, status in others)
    if condition.type == ConditionType.WORKLOAD_READY and condition.status == "True":
        return (ConditionType.READY, "True") in others
    return False


def _is_calm(condition: Condition) -> bool:
    return condition.status == "True" or condition.reason in {Reason.PROGRESSING, Reason.NOT_READY}


def _scale_events(before: PoolStatus, new: PoolStatus) -> Iterator[Event]:
    """A new desired size, or a drain that began."""
    old, decision = before.last_decision, new.last_decision
    if decision is None or decision == old or decision.blocked_by is BlockReason.NOT_NATIVE:
        return
    if decision.desired != decision.current and (old is None or old.desired != decision.desired):
        reason = Reason.SCALE_UP if decision.desired > decision.current else Reason.SCALE_DOWN
        yield Event(type="Normal", reason=reason, action="Scale", message=decision.message)
    elif decision.blocked_by is BlockReason.DRAINING:
        yield Event(type="Normal", reason=Reason.DRAINING, action="Drain", message=decision.message)
