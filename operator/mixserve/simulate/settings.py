"""What a simulated engine is told: its GPUs, its model, and the engine's own knobs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixserve.simulate.speculation import SimulatedSpeculation

GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class HardwareFacts:
    """The GPUs of one engine, all alike.

    Attributes:
        memory_bytes: memory of one GPU.
        memory_bandwidth_bytes_per_s: memory bandwidth of one GPU.
        flops: dense matrix throughput of one GPU in FLOP/s, at the precision that the model computes in.
        gpus: how many GPUs share the model (tensor parallelism).
    """

    memory_bytes: int
    memory_bandwidth_bytes_per_s: float
    flops: float
    gpus: int = 1

    def __post_init__(self) -> None:
        _require_positive(self)


@dataclass(frozen=True, kw_only=True)
class ModelFactsForSimulation:
    """What of a model decides its memory and its speed.

    Attributes:
        parameters: all parameters.
        active_parameters: those that one token uses; fewer than all in a mixture of experts.
        weights_bytes: all weights as stored, over all GPUs of the engine together.
        kv_bytes_per_token: keys and values of one token, over all layers and all GPUs of the engine together
            (copies included, where there are more GPUs than KV heads).
    """

    parameters: int
    active_parameters: int
    weights_bytes: int
    kv_bytes_per_token: int

    def __post_init__(self) -> None:
        _require_positive(self)
        if self.active_parameters > self.parameters:
            raise ValueError(f"active_parameters: {self.active_parameters} is more than parameters ({self.parameters})")


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """One simulated engine. The knobs have vLLM's names and defaults.

    Attributes:
        max_model_len: longest context in tokens, prompt and answer.
        max_num_seqs: most requests in one batch.
        max_num_batched_tokens: most tokens in one step, prefill and decode together.
        gpu_memory_utilization: share of each GPU's memory that the engine may take, above 0, at most 1.
        block_size: tokens per KV block.
        enable_prefix_caching: keep the blocks of finished requests for prompts that begin alike.
        memory_overhead_bytes: per GPU, what is neither weights nor KV cache: activations, CUDA graphs, libraries.
            2.5 GiB is the middle of what vLLM was seen to take (2 to 3 GiB).
        speculation: what proposes tokens; None without speculative decoding.
    """

    hardware: HardwareFacts
    model: ModelFactsForSimulation
    max_model_len: int
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 2048
    gpu_memory_utilization: float = 0.92
    block_size: int = 16
    enable_prefix_caching: bool = True
    memory_overhead_bytes: int = 5 * GIB // 2
    speculation: SimulatedSpeculation | None = None

    @property
    def draft_bytes(self) -> int:
        """Weights that are there only to propose tokens, over all GPUs."""
        return 0 if self.speculation is None else self.speculation.draft_bytes

    def __post_init__(self) -> None:
        _require_positive(self)
        if self.gpu_memory_utilization > 1:
            raise ValueError(f"gpu_memory_utilization: must be at most 1, is {self.gpu_memory_utilization}")
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError(
                f"max_num_batched_tokens ({self.max_num_batched_tokens}) must be greater than or equal to "
                f"max_num_seqs ({self.max_num_seqs})."  # as vLLM says it: each running request needs a token
            )


def _require_positive(facts: HardwareFacts | ModelFactsForSimulation | EngineSettings) -> None:
    for field in fields(facts):
        value = getattr(facts, field.name)
        if isinstance(value, int | float) and not isinstance(value, bool) and not value > 0:
            raise ValueError(f"{field.name}: must be above 0, is {value}")
