"""From the caches to one observation of a pool."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

from mixserve.api.names import LABEL_VARIANT
from mixserve.api.observation import PoolObservation
from mixserve.apply.resources import DEPLOYMENTS
from mixserve.observe.deployments import observe_variant
from mixserve.observe.foreign import foreign_fields
from mixserve.observe.pods import is_replica, observe_pod

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mixserve.api.observation import PodObservation
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.object_cache import PoolKey
    from mixserve.controller.pool_plan import PoolPlan
    from mixserve.controller.samples import Samples
    from mixserve.observe.chat_templates import ChatTemplates
    from mixserve.observe.crash_logs import CrashLogs

    RawObject = Mapping[str, Any]


class Gatherer:
    """Observes pools; reads logs of crashed containers and chat templates awaited, everything else is known already."""

    def __init__(self, *, view: ClusterView, samples: Samples, logs: CrashLogs, templates: ChatTemplates) -> None:
        self._view = view
        self._samples = samples
        self._logs = logs
        self._templates = templates
        self._foreign: dict[str, tuple[str, tuple[str, ...]]] = {}

    async def observe(self, key: PoolKey, plan: PoolPlan, *, now_s: float) -> PoolObservation:
        """What is seen of a pool, its variants in the order of the plan."""
        replicas = [pod for pod in self._view.pods.of(key) if is_replica(pod)]
        pods: dict[str, list[PodObservation]] = {}
        looks = (self._pod(pod, plan, now_s) for pod in replicas)
        for pod, seen in zip(replicas, await asyncio.gather(*looks), strict=True):
            pods.setdefault(pod["metadata"]["labels"].get(LABEL_VARIANT, ""), []).append(seen)
        owned = owned_by(plan.pool.metadata.uid, self._view.owned(key))
        deployments = {obj["metadata"]["name"]: obj for obj in owned if obj["kind"] == DEPLOYMENTS.kind}
        return PoolObservation(
            now_s=now_s,
            variants=tuple(
                observe_variant(variant, deployment=deployments.get(name), pods=pods.get(variant, ()))
                for variant, name in plan.deployments.items()
            ),
            foreign_fields=self._foreign_fields(owned),
        )

    def forget(self, uid: str) -> None:
        """Drop an object that is gone."""
        self._foreign.pop(uid, None)

    async def _pod(self, pod: RawObject, plan: PoolPlan, now_s: float) -> PodObservation:
        sample = self._samples.newest(pod["metadata"]["uid"], now_s=now_s)
        seen = observe_pod(pod, sample=sample, log_tail=await self._logs.tail(pod))
        if seen.trouble is not None or seen.ready or seen.terminating:
            return seen
        return dataclasses.replace(
            seen, trouble=await self._templates.trouble(pod, plan.pool.spec.engine.chat_template)
        )

    def _foreign_fields(self, owned: Sequence[RawObject]) -> dict[str, tuple[str, ...]]:
        found = {f"{obj['kind']}/{obj['metadata']['name']}": self._foreign_in(obj) for obj in owned}
        return {name: paths for name, paths in found.items() if paths}

    def _foreign_in(self, obj: RawObject) -> tuple[str, ...]:
        """Foreign fields of one version of an object, found once."""
        uid, version = obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]
        known = self._foreign.get(uid)
        if known is None or known[0] != version:
            known = self._foreign[uid] = (version, foreign_fields(obj))
        return known[1]


def owned_by(uid: str, objects: Sequence[RawObject]) -> list[RawObject]:
    """Of objects that carry a pool's label, those that really are the pool's."""
    return [obj for obj in objects if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences", ()))]
