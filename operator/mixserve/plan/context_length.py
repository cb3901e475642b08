"""Whether max_position_embeddings is a model's longest context: RoPE scaling may stretch it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixserve.plan.config_keys import LARGEST_COUNT, short

# With these the longest context is max_position_embeddings as it stands.
_UNSCALED_ROPE_TYPES = frozenset({"default", "llama3"})


def context_obstacle(config: Mapping[str, Any]) -> str | None:
    """What makes the longest context another one than max_position_embeddings, or leaves it in doubt."""
    rope = config.get("rope_scaling") or config.get("rope_parameters")
    if not isinstance(rope, Mapping):
        return None
    # Since transformers 5 there may be one for each type of layer.
    nested = [inner for inner in rope.values() if isinstance(inner, Mapping)]
    found = (_rope_obstacle(one, config.get("max_position_embeddings")) for one in [rope, *nested])
    return next((obstacle for obstacle in found if obstacle is not None), None)


def _rope_obstacle(rope: Mapping[str, Any], longest: object) -> str | None:
    """The same for one kind of RoPE.

    YaRN stretches a context by a factor. Older versions of vLLM take the product of the original context and the factor
    for the longest one, newer ones max_position_embeddings, which is not the product in every published config.json.
    """
    rope_type = rope.get("rope_type") or rope.get("type")
    if not isinstance(rope_type, str) or rope_type in _UNSCALED_ROPE_TYPES:
        return None
    if rope_type == "yarn" and _stretched(rope) == longest:
        return None
    return (
        f"config.json has RoPE scaling of type {short(rope_type)} with a longest context that may not be "
        "max_position_embeddings"
    )


def _stretched(rope: Mapping[str, Any]) -> float | None:
    original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    # Larger integers are no context, and can't be multiplied by a float.
    if isinstance(original, int) and original <= LARGEST_COUNT and isinstance(factor, int | float):
        return original * factor
    return None
