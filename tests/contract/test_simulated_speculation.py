"""What the adapters write for a SpeculativePair, the simulated engine takes and understands, in both dialects."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.engines import tensorrt_llm_speculation, vllm_speculation
from mixserve.engines.protocol import LaunchedPair
from mixserve_devcluster.engine import speculation
from support.pairs import pair

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEDULES: dict[str, list[dict[str, int]]] = {
    "one size": [],
    "one entry": [{"maxBatch": 16, "tokens": 3}],
    "two entries": [{"maxBatch": 16, "tokens": 3}, {"maxBatch": 64, "tokens": 1}],
}


def launched(method: SpeculationMethod, schedule: list[dict[str, int]]) -> LaunchedPair:
    spec = pair(method.value, batchSchedule=schedule).spec
    draft = None if spec.draft is None else "/drafts/one"
    return LaunchedPair(spec=spec, draft=draft, draft_revision="a" * 40 if draft else None, draft_gpus=2)


def understood(found: speculation.SpeculationOptions, expected: LaunchedPair) -> bool:
    schedule = tuple((step.max_batch, step.tokens) for step in expected.spec.batch_schedule)
    return (found.tokens, found.schedule) == (3, schedule)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("method", SpeculationMethod)
@pytest.mark.parametrize("line", vllm_speculation.METHODS)
def test_vllms(line: str, method: SpeculationMethod, schedule: str) -> None:
    expected = launched(method, SCHEDULES[schedule])
    found = speculation.from_vllm(vllm_speculation.speculative_config(expected, line=line))
    assert understood(found, expected)
    assert 0 < found.acceptance < 1


def cases() -> Iterator[tuple[str, SpeculationMethod, str]]:
    for (line, table), schedule in product(tensorrt_llm_speculation.TABLES.items(), SCHEDULES):
        for method in table.decoding_types:
            spec = pair(method.value, batchSchedule=SCHEDULES[schedule]).spec
            if not list(tensorrt_llm_speculation.obstacles(spec, line=line, tensor_parallel=1)):
                yield line, method, schedule


@pytest.mark.parametrize(("line", "method", "schedule"), list(cases()))
def test_tensorrt_llms(line: str, method: SpeculationMethod, schedule: str) -> None:
    expected = launched(method, SCHEDULES[schedule])
    written: Any = yaml.safe_load(yaml.safe_dump(tensorrt_llm_speculation.speculative_config(expected, line=line)))
    assert understood(speculation.from_trtllm(written), expected)
