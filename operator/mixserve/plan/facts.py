"""The numbers of a model from its config.json. What is not certain is unknown, with the reason; never a guess.

Known are dense decoders with grouped-query attention and a gated MLP, all layers alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mixserve.api.pool import LLMServingPool, ModelFacts, Variant
from mixserve.plan.model_source import source_of

DENSE_MODEL_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Values of `model_type` whose layers are all: attention (q, k, v, o), gated MLP (gate, up, down), two norms."""

# Keys that say what a layer is, by what they stand for. Null, false and 0 mean that it is not so.
_OTHER_STRUCTURES = {
    "text_config": "the configuration is nested, as in models that also see or hear",
    "kv_lora_rank": "it uses multi-head latent attention",
    "n_routed_experts": "it is a mixture of experts",
    "num_local_experts": "it is a mixture of experts",
    "num_experts": "it is a mixture of experts",
}

# Qwen3 alone has a default that does not follow from the other keys (transformers, Qwen3Config).
_DEFAULT_HEAD_DIM = {"qwen3": 128}

# With these the longest context is max_position_embeddings as it stands.
_UNSCALED_ROPE_TYPES = frozenset({"default", "llama3"})


@dataclass(frozen=True)
class UnknownFacts:
    """There are no numbers, and why, as a clause. Planning goes on without them."""

    detail: str


@dataclass(frozen=True)
class InvalidFacts:
    """The numbers are wrong: one sentence per problem, with its key."""

    problems: tuple[str, ...]


Facts = ModelFacts | UnknownFacts | InvalidFacts

_LARGEST_COUNT = 10**9
_Count = Annotated[int, Field(ge=1, le=_LARGEST_COUNT)]


