from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster import binaries, go_build
from mixserve_devcluster.binaries import Binary, Origin
from mixserve_devcluster.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("user_directories")


def put(path: Path, says: str = "") -> Path:
    """An executable that says something, whatever it is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def put_into_cache(name: str) -> Path:
    return put(binaries._PROGRAMS[name].cached(binaries.cache_directory()))


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory in PATH besides the shell's."""
    monkeypatch.setenv("PATH", str(tmp_path / "system"))
    return tmp_path / "system"


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    return tmp_path / "assets"


def test_the_assets_directory_comes_first(assets: Path) -> None:
    put_into_cache("etcd")
    given = put(assets / "etcd")
    assert binaries.get("etcd") == Binary(given, Origin.ASSETS)


def test_a_relative_assets_directory_is_found_from_everywhere(
    tmp_path: Path, assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = put(assets / "etcd")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", "assets")
    assert binaries.find("etcd") == given


@pytest.mark.parametrize("says", ["Kubernetes v1.36.0", "Kubernetes v1.36.9-gke.1"])
def test_a_server_of_the_minor_version_is_taken_from_the_assets_directory(assets: Path, says: str) -> None:
    given = put(assets / "kube-apiserver", says)
    assert binaries.find("kube-apiserver") == given


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("Kubernetes v1.35.0", "is version 1.35"),
        ("Kubernetes v1.37.1", "is version 1.37"),
        ("no version", "is one that does not say its version"),
    ],
)
def test_a_server_of_another_minor_version_is_refused(assets: Path, says: str, version: str) -> None:
    given = put(assets / "kube-apiserver", says)
    with pytest.raises(BuildError, match=r"made for 1\.36.*unset KUBEBUILDER_ASSETS") as error:
        binaries.locate("kube-apiserver")
    assert f"({given}) {version}" in str(error.value)


def test_what_the_assets_directory_lacks_comes_from_the_cache(assets: Path) -> None:
    put(assets / "kube-apiserver")
    cached = put_into_cache("etcd")
    assert binaries.get("etcd") == Binary(cached, Origin.CACHE)


def test_a_file_in_the_assets_directory_that_cannot_run_is_passed_over(assets: Path) -> None:
    put(assets / "etcd").chmod(0o644)
    cached = put_into_cache("etcd")
    assert binaries.find("etcd") == cached


def test_the_cache_is_the_users(tmp_path: Path) -> None:
    assert binaries.cache_directory() == tmp_path / "cache" / "mixserve" / "binaries"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("helm", "v4.0.0+gabcdef"),
        ("helm", "v4.9.9"),
        ("kubectl", "Client Version: v1.35.0"),
        ("kubectl", "Client Version: v1.36.4-gke.1"),
        ("kubectl", "Client Version: v1.37.2"),
    ],
)
def test_a_suitable_client_of_the_system_is_taken_before_building(system: Path, name: str, says: str) -> None:
    installed = put(system / name, says)
    assert binaries.locate(name) == Binary(installed, Origin.SYSTEM)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("helm", "v3.18.0+gabcdef"),
        ("helm", "v40.0.0"),
        ("helm", "no version"),
        ("kubectl", "Client Version: v1.34.9"),
        ("kubectl", "Client Version: v1.38.0"),
        ("kubectl", "Client Version: v2.36.0"),
        ("etcd", "v3.6.16"),
        ("kube-apiserver", "Kubernetes v1.36.1"),
    ],
)
def test_no_other_program_of_the_system_is_taken(system: Path, name: str, says: str) -> None:
    put(system / name, says)
    assert binaries.locate(name) is None


def test_a_client_of_the_system_that_does_not_run_is_passed_over(system: Path) -> None:
    put(system / "helm").write_text("#!/no/such/shell\n")
    assert binaries.locate("helm") is None


def test_what_is_nowhere_is_built_into_the_cache(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_build, "build", lambda program, cache: put(program.cached(cache)))
    built = binaries.get("kube-scheduler")
    assert built.path.parent.name.startswith("v1.36.1-")
    assert binaries.get("kube-scheduler") == built


@pytest.mark.parametrize("name", binaries.NAMES)
def test_each_binary_has_a_pinned_module(name: str) -> None:
    program = binaries._PROGRAMS[name]
    assert program.version.startswith("v")
    assert (program.module / "go.sum").stat().st_size > 0
    # Without a file that imports it, `go mod tidy` would drop what the command needs.
    assert f'"{program.package}"' in (program.module / "tools.go").read_text()
