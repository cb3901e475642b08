"""Objects of the namespace, as the API server has them, become the `RoutingTable`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from pydantic import ValidationError

from mixserve.api.names import API_VERSION, ENGINE_CONTAINER, ENGINE_PORT_NAME, LABEL_POOL, Reason
from mixserve.api.pool import LLMServingPool
from mixserve.api.problems import problems
from mixserve.api.routing_policy import Overrides, RoutingPolicy
from mixserve.engines.registry import adapter_for
from mixserve.observe.pods import takes_requests
from mixserve.route.table import PolicyEntry, PoolEntry, Prices, RoutingTable, ShadowEntry, TargetEntry, TierEntry
from mixserve.validate.policy_names import age

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mixserve.engines.protocol import MetricsPage
    from mixserve.validate.policies_in_force import PolicyInForce

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)

Parsed = TypeVar("Parsed", LLMServingPool, RoutingPolicy)


@dataclass(frozen=True, kw_only=True)
class KnownPool:
    """What is of interest of an LLMServingPool.

    Attributes:
        pool: as it is written.
        refused: the operator has found that a name of it is somebody else's.
        prices: given or predicted; None where neither is the case.
    """

    pool: LLMServingPool
    refused: bool
    prices: Prices | None

    @property
    def metrics(self) -> MetricsPage:
        """Where its engines' signals are."""
        engine = self.pool.spec.engine
        return adapter_for(engine.type).metrics_page(engine.version)


@dataclass(frozen=True, kw_only=True)
class KnownPolicy:
    """What is of interest of a RoutingPolicy: the object, and as it is written, or None where that can't be read."""

    raw: RawObject
    written: RoutingPolicy | None


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
    status = pool.get("status", {})
    taken = any(
        each.get("status") == "False" and each.get("reason") == Reason.SERVED_NAME_TAKEN
        for each in status.get("conditions", ())
    )
    return KnownPool(pool=parsed, refused=taken, prices=_prices(parsed, status.get("prices")))


def know_policy(policy: RawObject) -> KnownPolicy:
    """What is of interest of a policy."""
    raw = {"metadata": policy["metadata"], "spec": policy.get("spec")}
    return KnownPolicy(raw=raw, written=_parse(RoutingPolicy, policy))


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
    pools: Collection[KnownPool],
    policies: Collection[PolicyInForce],
    replicas: Iterable[KnownReplica],
) -> RoutingTable:
    """All that the gateway knows. Each model name belongs to one pool or policy, as the operator has it too.

    Args:
        namespace: the gateway's.
        pools: all pools.
        policies: those that are followed.
        replicas: those that take requests.
    """
    endpoints: dict[str, set[str]] = {}
    for replica in replicas:
        endpoints.setdefault(replica.pool, set()).add(replica.address)
    names = _pools_names(pools, {name for each in policies for name in each.served_names})
    entries = [
        PoolEntry(
            name=each.pool.metadata.name,
            served_names=names[each.pool.metadata.name],
            adapters=frozenset(adapter.name for adapter in each.pool.spec.model.adapters),
            engine=each.pool.spec.engine.type,
            task=each.pool.spec.task,
            strategy=each.pool.spec.routing.strategy,
            endpoints=tuple(sorted(endpoints.get(each.pool.metadata.name, ()))),
            prices=each.prices,
        )
        for each in pools
    ]
    return RoutingTable(
        namespace=namespace,
        pools=tuple(sorted(entries, key=lambda each: each.name)),
        policies=tuple(sorted((_entry(each) for each in policies), key=lambda each: each.name)),
    )


def _parse(model: type[Parsed], obj: RawObject) -> Parsed | None:
    try:
        # Items of a list do not say what they are, and the status is of no interest here, nor perhaps of this version.
        return model.parse(
            {"apiVersion": API_VERSION, "kind": model.__name__, "metadata": obj["metadata"], "spec": obj.get("spec")}
        )
    except ValidationError as error:
        wrong = [str(problem) for problem in problems(error)]
        _log.warning("object_unreadable", kind=model.__name__, name=obj["metadata"]["name"], problems=wrong)
        return None


def _pools_names(pools: Iterable[KnownPool], taken: Collection[str]) -> dict[str, tuple[str, ...]]:
    """By pool, the names that no policy has and no pool that comes before: who is not refused, then the older one."""
    owners = dict.fromkeys(taken, "")
    found = {}
    for each in sorted(pools, key=lambda known: (known.refused, *age(known.pool))):
        name = each.pool.metadata.name
        found[name] = tuple(wanted for wanted in each.pool.model_names if owners.setdefault(wanted, name) == name)
    return found


def _entry(followed: PolicyInForce) -> PolicyEntry:
    policy = followed.policy
    spec, llm = policy.spec, policy.spec.classifier.llm
    return PolicyEntry(
        name=policy.metadata.name,
        served_names=followed.served_names,
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
    if predicted is None:
        return None
    try:
        return Prices(
            prompt=_price(predicted["promptPerMillion"]),
            cached_prompt=_price(predicted["cachedPromptPerMillion"]),
            completion=_price(predicted["completionPerMillion"]),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation):  # a status of another version of the operator
        return None


def _price(text: str) -> Decimal:
    """What adds up to a cost: one "NaN" would make all sums NaN for ever."""
    price = Decimal(text)
    if not price.is_finite() or price < 0:
        raise ValueError(text)
    return price


def _engine_port(pod: RawObject) -> int | None:
    for container in pod.get("spec", {}).get("containers", ()):
        if container["name"] == ENGINE_CONTAINER:
            for port in container.get("ports", ()):
                if port.get("name") == ENGINE_PORT_NAME:
                    return int(port["containerPort"])
    return None
