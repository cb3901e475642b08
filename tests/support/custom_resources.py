"""The CRDs on a control plane."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from mixserve_devcluster import binaries
from support.waiting import eventually

if TYPE_CHECKING:
    from mixserve_devcluster.control_plane import ControlPlane

CRDS = Path(__file__).parents[2] / "crds"


def install_crds(control_plane: ControlPlane) -> str:
    """Apply crds/ and wait until the kinds are served; return what kubectl has said on stderr."""
    # Discovery is cached per server, and the next control plane may have this one's address.
    cache = control_plane.directory / "kubectl-cache"
    kubectl = [binaries.find("kubectl"), "--kubeconfig", control_plane.kubeconfig, "--cache-dir", cache]
    command = [*kubectl, "apply", "--server-side", "--force-conflicts", "-f", CRDS]
    applied = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert applied.returncode == 0, applied.stderr
    eventually(lambda: established(control_plane), "established CRDs")
    return applied.stderr


def established(control_plane: ControlPlane) -> bool:
    """Whether the kinds of all CRDs of the group are served."""
    listed = control_plane.api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
    ours = [definition for definition in listed if definition["spec"]["group"] == "mixserve.dev"]
    return bool(ours) and all(conditions(definition).get("Established") == "True" for definition in ours)


def conditions(definition: dict[str, dict[str, list[dict[str, str]]]]) -> dict[str, str]:
    """The status of each condition of an object."""
    return {each["type"]: each["status"] for each in definition.get("status", {}).get("conditions") or []}
