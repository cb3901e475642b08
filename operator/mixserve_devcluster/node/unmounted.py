"""Programs for a host on which a process cannot have mounts of its own.

Arguments and environment values that are a mount path, or a path below one, are replaced by the path on the host;
paths within a text or in code are not. A service account is offered as a KUBECONFIG.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mixserve_devcluster.node.environment import with_paths_moved
from mixserve_devcluster.node.spawner.messages import Program

if TYPE_CHECKING:
    from mixserve_devcluster.node.container_directory import ContainerDirectory

# Where Kubernetes clients look for the service account of the pod that they are in.
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def without_mounts(program: Program, own: ContainerDirectory) -> Program:
    """The program as it is started without its mounts."""
    moves = {mount.target: mount.source for mount in program.mounts}
    environment = {name: with_paths_moved(value, moves) for name, value in program.environment.items()}
    if _SERVICE_ACCOUNT in moves:
        own.kubeconfig.write_text(json.dumps(_kubeconfig(environment, moves[_SERVICE_ACCOUNT])))
        environment.setdefault("KUBECONFIG", str(own.kubeconfig))
    directory = with_paths_moved(program.directory, moves)
    return Program(
        argv=[with_paths_moved(word, moves) for word in program.argv],
        environment=environment,
        directory=directory if Path(directory).is_dir() else str(own.home),
        output=program.output,
        older_output=program.older_output,
    )


def _kubeconfig(environment: dict[str, str], account: str) -> dict[str, object]:
    server = f"https://{environment['KUBERNETES_SERVICE_HOST']}:{environment['KUBERNETES_SERVICE_PORT']}"
    name = "pod"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority": f"{account}/ca.crt"}}],
        "users": [{"name": name, "user": {"tokenFile": f"{account}/token"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
