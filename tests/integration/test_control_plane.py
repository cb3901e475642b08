"""The embedded control plane is a real one, and leaves nothing behind."""

from __future__ import annotations

import http.client
import signal
import ssl
import stat
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import yaml

from mixserve_devcluster import binaries, component_flags
from mixserve_devcluster.component_flags import ControlPlaneSettings
from mixserve_devcluster.control_plane import ControlPlane
from mixserve_devcluster.errors import ApiError, ControlPlaneError, ProcessError
from support.processes import is_alive, working_in
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def kubectl(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binaries.find("kubectl"), "--kubeconfig", kubeconfig, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_is_the_pinned_kubernetes(control_plane: ControlPlane) -> None:
    version = yaml.safe_load(kubectl(control_plane.kubeconfig, "version", "-o", "yaml").stdout)
    assert version["serverVersion"]["gitVersion"].startswith("v1.36.")


def test_the_administrator_may_do_everything(control_plane: ControlPlane) -> None:
    assert kubectl(control_plane.kubeconfig, "auth", "can-i", "*", "*", "-A").stdout.strip() == "yes"


def test_a_service_account_may_do_only_what_it_is_given(control_plane: ControlPlane, namespace: str) -> None:
    plain = control_plane.kubeconfig_for_service_account(namespace, "default")
    refused = kubectl(plain, "get", "secrets", "-n", namespace)
    assert f'"system:serviceaccount:{namespace}:default" cannot list resource "secrets"' in refused.stderr
    account = f"--serviceaccount={namespace}:default"
    kubectl(control_plane.kubeconfig, "create", "rolebinding", "v", "-n", namespace, "--clusterrole=view", account)
    eventually(lambda: kubectl(plain, "get", "pods", "-n", namespace).returncode == 0, "right to list pods")


def test_a_user_has_the_groups_of_their_certificate(control_plane: ControlPlane) -> None:
    path = control_plane.kubeconfig_for(user="jane/doe:1", groups=["developers"])
    answer = yaml.safe_load(kubectl(path, "auth", "whoami", "-o", "yaml").stdout)
    assert answer["status"]["userInfo"]["username"] == "jane/doe:1"
    assert "developers" in answer["status"]["userInfo"]["groups"]


def test_the_node_group_may_do_what_a_kubelet_may(control_plane: ControlPlane) -> None:
    path = control_plane.kubeconfig_for(user="a-node", groups=["mixserve-devcluster:nodes"])
    allowed = (
        ("create", "nodes"),
        ("patch", "nodes", "--subresource=status"),
        ("patch", "pods", "--subresource=status"),
        ("delete", "pods"),
        ("get", "secrets"),
        ("create", "serviceaccounts", "--subresource=token"),
    )
    for right in allowed:
        assert kubectl(path, "auth", "can-i", *right, "-A").stdout.strip() == "yes", right
    assert kubectl(path, "auth", "can-i", "create", "deployments", "-A").stdout.strip() == "no"


def test_strangers_are_refused(control_plane: ControlPlane) -> None:
    assert status_of_nodes(control_plane, ssl.create_default_context(cafile=str(control_plane.ca_file))) == 403
    with pytest.raises(ssl.SSLCertVerificationError):
        status_of_nodes(control_plane, ssl.create_default_context())


def status_of_nodes(plane: ControlPlane, context: ssl.SSLContext) -> int:
    """The HTTP status of a request without any identity."""
    connection = http.client.HTTPSConnection(urlsplit(plane.server).netloc, context=context, timeout=10)
    try:
        connection.request("GET", "/api/v1/nodes")
        return connection.getresponse().status
    finally:
        connection.close()


def test_secrets_are_readable_by_their_owner_only(control_plane: ControlPlane, namespace: str) -> None:
    token = control_plane.kubeconfig_for_service_account(namespace, "default")
    secret = [token, *control_plane.directory.glob("*.key"), *control_plane.directory.glob("*.kubeconfig")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert stat.S_IMODE(control_plane.directory.stat().st_mode) == 0o700


def test_a_token_for_an_unknown_account_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(ApiError, match="not found") as refused:
        control_plane.kubeconfig_for_service_account(namespace, "nobody")
    assert refused.value.status == 404


def test_pods_get_the_token_of_their_account(control_plane: ControlPlane, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    created = control_plane.api.create(pods, pod)
    assert created["spec"]["serviceAccountName"] == "default"
    (volume,) = created["spec"]["volumes"]
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]


def test_deployments_get_pods_and_no_endpoints(control_plane: ControlPlane, namespace: str) -> None:
    kubectl(control_plane.kubeconfig, "create", "deployment", "d", "--image=i", "--replicas=3", "-n", namespace)
    kubectl(control_plane.kubeconfig, "expose", "deployment", "d", "--port=80", "-n", namespace)
    base = f"/api/v1/namespaces/{namespace}"
    eventually(lambda: len(control_plane.api.get(f"{base}/pods")["items"]) == 3, "three pods")
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    assert control_plane.api.get(f"{base}/services/d")["spec"]["clusterIP"].startswith("10.96.")
    assert control_plane.api.get(slices)["items"] == []


def test_two_run_side_by_side_and_know_nothing_of_each_other(control_plane: ControlPlane, tmp_path: Path) -> None:
    with ControlPlane.start(tmp_path / "second") as second:
        assert second.server != control_plane.server
        second.api.create("/api/v1/namespaces", {"metadata": {"name": "only-in-second"}})
        assert kubectl(second.kubeconfig, "get", "namespace", "only-in-second").returncode == 0
        assert "not found" in kubectl(control_plane.kubeconfig, "get", "namespace", "only-in-second").stderr
        # One's administrator is a stranger to the other, whose authority is another.
        trespass = kubectl(control_plane.kubeconfig, "--server", second.server, "get", "namespaces")
        assert "certificate signed by unknown authority" in trespass.stderr
        running = working_in(second.directory)
        assert sorted(running) == sorted(component_flags.COMPONENTS)
    assert working_in(second.directory) == {}
    assert not any(is_alive(pid) for pid in running.values())
    assert kubectl(control_plane.kubeconfig, "get", "--raw", "/readyz").stdout == "ok"


def test_a_component_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    with ControlPlane.start(tmp_path / "plane") as plane:
        plane.check()
        scheduler = next(process for process in plane._processes if process.name == "kube-scheduler")
        scheduler.kill()
        scheduler.wait(None)
        with pytest.raises(ProcessError, match=r"kube-scheduler was ended by SIGKILL.*kube-scheduler\.log"):
            plane.check()


def test_a_component_that_does_not_start_is_reported_with_its_log(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(component_flags, "etcd", lambda: ["--data-dir=/dev/null/etcd"])
    with pytest.raises(ProcessError, match=r"(?s)etcd ended with exit code \d.*failed to list data directory"):
        ControlPlane.start(tmp_path / "plane").__enter__()
    assert working_in(tmp_path) == {}


def test_a_control_plane_that_is_too_slow_is_reported_with_its_logs(tmp_path: Path) -> None:
    settings = ControlPlaneSettings(start_deadline_s=0.0)
    with pytest.raises(ControlPlaneError, match=r"(?s)waited in vain for the API server.*kube-apiserver\.log"):
        ControlPlane.start(tmp_path / "plane", settings).__enter__()
    assert working_in(tmp_path) == {}


def test_a_directory_of_a_crashed_control_plane_can_be_used_again(tmp_path: Path) -> None:
    pids = crash(tmp_path)
    assert sorted(pids) == sorted(component_flags.COMPONENTS)
    eventually(lambda: not any(is_alive(pid) for pid in pids.values()), "end of all components")
    assert (tmp_path / "etcd").exists()
    with ControlPlane.start(tmp_path) as plane:
        assert plane.api.is_ready()
    assert not (tmp_path / "etcd").exists()


PARENT = """
import sys, time
from pathlib import Path
from mixserve_devcluster.control_plane import ControlPlane
with ControlPlane.start(Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(300)
"""


def crash(directory: Path) -> dict[str, int]:
    """Kill a process that runs a control plane in `directory`; return the process ids of what it had started."""
    with subprocess.Popen([sys.executable, "-c", PARENT, directory], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "up\n"
        pids = working_in(directory)
        parent.send_signal(signal.SIGKILL)
    return pids
