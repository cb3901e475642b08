"""What a check can find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixserve.api.names import Reason


@dataclass(frozen=True)
class Finding:
    """Something about a pool's spec, for a condition.

    Attributes:
        reason: one of the reasons of Validated or Fits.
        field_path: the field to look at, such as spec.variants[0].quantization.
        cause: what is the case, as a clause.
        remedy: what to do, as a sentence.
    """

    reason: Reason
    field_path: str
    cause: str
    remedy: str


class Violation(Finding):
    """A reason not to apply the pool."""


class Note(Finding):
    """Worth knowing, or not checked; the pool is applied all the same."""
