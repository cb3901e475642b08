"""Read of a cluster what a plan is held against: pools, their objects, the catalogue, and what admission would say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.names import ANNOTATION_KEPT, API_VERSION, LABEL_POOL
from mixserve.api.quantization import QuantizationFormat
from mixserve.api.speculative_pair import SpeculativePair
from mixserve.apply.errors import NotFound, Rejected
from mixserve.apply.resources import ACCELERATORS, FORMATS, OWNED, PAIRS, POOLS
from mixserve.catalog.built_in import Catalog
from mixserve.observe.kept_files import recall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.pool import LLMServingPool
    from mixserve.apply.connection import Connection
    from mixserve.apply.resources import Resource
    from mixserve.plan.model_source import Repository

DRY_RUN_MANAGER = "mixserve-plan"
"""The field manager of dry runs: whoever reads the API server's audit log finds out who asked."""


@dataclass(frozen=True)
class LivePool:
    """A pool of manifests as the cluster has it.

    Attributes:
        pool: the object, or None if there is none of this name.
        objects: what it consists of, each with its kind.
        refusal: why the API server would not take the pool as it is in the manifests; empty if it would.
        pairs: the SpeculativePairs of its namespace, by name; none where the pool of the manifests names none.
    """

    pool: Mapping[str, Any] | None
    objects: tuple[Mapping[str, Any], ...]
    refusal: str
    pairs: Mapping[str, SpeculativePair] = field(default_factory=dict)

    def learned(self, repository: Repository) -> Mapping[str, Any] | None:
        """What the cluster's operator has read of a checkpoint: its decoded config.json, or None."""
        uid = None if self.pool is None else self.pool["metadata"]["uid"]
        for one in self.objects:
            owners = one["metadata"].get("ownerReferences", ())
            if ANNOTATION_KEPT in one["metadata"].get("annotations", {}) and any(o["uid"] == uid for o in owners):
                found = recall(one.get("data") or {}, repository)
                return None if found is None else found.config
        return None


async def read_catalog(connection: Connection) -> Catalog:
    """The cluster's catalogue; entries that can't be read are left out, as the operator leaves them out."""
    formats, accelerators = await asyncio.gather(connection.get(FORMATS), connection.get(ACCELERATORS))
    return Catalog(
        formats=_entries(QuantizationFormat, FORMATS, formats),
        accelerators=_entries(AcceleratorClass, ACCELERATORS, accelerators),
    )


def _entries(model: type[Any], resource: Resource, listed: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for item in listed["items"]:
        try:
            # Items of a list do not say what they are.
            entry = model.parse({**item, "apiVersion": API_VERSION, "kind": resource.kind})
        except ValidationError:
            continue
        found[entry.metadata.name] = entry
    return found


async def read_pools(connection: Connection, pools: Sequence[LLMServingPool]) -> list[LivePool]:
    """Each pool as the cluster has it, in their order."""
    return list(await asyncio.gather(*(_read_pool(connection, pool) for pool in pools)))


async def _read_pool(connection: Connection, pool: LLMServingPool) -> LivePool:
    namespace, name = pool.metadata.namespace, pool.metadata.name
    live, refusal, *lists = await asyncio.gather(
        _get(connection, namespace=namespace, name=name),
        _refusal(connection, pool),
        *(connection.get(each, namespace=namespace, label_selector=f"{LABEL_POOL}={name}") for each in OWNED),
    )
    # Items of a list do not say what they are.
    objects = (
        {**one, "apiVersion": each.api_version, "kind": each.kind}
        for each, listed in zip(OWNED, lists, strict=True)
        for one in listed["items"]
    )
    return LivePool(live, tuple(objects), refusal, await _pairs(connection, pool))


async def _pairs(connection: Connection, pool: LLMServingPool) -> dict[str, SpeculativePair]:
    if pool.spec.speculative_pair_ref is None:
        return {}
    return _entries(SpeculativePair, PAIRS, await connection.get(PAIRS, namespace=pool.metadata.namespace))


async def _get(connection: Connection, *, namespace: str, name: str) -> Mapping[str, Any] | None:
    try:
        return await connection.get(POOLS, namespace=namespace, name=name)
    except NotFound:
        return None


async def _refusal(connection: Connection, pool: LLMServingPool) -> str:
    """What schema, rules and webhooks of the cluster have against the pool, with what was written of it only."""
    body = {
        "apiVersion": API_VERSION,
        "kind": POOLS.kind,
        "metadata": {"name": pool.metadata.name, "namespace": pool.metadata.namespace},
        "spec": pool.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }
    try:
        await connection.try_apply(POOLS, body, field_manager=DRY_RUN_MANAGER)
    except Rejected as error:
        # What the server said, without what it was asked.
        return str(error).split(f": {error.status}: ", 1)[-1]
    return ""
