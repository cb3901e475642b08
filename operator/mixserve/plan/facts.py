"""The numbers of a model from its config.json. What is not certain is unknown, with the reason; never a guess.

`families` has the kinds of models that are known, `parameters` the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.model_facts import ModelFacts, SlidingWindow
from mixserve.plan.absence import NO_REASONS, Absence, Absences, Outlook
from mixserve.plan.checkpoint_size import checkpoint_bytes
from mixserve.plan.config_keys import (
    DecoderKeys,
    ExpertKeys,
    InvalidConfigError,
    LatentKeys,
    UnknownConfigError,
    VisionKeys,
    read_keys,
    short,
)
from mixserve.plan.context_length import context_obstacle
from mixserve.plan.families import FAMILIES, SEEING_FAMILIES, Family, SeeingFamily
from mixserve.plan.layer_windows import sliding_layers
from mixserve.plan.model_source import Repository, repository_of
from mixserve.plan.parameters import count_parameters, count_vision

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool

# Keys of structures that a model_type has or has not, by what they stand for. Null, false and 0 mean that it is not so.
_LATENT = {"kv_lora_rank": "it uses multi-head latent attention"}
_EXPERTS = dict.fromkeys(("n_routed_experts", "num_local_experts", "num_experts"), "it is a mixture of experts")
_NESTED = {"text_config": "the configuration is nested, as in models that also see or hear"}


GIVE_FACTS = "give the model's numbers in spec.model.facts to have its fit checked"


@dataclass(frozen=True)
class UnknownFacts:
    """There are no numbers. Planning goes on without them, unless they are about to come.

    Attributes:
        detail: why, as a clause.
        remedy: what to do, as an instruction without a full stop.
        outlook: whether waiting helps.
    """

    detail: str
    remedy: str = GIVE_FACTS
    outlook: Outlook = Outlook.NEVER


@dataclass(frozen=True)
class InvalidFacts:
    """The numbers are wrong: one sentence per problem, with its key."""

    problems: tuple[str, ...]


Facts = ModelFacts | UnknownFacts | InvalidFacts

Configs = Mapping[Repository, Mapping[str, Any] | None]
"""Decoded config.json by checkpoint; None or absent where it could not be read."""


def facts_by_variant(
    pool: LLMServingPool,
    configs: Configs,
    absences: Absences = NO_REASONS,
) -> dict[str, Facts]:
    """The facts of each variant's checkpoint, by the variant's name.

    Args:
        pool: its `spec.model.facts` hold for every variant where they are given.
        configs: config.json by checkpoint.
        absences: why there is none of a checkpoint.
    """
    found = {}
    for variant in pool.spec.variants:
        repository = repository_of(pool, variant)
        found[variant.name] = pool.spec.model.facts or _facts_of(
            repository, config=configs.get(repository), absence=absences.get(repository)
        )
    return found


def _facts_of(
    repository: Repository,
    *,
    config: Mapping[str, Any] | None,
    absence: Absence | None,
) -> Facts:
    if config is not None:
        return facts_from_config(config)
    if absence is not None:
        return UnknownFacts(absence.detail, absence.remedy, absence.outlook)
    return UnknownFacts(f"config.json of {repository} can't be read by the operator")


def facts_from_config(config: Mapping[str, Any]) -> Facts:
    """Read a decoded config.json, which may hold anything."""
    try:
        return _facts_of_model(config)
    except InvalidConfigError as error:
        return InvalidFacts(error.problems)
    except UnknownConfigError as error:
        return UnknownFacts(f"{error}, which is not supported yet")


def _facts_of_model(config: Mapping[str, Any]) -> ModelFacts:
    """The facts of a language model, or of one that also sees.

    Raises:
        InvalidConfigError: keys are missing or wrong.
        UnknownConfigError: nobody can tell.
    """
    model_type, text = config.get("model_type"), config
    seeing = SEEING_FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if seeing is not None:
        model_type, text = seeing.language, _language(config)
    family = _family(model_type, text)
    vision, problems = (None, ()) if seeing is None else _vision(config, seeing)
    keys = _decoder(text, family, also=problems)
    head_size, key_value_heads = _heads(keys)
    found = count_parameters(keys, family, head_size=head_size, key_value_heads=key_value_heads)
    unread = 0 if vision is None else count_vision(vision, keys.hidden_size)
    return _checked(
        parameters=found.total + unread,
        layers=keys.num_hidden_layers,
        hidden_size=keys.hidden_size,
        attention_heads=keys.num_attention_heads,
        key_value_heads=key_value_heads,
        head_size=head_size,
        vocabulary_size=keys.vocab_size,
        max_position_embeddings=keys.max_position_embeddings,
        tied_embeddings=keys.tie_word_embeddings,
        active_parameters=found.total - found.idle_experts if found.idle_experts + unread else None,
        expert_parameters=found.experts or None,
        vision_parameters=unread or None,
        checkpoint_bytes=checkpoint_bytes(config),
        sliding_window=_window(keys, layers=sliding_layers(keys, family)),
        **_latent(keys, found.attention),
    )


def _language(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's keys, in a model that also sees; whether it ties embeddings may stand outside of them."""
    text = config.get("text_config")
    if not isinstance(text, Mapping):
        raise InvalidConfigError([f"config.json: text_config must be an object, but it is {short(text)}"])
    outside = {key: config[key] for key in ("tie_word_embeddings",) if key in config}
    return {**outside, **text}


