"""Of numbers that nobody knows: what kind of not knowing it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.names import Reason
from mixserve.plan.absence import Outlook

if TYPE_CHECKING:
    from mixserve.plan.facts import UnknownFacts


def unknown_reason(facts: UnknownFacts) -> Reason:
    """The reason of the note that says so."""
    return Reason.READING_MODEL_FILES if facts.outlook is Outlook.SOON else Reason.UNKNOWN_MODEL_FACTS
