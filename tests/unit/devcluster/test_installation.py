from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mixserve_devcluster import installation
from mixserve_devcluster.errors import InstallError
from mixserve_devcluster.installation import NAMESPACE, OperatorProgram, sole_operator


def deployment(**container: Any) -> dict[str, Any]:
    pod = {"serviceAccountName": "mixserve", "containers": [{"name": "operator", **container}]}
    return {"metadata": {"name": "mixserve"}, "spec": {"template": {"spec": pod}}}


def field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def test_the_operator_is_run_as_in_the_charts_pod() -> None:
    program = OperatorProgram.of(
        deployment(
            command=["mixserve", "operator"],
            args=["run"],
            env=[
                {"name": "MIXSERVE_WORKERS", "value": "3"},
                field("MIXSERVE_NAMESPACE", "metadata.namespace"),
                field("MIXSERVE_IDENTITY", "metadata.name"),
            ],
        )
    )

    assert program.command == ("mixserve", "operator", "run")
    assert program.environment == {
        "MIXSERVE_WORKERS": "3",
        "MIXSERVE_NAMESPACE": NAMESPACE,
        "MIXSERVE_IDENTITY": "mixserve-local",
    }
    assert program.service_account == "mixserve"


def test_the_command_is_the_one_of_this_environment() -> None:
    assert installation._local_command(["mixserve", "run"]) == [str(Path(sys.executable).with_name("mixserve")), "run"]


def test_a_command_that_this_environment_lacks_is_a_clear_error() -> None:
    with pytest.raises(InstallError, match=r"there is no 'no-such-program' beside .*: install Mixserve there"):
        installation._local_command(["no-such-program"])


def test_the_users_own_settings_stay_out() -> None:
    assert installation._without_settings({"MIXSERVE_WORKERS": "1", "HOME": "/home/me"}) == {"HOME": "/home/me"}


def started(port: int) -> str:
    return json.dumps({"event": "web_started", "port": port}) + "\n"


def test_the_address_is_what_the_latest_start_says(tmp_path: Path) -> None:
    log = tmp_path / "operator.log"
    log.write_text(started(1111))
    offset = log.stat().st_size

    assert installation._web_address(log, 0) == "127.0.0.1:1111"
    assert installation._web_address(log, offset) is None
    with log.open("a") as lines:
        lines.write('Traceback\n{"event": "other"}\n' + started(2222))
    assert installation._web_address(log, offset) == "127.0.0.1:2222"


def test_the_api_server_is_sent_to_where_the_operator_listens() -> None:
    service = {"service": {"name": "mixserve-webhook", "namespace": NAMESPACE, "path": "/validate"}}
    chart = {"kind": "ValidatingWebhookConfiguration", "webhooks": [{"name": "a", "clientConfig": service}]}

    [webhook] = installation._at_loopback(chart, 1234)["webhooks"]

    assert webhook == {"name": "a", "clientConfig": {"url": "https://127.0.0.1:1234/validate"}}


def test_half_a_line_is_none_yet(tmp_path: Path) -> None:
    log = tmp_path / "operator.log"
    log.write_text(started(1111)[:-8])

    assert installation._web_address(log, 0) is None


def test_a_second_operator_is_kept_off_a_cluster(tmp_path: Path) -> None:
    with (
        sole_operator(tmp_path / "kubeconfig"),
        pytest.raises(InstallError, match="an operator runs on this cluster already"),
        sole_operator(tmp_path / "kubeconfig"),
    ):
        pytest.fail("both run")
    with sole_operator(tmp_path / "kubeconfig"):
        pass
