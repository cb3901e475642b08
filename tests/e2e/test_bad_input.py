"""Bad input gets a clear error, at admission or in a condition, and whatever ran before keeps running."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mixserve_devcluster import kubectl
from mixserve_devcluster.errors import KubectlError
from support.namespaces import new_namespace
from support.pool_manifests import pool, variant
from support.pool_sandbox import POOLS, PoolSandbox, complete

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mixserve_devcluster.cluster import Cluster
    from mixserve_devcluster.installation import Installation

pytestmark = pytest.mark.e2e

# Seconds on a machine with nothing else to do, many times as many on a busy one.
DEADLINE_S = 120

LLAMA_70B = {
    "parameters": 70_553_706_496,
    "layers": 80,
    "hiddenSize": 8192,
    "attentionHeads": 64,
    "keyValueHeads": 8,
    "headSize": 128,
    "vocabularySize": 128256,
    "maxPositionEmbeddings": 8192,
}

# A GPU without BF16, for the catalogue has none so old.
T4 = {
    "apiVersion": "mixserve.dev/v1alpha1",
    "kind": "AcceleratorClass",
    "metadata": {"name": "t4"},
    "spec": {
        "memory": "15Gi",
        "computeCapability": "7.5",
        "memoryBandwidth": 320,
        "denseTeraflops": {"bits16": 65},
        "pricePerHour": "0.35",
        "nodeRequirements": [{"key": "nvidia.com/gpu.product", "operator": "In", "values": ["Tesla-T4"]}],
    },
}


L4 = {**variant(most=1), "accelerator": "l4"}


def chat(
    name: str = "chat",
    *,
    model: dict[str, Any] | None = None,
    on: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A good pool on one L4; `model`, fields of the variant in `on`, and of the spec make it another one."""
    return pool(name, {**L4, **(on or {})}, model=model, **{"drainTimeout": "0s", **spec})


@pytest.fixture(scope="module")
def sandbox(gpu_cluster: Cluster, installation: Installation) -> Iterator[PoolSandbox]:
    """A namespace for all tests of this file, in which a pool called chat, and an older one, are ready."""
    name = new_namespace(gpu_cluster)
    box = PoolSandbox(gpu_cluster, name)
    apply(box, T4)
    # Of two pools of the same second, the first of the alphabet counts as the older one.
    apply(box, chat("assistant", servedNames=["taken"]))
    apply(box, chat())
    for each in ("assistant", "chat"):
        box.wait_until_ready(each, DEADLINE_S)
    yield box
    box.kubectl("delete", "acceleratorclass", "t4")
    gpu_cluster.plane.api.delete(f"/api/v1/namespaces/{name}")


def apply(sandbox: PoolSandbox, manifest: Mapping[str, Any]) -> None:
    """Apply as people do."""
    arguments = ("--namespace", sandbox.namespace, "apply", "--filename", "-")
    kubectl.run(sandbox.cluster.kubeconfig, *arguments, standard_input=json.dumps(manifest))


