"""What fits: weights, keys and values, and the engine's own needs against the memory of the GPUs.

    budget = memory x utilization - weights - draft's weights - overhead

The budget is vLLM's (`determine_available_memory`): it takes its share of the memory, profiles a step of the largest
size, and gives the rest to the KV cache, which has to hold one request of the longest context. `plan.weights` and
`plan.kv_memory` have the terms.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mixserve.api.model_facts import ModelFacts
from mixserve.api.scalars import GIB
from mixserve.engines.registry import adapter_for
from mixserve.plan.adapter_memory import adapter_bytes
from mixserve.plan.kv_memory import KVMemory, kv_memory
from mixserve.plan.proposer import Proposer, proposer_of
from mixserve.plan.weights import active_weights_bytes, weights_bytes

if TYPE_CHECKING:
    from mixserve.api.accelerator import AcceleratorClassSpec
    from mixserve.api.engine import Engine
    from mixserve.plan.facts import Facts
    from mixserve.plan.placement import Placement
    from mixserve.plan.speculation import Speculation

OVERHEAD_BYTES_PER_GPU = 5 * GIB // 2
"""Activations of the profiled step, CUDA graphs, CUDA context and NCCL: 2 to 3 GiB with most models."""

LATENT_OVERHEAD_BYTES_PER_GPU = 5 * GIB
"""The same with multi-head latent attention, which widens what it keeps to full heads while it reads prompts."""

MEAN_CONTEXT_TOKENS = 1400
"""What a request holds on average before anything is known of the load: 1155 tokens of prompt and 211 of answer in the
conversations of Azure's LLM inference traces of 2023, the answer counted in full."""

