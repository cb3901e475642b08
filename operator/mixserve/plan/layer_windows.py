"""How many layers have a sliding window: keys and values of these stop at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.plan.config_keys import InvalidConfigError, UnknownConfigError, short
from mixserve.plan.families import Windows

if TYPE_CHECKING:
    from mixserve.plan.config_keys import DecoderKeys
    from mixserve.plan.families import Family

_SLIDING = "sliding_attention"
# Llama 4's chunks are kept in full as well: vLLM frees none unless it is told to
# (VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE).
_FULL = frozenset({"full_attention", "chunked_attention"})


def sliding_layers(keys: DecoderKeys, family: Family) -> int:
    """Layers with a sliding window.

    Raises:
        InvalidConfigError: the keys contradict each other.
        UnknownConfigError: nobody can tell.
    """
    if keys.layer_types is not None:
        return _named(keys.layer_types, keys)
    if not keys.sliding_window or not keys.use_sliding_window:
        return 0
    if family.windows is Windows.UNKNOWN:
        raise UnknownConfigError("config.json has sliding_window, and not which layers have it (layer_types)")
    if family.windows is Windows.ALL:
        return keys.num_hidden_layers
    return keys.num_hidden_layers - keys.num_hidden_layers // (keys.sliding_window_pattern or family.pattern)


def _named(types: list[str], keys: DecoderKeys) -> int:
    other = next((one for one in types if one != _SLIDING and one not in _FULL), None)
    if other is not None:
        raise UnknownConfigError(f"config.json has layers of type {short(other)}")
    layers, sliding = keys.num_hidden_layers, types.count(_SLIDING)
    if len(types) != layers:
        raise InvalidConfigError([f"config.json: layer_types has {len(types)} entries for {layers} layers"])
    if sliding and not keys.sliding_window:
        raise InvalidConfigError(["config.json: layer_types has sliding_attention, and sliding_window is missing"])
    return sliding
