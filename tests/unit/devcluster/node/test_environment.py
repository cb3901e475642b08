from __future__ import annotations

from typing import Any

import pytest

from mixserve_devcluster.node.environment import (
    declared_environment,
    expanded,
    service_environment,
    with_paths_moved,
)
from mixserve_devcluster.node.fields import UnknownFieldError
from mixserve_devcluster.node.sources import SourceKind, SourceName, Sources, UnresolvedError

CONTENTS = {
    SourceName(SourceKind.SECRET, "s"): {"k": b"secret"},
    SourceName(SourceKind.CONFIG_MAP, "c"): {"k": b"config", "l": b"\xff"},
}
OTHER = {"name": "other", "resources": {"limits": {"cpu": "3"}}}
INIT = {"name": "init", "resources": {"limits": {"cpu": "4"}}}


def declared(**container: Any) -> dict[str, str]:
    main = {"name": "main", "resources": {"limits": {"cpu": "2"}}, **container}
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [main, OTHER], "initContainers": [INIT]}}
    return declared_environment(
        pod=pod,
        container=main,
        sources=Sources(namespace="ns", contents=CONTENTS),
        allocatable={},
        services={"KUBERNETES_SERVICE_HOST": "127.0.0.1"},
    )


def variable(**value_from: Any) -> dict[str, Any]:
    return {"name": "X", "valueFrom": value_from}


def test_values_refer_to_earlier_ones_and_to_services() -> None:
    env = [
        {"name": "A", "value": "$(B)"},
        {"name": "B", "value": "b"},
        {"name": "C", "value": "$(B)@$(KUBERNETES_SERVICE_HOST)"},
        {"name": "D"},
    ]
    assert declared(env=env) == {"A": "$(B)", "B": "b", "C": "b@127.0.0.1", "D": ""}


def test_whole_objects_are_imported_and_overridden() -> None:
    env_from = [{"configMapRef": {"name": "c"}, "prefix": "C_"}, {"secretRef": {"name": "s"}}]
    assert declared(envFrom=env_from, env=[{"name": "k", "value": "own"}]) == {
        "C_k": "config",
        "C_l": "\N{REPLACEMENT CHARACTER}",
        "k": "own",
    }


@pytest.mark.parametrize(
    ("value_from", "value"),
    [
        ({"secretKeyRef": {"name": "s", "key": "k"}}, "secret"),
        ({"configMapKeyRef": {"name": "c", "key": "k"}}, "config"),
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "p"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "2"),
        ({"resourceFieldRef": {"resource": "limits.cpu", "containerName": "other"}}, "3"),
        ({"resourceFieldRef": {"resource": "limits.cpu", "containerName": "init"}}, "4"),
    ],
)
def test_references(value_from: dict[str, Any], value: str) -> None:
    assert declared(env=[variable(**value_from)]) == {"X": value}


def test_an_optional_reference_to_nothing_sets_nothing() -> None:
    assert declared(env=[variable(secretKeyRef={"name": "none", "key": "k", "optional": True})]) == {}


def test_missing_and_unknown_sources() -> None:
    with pytest.raises(UnresolvedError, match='secret "none" not found'):
        declared(env=[variable(secretKeyRef={"name": "none", "key": "k"})])
    with pytest.raises(UnresolvedError, match="fileKeyRef"):
        declared(env=[variable(fileKeyRef={})])
    with pytest.raises(UnknownFieldError, match="container none not found"):
        declared(env=[variable(resourceFieldRef={"resource": "limits.cpu", "containerName": "none"})])


def test_the_api_server_is_found_by_its_service() -> None:
    assert service_environment("https://127.0.0.1:6443") == {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": "6443",
        "KUBERNETES_SERVICE_PORT_HTTPS": "6443",
    }


def test_words_are_expanded() -> None:
    assert expanded(["$(A)", "$(S)", "$(N)"], {"A": "a"}, {"A": "x", "S": "s"}) == ["a", "s", "$(N)"]


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("/data", "/host/data"),
        ("/data/x", "/host/data/x"),
        ("/data/deep/x", "/host/deep/x"),
        ("/database", "/database"),
        ("--dir=/data", "--dir=/data"),
    ],
)
def test_paths_at_or_below_a_mount_path_are_moved(text: str, moved: str) -> None:
    assert with_paths_moved(text, {"/data": "/host/data", "/data/deep": "/host/deep"}) == moved
