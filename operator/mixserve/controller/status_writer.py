"""Write the status of an object where it differs from the one that there is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.apply.errors import ApiError, Conflict, NotFound
from mixserve.apply.status import write_status
from mixserve.controller.parsed_specs import status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.base import StrictModel
    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource
    from mixserve.controller.cluster_view import ClusterView

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)

# Another operator of the cluster, with other namespaces, sees other pools. Two that correct each other at once would
# never stop; the chart's value `catalog.status` is for that.
_CORRECTED_AFTER_S = 600.0


class StatusWriter:
    """Writes statuses, and takes what comes back into the caches.

    Args:
        connection: to the API server.
        view: the caches.
    """

    def __init__(self, connection: Connection, view: ClusterView) -> None:
        self._connection = connection
        self._view = view
        self._written: dict[str, tuple[StrictModel, float]] = {}

    async def write(self, resource: Resource, raw: RawObject, status: StrictModel) -> bool:
        """Write a status that differs from the one that the object has; return whether it is as it should be."""
        metadata = raw["metadata"]
        if status == status_of(type(status), raw) or self._wrote(metadata["uid"], status):
            return True
        try:
            now = await write_status(
                self._connection,
                resource,
                namespace=metadata.get("namespace", ""),
                name=metadata["name"],
                uid=metadata["uid"],
                status=status.to_wire(),
            )
        except (NotFound, Conflict):  # it is gone, which its watch is about to tell
            return True
        except ApiError as error:
            _log.warning("status_failed", kind=resource.kind, name=metadata["name"], error=str(error))
            return False
        self._view.put(resource, now)
        self._written[metadata["uid"]] = (status, time.monotonic())
        return True

    def forget(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._written.pop(uid, None)

    def _wrote(self, uid: str, status: StrictModel) -> bool:
        """Whether this was written lately, and somebody else has written something else since."""
        written, at_s = self._written.get(uid, (None, 0.0))
        return written == status and time.monotonic() - at_s < _CORRECTED_AFTER_S
