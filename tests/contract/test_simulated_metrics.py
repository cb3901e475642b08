"""The simulated engine's metrics are those of a real vLLM, recorded with a context of 1024 tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mixserve.simulate.engine import SimulatedEngineCore
from mixserve_devcluster.engine.metrics import EngineMetrics
from support.simulated_server import resolved
from support.simulation import request, run_until_idle

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

RECORDED = (Path(__file__).parent / "data" / "vllm-0.32-metrics.txt").read_text()
# Their values are this engine's business; those of all others, such as reason and le, are part of the contract.
FREE_LABELS = {"model_name"}


def families(page: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(page)}


def series(family: Metric) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Names and labels of a family's samples, without values."""
    free = FREE_LABELS | (set(family.samples[0].labels) if family.name == "vllm:cache_config_info" else set())
    return {
        (
            sample.name,
            tuple(sorted((name, "" if name in free else value) for name, value in sample.labels.items())),
        )
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def simulated() -> dict[str, Metric]:
    deployment = resolved("--max-model-len", "1024")
    core = SimulatedEngineCore(deployment.settings)
    metrics = EngineMetrics(
        model_name="simulated",
        max_model_len=deployment.settings.max_model_len,
        time_scale=1.0,
        cache_config=deployment.cache_config(core.kv_budget.blocks),
    )
    core.submit(request(), 0.0)
    for step in run_until_idle(core):
        metrics.step_done(step)
    return families(metrics.exposition(core).decode())


def test_there_are_the_same_metrics_and_no_others(simulated: dict[str, Metric]) -> None:
    assert simulated.keys() == families(RECORDED).keys()


@pytest.mark.parametrize("name", families(RECORDED))
def test_a_metric_has_the_same_type_labels_and_buckets(simulated: dict[str, Metric], name: str) -> None:
    recorded = families(RECORDED)[name]
    assert simulated[name].type == recorded.type
    assert series(simulated[name]) == series(recorded)
