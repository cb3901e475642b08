"""Post events: what `kubectl describe` shows below a pool or a policy."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from mixserve.api.names import FIELD_MANAGER, GROUP
from mixserve.apply.resources import EVENTS, POOLS
from mixserve.observe.timestamps import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection
    from mixserve.status.events import Event

# The API's limit for `note`.
MAX_NOTE_CHARACTERS = 1024


async def post_event(
    connection: Connection,
    event: Event,
    *,
    about: Mapping[str, Any],
    instance: str,
    now_s: float,
) -> None:
    """Post one event about an object of our kinds; a pool where it does not say what it is.

    Raises:
        ApiError: the API server refused or did not answer.
    """
    metadata = about["metadata"]
    body: dict[str, Any] = {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": metadata["namespace"]},
        "eventTime": format_time(now_s),
        "reportingController": f"{GROUP}/operator",
        "reportingInstance": instance[:128],
        "type": event.type,
        "reason": event.reason,
        "action": event.action,
        "note": _shortened(event.message),
        "regarding": {
            "apiVersion": POOLS.api_version,
            "kind": about.get("kind", POOLS.kind),
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
    }
    await connection.create(EVENTS, body, field_manager=FIELD_MANAGER)


def _shortened(note: str) -> str:
    return note if len(note) <= MAX_NOTE_CHARACTERS else note[: MAX_NOTE_CHARACTERS - 1] + "…"
