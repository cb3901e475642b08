"""`kubectl` against an embedded cluster, as its administrator."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from mixserve_devcluster import binaries
from mixserve_devcluster.errors import KubectlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def run(kubeconfig: Path, *arguments: str, standard_input: str = "") -> str:
    """Run kubectl with `arguments` and return what it prints.

    Raises:
        KubectlError: it failed; with what it says.
        BuildError: there is no kubectl, and none can be built.
    """
    # Discovery is cached per server, and the next cluster may have this one's address.
    options = ["--kubeconfig", str(kubeconfig), "--cache-dir", str(kubeconfig.parent / "kubectl-cache")]
    done = subprocess.run(
        [binaries.find("kubectl"), *options, *arguments],
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def apply(
    kubeconfig: Path,
    manifests: Iterable[Mapping[str, Any]],
    *,
    namespace: str,
) -> None:
    """Apply objects server-side; those that are namespaced and name no namespace go into `namespace`.

    Raises:
        KubectlError: the API server refuses one.
    """
    # One call for each namespace: kubectl refuses objects of another one than it is told.
    by_namespace: dict[str, list[Mapping[str, Any]]] = {}
    for manifest in manifests:
        by_namespace.setdefault(manifest["metadata"].get("namespace", namespace), []).append(manifest)
    for name, items in by_namespace.items():
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        run(kubeconfig, "apply", "--namespace", name, "--server-side", "--filename", "-", standard_input=listed)
