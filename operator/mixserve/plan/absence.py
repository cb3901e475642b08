"""Why a checkpoint's files are not there, and whether waiting helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from mixserve.plan.model_source import Repository


class Outlook(StrEnum):
    """What becomes of something that is not known yet."""

    SOON = "Soon"
    """It is being read: what depends on it waits."""
    LATER = "Later"
    """It could not be read, and is tried again without anybody's help; what can do without goes on without."""
    NEVER = "Never"
    """Nobody reads it, or what was read says nothing."""
    NOT_THERE = "NotThere"
    """Whoever should have it says that there is no such thing."""


@dataclass(frozen=True, kw_only=True)
class Absence:
    """Why a checkpoint's files are not there.

    Attributes:
        outlook: whether waiting helps.
        detail: what is the case, as a clause.
        remedy: what to do, as an instruction without a full stop.
    """

    outlook: Outlook
    detail: str
    remedy: str


Absences = Mapping[Repository, Absence]
"""By checkpoint; for one that is not here, nobody has anything to say."""

NO_REASONS: Absences = MappingProxyType({})
