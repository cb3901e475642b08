"""The numbers of a model: what planning of memory and speed needs."""

from typing import Annotated, ClassVar

from pydantic import Field

from mixserve.api.base import CelRule, StrictModel

# With integers the product of two that are far too large would be an error of its own. What is within the bounds, a
# float holds exactly.
_EMBEDDINGS = "double(self.vocabularySize) * double(self.hiddenSize) * (self.tiedEmbeddings ? 1.0 : 2.0)"

PartOfParameters = Annotated[int, Field(ge=1, le=10_000_000_000_000)]


class SlidingWindow(StrictModel):
    """Layers that see only the last tokens of a request."""

    tokens: Annotated[int, Field(ge=1, le=1000000000)]
    """How many tokens they see (sliding_window)."""
    layers: Annotated[int, Field(ge=1, le=10000)]
    """How many layers these are."""


class ModelFacts(StrictModel):
    """The numbers of a model that planning needs; the names in brackets are those in its config.json."""

    parameters: Annotated[int, Field(ge=2, le=100_000_000_000_000)]
    """All weights, embeddings included: 8030261248."""
    layers: Annotated[int, Field(ge=1, le=10000)]
    """Transformer layers (num_hidden_layers)."""
    hidden_size: Annotated[int, Field(ge=1, le=1000000)]
    """Width of the model (hidden_size)."""
    attention_heads: Annotated[int, Field(ge=1, le=10000)]
    """Query heads (num_attention_heads). Tensor parallelism has to divide them."""
    key_value_heads: Annotated[int, Field(ge=1, le=10000)]
    """Key and value heads (num_key_value_heads)."""
    head_size: Annotated[int, Field(ge=1, le=100000)]
    """Width of one head (head_dim)."""
    vocabulary_size: Annotated[int, Field(ge=1, le=100000000)]
    """Tokens in the vocabulary (vocab_size)."""
    max_position_embeddings: Annotated[int, Field(ge=1, le=1000000000)]
    """Longest context that the model was made for, in tokens (max_position_embeddings)."""
    tied_embeddings: bool = False
    """Whether input and output embeddings share their weights (tie_word_embeddings)."""
    active_parameters: PartOfParameters | None = None
    """Parameters that one token uses, in a mixture of experts: 12879425536. Unset: all of them."""
    expert_parameters: PartOfParameters | None = None
    """Parameters of all routed experts together, in a mixture of experts."""
    attention_parameters: PartOfParameters | None = None
    """Parameters of attention in all layers; some formats leave them at 16 bits. Unset: those of a query, key, value
    and output projection of heads as above."""
    vision_parameters: PartOfParameters | None = None
    """Parameters of what reads images, which no format quantizes and no token of text uses. Unset: none."""
    checkpoint_bytes: Annotated[int, Field(ge=1, le=1_000_000_000_000_000)] | None = None
    """Size of the checkpoint's weights in bytes (metadata.total_size in model.safetensors.index.json). It counts for
    variants whose format makes about this size; for others, and if unset, the size is computed."""
    latent_size: Annotated[int, Field(ge=1, le=1000000)] | None = None
    """Numbers that multi-head latent attention keeps of a token in a layer, on every GPU (kv_lora_rank +
    qk_rope_head_dim): 576. Unset: the model has keys and values."""
    sliding_window: SlidingWindow | None = None
    """Layers whose keys and values stop at a number of tokens. Unset: all layers keep all of them."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="self.keyValueHeads < 1 || self.attentionHeads % self.keyValueHeads == 0",
            message="keyValueHeads must divide attentionHeads",
            holds=lambda facts: facts.attention_heads % facts.key_value_heads == 0,
        ),
        CelRule(
            rule=f"double(self.parameters) > {_EMBEDDINGS}",
            message="parameters must be more than the embeddings alone have, which is vocabularySize x hiddenSize, "
            "twice unless tiedEmbeddings",
            holds=lambda facts: facts.parameters > facts.embedding_parameters,
        ),
        CelRule(
            rule=f"double(self.parameters) >= {_EMBEDDINGS}"
            " + (has(self.expertParameters) ? double(self.expertParameters) : 0.0)"
            " + (has(self.attentionParameters) ? double(self.attentionParameters) : 0.0)"
            " + (has(self.visionParameters) ? double(self.visionParameters) : 0.0)",
            message="parameters must not be fewer than those of embeddings, experts, attention and vision together",
            holds=lambda facts: facts.parameters >= facts.embedding_parameters + facts.given_parts,
        ),
        CelRule(
            rule="!has(self.activeParameters) || self.activeParameters <= self.parameters",
            message="activeParameters must not be more than parameters",
            holds=lambda facts: facts.parameters_per_token <= facts.parameters,
        ),
        CelRule(
            rule="!has(self.slidingWindow) || self.slidingWindow.layers <= self.layers",
            message="slidingWindow.layers must not be more than layers",
            holds=lambda facts: facts.window_layers <= facts.layers,
        ),
    )

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embeddings, and of the output matrix where it is another one."""
        return self.vocabulary_size * self.hidden_size * (1 if self.tied_embeddings else 2)

    @property
    def given_parts(self) -> int:
        """Parameters of the parts whose numbers are given."""
        return sum(filter(None, (self.expert_parameters, self.attention_parameters, self.vision_parameters)))

    @property
    def window_layers(self) -> int:
        """Layers with a sliding window."""
        return 0 if self.sliding_window is None else self.sliding_window.layers

    @property
    def attention(self) -> int:
        """Parameters of attention in all layers."""
        if self.attention_parameters is not None:
            return self.attention_parameters
        return 2 * self.layers * self.hidden_size * self.head_size * (self.attention_heads + self.key_value_heads)

    @property
    def parameters_per_token(self) -> int:
        """Parameters that one token uses."""
        return self.parameters if self.active_parameters is None else self.active_parameters
