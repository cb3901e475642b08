"""How long one step takes: the larger of moving the bytes and doing the arithmetic, plus a fixed overhead.

    step = max[(weights read + sum of context x KV bytes) / (GPUs x bandwidth x 0.7),
               2 x active parameters x batch tokens / (GPUs x FLOPS x 0.5)] + overhead

So the time per output token is a step of the batch, and the time to first token is the queue plus the steps that
compute the prompt. Weights are read once per step, those of an expert if any token of the step uses it: with as many as
a batch usually has, nearly all are. Left out: the attention's own arithmetic (it grows with the square of a prompt and
matters from some ten thousand tokens on), and communication between GPUs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

# What kernels reach of the data sheet's numbers; usual for decoding (bandwidth) and for prefill (arithmetic).
BANDWIDTH_EFFICIENCY = 0.7
COMPUTE_EFFICIENCY = 0.5
# Scheduling, kernel launches and sampling of one step. An assumption: vLLM with CUDA graphs and asynchronous
# scheduling stays in the low milliseconds.
STEP_OVERHEAD_S = 0.002


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """The formula's coefficients for one model on its GPUs.

    Attributes:
        weights_s: seconds for the weights that every token uses.
        experts_s: seconds for the others: 0 without a mixture of experts.
        unused_share: of those, what a token more leaves unused, 0 to 1; tokens choose independently of each other.
        kv_s_per_context_token: seconds.
        compute_s_per_batch_token: seconds.
        overhead_s: seconds.
    """

    weights_s: float
    experts_s: float
    unused_share: float
    kv_s_per_context_token: float
    compute_s_per_batch_token: float
    overhead_s: float = STEP_OVERHEAD_S

    @classmethod
    def of(
        cls,
        *,
        gpus: int,
        memory_bandwidth_bytes_per_s: float,
        flops: float,
        parameters: int,
        active_parameters: int,
        weights_bytes: int,
        active_weights_bytes: float,
        kv_bytes_per_token: float,
    ) -> Self:
        """Work out the coefficients.

        Args:
            gpus: how many GPUs share the model.
            memory_bandwidth_bytes_per_s: of one GPU.
            flops: dense matrix throughput of one GPU in FLOP/s, at the precision that the model computes in.
            parameters: of the model.
            active_parameters: those that one token uses.
            weights_bytes: all weights as stored, over all GPUs together.
            active_weights_bytes: those that one token uses.
            kv_bytes_per_token: keys and values of one token, over all GPUs together.
        """
        bytes_per_s = gpus * memory_bandwidth_bytes_per_s * BANDWIDTH_EFFICIENCY
        return cls(
            weights_s=active_weights_bytes / bytes_per_s,
            experts_s=(weights_bytes - active_weights_bytes) / bytes_per_s,
            # Of the whole model, since the share of its experts is not always known: a little less than among them.
            unused_share=1 - active_parameters / parameters,
            kv_s_per_context_token=kv_bytes_per_token / bytes_per_s,
            compute_s_per_batch_token=2 * active_parameters / (gpus * flops * COMPUTE_EFFICIENCY),
        )

    def step_s(self, *, batch_tokens: float, context_tokens: float) -> float:
        """Seconds of one step.

        Args:
            batch_tokens: tokens that the step computes: prompt tokens of prefills, one for each decode; at least 1.
            context_tokens: tokens whose keys and values the step reads, summed over its requests.
        """
        experts_s = self.experts_s * (1 - math.pow(self.unused_share, batch_tokens - 1))
        memory_s = self.weights_s + experts_s + context_tokens * self.kv_s_per_context_token
        compute_s = batch_tokens * self.compute_s_per_batch_token
        return max(memory_s, compute_s) + self.overhead_s
