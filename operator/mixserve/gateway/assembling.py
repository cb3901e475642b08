"""Objects of the namespace, as the API server has them, become the `RoutingTable`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from pydantic import ValidationError

from mixserve.api.names import API_VERSION, ENGINE_CONTAINER, ENGINE_PORT_NAME, LABEL_POOL, Reason
from mixserve.api.pool import LLMServingPool, RoutingStrategy
from mixserve.api.problems import problems
from mixserve.api.routing_policy import Overrides, RoutingPolicy
from mixserve.engines.registry import adapter_for
from mixserve.observe.pods import takes_requests
from mixserve.route.table import PolicyEntry, PoolEntry, Prices, RoutingTable, ShadowEntry, TargetEntry, TierEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mixserve.engines.protocol import MetricsPage

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)

Parsed = TypeVar("Parsed", LLMServingPool, RoutingPolicy)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Who wants model names, and who comes first: whoever is not refused, then the older one.

    Attributes:
        refused: the operator has found that the names, or some of them, are somebody else's.
        created_at: RFC 3339.
        name: of the object.
        served_names: what it wants.
    """

    refused: bool
    created_at: str
    name: str
    served_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class KnownPool:
    """What is of interest of an LLMServingPool."""

    claim: Claim
    strategy: RoutingStrategy
    metrics: MetricsPage
    prices: Prices | None


@dataclass(frozen=True, kw_only=True)
class KnownPolicy:
    """What is of interest of a RoutingPolicy."""

    claim: Claim
    entry: PolicyEntry


@dataclass(frozen=True, kw_only=True)
class KnownReplica:
    """A replica that takes requests; `address` is ip:port, with an IPv6 address in brackets."""

    pool: str
    address: str


def know_pool(pool: RawObject) -> KnownPool | None:
    """What is of interest of a pool, or None where it can't be read."""
    parsed = _parse(LLMServingPool, pool)
    if parsed is None:
        return None
    engine = parsed.spec.engine
    return KnownPool(
        claim=_claim(parsed, pool),
        strategy=parsed.spec.routing.strategy,
        metrics=adapter_for(engine.type).metrics_page(engine.version),
        prices=_prices(parsed, pool.get("status", {}).get("prices")),
    )


def know_policy(policy: RawObject) -> KnownPolicy | None:
    """What is of interest of a policy, or None where it can't be read."""
    parsed = _parse(RoutingPolicy, policy)
    return None if parsed is None else KnownPolicy(claim=_claim(parsed, policy), entry=_entry(parsed))


def know_replica(pod: RawObject) -> KnownReplica | None:
    """What is of interest of a pool's pod, or None for one that takes no requests."""
    pool = pod["metadata"].get("labels", {}).get(LABEL_POOL)
    address, port = pod.get("status", {}).get("podIP"), _engine_port(pod)
    if not pool or not address or port is None or not takes_requests(pod):
        return None
    host = f"[{address}]" if ":" in address else address
    return KnownReplica(pool=pool, address=f"{host}:{port}")


def assemble(
    namespace: str,
    *,
    pools: Iterable[KnownPool],
    policies: Iterable[KnownPolicy],
    replicas: Iterable[KnownReplica],
) -> RoutingTable:
    """All that the gateway knows; each model name belongs to the first who wants it."""
    endpoints: dict[str, set[str]] = {}
    for replica in replicas:
        endpoints.setdefault(replica.pool, set()).add(replica.address)
    known = {each.claim.name: each for each in pools}
    entries = {each.claim.name: each for each in policies}
    kept = _names_kept(known, entries)
    return RoutingTable(
        namespace=namespace,
        pools=tuple(
            PoolEntry(
                name=name,
                served_names=kept["pool", name],
                strategy=pool.strategy,
                endpoints=tuple(sorted(endpoints.get(name, ()))),
                prices=pool.prices,
            )
            for name, pool in sorted(known.items())
        ),
        policies=tuple(_with_names(policy.entry, kept["policy", name]) for name, policy in sorted(entries.items())),
    )


