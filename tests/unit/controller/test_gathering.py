from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mixserve.api.names import LABEL_POOL, LABEL_VARIANT
from mixserve.api.observation import EngineSample, MissingReason, PodProblem, Trouble
from mixserve.apply.resources import DEPLOYMENTS, PODS, SERVICES
from mixserve.controller import gathering
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.gathering import Gatherer, owned_by
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.samples import Samples
from support.kube_objects import deployment, pod

KEY = PoolKey("ns", "p")
OURS = {"ownerReferences": [{"kind": "LLMServingPool", "name": "p", "uid": "pool"}]}
PAUSED = [{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}]


class Logs:
    """Stands for the crash logs: each pod's log is its name."""

    async def tail(self, obj: dict[str, Any]) -> str:
        return f"log of {obj['metadata']['name']}"


class Templates:
    """Stands for the chat templates: pods called waiting wait for the pool's."""

    async def trouble(self, obj: dict[str, Any], template: str) -> Trouble | None:
        waits = obj["metadata"]["name"].startswith("waiting") and template == "the pool's"
        return Trouble(PodProblem.CHAT_TEMPLATE_MISSING, "no template") if waits else None


@pytest.fixture
def view() -> ClusterView:
    return ClusterView()


@pytest.fixture
def samples() -> Samples:
    return Samples()


@pytest.fixture
def gatherer(view: ClusterView, samples: Samples) -> Gatherer:
    return Gatherer(view=view, samples=samples, logs=Logs(), templates=Templates())


def plan(**deployments: str) -> Any:
    metadata = SimpleNamespace(uid="pool")
    spec = SimpleNamespace(engine=SimpleNamespace(chat_template="the pool's"))
    return SimpleNamespace(pool=SimpleNamespace(metadata=metadata, spec=spec), deployments=deployments)


def in_variant(name: str, variant: str, **fields: Any) -> dict[str, Any]:
    return pod(name, labels={LABEL_POOL: "p", LABEL_VARIANT: variant}, **fields)


async def test_pods_are_sorted_into_variants_in_the_order_of_the_plan(gatherer: Gatherer, view: ClusterView) -> None:
    for name, variant in (("a", "one"), ("b", "two"), ("c", "two"), ("d", "of an earlier spec")):
        view.put(PODS, in_variant(name, variant))
    view.put(PODS, in_variant("stray", "two", ownerReferences=[]))
    seen = await gatherer.observe(KEY, plan(two="p-two", one="p-one"), now_s=5.0)
    assert [(each.name, [one.name for one in each.pods]) for each in seen.variants] == [
        ("two", ["b", "c"]),
        ("one", ["a"]),
    ]
    assert seen.now_s == 5.0


async def test_only_a_deployment_of_the_pool_counts(gatherer: Gatherer, view: ClusterView) -> None:
    view.put(DEPLOYMENTS, deployment("p-one", **OURS))
    view.put(DEPLOYMENTS, deployment("p-two"))
    seen = await gatherer.observe(KEY, plan(one="p-one", two="p-two"), now_s=5.0)
    assert [each.replicas for each in seen.variants] == [2, None]


async def test_a_pod_has_its_newest_sample_and_its_log(gatherer: Gatherer, view: ClusterView, samples: Samples) -> None:
    sample = EngineSample(scraped_at_s=4.0, running=1, waiting=0, kv_cache_usage=0.5)
    samples.take("uid-a", sample)
    view.put(PODS, in_variant("a", "one"))
    crash = {"name": "engine", "ready": False, "state": {"terminated": {"exitCode": 1}}}
    view.put(PODS, in_variant("b", "one", ready=False, containers=[crash]))
    [variant] = (await gatherer.observe(KEY, plan(one="p-one"), now_s=5.0)).variants
    first, second = variant.pods
    assert first.sample == sample
    assert second.sample.reason is MissingReason.NOT_SCRAPED  # type: ignore[union-attr]
    assert second.trouble is not None
    assert second.trouble.log_tail == "log of b"


async def test_a_pod_without_trouble_of_its_own_may_wait_for_its_chat_template(
    gatherer: Gatherer, view: ClusterView
) -> None:
    crash = {"name": "engine", "ready": False, "state": {"terminated": {"exitCode": 1}}}
    view.put(PODS, in_variant("waiting", "one", ready=False))
    view.put(PODS, in_variant("waiting-crashed", "one", ready=False, containers=[crash]))
    view.put(PODS, in_variant("waiting-ready", "one"))
    [variant] = (await gatherer.observe(KEY, plan(one="p-one"), now_s=5.0)).variants
    problems = {one.name: one.trouble and one.trouble.problem for one in variant.pods}
    assert problems == {
        "waiting": PodProblem.CHAT_TEMPLATE_MISSING,
        "waiting-crashed": PodProblem.CRASHING,
        "waiting-ready": None,
    }


async def test_foreign_fields_are_looked_for_once_in_each_version(
    gatherer: Gatherer, view: ClusterView, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.put(DEPLOYMENTS, deployment("p-one", **OURS, managedFields=PAUSED))
    view.put(SERVICES, deployment("p", **OURS) | {"kind": "Service"})
    seen = await gatherer.observe(KEY, plan(one="p-one"), now_s=5.0)
    assert seen.foreign_fields == {"Deployment/p-one": ("spec.paused",)}

    monkeypatch.setattr(gathering, "foreign_fields", lambda _: ())
    again = await gatherer.observe(KEY, plan(one="p-one"), now_s=6.0)
    assert again.foreign_fields == seen.foreign_fields
    view.put(DEPLOYMENTS, deployment("p-one", **OURS, resourceVersion="2"))
    assert (await gatherer.observe(KEY, plan(one="p-one"), now_s=7.0)).foreign_fields == {}


async def test_an_object_that_is_gone_is_forgotten(gatherer: Gatherer, view: ClusterView) -> None:
    view.put(DEPLOYMENTS, deployment("p-one", **OURS))
    await gatherer.observe(KEY, plan(one="p-one"), now_s=5.0)
    gatherer.forget("uid-p-one")
    assert gatherer._foreign == {}


def test_what_carries_our_label_need_not_be_ours() -> None:
    ours = deployment("ours", **OURS)
    assert owned_by("pool", [ours, deployment("theirs"), deployment("another's", ownerReferences=[])]) == [ours]
