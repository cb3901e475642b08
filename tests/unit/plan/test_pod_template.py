from __future__ import annotations

import json

import pytest

from mixserve.api.names import ANNOTATION_MEMORY_PLAN, LABEL_POOL, LABEL_ROUTABLE
from mixserve.plan.memory import memory_plan
from mixserve.plan.placement import placement_of
from mixserve.plan.pod_template import grace_period_s, pod_template
from support.manifests import LLAMA_8B, accelerator_like, catalog_with, pool, variant


def template(manifest=None, *, plan=None, catalog=None):
    manifest = manifest or pool()
    first = manifest.spec.variants[0]
    return pod_template(
        manifest,
        first,
        placement=placement_of(manifest, variant=first, catalog=catalog or catalog_with()),
        plan=plan,
        labels={LABEL_POOL: manifest.metadata.name},
        deployment="chat-main",
    )


def container(manifest=None, **options):
    (only,) = template(manifest, **options)["spec"]["containers"]
    return only


def environment(manifest):
    return {entry["name"]: entry for entry in container(manifest)["env"]}


def test_pods_take_requests_from_the_start():
    assert template()["metadata"]["labels"] == {LABEL_POOL: "chat", LABEL_ROUTABLE: "true"}


def test_the_memory_plan_is_an_annotation_where_there_is_one():
    manifest = pool()
    place = placement_of(manifest, variant=manifest.spec.variants[0], catalog=catalog_with())
    plan = memory_plan(LLAMA_8B, engine=manifest.spec.engine, placement=place)

    assert "annotations" not in template(manifest)["metadata"]
    annotation = template(manifest, plan=plan)["metadata"]["annotations"][ANNOTATION_MEMORY_PLAN]
    assert json.loads(annotation)["weightsBytes"] == plan.weights_bytes


def test_the_engine_is_started_with_its_own_words():
    engine = container()

    assert engine["command"] == ["vllm"]
    assert engine["args"][:2] == ["serve", "example/Model"]
    assert "--shutdown-timeout" in engine["args"]


def test_the_image_may_be_another():
    assert container()["image"] == "vllm/vllm-openai:v0.33.0"
    assert container(pool(engine={"image": "registry.local/vllm:0.33.0"}))["image"] == "registry.local/vllm:0.33.0"


@pytest.mark.parametrize(
    ("resource", "taints"),
    [
        ("nvidia.com/gpu", ["nvidia.com/gpu"]),
        ("nvidia.com/mig-3g.40gb", ["nvidia.com/mig-3g.40gb", "nvidia.com/gpu"]),
        ("example.com/card", ["example.com/card", "example.com/gpu"]),
    ],
)
def test_the_replica_asks_for_its_gpus_and_tolerates_their_taint(resource, taints):
    catalog = catalog_with(accelerator_like("mine", resourceName=resource))
    spec = template(pool(variant(accelerator="mine", tensorParallel=4)), catalog=catalog)["spec"]

    assert spec["containers"][0]["resources"]["limits"] == {resource: "4"}
    assert spec["tolerations"] == [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in taints]


def test_nodes_are_chosen_by_the_accelerators_requirements():
    requirements = [
        {"key": "gpu", "operator": "In", "values": ["a", "b"]},
        {"key": "shared", "operator": "DoesNotExist"},
    ]
    catalog = catalog_with(accelerator_like("mine", nodeRequirements=requirements))
    affinity = template(pool(variant(accelerator="mine")), catalog=catalog)["spec"]["affinity"]

    terms = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": requirements}]


def test_the_pod_knows_its_address_and_the_hook_asks_there():
    assert environment(pool())["POD_IP"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"
    hook = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert hook[0] == "python3"
    assert 'os.environ["POD_IP"]' in hook[2]


def test_the_hook_may_take_as_long_as_the_drain_and_the_pod_longer():
    manifest = pool(drainTimeout="2m")

    assert container(manifest)["lifecycle"]["preStop"]["exec"]["command"][7] == "120"
    assert template(manifest)["spec"]["terminationGracePeriodSeconds"] == grace_period_s(manifest) == 150


def test_the_model_is_mounted_beside_the_cache():
    spec = template(pool(model={"source": "pvc://weights/llama"}))["spec"]

    assert [volume["name"] for volume in spec["volumes"]] == ["cache", "model"]
    assert [mount["name"] for mount in spec["containers"][0]["volumeMounts"]] == ["cache", "model"]


def test_the_caches_are_in_the_writable_volume():
    mount, *_ = container()["volumeMounts"]

    assert environment(pool())["HF_HOME"]["value"].startswith(mount["mountPath"] + "/")


def test_the_pod_has_no_rights_and_no_surprises():
    spec = template()["spec"]

    assert spec["enableServiceLinks"] is False
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "chat"
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"
