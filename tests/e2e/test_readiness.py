"""When a replica takes requests, what keeps it from that, and how a person sees it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import ENGINE_CONTAINER
from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.gpu_nodes import l4_nodes
from mixserve_devcluster.images import simulated_images
from mixserve_devcluster.installation import installed
from support import mute_engine
from support.namespaces import new_namespace
from support.pool_manifests import pool, variant
from support.pool_questions import condition, get, wait_for_condition
from support.pool_sandbox import PoolSandbox, ask, complete
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

L4: dict[str, Any] = {**variant(most=1), "accelerator": "l4"}
FP8 = "example/model-fp8"


@pytest.fixture(scope="module")
def may_answer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that makes mute engines answer."""
    return tmp_path_factory.mktemp("mute") / "may-answer"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, may_answer: Path) -> Iterator[Cluster]:
    """A cluster with four L4, simulated engines, and the image local/mute:1."""
    mute = {
        "pattern": "local/mute:*",
        "entrypoint": ["vllm", "serve"],
        "executables": {"vllm": [sys.executable, mute_engine.__file__], "python3": [sys.executable]},
        "env": {mute_engine.MAY_ANSWER: str(may_answer)},
    }
    nodes = {"nodes": [l4_nodes(2, gpus=2)], "images": [*simulated_images(time_scale=0.05), mute]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        with Cluster.start("ready", node_config=nodes) as cluster, installed(cluster.kubeconfig):
            yield cluster


@pytest.fixture
def sandbox(cluster: Cluster) -> Iterator[PoolSandbox]:
    """A namespace of the test's own; deleted afterwards."""
    name = new_namespace(cluster)
    yield PoolSandbox(cluster, name)
    cluster.plane.api.delete(f"/api/v1/namespaces/{name}")


def pod(sandbox: PoolSandbox, name: str = "chat") -> dict[str, Any]:
    [only] = eventually(lambda: sandbox.items("pods", pool=name), f"a pod of {name}")
    return dict(only)


def test_a_replica_takes_requests_only_after_its_first_token(sandbox: PoolSandbox, may_answer: Path) -> None:
    may_answer.unlink(missing_ok=True)
    sandbox.apply([pool("chat", L4, engine={"image": "local/mute:1"})])
    told = eventually(lambda: startup_failures(sandbox), "an event of the startup probe", 60.0)
    assert told == (
        "Startup probe failed: the engine has not made its first token: no answer to /v1/completions, timed out"
    )
    [status] = pod(sandbox)["status"]["containerStatuses"]
    assert (status["started"], status["ready"]) == (False, False)
    assert condition(sandbox, "chat", "WorkloadReady")["reason"] == "Progressing"
    assert condition(sandbox, "chat", "Ready")["status"] == "False"

    may_answer.touch()
    sandbox.wait_until_ready("chat")
    assert ready_pods(sandbox) == {pod(sandbox)["metadata"]["name"]}


def startup_failures(sandbox: PoolSandbox) -> str:
    """What the pod's description says of its startup probe, once it has reached the engine."""
    lines = sandbox.kubectl("describe", "pods").splitlines()
    found = [line[line.index("Startup probe failed") :].strip() for line in lines if "Startup probe failed" in line]
    return next((line for line in found if "first token" in line), "")


def test_the_warm_up_is_not_a_load(sandbox: PoolSandbox) -> None:
    sandbox.apply([pool("chat", {**L4, "replicas": {"min": 1, "max": 4}})])
    seen = sandbox.wait_until_ready("chat")
    assert (seen["status"]["desired"], seen["status"]["limitedBy"]) == (1, "minimum")


def test_a_chat_template_that_is_missing_is_said_and_waited_for(sandbox: PoolSandbox) -> None:
    template = {"name": "templates", "key": "chat.jinja"}
    sandbox.apply([pool("chat", L4, engine={"chatTemplate": template})])
    seen = wait_for_condition(sandbox, "chat", "WorkloadReady", status="False", reason="ConfigMapNotFound")
    assert seen["message"].startswith("spec.engine.chatTemplate: there is no ConfigMap templates in this namespace; ")
    sandbox.kubectl("create", "configmap", "templates", "--from-literal=other={{ messages }}")
    eventually(
        lambda: "ConfigMap templates has no key chat.jinja" in condition(sandbox, "chat", "WorkloadReady")["message"],
        "another message",
    )
    sandbox.kubectl("patch", "configmap", "templates", "--patch", '{"data": {"chat.jinja": "{{ messages }}"}}')
    sandbox.wait_until_ready("chat")
    path = "/etc/mixserve-chat-template/chat-template.jinja"
    assert path in get(sandbox, "pod", pod(sandbox)["metadata"]["name"])["spec"]["containers"][0]["args"]


def test_pools_share_downloads_on_a_claim_and_nothing_else(sandbox: PoolSandbox, tmp_path: Path) -> None:
    engine = {"cache": {"claimName": "cache"}}
    sandbox.apply([pool("chat", L4, engine=engine), pool("talk", L4, engine=engine)])
    seen = wait_for_condition(sandbox, "chat", "WorkloadReady", status="False", reason="VolumeClaimNotFound")
    assert "or spec.engine.cache: there is no PersistentVolumeClaim cache" in seen["message"]
    sandbox.apply(claim(sandbox.namespace, tmp_path))
    for name in ("chat", "talk"):
        sandbox.wait_until_ready(name)
        assert complete(pod(sandbox, name), model=name, max_tokens=2)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*")) == [
        "engines/chat-main",
        "engines/talk-main",
    ]
    assert (tmp_path / "huggingface").is_dir()


