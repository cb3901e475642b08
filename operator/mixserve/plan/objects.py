"""The objects that a pool consists of."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve.api.names import (
    ANNOTATION_DESIRED_HASH,
    ANNOTATION_LAST_VALID_PAIR,
    ANNOTATION_LAST_VALID_SPEC,
    API_VERSION,
    ENGINE_PORT_NAME,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_POOL,
    LABEL_ROUTABLE,
    LABEL_VARIANT,
    MANAGED_BY,
)
from mixserve.engines.registry import adapter_for
from mixserve.plan.launch import OPTIONS_FILE, engine_options, launch_of, options_name
from mixserve.plan.memory import memory_plan_if_known
from mixserve.plan.model_source import pod_files
from mixserve.plan.placement import placement_of
from mixserve.plan.pod_template import pod_template
from mixserve.plan.speculation import WITHOUT_SPECULATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.catalog.built_in import Catalog
    from mixserve.plan.facts import Facts
    from mixserve.plan.memory import MemoryPlan
    from mixserve.plan.placement import Placement
    from mixserve.plan.speculation import Speculation

# 25 % is Kubernetes' own default, and what it means for GPUs is wanted here. Rounding makes it "one more first" for up
# to 3 replicas: the old ones serve on until the new one is ready, and where there is no spare GPU they serve on without
# end, which the pool's condition reports. From 4 replicas on a quarter may be missing, so that a rollout needs no spare
# GPU. A fixed maxUnavailable of 1 would take away the only replica of a small pool for the time of a cold start.
_ROLLING_UPDATE = {"maxSurge": "25%", "maxUnavailable": "25%"}

LONGEST_NOTED_SPEC_BYTES = 128 * 2**10
"""Half of what all annotations of an object may have together."""


# On top of starting and of waiting for the GPU of a pod that drains: scheduling and pulling an image of 10 GB.
_PROGRESS_MARGIN_S = 600


@dataclass(frozen=True, kw_only=True)
class DesiredObject:
    """One object as it should be.

    Attributes:
        body: the manifest, with the hash as an annotation; a Deployment has no `spec.replicas`.
        desired_hash: SHA-256 of the body without that one annotation, hexadecimal.
        variant: the name of the variant that it belongs to; None for the pool's own objects.
        initial_replicas: what a Deployment is created with; None for other kinds.
    """

    body: Mapping[str, Any]
    desired_hash: str
    variant: str | None = None
    initial_replicas: int | None = None

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.body["metadata"]["name"])


@dataclass(frozen=True)
class DesiredPool:
    """A pool's objects in the order in which they are made."""

    objects: tuple[DesiredObject, ...]


def desired_objects(
    pool: LLMServingPool,
    *,
    catalog: Catalog,
    facts_by_variant: Mapping[str, Facts],
    speculation: Mapping[str, Speculation] = WITHOUT_SPECULATION,
) -> DesiredPool:
    """The objects of a valid pool.

    Args:
        pool: without violations.
        catalog: what its variants name.
        facts_by_variant: the model's numbers by variant; a variant without them gets no memory plan.
        speculation: what proposes tokens, by variant.

    Raises:
        PlacementError: the catalogue does not have what a variant names.
    """
    objects = [_service_account(pool, speculation), _service(pool)]
    for variant in pool.spec.variants:
        facts = facts_by_variant.get(variant.name)
        placement = placement_of(pool, variant=variant, catalog=catalog)
        pair = speculation.get(variant.name)
        plan = memory_plan_if_known(facts, engine=pool.spec.engine, placement=placement, speculation=pair)
        objects += _options(pool, variant, placement=placement, plan=plan, speculation=pair)
        objects.append(_deployment(pool, variant, placement=placement, plan=plan, speculation=pair))
        objects.append(_budget(pool, variant))
    return DesiredPool(tuple(objects))


def deployment_name(pool: LLMServingPool, variant: Variant) -> str:
    """The name of a variant's Deployment, at most 61 characters."""
    return f"{pool.metadata.name}-{variant.name}"


def _service_account(pool: LLMServingPool, speculation: Mapping[str, Speculation]) -> DesiredObject:
    # Without rights and without a token; a place for imagePullSecrets. It carries the spec because nobody copies its
    # annotations, as is done with those of Services and Deployments.
    return _object(
        pool,
        api_version="v1",
        kind="ServiceAccount",
        annotations={**_noted_spec(pool), **_noted_pair(speculation)},
        automountServiceAccountToken=False,
    )


def _noted_spec(pool: LLMServingPool) -> dict[str, str]:
    """The spec as an annotation; none where it is longer than any spec that was written by hand."""
    spec = _compact(pool.spec.to_wire())
    fits = len(spec.encode()) <= LONGEST_NOTED_SPEC_BYTES
    return {ANNOTATION_LAST_VALID_SPEC: spec} if fits else {}


