"""Manifests of pools and of catalogue entries: a test names only what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.model_facts import ModelFacts
from mixserve.api.pool import LLMServingPool
from mixserve.api.quantization import QuantizationFormat
from mixserve.catalog.built_in import Catalog, built_in_catalog
from mixserve.plan.placement import Placement, engine_row
from mixserve.plan.speculation import WITHOUT_SPECULATION
from mixserve.validate.subject import subjects_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.plan.facts import Facts
    from mixserve.plan.speculation import Speculation
    from mixserve.validate.subject import Subject

REVISION = "0123456789abcdef0123456789abcdef01234567"

# The numbers of published models' config.json; parameters are the formula's, see test_facts.
LLAMA_8B = ModelFacts(
    parameters=8_030_261_248,
    layers=32,
    hidden_size=4096,
    attention_heads=32,
    key_value_heads=8,
    head_size=128,
    vocabulary_size=128256,
    max_position_embeddings=131072,
)
QWEN_32B = ModelFacts(
    parameters=32_762_106_880,
    layers=64,
    hidden_size=5120,
    attention_heads=64,
    key_value_heads=8,
    head_size=128,
    vocabulary_size=151936,
    max_position_embeddings=40960,
)
LLAMA_70B = ModelFacts(
    parameters=70_553_706_496,
    layers=80,
    hidden_size=8192,
    attention_heads=64,
    key_value_heads=8,
    head_size=128,
    vocabulary_size=128256,
    max_position_embeddings=131072,
)


def variant(name: str = "main", **fields: Any) -> dict[str, Any]:
    """A variant as it stands in a manifest: FP8 on one H100 unless told."""
    return {"name": name, "quantization": "fp8", "accelerator": "h100-80gb", **fields}


def pool(
    *variants: dict[str, Any],
    name: str = "chat",
    created: str = "2026-01-01T00:00:00Z",
    model: dict[str, Any] | None = None,
    engine: dict[str, Any] | None = None,
    **spec: Any,
) -> LLMServingPool:
    """A pool with one variant, its model on the hub, unless told."""
    return LLMServingPool.parse(
        {
            "apiVersion": "mixserve.dev/v1alpha1",
            "kind": "LLMServingPool",
            "metadata": {
                "name": name,
                "namespace": "llm",
                "uid": "6f1f9a54-0000-4000-8000-000000000001",
                "creationTimestamp": created,
            },
            "spec": {
                "model": model or {"source": "hf://example/Model", "revision": REVISION},
                "engine": engine or {},
                "variants": list(variants) or [variant()],
                **spec,
            },
        }
    )


def subjects(
    manifest: LLMServingPool,
    *entries: QuantizationFormat | AcceleratorClass,
    facts: Facts = LLAMA_8B,
    quant_method: str | None = None,
    speculation: Mapping[str, Speculation] = WITHOUT_SPECULATION,
) -> tuple[Subject, ...]:
    """What checks of variants look at: the built-in catalogue and `entries`, and all checkpoints alike."""
    return subjects_of(
        manifest,
        catalog=catalog_with(*entries),
        facts_by_variant=facts_for(manifest, facts),
        quant_methods={one.name: quant_method for one in manifest.spec.variants},
        speculation=speculation,
    )


def facts_for(manifest: LLMServingPool, facts: Facts = LLAMA_8B) -> dict[str, Facts]:
    """The same facts for each variant."""
    return {one.name: facts for one in manifest.spec.variants}


def placement(quantization: str = "fp8", accelerator: str = "h100-80gb", tensor_parallel: int = 1) -> Placement:
    """A combination from the built-in catalogue."""
    catalog = built_in_catalog()
    weights = catalog.formats[quantization].spec
    row = engine_row(weights, pool().spec.engine.type)
    assert row is not None
    return Placement(
        weights=weights,
        row=row,
        accelerator=catalog.accelerators[accelerator].spec,
        tensor_parallel=tensor_parallel,
    )


def catalog_with(*entries: QuantizationFormat | AcceleratorClass) -> Catalog:
    """The built-in catalogue and more."""
    built_in = built_in_catalog()
    formats = {entry.metadata.name: entry for entry in entries if isinstance(entry, QuantizationFormat)}
    accelerators = {entry.metadata.name: entry for entry in entries if isinstance(entry, AcceleratorClass)}
    return Catalog(
        formats={**built_in.formats, **formats},
        accelerators={**built_in.accelerators, **accelerators},
    )


def accelerator_like(name: str, model: str = "h100-80gb", **spec: Any) -> AcceleratorClass:
    """A GPU of another name and with other fields."""
    entry = built_in_catalog().accelerators[model].to_wire()
    return AcceleratorClass.parse({**entry, "metadata": {"name": name}, "spec": {**entry["spec"], **spec}})


def format_like(name: str, model: str = "fp8", **spec: Any) -> QuantizationFormat:
    """A format of another name and with other fields."""
    entry = built_in_catalog().formats[model].to_wire()
    return QuantizationFormat.parse({**entry, "metadata": {"name": name}, "spec": {**entry["spec"], **spec}})
