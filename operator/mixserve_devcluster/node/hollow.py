"""Pods of hollow nodes: reported Ready without a process, and gone as soon as they are deleted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.roles import Role, roles
from mixserve_devcluster.node.status import ContainerFacts, PodSnapshot, Running, Terminated, pod_status
from mixserve_devcluster.node.status_publisher import StatusPublisher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve_devcluster.node.services import NodeIdentity, Services


class HollowPod:
    """A pod on a hollow node."""

    def __init__(self, manifest: dict[str, Any], node: NodeIdentity, services: Services, ready_after_s: float) -> None:
        self._manifest = manifest
        self._node = node
        self._services = services
        self._ready_after_s = ready_after_s
        self._deleted = asyncio.Event()
        self._is_gone = False
        self._address = services.addresses.take()
        self.update(manifest)

    def update(self, manifest: dict[str, Any]) -> None:
        """Take a new version of the pod."""
        self._manifest = manifest
        if "deletionTimestamp" in manifest["metadata"]:
            self._deleted.set()

    def vanish(self) -> None:
        """Take it that the pod's object is gone."""
        self._is_gone = True
        self._deleted.set()

    def running_id(self, _container: str) -> str | None:
        """Nothing runs here."""
        return None

    async def run(self) -> None:
        """Report the pod Ready after its time, and remove its object when it is deleted."""
        publisher = StatusPublisher(self._services.api, self._manifest, lambda: self._status(publisher.reported))
        try:
            if not await self._is_deleted_within(self._ready_after_s):
                await publisher.flush()
            await self._deleted.wait()
            if not self._is_gone:
                await publisher.delete_pod()
        finally:
            self._services.addresses.give_back(self._address)

    async def _is_deleted_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._deleted.wait()
        except TimeoutError:
            return self._deleted.is_set()
        return True

    def _status(self, previous: Mapping[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC)
        facts = [(role, _pretended(role, container, now)) for role, container in roles(self._manifest["spec"])]
        return pod_status(
            PodSnapshot(
                pod=self._manifest,
                previous=previous,
                init=[each for role, each in facts if role is not Role.MAIN],
                containers=[each for role, each in facts if role is Role.MAIN],
                address=self._address,
                host_address=self._node.address,
                started_at=now,
                is_ready_to_start=True,
                is_terminal=False,
                now=now,
            )
        )


def _pretended(role: Role, container: Mapping[str, Any], now: datetime) -> ContainerFacts:
    identifier = "hollow://" + container["name"]
    end = Terminated(exit_code=0, reason="Completed", started_at=now, finished_at=now, container_id=identifier)
    return ContainerFacts(
        name=container["name"],
        image=container["image"],
        state=end if role is Role.INIT else Running(started_at=now),
        container_id=identifier,
        started=role is not Role.INIT,
        ready=True,
    )
