"""How long one step takes: the larger of moving the bytes and doing the arithmetic, plus a fixed overhead.

    step = max[(active weights + sum of context x KV bytes) / (GPUs x bandwidth x 0.7),
               2 x active parameters x batch tokens / (GPUs x FLOPS x 0.5)] + overhead

So the time per output token is a step of the batch, and the time to first token is the queue plus the steps that
compute the prompt. Left out: the attention's own arithmetic (it grows with the square of a prompt and matters from
some ten thousand tokens on), communication between GPUs, and experts beyond those that one token uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from mixserve.simulate.settings import HardwareFacts, ModelFactsForSimulation

# What kernels reach of the data sheet's numbers; usual for decoding (bandwidth) and for prefill (arithmetic).
BANDWIDTH_EFFICIENCY = 0.7
COMPUTE_EFFICIENCY = 0.5
# Scheduling, kernel launches and sampling of one step. An assumption: vLLM with CUDA graphs and asynchronous
# scheduling stays in the low milliseconds.
STEP_OVERHEAD_S = 0.002


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """The formula's coefficients for one model on its GPUs, all in seconds."""

    weights_s: float
    kv_s_per_context_token: float
    compute_s_per_batch_token: float
    overhead_s: float = STEP_OVERHEAD_S

    @classmethod
    def of(cls, hardware: HardwareFacts, model: ModelFactsForSimulation) -> Self:
        """Work out the coefficients."""
        bytes_per_s = hardware.gpus * hardware.memory_bandwidth_bytes_per_s * BANDWIDTH_EFFICIENCY
        flops = hardware.gpus * hardware.flops * COMPUTE_EFFICIENCY
        active_weights_bytes = model.weights_bytes * model.active_parameters / model.parameters
        return cls(
            weights_s=active_weights_bytes / bytes_per_s,
            kv_s_per_context_token=model.kv_bytes_per_token / bytes_per_s,
            compute_s_per_batch_token=2 * model.active_parameters / flops,
        )

    def step_s(self, *, batch_tokens: int, context_tokens: int) -> float:
        """Seconds of one step.

        Args:
            batch_tokens: tokens that the step computes: prompt tokens of prefills, one for each decode; at least 1.
            context_tokens: tokens whose keys and values the step reads, summed over its requests.
        """
        memory_s = self.weights_s + context_tokens * self.kv_s_per_context_token
        compute_s = batch_tokens * self.compute_s_per_batch_token
        return max(memory_s, compute_s) + self.overhead_s
