"""The webhook, asked by a real API server: pools are refused when they are applied, and nothing else is held up."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml
from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic import DynamicClient

from mixserve.apply.connection import Connection
from mixserve.apply.errors import Conflict
from mixserve.catalog.built_in import FORMATS_FOLDER, manifests
from mixserve.controller.running import connect_to
from mixserve.controller.webhook.errors import CertificateError
from mixserve.controller.webhook.issuing import ServingPair
from mixserve.controller.webhook.self_signed import SelfSigned
from mixserve.controller.webhook.serving import PATH
from mixserve_devcluster import binaries, kubectl
from mixserve_devcluster.api_connection import ApiError
from mixserve_devcluster.control_plane import ControlPlane
from mixserve_devcluster.errors import KubectlError
from mixserve_devcluster.installation import NAMESPACE, Installation, _local_command, _started_port, installed
from mixserve_devcluster.processes import GuardedProcess
from support.admission import review_of
from support.pairs import pair_manifest
from support.policies import policy_manifest
from support.pool_manifests import pool, variant
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

POOLS = "/apis/mixserve.dev/v1alpha1/namespaces/default/llmservingpools"
SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/mixserve-webhook"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/mixserve-system-mixserve"
# Renewal within a second.
SETTINGS = {"MIXSERVE_WEBHOOK_CERTIFICATE_INTERVAL_S": "0.5", "MIXSERVE_LEASE_DURATION_S": "3"}
BAD = pool("bad", variant("a", quantization="int3"), variant("b", accelerator="tpu"), engine={"args": ["--port=1"]})
PATHS = ("spec.engine.args[0]", "spec.variants[0].quantization", "spec.variants[1].accelerator")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of these tests' own: a webhook that fails closed would stop others."""
    with ControlPlane.start(tmp_path_factory.mktemp("webhook-plane")) as plane:
        yield plane


@pytest.fixture(scope="module")
def installation(plane: ControlPlane) -> Iterator[Installation]:
    with installed(plane.kubeconfig, webhook=True, settings=SETTINGS) as mixserve:
        eventually(lambda: refuses(plane), "an API server that asks the webhook")
        yield mixserve


@pytest.fixture
def stopped(installation: Installation, plane: ControlPlane) -> Iterator[Installation]:
    """No operator until the end of the test."""
    installation.stop_operator()
    yield installation
    restart(installation, plane)


@pytest.fixture
def fails_closed(plane: ControlPlane, installation: Installation) -> Iterator[Installation]:
    """The same with failurePolicy Fail."""
    installation.stop_operator()
    values = {"webhook": {"failurePolicy": "Fail"}}
    with installed(plane.kubeconfig, webhook=True, values=values, settings=SETTINGS) as mixserve:
        eventually(lambda: refuses(plane), "an API server that asks the webhook")
        yield mixserve
    restart(installation, plane)


@pytest.fixture(autouse=True)
def _no_pools_left(plane: ControlPlane) -> Iterator[None]:
    yield
    kubectl.run(plane.kubeconfig, "delete", "llmservingpools", "--all", "--namespace=default", "--timeout=20s")


def restart(installation: Installation, plane: ControlPlane) -> None:
    installation.stop_operator()
    installation.start_operator()
    eventually(lambda: refuses(plane), "an API server that asks the webhook")


def created(plane: ControlPlane, manifest: dict[str, Any]) -> int:
    """Try a creation without keeping it; return its status."""
    try:
        plane.api.create(f"{POOLS}?dryRun=All", manifest)
    except ApiError as error:
        return error.status or 0
    return 201


def refuses(plane: ControlPlane) -> bool:
    return created(plane, pool("probe", variant(quantization="none"))) == 422


