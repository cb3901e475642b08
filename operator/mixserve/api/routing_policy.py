"""`RoutingPolicy`: which pools may answer for a model name, and which of them answers which request."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mixserve.api.base import CelRule, ObjectMeta, StrictModel
from mixserve.api.lists import ListMap, ListSet
from mixserve.api.model import ServedName
from mixserve.api.routing_policy_status import RoutingPolicyStatus
from mixserve.api.scalars import LABEL_PATTERN, NAME_IS_A_LABEL, ObjectName, PositiveDuration

HARDEST = 5
"""Complexity goes from 1 to this."""

Complexity = Annotated[int, Field(ge=1, le=HARDEST)]


class PoolReference(StrictModel):
    """An LLMServingPool of the policy's namespace."""

    name: ObjectName
    """Name of the LLMServingPool."""


class ClassifierType(StrEnum):
    """What says how hard a request is."""

    HEURISTIC = "Heuristic"
    """Features of the text, in microseconds."""
    EMBEDDING = "Embedding"
    """A small model on the CPU with a trained head."""
    LLM = "LLM"
    """A small pool that is asked for a score."""


class LLMClassifier(StrictModel):
    """The pool that is asked how hard a request is."""

    pool_ref: PoolReference
    """The pool, in the policy's namespace: a small and quick one."""
    timeout_milliseconds: Annotated[int, Field(ge=10, le=10_000)] = 500
    """How long its answer is waited for; then Heuristic decides."""


class Classifier(StrictModel):
    """How the complexity of a request is found, from 1 (a lookup) to 5 (long reasoning)."""

    type: ClassifierType = ClassifierType.HEURISTIC
    """Heuristic: features of the text, in microseconds. Embedding: a small model on the gateway's CPU with a trained
    head. LLM: a small pool is asked; it costs a short answer per request."""
    llm: LLMClassifier | None = None
    """The pool that is asked: only for LLM, which needs it."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="(self.type == 'LLM') == has(self.llm)",
            message="llm is needed for LLM and has no meaning for others",
            holds=lambda c: (c.type is ClassifierType.LLM) == (c.llm is not None),
        ),
    )


class Target(StrictModel):
    """A pool that answers for a tier."""

    pool_ref: PoolReference
    """The pool, in the policy's namespace."""
    priority: Annotated[int, Field(ge=0, le=15)] = 0
    """Targets with the lowest number that take requests share them; the others wait for those to fail."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 100
    """Share of the requests, in proportion to the weights of the tier's other targets of the same priority."""


class Tier(StrictModel):
    """Pools of about the same ability."""

    name: Annotated[str, Field(min_length=1, max_length=20, pattern=LABEL_PATTERN)]
    """Name of the tier, unique in the policy."""
    max_complexity: Complexity
    """The hardest requests of this tier; harder ones go to the next tier."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1, max_length=8)]
    """The pools, each once."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule="self.targets.all(t, self.targets.filter(u, u.poolRef.name == t.poolRef.name).size() == 1)",
            message="targets must name each pool once",
            holds=lambda tier: len({t.pool_ref.name for t in tier.targets}) == len(tier.targets),
        ),
    )


class FallbackReason(StrEnum):
    """What makes another target answer."""

    UNAVAILABLE = "Unavailable"
    """No replica takes the request, or the connection fails before an answer."""
    OVERLOADED = "Overloaded"
    """The target answers 429 or 503."""
    TIMEOUT = "Timeout"
    """The first byte of a streamed answer does not come in time."""


