"""What to do about a name of something that is not there."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def choose(
    name: str,
    known: Collection[str],
    *,
    kind: str,
) -> str:
    """An instruction for a name that is in no catalogue: likely what was meant, what there is, or to add it."""
    if not known:
        return f"apply a manifest for {name}; there is no other {kind} either"
    return f"{guess(name, known)}choose one of {', '.join(sorted(known))}, or apply a manifest for {name}"


def guess(name: str, known: Collection[str]) -> str:
    """What was likely meant, as a question with a space after it; empty where nothing is near."""
    longer = [each for each in sorted(known) if each.startswith(f"{name}-")]
    close = longer or get_close_matches(name, sorted(known), n=1)
    return f"did you mean {close[0]}? " if close else ""
