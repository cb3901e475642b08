"""One pod that runs as processes, from the moment that it is bound to a node until its object is deleted."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from mixserve_devcluster.node.container import Container
from mixserve_devcluster.node.pod_context import PodContext
from mixserve_devcluster.node.pod_volumes import PodVolumes, VolumeError
from mixserve_devcluster.node.roles import Role, first_facts, roles
from mixserve_devcluster.node.status import PodSnapshot, pod_status
from mixserve_devcluster.node.status_publisher import StatusPublisher
from mixserve_devcluster.node.volumes import FILE_VOLUMES
from mixserve_devcluster.node.waiting import causes, first_of, in_background

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve_devcluster.node.services import NodeIdentity, Services

_log = structlog.get_logger()

# How often a volume that cannot be provided is tried again.
_VOLUME_RETRY_S = 1.0
# How often the files of volumes are compared with what they come from: the kubelet's syncFrequency.
_VOLUME_REFRESH_S = 60.0
# The kubelet gives even a pod that is deleted by force a second.
_SHORTEST_GRACE_S = 1.0
_FINAL_PHASES = {"Succeeded", "Failed"}


class LocalPod:
    """A pod on a node that runs processes."""

    def __init__(self, manifest: dict[str, Any], node: NodeIdentity, services: Services) -> None:
        self._services = services
        self._publisher = StatusPublisher(services.api, manifest, self._status)
        self._pod = PodContext(
            manifest=manifest,
            address=services.addresses.take(),
            node=node,
            services=services,
            changed=self._publisher.notice,
        )
        self._volumes = PodVolumes(self._pod)
        self._containers = [(role, self._container(role, spec, manifest)) for role, spec in roles(manifest["spec"])]
        self._started_at = datetime.now(UTC)
        self._is_mounted = False
        self._is_over = False
        self._is_gone = False
        self._failure = ""
        self.update(manifest)

    def _container(self, role: Role, spec: Mapping[str, Any], manifest: Mapping[str, Any]) -> Container:
        return Container(
            name=spec["name"],
            role=role,
            pod=self._pod,
            volumes=self._volumes,
            facts=first_facts(role, spec, manifest),
        )

    def update(self, manifest: dict[str, Any]) -> None:
        """Take a new version of the pod."""
        self._pod.manifest = manifest
        if "deletionTimestamp" in manifest["metadata"]:
            self._stop(float(manifest["metadata"].get("deletionGracePeriodSeconds", 0)))
        self._publisher.notice()

    def vanish(self) -> None:
        """Take it that the pod's object is gone, although the pod runs."""
        self._is_gone = True
        self._stop(0)

    def running_id(self, container: str) -> str | None:
        """Tells the process of a container from the ones before and after it; None while it has none."""
        running = (each.facts for _, each in self._containers if each.has_process)
        return next((facts.container_id for facts in running if facts.name == container), None)

    async def run(self) -> None:
        """Run the pod until it is deleted, then report its end and remove its object."""
        try:
            if self._pod.manifest.get("status", {}).get("phase") in _FINAL_PHASES:
                await self._pod.until_stop()  # it ended in an earlier life of the node
            else:
                await self._live()
                if not self._is_gone:
                    await self._publisher.flush()
            if not self._is_gone:
                await self._publisher.delete_pod()
        finally:
            self._services.addresses.give_back(self._pod.address)
            await asyncio.to_thread(shutil.rmtree, self._pod.directory, ignore_errors=True)

    async def _live(self) -> None:
        try:
            async with in_background(self._publisher.run(), self._refresh_volumes()):
                await self._work()
                self._is_over = True
                self._publisher.notice()
                await self._pod.until_stop()
        except Exception as error:  # noqa: BLE001 - a pod that is too much for this program must have an end, too
            _log.exception("pod_failed", pod=f"{self._pod.namespace}/{self._pod.name}")
            self._give_up("; ".join(repr(cause) for cause in causes(error)))
            await self._publisher.flush()
            await self._pod.until_stop()

    def _give_up(self, problem: str) -> None:
        self._failure = f"the local node cannot go on with this pod: {problem}"
        self._pod.record("Warning", "Failed", self._failure)
        for _, container in self._containers:
            container.give_up()

    def _stop(self, grace_s: float) -> None:
        self._pod.stop_by(asyncio.get_running_loop().time() + max(grace_s, _SHORTEST_GRACE_S))
        self._pass_on_stop()

    def _pass_on_stop(self) -> None:
        """Have the containers stopped; sidecars only after the others."""
        others = [container for role, container in self._containers if role is not Role.SIDECAR]
        doomed = others if any(each.has_process for each in others) else self._of_role(Role.SIDECAR)
        for container in doomed:
            if self._pod.stop_at_s is not None:
                container.stop(self._pod.stop_at_s)

    def _of_role(self, role: Role) -> list[Container]:
        return [container for each, container in self._containers if each is role]

    async def _work(self) -> None:
        """Start what is to be started, and wait until nothing runs any more."""
        await self._mount_volumes()
        async with asyncio.TaskGroup() as sidecars:
            if await self._initialize(sidecars):
                async with asyncio.TaskGroup() as group:
                    for container in self._of_role(Role.MAIN):
                        group.create_task(container.run())
            for sidecar in self._of_role(Role.SIDECAR):
                sidecar.retire(self._stop_deadline_s())

    def _stop_deadline_s(self) -> float:
        if self._pod.stop_at_s is not None:
            return self._pod.stop_at_s
        grace_s = float(self._pod.manifest["spec"].get("terminationGracePeriodSeconds", 30))
        return asyncio.get_running_loop().time() + grace_s

    async def _mount_volumes(self) -> None:
        while not self._pod.is_stopping:
            try:
                await self._volumes.prepare()
            except VolumeError as error:
                self._pod.record("Warning", "FailedMount", str(error))
                await self._pod.pause(_VOLUME_RETRY_S)
            else:
                self._is_mounted = True
                self._publisher.notice()
                return

    async def _initialize(self, sidecars: asyncio.TaskGroup) -> bool:
        """Run the init containers in order; whether the pod's containers may start."""
        for role, container in self._containers:
            if role is Role.SIDECAR:
                sidecars.create_task(container.run())
                await first_of(container.started.wait(), self._pod.until_stop())
            elif role is Role.INIT:
                await container.run()
                if not container.succeeded:
                    return False
        return not self._pod.is_stopping

    async def _refresh_volumes(self) -> None:
        """Keep files that come from the API up to date."""
        if not any(kind in volume for volume in self._volumes.declared.values() for kind in FILE_VOLUMES):
            return
        while True:
            await asyncio.sleep(_VOLUME_REFRESH_S)
            try:
                await self._volumes.prepare()
            except VolumeError as error:
                self._pod.record("Warning", "FailedMount", str(error))

    def _status(self) -> dict[str, Any]:
        return pod_status(
            PodSnapshot(
                pod=self._pod.manifest,
                previous=self._publisher.reported,
                init=[container.facts for role, container in self._containers if role is not Role.MAIN],
                containers=[container.facts for container in self._of_role(Role.MAIN)],
                address=self._pod.address,
                host_address=self._pod.node.address,
                started_at=self._started_at,
                is_ready_to_start=self._is_mounted,
                is_terminal=self._is_over,
                failure=self._failure,
                now=datetime.now(UTC),
            )
        )
