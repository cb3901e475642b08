"""Every format of the catalogue with every engine: its pool becomes Ready and answers, or is refused with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.engine import EngineType
from mixserve.api.quantization import FormatTarget
from mixserve.catalog.built_in import built_in_catalog
from support.pool_manifests import pool, variant
from support.pool_questions import wait_for_condition
from support.pool_sandbox import complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.quantization import QuantizationFormat
    from mixserve.api.quantization_engine import QuantizationEngine
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.e2e

CATALOG = built_in_catalog()
# One of each kind of tensor core, cheapest first; the cluster has eight of each.
GPUS = ("l4", "a100-80gb", "h100-80gb", "b200")
VERSIONS = {EngineType.VLLM: "0.33.0", EngineType.TENSORRT_LLM: "1.3.0"}


def row(entry: QuantizationFormat, engine: EngineType) -> QuantizationEngine | None:
    return next((each for each in entry.spec.engines if each.type is engine), None)


def gpu_that(entry: QuantizationFormat, engine: EngineType, *, runs_it: bool) -> str | None:
    """The first GPU that runs the format in its own arithmetic, or one that does not run it at all."""
    found = row(entry, engine)
    for gpu in GPUS:
        capability = CATALOG.accelerators[gpu].spec.compute_capability
        runs = found is not None and found.runs_on(capability)
        if runs == runs_it and (found is None or not runs_it or found.is_native_on(capability)):
            return gpu
    return None


def manifest(name: str, *, entry: QuantizationFormat, engine: EngineType, gpu: str) -> dict[str, Any]:
    """A pool of one small replica with the format as that of its weights or of its KV cache."""
    kv_cache, weights = {}, entry.metadata.name
    if entry.spec.target is FormatTarget.KV_CACHE:
        kv_cache, weights = {"kvCache": {"format": entry.metadata.name.removeprefix("kv-")}}, "bf16"
    return pool(
        name,
        variant(quantization=weights, accelerator=gpu, most=1),
        engine={"type": engine.value, "version": VERSIONS[engine], "maxModelLen": 2048, **kv_cache},
    )


def manifests(engine: EngineType, *, run: bool) -> Iterator[dict[str, Any]]:
    for name, entry in CATALOG.formats.items():
        gpu = gpu_that(entry, engine, runs_it=run)
        if gpu is not None:
            yield manifest(f"{name}-{'runs' if run else 'not'}", entry=entry, engine=engine, gpu=gpu)


@pytest.mark.parametrize("engine", list(EngineType))
def test_a_pool_in_any_format_that_the_engine_runs_becomes_ready_and_answers(
    engine: EngineType, sandbox: PoolSandbox
) -> None:
    pools = list(manifests(engine, run=True))
    rows = [name for name, entry in CATALOG.formats.items() if row(entry, engine) is not None]
    assert [each["metadata"]["name"].removesuffix("-runs") for each in pools] == rows
    sandbox.apply(pools)
    for each in pools:
        name = each["metadata"]["name"]
        sandbox.wait_until_ready(name, timeout_s=300)
        [pod] = sandbox.items("pods", pool=name)
        assert complete(pod, model=name, max_tokens=3)["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("engine", list(EngineType))
def test_a_pool_on_a_gpu_or_an_engine_without_its_format_is_refused_and_says_why(
    engine: EngineType, sandbox: PoolSandbox
) -> None:
    pools = list(manifests(engine, run=False))
    assert pools
    sandbox.apply(pools)
    for each in pools:
        name, spec = each["metadata"]["name"], each["spec"]
        seen = wait_for_condition(sandbox, name, "Validated", status="False", reason="UnsupportedQuantization")
        field = "engine.kvCache.format" if "kvCache" in spec["engine"] else "variants[0].quantization"
        assert seen["message"].startswith(f"spec.{field}: ")
        assert "choose" in seen["message"]
        assert not sandbox.items("deployments", pool=name)