def replace(manifest: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """The manifest with one value set."""
    changed = json.loads(json.dumps(manifest))
    at: Any = changed
    for step in path[:-1]:
        at = at[step] if isinstance(at, list) else at.setdefault(step, {})
    at[path[-1]] = value
    return dict(changed)


MAIN = ("spec", "variants", 0)


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        # unknown fields
        (("spec", "engine", "maxModelLength"), 4096, 'unknown field "spec.engine.maxModelLength"'),
        ((*MAIN, "gpus"), 2, 'unknown field "spec.variants[0].gpus"'),
        # wrong types
        ((*MAIN, "tensorParallel"), "2", "spec.variants[0].tensorParallel in body should match '^auto$'"),
        (("spec", "engine", "version"), 0.33, "spec.engine.version in body must be of type string"),
        (("spec", "engine"), "vllm", "spec.engine in body must be of type object"),
        (("spec", "engine", "args"), "--enforce-eager", "spec.engine.args in body must be of type array"),
        # what spans fields
        (
            (*MAIN, "replicas"),
            {"min": 3, "max": 2},
            "spec.variants[0].replicas: Invalid value: min must not be greater",
        ),
        (
            (*MAIN, "replicas"),
            {"min": 0, "max": 2},
            "spec: Invalid value: at least one variant needs replicas.min of 1",
        ),
        (("spec", "model", "revision"), None, "spec.model: Invalid value: revision is needed for hf:// sources"),
        (
            ("spec", "engine", "batching"),
            {"maxSequences": 9, "maxBatchedTokens": 8},
            "spec.engine.batching: Invalid value: maxBatchedTokens must not be less than maxSequences",
        ),
        (
            ("spec", "model"),
            {"source": "pvc://models/m", "tokenSecretRef": {"name": "hf-token", "key": "token"}},
            "spec: Invalid value: model.tokenSecretRef has no meaning unless",
        ),
        # names that Kubernetes refuses or has already
        (("metadata", "name"), "default", "metadata.name must not be default or kubernetes"),
        (
            ("spec", "model", "tokenSecretRef"),
            {"name": "hf-token", "key": ".."},
            "spec.model.tokenSecretRef.key in body should match",
        ),
        # negative numbers
        ((*MAIN, "replicas", "min"), -1, "spec.variants[0].replicas.min in body should be greater than or equal to 0"),
        ((*MAIN, "tensorParallel"), -1, "spec.variants[0].tensorParallel in body should be greater than or equal to 1"),
        (("spec", "engine", "maxModelLen"), -1, "spec.engine.maxModelLen in body should be greater than or equal to"),
        (("spec", "drainTimeout"), "-5m", "spec.drainTimeout in body should match"),
        (
            ("spec", "autoscaling", "targets", "waitingRequestsPerReplica"),
            -1,
            "spec.autoscaling.targets.waitingRequestsPerReplica in body should be greater than or equal to 0",
        ),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_the_schema_refuses_changes_nothing(
    sandbox: PoolSandbox,
    path: tuple[str | int, ...],
    value: object,
    error: str,
) -> None:
    before = sandbox.pool("chat")

    with pytest.raises(KubectlError) as refused:
        apply(sandbox, replace(chat(), path, value))

    assert error in str(refused.value)
    assert sandbox.pool("chat")["spec"] == before["spec"]


@dataclass(frozen=True)
class Case:
    """A manifest that the API server takes, and what its pool then says.

    Attributes:
        said: field path and cause, as the message of the condition begins.
        remedy: what it says to do.
    """

    manifest: dict[str, Any]
    condition: str
    reason: str
    said: str
    remedy: str


BAD_SPECS = {
    "unknown format": Case(
        chat(on={"quantization": "fp4"}),
        "Validated",
        "UnknownQuantizationFormat",
        "spec.variants[0].quantization: there is no QuantizationFormat fp4; ",
        "did you mean nvfp4? choose one of bf16, fp16, fp8, ",
    ),
    "unknown accelerator": Case(
        chat(on={"accelerator": "h100"}),
        "Validated",
        "UnknownAcceleratorClass",
        "spec.variants[0].accelerator: there is no AcceleratorClass h100; ",
        "did you mean h100-80gb? choose one of a100-40gb, a100-80gb, ",
    ),
    "GPU that can't run the format": Case(
        chat(on={"accelerator": "t4"}),
        "Validated",
        "UnsupportedQuantization",
        "spec.variants[0].quantization: bf16 needs compute capability 8.0 with vllm, and t4 has 7.5; ",
        "choose a quantization that t4 runs (fp16, fp8, ",
    ),
    "model that doesn't fit": Case(
        chat(model={"facts": LLAMA_70B}),
        "Fits",
        "DoesNotFit",
        "spec.variants[0]: the model does not fit: 131.4 GiB of weights and 2.5 GiB of overhead on 1 GPU with 20.2 GiB",
        "; choose tensorParallel 8 or accelerator b200 in spec.variants[0]",
    ),
    "tensor parallelism that doesn't divide the heads": Case(
        chat(on={"tensorParallel": 3}),
        "Fits",
        "IndivisibleHeads",
        "spec.variants[0].tensorParallel: 3 GPUs can't share 32 attention heads and 8 key-value heads evenly; ",
        "choose one of 1, 2, 4, 8",
    ),
    "owned flag": Case(
        chat(engine={"args": ["--enforce-eager", "--max-model-len=4096"]}),
        "Validated",
        "OwnedFlag",
        "spec.engine.args[1]: --max-model-len is set by the operator; ",
        "use spec.engine.maxModelLen",
    ),
    "one checkpoint in two formats": Case(
        replace(chat(), ("spec", "variants"), [L4, {**L4, "name": "small", "quantization": "int4-awq"}]),
        "Validated",
        "CheckpointMismatch",
        "spec.variants[1].quantization: hf://example/model is bf16 in variant main and int4-awq here, and ",
        "give one of them a source of its own, with a checkpoint in its format, in spec.variants[1].source",
    ),
    "more requests than the engine's own step has tokens": Case(
        chat(engine={"batching": {"maxSequences": 4096}}),
        "Validated",
        "InvalidSpec",
        "spec.engine.batching.maxSequences: unless told, vllm computes 2048 tokens per step on l4, ",
        "set spec.engine.batching.maxBatchedTokens to 4096 or more, or this to 2048 or less",
    ),
    "two pools with one served name": Case(
        chat(servedNames=["chat", "taken"]),
        "Validated",
        "ServedNameTaken",
        "spec.servedNames[1]: the pool assistant answers for the model name taken; ",
        "give this pool another name in spec.servedNames, or take the name from the pool assistant",
    ),
}


@pytest.mark.parametrize("case", BAD_SPECS.values(), ids=BAD_SPECS.keys())
def test_a_spec_that_can_not_work_is_reported_and_the_last_good_one_stays(sandbox: PoolSandbox, case: Case) -> None:
    before = replicas(sandbox)

    apply(sandbox, case.manifest)

    wrong = wait_for_reason(sandbox, case.condition, case.reason)
    assert wrong["status"] == "False"
    assert wrong["message"].startswith(case.said)
    assert case.remedy in wrong["message"]
    ready = condition(sandbox, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", case.reason)
    assert ready["message"] == f"{wrong['message']}. The replicas of the last good spec keep serving"
    assert condition(sandbox, "WorkloadReady")["status"] == "True"
    assert_unharmed(sandbox, before)
    heal(sandbox, before)


NO_START = "spec.engine: the engine of main does not start: "
BAD_STARTS = {
    "missing secret": Case(
        chat(model={"tokenSecretRef": {"name": "hf-token", "key": "token"}}),
        "WorkloadReady",
        "SecretNotFound",
        "spec.model.tokenSecretRef.name: there is no Secret hf-token in this namespace; ",
        "create it, and the pods start by themselves",
    ),
    "missing volume claim": Case(
        chat(model={"source": "pvc://models/llama", "revision": None}),
        "WorkloadReady",
        "VolumeClaimNotFound",
        "spec.model.source, the variant's source, that of an adapter or spec.engine.cache: there is no "
        "PersistentVolumeClaim models in "
        "this namespace; ",
        "create it, and the pods start by themselves",
    ),
    "image that doesn't exist": Case(
        chat(engine={"image": "registry.example/vllm:9"}),
        "WorkloadReady",
        "ImageUnavailable",
        "spec.engine.image: the image of main can't be pulled: failed to pull image ",
        "; correct spec.engine.version or spec.engine.image, or let the nodes reach the registry",
    ),
    "context that the KV cache can't hold": Case(
        chat(engine={"image": "local/failing:max-seq-len"}),
        "WorkloadReady",
        "EngineStartFailed",
        f"{NO_START}one request of 8192 tokens needs more memory for keys and values than the weights leave; ",
        "set spec.engine.maxModelLen to 4096 or less, or make room: spec.engine.kvCache.format fp8",
    ),
    "no memory for the KV cache": Case(
        chat(engine={"image": "local/failing:no-kv-memory"}),
        "WorkloadReady",
        "EngineStartFailed",
        f"{NO_START}the weights and the engine's own needs leave no memory for the KV cache; ",
        "raise spec.engine.kvCache.memoryUtilizationPercent",
    ),
    "out of memory": Case(
        chat(engine={"image": "local/failing:cuda-oom"}),
        "WorkloadReady",
        "EngineStartFailed",
        f"{NO_START}the GPU's memory ran out while the model was loaded or warmed up; ",
        "choose a larger tensorParallel, another quantization or another accelerator",
    ),
    "GPU that another process uses": Case(
        chat(engine={"image": "local/failing:free-memory"}),
        "WorkloadReady",
        "EngineStartFailed",
        f"{NO_START}another process holds some of the GPU's memory; ",
        "find what else uses the GPU, or lower spec.engine.kvCache.memoryUtilizationPercent",
    ),
    "not enough GPUs": Case(
        chat(on={"tensorParallel": 8}),
        "WorkloadReady",
        "Unschedulable",
        "spec.variants[0]: no node takes a replica of main: ",
        "add nodes of this accelerator, free some, or lower replicas.max or tensorParallel",
    ),
}


@pytest.mark.parametrize("case", BAD_STARTS.values(), ids=BAD_STARTS.keys())
def test_replicas_that_do_not_start_are_explained_and_the_ones_before_stay(sandbox: PoolSandbox, case: Case) -> None:
    before = replicas(sandbox)

    apply(sandbox, case.manifest)

    wrong = wait_for_reason(sandbox, case.condition, case.reason)
    assert wrong["status"] == "False"
    assert wrong["message"].startswith(case.said)
    assert case.remedy in wrong["message"]
    assert condition(sandbox, "Ready")["status"] == "True"
    assert_unharmed(sandbox, before)
    assert warnings(sandbox).count((case.reason, f"WorkloadReady is False: {wrong['message']}")) == 1
    heal(sandbox, before)


def test_a_secret_that_is_made_later_is_found(sandbox: PoolSandbox) -> None:
    apply(sandbox, chat("gated", model={"tokenSecretRef": {"name": "later", "key": "token"}}))
    assert wait_for_reason(sandbox, "Ready", "SecretNotFound", name="gated")["status"] == "False"

    sandbox.kubectl("create", "secret", "generic", "later", "--from-literal=token=simulated")

    sandbox.wait_until_ready("gated", DEADLINE_S)
    sandbox.delete_pool("gated")


def heal(sandbox: PoolSandbox, before: list[str]) -> None:
    """Take the edit back: the pool is as it was, and nothing of it has been restarted."""
    apply(sandbox, chat())
    sandbox.wait_until_ready("chat", DEADLINE_S)
    wait_for_reason(sandbox, "WorkloadReady", "AllReplicasReady")
    assert_unharmed(sandbox, before)


def assert_unharmed(sandbox: PoolSandbox, before: list[str]) -> None:
    """The same pods serve, and answer."""
    assert replicas(sandbox) == before
    for pod in ready_pods(sandbox):
        assert complete(pod, model="chat", max_tokens=3)["usage"]["completion_tokens"] == 3


def replicas(sandbox: PoolSandbox) -> list[str]:
    """The pods that serve, with their restarts."""
    return [
        f"{p['metadata']['name']} {p['status']['containerStatuses'][0]['restartCount']}" for p in ready_pods(sandbox)
    ]


def ready_pods(sandbox: PoolSandbox) -> list[dict[str, Any]]:
    pods = sandbox.items("pods", pool="chat")
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"]["conditions"])
    ]


def condition(sandbox: PoolSandbox, kind: str, *, name: str = "chat") -> dict[str, Any]:
    """A condition of a pool, which has to be about its present spec."""
    seen = sandbox.pool(name)
    found = next(each for each in seen["status"]["conditions"] if each["type"] == kind)
    assert found["observedGeneration"] == seen["metadata"]["generation"]
    return dict(found)


def wait_for_reason(sandbox: PoolSandbox, kind: str, reason: str, *, name: str = "chat") -> dict[str, Any]:
    """Wait until a condition of a pool has a reason."""
    path = f'{{.status.conditions[?(@.type=="{kind}")].reason}}'
    sandbox.kubectl("wait", POOLS, name, f"--for=jsonpath={path}={reason}", f"--timeout={DEADLINE_S}s")
    return condition(sandbox, kind, name=name)


def warnings(sandbox: PoolSandbox) -> list[tuple[str, str]]:
    """Reasons and messages of the events about the pool that somebody should look at."""
    selector = "--field-selector=involvedObject.kind=LLMServingPool,involvedObject.name=chat,type=Warning"
    events = json.loads(sandbox.kubectl("get", "events", selector, "--output", "json"))["items"]
    return [(event["reason"], event["message"]) for event in events]
