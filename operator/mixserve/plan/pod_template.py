"""The pod of a variant."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_MEMORY_PLAN, ENGINE_CONTAINER, ENGINE_PORT_NAME, LABEL_ROUTABLE
from mixserve.engines.drain import ADDRESS_VARIABLE, drain_command
from mixserve.engines.registry import adapter_for
from mixserve.plan.launch import (
    CACHE_PATH,
    OPTIONS_DIRECTORY,
    SHUTDOWN_TIMEOUT_S,
    engine_options,
    launch_of,
    options_name,
)
from mixserve.plan.model_source import PodFiles, pod_files

if TYPE_CHECKING:
    from mixserve.api.accelerator import AcceleratorClassSpec
    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.engines.protocol import EngineAdapter, Launch
    from mixserve.plan.memory import MemoryPlan
    from mixserve.plan.placement import Placement
    from mixserve.plan.speculation import Speculation

_CACHE_VOLUME = "cache"
_OPTIONS_VOLUME = "options"

_SHM_VOLUME = "shared-memory"
_SHM_SIZE = "8Gi"
"""NCCL and vLLM's worker processes exchange tensors there; the 64 MiB that containers get by default end the engine."""

_GRACE_MARGIN_S = 15
"""For the engine's own processes to end after their last request."""

_HUNG_GRACE_S = 30
"""A hook runs before a failed probe's restart, too, and waits for an engine that no longer answers: so cut it short."""

_STARTUP_PERIOD_S = 5


def pod_template(
    pool: LLMServingPool,
    variant: Variant,
    *,
    placement: Placement,
    plan: MemoryPlan | None,
    labels: dict[str, str],
    deployment: str,
    speculation: Speculation | None = None,
) -> dict[str, Any]:
    """The template of a variant's Deployment.

    Args:
        pool: a valid pool.
        variant: one of its variants.
        placement: what the variant's names stand for.
        plan: the variant's memory; None where the model's numbers are unknown.
        labels: the pod's, besides the routable one.
        deployment: the name of the Deployment.
        speculation: what proposes tokens; None without speculative decoding.
    """
    files = pod_files(pool, variant, None if speculation is None else speculation.spec)
    launch = launch_of(pool, variant, placement=placement, plan=plan, files=files, speculation=speculation)
    options = engine_options(launch)
    metadata: dict[str, Any] = {"labels": {**labels, LABEL_ROUTABLE: "true"}}
    if plan is not None:
        metadata["annotations"] = {ANNOTATION_MEMORY_PLAN: plan.to_annotation()}
    spec = {
        "serviceAccountName": pool.metadata.name,
        "automountServiceAccountToken": False,
        # A Service named vllm would set VLLM_PORT to a URI, and the engine would not start.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_period_s(pool),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "affinity": _affinity(placement.accelerator),
        "tolerations": [{"key": placement.accelerator.resource_name, "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [_container(pool, variant, placement=placement, files=files, launch=launch)],
        "volumes": [*_scratch_volumes(variant), *files.volumes, *_options_volumes(options, deployment)],
    }
    return {"metadata": metadata, "spec": spec}


def grace_period_s(pool: LLMServingPool) -> int:
    """Drain, then the engine's own shutdown."""
    return math.ceil(pool.spec.drain_timeout.total_seconds()) + SHUTDOWN_TIMEOUT_S + _GRACE_MARGIN_S


def _container(
    pool: LLMServingPool,
    variant: Variant,
    *,
    placement: Placement,
    files: PodFiles,
    launch: Launch,
) -> dict[str, Any]:
    engine = pool.spec.engine
    adapter = adapter_for(engine.type)
    command, *args = adapter.command(launch)
    drain = drain_command(
        adapter,
        version=engine.version,
        timeout_s=pool.spec.drain_timeout.total_seconds(),
    )
    return {
        "name": ENGINE_CONTAINER,
        "image": engine.image or adapter.image(engine.version),
        "command": [command],
        "args": args,
        "env": _environment(pool, launch=launch, adapter=adapter),
        "ports": [{"name": ENGINE_PORT_NAME, "containerPort": adapter.port, "protocol": "TCP"}],
        "resources": {"limits": {placement.accelerator.resource_name: str(variant.gpus)}},
        "volumeMounts": [*_scratch_mounts(variant), *files.mounts, *_options_mounts(launch)],
        **_probes(adapter, startup_timeout_s=engine.startup_timeout.total_seconds()),
        "lifecycle": {"preStop": {"exec": {"command": list(drain)}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # Not runAsNonRoot and no read-only root: vLLM's image runs as root and compiles kernels below /root.
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _environment(
    pool: LLMServingPool,
    *,
    launch: Launch,
    adapter: EngineAdapter,
) -> list[dict[str, Any]]:
    variables: list[dict[str, Any]] = [
        {"name": ADDRESS_VARIABLE, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        *({"name": name, "value": value} for name, value in adapter.environment(launch).items()),
    ]
    secret = pool.spec.model.token_secret_ref
    if secret is not None and launch.downloads:
        reference = {"name": secret.name, "key": secret.key}
        variables.append({"name": adapter.token_variable, "valueFrom": {"secretKeyRef": reference}})
    return variables


def _probes(adapter: EngineAdapter, *, startup_timeout_s: float) -> dict[str, Any]:
    return {
        "startupProbe": {
            **_health(adapter),
            "periodSeconds": _STARTUP_PERIOD_S,
            "timeoutSeconds": 5,
            "failureThreshold": math.ceil(startup_timeout_s / _STARTUP_PERIOD_S),
            "terminationGracePeriodSeconds": _HUNG_GRACE_S,
        },
        # Short: a replica that does not answer should get no requests.
        "readinessProbe": {**_health(adapter), "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 2},
        # Loose: under full load answers are slow, and a restart costs a cold start and every stream.
        "livenessProbe": {
            **_health(adapter),
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
            "terminationGracePeriodSeconds": _HUNG_GRACE_S,
        },
    }


def _health(adapter: EngineAdapter) -> dict[str, Any]:
    return {"httpGet": {"path": adapter.health_path, "port": ENGINE_PORT_NAME}}


def _affinity(accelerator: AcceleratorClassSpec) -> dict[str, Any]:
    expressions = [_without_empty(requirement.to_wire()) for requirement in accelerator.node_requirements]
    terms = [{"matchExpressions": expressions}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def _without_empty(requirement: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in requirement.items() if value}


def _scratch_volumes(variant: Variant) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": _CACHE_VOLUME, "emptyDir": {}}]
    if variant.gpus > 1:
        volumes.append({"name": _SHM_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": _SHM_SIZE}})
    return volumes


def _scratch_mounts(variant: Variant) -> list[dict[str, Any]]:
    mounts = [{"name": _CACHE_VOLUME, "mountPath": CACHE_PATH}]
    if variant.gpus > 1:
        mounts.append({"name": _SHM_VOLUME, "mountPath": "/dev/shm"})  # noqa: S108 - the container's own
    return mounts


def _options_volumes(options: str | None, deployment: str) -> list[dict[str, Any]]:
    if options is None:
        return []
    return [{"name": _OPTIONS_VOLUME, "configMap": {"name": options_name(deployment, options)}}]


def _options_mounts(launch: Launch) -> list[dict[str, Any]]:
    if engine_options(launch) is None:
        return []
    return [{"name": _OPTIONS_VOLUME, "mountPath": OPTIONS_DIRECTORY, "readOnly": True}]
