"""What fits: weights, keys and values, and the engine's own needs against the memory of the GPUs.

    weights  = quantized parameters x bits / 8 + embeddings and output matrix x 2 bytes
    KV/token = 2 (keys, values) x layers x KV heads x head size x bytes, per GPU divided by min(TP, KV heads)
    budget   = memory x utilization - weights - overhead

The budget is vLLM's (`determine_available_memory`): it takes its share of the memory, profiles a step of the largest
size, and gives the rest to the KV cache, which has to hold one request of the longest context.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import TYPE_CHECKING

from mixserve.api.engine import KVCacheFormat
from mixserve.api.pool import ModelFacts
from mixserve.api.scalars import GIB
from mixserve.engines.registry import adapter_for

if TYPE_CHECKING:
    from mixserve.api.engine import Engine
    from mixserve.plan.facts import Facts
    from mixserve.plan.placement import Placement

OVERHEAD_BYTES_PER_GPU = 5 * GIB // 2
"""Activations of the profiled step, CUDA graphs, CUDA context and NCCL: 2 to 3 GiB with dense models."""

UNQUANTIZED_BYTES = 2
"""Embeddings and output matrix stay at 16 bits in the checkpoints of all formats."""

KV_BYTES = {KVCacheFormat.AUTO: 2, KVCacheFormat.FP8: 1}
"""Bytes of one number in the KV cache; the models here compute in 16 bits."""

MEAN_CONTEXT_TOKENS = 1400
"""What a request holds on average before anything is known of the load: 1155 tokens of prompt and 211 of answer in the
conversations of Azure's LLM inference traces of 2023, the answer counted in full."""

_FULL_BITS = 16


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """One replica's memory, over all its GPUs together.

    Attributes:
        parameters: of the model.
        tensor_parallel: GPUs.
        compute_bits: bits of the matrix arithmetic on this GPU: the format's where it is native, else 16.
        memory_bytes: what the engine may take.
        weights_bytes: weights as stored.
        overhead_bytes: what is neither weights nor KV cache.
        kv_bytes_per_token: keys and values of one token, with the copies where there are more GPUs than KV heads.
        kv_budget_bytes: what is left for the KV cache; negative where the weights do not fit.
        context_tokens: the longest request that the engine has to promise to take.
        kv_capacity_tokens: what the KV cache holds, >= 0; also the longest request that it can hold.
    """

    parameters: int
    tensor_parallel: int
    compute_bits: int
    memory_bytes: int
    weights_bytes: int
    overhead_bytes: int
    kv_bytes_per_token: int
    kv_budget_bytes: int
    context_tokens: int
    kv_capacity_tokens: int

    @property
    def fits(self) -> bool:
        """Whether the engine would start."""
        return self.context_tokens <= self.kv_capacity_tokens

    @property
    def sentence(self) -> str:
        """The plan for people."""
        gpus = "GPU" if self.tensor_parallel == 1 else "GPUs"
        needs = (
            f"{gib(self.weights_bytes)} of weights and {gib(self.overhead_bytes)} of overhead on "
            f"{self.tensor_parallel} {gpus} with {gib(self.memory_bytes)} for the engine"
        )
        if self.kv_budget_bytes < 0:
            return f"{needs} are {gib(-self.kv_budget_bytes)} too much, before any KV cache"
        return (
            f"{needs} leave {gib(self.kv_budget_bytes)} for the KV cache: {self.kv_capacity_tokens} tokens, and one "
            f"request may have {self.context_tokens}"
        )

    def concurrency(self, mean_context_tokens: float) -> float:
        """Requests of `mean_context_tokens` (> 0) that the KV cache holds at once."""
        return self.kv_capacity_tokens / mean_context_tokens

    def to_annotation(self) -> str:
        """The wire form on pods: JSON with camelCase keys, sorted."""
        wire = {
            "parameters": self.parameters,
            # Dense models use all of them for every token.
            "activeParameters": self.parameters,
            "weightsBytes": self.weights_bytes,
            "kvBytesPerToken": self.kv_bytes_per_token,
            "tensorParallel": self.tensor_parallel,
            "computeBits": self.compute_bits,
            "maxModelLen": self.context_tokens,
        }
        return json.dumps(wire, sort_keys=True, separators=(",", ":"))


def memory_plan_if_known(
    facts: Facts | None,
    *,
    engine: Engine,
    placement: Placement,
) -> MemoryPlan | None:
    """Work out one replica's memory; None where the model's numbers are not known."""
    return memory_plan(facts, engine=engine, placement=placement) if isinstance(facts, ModelFacts) else None


def memory_plan(
    facts: ModelFacts,
    *,
    engine: Engine,
    placement: Placement,
) -> MemoryPlan:
    """Work out one replica's memory."""
    gpus = placement.tensor_parallel
    usable = placement.accelerator.memory * engine.kv_cache.memory_utilization_percent // 100 * gpus
    weights = weights_bytes(facts, placement)
    kv_per_token = kv_bytes_per_token(facts, kv_format=engine.kv_cache.format, tensor_parallel=gpus)
    budget = usable - weights - OVERHEAD_BYTES_PER_GPU * gpus
    block = adapter_for(engine.type).kv_block_tokens
    return MemoryPlan(
        parameters=facts.parameters,
        tensor_parallel=gpus,
        compute_bits=_compute_bits(placement),
        memory_bytes=usable,
        weights_bytes=weights,
        overhead_bytes=OVERHEAD_BYTES_PER_GPU * gpus,
        kv_bytes_per_token=kv_per_token,
        kv_budget_bytes=budget,
        context_tokens=engine.max_model_len or facts.max_position_embeddings,
        kv_capacity_tokens=max(0, budget // (kv_per_token * block)) * block,
    )


def weights_bytes(facts: ModelFacts, placement: Placement) -> int:
    """All weights as stored; norms count as quantized, which is off by less than 0.01 %."""
    quantized = facts.parameters - facts.embedding_parameters
    stored = placement.weights.bits_per_weight * quantized / 8
    return int(stored.to_integral_value(ROUND_CEILING)) + facts.embedding_parameters * UNQUANTIZED_BYTES


def kv_bytes_per_token(
    facts: ModelFacts,
    *,
    kv_format: KVCacheFormat,
    tensor_parallel: int,
) -> int:
    """Keys and values of one token on all GPUs: KV heads are shared out, and copied where there are too few."""
    heads_per_gpu = math.ceil(facts.key_value_heads / tensor_parallel)
    return 2 * facts.layers * heads_per_gpu * facts.head_size * KV_BYTES[kv_format] * tensor_parallel


def _compute_bits(placement: Placement) -> int:
    is_native = placement.row.is_native_on(placement.accelerator.compute_capability)
    return placement.weights.compute_bits if is_native else _FULL_BITS


def batch_prior(
    engine: Engine,
    *,
    placement: Placement,
    plan: MemoryPlan | None,
) -> float:
    """Requests that one replica carries at once, before it was seen under load; >= 1.

    The batch limit, or what the KV cache holds of requests of a mean context, whichever is less.

    Args:
        engine: the pool's engine section.
        placement: the variant's.
        plan: the variant's memory, or None where the model's numbers are unknown: then the batch limit counts.
    """
    limit = engine.batching.max_sequences or adapter_for(engine.type).default_max_sequences(
        memory_bytes=placement.accelerator.memory,
        compute_capability=placement.accelerator.compute_capability,
    )
    if plan is None:
        return float(limit)
    return max(1.0, min(limit, plan.concurrency(min(MEAN_CONTEXT_TOKENS, plan.context_tokens))))


def gib(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / GIB:.1f} GiB"
