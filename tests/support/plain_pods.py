"""Pods that have nothing to do with Mixserve, in a namespace of a cluster with a local node."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixserve_devcluster import binaries
from mixserve_devcluster.errors import ApiError
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixserve_devcluster.cluster import Cluster

# Says which of the cluster's nodes run processes, and which are hollow.
MODE_LABEL = "example.com/mode"
FOREVER = "while :; do sleep 1; done"


def container(script: str = FOREVER, name: str = "main", **fields: Any) -> dict[str, Any]:
    """A container that runs a shell script, whose name in the process list is the script."""
    return {"name": name, "image": "local/shell:1", "command": ["sh", "-c", script], **fields}


def pod_spec(*containers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A pod's spec for nodes with processes; it stops within a second unless it is said otherwise."""
    return {
        "terminationGracePeriodSeconds": 1,
        "nodeSelector": {MODE_LABEL: "process"},
        "containers": list(containers),
        **fields,
    }


def pod(
    name: str, *containers: dict[str, Any], metadata: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """A pod; `fields` belong to its spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **(metadata or {})},
        "spec": pod_spec(*containers, **fields),
    }


def condition(manifest: dict[str, Any], kind: str) -> dict[str, Any]:
    """A condition of a status; empty if it is not there."""
    conditions = manifest.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def is_ready(manifest: dict[str, Any]) -> bool:
    """Whether a pod is Ready."""
    return condition(manifest, "Ready").get("status") == "True"


def main_status(manifest: dict[str, Any]) -> dict[str, Any]:
    """The status of a pod's first container; empty before there is one."""
    statuses = manifest.get("status", {}).get("containerStatuses") or [{}]
    return dict(statuses[0])


def waiting_reason(manifest: dict[str, Any]) -> str:
    """Why a pod's first container waits; empty if it does not."""
    return str(main_status(manifest).get("state", {}).get("waiting", {}).get("reason", ""))


def restarts(manifest: dict[str, Any]) -> int:
    """How often a pod's first container was restarted."""
    return int(main_status(manifest).get("restartCount", 0))


@dataclass(frozen=True)
class Sandbox:
    """A namespace in a cluster."""

    cluster: Cluster
    namespace: str

    @property
    def is_isolated(self) -> bool:
        """Whether the node gives processes mounts and a process namespace of their own; it says so when it starts."""
        return "isolated=True" in (self.cluster.paths.directory / "node.log").read_text()

    def create(self, manifest: dict[str, Any]) -> None:
        """Create an object in the namespace."""
        done = self.kubectl("create", "-f", "-", content=json.dumps(manifest))
        assert done.returncode == 0, done.stderr

    def kubectl(self, *arguments: str, content: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the namespace."""
        return subprocess.run(
            [binaries.find("kubectl"), "--kubeconfig", self.cluster.kubeconfig, "-n", self.namespace, *arguments],
            input=content,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def kubectl_in_background(self, *arguments: str) -> subprocess.Popen[str]:
        """Run kubectl in the namespace without waiting for it; its standard output is a pipe."""
        command = [binaries.find("kubectl"), "--kubeconfig", self.cluster.kubeconfig, "-n", self.namespace]
        return subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)

    def path(self, collection: str, name: str = "") -> str:
        """The API's path of an object, or of a collection, of the core group."""
        return f"/api/v1/namespaces/{self.namespace}/{collection}{name and '/' + name}"

    def pod(self, name: str) -> dict[str, Any]:
        """A pod as it is now."""
        return self.cluster.plane.api.get(self.path("pods", name))

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """The pods with a label, such as `app=web`."""
        items: list[dict[str, Any]] = self.cluster.plane.api.get(f"{self.path('pods')}?labelSelector={selector}")[
            "items"
        ]
        return items

    def until(self, name: str, condition: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """Wait until a pod is as it should be; return it."""

        def look() -> dict[str, Any]:
            seen = self.pod(name)
            return seen if condition(seen) else {}

        return eventually(look, f"{name} that {what}")

    def delete(self, name: str) -> None:
        """Ask for a pod's deletion."""
        self.cluster.plane.api.delete(self.path("pods", name))

    def is_gone(self, name: str) -> bool:
        """Whether there is no such pod."""
        try:
            self.pod(name)
        except ApiError as error:
            return error.status == 404
        return False

    def log(self, pod: str, container: str = "main") -> str:
        """What a container has written so far, read from the node's file; empty if it never ran."""
        file = self.cluster.paths.container_logs / f"{self.namespace}_{pod}" / f"{container}.log"
        return file.read_text() if file.exists() else ""

    def events(self, pod: str) -> dict[str, list[str]]:
        """The messages of a pod's events, by reason."""
        items = self.cluster.plane.api.get(self.path("events"))["items"]
        mine = [event for event in items if event["involvedObject"]["name"] == pod]
        return {
            each["reason"]: [event["message"] for event in mine if event["reason"] == each["reason"]] for each in mine
        }


def processes_with(text: str) -> list[int]:
    """The processes of this machine with `text` in their command line."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in file.read_text(errors="replace"):
                found.append(int(file.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
