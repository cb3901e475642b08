"""Events of a pool: only what changed between two statuses, so a pool that stays as it is says nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mixserve.api.names import ConditionType, Reason
from mixserve.api.pool_status import BlockReason, Condition, PoolStatus


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a pool.

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
    return (*_condition_events(before, new), *_scale_events(before, new))


def _condition_events(before: PoolStatus, new: PoolStatus) -> Iterator[Event]:
    """Conditions that became false, changed their reason while false, or became true again.

    Ready sums up the others: that it turned false is told only where none of them turned false with it.
    """
    old = {condition.type: condition for condition in before.conditions}
    changed = [condition for condition in new.conditions if _is_news(old.get(condition.type), condition)]
    explained = any(one.status == "False" and one.type != ConditionType.READY for one in changed)
    for condition in changed:
        if condition.type == ConditionType.READY and condition.status == "False" and explained:
            continue
        good = condition.status == "True"
        calm = good or condition.reason in {Reason.PROGRESSING, Reason.NOT_READY}
        yield Event(
            type="Normal" if calm else "Warning",
            reason=Reason(condition.reason),
            action=f"Check{condition.type}",
            message=f"{condition.type} is {condition.status}: {condition.message}",
        )


def _is_news(old: Condition | None, new: Condition) -> bool:
    if new.status == "False":
        return old is None or (old.status, old.reason) != (new.status, new.reason)
    if new.status == "True":
        return old is not None and old.status != "True"
    return False


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
