"""The beat of the operator: every few seconds each pool's pods are scraped, then the pool is decided about.

Pools take turns within the interval, so that neither the network nor the queue sees all of them at once.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_DRAINING_SINCE, LABEL_VARIANT
from mixserve.controller.object_cache import key_of
from mixserve.observe.scrape import metrics_url, scrape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import aiohttp

    from mixserve.api.observation import EngineSample, Missing
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.object_cache import PoolKey
    from mixserve.controller.samples import Samples
    from mixserve.controller.speculation import SpeculationWatch
    from mixserve.engines.protocol import MetricsPage

    RawObject = Mapping[str, Any]

# Turns per interval: every 0.25 s with the usual interval of 5 s.
_TURNS = 20


@dataclass(frozen=True)
class MetricsEndpoint:
    """Where the engines of a pool have their metrics page, and what is on it."""

    port: int
    page: MetricsPage


class Scraper:
    """Scrapes the pods of all pools that have an endpoint, again and again.

    Args:
        view: the pods.
        samples: takes what was found.
        speculation: takes it as well, for what came of speculative decoding.
        session: carries the requests.
        interval_s: between two scrapes of a pod.
        scraped: called after each turn of a pool, also where none of its pods can be scraped.
        turned: called at each turn.
    """

    def __init__(
        self,
        *,
        view: ClusterView,
        samples: Samples,
        speculation: SpeculationWatch,
        session: aiohttp.ClientSession,
        interval_s: float,
        scraped: Callable[[PoolKey], None],
        turned: Callable[[], None],
    ) -> None:
        self._view = view
        self._samples = samples
        self._speculation = speculation
        self._session = session
        self._interval_s = interval_s
        self._scraped = scraped
        self._turned = turned
        self._running: dict[PoolKey, asyncio.Task[None]] = {}
        self.endpoints: dict[PoolKey, MetricsEndpoint] = {}
        self._last_turn_s = time.monotonic()

    @property
    def silent_for_s(self) -> float:
        """How long ago the last turn was."""
        return time.monotonic() - self._last_turn_s

    async def run(self) -> None:
        """Scrape until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                for turn in range(_TURNS):
                    self._last_turn_s = time.monotonic()
                    self._take_turn(turn)
                    self._turned()
                    # After a pause of the whole machine the lost turns are not caught up.
                    due = max(due + self._interval_s / _TURNS, loop.time())
                    await asyncio.sleep(due - loop.time())
        finally:
            for task in self._running.values():
                task.cancel()

    async def scrape_new(self, key: PoolKey) -> None:
        """Scrape the pods of a pool that never were, so that the first look at them is not a blind one."""
        await self._scrape_pods(key, [pod for pod in self._worthy(key) if not self._samples.tried(_uid(pod))])

    def _take_turn(self, turn: int) -> None:
        for key in [k for k in self.endpoints if _turn_of(k) == turn]:
            if key not in self._running:  # else the last scrape hangs; it ends within its time limit
                task = asyncio.create_task(self._scrape_pool(key), name=f"scrape {key}")
                self._running[key] = task
                task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: PoolKey, _: asyncio.Task[None]) -> None:
        del self._running[key]

    async def _scrape_pool(self, key: PoolKey) -> None:
        await self._scrape_pods(key, self._worthy(key))
        self._scraped(key)

    def _worthy(self, key: PoolKey) -> list[RawObject]:
        return [pod for pod in self._view.pods.of(key) if self._is_worth_it(pod)]

    async def _scrape_pods(self, key: PoolKey, pods: Sequence[RawObject]) -> None:
        endpoint = self.endpoints.get(key)
        if endpoint is None:  # the pool is gone
            return
        found = await asyncio.gather(*(self._scrape(pod, endpoint) for pod in pods))
        for pod, sample in zip(pods, found, strict=True):
            if self._view.pods.get(key_of(pod)) is not None:  # else it has gone meanwhile, and is forgotten
                self._samples.take(_uid(pod), sample)
                variant = pod["metadata"]["labels"].get(LABEL_VARIANT, "")
                self._speculation.take(key, variant=variant, uid=_uid(pod), sample=sample)

    async def _scrape(self, pod: RawObject, endpoint: MetricsEndpoint) -> EngineSample | Missing:
        url = metrics_url(address=pod["status"]["podIP"], port=endpoint.port, path=endpoint.page.path)
        return await scrape(self._session, url=url, page=endpoint.page, now_s=time.time())

    def _is_worth_it(self, pod: RawObject) -> bool:
        """An engine that still loads has no metrics yet; one that was ready once, or drains, is still of interest.

        That of a terminating pod is left to its preStop hook, which may be the only reader then.
        """
        metadata, status = pod["metadata"], pod.get("status", {})
        if "deletionTimestamp" in metadata or not status.get("podIP"):
            return False
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
        draining = ANNOTATION_DRAINING_SINCE in metadata.get("annotations", {})
        return ready or draining or self._samples.knows(metadata["uid"])


def _uid(pod: RawObject) -> str:
    return str(pod["metadata"]["uid"])


def _turn_of(key: PoolKey) -> int:
    return zlib.crc32(str(key).encode()) % _TURNS