def _noted_pair(speculation: Mapping[str, Speculation]) -> dict[str, str]:
    """The spec of the pair that the objects are made with: a restarted operator may find another one, or none."""
    spec = next((one.spec for one in speculation.values()), None)
    return {} if spec is None else {ANNOTATION_LAST_VALID_PAIR: _compact(spec.to_wire())}


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _service(pool: LLMServingPool) -> DesiredObject:
    port = {
        "name": ENGINE_PORT_NAME,
        "port": adapter_for(pool.spec.engine.type).port,
        "targetPort": ENGINE_PORT_NAME,
        "protocol": "TCP",
    }
    selector = {LABEL_POOL: pool.metadata.name, LABEL_ROUTABLE: "true"}
    spec = {"type": "ClusterIP", "selector": selector, "ports": [port]}
    return _object(pool, api_version="v1", kind="Service", spec=spec)


def _options(
    pool: LLMServingPool,
    variant: Variant,
    *,
    placement: Placement,
    plan: MemoryPlan | None,
    speculation: Speculation | None,
) -> list[DesiredObject]:
    """The engine's file of options, before the pods that mount it; none for an engine that reads none."""
    files = pod_files(pool, variant, None if speculation is None else speculation.spec)
    launch = launch_of(pool, variant, placement=placement, plan=plan, files=files, speculation=speculation)
    content = engine_options(launch)
    if content is None:
        return []
    return [
        _object(
            pool,
            api_version="v1",
            kind="ConfigMap",
            variant=variant,
            name=options_name(deployment_name(pool, variant), content),
            data={OPTIONS_FILE: content},
        )
    ]


def _deployment(
    pool: LLMServingPool,
    variant: Variant,
    *,
    placement: Placement,
    plan: MemoryPlan | None,
    speculation: Speculation | None,
) -> DesiredObject:
    template = pod_template(
        pool,
        variant,
        placement=placement,
        plan=plan,
        labels=_labels(pool, variant),
        deployment=deployment_name(pool, variant),
        speculation=speculation,
    )
    spec = {
        "selector": {"matchLabels": _selector(pool, variant)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": dict(_ROLLING_UPDATE)},
        "progressDeadlineSeconds": _progress_deadline_s(pool),
        # Old ReplicaSets are for `kubectl rollout undo`, which the operator would revert.
        "revisionHistoryLimit": 2,
        "template": template,
    }
    return _object(pool, api_version="apps/v1", kind="Deployment", variant=variant, spec=spec)


def _budget(pool: LLMServingPool, variant: Variant) -> DesiredObject:
    spec = {
        "maxUnavailable": 1,
        # Pods that do not serve anyway should not hold up the drain of a node.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": _selector(pool, variant)},
    }
    return _object(pool, api_version="policy/v1", kind="PodDisruptionBudget", variant=variant, spec=spec)


def _progress_deadline_s(pool: LLMServingPool) -> int:
    waits = pool.spec.engine.startup_timeout + pool.spec.drain_timeout
    return math.ceil(waits.total_seconds()) + _PROGRESS_MARGIN_S


def _object(
    pool: LLMServingPool,
    *,
    api_version: str,
    kind: str,
    variant: Variant | None = None,
    name: str | None = None,
    annotations: Mapping[str, str] | None = None,
    **content: Any,
) -> DesiredObject:
    usual_name = pool.metadata.name if variant is None else deployment_name(pool, variant)
    metadata: dict[str, Any] = {
        "name": name or usual_name,
        "namespace": pool.metadata.namespace,
        "labels": _labels(pool, variant),
        "ownerReferences": [_owner(pool)],
    }
    if annotations:
        metadata["annotations"] = annotations
    body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
    digest = desired_hash(body)
    hashed = {**body, "metadata": {**metadata, "annotations": {**(annotations or {}), ANNOTATION_DESIRED_HASH: digest}}}
    return DesiredObject(
        body=hashed,
        desired_hash=digest,
        variant=None if variant is None else variant.name,
        initial_replicas=variant.replicas.min if variant is not None and kind == "Deployment" else None,
    )


def desired_hash(body: Mapping[str, Any]) -> str:
    """SHA-256 of a body as canonical JSON."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _owner(pool: LLMServingPool) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": pool.kind,
        "name": pool.metadata.name,
        "uid": pool.metadata.uid,
        "controller": True,
        # True would need the right to change the pool's finalizers, for an order of deletion that nothing relies on.
        "blockOwnerDeletion": False,
    }


def _selector(pool: LLMServingPool, variant: Variant) -> dict[str, str]:
    return {LABEL_POOL: pool.metadata.name, LABEL_VARIANT: variant.name}


def _labels(pool: LLMServingPool, variant: Variant | None) -> dict[str, str]:
    labels = {
        LABEL_NAME: pool.spec.engine.type.value,
        LABEL_INSTANCE: pool.metadata.name,
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_POOL: pool.metadata.name,
    }
    return labels if variant is None else {**labels, LABEL_VARIANT: variant.name}
