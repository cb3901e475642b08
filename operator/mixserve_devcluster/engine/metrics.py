"""The metrics of vLLM 0.32 and 0.33: names, labels, types and buckets as a real one answers them.

Times are seconds of the clock, so that they agree with what clients measure: with a time scale of 0.1, a simulated
second is a tenth. What a model does not have (multi-modal input, an external cache, sleep) stays at zero, as there.
"""

from __future__ import annotations

import contextlib
from collections import Counter as Counts
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mixserve.simulate.engine import SimulatedEngineCore, Step
    from mixserve.simulate.requests import FinishedRequest
    from mixserve_devcluster.engine.openai_requests import Generation

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BATCH_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_FIRST_TOKEN_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_INTER_TOKEN_S = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
_REQUEST_S = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0),
    *(50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)


def token_buckets(largest: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... up to `largest`, which is max_model_len."""
    buckets: list[int] = []
    decade = 1
    while decade <= largest:
        buckets += [decade * mantissa for mantissa in (1, 2, 5) if decade * mantissa <= largest]
        decade *= 10
    return buckets


class EngineMetrics:
    """The metrics of one engine, in a registry of their own."""

    def __init__(
        self,
        *,
        model_name: str,
        max_model_len: int,
        time_scale: float,
        cache_config: Mapping[str, str],
        proposed_tokens: int = 0,
        max_loras: int | None = None,
        generates: bool = True,
    ) -> None:
        self._registry = CollectorRegistry()
        self._generates = generates
        self._adapters: Counts[str] = Counts()
        self._labels = {"model_name": model_name, "engine": "0"}
        self._time_scale = time_scale
        self._add_state(cache_config)
        self._add_token_counters()
        self._add_draft_counters(proposed_tokens)
        self._add_request_counters()
        self._add_token_histograms(token_buckets(max_model_len))
        self._add_time_histograms()
        self._add_adapters(max_loras)

    def step_done(self, step: Step) -> None:
        """Count a step whose tokens are out."""
        if not step.batch_tokens:
            return
        self._tell_adapters()
        self._iteration_tokens.observe(step.batch_tokens)
        if self._generates:
            self._generation_tokens.inc(sum(step.tokens.values()))
        self._count_drafts(step)
        self._preemptions.inc(step.preemptions)
        self._prefix_queries.inc(step.queried_tokens)
        self._prefix_hits.inc(step.hit_tokens)
        self._cached_from_device.inc(step.hit_tokens)
        for seconds in step.inter_token_s:
            self._inter_token.observe(seconds * self._time_scale)
        for first in step.first_tokens:
            self._first_token.observe(first.ttft_s * self._time_scale)
            self._prompt_tokens.inc(first.prompt_tokens)
            self._prompt_tokens_cached.inc(first.cached_tokens)
            self._prompt_from_cache.inc(first.cached_tokens)
            self._prompt_computed.inc(first.prompt_tokens - first.cached_tokens)

    def request_done(self, generation: Generation, finished: FinishedRequest) -> None:
        """Count a request that got its whole answer."""
        answer_tokens = finished.request.answer_tokens
        self._success[generation.answer.finish_reason].inc()
        self._request_prompt_tokens.observe(finished.request.prompt_tokens)
        self._request_generation_tokens.observe(answer_tokens)
        self._request_max_generation_tokens.observe(answer_tokens)
        self._request_max_tokens.observe(generation.max_tokens)
        self._request_n.observe(1)
        self._request_preemptions.observe(finished.preemptions)
        self._request_computed_tokens.observe(finished.request.prompt_tokens - finished.cached_tokens)
        self._observe_times(finished)

    def embedding_done(self, finished: FinishedRequest) -> None:
        """Count a text that got its vector."""
        self._success["stop"].inc()
        self._request_prompt_tokens.observe(finished.request.prompt_tokens)
        self._request_generation_tokens.observe(0)
        self._request_n.observe(1)
        self._request_computed_tokens.observe(finished.request.prompt_tokens - finished.cached_tokens)
        self._observe_times(finished)

    @contextlib.contextmanager
    def adapter_used(self, adapter: str | None) -> Iterator[None]:
        """Count a request for an adapter while the context lasts; None: for the model itself."""
        if adapter is None:
            yield
            return
        self._adapters[adapter] += 1
        try:
            yield
        finally:
            self._adapters[adapter] -= 1
            self._adapters += Counts()  # without those that nobody uses

    def request_aborted(self) -> None:
        """Count a request whose client went away."""
        self._success["abort"].inc()

    def request_rejected(self, reason: str) -> None:
        """Count a request that a queue limit kept out; the limit is the reason."""
        self._rejections.labels(model_name=self._labels["model_name"], reason=reason).inc()

    def exposition(self, core: SimulatedEngineCore) -> bytes:
        """The page for scrapers, with the engine's state as it is now."""
        self._running.set(core.running)
        self._waiting.set(core.waiting)
        self._waiting_for_capacity.set(core.waiting)
        self._kv_cache_usage.set(core.kv_cache_usage)
        return generate_latest(self._registry)

    def _observe_times(self, finished: FinishedRequest) -> None:
        queued, scheduled = finished.queued_at_s * self._time_scale, finished.scheduled_at_s * self._time_scale
        first, last = finished.first_token_at_s * self._time_scale, finished.finished_at_s * self._time_scale
        self._e2e_latency.observe(last - queued)
        self._queue_time.observe(scheduled - queued)
        self._inference_time.observe(last - scheduled)
        self._prefill_time.observe(first - scheduled)
        self._decode_time.observe(last - first)
        further_tokens = finished.request.answer_tokens - 1
        self._time_per_output_token.observe((last - first) / further_tokens if further_tokens else 0.0)

    def _add_state(self, cache_config: Mapping[str, str]) -> None:
        self._running = self._gauge("num_requests_running", "Number of requests in model execution batches.")
        self._waiting = self._gauge("num_requests_waiting", "Number of requests waiting to be processed.")
        by_reason = Gauge(
            "vllm:num_requests_waiting_by_reason",
            "Number of waiting requests by reason. Reason labels: 'capacity' = waiting for scheduling capacity; "
            "'deferred' = deferred by transient constraints (LoRA budget, KV transfer, blocked status). Sum of all "
            "reasons equals vllm:num_requests_waiting.",
            [*self._labels, "reason"],
            registry=self._registry,
        )
        self._waiting_for_capacity = by_reason.labels(**self._labels, reason="capacity")
        by_reason.labels(**self._labels, reason="deferred")
        sleep = Gauge(
            "vllm:engine_sleep_state",
            "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; "
            "weights_offloaded = 1 means sleep level 1; discard_all = 1 means sleep level 2.",
            [*self._labels, "sleep_state"],
            registry=self._registry,
        )
        for state, value in (("awake", 1), ("weights_offloaded", 0), ("discard_all", 0)):
            sleep.labels(**self._labels, sleep_state=state).set(value)
        self._kv_cache_usage = self._gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.")
        info = Gauge(
            "vllm:cache_config_info",
            "Information of the LLMEngine CacheConfig",
            [*cache_config, "engine"],
            registry=self._registry,
        )
        info.labels(**cache_config, engine=self._labels["engine"]).set(1)

    def _add_adapters(self, max_loras: int | None) -> None:
        """The gauge that only engines with LoRA have; it is the time at which its labels were true."""
        self._adapter_gauge: Gauge | None = None
        if max_loras is not None:
            self._max_loras = str(max_loras)
            labels = ["max_lora", "waiting_lora_adapters", "running_lora_adapters"]
            documentation = "Running stats on lora requests."
            self._adapter_gauge = Gauge("vllm:lora_requests_info", documentation, labels, registry=self._registry)

    def _tell_adapters(self) -> None:
        """As in vLLM 0.32: with each step, and both lists name every adapter with a request, be it running or waiting.

        So an idle engine still shows the adapters of its last step; the value, a time, says how old that is.
        """
        if self._adapter_gauge is not None:
            names = ",".join(self._adapters)
            self._adapter_gauge.labels(
                max_lora=self._max_loras, waiting_lora_adapters=names, running_lora_adapters=names
            ).set_to_current_time()

    def _add_token_counters(self) -> None:
        for name, what in (
            ("estimated_flops", "floating point operations"),
            ("estimated_read_bytes", "bytes read from memory"),
            ("estimated_write_bytes", "bytes written to memory"),
        ):
            self._counter(
                f"{name}_per_gpu", f"Estimated number of {what} per GPU (for Model Flops Utilization calculations)."
            )
        for name, what in (("external_prefix_cache", "External prefix cache"), ("mm_cache", "Multi-modal cache")):
            self._counter(f"{name}_queries", f"{what} queries; none in a simulated engine.")
            self._counter(f"{name}_hits", f"{what} hits; none in a simulated engine.")
        self._prefix_queries = self._counter(
            "prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens."
        )
        self._prefix_hits = self._counter(
            "prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens."
        )
        self._prompt_tokens = self._counter("prompt_tokens", "Number of prefill tokens processed.")
        by_source = self._counters(
            "prompt_tokens_by_source",
            "Number of prompt tokens by source.",
            "source",
            ("local_compute", "local_cache_hit", "external_kv_transfer"),
        )
        self._prompt_computed, self._prompt_from_cache = by_source["local_compute"], by_source["local_cache_hit"]
        self._prompt_tokens_cached = self._counter(
            "prompt_tokens_cached", "Number of cached prompt tokens (local + external)."
        )
        self._cached_from_device = self._counters(
            "prompt_tokens_cached_by_source",
            "Prefix-cache hit tokens by the cache tier that supplied them.",
            "source",
            ("device", "host", "p2p", "disk", "external_unspecified"),
        )["device"]
        self._generation_tokens = self._counter("generation_tokens", "Number of generation tokens processed.")

    def _add_draft_counters(self, proposed_tokens: int) -> None:
        """As vLLM, only where something proposes tokens."""
        self._accepted_by_position: list[Counter] = []
        if not proposed_tokens:
            return
        self._num_drafts = self._counter("spec_decode_num_drafts", "Number of spec decoding drafts.")
        self._num_draft_tokens = self._counter("spec_decode_num_draft_tokens", "Number of draft tokens.")
        self._num_accepted = self._counter("spec_decode_num_accepted_tokens", "Number of accepted tokens.")
        by_position = self._counters(
            "spec_decode_num_accepted_tokens_per_pos",
            "Accepted tokens per draft position.",
            "position",
            [str(position) for position in range(proposed_tokens)],
        )
        self._accepted_by_position = list(by_position.values())

    def _count_drafts(self, step: Step) -> None:
        if not step.drafts.drafts:
            return
        self._num_drafts.inc(step.drafts.drafts)
        self._num_draft_tokens.inc(step.drafts.proposed)
        self._num_accepted.inc(step.drafts.accepted)
        for counter, kept in zip(self._accepted_by_position, step.drafts.kept, strict=False):
            counter.inc(kept)

    def _add_request_counters(self) -> None:
        self._preemptions = self._counter("num_preemptions", "Cumulative number of preemption from the engine.")
        self._success = self._counters(
            "request_success",
            "Count of successfully processed requests.",
            "finished_reason",
            ("stop", "length", "abort", "error", "repetition"),
        )
        self._rejections = Counter(
            "vllm:admission_rejections",
            "Number of admission attempts rejected by a queue limit, by reason.",
            ["model_name", "reason"],
            registry=self._registry,
        )
        for reason in ("max_num_queued_reqs", "max_num_queued_tokens"):
            self._rejections.labels(model_name=self._labels["model_name"], reason=reason)

    def _add_token_histograms(self, buckets: Sequence[float]) -> None:
        self._request_prompt_tokens = self._histogram(
            "request_prompt_tokens", "Number of prefill tokens processed.", buckets
        )
        self._request_generation_tokens = self._histogram(
            "request_generation_tokens", "Number of generation tokens processed.", buckets
        )
        self._iteration_tokens = self._histogram(
            "iteration_tokens_total", "Histogram of number of tokens per engine_step.", _BATCH_TOKENS
        )
        self._request_max_generation_tokens = self._histogram(
            "request_max_num_generation_tokens", "Histogram of maximum number of requested generation tokens.", buckets
        )
        self._request_n = self._histogram(
            "request_params_n", "Histogram of the n request parameter.", (1, 2, 5, 10, 20)
        )
        self._request_max_tokens = self._histogram(
            "request_params_max_tokens", "Histogram of the max_tokens request parameter.", buckets
        )
        self._request_preemptions = self._histogram(
            "request_num_preemptions",
            "Histogram of the number of times a request was preempted.",
            (1, 2, 3, 4, 5, 10, 20),
        )
        self._request_computed_tokens = self._histogram(
            "request_prefill_kv_computed_tokens",
            "Histogram of new KV tokens computed during prefill (excluding cached tokens).",
            buckets,
        )

    def _add_time_histograms(self) -> None:
        self._first_token = self._histogram(
            "time_to_first_token_seconds", "Histogram of time to first token in seconds.", _FIRST_TOKEN_S
        )
        self._inter_token = self._histogram(
            "inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", _INTER_TOKEN_S
        )
        self._time_per_output_token = self._histogram(
            "request_time_per_output_token_seconds",
            "Histogram of time_per_output_token_seconds per request.",
            _INTER_TOKEN_S,
        )
        self._e2e_latency = self._request_time("e2e_request_latency_seconds", "e2e request latency in seconds")
        self._queue_time = self._request_time("request_queue_time_seconds", "time spent in WAITING phase for request")
        self._inference_time = self._request_time(
            "request_inference_time_seconds", "time spent in RUNNING phase for request"
        )
        self._prefill_time = self._request_time(
            "request_prefill_time_seconds", "time spent in PREFILL phase for request"
        )
        self._decode_time = self._request_time("request_decode_time_seconds", "time spent in DECODE phase for request")

    def _request_time(self, name: str, what: str) -> Histogram:
        return self._histogram(name, f"Histogram of {what}.", _REQUEST_S)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        gauge = Gauge(f"vllm:{name}", documentation, [*self._labels], registry=self._registry)
        return gauge.labels(**self._labels)

    def _counter(self, name: str, documentation: str) -> Counter:
        counter = Counter(f"vllm:{name}", documentation, [*self._labels], registry=self._registry)
        return counter.labels(**self._labels)

    def _counters(self, name: str, documentation: str, label: str, values: Sequence[str]) -> dict[str, Counter]:
        counter = Counter(f"vllm:{name}", documentation, [*self._labels, label], registry=self._registry)
        return {value: counter.labels(**self._labels, **{label: value}) for value in values}

    def _histogram(self, name: str, documentation: str, buckets: Sequence[float]) -> Histogram:
        histogram = Histogram(f"vllm:{name}", documentation, [*self._labels], registry=self._registry, buckets=buckets)
        return histogram.labels(**self._labels)
