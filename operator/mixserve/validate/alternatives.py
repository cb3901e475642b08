"""What would hold a model that does not fit: the smallest change, else the smallest combination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.engine import KVCache
from mixserve.plan.memory import memory_plan
from mixserve.plan.parallelism import group_sizes, shares_all_heads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve.api.engine import Engine
    from mixserve.api.model_facts import ModelFacts
    from mixserve.validate.subject import Subject

_USUAL_PERCENT = KVCache().memory_utilization_percent
"""More than engines take by themselves may leave too little for what else needs the GPU, so it is not proposed."""


def alternatives(subject: Subject, facts: ModelFacts) -> str | None:
    """An instruction that names what would hold the model; None if nothing of the catalogue does on one node."""
    percent = next(_percents(subject, facts), None)
    found = _single_changes(subject, facts) or ([] if percent else _combination(subject, facts))
    instructions = (
        f"raise spec.engine.kvCache.memoryUtilizationPercent to {percent}" if percent else None,
        f"choose {' or '.join(found)} in {subject.path}" if found else None,
        "take spec.speculativePairRef out" if _holds_without_draft(subject, facts) else None,
    )
    return ", or ".join(filter(None, instructions)) or None


def _holds_without_draft(subject: Subject, facts: ModelFacts) -> bool:
    placement = subject.own_placement
    if subject.speculation is None or placement is None:
        return False
    return memory_plan(facts, engine=subject.pool.spec.engine, placement=placement).fits


def _percents(subject: Subject, facts: ModelFacts) -> Iterator[int]:
    """Larger shares of the GPU's memory that hold the model as it is, the smallest first."""
    engine, variant = subject.pool.spec.engine, subject.variant
    for percent in range(engine.kv_cache.memory_utilization_percent + 1, _USUAL_PERCENT + 1):
        cache = engine.kv_cache.model_copy(update={"memory_utilization_percent": percent})
        if _holds(
            subject,
            facts,
            quantization=variant.quantization,
            accelerator=variant.accelerator,
            gpus=variant.gpus,
            engine=engine.model_copy(update={"kv_cache": cache}),
        ):
            yield percent


def _single_changes(subject: Subject, facts: ModelFacts) -> list[str]:
    variant = subject.variant
    own = {
        "quantization": variant.quantization,
        "accelerator": variant.accelerator,
        "gpus": variant.gpus,
    }

    def holds(**change: Any) -> bool:
        return _holds(subject, facts, **{**own, **change})

    sizes = [size for size in group_sizes(facts, subject.gpus_per_node) if holds(gpus=size)]
    formats = [name for name in sorted(subject.catalog.formats) if holds(quantization=name)]
    gpu_kinds = [name for name in _by_price(subject) if holds(accelerator=name)]
    return [
        *(f"tensorParallel {size}" for size in sizes[:1]),
        *(_quantization(subject, name) for name in formats[:1]),
        *(f"accelerator {name}" for name in gpu_kinds[:1]),
    ]


def _combination(subject: Subject, facts: ModelFacts) -> list[str]:
    """The combination with the fewest GPUs, then the cheapest ones."""
    largest_node = max((entry.spec.gpus_per_node for entry in subject.catalog.accelerators.values()), default=1)
    for gpus in group_sizes(facts, largest_node):
        for accelerator in _by_price(subject):
            for name in sorted(subject.catalog.formats):
                if _holds(subject, facts, quantization=name, accelerator=accelerator, gpus=gpus):
                    return [f"{_quantization(subject, name)}, accelerator {accelerator} and tensorParallel {gpus}"]
    return []


def _quantization(subject: Subject, name: str) -> str:
    needs_another = name != subject.variant.quantization
    return f"quantization {name}{' (with a checkpoint in it)' if needs_another else ''}"


def _by_price(subject: Subject) -> list[str]:
    entries = subject.catalog.accelerators
    return sorted(entries, key=lambda name: (entries[name].spec.price_per_hour, name))


def _holds(
    subject: Subject,
    facts: ModelFacts,
    *,
    quantization: str,
    accelerator: str,
    gpus: int,
    engine: Engine | None = None,
) -> bool:
    """Whether a combination runs and fits; with the pool's engine section, unless told."""
    placement = subject.placement(quantization=quantization, accelerator=accelerator, tensor_parallel=gpus)
    if placement is None or not placement.row.runs_on(placement.accelerator.compute_capability):
        return False
    if gpus > placement.accelerator.gpus_per_node or not shares_all_heads(facts, gpus, subject.speculation):
        return False
    engine = engine or subject.pool.spec.engine
    return memory_plan(facts, engine=engine, placement=placement, speculation=subject.speculation).fits
