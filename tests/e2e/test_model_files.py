"""Numbers of models that lie on volumes and on a hub: read in the background, kept, and never a reason to roll."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import ANNOTATION_MEMORY_PLAN, ANNOTATION_READ_AGAIN
from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.gpu_nodes import l4_nodes
from mixserve_devcluster.images import simulated_images
from mixserve_devcluster.installation import Installation, installed
from support.hub_server import REVISION, HubServer, hub_server
from support.model_configs import LLAMA_3_8B
from support.namespaces import new_namespace
from support.pool_manifests import pool, variant
from support.pool_questions import condition, get, wait_for_condition
from support.pool_sandbox import PoolSandbox
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.e2e

DEADLINE_S = 120.0

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    **LLAMA_3_8B,
    "tie_word_embeddings": False,
}


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    """A test hub."""
    with hub_server() as hub:
        yield hub


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    nodes = {"nodes": [l4_nodes(1, gpus=8)], "images": simulated_images(time_scale=0.05)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        with Cluster.start("model-files", node_config=nodes) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def mixserve(cluster: Cluster, hub: HubServer) -> Iterator[Installation]:
    values = {"hub": {"enabled": True, "endpoint": hub.endpoint, "readTokens": True}}
    with installed(cluster.kubeconfig, values=values) as mixserve:
        yield mixserve


@pytest.fixture
def sandbox(cluster: Cluster, mixserve: Installation) -> Iterator[PoolSandbox]:
    name = new_namespace(cluster)
    yield PoolSandbox(cluster, name)
    cluster.plane.api.delete(f"/api/v1/namespaces/{name}")


def chat(source: str, *, tensor_parallel: Any = "auto", **model: Any) -> dict[str, Any]:
    revision = {"revision": REVISION} if source.startswith("hf://") else {}
    made = pool(
        "chat",
        variant(accelerator="l4", quantization="bf16", tensorParallel=tensor_parallel, most=1),
        engine={"maxModelLen": 8192},
    )
    made["spec"]["model"] = {"source": source, **revision, **model}
    return made


def claim(sandbox: PoolSandbox, directory: Path) -> None:
    """A claim, models, bound to a volume that is a directory."""
    size, volume = {"storage": "1Gi"}, f"models-{sandbox.namespace}"
    shared = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    sandbox.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": volume},
                "spec": {**shared, "capacity": size, "hostPath": {"path": str(directory)}},
            },
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "models"},
                "spec": {**shared, "volumeName": volume, "resources": {"requests": size}},
            },
        ]
    )


def model(directory: Path, **changes: Any) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps({**LLAMA_8B, **changes}))


def templates(sandbox: PoolSandbox) -> list[dict[str, Any]]:
    return [each["spec"]["template"] for each in sandbox.items("deployments", pool="chat")]


def replica_sets(sandbox: PoolSandbox) -> list[str]:
    return [each["metadata"]["uid"] for each in sandbox.items("replicasets", pool="chat")]


def kept(sandbox: PoolSandbox) -> list[dict[str, Any]]:
    data = get(sandbox, "configmap", "chat-model-files").get("data", {})
    return [json.loads(text) for text in data.values()]


def jobs(sandbox: PoolSandbox) -> list[dict[str, Any]]:
    return list(json.loads(sandbox.kubectl("get", "jobs", "--output", "json"))["items"])


def test_a_model_on_a_volume_is_read_once_by_a_job_without_rights(
    sandbox: PoolSandbox, mixserve: Installation, tmp_path: Path
) -> None:
    model(tmp_path / "llama")
    claim(sandbox, tmp_path)
    sandbox.apply([chat("pvc://models/llama")])
    sandbox.wait_until_ready("chat")
    wait_for_condition(sandbox, "chat", "Fits", status="True", reason="Fits")
    [template] = templates(sandbox)
    # 15 GiB of weights on GPUs of 22 GiB: with 8192 tokens of context one is enough.
    assert json.loads(template["metadata"]["annotations"][ANNOTATION_MEMORY_PLAN])["parameters"] == 8030261248
    [job] = jobs(sandbox)
    pod = job["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert job["metadata"]["ownerReferences"][0]["kind"] == "LLMServingPool"
    eventually(lambda: len(kept(sandbox)) == 1, "what was learned", DEADLINE_S)
    before = replica_sets(sandbox)
    assert len(before) == 1, "the pods were made once, with the numbers"
    # Neither a restart nor an edit reads it again, and neither is a reason to roll.
    mixserve.stop_operator()
    mixserve.start_operator()
    edit = {"spec": {"autoscaling": {"targets": {"waitingRequestsPerReplica": 5}}}}
    sandbox.kubectl("patch", "lsp", "chat", "--type=merge", "-p", json.dumps(edit))
    sandbox.wait_until_ready("chat")
    wait_for_condition(sandbox, "chat", "Fits", status="True", reason="Fits")
    assert [each["metadata"]["uid"] for each in jobs(sandbox)] == [job["metadata"]["uid"]]
    assert replica_sets(sandbox) == before


def test_a_volume_is_read_again_when_somebody_asks_for_it(sandbox: PoolSandbox, tmp_path: Path) -> None:
    model(tmp_path / "llama")
    claim(sandbox, tmp_path)
    sandbox.apply([chat("pvc://models/llama", tensor_parallel=1)])
    wait_for_condition(sandbox, "chat", "Fits", status="True", reason="Fits")
    model(tmp_path / "llama", num_hidden_layers=300)
    sandbox.kubectl("annotate", "lsp", "chat", f"{ANNOTATION_READ_AGAIN}=2")
    wait_for_condition(sandbox, "chat", "Fits", status="False", reason="DoesNotFit")


def test_a_path_that_is_not_there_is_told_and_the_pool_goes_on(sandbox: PoolSandbox, tmp_path: Path) -> None:
    claim(sandbox, tmp_path)
    sandbox.apply([chat("pvc://models/absent", tensor_parallel=1)])
    told = wait_for_condition(sandbox, "chat", "Fits", status="Unknown", reason="UnknownModelFacts")
    assert "pvc://models/absent can't be used: there is no such directory" in told["message"]
    eventually(lambda: templates(sandbox), "a Deployment without numbers", DEADLINE_S)


def test_a_claim_that_is_not_there_is_told_without_a_job(sandbox: PoolSandbox) -> None:
    sandbox.apply([chat("pvc://nothing/llama")])
    wait_for_condition(sandbox, "chat", "Fits", status="Unknown", reason="UnknownModelFacts")
    assert "there is no PersistentVolumeClaim nothing" in condition(sandbox, "chat", "Fits")["message"]
    assert "auto waits" in condition(sandbox, "chat", "Ready")["message"]
    assert (jobs(sandbox), templates(sandbox)) == ([], [])


def test_a_gated_model_is_read_with_the_token_of_the_pool(sandbox: PoolSandbox, hub: HubServer) -> None:
    hub.put("org/Private", config=LLAMA_8B, token="hf_secret")
    sandbox.apply([secret("hf_secret\n")])
    sandbox.apply([chat("hf://org/Private", tokenSecretRef={"name": "hf-token", "key": "token"})])
    sandbox.wait_until_ready("chat")
    wait_for_condition(sandbox, "chat", "Fits", status="True", reason="Fits")
    assert len(replica_sets(sandbox)) == 1


def test_what_the_hub_refuses_is_told_with_what_to_do(sandbox: PoolSandbox, hub: HubServer) -> None:
    hub.put("org/Gated", config=LLAMA_8B, gated=True)
    sandbox.apply([chat("hf://org/Gated", tensor_parallel=1)])
    told = wait_for_condition(sandbox, "chat", "Fits", status="Unknown", reason="UnknownModelFacts")
    assert "accept its licence" in told["message"]
    eventually(lambda: templates(sandbox), "a Deployment without numbers", DEADLINE_S)


def test_a_revision_that_is_not_there_is_refused(sandbox: PoolSandbox, hub: HubServer) -> None:
    hub.put("org/Other", config=LLAMA_8B, revision="f" * 40)
    sandbox.apply([chat("hf://org/Other", tensor_parallel=1)])
    told = wait_for_condition(sandbox, "chat", "Validated", status="False", reason="CheckpointNotFound")
    assert "has no revision" in told["message"]
    assert templates(sandbox) == []


def test_auto_waits_for_a_hub_that_is_down_and_other_pools_do_not_wait_with_it(
    sandbox: PoolSandbox, hub: HubServer
) -> None:
    hub.put("org/Llama", config=LLAMA_8B)
    hub.failing = 503
    try:
        sandbox.apply([chat("hf://org/Llama")])
        told = wait_for_condition(sandbox, "chat", "Ready", status="Unknown", reason="UnknownModelFacts")
        assert "answers 503" in told["message"]
        other = pool("other", variant(accelerator="l4", quantization="bf16", most=1), engine={"maxModelLen": 8192})
        sandbox.apply([other])
        eventually(lambda: sandbox.items("deployments", pool="other"), "the other pool's Deployment", DEADLINE_S)
        assert templates(sandbox) == []
    finally:
        hub.failing = None
    # At once rather than after the next pause.
    sandbox.kubectl("annotate", "lsp", "chat", f"{ANNOTATION_READ_AGAIN}=now")
    sandbox.wait_until_ready("chat")


def test_numbers_that_come_late_replace_no_pods(sandbox: PoolSandbox, hub: HubServer) -> None:
    hub.put("org/Late", config=LLAMA_8B)
    hub.failing = 503
    try:
        sandbox.apply([chat("hf://org/Late", tensor_parallel=1)])
        sandbox.wait_until_ready("chat")
    finally:
        hub.failing = None
    [before] = replica_sets(sandbox)
    sandbox.kubectl("annotate", "lsp", "chat", f"{ANNOTATION_READ_AGAIN}=now")
    wait_for_condition(sandbox, "chat", "Fits", status="True", reason="Fits")
    assert replica_sets(sandbox) == [before]
    # The next edit takes them along.
    sandbox.kubectl("patch", "lsp", "chat", "--type=merge", "-p", '{"spec": {"engine": {"maxModelLen": 4096}}}')
    eventually(lambda: has_plan(sandbox), "a template with numbers", DEADLINE_S)


def has_plan(sandbox: PoolSandbox) -> bool:
    return any(ANNOTATION_MEMORY_PLAN in (each["metadata"].get("annotations") or {}) for each in templates(sandbox))


def secret(token: str) -> dict[str, Any]:
    data = {"token": base64.b64encode(token.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hf-token"}, "data": data}
