"""A pod of two containers, Envoy and a program that configures it by files in a directory that both see."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from mixserve_devcluster.cluster import Cluster
from support.namespaces import new_namespace
from support.plain_pods import MODE_LABEL, Sandbox, is_ready, pod
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

# The script that the distribution installs, beside the interpreter.
MIXSERVE = Path(sys.executable).with_name("mixserve")
_SHARED = "/run/example"
# Everything in the directory is named relative to it, which is where both containers run: the same text is right for
# each of them, on a kubelet and on a local node without mounts, and a socket's name stays short.
_BOOTSTRAP = {
    "node": {"id": "pod", "cluster": "example"},
    "admin": {"address": {"pipe": {"path": "./admin.sock"}}},
    "dynamic_resources": {
        "lds_config": {
            "path_config_source": {"path": "./lds.json", "watched_directory": {"path": "."}},
            "initial_fetch_timeout": "0s",
        }
    },
    "static_resources": {
        "clusters": [
            {
                "name": "beside",
                "load_assignment": {
                    "cluster_name": "beside",
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": "./beside.sock"}}}}]}],
                },
            }
        ]
    },
}
_WRITE_BOOTSTRAP = f"open('bootstrap.json', 'w').write({json.dumps(json.dumps(_BOOTSTRAP))})"
# Answers every request with its path, and has Envoy listen at the pod's address, once it answers itself.
_BESIDE = """
import http.server, json, os, socketserver
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("beside: " + self.path).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self):
        return "envoy"
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
server = Server("./beside.sock", Handler)
kind = "type.googleapis.com/envoy.extensions.filters."
manager = {
    "@type": kind + "network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "in",
    "access_log": [{
        "name": "file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": "./access.log",
            "log_format": {"json_format": {"path": "%REQ(:PATH)%"}},
        },
    }],
    "http_filters": [
        {"name": "router", "typed_config": {"@type": kind + "http.router.v3.Router"}}
    ],
    "route_config": {"virtual_hosts": [
        {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "beside"}}]}
    ]},
}
listener = {
    "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
    "name": "in",
    "address": {"socket_address": {"address": os.environ["POD_IP"], "port_value": 8080}},
    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
}
with open("lds.json.new", "w") as file:
    json.dump({"version_info": "1", "resources": [listener]}, file)
os.rename("lds.json.new", "lds.json")
server.serve_forever()
"""


def _container(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "workingDir": _SHARED,
        "volumeMounts": [{"name": "shared", "mountPath": _SHARED}],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        **fields,
    }


def _gateway() -> dict[str, Any]:
    envoy = _container(
        "envoy",
        image="envoyproxy/envoy:distroless-v1.40.0",
        # A shared memory of the machine's would be that of all pods here.
        ports=[{"name": "in", "containerPort": 8080}],
        args=["-c", "./bootstrap.json", "--disable-hot-restart", "--log-level", "warn"],
        readinessProbe={"httpGet": {"port": 8080, "path": "/ready"}, "periodSeconds": 1},
    )
    python = {"image": "local/python:1", "command": ["python3", "-c"]}
    first = _container("bootstrap", **python, args=[_WRITE_BOOTSTRAP])
    return pod(
        "gateway",
        envoy,
        _container("beside", **python, args=[_BESIDE]),
        initContainers=[first],
        metadata={"labels": {"app": "gateway"}},
        volumes=[{"name": "shared", "emptyDir": {}}],
    )


_SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "front"},
    "spec": {"selector": {"app": "gateway"}, "ports": [{"name": "http", "port": 80, "targetPort": "in"}]},
}


def _answer(url: str) -> str:
    with urlopen(url, timeout=10) as response:  # noqa: S310 - a URL of our own
        return str(response.read().decode())


def _configures_envoy_and_is_reached_through_it(sandbox: Sandbox) -> None:
    sandbox.create(_gateway())
    address = sandbox.until("gateway", is_ready, "is ready")["status"]["podIP"]
    assert _answer(f"http://{address}:8080/hello") == "beside: /hello"
    volumes = sandbox.cluster.paths.directory / "node"
    [log] = volumes.rglob("volumes/shared/access.log")
    eventually(lambda: '"/hello"' in log.read_text(), "line of the request in the access log")


def test_in_the_directory_that_both_have_mounted(sandbox: Sandbox) -> None:
    _configures_envoy_and_is_reached_through_it(sandbox)


def test_its_service_has_an_address_on_this_machine(sandbox: Sandbox) -> None:
    sandbox.create(_gateway())
    sandbox.create(_SERVICE)
    sandbox.until("gateway", is_ready, "is ready")
    command = [MIXSERVE, "dev", "forward", "front", "--name", sandbox.cluster.name, "-n", sandbox.namespace]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as forward:
        assert forward.stderr is not None
        url = next(word for word in forward.stderr.readline().split() if word.startswith("http"))
        assert _answer(f"{url}/hello") == "beside: /hello"
        forward.send_signal(signal.SIGINT)
    assert forward.returncode == 0


@pytest.fixture
def sandbox_without_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    nodes = {"isolated": False, "nodes": [{"name": "plain", "labels": {MODE_LABEL: "process"}}]}
    with Cluster.start("no-mounts", node_config=nodes) as cluster:
        yield Sandbox(cluster, new_namespace(cluster))


def test_where_a_process_cannot_have_mounts(sandbox_without_mounts: Sandbox) -> None:
    _configures_envoy_and_is_reached_through_it(sandbox_without_mounts)
