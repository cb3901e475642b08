"""A Deployment and its Pods, as the API server has them, become a `VariantObservation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.observation import VariantObservation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mixserve.api.observation import PodObservation


def observe_variant(
    name: str,
    *,
    deployment: Mapping[str, Any] | None,
    pods: Iterable[PodObservation],
) -> VariantObservation:
    """What decisions need to know of a variant; `deployment` is None while there is none."""
    return VariantObservation(
        name=name,
        replicas=None if deployment is None else replicas_of(deployment),
        rolling_out=deployment is not None and is_rolling_out(deployment),
        pods=tuple(sorted(pods, key=lambda pod: (pod.created_at_s, pod.name))),
        unseen=deployment is not None and _is_unseen(deployment),
        refused="" if deployment is None else _refusal(deployment),
    )


def replicas_of(deployment: Mapping[str, Any]) -> int:
    """The replicas that the Deployment asks for."""
    # The API server fills in its default, 1.
    return int(deployment["spec"].get("replicas", 1))


def is_rolling_out(deployment: Mapping[str, Any]) -> bool:
    """Some replica is not of the current template, or the Deployment controller has not seen the latest one."""
    status = deployment.get("status", {})
    if "observedGeneration" not in status:  # new: there is nothing to replace
        return False
    if _is_unseen(deployment):
        return True
    return bool(status.get("updatedReplicas", 0) < status.get("replicas", 0))


def _is_unseen(deployment: Mapping[str, Any]) -> bool:
    """The Deployment controller has not seen the latest change of template or replicas."""
    generation = deployment["metadata"].get("generation", 0)
    return bool(deployment.get("status", {}).get("observedGeneration", generation) < generation)


def _refusal(deployment: Mapping[str, Any]) -> str:
    conditions: Iterable[Mapping[str, Any]] = deployment.get("status", {}).get("conditions") or ()
    failed = (one for one in conditions if one["type"] == "ReplicaFailure" and one["status"] == "True")
    return next((str(one.get("message", "")) or "no reason given" for one in failed), "")
