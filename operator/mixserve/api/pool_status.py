"""The status of an `LLMServingPool`; numbers that are not whole are decimal strings."""

from enum import StrEnum
from typing import Annotated, Literal

from mixserve.api.base import StrictModel
from mixserve.api.lists import ListMap


class Condition(StrictModel):
    """A condition as Kubernetes tools expect it."""

    type: str
    """What the condition is about, for example Ready."""
    status: Literal["True", "False", "Unknown"]
    """Unknown means that it could not be checked and will be tried again."""
    reason: str
    """One CamelCase word, part of the API's contract."""
    message: str
    """What is wrong and what to do, for people."""
    last_transition_time: str
    """When the status last changed, RFC 3339."""
    observed_generation: int
    """The generation of the object that was looked at."""


class LearnedCapacity(StrictModel):
    """What one replica was seen to carry."""

    requests: int
    """The most requests that ran in one replica while others waited; later also more without others that waited."""
    expected: str
    """Requests that were expected to fit, as a decimal. Another expectation, after an edit, forgets what was
    learned."""


class VariantStatus(StrictModel):
    """One variant's replicas."""

    name: str
    """The variant."""
    deployment: str
    """The Deployment that runs it."""
    desired: int
    """Replicas that the last decision wants."""
    replicas: int
    """Replicas that the Deployment has."""
    ready: int
    """Replicas that are ready and take requests."""
    learned: LearnedCapacity | None = None
    """What a replica carries, learned under load. Unset: what is expected to fit counts."""


class ScaleTerm(StrictModel):
    """One term of the demand."""

    name: str
    """running, kvCache or minimum."""
    replicas: str
    """The replicas that this term alone asks for, as a decimal; unknown where there is no data."""
    detail: str
    """How the number came about."""


class BlockReason(StrEnum):
    """Why a pool that could shrink does not, or a pool that should grow can not."""

    STABILIZING = "Stabilizing"
    METRICS_MISSING = "MetricsMissing"
    ROLLOUT = "RolloutInProgress"
    PODS_STARTING = "PodsStarting"
    DRAINING = "Draining"
    AT_MAXIMUM = "AtMaximum"
    NOT_NATIVE = "NotNative"


class LastDecision(StrictModel):
    """The last scale decision that differed from the one before."""

    time: str
    """When, RFC 3339."""
    current: int
    """Replicas at that time."""
    desired: int
    """Replicas that were wanted."""
    binding_term: str
    """The term that decided."""
    terms: tuple[ScaleTerm, ...]
    """All terms."""
    blocked_by: BlockReason | None = None
    """Why the pool did not follow the demand."""
    message: str
    """The decision as a sentence."""


class PriceSource(StrEnum):
    """Where prices come from."""

    GIVEN = "Given"
    PREDICTED = "Predicted"


class PoolPrices(StrictModel):
    """What tokens cost, in USD per million, as decimals: what the gateway accounts with."""

    prompt_per_million: str
    """Prompt tokens that are not in the prefix cache."""
    cached_prompt_per_million: str
    """Prompt tokens from the prefix cache."""
    completion_per_million: str
    """Tokens of answers."""
    source: PriceSource
    """Given: in spec.prices. Predicted: from price and speed of the GPUs of the first variant whose numbers are known,
    for replicas that are full."""


class PoolStatus(StrictModel):
    """What was seen and decided. Live numbers are metrics of the operator, not status."""

    observed_generation: int | None = None
    """The generation of the spec that this status belongs to."""
    conditions: Annotated[tuple[Condition, ...], ListMap("type")] = ()
    """Ready sums up the others."""
    desired: int | None = None
    """Replicas wanted, over all variants."""
    ready: int | None = None
    """Replicas ready, over all variants."""
    starting: int | None = None
    """Replicas that exist but are not ready yet."""
    limited_by: str | None = None
    """What the size depends on: the binding term, or what blocks."""
    last_scale: str | None = None
    """When replicas were last written, RFC 3339."""
    cost_per_hour: str | None = None
    """USD per hour of the wanted replicas, on demand."""
    prices: PoolPrices | None = None
    """What tokens cost. Unset: nobody said, and nothing could be predicted."""
    variants: Annotated[tuple[VariantStatus, ...], ListMap("name")] = ()
    """Replicas by variant."""
    last_decision: LastDecision | None = None
    """Inputs, terms and outcome of the last decision."""
