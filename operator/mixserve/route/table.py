"""What the gateway of a namespace knows: its pools with their endpoints, and its policies.

Made from the kinds and from pods by the gateway's process; Envoy's configuration and every decision are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.api.engine import EngineType, Task
from mixserve.api.routing_policy import ClassifierType, FallbackReason

if TYPE_CHECKING:
    from decimal import Decimal

    from mixserve.api.pool import RoutingStrategy


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What tokens cost, in USD per million, each at least 0."""

    prompt: Decimal
    cached_prompt: Decimal
    completion: Decimal


@dataclass(frozen=True, kw_only=True)
class PoolEntry:
    """A pool.

    Attributes:
        name: metadata.name, unique in the namespace.
        served_names: model names that clients send, adapters' names among them.
        adapters: those of the served names that are LoRA adapters.
        engine: what serves it.
        task: what it is served for, which says at which paths it answers.
        strategy: how requests are spread over the endpoints.
        endpoints: ip:port of the replicas that take requests: ready, and not draining. Sorted.
        prices: for the accounting; None where nobody said and nothing could be predicted.
    """

    name: str
    served_names: tuple[str, ...]
    adapters: frozenset[str] = frozenset()
    engine: EngineType = EngineType.VLLM
    task: Task = Task.GENERATE
    strategy: RoutingStrategy
    endpoints: tuple[str, ...]
    prices: Prices | None = None


@dataclass(frozen=True, kw_only=True)
class TargetEntry:
    """A pool of a tier; `priority` 0 is the first choice, `weight` is at least 1."""

    pool: str
    priority: int
    weight: int


@dataclass(frozen=True, kw_only=True)
class TierEntry:
    """A tier: requests of a complexity up to `max_complexity` (1 to 5)."""

    name: str
    max_complexity: int
    targets: tuple[TargetEntry, ...]


@dataclass(frozen=True, kw_only=True)
class ShadowEntry:
    """A pool that gets copies of `percent` (1 to 100) of the requests."""

    pool: str
    percent: int


@dataclass(frozen=True, kw_only=True)
class PolicyEntry:
    """A policy whose spec is valid, or the last valid one of it.

    Attributes:
        name: metadata.name, unique among the namespace's policies.
        served_names: model names that clients send.
        classifier: how the complexity is found.
        classifier_pool: the pool that is asked, for LLM.
        classifier_timeout_s: how long it is waited for.
        tiers: by growing max_complexity, the last one's is 5; pools that do not exist are among the targets.
        fallback_when: what makes the next target answer.
        first_byte_timeout_s: how long a streamed answer may take to begin, where Timeout is among them.
        may_override: whether override headers are followed.
        shadow: who gets copies.
    """

    name: str
    served_names: tuple[str, ...]
    classifier: ClassifierType = ClassifierType.HEURISTIC
    classifier_pool: str | None = None
    classifier_timeout_s: float = 0.5
    tiers: tuple[TierEntry, ...]
    fallback_when: frozenset[FallbackReason] = frozenset(FallbackReason)
    first_byte_timeout_s: float = 60.0
    may_override: bool = True
    shadow: ShadowEntry | None = None


@dataclass(frozen=True, kw_only=True)
class RoutingTable:
    """All of a namespace. Served names are unique over pools and policies: the first in order of age keeps one."""

    namespace: str
    pools: tuple[PoolEntry, ...] = ()
    policies: tuple[PolicyEntry, ...] = ()

    def pool(self, name: str) -> PoolEntry | None:
        """The pool of that name."""
        return next((pool for pool in self.pools if pool.name == name), None)
