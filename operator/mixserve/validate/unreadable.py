"""A spec that the API server let in and we can't read: its CRD is of another version of Mixserve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.api.problems import problems
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from pydantic import ValidationError


def unreadable(error: ValidationError) -> tuple[Violation, ...]:
    """What keeps a pool from being read, in the order of its fields."""
    return tuple(
        Violation(
            Reason.INVALID_SPEC,
            problem.field_path or "metadata.name",  # rules of the whole object are about its name
            f"the operator can't read it: {problem.cause}",
            "correct the field, and install the CRDs of the operator's own version",
        )
        for problem in problems(error)
    )
