"""Do what was decided about the replicas of one pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

import structlog

from mixserve.apply.pods import give_back_to_routing, take_from_routing
from mixserve.apply.resources import DEPLOYMENTS, PODS
from mixserve.apply.scale import write_replicas
from mixserve.autoscale.actions import Action, Drain, Restore, SetReplicas
from mixserve.controller.object_cache import PoolKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.apply.connection import Connection
    from mixserve.controller.cluster_view import ClusterView

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)


class Actor:
    """Writes replicas and the labels of pods; each answer goes into the caches at once."""

    def __init__(self, connection: Connection, *, view: ClusterView) -> None:
        self._connection = connection
        self._view = view

    async def act(
        self,
        key: PoolKey,
        actions: Sequence[Action],
        *,
        deployments: Mapping[str, str],
        now_s: float,
    ) -> bool:
        """Do what the decision asks for; return whether replicas were written.

        Args:
            key: the pool's.
            actions: what to do.
            deployments: the name of each variant's Deployment.
            now_s: since when pods drain that begin to, seconds since the epoch.

        Raises:
            Conflict: something is no longer as it was decided about.
            ApiError: the API server refused or did not answer.
        """
        for action in actions:
            match action:
                case SetReplicas():
                    await self._set_replicas(PoolKey(key.namespace, deployments[action.variant]), action)
                case Drain():
                    for name in action.pods:
                        await self._drain(PoolKey(key.namespace, name), now_s)
                case Restore():
                    for name in action.pods:
                        await self._restore(PoolKey(key.namespace, name))
                case _:
                    assert_never(action)
        return any(isinstance(action, SetReplicas) for action in actions)

    async def _set_replicas(self, deployment: PoolKey, action: SetReplicas) -> None:
        scale = await write_replicas(
            self._connection,
            namespace=deployment.namespace,
            deployment=deployment.name,
            seen=action.seen,
            wanted=action.replicas,
        )
        _log.info("replicas_written", deployment=str(deployment), seen=action.seen, replicas=action.replicas)
        live = self._view.get(DEPLOYMENTS, deployment)
        if live is not None:
            self._view.put(DEPLOYMENTS, _scaled(live, scale))

    async def _drain(self, pod: PoolKey, now_s: float) -> None:
        live = self._view.pods.get(pod)
        if live is not None:
            _log.info("pod_drained", pod=str(pod))
            now = await take_from_routing(self._connection, **_named(live), now_s=now_s)
            self._view.put(PODS, now)

    async def _restore(self, pod: PoolKey) -> None:
        live = self._view.pods.get(pod)
        if live is not None:
            _log.info("pod_restored", pod=str(pod))
            now = await give_back_to_routing(self._connection, **_named(live))
            self._view.put(PODS, now)


def _named(pod: RawObject) -> dict[str, str]:
    return {key: pod["metadata"][key] for key in ("namespace", "name", "uid")}


def _scaled(deployment: RawObject, scale: RawObject) -> RawObject:
    """The Deployment as it is after its scale was written, which its next event will confirm."""
    metadata = deployment["metadata"]
    return {
        **deployment,
        "metadata": {
            **metadata,
            "resourceVersion": scale["metadata"]["resourceVersion"],
            "generation": metadata.get("generation", 0) + 1,
        },
        "spec": {**deployment["spec"], "replicas": scale["spec"].get("replicas", 0)},
    }
