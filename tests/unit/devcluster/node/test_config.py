from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mixserve_devcluster.node.config import ConfigError, Mode, read_config

GPU = {"product": "NVIDIA-L4", "count": 4, "memoryMiB": 23034, "computeMajor": 8, "computeMinor": 9}


def content(**changes: Any) -> dict[str, Any]:
    return {
        "logDirectory": "/logs",
        "workDirectory": "/work",
        "apiServer": "https://127.0.0.1:6443",
        "caFile": "/ca.crt",
        "nodes": [{"name": "n"}],
        **changes,
    }


def write(tmp_path: Path, value: Any) -> Path:
    file = tmp_path / "node.json"
    file.write_text(json.dumps(value))
    return file


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, content()))
    assert config.nodes[0].names == ["n"]
    assert config.nodes[0].mode is Mode.PROCESS
    assert (config.pod_network, config.serving_key_file, config.time_factor, config.images) == (None, None, 1.0, [])


def test_everything(tmp_path: Path) -> None:
    node = {"name": "n", "count": 2, "mode": "hollow", "gpu": GPU, "readyAfterSeconds": 1.5, "labels": {"a": "b"}}
    image = {
        "pattern": "x:*",
        "executables": {"run": ["/bin/run", "-x"]},
        "entrypoint": ["run"],
        "env": {"A": "b"},
        "simulated": True,
    }
    files = {"servingCertificateFile": "/tls.crt", "servingKeyFile": "/tls.key"}
    config = read_config(
        write(tmp_path, content(nodes=[node], images=[image], podNetwork="127.9.0.0/16", timeFactor=0.1, **files))
    )
    assert config.nodes[0].names == ["n-0", "n-1"]
    assert (config.nodes[0].mode, config.nodes[0].ready_after_s) == (Mode.HOLLOW, 1.5)
    assert config.nodes[0].gpu is not None
    assert config.nodes[0].gpu.memory_mib == 23034
    assert config.images[0].executables == {"run": ["/bin/run", "-x"]}
    assert str(config.pod_network) == "127.9.0.0/16"
    assert config.serving_key_file == Path("/tls.key")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": []}, "nodes: List should have at least 1 item"),
        ({"nodes": [{"name": "Upper"}]}, "nodes.0.name: String should match pattern"),
        ({"nodes": [{"name": "n", "gpus": 1}]}, "nodes.0.gpus: Extra inputs are not permitted"),
        ({"nodes": [{"name": "n", "count": "2"}]}, "nodes.0.count: Input should be a valid integer"),
        ({"nodes": [{"name": "n", "mode": "virtual"}]}, "nodes.0.mode: Input should be 'process' or 'hollow'"),
        ({"nodes": [{"name": "n", "cpu": "many"}]}, "nodes.0.cpu: String should match pattern"),
        ({"nodes": [{"name": "n", "gpu": {**GPU, "count": 0}}]}, "nodes.0.gpu.count: Input should be greater than"),
        ({"nodes": [{"name": "n", "readyAfterSeconds": 1}]}, "readyAfterSeconds is for hollow nodes"),
        ({"nodes": [{"name": "n-0"}, {"name": "n", "count": 1}]}, "more than one is called n-0"),
        (
            {"images": [{"pattern": "x", "executables": {"/bin/x": ["y"]}}]},
            "'/bin/x' is not the plain name of a command",
        ),
        ({"images": [{"pattern": "x", "executables": {"x": []}}]}, "images.0.executables.x: List should have at least"),
        ({"podNetwork": "10.0.0.0/16"}, "10.0.0.0/16 is not within 127.0.0.0/8 without 127.0.0.0/24"),
        ({"podNetwork": "127.0.0.0/16"}, "127.0.0.0/16 is not within 127.0.0.0/8 without 127.0.0.0/24"),
        ({"servingKeyFile": "/tls.key"}, "servingCertificateFile and servingKeyFile go together"),
        ({"apiServer": "http://127.0.0.1:80"}, "apiServer: String should match pattern"),
        ({"timeFactor": 0}, "timeFactor: Input should be greater than 0"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(write(tmp_path, content(**changes)))
    assert message in str(caught.value)


def test_a_file_that_is_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigError, match=r"broken.json: file: Invalid JSON"):
        read_config(tmp_path / "broken.json")
