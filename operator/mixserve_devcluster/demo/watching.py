"""Looks at the pool once a second: Deployments, pods, engine metrics, the pool's last decision."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import ResourceNotFoundError

from mixserve.api.names import API_VERSION, LABEL_POOL, LABEL_ROUTABLE
from mixserve.api.observation import EngineSample
from mixserve.engines.protocol import EngineAdapter
from mixserve.observe.scrape import scrape
from mixserve_devcluster.demo.client import Client
from mixserve_devcluster.demo.recording import Recording, Sample, percentile
from mixserve_devcluster.errors import DevClusterError

# What "now" means for the TTFT: long enough for a percentile, short enough to show a change.
_TTFT_WINDOW_S = 15.0


class WatchError(DevClusterError):
    """The API server does not answer, or refuses; the message says what it was asked for."""


@dataclass(frozen=True)
class Target:
    """The pool to watch."""

    namespace: str
    name: str
    adapter: EngineAdapter
    version: str


class Watcher:
    """Keeps the client's endpoints up to date and records what it sees."""

    def __init__(self, *, api: DynamicClient, session: aiohttp.ClientSession, target: Target) -> None:
        self._api = api
        self._session = session
        self._target = target

    @classmethod
    async def connect(cls, *, kubeconfig: Path, session: aiohttp.ClientSession, target: Target) -> Self:
        """Read the cluster's discovery once; the kubeconfig's user has to see pods, Deployments and pools.

        Raises:
            WatchError: from here on, whenever the API server does not answer or refuses.
        """
        with _clear_errors("discovery"):
            connection = await config.new_client_from_config(str(kubeconfig))
            try:
                api = await DynamicClient(connection)
            except BaseException:
                await connection.close()
                raise
        return cls(api=api, session=session, target=target)

    @property
    def connection(self) -> ApiClient:
        """What has to be closed in the end."""
        return self._api.client

    async def pool(self) -> dict[str, Any]:
        """The pool as the API server has it."""
        with _clear_errors(f"LLMServingPool {self._target.name}"):
            kind = await self._api.resources.get(api_version=API_VERSION, kind="LLMServingPool")
            found = await self._api.get(kind, name=self._target.name, namespace=self._target.namespace)
        return dict(found.to_dict())

    async def _owned(self, api_version: str, kind: str) -> list[dict[str, Any]]:
        with _clear_errors(f"{kind}s of {self._target.name}"):
            resource = await self._api.resources.get(api_version=api_version, kind=kind)
            found = await self._api.get(
                resource,
                namespace=self._target.namespace,
                label_selector=f"{LABEL_POOL}={self._target.name}",
            )
        return [dict(item) for item in found.to_dict()["items"]]

    async def look(self, client: Client, began_s: float) -> Sample:
        """Take one sample and refresh the client's endpoints."""
        pods = await self._owned("v1", "Pod")
        deployments = await self._owned("apps/v1", "Deployment")
        status = (await self.pool()).get("status") or {}
        live = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        routable = [pod for pod in live if _is_routable(pod)]
        client.endpoints.clear()
        client.endpoints.update({pod["metadata"]["name"]: self._url(pod) for pod in routable if _is_ready(pod)})
        engines = [sample for sample in await self._scrape(pods) if isinstance(sample, EngineSample)]
        now_s = time.monotonic() - began_s
        return Sample(
            at_s=now_s,
            replicas=sum(deployment["spec"]["replicas"] for deployment in deployments),
            ready=len(client.endpoints),
            starting=sum(not _is_ready(pod) for pod in routable),
            draining=len(pods) - len(routable),
            running=sum(engine.running for engine in engines),
            waiting=sum(engine.waiting for engine in engines),
            kv_cache_usage=sum(engine.kv_cache_usage for engine in engines) / len(engines) if engines else None,
            ttft_p95_s=_recent_ttft(client, now_s),
            decision=(status.get("lastDecision") or {}).get("message", ""),
        )

    def _url(self, pod: Mapping[str, Any]) -> str:
        return f"http://{pod['status']['podIP']}:{self._target.adapter.port}"

    async def _scrape(self, pods: list[dict[str, Any]]) -> list[object]:
        page = self._target.adapter.metrics_page(self._target.version)
        return await asyncio.gather(
            *(
                scrape(session=self._session, url=self._url(pod) + page.path, page=page, now_s=time.time())
                for pod in pods
                if _is_ready(pod)
            )
        )

    async def record(self, *, client: Client, recording: Recording, show: Callable[[Sample], None]) -> None:
        """Sample once a second until cancelled."""
        began_s = time.monotonic()
        while True:
            sample = await self.look(client, began_s)
            recording.add(sample)
            show(sample)
            await asyncio.sleep(1.0)


@contextlib.contextmanager
def _clear_errors(what: str) -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        # Its text has headers and a traceback in it.
        raise WatchError(f"the API server refuses {what}: {error.status} {error.reason}") from error
    except (ResourceNotFoundError, aiohttp.ClientError, OSError) as error:
        raise WatchError(f"the API server does not give {what}: {error!r}") from error


def _is_routable(pod: Mapping[str, Any]) -> bool:
    return bool((pod["metadata"].get("labels") or {}).get(LABEL_ROUTABLE) == "true")


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _recent_ttft(client: Client, now_s: float) -> float | None:
    recent = [
        result.ttft_s
        for result in client.results
        if result.ttft_s is not None and result.sent_at_s + result.duration_s > now_s - _TTFT_WINDOW_S
    ]
    return percentile(recent, 0.95)