class _DenseConfig(BaseModel):
    """The keys of config.json that planning reads."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    hidden_size: Annotated[int, Field(ge=1, le=10**6)]
    intermediate_size: _Count
    num_hidden_layers: Annotated[int, Field(ge=1, le=10**4)]
    num_attention_heads: Annotated[int, Field(ge=1, le=10**4)]
    num_key_value_heads: Annotated[int, Field(ge=1, le=10**4)] | None = None
    head_dim: Annotated[int, Field(ge=1, le=10**5)] | None = None
    vocab_size: Annotated[int, Field(ge=1, le=10**8)]
    max_position_embeddings: _Count
    tie_word_embeddings: bool = False


Configs = Mapping[str, Mapping[str, Any] | None]
"""Decoded config.json by source; None or absent where it could not be read."""


def facts_by_variant(pool: LLMServingPool, configs: Configs) -> dict[str, Facts]:
    """The facts of each variant's checkpoint, by the variant's name.

    Args:
        pool: its `spec.model.facts` hold for every variant where they are given.
        configs: config.json by source.
    """
    return {variant.name: _facts_of(pool, variant, configs=configs) for variant in pool.spec.variants}


def _facts_of(
    pool: LLMServingPool,
    variant: Variant,
    *,
    configs: Configs,
) -> Facts:
    if pool.spec.model.facts is not None:
        return pool.spec.model.facts
    source = source_of(pool, variant)
    config = configs.get(source)
    if config is None:
        return UnknownFacts(f"config.json of {source} can't be read by the operator")
    return facts_from_config(config)


def facts_from_config(config: Mapping[str, Any]) -> Facts:
    """Read a decoded config.json, which may hold anything."""
    obstacle = _structure_obstacle(config)
    if obstacle is not None:
        return UnknownFacts(f"{obstacle}, which is not supported yet")
    try:
        dense = _DenseConfig.model_validate(dict(config))
    except ValidationError as error:
        return InvalidFacts(tuple(_problem(entry) for entry in error.errors(include_url=False)))
    return _facts_from_dense(dense, str(config["model_type"]))


def _structure_obstacle(config: Mapping[str, Any]) -> str | None:
    """What makes the model another one than the formulas here are about."""
    for key, meaning in _OTHER_STRUCTURES.items():
        if config.get(key):
            return f"config.json has {key}: {meaning}"
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in DENSE_MODEL_TYPES:
        return f"config.json has model_type {_short(model_type)}"
    if _has_sliding_window(config):
        return "config.json has layers with a sliding window"
    rope = config.get("rope_scaling") or config.get("rope_parameters")
    return _rope_obstacle(rope, config.get("max_position_embeddings")) if isinstance(rope, Mapping) else None


def _rope_obstacle(rope: Mapping[str, Any], longest: object) -> str | None:
    """What makes the longest context another one than max_position_embeddings, or leaves it in doubt.

    YaRN stretches a context by a factor. Older versions of vLLM take the product of the original context and the factor
    for the longest one, newer ones max_position_embeddings, which is not the product in every published config.json.
    """
    rope_type = rope.get("rope_type") or rope.get("type")
    if not isinstance(rope_type, str) or rope_type in _UNSCALED_ROPE_TYPES:
        return None
    if rope_type == "yarn" and _stretched(rope) == longest:
        return None
    return (
        f"config.json has RoPE scaling of type {_short(rope_type)} with a longest context that may not be "
        "max_position_embeddings"
    )


def _stretched(rope: Mapping[str, Any]) -> float | None:
    original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    # Larger integers are no context, and can't be multiplied by a float.
    if isinstance(original, int) and original <= _LARGEST_COUNT and isinstance(factor, int | float):
        return original * factor
    return None


def _has_sliding_window(config: Mapping[str, Any]) -> bool:
    layers = config.get("layer_types")
    if isinstance(layers, list):
        return any(layer != "full_attention" for layer in layers)
    return bool(config.get("sliding_window")) and config.get("use_sliding_window") is not False


def _problem(entry: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in entry["loc"])
    if entry["type"] == "missing":
        return f"config.json: {key} is missing"
    message = str(entry["msg"])
    return f"config.json: {key}: {message[0].lower()}{message[1:]}, but it is {_short(entry['input'])}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."  # noqa: PLR2004 - enough to recognise it


def _facts_from_dense(config: _DenseConfig, model_type: str) -> Facts:
    heads = config.num_attention_heads
    head_dim = config.head_dim or _DEFAULT_HEAD_DIM.get(model_type)
    key_value_heads = config.num_key_value_heads or heads
    problems = []
    if head_dim is None and config.hidden_size % heads:
        problems.append(
            f"config.json: num_attention_heads ({heads}) does not divide hidden_size ({config.hidden_size}), "
            "and there is no head_dim"
        )
    if heads % key_value_heads:
        problems.append(
            f"config.json: num_key_value_heads ({key_value_heads}) does not divide num_attention_heads ({heads})"
        )
    if problems:
        return InvalidFacts(tuple(problems))
    return _counted(config, head_dim=head_dim or config.hidden_size // heads, key_value_heads=key_value_heads)


def _counted(config: _DenseConfig, *, head_dim: int, key_value_heads: int) -> Facts:
    """Facts with the number of parameters.

    Per layer q and o (hidden x heads x head_dim each), k and v (hidden x kv_heads x head_dim each), gate, up and down
    (hidden x intermediate each), two norms; outside of the layers the embeddings, the output matrix unless it is the
    same, and a norm. Biases and norms of queries and keys are left out: below 0.01 %.
    """
    hidden = config.hidden_size
    attention = 2 * hidden * head_dim * (config.num_attention_heads + key_value_heads)
    layer = attention + 3 * hidden * config.intermediate_size + 2 * hidden
    embeddings = config.vocab_size * hidden * (1 if config.tie_word_embeddings else 2)
    parameters = config.num_hidden_layers * layer + embeddings + hidden
    try:
        return ModelFacts(
            parameters=parameters,
            layers=config.num_hidden_layers,
            hidden_size=hidden,
            attention_heads=config.num_attention_heads,
            key_value_heads=key_value_heads,
            head_size=head_dim,
            vocabulary_size=config.vocab_size,
            max_position_embeddings=config.max_position_embeddings,
            tied_embeddings=config.tie_word_embeddings,
        )
    except ValidationError:
        return InvalidFacts((f"config.json: its dimensions make {parameters} parameters, which no model has",))
