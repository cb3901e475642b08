"""`LLMServingPool`: a model, its engine, its variants, and how it scales."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mixserve.api.base import CelRule, Duration, ObjectMeta, ObjectName, StrictModel
from mixserve.api.engine import Engine
from mixserve.api.pool_status import PoolStatus

SOURCE_PATTERN = (
    r"^(hf://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*"
    r"|pvc://[a-z0-9]([-a-z0-9]*[a-z0-9])?(/[A-Za-z0-9._-]+)*"
    r"|host://(/[A-Za-z0-9._-]+)+)$"
)
ModelSource = Annotated[str, Field(max_length=512, pattern=SOURCE_PATTERN)]
Revision = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]


class SecretKeyRef(StrictModel):
    """A key of a Secret in the pool's namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    """Name of the Secret."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key in the Secret's data."""


class ModelFacts(StrictModel):
    """The numbers of a model that planning needs, where its config.json can't be read by the operator."""

    parameters: Annotated[int, Field(ge=1, le=100_000_000_000_000)]
    """All weights, embeddings included."""
    layers: Annotated[int, Field(ge=1, le=10000)]
    """Transformer layers (num_hidden_layers)."""
    hidden_size: Annotated[int, Field(ge=1, le=1000000)]
    """Width of the model (hidden_size)."""
    attention_heads: Annotated[int, Field(ge=1, le=10000)]
    """Query heads (num_attention_heads); tensor parallelism has to divide them."""
    key_value_heads: Annotated[int, Field(ge=1, le=10000)]
    """Key and value heads (num_key_value_heads)."""
    head_size: Annotated[int, Field(ge=1, le=100000)]
    """Width of one head (head_dim)."""
    vocabulary_size: Annotated[int, Field(ge=1, le=100000000)]
    """Tokens in the vocabulary (vocab_size)."""
    max_position_embeddings: Annotated[int, Field(ge=1, le=1000000000)]
    """Longest context that the model was made for, in tokens."""
    tied_embeddings: bool = False
    """Input and output embeddings share their weights (tie_word_embeddings)."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="self.attentionHeads % self.keyValueHeads == 0",
            message="keyValueHeads must divide attentionHeads",
            holds=lambda facts: facts.attention_heads % facts.key_value_heads == 0,
        ),
    )


class Model(StrictModel):
    """The model and where its files are."""

    source: ModelSource
    """hf://ORGANISATION/NAME, pvc://CLAIM/PATH or, for development only, host:///PATH."""
    revision: Revision | None = None
    """Commit of a Hugging Face repository: 40 hexadecimal digits, in quotes. Needed for hf:// sources."""
    token_secret_ref: SecretKeyRef | None = None
    """Token for gated or private Hugging Face repositories."""
    facts: ModelFacts | None = None
    """The model's numbers; unset: read from config.json where the operator can, otherwise not checked."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="self.source.startsWith('hf://') == has(self.revision)",
            message="revision is needed for hf:// sources and has no meaning for others",
            holds=lambda model: model.source.startswith("hf://") == (model.revision is not None),
        ),
    )


class ReplicaRange(StrictModel):
    """How many replicas a variant may have."""

    min: Annotated[int, Field(ge=0, le=1000)] = 1
    """Fewest replicas."""
    max: Annotated[int, Field(ge=1, le=1000)] = 1
    """Most replicas."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="self.min <= self.max",
            message="min must not be greater than max",
            holds=lambda replicas: replicas.min <= replicas.max,
        ),
    )


