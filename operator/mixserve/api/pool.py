"""`LLMServingPool`: a model, its engine, its variants, and how it scales."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mixserve.api.base import CelRule, ObjectMeta, StrictModel
from mixserve.api.engine import Engine, EngineType, Task
from mixserve.api.lists import ListMap, ListSet
from mixserve.api.model import Model, ModelSource, Revision, ServedName
from mixserve.api.pool_status import PoolStatus
from mixserve.api.scalars import AUTO, LABEL_PATTERN, DecimalString, Duration, GpuCount, Memory, ObjectName

POOL_NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
# With "-", a variant's name (20) and "-", it leaves room in the 63 characters of a label value.
LONGEST_POOL_NAME = 40
# The namespace's own ServiceAccount, and a Service of the namespace default.
RESERVED_POOL_NAMES = ("default", "kubernetes")


class PairReference(StrictModel):
    """A SpeculativePair of the pool's namespace."""

    name: ObjectName
    """Name of the SpeculativePair."""


class ReplicaRange(StrictModel):
    """Bounds of a variant's replica count."""

    min: Annotated[int, Field(ge=0, le=1000)] = 1
    """Fewest replicas."""
    max: Annotated[int, Field(ge=1, le=1000)] = 1
    """Most replicas."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            # Entries of lists have no defaults in the schema.
            rule="(has(self.min) ? self.min : 1) <= (has(self.max) ? self.max : 1)",
            message="min must not be greater than max",
            holds=lambda replicas: replicas.min <= replicas.max,
        ),
    )


class Resources(StrictModel):
    """CPU and memory of one replica's engine, on top of its GPUs.

    They keep the pod from being the first one that a full node ends, and two engines from sharing cores.
    """

    cpu: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Cores to reserve; the engine may use more where they are idle. Unset: two, and one for each GPU of the replica:
    an engine has a process for the API, one for its scheduler and one for each GPU."""
    memory: Memory | None = None
    """Memory of the node, in Mi or Gi, to reserve and not to exceed. Shared memory of the processes of a replica with
    several GPUs (8Gi, from 5 GPUs on 16Gi) comes on top. Unset: 4Gi, and 4Gi for each GPU, are reserved, and nothing
    is the most, since what an engine needs while it loads depends on the model."""


class Variant(StrictModel):
    """One way to run the model: a quantization format on an accelerator."""

    name: Annotated[str, Field(min_length=1, max_length=20, pattern=LABEL_PATTERN)]
    """Name of the variant, unique in the pool. Its Deployment is called POOL-VARIANT."""
    quantization: ObjectName
    """Name of a QuantizationFormat: bf16, fp8, int4-awq or one of your own."""
    accelerator: ObjectName
    """Name of an AcceleratorClass: l4, a100-80gb, h100-80gb or one of your own."""
    source: ModelSource | None = None
    """The checkpoint of this variant, in the form of model.source, where it is another one: quantized checkpoints
    usually are. Unset: model.source."""
    revision: Revision | None = None
    """Commit of the variant's own Hugging Face repository: needed beside an hf:// source here, and only there."""
    tensor_parallel: GpuCount = 1
    """GPUs that share one replica, on one node. auto: the smallest power of two that holds the model and one request of
    the longest context; it waits for the model's numbers, from its checkpoint or model.facts."""
    replicas: ReplicaRange = ReplicaRange()
    resources: Resources = Resources()

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="(has(self.source) && self.source.startsWith('hf://')) == has(self.revision)",
            message="revision is needed beside an hf:// source and has no meaning otherwise",
            holds=lambda v: (v.source or "").startswith("hf://") == (v.revision is not None),
        ),
    )

    @property
    def is_auto(self) -> bool:
        """Whether the number of GPUs is still to be worked out."""
        return self.tensor_parallel == AUTO

    @property
    def gpus(self) -> int:
        """GPUs of one replica; 1 while they are still to be worked out."""
        return self.tensor_parallel if isinstance(self.tensor_parallel, int) else 1


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
    """KV-cache usage of a replica, in percent, above which the pool grows."""


class ScaleDown(StrictModel):
    """How cautiously the pool shrinks."""

    stabilization: Duration = timedelta(minutes=5)
    """The pool shrinks to the most replicas that it wanted during this time, from 0s to 24h. Longer than what a replica
    takes to start avoids starting again what was just stopped."""


class Autoscaling(StrictModel):
    """How replicas follow the load, within the bounds of the variants."""

    mode: AutoscalingMode = AutoscalingMode.NATIVE
    """Who writes the replicas of the Deployments. Native: Mixserve. External: a HorizontalPodAutoscaler or KEDA of your
    own; Mixserve leaves them alone. Advisory: nobody; Mixserve decides and shows what it would do."""
    targets: AutoscalingTargets = AutoscalingTargets()
    scale_down: ScaleDown = ScaleDown()


class RoutingStrategy(StrEnum):
    """How the gateway spreads a pool's requests over its replicas."""

    LEAST_LOAD = "LeastLoad"
    PREFIX_AWARE = "PrefixAware"


class Routing(StrictModel):
    """How the gateway sends requests to the pool."""

    strategy: RoutingStrategy = RoutingStrategy.PREFIX_AWARE
    """Which replica gets a request. PrefixAware: one that has the beginning of the prompt in its KV cache, unless it is
    much busier than the others. LeastLoad: one with little to do; it costs the gateway the least."""


