"""The numbers of an EAGLE-3 head from its config.json: one layer of a transformer on top of the model's hidden states.

    fc       3 x the model's hidden size -> the head's     (hidden states of three layers)
    layer    attention whose input is twice as wide (hidden states and embeddings), and an MLP
    lm_head  hidden size -> the head's own, smaller vocabulary

Embeddings are the model's. So it is in vLLM's `llama_eagle3.py`, and published heads have this size: 424 M parameters
(850 MB) for Llama-3.1-8B.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError

from mixserve.api.model_facts import ModelFacts
from mixserve.plan.checkpoint_size import checkpoint_bytes
from mixserve.plan.config_keys import DecoderKeys, InvalidConfigError, read_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

_HIDDEN_STATES = 3
"""Layers of the model whose hidden states the head reads."""

_Width = Annotated[int, Field(ge=1, le=10**6)]


class _HeadKeys(DecoderKeys):
    draft_vocab_size: Annotated[int, Field(ge=1, le=10**8)] | None = None
    target_hidden_size: _Width | None = None


def is_eagle3_head(config: Mapping[str, Any]) -> bool:
    """Whether a decoded config.json is that of an EAGLE-3 head, and not of a model that works by itself."""
    architectures = config.get("architectures")
    names = architectures if isinstance(architectures, list) else []
    return (
        any(isinstance(name, str) and "eagle3" in name.lower() for name in names)
        or config.get("speculators_model_type") == "eagle3"
        or config.get("draft_vocab_size") is not None
    )


def target_hidden_size(config: Mapping[str, Any]) -> int | None:
    """The hidden size of the model that the head was made for; None where config.json does not say it."""
    places = list(_places(config))
    said = (place.get(key) for key in ("target_hidden_size", "hidden_size") for place in places)
    return next((size for size in said if isinstance(size, int) and not isinstance(size, bool)), None)


def head_facts(config: Mapping[str, Any]) -> ModelFacts:
    """Read a decoded config.json, which may hold anything.

    The vocabulary is the head's own, and counts as tied: there are no embeddings beside the output matrix.

    Raises:
        InvalidConfigError: keys are missing or wrong.
    """
    keys = read_keys(_HeadKeys, _flat(config), spellings={}, defaults={}, place="the draft's config.json")
    heads, vocabulary = keys.num_attention_heads, keys.draft_vocab_size or keys.vocab_size
    kv_heads, head_size = keys.num_key_value_heads or heads, keys.head_dim or keys.hidden_size // heads
    try:
        return ModelFacts(
            parameters=_parameters(keys, kv_heads=kv_heads, head_size=head_size, vocabulary=vocabulary),
            layers=keys.num_hidden_layers,
            hidden_size=keys.hidden_size,
            attention_heads=heads,
            key_value_heads=kv_heads,
            head_size=head_size,
            vocabulary_size=vocabulary,
            max_position_embeddings=keys.max_position_embeddings,
            tied_embeddings=True,
            checkpoint_bytes=checkpoint_bytes(config),
        )
    except ValidationError:
        raise InvalidConfigError(["the draft's config.json: its dimensions are those of no head"]) from None


def _parameters(
    keys: _HeadKeys,
    *,
    kv_heads: int,
    head_size: int,
    vocabulary: int,
) -> int:
    hidden, heads, layers = keys.hidden_size, keys.num_attention_heads, keys.num_hidden_layers
    fc = _HIDDEN_STATES * (keys.target_hidden_size or hidden) * hidden
    projections = head_size * (heads + 2 * kv_heads)
    # The first layer reads embeddings and hidden states.
    attention = hidden * projections * (layers + 1) + layers * hidden * head_size * heads
    return fc + attention + layers * 3 * hidden * keys.intermediate_size + vocabulary * hidden


def _places(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The configuration, and the layer's where it is nested, as the library Speculators writes it."""
    yield config
    nested = config.get("transformer_layer_config")
    if isinstance(nested, Mapping):
        yield nested


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for place in reversed(list(_places(config))) for key, value in place.items()}
