"""What `model_type` says of a decoder that its other keys do not; from the models' code in transformers 5.19.

A family that is not here is unknown: a wrong guess would be a wrong size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from mixserve.plan.config_keys import (
    DecoderKeys,
    ExpertKeys,
    LatentKeys,
    ShuffledVisionKeys,
    Spellings,
    VisionKeys,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Windows(Enum):
    """Which layers have the sliding window, where layer_types does not say it."""

    UNKNOWN = "nobody says which"
    ALL = "all of them"
    PATTERN = "all but every n-th"


@dataclass(frozen=True, kw_only=True)
class Family:
    """A kind of decoder.

    Attributes:
        keys: what its config.json has.
        spellings: its own names of keys.
        defaults: what its config.json may leave out and engines then fill in.
        matrices: of an MLP: gate, up and down, or the last two alone.
        windows: which layers have a sliding window.
        pattern: n of `Windows.PATTERN`.
        context_is_scaled: whether max_position_embeddings has RoPE scaling in it, whatever its type.
    """

    keys: type[DecoderKeys] = DecoderKeys
    spellings: Spellings = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    matrices: int = 3
    windows: Windows = Windows.UNKNOWN
    pattern: int = 1
    context_is_scaled: bool = False


_PATTERN_KEYS: Spellings = {"sliding_window_pattern": ("sliding_window_pattern", "_sliding_window_pattern")}
_EXPERTS: Spellings = {"num_experts": ("num_experts", "num_local_experts")}
_ROUTED_EXPERTS: Spellings = {"num_experts": ("n_routed_experts", "num_local_experts")}
# All MLPs are experts, and have one width.
_ONLY_EXPERTS: Spellings = {
    "num_experts": ("num_local_experts", "num_experts"),
    "moe_intermediate_size": ("intermediate_size",),
}

# Qwen's configurations carry a window that is not used unless they say so.
_QWEN = {"use_sliding_window": False}
_GEMMA = {"head_dim": 256, "tie_word_embeddings": True}
_GLM = {"head_dim": 128, "num_key_value_heads": 2}

# Published configurations of Gemma 3 have only what differs from these.
_GEMMA_3 = {
    **_GEMMA,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 262208,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
}

_DENSE = {
    "llama": Family(),
    "granite": Family(),
    "mistral": Family(windows=Windows.ALL),
    "qwen2": Family(defaults=_QWEN),
    "qwen3": Family(defaults={**_QWEN, "head_dim": 128}),
    "phi": Family(matrices=2),
    "phi3": Family(windows=Windows.ALL),
    "gemma": Family(defaults=_GEMMA),
    "gemma2": Family(defaults={**_GEMMA, "sliding_window": 4096}, windows=Windows.PATTERN, pattern=2),
    "gemma3_text": Family(
        defaults=_GEMMA_3,
        spellings=_PATTERN_KEYS,
        windows=Windows.PATTERN,
        pattern=6,
        # vLLM leaves it as it is (`_get_and_verify_max_len`): the published 131072 are after scaling.
        context_is_scaled=True,
    ),
    "olmo2": Family(),
    "glm": Family(defaults=_GLM),
    "glm4": Family(defaults=_GLM),
    "cohere": Family(defaults={"tie_word_embeddings": True}),
    "cohere2": Family(
        defaults={"tie_word_embeddings": True, "sliding_window": 4096},
        spellings=_PATTERN_KEYS,
        windows=Windows.PATTERN,
        pattern=4,
    ),
    "starcoder2": Family(defaults={"tie_word_embeddings": True}, matrices=2, windows=Windows.ALL),
}

_EXPERT = {
    "mixtral": Family(keys=ExpertKeys, spellings=_ONLY_EXPERTS, windows=Windows.ALL),
    "olmoe": Family(keys=ExpertKeys, spellings=_ONLY_EXPERTS),
    "qwen2_moe": Family(keys=ExpertKeys, spellings=_EXPERTS, defaults=_QWEN),
    "qwen3_moe": Family(keys=ExpertKeys, spellings=_EXPERTS, defaults=_QWEN),
    "glm4_moe": Family(keys=ExpertKeys, spellings=_ROUTED_EXPERTS),
    "gpt_oss": Family(
        keys=ExpertKeys,
        spellings={**_ONLY_EXPERTS, "num_experts_per_tok": ("num_experts_per_tok", "experts_per_token")},
        defaults={"head_dim": 64, "sliding_window": 128},
        windows=Windows.PATTERN,
        pattern=2,
    ),
    "llama4_text": Family(
        keys=ExpertKeys,
        spellings={**_ONLY_EXPERTS, "intermediate_size": ("intermediate_size_mlp",)},
        # One beside the routed ones, as wide as they are.
        defaults={"n_shared_experts": 1, "head_dim": 128},
    ),
    "deepseek_v2": Family(keys=LatentKeys, spellings=_ROUTED_EXPERTS),
    "deepseek_v3": Family(keys=LatentKeys, spellings=_ROUTED_EXPERTS),
    "kimi_k2": Family(keys=LatentKeys, spellings=_ROUTED_EXPERTS),
}

FAMILIES: Mapping[str, Family] = {**_DENSE, **_EXPERT}
"""By `model_type`."""


@dataclass(frozen=True, kw_only=True)
class SeeingFamily:
    """A decoder (text_config) with a vision transformer (vision_config) whose weights can be counted.

    Attributes:
        language: `model_type` of the decoder.
        vision: `model_type` of the vision transformer.
        vision_keys: what its vision_config has.
    """

    language: str
    vision: str
    vision_keys: type[VisionKeys]


SEEING_FAMILIES: Mapping[str, SeeingFamily] = {
    "gemma3": SeeingFamily(language="gemma3_text", vision="siglip_vision_model", vision_keys=VisionKeys),
    "llama4": SeeingFamily(
        language="llama4_text",
        vision="llama4_vision_model",
        vision_keys=ShuffledVisionKeys,
    ),
}
"""By `model_type`."""
