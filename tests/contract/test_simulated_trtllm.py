"""What the adapter writes for TensorRT-LLM is understood by the simulated one, and means the same memory as planned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mixserve.api.engine import EngineType
from mixserve.api.observation import EngineSample
from mixserve.engines.registry import adapter_for
from mixserve.observe.scrape import scrape, scrape_session
from mixserve.plan.launch import OPTIONS_FILE
from mixserve.plan.memory import MemoryPlan, memory_plan
from mixserve.plan.objects import desired_objects
from mixserve.plan.placement import placement_of
from mixserve.simulate.memory import kv_budget
from mixserve_devcluster.engine import deployment, trtllm_command_line
from mixserve_devcluster.engine.environment import SimulationEnvironment
from support.manifests import LLAMA_8B, catalog_with, facts_for, pool, variant
from support.simulated_server import served

if TYPE_CHECKING:
    from pathlib import Path

    from mixserve.api.pool import LLMServingPool
    from mixserve_devcluster.engine.deployment import Deployment

TRTLLM = adapter_for(EngineType.TENSORRT_LLM)


def manifest(version: str = "1.2.1", **engine: Any) -> LLMServingPool:
    fields = {"type": "tensorrt-llm", "version": version, "maxModelLen": 8192, **engine}
    return pool(variant(tensorParallel=2), engine=fields)


def planned(of: LLMServingPool) -> MemoryPlan:
    placement = placement_of(of, variant=of.spec.variants[0], catalog=catalog_with())
    return memory_plan(LLAMA_8B, engine=of.spec.engine, placement=placement)


def simulated(of: LLMServingPool, directory: Path) -> Deployment:
    """The engine that a pod of the pool would start."""
    objects = desired_objects(of, catalog=catalog_with(), facts_by_variant=facts_for(of)).objects
    file = directory / OPTIONS_FILE
    file.write_text(next(one for one in objects if one.kind == "ConfigMap").body["data"][OPTIONS_FILE])
    template = next(one for one in objects if one.kind == "Deployment").body["spec"]["template"]
    [container] = template["spec"]["containers"]
    assert container["command"] == [trtllm_command_line.PROGRAM]
    words = [str(file) if word.endswith(OPTIONS_FILE) else word for word in container["args"]]
    environment = SimulationEnvironment(
        node_labels={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3", "nvidia.com/gpu.memory": "81100"},
        pod_annotations=template["metadata"]["annotations"],
    )
    return deployment.resolve(trtllm_command_line.parse(words), environment)


def test_every_field_arrives(tmp_path: Path) -> None:
    full = manifest(
        batching={"maxSequences": 64, "maxBatchedTokens": 2048},
        kvCache={"format": "fp8", "memoryUtilizationPercent": 80},
        prefixCaching=False,
    )
    options, settings = simulated(full, tmp_path).options, simulated(full, tmp_path).settings
    assert (options.host, options.port, options.model) == ("0.0.0.0", TRTLLM.port, "example/Model")
    assert (settings.max_model_len, settings.max_num_seqs, settings.max_num_batched_tokens) == (8192, 64, 2048)
    assert (settings.hardware.gpus, settings.enable_prefix_caching, options.kv_cache_dtype) == (2, False, "fp8")


@pytest.mark.parametrize("percent", [50, 80, 92, 99])
def test_the_cache_is_as_large_as_planned(percent: int, tmp_path: Path) -> None:
    of = manifest(kvCache={"memoryUtilizationPercent": percent})
    budget = kv_budget(simulated(of, tmp_path).settings)
    # The fraction has four digits: a ten-thousandth of the GPU's memory.
    assert budget.blocks * TRTLLM.kv_block_tokens == pytest.approx(planned(of).kv_capacity_tokens, rel=3e-4)


def test_the_default_batch_limits_are_those_that_the_adapter_expects(tmp_path: Path) -> None:
    settings = simulated(manifest(), tmp_path).settings
    gpu = {"memory_bytes": settings.hardware.memory_bytes, "compute_capability": "9.0"}
    assert settings.max_num_seqs == TRTLLM.default_max_sequences(**gpu)
    assert settings.max_num_batched_tokens == TRTLLM.default_max_batched_tokens(manifest().spec.engine, **gpu)
    assert settings.block_size == TRTLLM.kv_block_tokens


@pytest.mark.parametrize("version", [f"{line}.0" for line in TRTLLM.supported_versions])
async def test_the_operator_reads_its_metrics(version: str, tmp_path: Path) -> None:
    page = TRTLLM.metrics_page(version)
    file = tmp_path / "options.yaml"
    wanted = {"enable_iter_perf_stats": True, "return_perf_metrics": page.path.startswith("/prometheus")}
    file.write_text(yaml.safe_dump(wanted))
    async with served("--config", str(file), trtllm=True) as engine, scrape_session() as session:
        await engine.post("/v1/completions", prompt="a", model="any", max_tokens=3)
        url = engine.client.make_url(page.path)
        found = [await scrape(session, url=url, page=page, now_s=5.0) for _ in range(2)]
    assert isinstance(found[0], EngineSample)
    assert isinstance(found[1], EngineSample)
    assert (found[1].running, found[1].waiting, found[1].kv_cache_usage) == (0, 0, 0.0)
