from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.simulate.memory import kv_budget
from support.simulated_server import Served, resolved, served

if TYPE_CHECKING:
    from pathlib import Path

STATISTICS = "enable_iter_perf_stats: true\n"
GAUGES = STATISTICS + "return_perf_metrics: true\n"


@pytest.fixture
def with_file(tmp_path: Path) -> Any:
    def flags(content: str) -> tuple[str, str]:
        (tmp_path / "options.yaml").write_text(content)
        return "--config", str(tmp_path / "options.yaml")

    return flags


async def get(engine: Served, path: str) -> tuple[int, Any]:
    async with engine.client.get(path) as response:
        is_json = response.content_type == "application/json"
        return response.status, await response.json() if is_json else await response.text()


async def test_whatever_name_a_request_has_is_answered(with_file: Any) -> None:
    async with served(*with_file(STATISTICS), trtllm=True) as engine:
        status, answer = await engine.post("/v1/completions", prompt="a", model="any", max_tokens=3)
        _, version = await get(engine, "/version")
    assert (status, answer["model"], answer["usage"]["completion_tokens"]) == (200, "any", 3)
    assert version == {"version": "1.2.1+simulated"}


async def test_a_request_without_a_name_is_refused_in_tensorrt_llms_form(with_file: Any) -> None:
    async with served(*with_file(STATISTICS), trtllm=True) as engine:
        status, answer = await engine.post("/v1/completions", prompt="a")
        named, empty = await engine.post("/v1/completions", prompt="a", model="", max_tokens=1)
    assert (status, answer["object"], answer["code"], answer["param"]) == (400, "error", 400, "model")
    assert (named, empty["model"]) == (200, "")


async def test_statistics_are_there_once_it_is_quiet_and_only_once(with_file: Any) -> None:
    async with served(*with_file(STATISTICS), trtllm=True) as engine:
        assert await get(engine, "/metrics") == (200, [])
        await engine.post("/v1/completions", prompt="a", model="any", max_tokens=3)
        _, statistics = await get(engine, "/metrics")
        assert await get(engine, "/metrics") == (200, [])
        assert (await get(engine, "/prometheus/metrics"))[0] == 404
    assert len(statistics) >= 3
    newest = statistics[-1]
    assert (newest["numActiveRequests"], newest["numQueuedRequests"]) == (1, 0)
    assert 0 < newest["kvCacheStats"]["usedNumBlocks"] < newest["kvCacheStats"]["maxNumBlocks"]


async def test_under_load_a_read_does_not_end(with_file: Any) -> None:
    async with served(*with_file(STATISTICS), trtllm=True) as engine:
        request = asyncio.create_task(
            engine.post("/v1/completions", prompt="a", model="any", max_tokens=2000, ignore_eos=True)
        )
        await engine.until_running(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await get(engine, "/metrics")
        await request


async def test_gauges_are_there_always_and_then_no_statistics(with_file: Any) -> None:
    async with served(*with_file(GAUGES), trtllm=True) as engine:
        request = asyncio.create_task(
            engine.post("/v1/completions", prompt="a", model="any", max_tokens=2000, ignore_eos=True)
        )
        await engine.until_running(1)
        _, page = await get(engine, "/prometheus/metrics")
        await request
        assert await get(engine, "/metrics") == (200, [])
    assert 'trtllm_num_requests_running{engine_type="undefined",model_name="undefined"} 1.0' in page


async def test_without_statistics_there_are_no_gauges(with_file: Any) -> None:
    async with served(*with_file("return_perf_metrics: true"), trtllm=True) as engine:
        _, page = await get(engine, "/prometheus/metrics")
    assert "trtllm_num_requests" not in page


def test_the_fraction_is_of_what_is_free(with_file: Any) -> None:
    half, whole = (
        kv_budget(resolved(*with_file(f"kv_cache_config: {{free_gpu_memory_fraction: {share}}}"), trtllm=True).settings)
        for share in ("0.5", "1.0")
    )
    assert half.bytes_per_gpu == pytest.approx(whole.bytes_per_gpu / 2, rel=1e-6)
