"""The Lease, as the library's election wants to see it.

The library has a lock of its own: its `create` fails on a type, its calls may hang for minutes (which would make two
leaders), an error of the network ends the election, its times are local ones with a Z, and it leaves `leaseTransitions`
alone.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import structlog
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from mixserve.api.names import FIELD_MANAGER
from mixserve.apply.errors import ApiError, NotFound, Unavailable
from mixserve.apply.resources import LEASES
from mixserve.observe.timestamps import format_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from mixserve.apply.connection import Connection

_log = structlog.get_logger(__name__)


class LeaseLock(BaseLock):  # type: ignore[misc] # the library has no annotations
    """A Lease whose calls end in time, with an answer for whatever goes wrong.

    Args:
        connection: to the API server.
        namespace: of the Lease.
        name: of the Lease.
        identity: who we are.
        call_limit_s: how long one call may take.

    Attributes:
        answered: the API server has told once who holds the Lease.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        namespace: str,
        name: str,
        identity: str,
        call_limit_s: float,
    ) -> None:
        super().__init__(name, namespace, identity)
        self._connection = connection
        self._call_limit_s = call_limit_s
        self._lease: Mapping[str, Any] = {}
        self.answered = False

    async def get(self, name: str, namespace: str) -> tuple[bool, LeaderElectionRecord | ApiException]:
        """Whether there is a Lease, and its record or what is wrong."""
        try:
            self._lease = await self._in_time(self._connection.get(LEASES, namespace=namespace, name=name))
        except ApiError as error:
            if not isinstance(error, NotFound):
                _log.warning("lease_unknown", lease=name, error=str(error))
            return False, _for_the_library(error)
        self.answered = True
        return True, _record(self._lease.get("spec", {}))

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Whether the Lease could be created."""
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": _spec({}, election_record),
        }
        return await self._written(self._connection.create(LEASES, body, field_manager=FIELD_MANAGER))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Whether the Lease could be written; not if anybody has written it since it was read."""
        patch = [
            # Makes it a precondition.
            {"op": "replace", "path": "/metadata/resourceVersion", "value": self._lease["metadata"]["resourceVersion"]},
            {"op": "add", "path": "/spec", "value": _spec(self._lease.get("spec", {}), updated_record)},
        ]
        call = self._connection.patch(LEASES, patch, namespace=namespace, name=name, field_manager=FIELD_MANAGER)
        return await self._written(call)

    async def release(self) -> bool:
        """Whether the Lease, still ours, could be left to whoever comes first."""
        patch = [
            {"op": "test", "path": "/spec/holderIdentity", "value": self.identity},
            {"op": "replace", "path": "/spec/holderIdentity", "value": ""},
        ]
        where = {"namespace": self.namespace, "name": self.name}
        return await self._written(self._connection.patch(LEASES, patch, **where, field_manager=FIELD_MANAGER))

    async def _written(self, call: Awaitable[Mapping[str, Any]]) -> bool:
        try:
            self._lease = await self._in_time(call)
        except ApiError as error:
            _log.warning("lease_not_written", lease=self.name, error=str(error))
            return False
        return True

    async def _in_time(self, call: Awaitable[Mapping[str, Any]]) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(self._call_limit_s):
                return await call
        except TimeoutError as error:
            raise Unavailable(f"lease {self.name}: no answer within {self._call_limit_s:g} s") from error


def _for_the_library(error: ApiError) -> ApiException:
    answer = ApiException(status=error.status or 0, reason=str(error))
    answer.body = json.dumps({"code": error.status})
    return answer


def _record(spec: Mapping[str, Any]) -> LeaderElectionRecord:
    """What the library compares; without a holder, or a field, the Lease is free to take."""
    duration = spec.get("leaseDurationSeconds")
    return LeaderElectionRecord(
        spec.get("holderIdentity") or None,
        None if duration is None else str(duration),
        spec.get("acquireTime"),
        spec.get("renewTime"),
    )


def _spec(before: Mapping[str, Any], record: LeaderElectionRecord) -> dict[str, Any]:
    now = format_time(time.time())
    same = before.get("holderIdentity") == record.holder_identity
    transitions = before.get("leaseTransitions", 0)
    return {
        "holderIdentity": record.holder_identity,
        "leaseDurationSeconds": int(record.lease_duration),
        "acquireTime": before.get("acquireTime", now) if same else now,
        "renewTime": now,
        "leaseTransitions": transitions if same or not before else transitions + 1,
    }
