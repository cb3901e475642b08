from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.container_directory import ContainerDirectory
from mixserve_devcluster.node.spawner.messages import Mount, Program
from mixserve_devcluster.node.unmounted import without_mounts

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}


def moved(own: ContainerDirectory, mounts: dict[str, str], **fields: Any) -> Program:
    own.make()
    values = {"argv": ["x"], "environment": {}, "directory": "/", "output": "/log", **fields}
    listed = [Mount(source=source, target=target, read_only=False) for target, source in mounts.items()]
    return without_mounts(Program(**values, mounts=listed, stage="/stage"), own)


def test_paths_are_moved(tmp_path: Path) -> None:
    own = ContainerDirectory(path=tmp_path)
    program = moved(
        own,
        {"/models": str(tmp_path)},
        argv=["serve", "/models/a", "--x=/models"],
        environment={"DIR": "/models", "PATH": "/bin"},
        directory="/models",
    )
    assert program.argv == ["serve", f"{tmp_path}/a", "--x=/models"]
    assert program.environment == {"DIR": str(tmp_path), "PATH": "/bin"}
    assert (program.directory, program.mounts) == (str(tmp_path), [])


def test_a_working_directory_that_is_not_there(tmp_path: Path) -> None:
    own = ContainerDirectory(path=tmp_path)
    assert moved(own, {}, directory="/no/such/directory").directory == str(own.home)


def test_a_service_account_becomes_a_kubeconfig(tmp_path: Path) -> None:
    own = ContainerDirectory(path=tmp_path)
    account = {"/var/run/secrets/kubernetes.io/serviceaccount": "/host/account"}
    program = moved(own, account, environment=SERVICES)
    assert program.environment["KUBECONFIG"] == str(own.kubeconfig)
    kubeconfig = json.loads(own.kubeconfig.read_text())
    assert kubeconfig["users"][0]["user"] == {"tokenFile": "/host/account/token"}
    assert kubeconfig["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:6443",
        "certificate-authority": "/host/account/ca.crt",
    }
    assert moved(own, account, environment={**SERVICES, "KUBECONFIG": "/own"}).environment["KUBECONFIG"] == "/own"
