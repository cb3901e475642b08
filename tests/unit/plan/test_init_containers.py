from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.init_containers import init_containers
from mixserve.plan.launch import launch_of
from mixserve.plan.model_source import pod_files
from mixserve.plan.placement import placement_of
from support.manifests import REVISION, pool

LAW = {"name": "law", "source": "hf://org/law", "revision": REVISION}


def containers(*adapters, token=None, **engine):
    model = {"source": "pvc://models/m", "adapters": list(adapters), **({"tokenSecretRef": token} if token else {})}
    manifest = pool(model=model, engine=engine)
    (variant,) = manifest.spec.variants
    files = pod_files(manifest, variant, None)
    placement = placement_of(manifest, variant=variant, catalog=built_in_catalog())
    launch = launch_of(manifest, variant, placement=placement, plan=None, files=files)
    return init_containers(manifest, files=files, launch=launch, deployment="chat-main")


def values(container):
    return {one["name"]: one.get("value") for one in container["env"]}


def test_adapters_of_volumes_need_nobody_to_fetch_them():
    assert containers({"name": "law", "source": "pvc://adapters/law"}) == []


def test_adapters_of_the_hub_are_fetched_with_the_engines_image_into_its_cache():
    (found,) = containers(LAW, image="registry.example/vllm:1")

    assert found["image"] == "registry.example/vllm:1"
    assert found["args"][-1] == f"org/law@{REVISION}"
    assert values(found)["HF_HOME"] == "/var/cache/mixserve/huggingface"
    assert found["volumeMounts"] == [{"name": "cache", "mountPath": "/var/cache/mixserve"}]


def test_the_hub_is_asked_though_the_engine_itself_need_not():
    (found,) = containers(LAW, token={"name": "hf", "key": "token"}, env=[{"name": "HTTPS_PROXY", "value": "http://p"}])

    assert "HF_HUB_OFFLINE" not in values(found)
    assert values(found)["HTTPS_PROXY"] == "http://p"
    assert found["env"][-1] == {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}


def test_a_cache_on_a_claim_is_the_one_of_the_engine():
    (found,) = containers(LAW, cache={"claimName": "cache"})

    assert [one["subPath"] for one in found["volumeMounts"]] == ["engines/chat-main", "huggingface"]
