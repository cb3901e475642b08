"""One pod, as its parts share it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.events import PodEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mixserve_devcluster.node.services import NodeIdentity, Services


def pods_directory(work_directory: Path) -> Path:
    """Where the pods' own directories are."""
    return work_directory / "pods"


class PodContext:
    """A pod that runs here.

    Attributes:
        manifest: the pod as the API last had it.
        address: its IP address.
        directory: its own directory on the host.
        changed: to be called when something that the status shows has changed.
        stop_at_s: when the pod must have stopped, in the event loop's time; None while it may run.
    """

    def __init__(
        self,
        *,
        manifest: dict[str, Any],
        address: str,
        node: NodeIdentity,
        services: Services,
        changed: Callable[[], None],
    ) -> None:
        self.manifest = manifest
        self.address = address
        self.node = node
        self.services = services
        self.changed = changed
        self.stop_at_s: float | None = None
        self._stopping = asyncio.Event()

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.manifest["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def uid(self) -> str:
        """The pod's UID: another pod of the same name has another one."""
        return str(self.manifest["metadata"]["uid"])

    @property
    def directory(self) -> Path:
        """Holds the pod's volumes and its containers' own directories."""
        return pods_directory(self.services.work_directory) / self.uid

    @property
    def described(self) -> dict[str, Any]:
        """The manifest with the addresses that the pod has, even if the API does not have them yet."""
        status = {
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "hostIP": self.node.address,
            "hostIPs": [{"ip": self.node.address}],
        }
        return {**self.manifest, "status": status}

    @property
    def is_stopping(self) -> bool:
        """Whether nothing may be started any more."""
        return self._stopping.is_set()

    def stop_by(self, deadline_s: float) -> None:
        """Start nothing any more; a later call may only bring the deadline nearer."""
        self.stop_at_s = deadline_s if self.stop_at_s is None else min(self.stop_at_s, deadline_s)
        self._stopping.set()

    async def until_stop(self) -> None:
        """Wait until the pod is to stop."""
        await self._stopping.wait()

    async def pause(self, seconds: float) -> None:
        """Wait, but not longer than until the pod is to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def record(self, kind: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Record an event of the pod."""
        event = PodEvent(
            pod=self.manifest,
            kind=kind,
            reason=reason,
            message=message,
            field_path=field_path,
            node=self.node.name,
        )
        self.services.events.record(event)
