"""What speculative decoding brought lately: from counters of single engines to numbers of a variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mixserve.api.observation import SpeculationCounts

WINDOW_S = 300.0
"""What happened earlier says little about the requests of today."""

# With fewer proposed tokens the share that was kept is known to no better than 0.07 (a standard deviation).
_FEWEST_PROPOSED = 50


@dataclass(frozen=True)
class Tally:
    """What happened between two looks at an engine.

    Attributes:
        at_s: when the second one was, seconds since the epoch.
        drafts: how often tokens were proposed for a request; None where the engine does not count that.
        proposed: tokens.
        kept: tokens of these.
    """

    at_s: float
    drafts: int | None
    proposed: int
    kept: int


@dataclass(frozen=True)
class Acceptance:
    """How good the proposals were.

    Attributes:
        rate: share of the proposed tokens that the model kept, 0 to 1.
        length: tokens that a step with proposals gave per request, 1 + kept / drafts; None where the engine does not
            count drafts.
    """

    rate: float
    length: float | None


def tally(before: SpeculationCounts | None, now: SpeculationCounts, *, at_s: float) -> Tally | None:
    """What happened since the look before.

    A counter that is smaller than before has begun anew: the engine was restarted, and all that it counts is new.

    Args:
        before: the counters then; None if there was no look.
        now: the counters now.
        at_s: the time of now, seconds since the epoch.

    Returns:
        None where that can't be told, and where nothing has happened.
    """
    if now.since_last_read:
        base = (0, 0, 0)
    elif before is None:
        return None
    else:
        base = (0, 0, 0) if _began_anew(before, now) else (before.drafts or 0, before.proposed, before.kept)
    drafts = None if now.drafts is None else now.drafts - base[0]
    proposed, kept = now.proposed - base[1], now.kept - base[2]
    return Tally(at_s, drafts, proposed, kept) if proposed else None


def _began_anew(before: SpeculationCounts, now: SpeculationCounts) -> bool:
    return (now.drafts or 0) < (before.drafts or 0) or now.proposed < before.proposed or now.kept < before.kept


def within_window(tallies: Iterable[Tally], *, now_s: float) -> tuple[Tally, ...]:
    """Those that are not too old."""
    return tuple(each for each in tallies if now_s - each.at_s <= WINDOW_S)


def acceptance_of(tallies: Iterable[Tally]) -> Acceptance | None:
    """All of them together, of one engine or of many; None where there is too little to say."""
    counted = list(tallies)
    proposed, kept = sum(each.proposed for each in counted), sum(each.kept for each in counted)
    if proposed < _FEWEST_PROPOSED:
        return None
    drafts = sum(each.drafts or 0 for each in counted)
    all_count_them = all(each.drafts is not None for each in counted)
    return Acceptance(rate=min(1.0, kept / proposed), length=1 + kept / drafts if drafts and all_count_them else None)
