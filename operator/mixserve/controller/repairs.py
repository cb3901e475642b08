"""What was done to planned objects: counted, and told where somebody else had changed or deleted one."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from mixserve.api.names import Reason
from mixserve.apply.objects import Outcome
from mixserve.status.events import Event

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from mixserve.controller.event_poster import EventPoster
    from mixserve.controller.telemetry import Telemetry

    Name = tuple[str, str]

# Of an object that somebody else's controller changes again and again, people are told once in this time.
_TOLD_AGAIN_S = 60.0


class Repairs:
    """Remembers which objects were there, by what they are made for: a pool or a gateway.

    Args:
        events: takes what people are told.
        telemetry: takes what was done.
        advice: what they are told besides, a sentence without a full stop.
    """

    def __init__(self, events: EventPoster, telemetry: Telemetry, *, advice: str) -> None:
        self._events = events
        self._telemetry = telemetry
        self._advice = advice
        self._made: defaultdict[Hashable, set[Name]] = defaultdict(set)
        self._told_s: defaultdict[Hashable, dict[Name, float]] = defaultdict(dict)

    def take(
        self,
        owner: Hashable,
        name: Name,
        outcome: Outcome,
        *,
        about: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Note what was done.

        Args:
            owner: what the object is made for.
            name: kind and name of the object.
            outcome: what had to be done.
            about: below which objects people look for the events.
        """
        self._telemetry.objects.labels(name[0], outcome).inc()
        was_there = name in self._made[owner]
        self._made[owner].add(name)
        if outcome is Outcome.REPAIRED or (outcome is Outcome.CREATED and was_there):
            self._tell(owner, name, outcome, about)

    def drop(self, owner: Hashable, name: Name) -> None:
        """The object is no longer planned: should it be made again, that is no repair."""
        self._made[owner].discard(name)
        self._told_s[owner].pop(name, None)

    def forget(self, owner: Hashable) -> None:
        """Drop all of a pool or a gateway that is gone."""
        self._made.pop(owner, None)
        self._told_s.pop(owner, None)

    def _tell(self, owner: Hashable, name: Name, outcome: Outcome, about: Sequence[Mapping[str, Any]]) -> None:
        told_s, now_s = self._told_s[owner], time.monotonic()
        if now_s - told_s.get(name, -_TOLD_AGAIN_S) < _TOLD_AGAIN_S:
            return
        told_s[name] = now_s
        what = "deleted, and was made anew" if outcome is Outcome.CREATED else "changed, and is as planned again"
        message = f"{name[0]} {name[1]} had been {what}. {self._advice}"
        for each in about:
            self._events.put(Event(type="Normal", reason=Reason.REPAIRED, action="Repair", message=message), each)
