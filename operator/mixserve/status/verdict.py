"""One condition without the times: what was judged and why."""

from dataclasses import dataclass
from typing import Literal

from mixserve.api.names import AcceleratorCondition, ConditionType, PolicyCondition, Reason

ConditionStatus = Literal["True", "False", "Unknown"]


NOT_LOOKED_AT = "Not looked at: nothing is planned yet"
"""Message of conditions about objects and pods while there is no spec to compare them with."""


@dataclass(frozen=True)
class Verdict:
    """What a condition says now; `message` is empty where there is nothing to say."""

    type: ConditionType | AcceleratorCondition | PolicyCondition
    status: ConditionStatus
    reason: Reason
    message: str
