"""The metrics of TensorRT-LLM: statistics of iterations, taken away by who reads them, or gauges for Prometheus.

As in `serve/openai_server.py` and `executor/result.py` of the real one: a read of the statistics ends once no iteration
has come for two seconds, so under steady load it does not end; after that, and before the first request, there are none
until another request comes. With `return_perf_metrics` a collector of the server's own reads them all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from mixserve_devcluster.engine.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from mixserve.simulate.engine import SimulatedEngineCore, Step
    from mixserve_devcluster.engine.command_line import TrtllmOptions

# Seconds without an iteration after which a read ends.
QUIET_S = 2.0
# `max_stats_len`: older statistics are dropped.
_KEPT = 1000
_LABELS = {"model_name": "undefined", "engine_type": "undefined"}


class TrtllmMetrics:
    """The metrics of one engine.

    Args:
        core: the engine.
        options: which of the two there are.
        time_scale: real seconds per simulated second; the quiet time is simulated, as iterations are.
    """

    def __init__(self, core: SimulatedEngineCore, options: TrtllmOptions, *, time_scale: float) -> None:
        self._core = core
        self._options = options
        self._quiet_s = QUIET_S * time_scale
        self._statistics: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._iteration = 0
        self._proposed = self._accepted = 0
        self._came = asyncio.Event()
        self._done = True

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        statistics = web.get("/metrics", self._answer_statistics)
        gauges = web.get("/prometheus/metrics", self._answer_gauges)
        return [statistics, gauges] if self._options.performance_metrics else [statistics]

    def request_submitted(self) -> None:
        """Expect iterations."""
        self._done = False

    def step_done(self, step: Step) -> None:
        """Note an iteration."""
        self._proposed += step.drafts.proposed
        self._accepted += step.drafts.accepted
        if step.batch_tokens and self._options.iteration_statistics and not self._options.performance_metrics:
            self._iteration += 1
            self._statistics.append(self._iteration_now(step))
            self._came.set()

    async def read(self) -> list[dict[str, Any]]:
        """Take the statistics away, until none has come for the quiet time."""
        taken: list[dict[str, Any]] = []
        while not self._done:
            taken += self._statistics
            self._statistics.clear()
            self._came.clear()
            try:
                async with asyncio.timeout(self._quiet_s):
                    await self._came.wait()
            except TimeoutError:
                self._done = True
        return taken

    def _iteration_now(self, step: Step) -> dict[str, Any]:
        blocks, size = self._core.kv_budget.blocks, self._core.settings.block_size
        used = round(self._core.kv_cache_usage * blocks)
        return {
            "inflightBatchingStats": {"numScheduledRequests": len(step.tokens)},
            "iter": self._iteration,
            "iterLatencyMS": step.duration_s * 1000,
            "kvCacheStats": {
                "freeNumBlocks": blocks - used,
                "maxNumBlocks": blocks,
                "tokensPerBlock": size,
                "usedNumBlocks": used,
            },
            "numActiveRequests": self._core.running,
            "numQueuedRequests": self._core.waiting,
            "specDecodingStats": _draft_statistics(step) if self._core.settings.speculation else None,
        }

    async def _answer_statistics(self, _http: web.Request) -> web.Response:
        return web.json_response(await self.read())

    async def _answer_gauges(self, _http: web.Request) -> web.Response:
        registry = CollectorRegistry()
        if self._options.iteration_statistics:
            for name, documentation, value in (
                ("trtllm_num_requests_running", "Number of active requests", self._core.running),
                ("trtllm_num_requests_waiting", "Number of queued requests", self._core.waiting),
                ("trtllm_kv_cache_utilization", "KV cache utilization", self._core.kv_cache_usage),
            ):
                Gauge(name, documentation, [*_LABELS], registry=registry).labels(**_LABELS).set(value)
            self._add_draft_counters(registry)
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE})

    def _add_draft_counters(self, registry: CollectorRegistry) -> None:
        """They are there from the first iteration with proposals on."""
        if not self._proposed:
            return
        for name, documentation, value in (
            ("draft", "Total number of draft tokens in speculative decoding", self._proposed),
            ("accepted", "Total number of accepted tokens in speculative decoding", self._accepted),
        ):
            full = f"trtllm_spec_decode_num_{name}_tokens_total"
            Counter(full, documentation, [*_LABELS], registry=registry).labels(**_LABELS).inc(value)


def _draft_statistics(step: Step) -> dict[str, Any]:
    """As the executor has them for each iteration; a step with proposals gives a token of its own as well."""
    drafts = step.drafts
    return {
        "acceptanceLength": 1 + drafts.accepted / drafts.drafts if drafts.drafts else 0.0,
        "numAcceptedTokens": drafts.accepted,
        "numDraftTokens": drafts.proposed,
        "numRequestsWithDraftTokens": drafts.drafts,
    }