class TokenPrices(StrictModel):
    """What tokens cost, in USD per million."""

    prompt: DecimalString
    """Prompt tokens that are not in the prefix cache."""
    cached_prompt: DecimalString | None = None
    """Prompt tokens from the prefix cache. Unset: nothing."""
    completion: DecimalString
    """Tokens of answers."""


class Rollout(StrictModel):
    """How the replicas of a variant are replaced after a change."""

    surge: bool = True
    """Whether a new replica may start before an old one goes. It needs spare GPUs, one replica's for up to four; where
    there are none a small pool keeps serving with its old replicas, and the rollout waits. false: old replicas go
    first, a quarter of a variant at a time and at least one, so that the GPUs suffice; a variant with one replica
    serves nobody until its new one has started, or for as long as that can't start."""


class LLMServingPoolSpec(StrictModel):
    """What to serve and how. model and variants are needed; everything else has a default."""

    served_names: Annotated[tuple[ServedName, ...], Field(min_length=1, max_length=16), ListSet()] | None = None
    """Model names that clients send, unique in the namespace. Unset: the pool's own name."""
    task: Task = Task.GENERATE
    """What the model is for. Generate: texts, at /v1/chat/completions and /v1/completions. Embed: vectors of texts, at
    /v1/embeddings, which vLLM alone serves; such a pool takes no speculative decoding."""
    model: Model
    engine: Engine = Engine()
    variants: Annotated[tuple[Variant, ...], Field(min_length=1, max_length=8), ListMap("name")]
    """Ways to run the model, one Deployment each. They fill in this order as load grows, and shrink in reverse."""
    speculative_pair_ref: PairReference | None = None
    """Speculative decoding for all variants: the SpeculativePair of the namespace that says how. Unset: none."""
    routing: Routing = Routing()
    prices: TokenPrices | None = None
    """What the gateway accounts for this pool's tokens, in USD per million. Unset: what a full replica costs, predicted
    from the GPU's price and speed (status.prices)."""
    autoscaling: Autoscaling = Autoscaling()
    rollout: Rollout = Rollout()
    drain_timeout: Duration = timedelta(minutes=10)
    """How long a replica that goes away may work on the requests that it has, from 0s to 24h."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="self.variants.exists(v, !has(v.replicas) || !has(v.replicas.min) || v.replicas.min >= 1)",
            message="at least one variant needs replicas.min of 1 or more",
            holds=lambda spec: any(v.replicas.min >= 1 for v in spec.variants),
        ),
        # Here and not in the engine: there the API server would write out the whole default of that field.
        CelRule(
            rule="self.engine.type != 'tensorrt-llm' || !self.engine.version.startsWith('0.')",
            message="engine.version must be one of TensorRT-LLM, such as 1.2.1: the default is a version of vLLM",
            holds=lambda spec: (
                spec.engine.type is not EngineType.TENSORRT_LLM or not spec.engine.version.startswith("0.")
            ),
        ),
        CelRule(
            rule="!has(self.model.tokenSecretRef) || has(self.speculativePairRef) || self.variants.exists(v, "
            "(has(v.source) ? v.source : self.model.source).startsWith('hf://')) || (has(self.model.adapters) "
            "&& self.model.adapters.exists(a, a.source.startsWith('hf://')))",
            message="model.tokenSecretRef has no meaning unless a variant, an adapter or the draft of "
            "speculativePairRef has an hf:// source",
            holds=lambda spec: (
                spec.model.token_secret_ref is None
                or spec.speculative_pair_ref is not None
                or any((v.source or spec.model.source).startswith("hf://") for v in spec.variants)
                or any(adapter.source.startswith("hf://") for adapter in spec.model.adapters)
            ),
        ),
    )


class LLMServingPool(StrictModel):
    """A model served by engine pods that follow the load: one Deployment per variant, one Service for all.

    The smallest one:

        spec:
          model: {source: "pvc://models/llama-8b"}
          variants:
            - {name: main, quantization: bf16, accelerator: l4}
    """

    api_version: Literal["mixserve.dev/v1alpha1"] = "mixserve.dev/v1alpha1"
    kind: Literal["LLMServingPool"] = "LLMServingPool"
    metadata: ObjectMeta
    spec: LLMServingPoolSpec
    status: PoolStatus | None = None

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule=f"size(self.metadata.name) <= {LONGEST_POOL_NAME} "
            f"&& self.metadata.name.matches('{POOL_NAME_PATTERN}')",
            message="metadata.name must be at most 40 characters of a-z, 0-9 and -, and begin with a letter: "
            "the Service is called so",
            holds=lambda pool: _is_service_name(pool.metadata.name),
        ),
        CelRule(
            rule=f"!(self.metadata.name in {list(RESERVED_POOL_NAMES)})",
            message=f"metadata.name must not be {' or '.join(RESERVED_POOL_NAMES)}: Kubernetes has a ServiceAccount or "
            "a Service of that name",
            holds=lambda pool: pool.metadata.name not in RESERVED_POOL_NAMES,
        ),
    )

    @property
    def served_names(self) -> tuple[str, ...]:
        """The names of the model itself."""
        return self.spec.served_names or (self.metadata.name,)

    @property
    def model_names(self) -> tuple[str, ...]:
        """All model names that the pool answers for: those of the model, then those of its adapters."""
        return (*self.served_names, *(adapter.name for adapter in self.spec.model.adapters))


def _is_service_name(name: str) -> bool:
    return len(name) <= LONGEST_POOL_NAME and re.fullmatch(POOL_NAME_PATTERN, name, re.ASCII) is not None
