"""Do what was decided about the replicas of one pool."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

import structlog

from mixserve.apply.errors import ApiError, Conflict, NotFound
from mixserve.apply.pods import give_back_to_routing, take_from_routing
from mixserve.apply.resources import DEPLOYMENTS, PODS
from mixserve.apply.scale import write_replicas
from mixserve.autoscale.actions import Action, Drain, Restore, SetReplicas
from mixserve.controller.object_cache import PoolKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from mixserve.apply.connection import Connection
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.refusals import Refusals

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
        refusals: Refusals,
        now_s: float,
    ) -> bool:
        """Do what the decision asks for, growth first; return whether replicas were written.

        What is refused does not hold up the rest, unless it shows that the decision was about something else by now.

        Args:
            key: the pool's.
            actions: what to do.
            deployments: the name of each variant's Deployment.
            refusals: takes what goes wrong.
            now_s: since when pods drain that begin to, seconds since the epoch.

        Raises:
            Terminating: the namespace is going, and the pool with it.
        """
        wrote = False
        for action in sorted(actions, key=_urgency):
            for what, do in self._steps(key, action, deployments=deployments, now_s=now_s):
                try:
                    await do()
                except ApiError as error:
                    refusals.take(what, error)
                    if isinstance(error, Conflict):
                        return wrote
                else:
                    wrote |= isinstance(action, SetReplicas)
        return wrote

    def _steps(
        self,
        key: PoolKey,
        action: Action,
        *,
        deployments: Mapping[str, str],
        now_s: float,
    ) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """The writes that an action takes, each with what it writes."""
        match action:
            case SetReplicas():
                name = deployments[action.variant]
                deployment = PoolKey(key.namespace, name)
                yield f"the replicas of Deployment {name}", partial(self._set_replicas, deployment, action)
            case Drain():
                for name in action.pods:
                    yield f"the labels of Pod {name}", partial(self._drain, PoolKey(key.namespace, name), now_s)
            case Restore():
                for name in action.pods:
                    yield f"the labels of Pod {name}", partial(self._restore, PoolKey(key.namespace, name))
            case _:
                assert_never(action)

    async def _set_replicas(self, deployment: PoolKey, action: SetReplicas) -> None:
        live = self._view.get(DEPLOYMENTS, deployment)
        if live is None:
            raise Conflict(f"Deployment {deployment} is gone")
        try:
            scale = await write_replicas(
                self._connection,
                namespace=deployment.namespace,
                deployment=deployment.name,
                seen=action.seen,
                wanted=action.replicas,
                version=live["metadata"]["resourceVersion"],
            )
        except NotFound as error:
            self._view.remove(DEPLOYMENTS, live)
            raise Conflict(f"Deployment {deployment} is gone") from error
        _log.info("replicas_written", deployment=str(deployment), seen=action.seen, replicas=action.replicas)
        self._view.put(DEPLOYMENTS, _scaled(live, scale))

    async def _drain(self, pod: PoolKey, now_s: float) -> None:
        await self._label(pod, "pod_drained", partial(take_from_routing, now_s=now_s))

    async def _restore(self, pod: PoolKey) -> None:
        await self._label(pod, "pod_restored", give_back_to_routing)

    async def _label(self, pod: PoolKey, event: str, write: Callable[..., Awaitable[RawObject]]) -> None:
        """Write the labels of a pod; one that is gone needs none."""
        live = self._view.pods.get(pod)
        if live is None:
            return
        try:
            now = await write(self._connection, **_named(live))
        except NotFound:
            self._view.remove(PODS, live)
            return
        _log.info(event, pod=str(pod))
        self._view.put(PODS, now)


def _urgency(action: Action) -> int:
    """Growth before all else; what is drained goes before others begin to drain, so that it is what goes."""
    match action:
        case SetReplicas() if action.replicas > action.seen:
            return 0
        case Restore():
            return 1
        case SetReplicas():
            return 2
        case _:
            return 3


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
