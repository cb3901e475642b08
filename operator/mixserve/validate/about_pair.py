"""Which violations of a pool its SpeculativePair has to hear of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.validate.speculation_checks import PAIR_PATH

if TYPE_CHECKING:
    from mixserve.validate.violation import Violation


def is_about_pair(violation: Violation) -> bool:
    """Whether a violation is one of the pair itself, or of pair and engine together."""
    return violation.field_path == PAIR_PATH or violation.reason is Reason.UNSUPPORTED_SPECULATION
