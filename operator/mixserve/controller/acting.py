"""Do what was planned and decided about one pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

import structlog

from mixserve.apply.errors import Conflict, NotOwned, Rejected, Terminating
from mixserve.apply.objects import ObjectWriter, Outcome
from mixserve.apply.pods import give_back_to_routing, take_from_routing
from mixserve.apply.resources import DEPLOYMENTS, OWNED_BY_KIND, PODS
from mixserve.apply.scale import write_replicas
from mixserve.autoscale.actions import Action, Drain, Restore, SetReplicas
from mixserve.controller.gathering import owned_by
from mixserve.controller.object_cache import PoolKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.apply.connection import Connection
    from mixserve.autoscale.decision import Decision
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.planning import PoolPlan
    from mixserve.controller.telemetry import Telemetry
    from mixserve.plan.objects import DesiredObject

    RawObject = Mapping[str, Any]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Applied:
    """What applying a pool's objects came to.

    Attributes:
        changed: something was written.
        made_deployment: a Deployment was created.
        errors: what the API server refused, one sentence each.
    """

    changed: bool
    made_deployment: bool
    errors: tuple[str, ...]


class Actor:
    """Writes what pools need; each answer goes into the caches at once, so that nothing is done twice."""

    def __init__(self, connection: Connection, *, view: ClusterView, telemetry: Telemetry) -> None:
        self._connection = connection
        self._view = view
        self._telemetry = telemetry
        self.writer = ObjectWriter(connection)

    async def apply(self, key: PoolKey, plan: PoolPlan, decision: Decision) -> Applied:
        """Bring all objects into the desired state; one that is refused does not hold up the others.

        Raises:
            Unavailable, Conflict: try again soon.
            Terminating: the namespace is going, and the pool with it.
        """
        live = {(obj["kind"], obj["metadata"]["name"]): obj for obj in self._view.owned(key)}
        changed, made, errors = False, False, []
        for desired in plan.objects:
            try:
                outcome = await self._bring(desired, live.get((desired.kind, desired.name)), decision)
            except (Conflict, Terminating):
                raise
            except (Rejected, NotOwned) as error:
                _log.warning("object_refused", pool=str(key), kind=desired.kind, name=desired.name, error=str(error))
                errors.append(f"{desired.kind} {desired.name}: {error}")
            else:
                changed |= outcome is not Outcome.UNCHANGED
                made |= outcome is Outcome.CREATED and desired.kind == DEPLOYMENTS.kind
        return Applied(changed=changed, made_deployment=made, errors=tuple(errors))

    async def prune(self, key: PoolKey, plan: PoolPlan) -> None:
        """Delete what is the pool's and no longer desired: the Deployment of a variant that was taken out.

        Its pods finish their requests as they do whenever they are deleted.
        """
        wanted = {(desired.kind, desired.name) for desired in plan.objects}
        for obj in owned_by(plan.pool.metadata.uid, self._view.owned(key)):
            name = (obj["kind"], obj["metadata"]["name"])
            if name not in wanted and "deletionTimestamp" not in obj["metadata"]:
                _log.info("object_pruned", pool=str(key), kind=name[0], name=name[1])
                await self.writer.remove(obj)

    async def act(self, key: PoolKey, plan: PoolPlan, actions: Sequence[Action], *, now_s: float) -> bool:
        """Do what the decision asks for; return whether replicas were written.

        Raises:
            Conflict: something is no longer as it was decided about.
            ApiError: the API server refused or did not answer.
        """
        written = False
        for action in actions:
            match action:
                case SetReplicas():
                    await self._set_replicas(key, plan.deployments[action.variant], action)
                    written = True
                case Drain():
                    for name in action.pods:
                        await self._drain(PoolKey(key.namespace, name), now_s)
                case Restore():
                    for name in action.pods:
                        await self._restore(PoolKey(key.namespace, name))
                case _:
                    assert_never(action)
        return written

    async def _bring(self, desired: DesiredObject, live: RawObject | None, decision: Decision) -> Outcome:
        replicas = None
        if desired.variant is not None and desired.kind == DEPLOYMENTS.kind:
            replicas = decision.wanted(desired.variant)
        outcome, now = await self.writer.bring(
            desired.body, live=live, desired_hash=desired.desired_hash, replicas=replicas
        )
        self._telemetry.objects.labels(desired.kind, outcome).inc()
        if outcome is not Outcome.UNCHANGED:
            _log.info("object_written", kind=desired.kind, name=desired.name, outcome=outcome.value)
        self._view.put(OWNED_BY_KIND[desired.kind], now)
        return outcome

    async def _set_replicas(self, key: PoolKey, deployment: str, action: SetReplicas) -> None:
        scale = await write_replicas(
            self._connection,
            namespace=key.namespace,
            deployment=deployment,
            seen=action.seen,
            wanted=action.replicas,
        )
        _log.info("replicas_written", pool=str(key), deployment=deployment, seen=action.seen, replicas=action.replicas)
        live = self._view.get(DEPLOYMENTS, PoolKey(key.namespace, deployment))
        if live is not None:
            self._view.put(DEPLOYMENTS, _scaled(live, scale))

    async def _drain(self, pod: PoolKey, now_s: float) -> None:
        live = self._view.pods.get(pod)
        if live is not None:
            _log.info("pod_drained", pod=str(pod))
            uid = live["metadata"]["uid"]
            now = await take_from_routing(
                self._connection, namespace=pod.namespace, name=pod.name, uid=uid, now_s=now_s
            )
            self._view.put(PODS, now)

    async def _restore(self, pod: PoolKey) -> None:
        live = self._view.pods.get(pod)
        if live is not None:
            _log.info("pod_restored", pod=str(pod))
            uid = live["metadata"]["uid"]
            now = await give_back_to_routing(self._connection, namespace=pod.namespace, name=pod.name, uid=uid)
            self._view.put(PODS, now)


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