class Fallback(StrictModel):
    """When another target answers: the next of the tier, then those of the next larger tier.

    Only before the first byte of the answer: what a client has begun to read is never begun again.
    """

    # Not "on": YAML 1.1 takes that for true.
    when: Annotated[tuple[FallbackReason, ...], ListSet()] = tuple(FallbackReason)
    """Unavailable: no replica takes the request, or it fails before an answer. Overloaded: 429 or 503. Timeout: the
    first byte of a streamed answer does not come within firstByteTimeout. An empty list: never."""
    first_byte_timeout: PositiveDuration = timedelta(seconds=60)
    """How long the first byte of a streamed answer is waited for, from 1s to 24h: the queue and the prefill of each
    target that is tried. The last one has this limit too; then the client gets 504. Answers that are not streamed come
    at once, after all tokens, so they have no such limit."""


class Overrides(StrEnum):
    """Whether a request may choose for itself."""

    ALLOWED = "Allowed"
    DENIED = "Denied"


class Shadow(StrictModel):
    """A pool that gets copies of requests, whose answers nobody sees: to try a model under real traffic."""

    pool_ref: PoolReference
    """The pool, in the policy's namespace."""
    percent: Annotated[int, Field(ge=1, le=100)] = 1
    """How many of a hundred requests are copied. Each costs the pool what any other request costs."""


class RoutingPolicySpec(StrictModel):
    """Which pools answer. tiers is needed; everything else has a default."""

    served_names: Annotated[tuple[ServedName, ...], Field(min_length=1, max_length=16), ListSet()] | None = None
    """Model names that clients send, unique among the pools and policies of the namespace. Unset: the policy's own
    name."""
    classifier: Classifier = Classifier()
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=5), ListMap("name")]
    """From the cheapest pools to the ablest. A request goes to the first tier whose maxComplexity is not below its
    complexity."""
    fallback: Fallback = Fallback()
    overrides: Overrides = Overrides.ALLOWED
    """Whether the request headers x-mixserve-tier and x-mixserve-pool are followed. Denied: they are ignored."""
    shadow: Shadow | None = None
    """A pool that gets copies of some requests. Unset: none."""

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            rule=f"size(self.tiers) == 0 || self.tiers[size(self.tiers) - 1].maxComplexity == {HARDEST}",
            message=f"the last tier's maxComplexity must be {HARDEST}, so that every request has a tier",
            holds=lambda spec: spec.tiers[-1].max_complexity == HARDEST,
        ),
        CelRule(
            rule="self.tiers.all(t, self.tiers.filter(u, u.maxComplexity == t.maxComplexity).size() == 1) "
            "&& self.tiers.map(t, t.maxComplexity).isSorted()",
            message="tiers must be in the order of growing maxComplexity",
            holds=lambda spec: all(
                before.max_complexity < after.max_complexity
                for before, after in zip(spec.tiers, spec.tiers[1:], strict=False)
            ),
        ),
    )

    @property
    def pools(self) -> frozenset[str]:
        """Names of all pools that it may send a request to."""
        targets = {target.pool_ref.name for tier in self.tiers for target in tier.targets}
        asked = {self.classifier.llm.pool_ref.name} if self.classifier.llm else set()
        shadow = {self.shadow.pool_ref.name} if self.shadow else set()
        return frozenset(targets | asked | shadow)


class RoutingPolicy(StrictModel):
    """A model name behind which several pools stand: each request goes to the cheapest that is good enough.

    The smallest one:

        spec:
          tiers:
            - {name: small, maxComplexity: 2, targets: [{poolRef: {name: qwen-8b}}]}
            - {name: large, maxComplexity: 5, targets: [{poolRef: {name: llama-70b}}]}
    """

    api_version: Literal["mixserve.dev/v1alpha1"] = "mixserve.dev/v1alpha1"
    kind: Literal["RoutingPolicy"] = "RoutingPolicy"
    metadata: ObjectMeta
    spec: RoutingPolicySpec
    status: RoutingPolicyStatus | None = None

    cel_rules: ClassVar[tuple[CelRule, ...]] = (NAME_IS_A_LABEL,)

    @property
    def served_names(self) -> tuple[str, ...]:
        """The model names that the policy answers for."""
        return self.spec.served_names or (self.metadata.name,)
