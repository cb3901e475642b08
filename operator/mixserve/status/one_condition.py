"""From a verdict to a condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.pool_status import Condition
from mixserve.status.rfc3339 import to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mixserve.status.verdict import Verdict


def to_condition(
    verdict: Verdict,
    *,
    generation: int,
    previous: Sequence[Condition],
    now_s: float,
) -> Condition:
    """The condition; one whose status stayed keeps the time of its last transition.

    Args:
        verdict: what is to be said.
        generation: of the object that was looked at.
        previous: the conditions in the object's status.
        now_s: seconds since the epoch.
    """
    before = next((one for one in previous if one.type == verdict.type), None)
    stays = before is not None and before.status == verdict.status
    return Condition(
        type=verdict.type,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        last_transition_time=before.last_transition_time if before and stays else to_rfc3339(now_s),
        observed_generation=generation,
    )
