"""Manifests that can't be read: before the API server saw them, or although its CRDs let them in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.api.problems import problems
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from pydantic import ValidationError


def unreadable(error: ValidationError) -> tuple[Violation, ...]:
    """What keeps a pool of the cluster from being read: its CRD is of another version of Mixserve."""
    return _violations(
        error,
        said="the operator can't read it: ",
        remedy="correct the field, and install the CRDs of the operator's own version",
    )


def against_schema(error: ValidationError, kind: str) -> tuple[Violation, ...]:
    """What the API server would refuse in a manifest."""
    return _violations(error, said="", remedy=f"correct it as docs/reference/{kind.lower()}.md says")


def _violations(
    error: ValidationError,
    *,
    said: str,
    remedy: str,
) -> tuple[Violation, ...]:
    """In the order of the fields."""
    return tuple(
        Violation(
            Reason.INVALID_SPEC,
            problem.field_path or "metadata.name",  # rules of the whole object are about its name
            f"{said}{problem.cause}",
            remedy,
        )
        for problem in problems(error)
    )
