"""The pod of a variant."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_MEMORY_PLAN, ENGINE_CONTAINER, ENGINE_PORT_NAME, LABEL_ROUTABLE
from mixserve.engines.drain import drain_command
from mixserve.engines.registry import adapter_for
from mixserve.plan.environment import environment
from mixserve.plan.init_containers import init_containers
from mixserve.plan.launch import SHUTDOWN_TIMEOUT_S, engine_options, launch_of, options_name
from mixserve.plan.model_source import PodFiles, pod_files
from mixserve.plan.pod_volumes import mounts, volumes
from mixserve.plan.probes import probes
from mixserve.plan.resources import resources

if TYPE_CHECKING:
    from mixserve.api.accelerator import AcceleratorClassSpec
    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.engines.protocol import Launch
    from mixserve.plan.memory import MemoryPlan
    from mixserve.plan.placement import Placement
    from mixserve.plan.speculation import Speculation

_GRACE_MARGIN_S = 15
"""For the engine's own processes to end after their last request."""


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
        "tolerations": _tolerations(placement.accelerator.resource_name),
        **_init(init_containers(pool, files=files, launch=launch, deployment=deployment)),
        "containers": [
            _container(pool, variant, placement=placement, files=files, launch=launch, deployment=deployment),
        ],
        "volumes": [
            *volumes(pool, variant, options_name=None if options is None else options_name(deployment, options)),
            *files.volumes,
        ],
    }
    return {"metadata": metadata, "spec": spec}


def grace_period_s(pool: LLMServingPool) -> int:
    """Drain, then the engine's own shutdown."""
    return math.ceil(pool.spec.drain_timeout.total_seconds()) + SHUTDOWN_TIMEOUT_S + _GRACE_MARGIN_S


def _init(containers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"initContainers": containers} if containers else {}


def _container(
    pool: LLMServingPool,
    variant: Variant,
    *,
    placement: Placement,
    files: PodFiles,
    launch: Launch,
    deployment: str,
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
        "env": environment(pool, launch),
        "ports": [{"name": ENGINE_PORT_NAME, "containerPort": adapter.port, "protocol": "TCP"}],
        "resources": resources(variant, gpu_resource=placement.accelerator.resource_name),
        "volumeMounts": [
            *mounts(pool, variant, deployment=deployment, has_options=engine_options(launch) is not None),
            *files.mounts,
        ],
        **probes(adapter, launch),
        "lifecycle": {"preStop": {"exec": {"command": list(drain)}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # Not runAsNonRoot and no read-only root: vLLM's image runs as root and compiles kernels below /root.
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _tolerations(resource: str) -> list[dict[str, str]]:
    """Of the taint that is called as the resource, and of the one that nodes with GPUs usually have.

    Slices and shared GPUs have other resources (nvidia.com/mig-3g.40gb), and their nodes mostly the same taint.
    """
    keys = dict.fromkeys((resource, f"{resource.partition('/')[0]}/gpu"))
    return [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in keys]


def _affinity(accelerator: AcceleratorClassSpec) -> dict[str, Any]:
    expressions = [_without_empty(requirement.to_wire()) for requirement in accelerator.node_requirements]
    terms = [{"matchExpressions": expressions}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def _without_empty(requirement: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in requirement.items() if value}
