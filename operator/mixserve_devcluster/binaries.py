"""Where the cluster's binaries come from.

In this order: the directory KUBEBUILDER_ASSETS, where it is set and has the binary; the user's cache; for
kubectl and helm, a suitable one of the system; else it is built from its pinned Go module into the cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import platformdirs

from mixserve_devcluster import go_build
from mixserve_devcluster.errors import BuildError
from mixserve_devcluster.go_build import GoProgram

_MODULES = Path(__file__).parent / "gomodules"


class Origin(StrEnum):
    """Where a binary comes from."""

    ASSETS = "KUBEBUILDER_ASSETS"
    CACHE = "cache"
    SYSTEM = "system"


class Binary(NamedTuple):
    """An executable, and where it comes from."""

    path: Path
    origin: Origin


def _kubernetes(name: str) -> GoProgram:
    return GoProgram(
        name=name,
        module=_MODULES / "kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        version_package="k8s.io/component-base/version",
    )


_PROGRAMS = {
    program.name: program
    for program in (
        # The largest first: what it compiles, its sisters share.
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl"),
        GoProgram(name="etcd", module=_MODULES / "etcd", package="go.etcd.io/etcd/server/v3"),
        GoProgram(name="helm", module=_MODULES / "helm", package="helm.sh/helm/v4/cmd/helm"),
    )
}

NAMES = tuple(_PROGRAMS)


def find(name: str) -> Path:
    """Return the path of one of NAMES, building it first if it is nowhere.

    Raises:
        BuildError: it is not there and cannot be built; says why and what to do.
    """
    return get(name).path


def get(name: str) -> Binary:
    """Return one of NAMES with its origin; raises as `find` does."""
    return locate(name) or Binary(go_build.build(_PROGRAMS[name], cache_directory()), Origin.CACHE)


def locate(name: str) -> Binary | None:
    """Return where one of NAMES is, or None if it would have to be built.

    Raises:
        BuildError: the kube-apiserver in KUBEBUILDER_ASSETS is of another minor version than the cluster is made for.
    """
    if given := _given(name):
        return Binary(given, Origin.ASSETS)
    cached = _PROGRAMS[name].cached(cache_directory())
    if cached.exists():
        return Binary(cached, Origin.CACHE)
    system = shutil.which(name)
    if system and _suits(name, Path(system)):
        return Binary(Path(system), Origin.SYSTEM)
    return None


def cache_directory() -> Path:
    """Where binaries are cached; follows XDG_CACHE_HOME."""
    return platformdirs.user_cache_path("mixserve") / "binaries"


def _given(name: str) -> Path | None:
    """The one in KUBEBUILDER_ASSETS; its path is absolute, since programs run in directories of their own."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    given = Path(assets).resolve() / name if assets else None
    if given is None or not os.access(given, os.X_OK):
        return None
    if name == "kube-apiserver":
        _check_server(given)
    return given


def _check_server(given: Path) -> None:
    """Refuse another minor version: flags come and go with them, and the cluster would fail in stranger ways."""
    wanted, found = _numbers(_PROGRAMS["kube-apiserver"].version), _version([given, "--version"])
    if found != wanted:
        version = "one that does not say its version" if found == (0, 0) else f"version {found[0]}.{found[1]}"
        minor = f"{wanted[0]}.{wanted[1]}"
        raise BuildError(
            f"the kube-apiserver in KUBEBUILDER_ASSETS ({given}) is {version}, and the embedded cluster is made for "
            f"{minor}. Put the binaries of Kubernetes {minor} there, such as `setup-envtest use {minor}` fetches, or "
            "unset KUBEBUILDER_ASSETS: then they come from the cache."
        )


def _suits(name: str, system: Path) -> bool:
    """Whether the system's will do: kubectl within one minor version of the server, helm of one major."""
    pinned = _numbers(_PROGRAMS[name].version)
    if name == "kubectl":
        major, minor = _version([system, "version", "--client"])
        return major == pinned[0] and abs(minor - pinned[1]) <= 1
    return name == "helm" and _version([system, "version", "--short"])[0] == pinned[0]


def _version(command: list[Path | str]) -> tuple[int, int]:
    try:
        # 10 s: a wrapper that hangs must not stop us; these commands answer at once and offline.
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    return _numbers(answer.stdout)


def _numbers(text: str) -> tuple[int, int]:
    found = re.search(r"v(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
