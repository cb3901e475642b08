"""Bring one object of a pool or a gateway into the state that was planned, with as few writes as that takes.

A new object is POSTed: a name that is taken is noticed instead of overwritten, and a Deployment starts with its
replicas, which no apply ever carries. From then on it is server-side applied, and only when it is not as desired.

A POST makes us owner of the fields by "Update", and an apply takes back only what was owned by "Apply". So before the
first apply that ownership is turned into the other, all but the replicas'.
"""

from __future__ import annotations

import copy
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_DESIRED_HASH, FIELD_MANAGER, LABEL_GATEWAY, LABEL_POOL
from mixserve.apply.drift import first_difference
from mixserve.apply.errors import Conflict, NotFound, NotOwned
from mixserve.apply.resources import POLICIES, POOLS, WRITTEN_BY_KIND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.apply.connection import Connection


class Outcome(StrEnum):
    """What had to be done; also a metric label."""

    UNCHANGED = "unchanged"
    CREATED = "created"
    APPLIED = "applied"
    REPAIRED = "repaired"
    """Applied, too: it was as it should be once, and somebody else has changed it."""


class ObjectWriter:
    """Writes the objects that pools consist of, and remembers which versions were found to be right."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._right: dict[str, tuple[str, str]] = {}

    async def bring(
        self,
        desired: Mapping[str, Any],
        *,
        live: Mapping[str, Any] | None,
        desired_hash: str,
        replicas: int | None = None,
    ) -> tuple[Outcome, Mapping[str, Any]]:
        """Create or apply `desired` where `live` is not so already.

        Args:
            desired: the object without `spec.replicas`.
            live: the object as it was last seen, or None.
            desired_hash: changes with `desired`; saves comparing a version of the object twice.
            replicas: what a new Deployment starts with; None for other kinds.

        Returns:
            What was done, and the object as it is now.

        Raises:
            NotOwned: the name is taken.
            ApiError: the API server refused or did not answer.
        """
        outcome = Outcome.UNCHANGED
        if live is None:
            created = await self._create(desired, replicas)
            if created is not None:
                self._remember(created, desired_hash)
                return Outcome.CREATED, created
            live = await self._read(desired)
        _check_owner(desired, live)
        if not self.is_right(desired, live=live, desired_hash=desired_hash):
            outcome = Outcome.REPAIRED if _hash_of(live) == desired_hash else Outcome.APPLIED
            live = await self._apply(desired, live)
            self._remember(live, desired_hash)
        return outcome, live

    def is_right(self, desired: Mapping[str, Any], *, live: Mapping[str, Any], desired_hash: str) -> bool:
        """Whether the object needs no write; see `bring`."""
        metadata = live["metadata"]
        if self._right.get(metadata["uid"]) == (metadata["resourceVersion"], desired_hash):
            return True
        right = first_difference(desired, live) is None
        if right:
            self._remember(live, desired_hash)
        return right

    async def remove(self, live: Mapping[str, Any]) -> None:
        """Delete an object that is no longer desired; its pods finish their requests as with any deletion."""
        metadata = live["metadata"]
        await self._connection.delete(
            WRITTEN_BY_KIND[live["kind"]],
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
        )
        self._right.pop(metadata["uid"], None)

    def forget(self, uid: str) -> None:
        """Drop what is known of an object that is gone."""
        self._right.pop(uid, None)

    def _remember(self, live: Mapping[str, Any], desired_hash: str) -> None:
        self._right[live["metadata"]["uid"]] = (live["metadata"]["resourceVersion"], desired_hash)

    async def _create(self, desired: Mapping[str, Any], replicas: int | None) -> Mapping[str, Any] | None:
        body = dict(desired)
        if replicas is not None:
            body["spec"] = {**body["spec"], "replicas": replicas}
        try:
            return await self._connection.create(WRITTEN_BY_KIND[body["kind"]], body, field_manager=FIELD_MANAGER)
        except Conflict:  # the name is taken, perhaps by ourselves, before we were started or our watch told us
            return None

    async def _read(self, desired: Mapping[str, Any]) -> Mapping[str, Any]:
        kind, metadata = desired["kind"], desired["metadata"]
        try:
            return await self._connection.get(
                WRITTEN_BY_KIND[kind], namespace=metadata["namespace"], name=metadata["name"]
            )
        except NotFound as error:
            # The object of a deleted pool of the same name, which the garbage collector has just taken.
            raise Conflict(f"{kind} {metadata['name']} was there and is gone") from error

    async def _apply(self, desired: Mapping[str, Any], live: Mapping[str, Any]) -> Mapping[str, Any]:
        resource = WRITTEN_BY_KIND[desired["kind"]]
        entries = applied_instead_of_created(live["metadata"].get("managedFields", []))
        if entries is not None:
            metadata = live["metadata"]
            await self._connection.patch(
                resource,
                [
                    {"op": "replace", "path": "/metadata/managedFields", "value": entries},
                    # Makes it a precondition: nobody has written in between.
                    {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
                ],
                namespace=metadata["namespace"],
                name=metadata["name"],
                field_manager=FIELD_MANAGER,
            )
        return await self._connection.apply(resource, desired, field_manager=FIELD_MANAGER)


def applied_instead_of_created(entries: list[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """ManagedFields in which we own by "Apply" what we own by "Update", all but a Deployment's replicas.

    Returns:
        The new entries, or None where there is nothing to turn.
    """
    ours = [e for e in entries if e.get("manager") == FIELD_MANAGER and not e.get("subresource")]
    created = next((e for e in ours if e.get("operation") == "Update"), None)
    if created is None or any(e.get("operation") == "Apply" for e in ours):
        return None
    return [e for e in entries if e is not created] + _turned(created)


def _turned(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    applied = {**copy.deepcopy(dict(entry)), "operation": "Apply"}
    spec = applied["fieldsV1"].get("f:spec", {})
    if "f:replicas" not in spec:
        return [applied]
    del spec["f:replicas"]
    return [applied, {**entry, "fieldsV1": {"f:spec": {"f:replicas": {}}}}]


def _hash_of(live: Mapping[str, Any]) -> str | None:
    annotations: Mapping[str, str] = live["metadata"].get("annotations", {})
    return annotations.get(ANNOTATION_DESIRED_HASH)


def _check_owner(desired: Mapping[str, Any], live: Mapping[str, Any]) -> None:
    """Refuse to touch what is not the pool's or the gateway's; what an orphaning deletion has left is adopted."""
    if LABEL_GATEWAY in desired["metadata"]["labels"]:
        _check_gateway(live)
        return
    wanted = desired["metadata"]["ownerReferences"][0]["uid"]
    name = f"{live['kind']} {live['metadata']['namespace']}/{live['metadata']['name']}"
    owners = live["metadata"].get("ownerReferences", [])
    if any(owner["uid"] == wanted for owner in owners):
        return
    if any(owner["kind"] == POOLS.kind and owner["name"] == _owner_name(desired) for owner in owners):
        # Of an earlier pool of this name: the garbage collector is about to delete it, so look again soon.
        raise Conflict(f"{name} of the deleted pool of the same name is still there")
    label = live["metadata"].get("labels", {}).get(LABEL_POOL)
    if not owners and label == desired["metadata"]["labels"][LABEL_POOL]:
        return
    # What is another pool's has to stay, since it serves.
    other = next((owner["name"] for owner in owners if owner["kind"] == POOLS.kind), None if owners else label)
    remedy = (
        "delete it, or give the pool" if other is None else f"it is the pool {other}'s; give this one or its variant"
    )
    raise NotOwned(f"{name} exists and does not belong to this pool: {remedy} another name")


def _check_gateway(live: Mapping[str, Any]) -> None:
    """A gateway is that of all policies of its namespace, whichever of them owned it so far."""
    metadata = live["metadata"]
    owners = metadata.get("ownerReferences", [])
    # With the label it may have lost its owners, and with owners the label.
    is_labelled = LABEL_GATEWAY in metadata.get("labels", {})
    if (owners or is_labelled) and all(owner["kind"] == POLICIES.kind for owner in owners):
        return
    name = f"{live['kind']} {metadata['namespace']}/{metadata['name']}"
    raise NotOwned(f"{name} exists and does not belong to this namespace's gateway: delete it")


def _owner_name(desired: Mapping[str, Any]) -> str:
    return str(desired["metadata"]["ownerReferences"][0]["name"])
