from __future__ import annotations

from typing import Any

import pytest

from mixserve_devcluster.node.fields import UnknownFieldError
from mixserve_devcluster.node.sources import SourceKind, SourceName, Sources, UnresolvedError
from mixserve_devcluster.node.volumes import PodFacts, VolumeFile, VolumeMount, volume_files, volume_mounts

CONTENTS = {
    SourceName(SourceKind.SECRET, "s"): {"k": b"secret"},
    SourceName(SourceKind.CONFIG_MAP, "c"): {"one": b"1", "two": b"2"},
}
FACTS = PodFacts(
    pod={
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": {
            "containers": [{"name": "main", "resources": {"limits": {"memory": "1Gi"}}}],
            "initContainers": [{"name": "init", "resources": {"limits": {"memory": "2Gi"}}}],
        },
    },
    sources=Sources(namespace="ns", contents=CONTENTS),
    allocatable={},
    tokens={"token": "abc"},
)


def file(content: bytes, mode: int = 0o644) -> VolumeFile:
    return VolumeFile(content=content, mode=mode)


def files(**volume: Any) -> dict[str, VolumeFile]:
    return volume_files({"name": "v", **volume}, FACTS)


def test_config_maps_and_secrets() -> None:
    assert files(configMap={"name": "c"}) == {"one": file(b"1"), "two": file(b"2")}
    items = [{"key": "two", "path": "below/zwei", "mode": 0o600}]
    assert files(configMap={"name": "c", "items": items}) == {"below/zwei": file(b"2", 0o600)}
    assert files(secret={"secretName": "s", "defaultMode": 0o400}) == {"k": file(b"secret", 0o400)}


def test_what_is_missing() -> None:
    with pytest.raises(UnresolvedError, match='secret "none" not found'):
        files(secret={"secretName": "none"})
    with pytest.raises(UnresolvedError, match="couldn't find key x"):
        files(configMap={"name": "c", "items": [{"key": "x", "path": "x"}]})
    assert files(configMap={"name": "none", "optional": True}) == {}
    assert files(configMap={"name": "c", "optional": True, "items": [{"key": "x", "path": "x"}]}) == {}


def memory_of(container: str) -> dict[str, Any]:
    reference = {"containerName": container, "resource": "limits.memory", "divisor": "1Mi"}
    return {"path": container, "resourceFieldRef": reference}


def test_the_downward_api() -> None:
    items = [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}, memory_of("main"), memory_of("init")]
    assert files(downwardAPI={"items": items}) == {"name": file(b"p"), "main": file(b"1024"), "init": file(b"2048")}
    with pytest.raises(UnknownFieldError, match="container none not found"):
        files(downwardAPI={"items": [memory_of("none")]})


def test_a_service_account_as_kubernetes_projects_it() -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "c", "items": [{"key": "one", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        {"secret": {"name": "s"}},
    ]
    assert files(projected={"defaultMode": 0o444, "sources": sources}) == {
        "token": file(b"abc", 0o444),
        "ca.crt": file(b"1", 0o444),
        "namespace": file(b"ns", 0o444),
        "k": file(b"secret", 0o444),
    }


def test_projections_that_the_node_does_not_have() -> None:
    with pytest.raises(UnresolvedError, match="no trust bundles"):
        files(projected={"sources": [{"clusterTrustBundle": {"path": "x"}}]})


def test_mounts() -> None:
    volumes = {
        "config": {"name": "config", "configMap": {"name": "c"}},
        "scratch": {"name": "scratch", "emptyDir": {}},
    }
    mounts = [
        {"name": "config", "mountPath": "/config"},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "scratch", "mountPath": "/a", "subPath": "x/y", "readOnly": True},
        {"name": "scratch", "mountPath": "/b", "subPathExpr": "logs/$(POD)"},
    ]
    assert volume_mounts({"volumeMounts": mounts}, volumes, {"POD": "p"}) == [
        VolumeMount(volume="config", path="/config", sub_path="", read_only=True),
        VolumeMount(volume="scratch", path="/scratch", sub_path="", read_only=False),
        VolumeMount(volume="scratch", path="/a", sub_path="x/y", read_only=True),
        VolumeMount(volume="scratch", path="/b", sub_path="logs/p", read_only=False),
    ]
