import pytest

from mixserve_devcluster.node.fields import UnknownFieldError, field_value

POD = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "labels": {"b": "2", "a": 'say "1"'},
        "annotations": {"example.com/x": "y"},
    },
    "spec": {"nodeName": "n", "serviceAccountName": "sa"},
    "status": {"podIP": "127.9.0.1", "hostIP": "127.0.0.1", "podIPs": [{"ip": "127.9.0.1"}, {"ip": "::1"}]},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u"),
        ("metadata.labels", 'a="say \\"1\\""\nb="2"'),
        ("metadata.labels['b']", "2"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['example.com/x']", "y"),
        ("spec.nodeName", "n"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "127.9.0.1"),
        ("status.hostIP", "127.0.0.1"),
        ("status.podIPs", "127.9.0.1,::1"),
        ("status.hostIPs", ""),
    ],
)
def test_fields(path: str, value: str) -> None:
    assert field_value(POD, path) == value


@pytest.mark.parametrize("path", ["spec.containers", "metadata.finalizers", "status.phase"])
def test_other_fields_are_refused(path: str) -> None:
    with pytest.raises(UnknownFieldError, match=path):
        field_value(POD, path)
