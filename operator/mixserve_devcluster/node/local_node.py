"""All nodes of one configuration: their registration and the pods on them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import aiohttp
import structlog

from mixserve_devcluster.node.addresses import AddressPool, claimed_network
from mixserve_devcluster.node.api_server import ApiServer
from mixserve_devcluster.node.config import Mode
from mixserve_devcluster.node.environment import service_environment
from mixserve_devcluster.node.events import EventRecorder
from mixserve_devcluster.node.hollow import HollowPod
from mixserve_devcluster.node.images import ImageStore
from mixserve_devcluster.node.local_pod import LocalPod
from mixserve_devcluster.node.logs import LogDirectory
from mixserve_devcluster.node.logs_api import LogsApi
from mixserve_devcluster.node.node_objects import allocatable, node_labels
from mixserve_devcluster.node.pod_context import pods_directory
from mixserve_devcluster.node.pod_feed import PodFeed
from mixserve_devcluster.node.registration import Registration
from mixserve_devcluster.node.services import NodeIdentity, Services
from mixserve_devcluster.node.spawner.client import Spawner
from mixserve_devcluster.node.waiting import in_background

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from mixserve_devcluster.node.config import NodeConfig, NodeSpec

_log = structlog.get_logger()

# All nodes are this machine.
_ADDRESS = "127.0.0.1"
# Of the host's environment, what processes need to run at all.
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


class LocalNode:
    """The pods on this process's nodes; a `PodListener` and a `RunningContainers`."""

    def __init__(self, nodes: dict[str, NodeSpec], services: Services, tasks: asyncio.TaskGroup) -> None:
        self._nodes = nodes
        self._services = services
        self._tasks = tasks
        self._pods: dict[str, LocalPod | HollowPod] = {}
        self._names: dict[tuple[str, str], LocalPod | HollowPod] = {}

    def take(self, pod: dict[str, Any]) -> None:
        """Take a new or changed pod, if it is bound to one of the nodes."""
        uid, node = pod["metadata"]["uid"], pod["spec"]["nodeName"]
        if uid in self._pods:
            self._pods[uid].update(pod)
        elif node in self._nodes:
            local = self._make(pod, node)
            self._pods[uid] = self._names[_name(pod)] = local
            self._tasks.create_task(self._run(local, pod))

    def lose(self, uid: str) -> None:
        """Take it that a pod is gone."""
        pod = self._pods.pop(uid, None)
        if pod is not None:
            pod.vanish()
            self._names = {name: each for name, each in self._names.items() if each is not pod}

    def running_id(self, namespace: str, pod: str, container: str) -> str | None:
        """Tells the process of a container from the ones before and after it; None while it has none."""
        known = self._names.get((namespace, pod))
        return None if known is None else known.running_id(container)

    def _make(self, pod: dict[str, Any], node: str) -> LocalPod | HollowPod:
        spec = self._nodes[node]
        identity = NodeIdentity(
            name=node,
            address=_ADDRESS,
            labels=node_labels(node, spec),
            allocatable=allocatable(spec),
        )
        if spec.mode is Mode.HOLLOW:
            return HollowPod(pod, identity, self._services, spec.ready_after_s)
        return LocalPod(pod, identity, self._services)

    async def _run(self, local: LocalPod | HollowPod, pod: dict[str, Any]) -> None:
        try:
            await local.run()
        except Exception:  # noqa: BLE001 - a pod that is too much for this program must not take the others with it
            _log.exception("pod_failed", pod="/".join(_name(pod)))


def _name(pod: dict[str, Any]) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


async def run_nodes(config: NodeConfig, kubeconfig: Path, on_ready: Callable[[], None]) -> None:
    """Run the nodes of a configuration, without end; `on_ready` is called once they take pods.

    Raises:
        ApiError: the nodes cannot be registered.
        NoAddressError: there is no free network for pods.
        SpawnerGoneError: the spawner has ended, without which nodes would take pods and never run them.
        ExceptionGroup: of these.
    """
    nodes = {name: spec for spec in config.nodes for name in spec.names}
    async with _services(config, kubeconfig) as services, asyncio.TaskGroup() as tasks:
        local = LocalNode(nodes, services, tasks)
        async with LogsApi(services.logs, local).serve(config) as log_port:
            registration = Registration(services.api, nodes, log_port)
            await registration.begin()
            async with in_background(services.events.run(), registration.keep(), services.spawner.watch()):
                await PodFeed(services.api, local).run(on_ready)


@contextlib.asynccontextmanager
async def _services(config: NodeConfig, kubeconfig: Path) -> AsyncIterator[Services]:
    # Secrets will lie here.
    config.work_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Of no use: pods start anew.
    shutil.rmtree(pods_directory(config.work_directory), ignore_errors=True)
    images = ImageStore(config.images, config.work_directory / "images")
    images.write()
    async with contextlib.AsyncExitStack() as stack:
        network = config.pod_network or stack.enter_context(claimed_network())
        api = await stack.enter_async_context(ApiServer.connect(kubeconfig))
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        spawner = await stack.enter_async_context(Spawner.run(isolated=config.isolated))
        _log.info("node_started", pod_network=str(network), isolated=spawner.isolated)
        yield Services(
            api=api,
            spawner=spawner,
            images=images,
            events=EventRecorder(api),
            logs=LogDirectory(config.log_directory),
            addresses=AddressPool(network),
            http=http,
            work_directory=config.work_directory,
            host_environment={name: os.environ[name] for name in _INHERITED if name in os.environ},
            service_environment=service_environment(config.api_server),
            time_factor=config.time_factor,
        )
