import pytest

from mixserve_devcluster.node.sources import (
    SourceKind,
    SourceName,
    Sources,
    UnresolvedError,
    decode,
    names_in_environment,
    names_in_volumes,
    service_account_tokens,
)

SECRET = SourceName(SourceKind.SECRET, "s")
CONFIG_MAP = SourceName(SourceKind.CONFIG_MAP, "c")
SOURCES = Sources(namespace="ns", contents={SECRET: {"k": b"v"}})


def test_what_exists_and_what_is_optional() -> None:
    assert SOURCES.all_of(SECRET, optional=False) == {"k": b"v"}
    assert SOURCES.one_of(SECRET, "k", optional=False) == b"v"
    assert SOURCES.one_of(SECRET, "x", optional=True) is None
    assert SOURCES.all_of(CONFIG_MAP, optional=True) == {}
    assert SOURCES.one_of(CONFIG_MAP, "k", optional=True) is None


def test_what_is_missing_is_said_as_a_kubelet_does() -> None:
    with pytest.raises(UnresolvedError, match=r'^configmap "c" not found$'):
        SOURCES.all_of(CONFIG_MAP, optional=False)
    with pytest.raises(UnresolvedError, match=r"^couldn't find key x in Secret ns/s$"):
        SOURCES.one_of(SECRET, "x", optional=False)
    empty = Sources(namespace="ns", contents={CONFIG_MAP: {}})
    with pytest.raises(UnresolvedError, match=r"^couldn't find key x in ConfigMap ns/c$"):
        empty.one_of(CONFIG_MAP, "x", optional=False)


def test_decoding() -> None:
    assert decode(SECRET, {"data": {"k": "dg=="}}) == {"k": b"v"}
    assert decode(SECRET, {"data": None}) == {}
    assert decode(CONFIG_MAP, {"data": {"k": "v"}, "binaryData": {"b": "AP8="}}) == {"k": b"v", "b": b"\x00\xff"}


def test_names_in_an_environment() -> None:
    container = {
        "env": [
            {"name": "A", "value": "x"},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "t"}}],
    }
    assert names_in_environment(container) == {SECRET, CONFIG_MAP, SourceName(SourceKind.SECRET, "t")}
    assert names_in_environment({}) == set()


def test_names_and_tokens_in_volumes() -> None:
    token = {"path": "token", "expirationSeconds": 600}
    volumes = [
        {"name": "a", "secret": {"secretName": "s"}},
        {"name": "b", "configMap": {"name": "c"}},
        {"name": "c", "emptyDir": {}},
        {
            "name": "d",
            "projected": {
                "sources": [
                    {"serviceAccountToken": token},
                    {"configMap": {"name": "d"}},
                    {"secret": {"name": "e"}},
                ]
            },
        },
    ]
    expected = {
        SECRET,
        CONFIG_MAP,
        SourceName(SourceKind.CONFIG_MAP, "d"),
        SourceName(SourceKind.SECRET, "e"),
    }
    assert names_in_volumes(volumes) == expected
    assert [list(service_account_tokens(volume)) for volume in volumes] == [[], [], [], [token]]
