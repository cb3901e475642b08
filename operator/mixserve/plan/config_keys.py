"""The keys of config.json that planning reads, with their bounds; everything wrong with them in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST_COUNT = 10**9
"""More than any width or context of a published model; larger integers are nonsense."""

Count = Annotated[int, Field(ge=1, le=LARGEST_COUNT)]
_Amount = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
_Heads = Annotated[int, Field(ge=1, le=10**4)]
_Layers = Annotated[int, Field(ge=1, le=10**4)]
_Width = Annotated[int, Field(ge=1, le=10**6)]

# One layer in each; no model has more.
_LayerList = Annotated[list[Annotated[int, Field(ge=0, le=10**4)]], Field(max_length=10**4)]


class InvalidConfigError(Exception):
    """Keys are missing or wrong: `problems` has one sentence for each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class UnknownConfigError(Exception):
    """Nobody can tell what the keys make, and why, as a clause."""


class Keys(BaseModel):
    """Strict, since a checkpoint that says "32" says it to the engine as well; unknown keys are not ours."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class DecoderKeys(Keys):
    """What every decoder has."""

    hidden_size: _Width
    intermediate_size: Count
    num_hidden_layers: _Layers
    num_attention_heads: _Heads
    num_key_value_heads: _Heads | None = None
    head_dim: Annotated[int, Field(ge=1, le=10**5)] | None = None
    vocab_size: Annotated[int, Field(ge=1, le=10**8)]
    max_position_embeddings: Count
    tie_word_embeddings: bool = False
    sliding_window: _Amount | None = None
    use_sliding_window: bool = True
    sliding_window_pattern: Count | None = None
    layer_types: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=10**4)] | None = None


class ExpertKeys(DecoderKeys):
    """A mixture of experts beside it: how many, how wide, and in which layers."""

    num_experts: Annotated[int, Field(ge=1, le=10**5)]
    num_experts_per_tok: Annotated[int, Field(ge=1, le=10**5)]
    moe_intermediate_size: Count
    n_shared_experts: Annotated[int, Field(ge=0, le=10**4)] = 0
    shared_expert_intermediate_size: _Amount = 0
    first_k_dense_replace: Annotated[int, Field(ge=0, le=10**4)] = 0
    moe_layer_freq: _Layers = 1
    decoder_sparse_step: _Layers = 1
    interleave_moe_layer_step: _Layers = 1
    mlp_only_layers: _LayerList = []
    moe_layers: _LayerList | None = None


class LatentKeys(ExpertKeys):
    """Multi-head latent attention beside it."""

    q_lora_rank: Annotated[int, Field(ge=1, le=10**6)] | None = None
    kv_lora_rank: _Width
    qk_nope_head_dim: _Width
    qk_rope_head_dim: _Width
    v_head_dim: _Width


class VisionKeys(Keys):
    """A vision transformer of the SigLIP kind: patches of an image through plain layers."""

    hidden_size: _Width
    intermediate_size: Count
    num_hidden_layers: _Layers
    image_size: _Width
    patch_size: _Width
    num_channels: Annotated[int, Field(ge=1, le=10**3)] = 3


class ShuffledVisionKeys(VisionKeys):
    """One that joins neighbouring patches before they go into the language model, as Llama 4's."""

    projector_input_dim: _Width
    projector_output_dim: _Width
    vision_output_dim: _Width


_K = TypeVar("_K", bound=Keys)

Spellings = Mapping[str, tuple[str, ...]]
"""By field the keys that it may have in config.json, the usual one first. Others are called as the field."""


def read_keys(
    model: type[_K],
    config: Mapping[str, Any],
    *,
    spellings: Spellings,
    defaults: Mapping[str, Any],
    place: str,
) -> _K:
    """Read a decoded object, which may hold anything; null is absence unless the key is needed.

    Args:
        model: the keys to read.
        config: decoded.
        spellings: see there.
        defaults: of keys that published configurations leave out.
        place: where the object is, for the problems: config.json, or a key in it.

    Raises:
        InvalidConfigError: with all problems.
    """
    given = dict(defaults)
    for name, field in model.model_fields.items():
        keys = [key for key in spellings.get(name, (name,)) if key in config]
        said = next((config[key] for key in keys if config[key] is not None), None)
        if said is not None or (keys and field.is_required() and name not in defaults):
            given[name] = said
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InvalidConfigError(_problem(entry, spellings, place) for entry in error.errors()) from None


def _problem(entry: Mapping[str, Any], spellings: Spellings, place: str) -> str:
    field, *inner = (str(part) for part in entry["loc"])
    key = ".".join([spellings.get(field, (field,))[0], *inner])
    if entry["type"] == "missing":
        return f"{place}: {key} is missing"
    message = str(entry["msg"])
    return f"{place}: {key}: {message[0].lower()}{message[1:]}, but it is {short(entry['input'])}"


def short(value: object) -> str:
    """A value as it is shown to people."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."  # noqa: PLR2004 - enough to recognise it
