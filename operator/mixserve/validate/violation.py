"""What a check can find, and which condition it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mixserve.api.names import ConditionType, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Finding:
    """Something about the spec of a pool, a pair or a policy.

    Attributes:
        reason: of a pool, one that `CONDITIONS` knows.
        field_path: the field to look at, such as spec.variants[0].quantization.
        cause: what is the case, as a clause.
        remedy: what to do, as an instruction without a full stop.
    """

    reason: Reason
    field_path: str
    cause: str
    remedy: str

    @property
    def message(self) -> str:
        """All of it as one sentence, without a full stop."""
        return f"{self.field_path}: {self.cause}; {self.remedy}"


class Violation(Finding):
    """A reason not to go by the spec."""


class Note(Finding):
    """Worth knowing, or not checked; the spec is followed all the same."""


CONDITIONS: Mapping[Reason, ConditionType] = MappingProxyType(
    {
        Reason.VALID: ConditionType.VALIDATED,
        Reason.INVALID_SPEC: ConditionType.VALIDATED,
        Reason.UNKNOWN_QUANTIZATION: ConditionType.VALIDATED,
        Reason.UNKNOWN_ACCELERATOR: ConditionType.VALIDATED,
        Reason.UNSUPPORTED_QUANTIZATION: ConditionType.VALIDATED,
        Reason.OWNED_FLAG: ConditionType.VALIDATED,
        Reason.SERVED_NAME_TAKEN: ConditionType.VALIDATED,
        Reason.DEPLOYMENT_NAME_TAKEN: ConditionType.VALIDATED,
        Reason.CHECKPOINT_MISMATCH: ConditionType.VALIDATED,
        Reason.CHECKPOINT_NOT_FOUND: ConditionType.VALIDATED,
        Reason.UNKNOWN_SPECULATIVE_PAIR: ConditionType.VALIDATED,
        Reason.UNSUPPORTED_SPECULATION: ConditionType.VALIDATED,
        Reason.DRAFT_MISMATCH: ConditionType.VALIDATED,
        Reason.DOES_NOT_FIT: ConditionType.FITS,
        Reason.CONTEXT_TOO_LONG: ConditionType.FITS,
        Reason.INDIVISIBLE_HEADS: ConditionType.FITS,
        Reason.INVALID_MODEL_FACTS: ConditionType.FITS,
        Reason.UNKNOWN_MODEL_FACTS: ConditionType.FITS,
        Reason.READING_MODEL_FILES: ConditionType.FITS,
    }
)
"""The condition of a pool in which violations and notes of a reason are reported."""