def run(plane: ControlPlane, *arguments: str, manifest: Any = None) -> subprocess.CompletedProcess[str]:
    options = ("--kubeconfig", plane.kubeconfig, "--cache-dir", plane.directory / "kubectl-cache")
    return subprocess.run(
        [binaries.find("kubectl"), *options, *arguments],
        input=None if manifest is None else json.dumps(manifest),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("options", [(), ("--dry-run=server",), ("--server-side",)])
def test_a_bad_pool_is_refused_with_all_that_is_wrong(
    installation: Installation, plane: ControlPlane, options: tuple[str, ...]
) -> None:
    done = run(plane, "apply", "--filename=-", *options, manifest=BAD)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith('The LLMServingPool "bad" is invalid:')
    assert [line.removeprefix("* ").partition(": ")[0] for line in lines if line.startswith("* ")] == list(PATHS)
    assert plane.api.get(POOLS)["items"] == []


def test_a_good_pool_is_taken_with_a_warning_where_there_is_something_to_know(
    installation: Installation, plane: ControlPlane
) -> None:
    done = run(plane, "apply", "--filename=-", manifest=pool())
    assert (done.returncode, done.stderr) == (0, "")
    done = run(plane, "apply", "--filename=-", manifest=pool(engine={"version": "0.99.0"}))
    assert done.returncode == 0
    assert "Warning: spec.engine.version: vllm 0.99.0 is not known" in done.stderr


def test_a_format_that_comes_along_with_the_pool_counts(installation: Installation, plane: ControlPlane) -> None:
    bf16 = yaml.safe_load(manifests(FORMATS_FOLDER)["bf16.yaml"])
    items = [{**bf16, "metadata": {"name": "own"}}, pool("chat", variant(quantization="own"))]
    done = run(plane, "apply", "--filename=-", manifest={"apiVersion": "v1", "kind": "List", "items": items})
    assert (done.returncode, done.stderr) == (0, "")


def test_an_edit_of_a_pair_that_a_pool_cannot_go_with_is_taken_with_a_warning(
    installation: Installation, plane: ControlPlane
) -> None:
    pair, suffix = pair_manifest(namespace="default"), pair_manifest("Suffix", namespace="default")
    done = run(plane, "apply", "--filename=-", manifest=pool(speculativePairRef={"name": "pair"}))
    assert "Warning: spec.speculativePairRef.name: there is no SpeculativePair pair in the namespace" in done.stderr
    try:
        done = run(plane, "apply", "--filename=-", manifest=pair)
        assert (done.returncode, done.stderr) == (0, "")
        done = run(plane, "apply", "--filename=-", manifest=suffix)
        assert done.returncode == 0
        assert "Warning: spec: the pool chat can't go with it" in done.stderr
    finally:
        run(plane, "delete", "--namespace=default", "spair", "pair")


def test_a_name_that_another_pool_has_is_refused(installation: Installation, plane: ControlPlane) -> None:
    kubectl.apply(plane.kubeconfig, [pool("first", servedNames=["model"])], namespace="default")
    done = run(plane, "apply", "--filename=-", manifest=pool("a", servedNames=["model"]))
    assert "spec.servedNames[0]: the pool first answers for the model name model" in done.stderr


def test_a_policy_is_judged_beside_the_pools_of_its_namespace(installation: Installation, plane: ControlPlane) -> None:
    kubectl.apply(plane.kubeconfig, [pool("routed")], namespace="default")
    wrong = policy_manifest(servedNames=["routed"], shadow={"poolRef": {"name": "small"}})
    done = run(plane, "apply", "--namespace=default", "--filename=-", manifest=wrong)
    assert done.returncode == 1
    assert "spec.servedNames[0]: the pool routed answers for the model name routed, and is older" in done.stderr
    assert "spec.shadow.poolRef.name: the pool small is a target of the tier small" in done.stderr
    done = run(plane, "apply", "--namespace=default", "--filename=-", manifest=policy_manifest())
    try:
        assert done.returncode == 0
        assert "Warning: spec.tiers[0].targets[0].poolRef.name: there is no LLMServingPool small" in done.stderr
        refused = run(plane, "apply", "--namespace=default", "--filename=-", manifest=pool("auto"))
        assert "metadata.name: the policy auto answers for the model name auto, and is older" in refused.stderr
    finally:
        run(plane, "delete", "--namespace=default", "rp/auto", "lsp/routed")


def test_without_an_operator_pools_are_taken_and_their_conditions_say_the_same(
    stopped: Installation, plane: ControlPlane
) -> None:
    kubectl.apply(plane.kubeconfig, [BAD], namespace="default")
    restart(stopped, plane)
    eventually(lambda: "status" in plane.api.get(f"{POOLS}/bad"), "status")
    conditions = {each["type"]: each for each in plane.api.get(f"{POOLS}/bad")["status"]["conditions"]}
    assert conditions["Validated"]["status"] == "False"


def test_an_invalid_pool_can_be_labelled_but_not_made_worse(stopped: Installation, plane: ControlPlane) -> None:
    kubectl.apply(plane.kubeconfig, [BAD], namespace="default")
    restart(stopped, plane)
    kubectl.run(plane.kubeconfig, "label", "lsp", "bad", "team=a")
    kubectl.run(plane.kubeconfig, "annotate", "lsp", "bad", "note=b")
    with pytest.raises(KubectlError, match=r"spec.engine.args\[0\]"):
        kubectl.run(plane.kubeconfig, "patch", "lsp", "bad", "--type=merge", '--patch={"spec":{"drainTimeout":"1m"}}')
    good = {"metadata": {"resourceVersion": plane.api.get(f"{POOLS}/bad")["metadata"]["resourceVersion"]}}
    done = run(
        plane, "replace", "--filename=-", manifest={**pool("bad"), "metadata": {"name": "bad", **good["metadata"]}}
    )
    assert done.returncode == 0, done.stderr


def test_deletions_and_labels_need_no_operator_also_where_it_fails_closed(
    fails_closed: Installation, plane: ControlPlane
) -> None:
    held = pool("held")
    held["metadata"]["finalizers"] = ["example.com/held"]
    kubectl.apply(plane.kubeconfig, [pool("plain"), held], namespace="default")
    fails_closed.stop_operator()
    assert "failed calling webhook" in run(plane, "apply", "--filename=-", manifest=pool("new")).stderr
    kubectl.run(plane.kubeconfig, "label", "lsp", "plain", "team=a")
    kubectl.run(plane.kubeconfig, "delete", "lsp", "plain", "--cascade=foreground", "--timeout=20s")
    kubectl.run(plane.kubeconfig, "delete", "lsp", "held", "--wait=false")
    kubectl.run(plane.kubeconfig, "patch", "lsp", "held", "--type=merge", '--patch={"metadata":{"finalizers":null}}')
    eventually(lambda: plane.api.get(POOLS)["items"] == [], "end of all pools")


def test_a_certificate_is_renewed_without_a_creation_that_fails(
    fails_closed: Installation, plane: ControlPlane
) -> None:
    before, logged = plane.api.get(SECRET)["data"], fails_closed.operator_log.stat().st_size
    empty_secret(plane)
    deadline, after = time.monotonic() + 30, 0
    while after < 20:
        assert created(plane, pool("new")) == 201
        after += served(fails_closed) != pem(before["tls.crt"])
        assert time.monotonic() < deadline
    assert served(fails_closed) == pem(plane.api.get(SECRET)["data"]["tls.crt"])
    with fails_closed.operator_log.open() as log:
        log.seek(logged)
        events = [json.loads(line)["event"] for line in log]
    wanted = ["webhook_certificate_issued", "webhook_authority_trusted", "webhook_certificate_loaded"]
    assert [event for event in events if event.startswith("webhook_")] == wanted


def test_the_private_key_is_said_nowhere(installation: Installation, plane: ControlPlane) -> None:
    key = plane.api.get(SECRET)["data"]["tls.key"]
    log = installation.operator_log.read_text()
    assert "webhook_certificate_loaded" in log
    assert key not in log
    assert "PRIVATE KEY" not in log
    assert key not in json.dumps(plane.api.get("/apis/events.k8s.io/v1/events"))


def test_an_operator_that_stands_by_answers_with_the_same_certificate(
    installation: Installation, plane: ControlPlane, tmp_path: Path
) -> None:
    log = tmp_path / "second.log"
    second = GuardedProcess.start(
        "the second operator",
        _local_command(installation._program.command),
        log_file=log,
        environment={**installation._environment(), "MIXSERVE_IDENTITY": "second"},
    )
    try:
        port = eventually(lambda: log.exists() and _started_port(log, 0, "webhook_started"), "webhook")
        eventually(lambda: "webhook_certificate_loaded" in log.read_text(), "certificate")
        assert ssl.get_server_certificate(("127.0.0.1", port)).encode() == served(installation)
        trust = ssl.create_default_context(cadata=pem(plane.api.get(SECRET)["data"]["ca.crt"]).decode())
        request = urllib.request.Request(f"https://127.0.0.1:{port}{PATH}", data=json.dumps(review_of(BAD)).encode())
        with urllib.request.urlopen(request, context=trust, timeout=10) as answer:  # noqa: S310 - the same
            response = json.loads(answer.read())["response"]
        assert [cause["field"] for cause in response["status"]["details"]["causes"]] == list(PATHS)
        with pytest.raises(urllib.error.HTTPError, match="400") as refused:
            urllib.request.urlopen(request.full_url, data=b"[" * 10_000, context=trust, timeout=10)  # noqa: S310
        refused.value.close()
        assert "lease_acquired" not in log.read_text()
    finally:
        second.stop(10.0)


async def test_replicas_that_begin_at_the_same_moment_agree_on_one_certificate(
    stopped: Installation, plane: ControlPlane
) -> None:
    empty_secret(plane)
    configuration = await connect_to(plane.kubeconfig, connections=4)
    async with ApiClient(configuration) as client:
        connection = Connection(DynamicClient(client), lambda *_: None)
        replicas = [
            SelfSigned(
                connection,
                namespace=NAMESPACE,
                secret="mixserve-webhook",
                configuration="mixserve-system-mixserve",
                names=["127.0.0.1"],
            )
            for _ in range(5)
        ]
        first = await asyncio.gather(*(replica.pair() for replica in replicas), return_exceptions=True)
        assert sum(isinstance(found, ServingPair) for found in first) >= 1
        pairs = [await replica.pair() for replica in replicas]
    assert all(isinstance(found, ServingPair | CertificateError | Conflict) for found in first)
    assert {found for found in first if isinstance(found, ServingPair)} | set(pairs) == {pairs[0]}
    [webhook] = plane.api.get(CONFIGURATION)["webhooks"]
    assert pairs[0].authority in pem(webhook["clientConfig"]["caBundle"])


def empty_secret(plane: ControlPlane) -> None:
    patch = '--patch=[{"op": "remove", "path": "/data"}]'
    where = ("secret", "mixserve-webhook", f"--namespace={NAMESPACE}")
    kubectl.run(plane.kubeconfig, "patch", *where, "--type=json", patch)


def served(installation: Installation) -> bytes:
    """The certificate that the API server is shown."""
    kubeconfig = installation.kubeconfig
    configuration = json.loads(kubectl.run(kubeconfig, "get", "--raw", CONFIGURATION))
    url = urlsplit(configuration["webhooks"][0]["clientConfig"]["url"])
    assert url.hostname is not None
    return ssl.get_server_certificate((url.hostname, url.port or 0)).encode()


def pem(encoded: str) -> bytes:
    return base64.b64decode(encoded)
