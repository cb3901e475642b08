"""All objects that the operator watches, and which pools an object concerns."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from mixserve.api.names import LABEL_GATEWAY, LABEL_MANAGED_BY, LABEL_POOL, MANAGED_BY
from mixserve.apply.resources import (
    ACCELERATORS,
    DEPLOYMENTS,
    FORMATS,
    GATEWAY_ONLY,
    OWNED,
    PAIRS,
    PODS,
    POLICIES,
    POOLS,
    Resource,
)
from mixserve.controller.object_cache import GatewayKey, ObjectCache, PoolKey, WorkKey, key_of
from mixserve.controller.served_names import ServedNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    RawObject = Mapping[str, Any]

WATCHED = (FORMATS, ACCELERATORS, PAIRS, *OWNED, PODS, POOLS)
"""The resources that are watched; pools last, so that all about a pool is known when it is."""

WATCHED_FOR_GATEWAYS = (*GATEWAY_ONLY, POLICIES)
"""Those that are watched as well where there may be gateways."""

NAMED_BY_POOLS = frozenset({FORMATS, ACCELERATORS, PAIRS})
"""Those that pools name; a change of their specs concerns pools, one of their status does not."""

LABELLED = frozenset({*OWNED, *GATEWAY_ONLY, PODS})
"""Those of which only objects that the operator manages are watched."""

MANAGED = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
"""The selector of these: a watch has one, and this is what those of pools and of gateways have in common."""


class ClusterView:
    """One cache for each watched resource.

    Args:
        gone: called with the uid of each object that was deleted.
        said: called when there is news about a pool, or about what pools name.
        routes_said: called when there is news about a policy, or about what takes its requests.
    """

    def __init__(
        self,
        gone: Callable[[str], None] = lambda _: None,
        *,
        said: Callable[[], None] = lambda: None,
        routes_said: Callable[[], None] = lambda: None,
    ) -> None:
        self._gone = gone
        self._said = said
        self._routes_said = routes_said
        self.pools = ObjectCache(group=key_of)
        self.formats = ObjectCache(group=lambda _: None)
        self.accelerators = ObjectCache(group=lambda _: None)
        self.pairs = ObjectCache(group=_namespace_of)
        self.policies = ObjectCache(group=_gateway_for)
        self.pods = ObjectCache(group=owner_of, trim=_without_spec)
        self.names = ServedNames()
        self._owned = {resource: ObjectCache(group=owner_of) for resource in (*OWNED, *GATEWAY_ONLY)}
        self._caches = {
            POOLS: self.pools,
            FORMATS: self.formats,
            ACCELERATORS: self.accelerators,
            PAIRS: self.pairs,
            POLICIES: self.policies,
            PODS: self.pods,
            **self._owned,
        }

    def get(self, resource: Resource, key: PoolKey) -> RawObject | None:
        """One object by namespace and name."""
        return self._caches[resource].get(key)

    def owned(self, owner: WorkKey) -> list[RawObject]:
        """What the pool or the gateway consists of, as it is in the cluster."""
        return list(chain.from_iterable(cache.of(owner) for cache in self._owned.values()))

    def pairs_in(self, namespace: str) -> list[RawObject]:
        """The SpeculativePairs of a namespace, by name."""
        return self.pairs.of(PoolKey(namespace, ""))

    def policies_in(self, namespace: str) -> list[RawObject]:
        """The RoutingPolicies of a namespace that are not being deleted, by name."""
        found = self.policies.of(GatewayKey(namespace))
        return [policy for policy in found if "deletionTimestamp" not in policy["metadata"]]

    def pools_in(self, namespace: str) -> list[RawObject]:
        """The pools of a namespace."""
        return [pool for pool in self.pools.all() if key_of(pool).namespace == namespace]

    def put(self, resource: Resource, obj: RawObject) -> set[WorkKey]:
        """Take a version of an object; return what has to be looked at because of it."""
        # Items of a list do not say what they are.
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        before = self._caches[resource].get(key_of(whole))
        if not self._caches[resource].put(whole):
            return set()
        self._tell(resource)
        if resource in {*NAMED_BY_POOLS, POLICIES} and before is not None and _is_same_spec(before, whole):
            return set()  # its status was written, which is nothing to pools and gateways
        others: set[WorkKey] = set()
        if resource is POOLS:
            others = {*self.names.put(whole), *self._gateways_of(whole, before)}
        was = set() if before is None else self._concerned(resource, before)
        return others | was | self._concerned(resource, whole)

    def remove(self, resource: Resource, obj: RawObject, *, version: str | None = None) -> set[WorkKey]:
        """Take the deletion of an object, at a version or its own; return what has to be looked at because of it."""
        if not self._caches[resource].remove(obj, version=version):
            return set()
        self._gone(obj["metadata"]["uid"])
        self._tell(resource)
        others: set[WorkKey] = set()
        if resource is POOLS:
            others = {*self.names.remove(obj), *self._gateways_of(obj)}
        return others | self._concerned(resource, obj)

    def take_list(
        self,
        resource: Resource,
        items: Iterable[RawObject],
        *,
        version: str,
        namespace: str = "",
    ) -> set[WorkKey]:
        """Take a full list of a resource, in one namespace or all; return what has to be looked at because of it."""
        listed = list(items)
        missing = self._caches[resource].missing_from(listed, version=version)
        gone = [obj for obj in missing if namespace in {"", obj["metadata"].get("namespace")}]
        changes = [self.remove(resource, obj, version=version) for obj in gone]
        changes += [self.put(resource, obj) for obj in listed]
        return set().union(*changes)

    def _tell(self, resource: Resource) -> None:
        if resource in NAMED_BY_POOLS or resource is POOLS:
            self._said()
        if resource in {POLICIES, POOLS, PODS, DEPLOYMENTS} and len(self.policies):
            self._routes_said()

    def _concerned(self, resource: Resource, obj: RawObject) -> set[WorkKey]:
        if resource is POOLS:
            return {key_of(obj)}
        if resource in LABELLED:
            owner = owner_of(obj)
            return set() if owner is None else {owner}
        if resource is POLICIES:
            return {_gateway_for(obj), *self._wanting_names_of(obj)}
        if resource is PAIRS:
            return {key_of(pool) for pool in self.pools.all() if _names_pair(pool, key_of(obj))}
        # The catalogue changes seldom, and a remedy may name any of its entries.
        return {key_of(pool) for pool in self.pools.all()}

    def _gateways_of(self, pool: RawObject, before: RawObject | None = None) -> set[GatewayKey]:
        """The gateway whose policies may have got a name by the pool's change, or lost one."""
        gateway = GatewayKey(key_of(pool).namespace)
        is_news = before is None or not _is_same_spec(before, pool)
        return {gateway} if is_news and self.policies.of(gateway) else set()

    def _wanting_names_of(self, policy: RawObject) -> set[WorkKey]:
        names = names_in(policy)
        return {key_of(pool) for pool in self.pools_in(key_of(policy).namespace) if names & names_in(pool)}


