"""Which pools want which names: a model name belongs to one pool of a namespace, and so does a Deployment's."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from mixserve.controller.object_cache import PoolKey, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    RawObject = Mapping[str, Any]

_NOTHING: frozenset[str] = frozenset()


class ServedNames:
    """An index of the names that pools want, read from the raw objects."""

    def __init__(self) -> None:
        self._names: dict[PoolKey, frozenset[str]] = {}
        self._holders: defaultdict[tuple[str, str], set[PoolKey]] = defaultdict(set)

    def put(self, pool: RawObject) -> set[PoolKey]:
        """Take a pool; return the others whose right to a name may have changed by that."""
        return self._change(key_of(pool), _names(pool))

    def remove(self, pool: RawObject) -> set[PoolKey]:
        """Drop a pool; return the others whose right to a name may have changed by that."""
        return self._change(key_of(pool), _NOTHING)

    def sharing(self, key: PoolKey) -> set[PoolKey]:
        """The other pools that want one of this pool's names."""
        return self._holding(key, self._names.get(key, _NOTHING))

    def _change(self, key: PoolKey, names: frozenset[str]) -> set[PoolKey]:
        before = self._names.get(key, _NOTHING)
        if names == before:
            return set()
        for name in before - names:
            self._release((key.namespace, name), key)
        for name in names - before:
            self._holders[key.namespace, name].add(key)
        self._names[key] = names
        if not names:
            del self._names[key]
        return self._holding(key, before ^ names)

    def _release(self, name: tuple[str, str], key: PoolKey) -> None:
        self._holders[name].discard(key)
        if not self._holders[name]:
            del self._holders[name]

    def _holding(self, key: PoolKey, names: frozenset[str]) -> set[PoolKey]:
        found = [self._holders[key.namespace, n] for n in names if (key.namespace, n) in self._holders]
        return set().union(*found) - {key}


def _names(pool: RawObject) -> frozenset[str]:
    """Model names, and those of Deployments after a slash, with which no model name begins."""
    name, spec = pool["metadata"]["name"], pool.get("spec", {})
    deployments = (f"/{name}-{variant.get('name')}" for variant in spec.get("variants") or ())
    adapters = (adapter.get("name") for adapter in (spec.get("model") or {}).get("adapters") or ())
    return frozenset((*(spec.get("servedNames") or (name,)), *adapters, *deployments))
