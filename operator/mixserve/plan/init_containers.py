"""What runs in an engine's pod before the engine: something only where adapters are to be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.engines.fetch_adapters import fetch_command
from mixserve.engines.registry import adapter_for
from mixserve.plan.environment import fetching_environment
from mixserve.plan.pod_volumes import cache_mounts

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool
    from mixserve.engines.protocol import Launch
    from mixserve.plan.model_source import PodFiles

FETCHING_CONTAINER = "adapters"

# Less than the engine's own, beside which it does not count; some namespaces ask for a request of every container.
_REQUESTS = {"cpu": "1", "memory": "1Gi"}


def init_containers(
    pool: LLMServingPool,
    *,
    files: PodFiles,
    launch: Launch,
    deployment: str,
) -> list[dict[str, Any]]:
    """The init containers of a pod; most often none.

    Args:
        pool: a valid pool.
        files: what the engine loads.
        launch: how it is started.
        deployment: the name of the variant's Deployment.
    """
    hub = files.adapters.hub
    if not hub:
        return []
    engine = pool.spec.engine
    command, *args = fetch_command((one.repository, one.revision) for one in hub)
    return [
        {
            "name": FETCHING_CONTAINER,
            "image": engine.image or adapter_for(engine.type).image(engine.version),
            "command": [command],
            "args": args,
            "env": fetching_environment(pool, launch),
            "resources": {"requests": _REQUESTS},
            "volumeMounts": cache_mounts(deployment, shared=engine.cache is not None),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ]