def owner_of(obj: RawObject) -> WorkKey | None:
    """The pool or the gateway whose label an object carries."""
    if obj["metadata"].get("labels", {}).get(LABEL_GATEWAY) == "true":
        return GatewayKey(obj["metadata"]["namespace"])
    return pool_of(obj)


def names_in(raw: RawObject) -> frozenset[str]:
    """The model names that a raw pool or policy answers for."""
    spec = raw.get("spec", {})
    adapters = (adapter.get("name") for adapter in (spec.get("model") or {}).get("adapters") or ())
    return frozenset((*(spec.get("servedNames") or (raw["metadata"]["name"],)), *adapters))


def pool_of(obj: RawObject) -> PoolKey | None:
    """The pool whose label an object carries."""
    metadata = obj["metadata"]
    name = metadata.get("labels", {}).get(LABEL_POOL)
    return None if name is None else PoolKey(metadata["namespace"], name)


def _namespace_of(obj: RawObject) -> PoolKey:
    return PoolKey(key_of(obj).namespace, "")


def _gateway_for(policy: RawObject) -> GatewayKey:
    return GatewayKey(key_of(policy).namespace)


def _is_same_spec(before: RawObject, after: RawObject) -> bool:
    metadata = before["metadata"], after["metadata"]
    return all(metadata[0].get(key) == metadata[1].get(key) for key in ("uid", "generation"))


def _names_pair(pool: RawObject, pair: PoolKey) -> bool:
    reference = pool["spec"].get("speculativePairRef") or {}
    return key_of(pool).namespace == pair.namespace and reference.get("name") == pair.name


def _without_spec(pod: RawObject) -> RawObject:
    """A pod's spec is its Deployment's, and nobody reads who manages its fields: half of the memory."""
    metadata = {key: value for key, value in pod["metadata"].items() if key != "managedFields"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": pod.get("status", {})}
