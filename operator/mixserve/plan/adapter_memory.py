"""What LoRA adapters take of the GPUs' memory: vLLM makes room for each of them when it starts, of the largest rank.

An adapter has two matrices for each projection of the model, rank x the model's width and rank x the projection's other
side (`vllm/lora/layers`). The other side is shared out over the GPUs, the model's width is on each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.engines.vllm_adapters import slot_rank

if TYPE_CHECKING:
    from mixserve.api.model import Adapter
    from mixserve.api.model_facts import ModelFacts

# Query, key, value, output, and three of the MLP; of experts, whose number is not known, one stands for all.
_PROJECTIONS = 7
# Adapters are kept in the model's own precision.
_BYTES_PER_WEIGHT = 2


@dataclass(frozen=True, kw_only=True)
class AdapterSlots:
    """Room for adapters.

    Attributes:
        count: how many there is room for, >= 1.
        rank: of each, >= 1.
    """

    count: int
    rank: int


def adapter_slots(adapters: tuple[Adapter, ...]) -> AdapterSlots | None:
    """The room that an engine makes for the adapters of a pool; None without any."""
    if not adapters:
        return None
    return AdapterSlots(count=len(adapters), rank=slot_rank(max(adapter.rank for adapter in adapters)))


def adapter_bytes(facts: ModelFacts, slots: AdapterSlots | None, *, tensor_parallel: int) -> int:
    """What the room takes on all GPUs together.

    Args:
        facts: the model.
        slots: the room, or None.
        tensor_parallel: GPUs.
    """
    if slots is None:
        return 0
    heads = (2 * facts.attention_heads + 2 * facts.key_value_heads) * facts.head_size
    rest = facts.parameters - facts.embedding_parameters - facts.attention - (facts.vision_parameters or 0)
    # Three matrices of the model's width and the MLP's, or as many as there are experts.
    mlp = max(0, rest) // (facts.hidden_size * facts.layers)
    layer = tensor_parallel * _PROJECTIONS * facts.hidden_size + heads + mlp
    embeddings = 2 * (facts.vocabulary_size + tensor_parallel * facts.hidden_size)
    return slots.count * slots.rank * (facts.layers * layer + embeddings) * _BYTES_PER_WEIGHT