class Variant(StrictModel):
    """One way to run the model: a quantization format on an accelerator."""

    name: Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the variant, unique in the pool."""
    quantization: ObjectName
    """A QuantizationFormat."""
    accelerator: ObjectName
    """An AcceleratorClass."""
    source: ModelSource | None = None
    """The checkpoint of this variant where it is not the model's own; its revision comes beside it."""
    revision: Revision | None = None
    """Commit of the variant's Hugging Face repository."""
    tensor_parallel: Annotated[int, Field(ge=1, le=64)] = 1
    """GPUs that share one replica."""
    replicas: ReplicaRange = ReplicaRange()
    """Bounds of the replica count."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="(has(self.source) && self.source.startsWith('hf://')) == has(self.revision)",
            message="revision is needed beside an hf:// source and has no meaning otherwise",
            holds=lambda v: (v.source or "").startswith("hf://") == (v.revision is not None),
        ),
    )


class AutoscalingMode(StrEnum):
    """Who writes replicas."""

    NATIVE = "Native"
    EXTERNAL = "External"
    ADVISORY = "Advisory"


class AutoscalingTargets(StrictModel):
    """What a replica should carry."""

    waiting_requests_per_replica: Annotated[int, Field(ge=0, le=10000)] = 4
    """Waiting requests per ready replica that are not yet a reason to grow."""
    kv_cache_usage_percent: Annotated[int, Field(ge=10, le=100)] = 85
    """KV-cache usage that a replica should not exceed."""


class ScaleDown(StrictModel):
    """How cautiously the pool shrinks."""

    stabilization: Duration = timedelta(minutes=5)
    """The pool shrinks to the largest wish of this time; at most 24h."""


class Autoscaling(StrictModel):
    """How replicas follow the load."""

    mode: AutoscalingMode = AutoscalingMode.NATIVE
    """Native: Mixserve writes replicas. External: HPA or KEDA do. Advisory: decide and show, write nothing."""
    targets: AutoscalingTargets = AutoscalingTargets()
    """What a replica should carry."""
    scale_down: ScaleDown = ScaleDown()
    """How cautiously the pool shrinks."""


ServedName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]



class LLMServingPoolSpec(StrictModel):
    """What to serve and how."""

    served_names: Annotated[
        tuple[ServedName, ...], Field(min_length=1, max_length=16, json_schema_extra={"x-list-set": True})
    ] | None = None
    """Model names that clients send, unique in the namespace; unset: the pool's own name."""
    model: Model
    """The model and where its files are."""
    engine: Engine = Engine()
    """Which engine serves the pool, and how."""
    variants: Annotated[
        tuple[Variant, ...], Field(min_length=1, max_length=8, json_schema_extra={"x-list-map-key": "name"})
    ]
    """Ways to run the model, in the order in which they are filled."""
    autoscaling: Autoscaling = Autoscaling()
    """How replicas follow the load."""
    drain_timeout: Duration = timedelta(minutes=10)
    """How long a replica that goes may finish its requests; at most 24h."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="self.variants.exists(v, v.replicas.min >= 1)",
            message="at least one variant needs replicas.min of 1 or more",
            holds=lambda spec: any(v.replicas.min >= 1 for v in spec.variants),
        ),
    )


class LLMServingPool(StrictModel):
    """A model served by engine pods that follow the load: one Deployment per variant."""

    api_version: Literal["mixserve.dev/v1alpha1"] = "mixserve.dev/v1alpha1"
    kind: Literal["LLMServingPool"] = "LLMServingPool"
    metadata: ObjectMeta
    spec: LLMServingPoolSpec
    status: PoolStatus | None = None

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            message="metadata.name must be at most 40 characters of a-z, 0-9 and -, and begin with a letter: "
            "the Service is called so",
            holds=lambda pool: _is_service_name(pool.metadata.name),
        ),
    )

    @property
    def served_names(self) -> tuple[str, ...]:
        """The model names that the pool answers for."""
        return self.spec.served_names or (self.metadata.name,)


def _is_service_name(name: str) -> bool:
    plain = name.replace("-", "a")
    return (
        0 < len(name) <= 40  # noqa: PLR2004 - leaves room for "-<variant>" and pod suffixes in 63 characters
        and plain.isascii()
        and plain.isalnum()
        and plain == plain.lower()
        and name[0].isalpha()
        and name[-1] != "-"
    )
