"""What a check can find, and which condition it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mixserve.api.names import ConditionType, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Violation:
    """A reason not to apply the pool.

    Attributes:
        reason: a reason that `CONDITIONS` knows.
        field_path: the field to look at, such as spec.variants[0].quantization.
        cause: what is wrong, as a clause.
        remedy: what to do, as an instruction.
    """

    reason: Reason
    field_path: str
    cause: str
    remedy: str

    @property
    def message(self) -> str:
        """The violation as a sentence."""
        return f"{self.field_path}: {self.cause}; {self.remedy}"


@dataclass(frozen=True)
class Note:
    """Something to know about a pool that is applied all the same.

    Attributes:
        reason: a reason that `CONDITIONS` knows; UNKNOWN_MODEL_FACTS means that the fit could not be checked.
        field_path: the field that it is about.
        text: what there is to know, and what to do about it.
    """

    reason: Reason
    field_path: str
    text: str

    @property
    def message(self) -> str:
        """The note as a sentence."""
        return f"{self.field_path}: {self.text}"


CONDITIONS: Mapping[Reason, ConditionType] = MappingProxyType(
    {
        Reason.VALID: ConditionType.VALIDATED,
        Reason.INVALID_SPEC: ConditionType.VALIDATED,
        Reason.UNKNOWN_QUANTIZATION: ConditionType.VALIDATED,
        Reason.UNKNOWN_ACCELERATOR: ConditionType.VALIDATED,
        Reason.UNSUPPORTED_QUANTIZATION: ConditionType.VALIDATED,
        Reason.OWNED_FLAG: ConditionType.VALIDATED,
        Reason.SERVED_NAME_TAKEN: ConditionType.VALIDATED,
        Reason.UNSUPPORTED_VERSION: ConditionType.VALIDATED,
        Reason.DOES_NOT_FIT: ConditionType.FITS,
        Reason.CONTEXT_TOO_LONG: ConditionType.FITS,
        Reason.INDIVISIBLE_HEADS: ConditionType.FITS,
        Reason.INVALID_MODEL_FACTS: ConditionType.FITS,
        Reason.UNKNOWN_MODEL_FACTS: ConditionType.FITS,
    }
)
"""The condition in which violations and notes of a reason are reported."""
