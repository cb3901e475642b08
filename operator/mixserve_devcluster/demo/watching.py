"""Looks at the pools once a second: Deployments, pods, engine metrics, each pool's last decision."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import ResourceNotFoundError

from mixserve.api.gateway_names import GATEWAY, WEB_PORT
from mixserve.api.names import API_VERSION, LABEL_POOL, LABEL_ROUTABLE
from mixserve.api.observation import EngineSample
from mixserve.engines.protocol import EngineAdapter
from mixserve.observe.scrape import scrape
from mixserve_devcluster import service_endpoints
from mixserve_devcluster.demo.client import Client
from mixserve_devcluster.demo.recording import PoolSample, Recording, Sample, percentile
from mixserve_devcluster.demo.spending import Spending, read_spending
from mixserve_devcluster.errors import DevClusterError

# What "now" means for the TTFT: long enough for a percentile, short enough to show a change.
_TTFT_WINDOW_S = 15.0


class WatchError(DevClusterError):
    """The API server does not answer, or refuses; the message says what it was asked for."""


@dataclass(frozen=True)
class WatchedPool:
    """A pool, and how its engines are read."""

    name: str
    adapter: EngineAdapter
    version: str

    def url(self, pod: Mapping[str, Any]) -> str:
        """Of the engine in one of its pods."""
        return f"http://{pod['status']['podIP']}:{self.adapter.port}"


@dataclass(frozen=True)
class Target:
    """What to watch.

    Attributes:
        pools: one or more.
        policy: whose requests go through the gateway; None: they go to the pools' pods.
    """

    namespace: str
    pools: tuple[WatchedPool, ...]
    policy: str | None = None


@dataclass(frozen=True)
class _Seen:
    """Objects of the namespace, as they were at one time."""

    pods: list[dict[str, Any]]
    deployments: list[dict[str, Any]]
    services: list[dict[str, Any]]
    pools: list[dict[str, Any]]


class Watcher:
    """Keeps the client's endpoints up to date and records what it sees."""

    def __init__(self, *, api: DynamicClient, session: aiohttp.ClientSession, target: Target) -> None:
        self._api = api
        self._session = session
        self._target = target

    @classmethod
    async def connect(cls, *, kubeconfig: Path, session: aiohttp.ClientSession, target: Target) -> Self:
        """Read the cluster's discovery once; the kubeconfig's user has to see workloads, Services and our kinds.

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

    async def _listed(self, api_version: str, kind: str) -> list[dict[str, Any]]:
        with _clear_errors(f"{kind} objects in {self._target.namespace}"):
            resource = await self._api.resources.get(api_version=api_version, kind=kind)
            found = await self._api.get(resource, namespace=self._target.namespace)
        return [dict(item) for item in found.to_dict()["items"]]

    async def _see(self) -> _Seen:
        return _Seen(
            pods=await self._listed("v1", "Pod"),
            deployments=await self._listed("apps/v1", "Deployment"),
            services=await self._listed("v1", "Service"),
            pools=await self.pools(),
        )

    async def pools(self) -> list[dict[str, Any]]:
        """The watched pools as the API server has them."""
        names = {pool.name for pool in self._target.pools}
        return [pool for pool in await self._listed(API_VERSION, "LLMServingPool") if pool["metadata"]["name"] in names]

    async def not_ready(self) -> list[str]:
        """What there is to wait for before requests are sent, with what the conditions say; empty: nothing."""
        seen = await self._see()
        objects = {f"pool {pool.name}": _named(seen.pools, pool.name) for pool in self._target.pools}
        if policy := self._target.policy:
            objects[f"policy {policy}"] = _named(await self._listed(API_VERSION, "RoutingPolicy"), policy)
        found = [f"{name}: {_why_not_ready(one)}" for name, one in objects.items() if not _is_ready(one)]
        wanted = _named(seen.deployments, GATEWAY).get("spec", {}).get("replicas", 1) if policy else 0
        ready = len(_gateways(seen))
        return [*found, *([f"the gateway: {ready} of {wanted} pods are ready"] if ready < wanted else [])]

    async def look(self, client: Client, began_s: float) -> Sample:
        """Take one sample and refresh the client's endpoints."""
        seen = await self._see()
        found = self._endpoints(seen)
        client.endpoints.clear()
        client.endpoints.update(found)
        answered = Counter(result.pool for result in client.results if not result.error)
        now_s = time.monotonic() - began_s
        return Sample(
            at_s=now_s,
            pools={
                pool.name: await self._pool_sample(pool, seen, answered[pool.name if self._target.policy else ""])
                for pool in self._target.pools
            },
            ttft_p95_s=_recent_ttft(client, now_s),
        )

    def _endpoints(self, seen: _Seen) -> dict[str, str]:
        """Base URLs by name, of gateways or, without any, of engines."""
        if self._target.policy:
            return {address: f"http://{address}:{port}" for address, port in _gateways(seen)}
        return {
            pod["metadata"]["name"]: pool.url(pod)
            for pool in self._target.pools
            for pod in _owned(seen.pods, pool.name)
            if _takes_requests(pod) and _is_ready(pod)
        }

    async def _pool_sample(self, pool: WatchedPool, seen: _Seen, answered: int) -> PoolSample:
        pods = _owned(seen.pods, pool.name)
        routable = [pod for pod in pods if _takes_requests(pod)]
        engines = [sample for sample in await self._scrape(pool, pods) if isinstance(sample, EngineSample)]
        status = _named(seen.pools, pool.name).get("status") or {}
        return PoolSample(
            replicas=sum(deployment["spec"]["replicas"] for deployment in _owned(seen.deployments, pool.name)),
            ready=sum(_is_ready(pod) for pod in routable),
            starting=sum(not _is_ready(pod) for pod in routable),
            draining=len(pods) - len(routable),
            running=sum(engine.running for engine in engines),
            waiting=sum(engine.waiting for engine in engines),
            kv_cache_usage=sum(engine.kv_cache_usage for engine in engines) / len(engines) if engines else None,
            answered=answered,
            decision=(status.get("lastDecision") or {}).get("message", ""),
        )

    async def _scrape(self, pool: WatchedPool, pods: list[dict[str, Any]]) -> list[object]:
        page = pool.adapter.metrics_page(pool.version)
        read = partial(scrape, self._session, page=page, now_s=time.time())
        return await asyncio.gather(*(read(url=pool.url(pod) + page.path) for pod in pods if _is_ready(pod)))

    async def prices(self) -> dict[str, dict[str, str]]:
        """What the tokens of each pool cost, as its status has it; empty where that is not known."""
        found = await self.pools()
        return {
            pool.name: (_named(found, pool.name).get("status") or {}).get("prices") or {} for pool in self._target.pools
        }

    async def spending(self) -> dict[str, Spending]:
        """What the gateways have counted for the policy, by tier; empty without a policy.

        Raises:
            SpendingError: one of them does not say.
        """
        if not self._target.policy:
            return {}
        pages = [f"http://{address}:{WEB_PORT}/metrics" for address, _ in _gateways(await self._see())]
        return await read_spending(self._session, pages, self._target.policy)

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