_FULL_BITS = 16


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """One replica's memory, over all its GPUs together.

    Attributes:
        parameters: of the model.
        active_parameters: those that a token uses.
        tensor_parallel: GPUs.
        compute_bits: bits of the matrix arithmetic on this GPU: the format's where it is native, else 16.
        memory_bytes: what the engine may take.
        weights_bytes: weights as stored.
        active_weights_bytes: those that a step with one token reads.
        overhead_bytes: what is neither weights nor KV cache; the room for LoRA adapters is part of it.
        kv: what a request's keys and values take, with the copies where there are more GPUs than KV heads, and those of
            a draft.
        kv_budget_bytes: what is left for the KV cache; negative where the weights do not fit.
        context_tokens: the longest request that the engine has to promise to take.
        kv_block_tokens: tokens of a block of the KV cache.
        kv_capacity_tokens: the longest request that the KV cache can hold, >= 0; without sliding windows also what it
            holds of shorter ones together.
        proposer: what proposes tokens; None without speculative decoding, and where its numbers are not known.
    """

    parameters: int
    active_parameters: int
    tensor_parallel: int
    compute_bits: int
    memory_bytes: int
    weights_bytes: int
    active_weights_bytes: int
    overhead_bytes: int
    kv: KVMemory
    kv_budget_bytes: int
    context_tokens: int
    kv_block_tokens: int
    kv_capacity_tokens: int
    proposer: Proposer | None = None

    @property
    def draft_bytes(self) -> int:
        """Weights that are there only to propose tokens."""
        return 0 if self.proposer is None else self.proposer.memory_bytes

    @property
    def fits(self) -> bool:
        """Whether the engine would start."""
        return self.context_tokens <= self.kv_capacity_tokens

    @property
    def sentence(self) -> str:
        """The plan for people."""
        gpus = "GPU" if self.tensor_parallel == 1 else "GPUs"
        draft = f", {gib(self.draft_bytes)} of a draft" if self.draft_bytes else ""
        needs = (
            f"{gib(self.weights_bytes)} of weights{draft} and {gib(self.overhead_bytes)} of overhead on "
            f"{self.tensor_parallel} {gpus} with {gib(self.memory_bytes)} for the engine"
        )
        if self.kv_budget_bytes < 0:
            return f"{needs} are {gib(-self.kv_budget_bytes)} too much, before any KV cache"
        return (
            f"{needs} leave {gib(self.kv_budget_bytes)} for the KV cache: {self.kv_capacity_tokens} tokens, and one "
            f"request may have {self.context_tokens}"
        )

    @property
    def kv_bytes_per_token(self) -> int:
        """Keys and values of one token; those of a request's older tokens take less where layers have windows."""
        return self.kv.bytes_per_token

    @property
    def max_concurrency(self) -> float:
        """Requests of the longest context that the KV cache holds at once; below 1 where the engine does not start."""
        return self._pool_bytes / self.kv.reserved(self.context_tokens)

    def concurrency(self, mean_context_tokens: float) -> float:
        """Requests of `mean_context_tokens` (> 0) that the KV cache holds at once."""
        return self._pool_bytes / self.kv.held(mean_context_tokens)

    @property
    def _pool_bytes(self) -> int:
        """The KV cache in whole blocks."""
        block = self.kv_bytes_per_token * self.kv_block_tokens
        return max(0, self.kv_budget_bytes // block) * block

    def to_annotation(self) -> str:
        """The wire form on pods: JSON with camelCase keys, sorted."""
        wire = {
            "parameters": self.parameters,
            "activeParameters": self.active_parameters,
            "weightsBytes": self.weights_bytes,
            # Readers know one number: the mean over the longest request.
            "kvBytesPerToken": math.ceil(self.kv.held(self.context_tokens) / self.context_tokens),
            "tensorParallel": self.tensor_parallel,
            "computeBits": self.compute_bits,
            "maxModelLen": self.context_tokens,
            **({"draftBytes": self.draft_bytes} if self.draft_bytes else {}),
        }
        return json.dumps(wire, sort_keys=True, separators=(",", ":"))


def memory_plan_if_known(
    facts: Facts | None,
    *,
    engine: Engine,
    placement: Placement,
    speculation: Speculation | None = None,
) -> MemoryPlan | None:
    """Work out one replica's memory; None where the model's numbers are not known."""
    if not isinstance(facts, ModelFacts):
        return None
    return memory_plan(facts, engine=engine, placement=placement, speculation=speculation)


def memory_plan(
    facts: ModelFacts,
    *,
    engine: Engine,
    placement: Placement,
    speculation: Speculation | None = None,
) -> MemoryPlan:
    """Work out one replica's memory.

    Args:
        facts: the model.
        engine: the pool's engine section.
        placement: what the variant's names stand for.
        speculation: what proposes tokens, or None. Where its numbers are not known it counts for nothing.
    """
    gpus, gpu = placement.tensor_parallel, placement.accelerator
    usable = gpu.memory * engine.kv_cache.memory_utilization_percent // 100 * gpus
    weights = weights_bytes(facts, placement.weights)
    adapters = adapter_bytes(facts, placement.adapters, tensor_parallel=gpus)
    overhead = overhead_bytes_per_gpu(facts) * gpus + adapters
    kv = kv_memory(facts, bits=placement.kv_bits, tensor_parallel=gpus, step_tokens=_step_tokens(engine, gpu))
    proposer = None if speculation is None else proposer_of(speculation, facts, placement=placement)
    if proposer is not None:
        kv = replace(kv, full_bytes=kv.full_bytes + proposer.kv_bytes_per_token)
    budget = usable - weights - overhead - (0 if proposer is None else proposer.memory_bytes)
    block = adapter_for(engine.type).kv_block_tokens
    return MemoryPlan(
        parameters=facts.parameters,
        active_parameters=facts.parameters_per_token,
        tensor_parallel=gpus,
        compute_bits=_compute_bits(placement),
        memory_bytes=usable,
        weights_bytes=weights,
        active_weights_bytes=active_weights_bytes(facts, placement.weights),
        overhead_bytes=overhead,
        kv=kv,
        kv_budget_bytes=budget,
        context_tokens=engine.max_model_len or facts.max_position_embeddings,
        kv_block_tokens=block,
        kv_capacity_tokens=kv.longest(max(0, budget)) // block * block,
        proposer=proposer,
    )


def overhead_bytes_per_gpu(facts: ModelFacts) -> int:
    """What an engine takes beside weights and KV cache."""
    return OVERHEAD_BYTES_PER_GPU if facts.latent_size is None else LATENT_OVERHEAD_BYTES_PER_GPU


def _step_tokens(engine: Engine, accelerator: AcceleratorClassSpec) -> int:
    """The most tokens of one step; 0 where nobody knows."""
    default = adapter_for(engine.type).default_max_batched_tokens(
        engine,
        memory_bytes=accelerator.memory,
        compute_capability=accelerator.compute_capability,
    )
    return engine.batching.max_batched_tokens or default or 0


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