def _parse(model: type[Parsed], obj: RawObject) -> Parsed | None:
    try:
        # Items of a list do not say what they are, and the status is of no interest here, nor perhaps of this version.
        return model.parse(
            {"apiVersion": API_VERSION, "kind": model.__name__, "metadata": obj["metadata"], "spec": obj.get("spec")}
        )
    except ValidationError as error:
        wrong = [str(problem) for problem in problems(error)]
        _log.warning("object_left_out", kind=model.__name__, name=obj["metadata"]["name"], problems=wrong)
        return None


def _claim(parsed: LLMServingPool | RoutingPolicy, obj: RawObject) -> Claim:
    conditions = obj.get("status", {}).get("conditions", ())
    taken = any(c.get("status") == "False" and c.get("reason") == Reason.SERVED_NAME_TAKEN for c in conditions)
    return Claim(
        refused=taken,
        created_at=obj["metadata"]["creationTimestamp"],
        name=parsed.metadata.name,
        served_names=parsed.served_names,
    )


def _names_kept(
    pools: Mapping[str, KnownPool], policies: Mapping[str, KnownPolicy]
) -> dict[tuple[str, str], tuple[str, ...]]:
    claims = [("pool", each.claim) for each in pools.values()] + [("policy", each.claim) for each in policies.values()]
    owners: dict[str, tuple[str, str]] = {}
    for kind, claim in sorted(claims, key=lambda each: (each[1].refused, each[1].created_at, each[0], each[1].name)):
        for name in claim.served_names:
            owners.setdefault(name, (kind, claim.name))
    return {
        (kind, claim.name): tuple(name for name in claim.served_names if owners[name] == (kind, claim.name))
        for kind, claim in claims
    }


def _with_names(entry: PolicyEntry, names: tuple[str, ...]) -> PolicyEntry:
    return replace(entry, served_names=names)


def _entry(policy: RoutingPolicy) -> PolicyEntry:
    spec, llm = policy.spec, policy.spec.classifier.llm
    return PolicyEntry(
        name=policy.metadata.name,
        served_names=policy.served_names,
        classifier=spec.classifier.type,
        classifier_pool=None if llm is None else llm.pool_ref.name,
        classifier_timeout_s=0.0 if llm is None else llm.timeout_milliseconds / 1000,
        tiers=tuple(
            TierEntry(
                name=tier.name,
                max_complexity=tier.max_complexity,
                targets=tuple(
                    TargetEntry(pool=target.pool_ref.name, priority=target.priority, weight=target.weight)
                    for target in tier.targets
                ),
            )
            for tier in spec.tiers
        ),
        fallback_when=frozenset(spec.fallback.when),
        first_byte_timeout_s=spec.fallback.first_byte_timeout.total_seconds(),
        may_override=spec.overrides is Overrides.ALLOWED,
        shadow=None
        if spec.shadow is None
        else ShadowEntry(pool=spec.shadow.pool_ref.name, percent=spec.shadow.percent),
    )


def _prices(pool: LLMServingPool, predicted: Mapping[str, Any] | None) -> Prices | None:
    given = pool.spec.prices
    if given is not None:
        cached = Decimal(0) if given.cached_prompt is None else given.cached_prompt
        return Prices(prompt=given.prompt, cached_prompt=cached, completion=given.completion)
    try:
        return (
            None
            if predicted is None
            else Prices(
                prompt=Decimal(predicted["promptPerMillion"]),
                cached_prompt=Decimal(predicted["cachedPromptPerMillion"]),
                completion=Decimal(predicted["completionPerMillion"]),
            )
        )
    except (KeyError, TypeError, InvalidOperation):  # a status of another version of the operator
        return None


def _engine_port(pod: RawObject) -> int | None:
    for container in pod.get("spec", {}).get("containers", ()):
        if container["name"] == ENGINE_CONTAINER:
            for port in container.get("ports", ()):
                if port.get("name") == ENGINE_PORT_NAME:
                    return int(port["containerPort"])
    return None
