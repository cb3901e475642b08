"""What all pods of a local node use together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import aiohttp

    from mixserve_devcluster.node.addresses import AddressPool
    from mixserve_devcluster.node.api_server import ApiServer
    from mixserve_devcluster.node.events import EventRecorder
    from mixserve_devcluster.node.images import ImageStore
    from mixserve_devcluster.node.logs import LogDirectory
    from mixserve_devcluster.node.spawner.client import Spawner


@dataclass(frozen=True, kw_only=True)
class NodeIdentity:
    """The node that a pod is bound to."""

    name: str
    address: str
    labels: Mapping[str, str]
    allocatable: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Services:
    """What the pods use together.

    Attributes:
        http: for probes; keeps no connection open.
        work_directory: where each pod gets a directory of its own.
        host_environment: PATH and the like, for every container.
        service_environment: where the API server is, for every container.
        time_factor: scales the time between restarts.
    """

    api: ApiServer
    spawner: Spawner
    images: ImageStore
    events: EventRecorder
    logs: LogDirectory
    addresses: AddressPool
    http: aiohttp.ClientSession
    work_directory: Path
    host_environment: Mapping[str, str]
    service_environment: Mapping[str, str]
    time_factor: float