def _named(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((one for one in objects if one["metadata"]["name"] == name), {})


def _owned(objects: list[dict[str, Any]], pool: str) -> list[dict[str, Any]]:
    return [one for one in objects if (one["metadata"].get("labels") or {}).get(LABEL_POOL) == pool]


def _gateways(seen: _Seen) -> list[service_endpoints.Address]:
    """Where gateways that are ready take requests."""
    service = _named(seen.services, GATEWAY)
    selector = (service.get("spec", {}).get("selector") or {}).items()
    pods = [pod for pod in seen.pods if selector and selector <= (pod["metadata"].get("labels") or {}).items()]
    return service_endpoints.addresses(service, pods, "http") if pods else []


def _takes_requests(pod: Mapping[str, Any]) -> bool:
    metadata = pod["metadata"]
    return not metadata.get("deletionTimestamp") and (metadata.get("labels") or {}).get(LABEL_ROUTABLE) == "true"


def _conditions(thing: Mapping[str, Any]) -> list[Mapping[str, str]]:
    return (thing.get("status") or {}).get("conditions") or []


def _is_ready(thing: Mapping[str, Any]) -> bool:
    """Of a pod, a pool or a policy."""
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in _conditions(thing))


def _why_not_ready(thing: Mapping[str, Any]) -> str:
    """The conditions that say what is wrong, in one line."""
    wrong = [
        f"{one['type']}: {one['reason']}: {one['message']}" for one in _conditions(thing) if one["status"] != "True"
    ]
    return "; ".join(wrong) or "it has no status yet: does the operator run?"


def _recent_ttft(client: Client, now_s: float) -> float | None:
    recent = [
        result.ttft_s
        for result in client.results
        if result.ttft_s is not None and result.sent_at_s + result.duration_s > now_s - _TTFT_WINDOW_S
    ]
    return percentile(recent, 0.95)
