from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mixserve.simulate.engine import SimulatedEngineCore
from mixserve_devcluster.engine.answers import Answer
from mixserve_devcluster.engine.metrics import EngineMetrics, token_buckets
from mixserve_devcluster.engine.openai_requests import AnsweredModel, Generation
from support.simulated_server import sample
from support.simulation import engine_settings, request, run_until_idle


def metrics(time_scale: float = 1.0) -> EngineMetrics:
    return EngineMetrics(model_name="m", max_model_len=32, time_scale=time_scale, cache_config={"num_gpu_blocks": "64"})


def generation(**answer: Any) -> Generation:
    return Generation(
        model=AnsweredModel("m"),
        prompt=[1] * 10,
        max_tokens=7,
        answer=Answer(**{"text": "", "tokens": 3, "finish_reason": "length", **answer}),
        stream=False,
        include_usage=False,
        continuous_usage=False,
    )


class Measured:
    """An engine whose steps and requests are counted."""

    def __init__(self, *, time_scale: float = 1.0, **settings: Any) -> None:
        self.core = SimulatedEngineCore(engine_settings(**settings))
        self.metrics = metrics(time_scale)

    def run(self) -> float:
        """Run until idle; returns the simulated seconds."""
        steps = run_until_idle(self.core)
        for step in steps:
            self.metrics.step_done(step)
            for finished in step.finished:
                self.metrics.request_done(generation(tokens=finished.request.answer_tokens), finished)
        return steps[-1].ended_at_s

    def __getitem__(self, name: str) -> float:
        return sample(self.metrics.exposition(self.core).decode(), name)


@pytest.mark.parametrize(
    ("largest", "buckets"),
    [(1024, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]), (4, [1, 2]), (1, [1]), (50, [1, 2, 5, 10, 20, 50])],
)
def test_token_buckets_go_up_to_the_context(largest: int, buckets: list[int]) -> None:
    assert token_buckets(largest) == buckets


def test_gauges_show_the_engine_as_it_is() -> None:
    measured = Measured(max_num_seqs=1)
    for name in ("a", "b", "c"):
        measured.core.submit(request(name), 0.0)
    measured.core.step(0.0)
    assert (measured["num_requests_running{"], measured["num_requests_waiting{"]) == (1, 2)
    by_reason = 'num_requests_waiting_by_reason{engine="0",model_name="m",reason='
    assert (measured[f'{by_reason}"capacity"'], measured[f'{by_reason}"deferred"']) == (2, 0)
    assert measured["kv_cache_usage_perc"] == pytest.approx(1 / 64)
    measured.run()
    assert (measured["num_requests_running{"], measured["kv_cache_usage_perc"]) == (0, 0)


def test_tokens_are_counted_by_where_they_come_from() -> None:
    measured = Measured()
    for name in ("a", "b"):
        measured.core.submit(request(name, prompt=10, hashes=(1, 2)), 0.0)
        measured.run()
    assert measured["prompt_tokens_total"] == 20
    assert measured['prompt_tokens_by_source_total{engine="0",model_name="m",source="local_compute"'] == 12
    assert measured['prompt_tokens_by_source_total{engine="0",model_name="m",source="local_cache_hit"'] == 8
    assert measured["prompt_tokens_cached_total"] == 8
    assert measured['prompt_tokens_cached_by_source_total{engine="0",model_name="m",source="device"'] == 8
    assert (measured["prefix_cache_queries_total"], measured["prefix_cache_hits_total"]) == (20, 8)
    assert measured["generation_tokens_total"] == 6
    assert measured["request_prefill_kv_computed_tokens_sum"] == 12
    assert measured["iteration_tokens_total_sum"] == 12 + 4
    assert measured["iteration_tokens_total_count"] == 6


def test_requests_are_counted_with_their_sizes() -> None:
    measured = Measured()
    measured.core.submit(request(prompt=10, answer=3), 0.0)
    measured.run()
    assert measured['request_success_total{engine="0",finished_reason="length"'] == 1
    assert (measured["request_prompt_tokens_sum"], measured["request_generation_tokens_sum"]) == (10, 3)
    assert (measured["request_params_max_tokens_sum"], measured["request_params_n_sum"]) == (7, 1)
    assert measured["request_max_num_generation_tokens_sum"] == 3


def test_preemptions_are_counted() -> None:
    measured = Measured(blocks=8)
    for name in ("a", "b"):
        measured.core.submit(request(name, prompt=12, answer=12), 0.0)
    measured.run()
    assert measured["num_preemptions_total"] == 1
    assert measured["request_num_preemptions_sum"] == 1


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_times_are_those_of_the_clock(scale: float) -> None:
    measured = Measured(time_scale=scale, max_num_seqs=1)
    measured.core.submit(request("a", answer=3), 0.0)
    measured.core.submit(request("b", answer=3), 0.0)
    total_s = measured.run() * scale
    first_s = total_s / 2  # both are alike and run one after the other
    assert measured["e2e_request_latency_seconds_sum"] == pytest.approx(first_s + total_s)
    assert measured["request_queue_time_seconds_sum"] == pytest.approx(first_s)
    assert measured["request_inference_time_seconds_sum"] == pytest.approx(total_s)
    prefill_s, decode_s = (measured[f"request_{phase}_time_seconds_sum"] for phase in ("prefill", "decode"))
    assert prefill_s + decode_s == pytest.approx(total_s)
    assert decode_s > prefill_s > 0
    assert measured["time_to_first_token_seconds_sum"] == pytest.approx(first_s + prefill_s)
    assert measured["inter_token_latency_seconds_sum"] == pytest.approx(decode_s)
    assert measured["inter_token_latency_seconds_count"] == 4
    assert measured["request_time_per_output_token_seconds_sum"] == pytest.approx(decode_s / 2)


def test_a_single_token_has_no_time_per_further_token() -> None:
    measured = Measured()
    measured.core.submit(request(answer=1), 0.0)
    measured.run()
    assert measured["request_time_per_output_token_seconds_sum"] == 0
    assert measured["request_time_per_output_token_seconds_count"] == 1


def test_the_end_of_a_request_has_its_reason() -> None:
    measured = Measured()
    measured.core.submit(request(), 0.0)
    (finished,) = [finished for step in run_until_idle(measured.core) for finished in step.finished]
    measured.metrics.request_done(generation(finish_reason="stop"), finished)
    measured.metrics.request_done(generation(finish_reason="stop"), replace(finished, preemptions=2))
    measured.metrics.request_aborted()
    assert measured['request_success_total{engine="0",finished_reason="stop"'] == 2
    assert measured['request_success_total{engine="0",finished_reason="abort"'] == 1


def test_rejections_have_their_reason() -> None:
    measured = Measured()
    measured.metrics.request_rejected("max_num_queued_reqs")
    assert measured['admission_rejections_total{model_name="m",reason="max_num_queued_reqs"'] == 1
    assert measured['admission_rejections_total{model_name="m",reason="max_num_queued_tokens"'] == 0


def test_two_engines_do_not_share_their_metrics() -> None:
    one, other = Measured(), Measured()
    one.core.submit(request(), 0.0)
    one.run()
    assert (one["prompt_tokens_total"], other["prompt_tokens_total"]) == (4, 0)
