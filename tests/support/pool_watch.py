"""Follows a pool of one variant over watches: which pods take requests, and what happens to pods and Deployment."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Self

import pytest

from mixserve.api.names import ENGINE_PORT_NAME, LABEL_POOL, LABEL_ROUTABLE
from mixserve.observe.deployments import is_rolling_out, replicas_of
from mixserve_devcluster.node.api_server import ApiServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

_REVISION = "deployment.kubernetes.io/revision"
# kube-proxy takes up new endpoints once a second, and so long requests go to pods that the Service has left out.
_PROXY_SYNC_S = 1.0


@dataclass(frozen=True)
class Departure:
    """A pod that the Service left out: `drained` by its label, else deleted, with so many streams in flight."""

    pod: str
    drained: bool
    streams: int


class PoolWatch:
    """What is known of a pool; made by `PoolWatch.follow`.

    Attributes:
        pods: those that exist, by name.
        seen: the uids of all pods that ever existed.
        deployments: all versions of the Deployment.
        departures: pods that the Service left out, in this order.
        endpoints: base URLs of the pods that take requests, by name, as late as a Service's clients learn of them.
        in_flight: streams by pod; kept by whoever sends them.
    """

    def __init__(self) -> None:
        self.pods: dict[str, Mapping[str, Any]] = {}
        self.seen: set[str] = set()
        self.deployments: list[Mapping[str, Any]] = []
        self.departures: list[Departure] = []
        self.endpoints: dict[str, str] = {}
        self.in_flight: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def follow(cls, kubeconfig: Path, *, namespace: str, pool: str) -> AsyncIterator[Self]:
        """Follow a pool while the context lasts."""
        watch, selector = cls(), f"{LABEL_POOL}={pool}"
        pods, deployments = f"/api/v1/namespaces/{namespace}/pods", f"/apis/apps/v1/namespaces/{namespace}/deployments"
        async with ApiServer.connect(kubeconfig) as api:
            watch._tasks = [
                asyncio.create_task(_follow(api, pods, selector, watch._take_pod)),
                asyncio.create_task(_follow(api, deployments, selector, watch._take_deployment)),
                asyncio.create_task(watch._sync_endpoints()),
            ]
            try:
                yield watch
            finally:
                for task in watch._tasks:
                    task.cancel()
                await asyncio.wait(watch._tasks)

    async def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 180.0) -> None:
        """Wait until the condition holds; fail after `timeout_s` seconds, or when the watch breaks."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            for task in self._tasks:
                if task.done():
                    task.result()
            if time.monotonic() > deadline:
                pytest.fail(f"no {what} within {timeout_s:.0f} s; sizes {self._path()}, pods {self._described()}")
            await asyncio.sleep(0.1)

    @property
    def sizes(self) -> list[int]:
        """The replicas that the Deployment asked for, version by version."""
        return [replicas_of(version) for version in self.deployments]

    @property
    def scale_downs(self) -> int:
        """How often the Deployment was made smaller."""
        return sum(after < before for before, after in pairwise(self.sizes))

    @property
    def scale_downs_in_rollouts(self) -> int:
        """How often it was made smaller while its template rolled out."""
        return sum(
            replicas_of(after) < replicas_of(before) and is_rolling_out(before)
            for before, after in pairwise(self.deployments)
        )

    @property
    def rollouts(self) -> int:
        """How often its template was changed."""
        return len({version["metadata"]["annotations"].get(_REVISION) for version in self.deployments} - {None}) - 1

    @property
    def is_rolling_out(self) -> bool:
        """The template rolls out."""
        return bool(self.deployments) and is_rolling_out(self.deployments[-1])

    @property
    def live(self) -> list[Mapping[str, Any]]:
        """Pods that are not terminating."""
        return [pod for pod in self.pods.values() if not _is_terminating(pod)]

    @property
    def draining(self) -> list[str]:
        """Pods that were taken out of the Service and not yet deleted."""
        return [pod["metadata"]["name"] for pod in self.live if not _is_routable(pod)]

    def has_size(self, size: int) -> bool:
        """Exactly so many replicas are asked for, ready, and of the current template, and none drains."""
        return bool(
            self.deployments
            and replicas_of(self.deployments[-1]) == size
            and not self.is_rolling_out
            and len(self.live) == len(self._takers()) == size
        )

    def _takers(self) -> dict[str, str]:
        return {name: _url(pod) for name, pod in self.pods.items() if _takes_requests(pod)}

    async def _sync_endpoints(self) -> None:
        while True:
            takers = self._takers()
            self.endpoints.clear()
            self.endpoints.update(takers)
            await asyncio.sleep(_PROXY_SYNC_S)

    def _take_pod(self, kind: str, pod: Mapping[str, Any]) -> None:
        name = pod["metadata"]["name"]
        before = self.pods.pop(name, None)
        if kind != "DELETED":
            self.pods[name] = pod
            self.seen.add(pod["metadata"]["uid"])
        if before is None or not _takes_requests(before):
            return
        if _is_terminating(pod) or not _is_routable(pod):
            drained = not _is_terminating(pod)
            self.departures.append(Departure(name, drained=drained, streams=self.in_flight[name]))

    def _take_deployment(self, kind: str, deployment: Mapping[str, Any]) -> None:
        if kind != "DELETED":
            self.deployments.append(deployment)

    def _path(self) -> list[int]:
        return [size for size, _ in groupby(self.sizes)]

    def _described(self) -> dict[str, str]:
        return {name: _described(pod) for name, pod in self.pods.items()}


async def _follow(api: ApiServer, path: str, selector: str, take: Callable[[str, Mapping[str, Any]], None]) -> None:
    """Tell of everything that is there, and then of every change."""
    listed = await api.get(path, labelSelector=selector)
    for found in listed["items"]:
        take("ADDED", found)
    version = listed["metadata"]["resourceVersion"]
    while True:
        async for event in api.watch(path, labelSelector=selector, resourceVersion=version):
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                take(event["type"], event["object"])


def _is_terminating(pod: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _is_routable(pod: Mapping[str, Any]) -> bool:
    return bool(pod["metadata"]["labels"].get(LABEL_ROUTABLE) == "true")


def _takes_requests(pod: Mapping[str, Any]) -> bool:
    """Whether the pool's Service, which selects by the label, would send requests to the pod."""
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
    return ready and _is_routable(pod) and not _is_terminating(pod)


def _described(pod: Mapping[str, Any]) -> str:
    if _is_terminating(pod):
        return "terminating"
    return "ready" if _takes_requests(pod) else "draining" if not _is_routable(pod) else "starting"


def _url(pod: Mapping[str, Any]) -> str:
    [engine] = pod["spec"]["containers"]
    port = next(each["containerPort"] for each in engine["ports"] if each["name"] == ENGINE_PORT_NAME)
    return f"http://{pod['status']['podIP']}:{port}"
