"""The Job that reads what there is to know of a checkpoint on a volume."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_KEPT
from mixserve.plan.model_source import model_files
from mixserve.plan.objects import pool_object

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool
    from mixserve.plan.model_source import Repository
    from mixserve.plan.objects import DesiredObject

CONTAINER = "reader"

DEADLINE_S = 300
"""Pulling the operator's image, attaching the volume, and reading some ten MB."""

# Long enough to look at the pod of one that failed.
_KEPT_AFTER_S = 600


def claim_of(repository: Repository) -> str:
    """The name of a `pvc://` source's claim."""
    return repository.source.removeprefix("pvc://").partition("/")[0]


def files_job(
    pool: LLMServingPool,
    repository: Repository,
    *,
    image: str,
    version: str,
) -> DesiredObject:
    """A Job whose log is what `mixserve facts` says of a checkpoint, as JSON.

    Its pod passes the restricted Pod Security Standard, has no token and no rights, and mounts the volume read-only.

    Args:
        pool: its owner.
        repository: a `pvc://` source of the pool.
        image: the operator's.
        version: another one gives another Job.
    """
    files = model_files(repository)
    digest = hashlib.sha256(f"{repository.source} {version} {image}".encode()).hexdigest()[:10]
    container = {
        "name": CONTAINER,
        "image": image,
        "command": ["mixserve", "facts", files.model, "--output", "json"],
        "volumeMounts": list(files.mounts),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # A volume may be on a node with GPUs, which take nothing else.
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": list(files.volumes),
    }
    return pool_object(
        pool,
        api_version="batch/v1",
        kind="Job",
        name=f"{pool.metadata.name}-files-{digest}",
        annotations={ANNOTATION_KEPT: "model-files"},
        spec={
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_S,
            "ttlSecondsAfterFinished": _KEPT_AFTER_S,
            "template": {"spec": pod},
        },
    )