def _family(model_type: object, config: Mapping[str, Any]) -> Family:
    """What is known of the model's kind.

    Raises:
        UnknownConfigError: nothing, or it is not like others of its kind.
    """
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    for key, meaning in {**_NESTED, **({} if family is None else _foreign(family))}.items():
        if config.get(key):
            raise UnknownConfigError(f"config.json has {key}: {meaning}")
    if family is None:
        named = "no model_type" if model_type is None else f"model_type {short(model_type)}"
        raise UnknownConfigError(f"config.json has {named}")
    obstacle = None if family.context_is_scaled else context_obstacle(config)
    if obstacle is not None:
        raise UnknownConfigError(obstacle)
    return family


def _foreign(family: Family) -> Mapping[str, str]:
    """Keys of structures that the family does not have."""
    experts = {} if issubclass(family.keys, ExpertKeys) else _EXPERTS
    return experts if issubclass(family.keys, LatentKeys) else {**experts, **_LATENT}


def _decoder(
    text: Mapping[str, Any],
    family: Family,
    *,
    also: tuple[str, ...],
) -> DecoderKeys:
    """The language model's keys.

    Raises:
        InvalidConfigError: they are wrong, or `also` says so of others.
    """
    try:
        keys = read_keys(family.keys, text, spellings=family.spellings, defaults=family.defaults, place="config.json")
    except InvalidConfigError as error:
        raise InvalidConfigError([*error.problems, *also]) from None
    if also:
        raise InvalidConfigError(also)
    return keys


def _vision(config: Mapping[str, Any], family: SeeingFamily) -> tuple[VisionKeys | None, tuple[str, ...]]:
    """What sees, if anything does, or what is wrong with its keys.

    Raises:
        UnknownConfigError: it is of another kind.
    """
    vision, place = config.get("vision_config"), "config.json: vision_config"
    if not vision:
        return None, ()
    if not isinstance(vision, Mapping):
        return None, (f"{place} must be an object, but it is {short(vision)}",)
    kind = vision.get("model_type")
    if kind != family.vision or vision.get("vision_use_head"):
        raise UnknownConfigError(f"config.json has a vision_config of model_type {short(kind)}")
    try:
        return read_keys(family.vision_keys, vision, spellings={}, defaults={}, place=place), ()
    except InvalidConfigError as error:
        return None, error.problems


def _heads(keys: DecoderKeys) -> tuple[int, int]:
    """The width of a head, and the number of key-value heads."""
    heads = keys.num_attention_heads
    if isinstance(keys, LatentKeys):
        return keys.qk_nope_head_dim + keys.qk_rope_head_dim, heads
    key_value_heads, problems = keys.num_key_value_heads or heads, []
    if keys.head_dim is None and keys.hidden_size % heads:
        problems.append(
            f"config.json: num_attention_heads ({heads}) does not divide hidden_size ({keys.hidden_size}), "
            "and there is no head_dim"
        )
    if heads % key_value_heads:
        problems.append(
            f"config.json: num_key_value_heads ({key_value_heads}) does not divide num_attention_heads ({heads})"
        )
    if problems:
        raise InvalidConfigError(problems)
    return keys.head_dim or keys.hidden_size // heads, key_value_heads


def _window(keys: DecoderKeys, *, layers: int) -> SlidingWindow | None:
    return SlidingWindow(tokens=keys.sliding_window, layers=layers) if layers and keys.sliding_window else None


def _latent(keys: DecoderKeys, attention: int) -> dict[str, int]:
    """What multi-head latent attention has instead of keys and values."""
    if not isinstance(keys, LatentKeys):
        return {}
    return {"latent_size": keys.kv_lora_rank + keys.qk_rope_head_dim, "attention_parameters": attention}


def _checked(**numbers: Any) -> ModelFacts:
    """The facts, unless each number is possible by itself and all together are not."""
    try:
        return ModelFacts(**numbers)
    except ValidationError:
        parameters = numbers["parameters"]
        raise InvalidConfigError(
            [f"config.json: its dimensions make {parameters} parameters, which no model has"]
        ) from None
