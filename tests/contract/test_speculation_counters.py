"""What the simulated engines count of speculative decoding is what the operator reads, in every dialect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from mixserve.api.engine import EngineType
from mixserve.api.observation import EngineSample, SpeculationCounts
from mixserve.engines.registry import adapter_for
from mixserve.observe.scrape import scrape, scrape_session
from mixserve.status.acceptance import Acceptance, acceptance_of, tally
from support.simulated_server import served

if TYPE_CHECKING:
    from pathlib import Path

    from mixserve.engines.protocol import MetricsPage

VLLM, TRTLLM = adapter_for(EngineType.VLLM), adapter_for(EngineType.TENSORRT_LLM)
NGRAM = {"method": "ngram", "num_speculative_tokens": 3}


def options(page: MetricsPage, directory: Path) -> tuple[str, ...]:
    """How a simulated TensorRT-LLM is started that has this page."""
    file = directory / "options.yaml"
    wanted = {
        "enable_iter_perf_stats": True,
        "return_perf_metrics": page.path.startswith("/prometheus"),
        "speculative_config": {"decoding_type": "NGram", "max_draft_len": 3},
    }
    file.write_text(yaml.safe_dump(wanted))
    return ("--config", str(file))


async def counted(*arguments: str, page: MetricsPage, trtllm: bool) -> list[SpeculationCounts]:
    """What is read after a request, and after another one of more tokens."""
    found = []
    async with served(*arguments, trtllm=trtllm) as engine, scrape_session() as session:
        for tokens in (20, 200):
            await engine.post("/v1/completions", prompt="a", model="some/model", max_tokens=tokens)
            sample = await scrape(session, url=engine.client.make_url(page.path), page=page, now_s=5.0)
            assert isinstance(sample, EngineSample)
            if isinstance(sample.speculation, SpeculationCounts):
                found.append(sample.speculation)
    return found


def acceptance(counts: list[SpeculationCounts]) -> Acceptance:
    happened = tally(counts[0] if len(counts) > 1 else None, counts[-1], at_s=5.0)
    assert happened is not None
    found = acceptance_of([happened])
    assert found is not None
    return found


@pytest.mark.parametrize("version", [f"{line}.0" for line in VLLM.supported_versions])
async def test_counters_of_vllm(version: str) -> None:
    page = VLLM.metrics_page(version)
    found = acceptance(await counted("--speculative-config", json.dumps(NGRAM), page=page, trtllm=False))
    assert 0 < found.rate < 1
    assert found.length == pytest.approx(1 + 3 * found.rate, rel=0.05)  # three are proposed nearly each time


async def test_statistics_of_tensorrt_llm(tmp_path: Path) -> None:
    page = TRTLLM.metrics_page("1.2.0")
    found = acceptance(await counted(*options(page, tmp_path), page=page, trtllm=True))
    assert 0 < found.rate < 1
    assert found.length == pytest.approx(1 + 3 * found.rate, rel=0.05)


async def test_counters_of_tensorrt_llm(tmp_path: Path) -> None:
    page = TRTLLM.metrics_page("1.3.0")
    found = acceptance(await counted(*options(page, tmp_path), page=page, trtllm=True))
    assert 0 < found.rate < 1
    assert found.length is None  # it does not count drafts


async def test_an_engine_that_does_not_speculate_counts_nothing() -> None:
    assert await counted(page=VLLM.metrics_page("0.33.0"), trtllm=False) == []
