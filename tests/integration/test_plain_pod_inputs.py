"""What a pod is given on the local node is as on a kubelet: images, environment, volumes, a service account."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from support.plain_pods import (
    FOREVER,
    Sandbox,
    container,
    is_ready,
    main_status,
    pod,
    waiting_reason,
)
from support.waiting import eventually

if TYPE_CHECKING:
    from typing import Any

pytestmark = pytest.mark.integration


def secret(name: str, **data: str) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def once(sandbox: Sandbox, main: dict[str, Any], **fields: Any) -> str:
    """What a container writes that runs once and succeeds."""
    sandbox.create(pod("once", main, restartPolicy="Never", **fields))
    seen = sandbox.until("once", lambda p: p["status"]["phase"] in {"Succeeded", "Failed"}, "has ended")
    assert seen["status"]["phase"] == "Succeeded", sandbox.log("once")
    return sandbox.log("once")


def shows(path: str, **fields: Any) -> dict[str, Any]:
    """A container that writes what is in a file; the path is a word of its own, for nodes that have no mounts."""
    return {"name": "main", "image": "local/shell:1", "command": ["cat", path], **fields}


def reference(variable: str, source: str, **fields: Any) -> dict[str, Any]:
    return {"name": variable, "valueFrom": {source: fields}}


def test_environment(sandbox: Sandbox) -> None:
    sandbox.create(secret("s", password="hunter2"))
    sandbox.create(config_map("c", colour="blue", SHAPE="round"))
    main = container(
        "env",
        envFrom=[{"configMapRef": {"name": "c"}, "prefix": "C_"}, {"secretRef": {"name": "none", "optional": True}}],
        env=[
            {"name": "PLAIN", "value": "a b"},
            {"name": "EXPANDED", "value": "$(PLAIN)/$(C_SHAPE)/$(MISSING)/$$(PLAIN)"},
            reference("SECRET", "secretKeyRef", name="s", key="password"),
            reference("COLOUR", "configMapKeyRef", name="c", key="colour"),
            reference("OPTIONAL", "secretKeyRef", name="s", key="other", optional=True),
            reference("POD", "fieldRef", fieldPath="metadata.name"),
            reference("NODE", "fieldRef", fieldPath="spec.nodeName"),
            reference("ADDRESS", "fieldRef", fieldPath="status.podIP"),
            reference("HOST", "fieldRef", fieldPath="status.hostIP"),
            reference("LABEL", "fieldRef", fieldPath="metadata.labels['app']"),
            reference("ANNOTATION", "fieldRef", fieldPath="metadata.annotations['example.com/note']"),
            reference("MEMORY", "resourceFieldRef", resource="limits.memory", divisor="1Mi"),
        ],
        resources={"limits": {"memory": "1Gi"}},
    )
    manifest = pod(
        "p",
        main,
        metadata={"labels": {"app": "web"}, "annotations": {"example.com/note": "hello"}},
        restartPolicy="Never",
    )
    sandbox.create(manifest)
    seen = sandbox.until("p", lambda p: p["status"]["phase"] == "Succeeded", "has succeeded")
    found = dict(line.split("=", 1) for line in sandbox.log("p").splitlines())
    assert (
        found.items()
        >= {
            "PLAIN": "a b",
            "EXPANDED": "a b/round/$(MISSING)/$(PLAIN)",
            "C_colour": "blue",
            "SECRET": "hunter2",
            "COLOUR": "blue",
            "POD": "p",
            "NODE": "gpu",
            "ADDRESS": seen["status"]["podIP"],
            "HOST": "127.0.0.1",
            "LABEL": "web",
            "ANNOTATION": "hello",
            "MEMORY": "1024",
            "HOSTNAME": "p",
        }.items()
    )
    assert "OPTIONAL" not in found
    # Nothing of this process's own environment reaches a pod.
    assert "XDG_STATE_HOME" not in found
    assert "PYTEST_CURRENT_TEST" not in found


@pytest.mark.usefixtures("isolated")
def test_volumes_are_seen_at_their_mount_paths_and_nowhere_else(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "on-host").write_text("host")
    sandbox.create(secret("s", password="hunter2"))
    sandbox.create(config_map("c", one="1", two="2"))
    volumes = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "secret", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "config", "configMap": {"name": "c", "items": [{"key": "two", "path": "below/zwei"}]}},
        {"name": "all", "configMap": {"name": "c"}},
        {"name": "host", "hostPath": {"path": str(tmp_path), "type": "Directory"}},
        {"name": "self", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    top = "/mixserve-test-mount"
    assert not Path(top).exists()
    script = (
        f"cd {top}; cat secret/password config/below/zwei single on-host/on-host self/labels; "
        "stat -L -c %a secret/password; echo kept > scratch/file; echo kept > on-host/new; cat scratch/file; "
        "echo no > config/x || echo read-only"
    )
    places = ["scratch", "secret", "config", "self"]
    mounts = [
        *({"name": name, "mountPath": f"{top}/{name}"} for name in places),
        {"name": "host", "mountPath": f"{top}/on-host"},
        {"name": "all", "mountPath": f"{top}/single", "subPath": "one"},
        {"name": "scratch", "mountPath": "/etc/mixserve-test-mount/deep"},
    ]
    metadata = {"labels": {"app": "web"}}
    main = container(script, volumeMounts=mounts)
    other = container("cat /elsewhere/file", "other", volumeMounts=[{"name": "scratch", "mountPath": "/elsewhere"}])
    spec = {"volumes": volumes, "restartPolicy": "Never"}
    sandbox.create(pod("p", other, initContainers=[main], metadata=metadata, **spec))
    seen = sandbox.until("p", lambda p: p["status"]["phase"] in {"Succeeded", "Failed"}, "has ended")
    assert seen["status"]["phase"] == "Succeeded", sandbox.log("p")
    log = sandbox.log("p")
    assert log.startswith('hunter221hostapp="web"400\nkept\n'), log
    assert log.endswith("read-only\n")
    assert sandbox.log("p", "other") == "kept\n"
    assert (tmp_path / "new").read_text() == "kept\n"
    assert not Path(top).exists()
    assert not Path("/etc/mixserve-test-mount").exists()


def test_a_claim_on_a_volume_of_the_host(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("heavy")
    name = sandbox.namespace
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadOnlyMany"],
            "hostPath": {"path": str(tmp_path)},
            "storageClassName": name,
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "models"},
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": name,
        },
    }
    sandbox.create(volume)
    sandbox.create(claim)
    mount = {"name": "m", "mountPath": "/models", "readOnly": True}
    main = shows("/models/weights", volumeMounts=[mount])
    assert once(sandbox, main, volumes=[{"name": "m", "persistentVolumeClaim": {"claimName": "models"}}]) == "heavy"
    assert sandbox.kubectl("delete", "pv", name, "--wait=false").returncode == 0


def test_a_volume_that_cannot_be_provided_is_said_to_be_so(sandbox: Sandbox) -> None:
    volumes = [{"name": "cm", "configMap": {"name": "later"}}]
    main = shows("/cm/k", volumeMounts=[{"name": "cm", "mountPath": "/cm"}])
    sandbox.create(pod("p", main, volumes=volumes, restartPolicy="Never"))
    eventually(lambda: "FailedMount" in sandbox.events("p"), "event about the volume")
    expected = 'MountVolume.SetUp failed for volume "cm" : configmap "later" not found'
    assert sandbox.events("p")["FailedMount"] == [expected]
    assert waiting_reason(sandbox.pod("p")) == "ContainerCreating"
    sandbox.create(config_map("later", k="healed"))
    sandbox.until("p", lambda p: p["status"]["phase"] == "Succeeded", "has succeeded")
    assert sandbox.log("p") == "healed"


def test_a_missing_secret_is_waited_for(sandbox: Sandbox) -> None:
    env = [reference("TOKEN", "secretKeyRef", name="hf-token", key="token")]
    sandbox.create(pod("p", container(f"echo $TOKEN; {FOREVER}", env=env)))
    seen = sandbox.until("p", lambda p: waiting_reason(p) == "CreateContainerConfigError", "waits for its secret")
    assert main_status(seen)["state"]["waiting"]["message"] == 'secret "hf-token" not found'
    assert seen["status"]["phase"] == "Pending"
    sandbox.create(secret("hf-token", other="x"))
    key_missing = f"couldn't find key token in Secret {sandbox.namespace}/hf-token"
    sandbox.until(
        "p",
        lambda p: main_status(p)["state"].get("waiting", {}).get("message") == key_missing,
        "says that the key is missing",
    )
    patch = json.dumps({"stringData": {"token": "abc"}})
    assert sandbox.kubectl("patch", "secret", "hf-token", "-p", patch).returncode == 0
    sandbox.until("p", is_ready, "is ready")
    eventually(lambda: sandbox.log("p") == "abc\n", "token in the log")


def test_an_unknown_image(sandbox: Sandbox) -> None:
    sandbox.create(pod("p", container(image="example.com/none")))
    seen = sandbox.until("p", lambda p: waiting_reason(p) == "ImagePullBackOff", "waits to pull its image")
    message = main_status(seen)["state"]["waiting"]["message"]
    assert message.startswith('Back-off pulling image "example.com/none": ErrImagePull: failed to pull image')
    assert "local/shell:*" in message
    eventually(lambda: sandbox.events("p").keys() >= {"Failed", "BackOff"}, "events about the image")
    assert "Error: ErrImagePull" in sandbox.events("p")["Failed"]
    assert sandbox.kubectl("set", "image", "pod/p", "main=local/shell:2").returncode == 0
    sandbox.until("p", is_ready, "is ready with another image")


def test_a_command_that_does_not_exist(sandbox: Sandbox) -> None:
    main = {"name": "main", "image": "local/shell:1", "command": ["no-such-command"]}
    sandbox.create(pod("p", main, restartPolicy="Never"))
    seen = sandbox.until("p", lambda p: p["status"]["phase"] == "Failed", "has failed")
    end = main_status(seen)["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (128, "StartError")
    assert end["message"] == 'exec: "no-such-command": executable file not found in $PATH'


def test_an_image_has_commands_an_entrypoint_and_simulated_hardware(sandbox: Sandbox) -> None:
    sandbox.create(
        pod(
            "entry",
            {
                "name": "main",
                "image": "example.com/simulated:1",
                "args": ["$(X)", "args"],
                "env": [{"name": "X", "value": "x"}],
            },
            restartPolicy="Never",
        )
    )
    shell = container(
        "greet $FROM_IMAGE; echo $MIXSERVE_SIMULATED_NODE_LABELS; echo $MIXSERVE_SIMULATED_POD_ANNOTATIONS"
    )
    shell["image"] = "example.com/simulated:1"
    sandbox.create(pod("shell", shell, metadata={"annotations": {"a": "b"}}, restartPolicy="Never"))
    for name in ("entry", "shell"):
        sandbox.until(name, lambda p: p["status"]["phase"] == "Succeeded", "has succeeded")
    assert sandbox.log("entry") == "greetings from x args\n"
    greeting, labels, annotations = sandbox.log("shell").splitlines()
    assert greeting == "greetings from yes"
    assert json.loads(labels)["nvidia.com/gpu.product"] == "NVIDIA-L4"
    assert json.loads(annotations) == {"a": "b"}


@pytest.mark.usefixtures("isolated")
def test_a_service_account_works(sandbox: Sandbox) -> None:
    code = """
