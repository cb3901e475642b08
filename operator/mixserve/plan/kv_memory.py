"""What keys and values take of the GPUs' memory.

    full layers:            2 (keys, values) x KV heads x head size numbers for each token of a request
    sliding-window layers:  the same for the last tokens only, and for those of the steps that are under way
    latent attention:       one vector per token and layer, whole on every GPU

KV heads are shared out over the GPUs, and copied where there are fewer heads than GPUs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from mixserve.api.model_facts import ModelFacts

STEPS_IN_FLIGHT = 2
"""Steps whose tokens vLLM keeps beside a window, since it frees them when a step has ended and schedules the next one
before (`SlidingWindowSpec.max_admission_blocks_per_request`, `VllmConfig.max_in_flight_tokens`, async scheduling)."""

ENDLESS_TOKENS = 10**9
"""Stands for "any length", where all layers have a window: more than any model's context."""


@dataclass(frozen=True, kw_only=True)
class KVMemory:
    """Bytes of one request's keys and values on all GPUs together, by its length.

    Attributes:
        full_bytes: per token, of layers that keep all tokens.
        window_bytes: per token, of layers with a sliding window.
        window_tokens: the window; 0 where no layer has one.
        reserved_tokens: what such a layer may hold of a request while steps are under way; at least the window.
    """

    full_bytes: int
    window_bytes: int = 0
    window_tokens: int = 0
    reserved_tokens: int = 0

    @property
    def bytes_per_token(self) -> int:
        """Of a token within the window."""
        return self.full_bytes + self.window_bytes

    def held(self, tokens: float) -> float:
        """What a request of `tokens` tokens (> 0) holds while it is answered."""
        return self.full_bytes * tokens + self.window_bytes * min(tokens, self.window_tokens)

    def reserved(self, tokens: int) -> int:
        """What the engine wants to have for a request of `tokens` tokens before it starts."""
        return self.full_bytes * tokens + self.window_bytes * min(tokens, self.reserved_tokens)

    def longest(self, budget_bytes: int) -> int:
        """Tokens of the longest request that the engine takes with `budget_bytes` (>= 0)."""
        within = budget_bytes // self.bytes_per_token
        if self.window_bytes == 0 or within < self.reserved_tokens:
            return within
        if self.full_bytes == 0:
            return ENDLESS_TOKENS
        return (budget_bytes - self.window_bytes * self.reserved_tokens) // self.full_bytes


def kv_memory(
    facts: ModelFacts,
    *,
    bits: Decimal,
    tensor_parallel: int,
    step_tokens: int = 0,
) -> KVMemory:
    """Work out what keys and values take.

    Args:
        facts: the model.
        bits: of one number in the KV cache.
        tensor_parallel: GPUs.
        step_tokens: the most that the engine computes in one step, >= 0.
    """
    window = 0 if facts.sliding_window is None else facts.sliding_window.tokens
    per_layer = _numbers_per_layer(facts, tensor_parallel)
    return KVMemory(
        full_bytes=_bytes(per_layer * (facts.layers - facts.window_layers), bits),
        window_bytes=_bytes(per_layer * facts.window_layers, bits),
        window_tokens=window,
        reserved_tokens=max(window, window - 1 + STEPS_IN_FLIGHT * step_tokens),
    )


def _numbers_per_layer(facts: ModelFacts, tensor_parallel: int) -> int:
    """Of one token, on all GPUs together."""
    if facts.latent_size is not None:
        return facts.latent_size * tensor_parallel
    return 2 * math.ceil(facts.key_value_heads / tensor_parallel) * facts.head_size * tensor_parallel


def _bytes(numbers: int, bits: Decimal) -> int:
    return int((bits * numbers / 8).to_integral_value(ROUND_CEILING))
