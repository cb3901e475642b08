"""Mixserve installed on a bare control plane: as the chart says, with the operator as a process of this one."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from mixserve_devcluster import kubectl
from mixserve_devcluster.errors import InstallError, KubectlError, ProcessError
from mixserve_devcluster.installation import NAMESPACE, Installation, installed
from support.processes import is_alive
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve_devcluster.control_plane import ControlPlane

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def installation(control_plane: ControlPlane) -> Iterator[Installation]:
    with installed(control_plane.kubeconfig, values={"operator": {"logLevel": "debug"}}) as mixserve:
        yield mixserve


@pytest.fixture
def running(installation: Installation) -> Iterator[Installation]:
    """The operator, running again after the test."""
    yield installation
    installation.stop_operator()
    installation.start_operator()


def status_of(url: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", urlsplit(url).path)
    status = connection.getresponse().status
    connection.close()
    return status


def environment_of(installation: Installation) -> dict[str, str]:
    entries = Path(f"/proc/{installation.operator.pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def test_everything_of_the_chart_is_there_but_the_deployment(installation: Installation) -> None:
    def names(kind: str) -> list[str]:
        listed = kubectl.run(installation.kubeconfig, "get", kind, "--namespace", NAMESPACE, "--output", "json")
        return [item["metadata"]["name"] for item in json.loads(listed)["items"]]

    assert {"bf16", "fp8", "int4-awq"} <= set(names("quantizationformats"))
    assert {"l4", "h100-80gb", "a100-80gb"} <= set(names("acceleratorclasses"))
    assert "mixserve" in names("serviceaccounts")
    assert names("deployments") == []


def test_the_operator_runs_under_the_charts_service_account_and_may_no_more(installation: Installation) -> None:
    def may(*what: str) -> bool:
        try:
            kubectl.run(installation.operator_kubeconfig, "auth", "can-i", *what)
        except KubectlError:
            return False
        return True

    assert environment_of(installation)["MIXSERVE_KUBECONFIG"] == str(installation.operator_kubeconfig)
    who = kubectl.run(installation.operator_kubeconfig, "auth", "whoami", "--output", "json")
    assert json.loads(who)["status"]["userInfo"]["username"] == f"system:serviceaccount:{NAMESPACE}:mixserve"
    assert may("patch", "llmservingpools.mixserve.dev", "--subresource=status", "--all-namespaces")
    assert not may("get", "secrets", "--all-namespaces")


def test_the_charts_values_reach_the_operator(installation: Installation) -> None:
    environment = environment_of(installation)

    assert environment["MIXSERVE_LOG_LEVEL"] == "debug"
    assert environment["MIXSERVE_NAMESPACE"] == NAMESPACE


def test_its_own_numbers_can_be_read(installation: Installation) -> None:
    assert status_of(installation.metrics_url) == http.HTTPStatus.OK


def test_a_killed_operator_leads_again_at_once(running: Installation) -> None:
    killed = running.operator.pid
    running.kill_operator()
    assert not is_alive(killed)
    with pytest.raises(InstallError, match="is not running"):
        _ = running.operator
    running.start_operator()
    # Long before the Lease of the killed one, which has the same name, would have expired.
    eventually(lambda: leads(running), "leader", timeout_s=10)
    assert status_of(running.metrics_url) == http.HTTPStatus.OK


def leads(installation: Installation) -> bool:
    connection = http.client.HTTPConnection(urlsplit(installation.metrics_url).netloc, timeout=10)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    return "mixserve_leader 1.0" in page.splitlines()


def test_a_chart_that_cannot_be_rendered_says_why(control_plane: ControlPlane) -> None:
    with (
        pytest.raises(InstallError, match=r"the chart cannot be rendered: (?s:.*)workers"),
        installed(control_plane.kubeconfig, values={"operator": {"workers": "many"}}),
    ):
        pass


def test_an_operator_that_ends_says_why(control_plane: ControlPlane) -> None:
    with (
        pytest.raises(ProcessError, match=r"the operator ended with exit code(?s:.*)(?i:workers)"),
        installed(control_plane.kubeconfig, settings={"MIXSERVE_WORKERS": "none"}),
    ):
        pass
