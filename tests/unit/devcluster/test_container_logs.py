from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster import container_logs
from mixserve_devcluster.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two pods, one of which has two containers and a previous run of the first."""
    for pod, container in (("llm_one", "server"), ("llm_two", "server"), ("llm_two", "sidecar"), ("other_x", "c")):
        (tmp_path / pod).mkdir(exist_ok=True)
        (tmp_path / pod / f"{container}.log").write_text(f"{container} of {pod}\n")
    (tmp_path / "llm_two" / "server.log.1").write_text("before the restart\n")
    return tmp_path


def text(logs: Path, pod: str, container: str | None = None) -> str:
    path = container_logs.find(logs, namespace="llm", pod=pod, container=container)
    return b"".join(container_logs.read(path, follow=False)).decode()


def test_the_only_container_need_not_be_named(logs: Path) -> None:
    assert text(logs, "one") == "server of llm_one\n"


def test_one_of_several_containers_is_named(logs: Path) -> None:
    assert text(logs, "two", "sidecar") == "sidecar of llm_two\n"


def test_several_containers_are_listed_when_none_is_named(logs: Path) -> None:
    with pytest.raises(ClusterError, match=r"several containers; name one with --container: server, sidecar$"):
        text(logs, "two")


def test_an_unknown_container_is_an_error_that_names_the_known_ones(logs: Path) -> None:
    with pytest.raises(ClusterError, match=r"pod 'one' has no container 'x'.*: server$"):
        text(logs, "one", "x")


def test_an_unknown_pod_is_an_error_that_names_the_known_ones(logs: Path) -> None:
    with pytest.raises(ClusterError, match=r"pod 'three' in namespace 'llm'.*: one, two$"):
        text(logs, "three")


def test_the_log_before_the_last_restart_can_be_had(logs: Path) -> None:
    path = container_logs.find(logs, namespace="llm", pod="two", container="server")
    assert container_logs.previous(path).read_text() == "before the restart\n"


def test_without_a_restart_there_is_no_previous_log(logs: Path) -> None:
    path = container_logs.find(logs, namespace="llm", pod="two", container="sidecar")
    with pytest.raises(ClusterError, match="'sidecar' has not been restarted"):
        container_logs.previous(path)


def test_following_goes_on_through_restarts_until_the_cluster_is_gone(
    logs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = container_logs.find(logs, namespace="llm", pod="one", container=None)

    def append(text: str) -> None:
        with path.open("a") as log:
            log.write(text)

    def restart(*_: object) -> bool:
        append("last words\n")
        path.rename(path.with_name("server.log.1"))
        path.write_text("again\n")
        monkeypatch.setattr("os.path.samestat", samestat)
        return False

    def restart_unseen() -> None:
        # After the last look at the file's content, before the look at whether it is still the log.
        monkeypatch.setattr("os.path.samestat", restart)

    samestat = os.path.samestat
    steps = iter([lambda: append("and more\n"), restart_unseen, lambda: shutil.rmtree(path.parent)])
    monkeypatch.setattr("time.sleep", lambda _: next(steps)())
    assert b"".join(container_logs.read(path, follow=True)).decode().splitlines() == [
        "server of llm_one",
        "and more",
        "last words",
        "again",
    ]


def test_following_goes_on_when_a_long_log_is_put_aside(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = container_logs.find(logs, namespace="llm", pod="one", container=None)

    def put_aside(text: str) -> None:
        path.rename(path.with_name("server.log.old"))
        path.write_text(text)

    def put_aside_again(*_: object) -> bool:
        # Between the look at whether it is still the log and the opening of the next one.
        path.unlink()
        monkeypatch.setattr("os.path.samestat", samestat)
        return False

    def put_aside_twice() -> None:
        put_aside("not seen\n")
        monkeypatch.setattr("os.path.samestat", put_aside_again)

    samestat = os.path.samestat
    steps = iter(
        [
            lambda: put_aside("second part\n"),
            put_aside_twice,
            lambda: path.write_text("fourth part\n"),
            lambda: shutil.rmtree(path.parent),
        ]
    )
    monkeypatch.setattr("time.sleep", lambda _: next(steps)())
    assert b"".join(container_logs.read(path, follow=True)).decode().splitlines() == [
        "server of llm_one",
        "second part",
        "fourth part",
    ]
