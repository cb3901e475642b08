"""What would hold a model that does not fit: the smallest change, else the smallest combination."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.api.quantization import capability
from mixserve.plan.memory import memory_plan

if TYPE_CHECKING:
    from mixserve.api.pool import ModelFacts
    from mixserve.plan.placement import Placement
    from mixserve.validate.subject import Subject

LARGEST_GROUP = 64
"""The most that tensorParallel takes."""

_GPUS_OF_A_NODE = 8
"""A tensor-parallel group stays on one node, so nothing larger is proposed."""


def shares_heads(facts: ModelFacts, tensor_parallel: int) -> bool:
    """Whether vLLM can split the heads: query heads evenly, KV heads evenly or each on equally many GPUs."""
    kv_heads = facts.key_value_heads
    whole = kv_heads % tensor_parallel == 0 or tensor_parallel % kv_heads == 0
    return facts.attention_heads % tensor_parallel == 0 and whole


def alternatives(subject: Subject, facts: ModelFacts) -> str | None:
    """An instruction that names what of the catalogue would hold the model; None if nothing does on one node."""
    found = _single_changes(subject, facts) or _combination(subject, facts)
    return f"choose {' or '.join(found)} in {subject.path}" if found else None


def _single_changes(subject: Subject, facts: ModelFacts) -> list[str]:
    variant = subject.variant
    gpus, quantization, accelerator = variant.tensor_parallel, variant.quantization, variant.accelerator
    sizes = [n for n in _group_sizes(facts) if _holds(subject, facts, quantization, accelerator, n)]
    formats = [f for f in sorted(subject.catalog.formats) if _holds(subject, facts, f, accelerator, gpus)]
    gpu_kinds = [a for a in _by_price(subject) if _holds(subject, facts, quantization, a, gpus)]
    return [
        *(f"tensorParallel {size}" for size in sizes[:1]),
        *(f"quantization {name} (with a checkpoint in it)" for name in formats[:1]),
        *(f"accelerator {name}" for name in gpu_kinds[:1]),
    ]


def _combination(subject: Subject, facts: ModelFacts) -> list[str]:
    """The combination with the fewest GPUs, then the cheapest ones."""
    for gpus in _group_sizes(facts):
        for accelerator in _by_price(subject):
            for quantization in sorted(subject.catalog.formats):
                if _holds(subject, facts, quantization, accelerator, gpus):
                    return [f"quantization {quantization}, accelerator {accelerator} and tensorParallel {gpus}"]
    return []


def _group_sizes(facts: ModelFacts) -> list[int]:
    return [size for size in range(1, _GPUS_OF_A_NODE + 1) if shares_heads(facts, size)]


def _by_price(subject: Subject) -> list[str]:
    entries = subject.catalog.accelerators
    return sorted(entries, key=lambda name: (entries[name].spec.price_per_hour, name))


def _holds(
    subject: Subject,
    facts: ModelFacts,
    quantization: str,
    accelerator: str,
    gpus: int,
) -> bool:
    placement = subject.placement(quantization=quantization, accelerator=accelerator, tensor_parallel=gpus)
    if placement is None or not _runs(placement) or not shares_heads(facts, gpus):
        return False
    return memory_plan(facts, subject.pool.spec.engine, placement).fits


def _runs(placement: Placement) -> bool:
    needed = placement.row.minimum_compute_capability
    return capability(placement.accelerator.compute_capability) >= capability(needed)
