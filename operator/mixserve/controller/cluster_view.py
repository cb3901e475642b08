"""All objects that the operator watches, and which pools an object concerns."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from mixserve.api.names import LABEL_POOL
from mixserve.apply.resources import ACCELERATORS, FORMATS, OWNED, PAIRS, PODS, POOLS, Resource
from mixserve.controller.object_cache import ObjectCache, PoolKey, key_of
from mixserve.controller.served_names import ServedNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    RawObject = Mapping[str, Any]

WATCHED = (FORMATS, ACCELERATORS, PAIRS, *OWNED, PODS, POOLS)
"""The resources that are watched; pools last, so that all about a pool is known when it is."""

NAMED_BY_POOLS = frozenset({FORMATS, ACCELERATORS, PAIRS})
"""Those that pools name; a change of their specs concerns pools, one of their status does not."""

LABELLED = frozenset({*OWNED, PODS})
"""Those of which only objects that carry the label of a pool are watched."""


class ClusterView:
    """One cache for each watched resource.

    Args:
        gone: called with the uid of each object that was deleted.
        said: called when there is news about a pool, or about what pools name.
    """

    def __init__(
        self,
        gone: Callable[[str], None] = lambda _: None,
        *,
        said: Callable[[], None] = lambda: None,
    ) -> None:
        self._gone = gone
        self._said = said
        self.pools = ObjectCache(group=key_of)
        self.formats = ObjectCache(group=lambda _: None)
        self.accelerators = ObjectCache(group=lambda _: None)
        self.pairs = ObjectCache(group=_namespace_of)
        self.pods = ObjectCache(group=pool_of, trim=_without_spec)
        self.names = ServedNames()
        self._owned = {resource: ObjectCache(group=pool_of) for resource in OWNED}
        self._caches = {
            POOLS: self.pools,
            FORMATS: self.formats,
            ACCELERATORS: self.accelerators,
            PAIRS: self.pairs,
            PODS: self.pods,
            **self._owned,
        }

    def get(self, resource: Resource, key: PoolKey) -> RawObject | None:
        """One object by namespace and name."""
        return self._caches[resource].get(key)

    def owned(self, pool: PoolKey) -> list[RawObject]:
        """What the pool consists of, as it is in the cluster."""
        return list(chain.from_iterable(cache.of(pool) for cache in self._owned.values()))

    def pairs_in(self, namespace: str) -> list[RawObject]:
        """The SpeculativePairs of a namespace, by name."""
        return self.pairs.of(PoolKey(namespace, ""))

    def put(self, resource: Resource, obj: RawObject) -> set[PoolKey]:
        """Take a version of an object; return the pools that have to be looked at because of it."""
        # Items of a list do not say what they are.
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        before = self._caches[resource].get(key_of(whole))
        if not self._caches[resource].put(whole):
            return set()
        self._tell(resource)
        if resource in NAMED_BY_POOLS and before is not None and _is_same_spec(before, whole):
            return set()  # its status was written, which is nothing to pools
        others = self.names.put(whole) if resource is POOLS else set()
        return others | self._concerned(resource, whole)

    def remove(self, resource: Resource, obj: RawObject, *, version: str | None = None) -> set[PoolKey]:
        """Take the deletion of an object, at a version or its own; return the pools to be looked at because of it."""
        if not self._caches[resource].remove(obj, version=version):
            return set()
        self._gone(obj["metadata"]["uid"])
        self._tell(resource)
        others = self.names.remove(obj) if resource is POOLS else set()
        return others | self._concerned(resource, obj)

    def take_list(
        self,
        resource: Resource,
        items: Iterable[RawObject],
        *,
        version: str,
        namespace: str = "",
    ) -> set[PoolKey]:
        """Take a full list of a resource, in one namespace or all; return the pools to be looked at because of it."""
        listed = list(items)
        missing = self._caches[resource].missing_from(listed, version=version)
        gone = [obj for obj in missing if namespace in {"", obj["metadata"].get("namespace")}]
        changes = [self.remove(resource, obj, version=version) for obj in gone]
        changes += [self.put(resource, obj) for obj in listed]
        return set().union(*changes)

    def _tell(self, resource: Resource) -> None:
        if resource in NAMED_BY_POOLS or resource is POOLS:
            self._said()

    def _concerned(self, resource: Resource, obj: RawObject) -> set[PoolKey]:
        if resource is POOLS:
            return {key_of(obj)}
        if resource in LABELLED:
            pool = pool_of(obj)
            return set() if pool is None else {pool}
        if resource is PAIRS:
            return {key_of(pool) for pool in self.pools.all() if _names_pair(pool, key_of(obj))}
        # The catalogue changes seldom, and a remedy may name any of its entries.
        return {key_of(pool) for pool in self.pools.all()}


def pool_of(obj: RawObject) -> PoolKey | None:
    """The pool whose label an object carries."""
    metadata = obj["metadata"]
    name = metadata.get("labels", {}).get(LABEL_POOL)
    return None if name is None else PoolKey(metadata["namespace"], name)


def _namespace_of(obj: RawObject) -> PoolKey:
    return PoolKey(key_of(obj).namespace, "")


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