import json, os, ssl, urllib.request
account = "/var/run/secrets/kubernetes.io/serviceaccount/"
server = "https://%s:%s" % (os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"])
review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
request = urllib.request.Request(
    server + "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    json.dumps(review).encode(),
    {"Authorization": "Bearer " + open(account + "token").read(), "Content-Type": "application/json"},
)
tls = ssl.create_default_context(cafile=account + "ca.crt")
print(json.load(urllib.request.urlopen(request, context=tls))["status"]["userInfo"]["username"])
"""
    main = {"name": "main", "image": "local/python:1", "args": ["-c", code]}
    assert once(sandbox, main) == f"system:serviceaccount:{sandbox.namespace}:default\n"


def test_logs(sandbox: Sandbox, tmp_path: Path) -> None:
    go = tmp_path / "go"
    sandbox.create(pod("p", container(f"seq 5; while ! test -e {go}; do sleep 0.1; done; echo last; rm {go}")))
    sandbox.until("p", is_ready, "is ready")
    eventually(lambda: sandbox.kubectl("logs", "p").stdout == "1\n2\n3\n4\n5\n", "whole log")
    assert sandbox.kubectl("logs", "p", "--tail=2").stdout == "4\n5\n"
    assert sandbox.kubectl("logs", "p", "--limit-bytes=3").stdout == "1\n2"
    with sandbox.kubectl_in_background("logs", "p", "-f", "--tail=1") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "5\n"
        go.touch()
        # Ends when the process does, although another one follows.
        assert following.stdout.read() == "last\n"
    eventually(lambda: sandbox.kubectl("logs", "p", "--previous", "--tail=1").stdout == "last\n", "previous log")
    eventually(lambda: sandbox.kubectl("logs", "p").stdout == "1\n2\n3\n4\n5\n", "log of the new process")
    missing = sandbox.kubectl("logs", "p", "-c", "none")
    assert missing.returncode != 0


def test_a_long_log_is_put_aside_and_followed_all_the_same(sandbox: Sandbox, tmp_path: Path) -> None:
    go = tmp_path / "go"
    # 12 MB in lines of 100 bytes; a file takes 10 MiB.
    script = (
        f"echo first; while ! test -e {go}; do sleep 0.1; done; yes $(printf '%099d' 0) | head -n 120000; echo last"
    )
    sandbox.create(pod("p", container(script), restartPolicy="Never"))
    eventually(lambda: sandbox.log("p") == "first\n", "first line")
    with sandbox.kubectl_in_background("logs", "p", "-f") as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "first\n"
        go.touch()
        lines = following.stdout.read().splitlines()
    assert (len(lines), lines[-1]) == (120_001, "last")
    log = sandbox.cluster.paths.container_logs / f"{sandbox.namespace}_p" / "main.log"
    assert log.stat().st_size < 10 << 20 < log.with_name("main.log.old").stat().st_size + (1 << 16)
    assert sandbox.kubectl("logs", "p", "--tail=1").stdout == "last\n"


def test_only_the_cluster_reads_logs_from_the_node(sandbox: Sandbox) -> None:
    status = sandbox.cluster.plane.api.get("/api/v1/nodes/gpu")["status"]
    url = f"https://127.0.0.1:{status['daemonEndpoints']['kubeletEndpoint']['Port']}/containerLogs/ns/p/c"
    tls = ssl.create_default_context(cafile=str(sandbox.cluster.plane.ca_file))
    # By TLS 1.3, who has no certificate learns of it only with the answer.
    with pytest.raises((ssl.SSLError, ConnectionError, URLError)) as refused:
        urlopen(url, context=tls, timeout=5)
    assert not isinstance(refused.value, HTTPError)
