"""`mixserve plan --against`: what would change in a live cluster."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve.apply.changes import changes
from mixserve.apply.last_valid import last_valid
from mixserve.apply.late_facts import MadeWith, numbers_for_objects
from mixserve.apply.resources import DEPLOYMENTS, SERVICE_ACCOUNTS
from mixserve.plan.objects import desired_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mixserve.api.pool import LLMServingPool
    from mixserve.apply.changes import Change
    from mixserve.catalog.built_in import Catalog
    from mixserve.observe.live_pools import LivePool
    from mixserve.validate.judgement import Judgement


class NoClusterError(Exception):
    """There is no cluster to compare with, or it does not answer."""


@dataclass(frozen=True)
class Cluster:
    """What was read of a cluster.

    Attributes:
        catalog: its formats and accelerators.
        pools: the pools of the manifests as it has them, in their order.
    """

    catalog: Catalog
    pools: tuple[LivePool, ...]


@dataclass(frozen=True)
class Bounds:
    """The replicas of a variant, before and after; None where there is no such variant.

    Attributes:
        variant: its name.
        before: fewest and most.
        after: fewest and most.
        running: replicas that its Deployment has now, or None.
    """

    variant: str
    before: tuple[int, int] | None
    after: tuple[int, int] | None
    running: int | None


@dataclass(frozen=True)
class Difference:
    """What would change for one pool.

    Attributes:
        is_new: there is no such pool in the cluster.
        refusal: why the API server would not take it; empty if it would.
        changes: of its objects; none for a pool with violations, which the operator leaves as it is.
        bounds: of the variants whose replicas change.
        is_planned: whether it is known what the pool would consist of.
    """

    is_new: bool
    refusal: str
    changes: tuple[Change, ...]
    bounds: tuple[Bounds, ...]
    is_planned: bool


def look(context: str | None, pools: Sequence[LLMServingPool]) -> Cluster:
    """Read what the pools are held against.

    Args:
        context: of the kubeconfig; None for its current one.
        pools: those of the manifests.

    Raises:
        NoClusterError: it can't be reached, or may not be read.
    """
    return asyncio.run(_look(context, pools))


async def _look(context: str | None, pools: Sequence[LLMServingPool]) -> Cluster:
    import yaml
    from kubernetes.aio.client import ApiClient, Configuration
    from kubernetes.aio.config import ConfigException, load_kube_config
    from kubernetes.aio.dynamic import DynamicClient

    from mixserve.apply.connection import Connection
    from mixserve.apply.errors import ApiError
    from mixserve.observe.live_pools import read_catalog, read_pools

    _require_kubeconfig()
    configuration = Configuration()
    configuration.client_session_kwargs = {"trust_env": False}
    try:
        await load_kube_config(context=context, client_configuration=configuration, persist_config=False)
        async with ApiClient(configuration) as client:
            connection = Connection(DynamicClient(client), lambda *_: None)
            catalog, live = await asyncio.gather(read_catalog(connection), read_pools(connection, pools))
    except (ConfigException, ApiError, OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise NoClusterError(str(error)) from error
    return Cluster(catalog, tuple(live))


def _require_kubeconfig() -> None:
    """Say what is missing in our own words: the client logs that, and fails for want of a key."""
    named = os.environ.get("KUBECONFIG") or "~/.kube/config"
    if not any(Path(each).expanduser().exists() for each in named.split(os.pathsep) if each):
        raise NoClusterError(f"there is no kubeconfig {named}; name one in KUBECONFIG")


def difference(judgement: Judgement, live: LivePool, *, is_planned: bool) -> Difference:
    """What would change for a pool; of its objects nothing where it can't be planned."""
    return Difference(
        is_new=live.pool is None,
        refusal=live.refusal,
        changes=_changes(judgement, live) if is_planned else (),
        bounds=tuple(_bounds(judgement.resolved, live)),
        is_planned=is_planned,
    )


def _changes(judgement: Judgement, live: LivePool) -> tuple[Change, ...]:
    pool, uid = judgement.resolved, "" if live.pool is None else live.pool["metadata"]["uid"]
    owned = pool.model_copy(update={"metadata": pool.metadata.model_copy(update={"uid": uid})})
    account = next((one for one in live.objects if one["kind"] == SERVICE_ACCOUNTS.kind), None)
    made_with = numbers_for_objects(
        owned,
        catalog=judgement.catalog,
        known=MadeWith(judgement.facts, judgement.speculation),
        served=None if live.pool is None else last_valid(live.pool, account),
        deployments={one["metadata"]["name"]: one for one in live.objects if one["kind"] == DEPLOYMENTS.kind},
    )
    desired = desired_objects(
        owned,
        catalog=judgement.catalog,
        facts_by_variant=made_with.facts,
        speculation=made_with.speculation,
    )
    return changes(desired.objects, live.objects)


def _bounds(pool: LLMServingPool, live: LivePool) -> Iterator[Bounds]:
    """Variants whose bounds are not what they were, in the order of the manifest, then those that go."""
    spec = {} if live.pool is None else live.pool["spec"]
    before = {one["name"]: _range(one.get("replicas", {})) for one in spec.get("variants", ())}
    after = {one.name: (one.replicas.min, one.replicas.max) for one in pool.spec.variants}
    deployments = {one["metadata"]["name"]: one for one in live.objects if one["kind"] == "Deployment"}
    for name in {**after, **before}:
        if before.get(name) != after.get(name):
            deployment = deployments.get(f"{pool.metadata.name}-{name}", {})
            running = deployment.get("spec", {}).get("replicas")
            yield Bounds(name, before.get(name), after.get(name), running)


def _range(replicas: Mapping[str, Any]) -> tuple[int, int]:
    return replicas.get("min", 1), replicas.get("max", 1)
