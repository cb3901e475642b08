"""The status of SpeculativePairs: written when they or their pools change, and their numbers now and then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import structlog

from mixserve.api.names import LABEL_VARIANT
from mixserve.api.pool import LLMServingPool
from mixserve.api.speculative_pair import SpeculativePair
from mixserve.api.speculative_pair_status import SpeculativePairStatus
from mixserve.apply.resources import PAIRS
from mixserve.controller.object_cache import PoolKey, key_of
from mixserve.controller.parsed_specs import status_of
from mixserve.controller.status_writer import StatusWriter
from mixserve.observe.pods import is_replica, takes_requests
from mixserve.status.pair_status import PairUse, build_pair_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.parsed_specs import ParsedSpecs
    from mixserve.controller.planning import Planner
    from mixserve.controller.speculation import SpeculationWatch
    from mixserve.controller.speculation_gauges import SpeculationGauges

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)

# A burst of changes is one piece of news.
_SETTLE_S = 1.0
# What engines count is no news; it is looked at this often.
_INTERVAL_S = 15.0
# An edit is judged within a second where the operator is not busy.
_UNJUDGED_INTERVAL_S = 2.0
# Numbers that move with every request are written at most this often, and only if they have moved noticeably.
_NUMBERS_REST_S = 60.0


class PairReporter:
    """Keeps the status of SpeculativePairs.

    Args:
        connection: to the API server.
        view: pairs, pools and pods.
        planner: what it knows of the pools.
        watch: what came of speculative decoding lately.
        gauges: shows it as well.
        specs: parses, for others as well.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        view: ClusterView,
        planner: Planner,
        watch: SpeculationWatch,
        gauges: SpeculationGauges,
        specs: ParsedSpecs,
    ) -> None:
        self._view = view
        self._planner = planner
        self._watch = watch
        self._gauges = gauges
        self._specs = specs
        self._writer = StatusWriter(connection, view)
        self._moved_at_s: dict[str, float] = {}
        self._news = asyncio.Event()

    def look(self) -> None:
        """There is news: look at all pairs soon."""
        self._news.set()

    def forget(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._writer.forget(uid)
        self._moved_at_s.pop(uid, None)

    async def run(self) -> None:
        """Look at all pairs again and again, until cancelled."""
        pause_s = _INTERVAL_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._news.wait()
            await asyncio.sleep(_SETTLE_S)
            self._news.clear()
            try:
                pause_s = _INTERVAL_S if await self.write_all() else _UNJUDGED_INTERVAL_S
            except Exception:  # noqa: BLE001 - a pair on which this stumbles must not stop what serves
                _log.exception("pair_look_failed")
                pause_s = _INTERVAL_S

    async def write_all(self) -> bool:
        """Write what differs; what can't be written is tried again at the next look.

        Returns:
            Whether all pairs were judged with the pools that name them.
        """
        raws = [raw for raw in self._view.pools.all() if "deletionTimestamp" not in raw["metadata"]]
        pools = {key_of(raw): self._specs.readable(LLMServingPool, raw) for raw in raws}
        using = {key: pool for key, pool in pools.items() if pool is not None and pool.spec.speculative_pair_ref}
        self._watch.keep({(key, variant.name) for key, pool in using.items() for variant in pool.spec.variants})
        uses = {key: use for key, pool in using.items() if (use := self._use(key, pool)) is not None}
        self._gauges.show(uses)
        all_judged = True
        for raw in self._view.pairs.all():
            pair = key_of(raw)
            named = [key for key, pool in using.items() if _names(key, pool, pair)]
            # A pool that nobody has assessed yet is about to be: an operator that has just started is no news. Nor is
            # an edit of pool or pair that the pool's next look is about.
            if all(key in uses and self._is_fresh(raw, using[key], uses[key]) for key in named):
                await self._write(raw, [uses[key] for key in named])
            else:
                all_judged = False
        return all_judged

    def _is_fresh(self, pair: RawObject, pool: LLMServingPool, use: PairUse) -> bool:
        is_readable = self._specs.readable(SpeculativePair, pair) is not None
        generations = pool.metadata.generation, pair["metadata"]["generation"] if is_readable else None
        return use.assessment.generations == generations

    def _use(self, key: PoolKey, pool: LLMServingPool) -> PairUse | None:
        assessment = self._planner.pair_assessment(key)
        if assessment is None:
            return None
        variant = self._variant(key, pool)
        lately = self._watch.lately(key, variant or "", now_s=time.time())
        return PairUse(
            pool=key.name,
            assessment=assessment,
            variant=variant,
            acceptance=lately.acceptance,
            batch=lately.batch,
        )

    def _variant(self, key: PoolKey, pool: LLMServingPool) -> str | None:
        """The first one with a replica that takes requests."""
        pods = [pod for pod in self._view.pods.of(key) if is_replica(pod) and takes_requests(pod)]
        ready = {pod["metadata"]["labels"].get(LABEL_VARIANT) for pod in pods}
        return next((variant.name for variant in pool.spec.variants if variant.name in ready), None)

    async def _write(self, raw: RawObject, uses: list[PairUse]) -> None:
        uid, previous = raw["metadata"]["uid"], status_of(SpeculativePairStatus, raw)
        status = build_pair_status(
            generation=raw["metadata"]["generation"],
            uses=uses,
            previous=previous,
            numbers_may_move=time.monotonic() - self._moved_at_s.get(uid, -_NUMBERS_REST_S) >= _NUMBERS_REST_S,
            now_s=time.time(),
        )
        if await self._writer.write(PAIRS, raw, status) and (previous is None or status.pools != previous.pools):
            self._moved_at_s[uid] = time.monotonic()


def _names(key: PoolKey, pool: LLMServingPool, pair: PoolKey) -> bool:
    reference = pool.spec.speculative_pair_ref
    return key.namespace == pair.namespace and reference is not None and reference.name == pair.name