def claim(namespace: str, directory: Path) -> list[dict[str, Any]]:
    """A claim called cache, bound to a directory of this machine."""
    name, size = f"cache-{namespace}", "1Gi"
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {**common, "capacity": {"storage": size}, "hostPath": {"path": str(directory)}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "cache"},
            "spec": {**common, "volumeName": name, "resources": {"requests": {"storage": size}}},
        },
    ]


def test_what_the_pool_adds_to_the_environment_is_there(sandbox: PoolSandbox) -> None:
    sandbox.apply([pool("chat", L4, engine={"env": [{"name": "NCCL_DEBUG", "value": "INFO"}]})])
    sandbox.wait_until_ready("chat")
    name = pod(sandbox)["metadata"]["name"]
    [engine] = get(sandbox, "pod", name)["spec"]["containers"]
    assert engine["name"] == ENGINE_CONTAINER
    assert {"name": "NCCL_DEBUG", "value": "INFO"} in engine["env"]


def test_a_pool_for_embeddings_is_ready_and_answers_with_vectors(sandbox: PoolSandbox) -> None:
    sandbox.apply([pool("vectors", L4, task="Embed")])
    seen = sandbox.wait_until_ready("vectors")
    assert seen["status"]["desired"] == 1
    answer = ask(pod(sandbox, "vectors"), "/v1/embeddings", model="vectors", input=["one", "two"])
    assert [len(one["embedding"]) for one in answer["data"]] == [1024, 1024]


def test_adapters_are_models_of_their_own_and_another_list_is_another_replica(
    sandbox: PoolSandbox, tmp_path: Path
) -> None:
    def adapted(*names: str) -> dict[str, Any]:
        adapters = [{"name": name, "source": f"host://{tmp_path}"} for name in names]
        return pool("chat", L4, model={"adapters": adapters}, drainTimeout="1s")

    sandbox.apply([adapted("law")])
    sandbox.wait_until_ready("chat")
    first = pod(sandbox)
    assert complete(first, model="law", max_tokens=2)["model"] == "law"
    sandbox.apply([adapted("law", "tax")])
    eventually(lambda: ready_pods(sandbox) - {first["metadata"]["name"]}, "a replica with both", 120.0)
    eventually(lambda: len(ready_pods(sandbox)) == 1, "the end of the first replica", 120.0)
    both = next(one for one in sandbox.items("pods", pool="chat") if one["metadata"]["name"] in ready_pods(sandbox))
    assert [complete(both, model=name, max_tokens=2)["model"] for name in ("chat", "law", "tax")] == [
        *("chat", "law", "tax")
    ]


def test_an_adapter_is_not_called_as_another_pools_model(sandbox: PoolSandbox, tmp_path: Path) -> None:
    sandbox.apply([pool("law", L4)])
    sandbox.wait_until_ready("law")
    adapters = [{"name": "law", "source": f"host://{tmp_path}"}]
    sandbox.apply([pool("chat", L4, model={"adapters": adapters})])
    seen = wait_for_condition(sandbox, "chat", "Validated", status="False", reason="ServedNameTaken")
    assert seen["message"].startswith("spec.model.adapters[0].name: the pool law answers for the model name law; ")


def test_a_pool_without_a_spare_gpu_rolls_out_all_the_same(sandbox: PoolSandbox) -> None:
    # Two replicas on all four GPUs: with a surge the first new one would wait for ever.
    def chat(tokens: int) -> dict[str, Any]:
        engine = {"batching": {"maxBatchedTokens": tokens}}
        two = {**L4, "tensorParallel": 2, "replicas": {"min": 2, "max": 2}}
        return pool("chat", two, engine=engine, rollout={"surge": False}, drainTimeout="5s")

    sandbox.apply([chat(2048)])
    sandbox.wait_until_ready("chat")
    before = eventually(lambda: two_of(ready_pods(sandbox)), "two replicas", 60.0)
    sandbox.apply([chat(4096)])
    eventually(lambda: two_of(ready_pods(sandbox) - before), "two new replicas", 120.0)


def two_of(pods: set[str]) -> set[str]:
    """The pods, if there are two of them."""
    return pods if len(pods) == 2 else set()


def ready_pods(sandbox: PoolSandbox) -> set[str]:
    """The pods that take requests."""
    return {
        one["metadata"]["name"]
        for one in sandbox.items("pods", pool="chat")
        if any(each["type"] == "Ready" and each["status"] == "True" for each in one["status"].get("conditions", ()))
    }
