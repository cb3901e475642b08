"""What weights take of the GPUs' memory: quantized parameters x bits / 8 + the others x 2 bytes."""

from __future__ import annotations

from decimal import ROUND_CEILING
from typing import TYPE_CHECKING

from mixserve.api.quantization import ModelPart

if TYPE_CHECKING:
    from mixserve.api.model_facts import ModelFacts
    from mixserve.api.quantization import QuantizationFormatSpec

UNQUANTIZED_BYTES = 2
"""What a format does not quantize stays at 16 bits."""

_NEAR = 0.2
"""A checkpoint whose size differs more from the computed one is in another format, or in 32 bits, which engines do not
keep. Within one format they differ by what else a checkpoint leaves unquantized."""


def weights_bytes(facts: ModelFacts, weights: QuantizationFormatSpec) -> int:
    """All weights as stored, on all GPUs together.

    That is the checkpoint's own size where it is known. In what is computed, norms and routers count as quantized,
    whatever the format says of them: they are less than 0.1 % of a model.
    """
    return _told_or(_computed(facts, weights), facts)


def unquantized_bytes(facts: ModelFacts) -> int:
    """All weights where every one has 16 bits, as those of drafts usually do."""
    return _told_or(facts.parameters * UNQUANTIZED_BYTES, facts)


def _told_or(computed: int, facts: ModelFacts) -> int:
    told = facts.checkpoint_bytes
    return told if told is not None and abs(told - computed) <= _NEAR * computed else computed


def active_weights_bytes(facts: ModelFacts, weights: QuantizationFormatSpec) -> int:
    """Those that a step with one token reads. Only experts are idle then, and what sees; experts are quantized."""
    idle = _computed(facts, weights) - _computed_active(facts, weights)
    return max(1, weights_bytes(facts, weights) - idle)


def _computed(facts: ModelFacts, weights: QuantizationFormatSpec) -> int:
    return _stored(facts.parameters, unquantized_parameters(facts, weights), weights)


def _computed_active(facts: ModelFacts, weights: QuantizationFormatSpec) -> int:
    used, idle_vision = facts.parameters_per_token, facts.vision_parameters or 0
    unquantized = unquantized_parameters(facts, weights) - idle_vision
    return _stored(max(used, unquantized), unquantized, weights)


def unquantized_parameters(facts: ModelFacts, weights: QuantizationFormatSpec) -> int:
    """Parameters that stay at 16 bits."""
    matrix = facts.vocabulary_size * facts.hidden_size
    output = 0 if facts.tied_embeddings else matrix
    parts = {
        ModelPart.EMBEDDINGS: matrix,
        ModelPart.OUTPUT_MATRIX: output,
        ModelPart.ATTENTION: facts.attention,
        ModelPart.ROUTER: 0,
    }
    return (facts.vision_parameters or 0) + sum(parts[part] for part in weights.unquantized)


def _stored(parameters: int, unquantized: int, weights: QuantizationFormatSpec) -> int:
    quantized = weights.bits * (parameters - unquantized) / 8
    return int(quantized.to_integral_value(ROUND_CEILING)) + unquantized * UNQUANTIZED_BYTES
