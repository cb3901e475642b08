"""The embedded control plane is a real one, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mixserve_devcluster import binaries
from mixserve_devcluster.errors import ApiError
from mixserve_devcluster.component_flags import ControlPlaneSettings
from mixserve_devcluster.control_plane import ControlPlane
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.integration


def kubectl(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str | Path] = [binaries.find("kubectl"), "--kubeconfig", kubeconfig, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_administrator_may_do_everything(control_plane: ControlPlane) -> None:
    assert kubectl(control_plane.kubeconfig, "auth", "can-i", "*", "*").stdout.strip() == "yes"


def test_a_service_account_may_do_only_what_it_is_given(control_plane: ControlPlane, namespace: str) -> None:
    plain = control_plane.kubeconfig_for_service_account(namespace, "default")
    refused = kubectl(plain, "get", "secrets", "-n", namespace)
    assert f"system:serviceaccount:{namespace}:default" in refused.stderr
    assert "forbidden" in refused.stderr
    account = f"{namespace}:default"
    kubectl(
        control_plane.kubeconfig,
        "create",
        "rolebinding",
        "view",
        "-n",
        namespace,
        "--clusterrole=view",
        f"--serviceaccount={account}",
    )
    eventually(lambda: kubectl(plain, "get", "pods", "-n", namespace).returncode == 0, "right to list pods")


def test_a_token_is_readable_by_its_owner_only(control_plane: ControlPlane, namespace: str) -> None:
    path = control_plane.kubeconfig_for_service_account(namespace, "default")
    assert path.stat().st_mode & 0o777 == 0o600
    assert control_plane.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_a_token_for_an_unknown_account_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(ApiError, match="not found") as refused:
        control_plane.kubeconfig_for_service_account(namespace, "nobody")
    assert refused.value.status == 404
