"""What the watches have told: the newest version of every object, by kind and by pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    RawObject = Mapping[str, Any]

# Deletions that are remembered, so that a list from before one of them does not bring its object back. A list takes a
# second; this many deletions take the garbage collector longer.
_REMEMBERED_DELETIONS = 10_000


class PoolKey(NamedTuple):
    """Which pool."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class GatewayKey(NamedTuple):
    """Which gateway: each namespace has one at most."""

    namespace: str

    def __str__(self) -> str:
        return f"the gateway of {self.namespace}"


WorkKey = PoolKey | GatewayKey
"""What is looked at, one after the other."""


def key_of(obj: RawObject) -> PoolKey:
    """Namespace and name of an object."""
    return PoolKey(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


class ObjectCache:
    """The newest version of each object of one resource, as the API server sent it.

    Args:
        group: tells which pool or gateway an object belongs to, None for none.
        trim: drops what nobody reads.

    Attributes:
        revision: another number after each change.
    """

    def __init__(
        self,
        *,
        group: Callable[[RawObject], WorkKey | None],
        trim: Callable[[RawObject], RawObject] = lambda obj: obj,
    ) -> None:
        self._group = group
        self._trim = trim
        self._objects: dict[PoolKey, RawObject] = {}
        self._groups: dict[WorkKey, dict[PoolKey, RawObject]] = {}
        self._deleted: dict[str, int] = {}
        self.revision = 0

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: PoolKey) -> RawObject | None:
        """The object of this namespace and name."""
        return self._objects.get(key)

    def all(self) -> Iterator[RawObject]:
        """All objects."""
        yield from list(self._objects.values())

    def of(self, group: WorkKey) -> list[RawObject]:
        """The objects that belong to a pool or a gateway, by name."""
        return [obj for _, obj in sorted(self._groups.get(group, {}).items())]

    def put(self, obj: RawObject) -> bool:
        """Take a version that was sent; return whether it is news."""
        key, known = key_of(obj), self._objects.get(key_of(obj))
        if known is not None and _version(obj) <= _version(known):
            return False
        # A selector's watch also tells of a deletion when an object loses its label, which may come back later.
        if _version(obj) <= self._deleted.get(obj["metadata"]["uid"], -1):
            return False
        if known is not None:
            self._drop(key, known)
        self.revision += 1
        trimmed = self._objects[key] = self._trim(obj)
        group = self._group(trimmed)
        if group is not None:
            self._groups.setdefault(group, {})[key] = trimmed
        return True

    def remove(self, obj: RawObject, *, version: str | None = None) -> bool:
        """Take a deletion that was sent; return whether it is news.

        Args:
            obj: as it was sent with its deletion, or as it was known.
            version: at which it was gone; None for the object's own.
        """
        self._remember_deletion(obj["metadata"]["uid"], _version(obj) if version is None else int(version))
        key, known = key_of(obj), self._objects.get(key_of(obj))
        if known is None or known["metadata"]["uid"] != obj["metadata"]["uid"]:
            return False
        self._drop(key, known)
        self.revision += 1
        return True

    def missing_from(self, listed: Iterable[RawObject], *, version: str) -> list[RawObject]:
        """The objects that are gone according to a full list of collection version `version`."""
        keys = {key_of(obj) for obj in listed}
        return [
            known
            for key, known in self._objects.items()
            if key not in keys and _version(known) <= int(version)  # else it was made after the list
        ]

    def _remember_deletion(self, uid: str, version: int) -> None:
        self._deleted[uid] = max(version, self._deleted.pop(uid, -1))
        if len(self._deleted) > _REMEMBERED_DELETIONS:
            del self._deleted[next(iter(self._deleted))]

    def _drop(self, key: PoolKey, known: RawObject) -> None:
        del self._objects[key]
        group = self._group(known)
        if group is not None:
            members = self._groups[group]
            del members[key]
            if not members:
                del self._groups[group]


def _version(obj: RawObject) -> int:
    # Versions of one resource can be compared since Kubernetes 1.35; before, etcd's revision did the same.
    return int(obj["metadata"]["resourceVersion"])
