"""Take a pod out of what Services and clients select by, and put it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_DELETION_COST, ANNOTATION_DRAINING_SINCE, FIELD_MANAGER, LABEL_ROUTABLE
from mixserve.apply.resources import PODS

if TYPE_CHECKING:
    from mixserve.apply.connection import Connection

# Any negative number makes the pod the first to go among those that are equally ready.
_DRAINING_COST = "-1000"


async def take_from_routing(
    connection: Connection, *, namespace: str, name: str, uid: str, now_s: float
) -> dict[str, Any]:
    """Let a pod drain: no new requests, and first to go when replicas are lowered. Returns the pod as it is now.

    Raises:
        ApiError: the API server refused or did not answer.
    """
    annotations = {ANNOTATION_DRAINING_SINCE: f"{now_s:.3f}", ANNOTATION_DELETION_COST: _DRAINING_COST}
    return await _patch(connection, namespace, name, uid, label=None, annotations=annotations)


async def give_back_to_routing(connection: Connection, *, namespace: str, name: str, uid: str) -> dict[str, Any]:
    """Let a draining pod serve again. Returns the pod as it is now.

    Raises:
        ApiError: the API server refused or did not answer.
    """
    annotations = {ANNOTATION_DRAINING_SINCE: None, ANNOTATION_DELETION_COST: None}
    return await _patch(connection, namespace, name, uid, label="true", annotations=annotations)


async def _patch(
    connection: Connection,
    namespace: str,
    name: str,
    uid: str,
    *,
    label: str | None,
    annotations: dict[str, Any],
) -> dict[str, Any]:
    metadata = {"uid": uid, "labels": {LABEL_ROUTABLE: label}, "annotations": annotations}
    return await connection.patch(
        PODS, {"metadata": metadata}, namespace=namespace, name=name, field_manager=FIELD_MANAGER
    )
