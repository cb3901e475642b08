from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import LABEL_POOL, LABEL_ROUTABLE, LABEL_VARIANT
from mixserve.api.pool import LLMServingPool
from mixserve.apply.errors import ApiError, Conflict, Forbidden, NotOwned, Rejected, Terminating, Unavailable
from mixserve.apply.resources import CONFIG_MAPS, DEPLOYMENTS, OWNED_BY_KIND, PODS, SERVICES, Resource
from mixserve.autoscale.decision import Decision, decide
from mixserve.autoscale.memory import ScaleMemory
from mixserve.controller import repairs
from mixserve.controller.applying import Applied, Applier
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.pool_plan import PoolPlan
from mixserve.controller.refusals import Refusals
from mixserve.controller.scraping import MetricsEndpoint
from mixserve.controller.telemetry import Telemetry
from mixserve.plan.objects import DesiredObject
from support.kube_objects import deployment, pod
from support.metrics_pages import GAUGES
from support.pools import pod as pod_observation
from support.pools import pool as pool_spec
from support.pools import sample, seen, variant

if TYPE_CHECKING:
    from mixserve.status.events import Event

KEY = PoolKey("ns", "p")
OWNER = {"kind": "LLMServingPool", "name": "p", "uid": "pool"}


def desired(kind: str, name: str = "p", *, hashed: str = "h", **content: Any) -> DesiredObject:
    metadata = {
        "name": name,
        "namespace": "ns",
        "labels": {LABEL_POOL: "p"},
        "ownerReferences": [OWNER],
        "annotations": {"mixserve.dev/desired-hash": hashed},
    }
    is_deployment = kind == "Deployment"
    return DesiredObject(
        body={"apiVersion": "v1", "kind": kind, "metadata": metadata, **content},
        desired_hash=hashed,
        variant="main" if is_deployment else None,
        initial_replicas=1 if is_deployment else None,
    )


def plan(*objects: DesiredObject) -> PoolPlan:
    metadata = {"name": "p", "namespace": "ns", "uid": "pool"}
    return PoolPlan(
        pool=LLMServingPool(metadata=metadata, spec=pool_spec()),
        objects=objects,
        deployments={"main": "p-main"},
        priors={"main": 8.0},
        prices={},
        endpoint=MetricsEndpoint(port=8000, page=GAUGES),
    )


def decision() -> Decision:
    observation = seen(variant(pod_observation("a", sample(9, 20))))
    return decide(pool_spec(), observation, ScaleMemory(), {"main": 8.0})[0]


@dataclass
class Cluster:
    """Stands for the API server: keeps what is created and applied, refuses what it is told to."""

    refusals: dict[str, ApiError] = field(default_factory=dict)
    written: list[tuple[str, Any]] = field(default_factory=list)
    version: int = 10

    async def create(self, resource: Resource, body: Any, **_: Any) -> Any:
        return self._write("create", resource, body)

    async def apply(self, resource: Resource, body: Any, **_: Any) -> Any:
        return self._write("apply", resource, body)

    async def patch(self, *_: Any, **__: Any) -> None:
        raise AssertionError("nothing here has managedFields to turn")

    async def delete(self, resource: Resource, **where: str) -> None:
        assert resource in {DEPLOYMENTS, CONFIG_MAPS}
        if "delete" in self.refusals:
            raise self.refusals["delete"]
        self.written.append(("delete", where["name"]))

    def _write(self, verb: str, resource: Resource, body: Any) -> Any:
        assert body["kind"] == resource.kind
        if resource.kind in self.refusals:
            raise self.refusals[resource.kind]
        self.written.append((verb, body))
        self.version += 1
        extra = {"uid": f"uid-{resource.kind}", "resourceVersion": str(self.version)}
        return {**body, "metadata": {**body["metadata"], **extra}}


class Shop:
    def __init__(self) -> None:
        self.cluster, self.view = Cluster(), ClusterView()
        self.events: list[Event] = []
        self.applier = Applier(
            self.cluster,
            view=self.view,
            events=self,
            telemetry=Telemetry(),
        )

    def put(self, event: Event, pool: Any) -> None:
        assert pool["metadata"]["uid"] == "pool"
        self.events.append(event)

    async def apply(self, *objects: DesiredObject) -> Applied:
        self.refusals = Refusals()
        return await self.applier.apply(KEY, plan(*objects), decision(), self.refusals)

    async def prune(self, *, replaced: bool = True, rolling_out: bool = False) -> list[tuple[str, Any]]:
        """Prune all but main, of which a replica serves if the others are replaced; return what was deleted."""
        self.refusals = Refusals()
        main = variant(*([pod_observation("a")] if replaced else []), rolling_out=rolling_out)
        kept = plan(desired("Deployment", "p-main"))
        await self.applier.prune(KEY, kept, self.refusals, observation=seen(main))
        return self.cluster.written

    def edit(self, kind: str, **content: Any) -> None:
        resource = OWNED_BY_KIND[kind]
        live = self.view.get(resource, KEY)
        assert live is not None
        self.cluster.version += 1
        metadata = {**live["metadata"], "resourceVersion": str(self.cluster.version)}
        self.view.put(resource, {**live, **content, "metadata": metadata})


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def test_a_new_deployment_starts_with_what_was_decided(shop: Shop) -> None:
    found = await shop.apply(desired("Deployment", "p-main", spec={}))
    assert found == Applied(changed=True, made_deployment=True)
    assert shop.cluster.written[0][1]["spec"]["replicas"] == decision().wanted("main") > 1
    assert shop.view.get(DEPLOYMENTS, PoolKey("ns", "p-main")) is not None


async def test_what_was_written_is_not_written_again(shop: Shop) -> None:
    await shop.apply(desired("Service"))
    assert await shop.apply(desired("Service")) == Applied(changed=False, made_deployment=False)
    assert len(shop.cluster.written) == 1


@pytest.mark.parametrize(
    "error",
    [
        Rejected("immutable", status=422),
        NotOwned("somebody else's"),
        Unavailable("a webhook is broken", status=500),
    ],
)
async def test_what_is_refused_is_told_and_does_not_hold_up_the_rest(shop: Shop, error: ApiError) -> None:
    shop.cluster.refusals["Service"] = error
    found = await shop.apply(desired("Service"), desired("Deployment", "p-main", spec={}))
    assert shop.refusals.lasting == [f"Service p: {error}"]
    assert found.made_deployment


@pytest.mark.parametrize("error", [Conflict("changed"), Unavailable("busy", status=429), Unavailable("no answer")])
async def test_what_passes_is_not_told_and_does_not_hold_up_the_rest(shop: Shop, error: ApiError) -> None:
    await shop.apply(desired("Service", hashed="old"))
    shop.cluster.refusals["Service"] = error
    found = await shop.apply(desired("Service", hashed="new"), desired("Deployment", "p-main", spec={}))
    assert (shop.refusals.lasting, shop.refusals.passing) == ([], error)
    assert found.made_deployment


async def test_a_namespace_that_goes_ends_it(shop: Shop) -> None:
    shop.cluster.refusals["Service"] = Terminating("going")
    with pytest.raises(Terminating):
        await shop.apply(desired("Service"))


async def test_a_bug_is_not_taken_for_a_refusal(shop: Shop) -> None:
    with pytest.raises(KeyError):
        await shop.apply(desired("Secret"))


async def test_an_edit_by_hand_is_repaired_and_told_once(shop: Shop) -> None:
    await shop.apply(desired("Service", spec={"type": "ClusterIP"}))
    assert shop.events == []
    for _ in range(2):
        shop.edit("Service", spec={"type": "NodePort"})
        assert (await shop.apply(desired("Service", spec={"type": "ClusterIP"}))).changed
    [event] = shop.events
    assert event.reason == "Repaired"
    assert "Service p had been changed" in event.message


async def test_a_lasting_fight_is_told_again_after_a_while(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairs, "_TOLD_AGAIN_S", 0.0)
    await shop.apply(desired("Service", spec={"type": "ClusterIP"}))
    for _ in range(2):
        shop.edit("Service", spec={"type": "NodePort"})
        await shop.apply(desired("Service", spec={"type": "ClusterIP"}))
    assert len(shop.events) == 2


async def test_what_was_deleted_is_made_anew_and_told(shop: Shop) -> None:
    await shop.apply(desired("Service"))
    live = shop.view.get(SERVICES, KEY)
    assert live is not None
    shop.view.remove(SERVICES, live)
    shop.applier.forget("uid-Service")
    await shop.apply(desired("Service"))
    [event] = shop.events
    assert "Service p had been deleted" in event.message


async def test_a_change_of_the_plan_is_no_repair(shop: Shop) -> None:
    await shop.apply(desired("Service", hashed="old", spec={"type": "ClusterIP"}))
    assert (await shop.apply(desired("Service", hashed="new", spec={"type": "NodePort"}))).changed
    assert shop.events == []


async def test_what_is_no_longer_planned_is_deleted_but_nothing_else(shop: Shop) -> None:
    ours = {"ownerReferences": [OWNER]}
    shop.view.put(DEPLOYMENTS, deployment("p-main", **ours))
    shop.view.put(DEPLOYMENTS, deployment("p-old", **ours))
    shop.view.put(DEPLOYMENTS, deployment("p-going", **ours, deletionTimestamp="now"))
    shop.view.put(DEPLOYMENTS, deployment("p-theirs", ownerReferences=[{**OWNER, "uid": "other"}]))
    assert await shop.prune() == [("delete", "p-old")]


@pytest.mark.parametrize(
    ("changes", "deleted"),
    [
        ({}, []),
        ({"ready": False}, [("delete", "p-old")]),
        ({"deletionTimestamp": "now"}, [("delete", "p-old")]),
        ({"labels": {LABEL_POOL: "p", LABEL_VARIANT: "old"}}, [("delete", "p-old")]),
    ],
    ids=["serves", "not ready", "goes already", "drains"],
)
async def test_a_variant_that_serves_stays_until_the_others_can_take_its_requests(
    shop: Shop, changes: dict[str, Any], deleted: list[tuple[str, str]]
) -> None:
    labels = {LABEL_POOL: "p", LABEL_VARIANT: "old"}
    shop.view.put(DEPLOYMENTS, deployment("p-old", ownerReferences=[OWNER], labels=labels))
    shop.view.put(PODS, pod(**{"labels": {**labels, LABEL_ROUTABLE: "true"}, **changes}))
    assert await shop.prune(replaced=False) == deleted


@pytest.mark.parametrize(("rolling_out", "deleted"), [(True, []), (False, [("delete", "p-main-options-old")])])
async def test_options_that_pods_of_the_old_template_read_stay_in_a_rollout(
    shop: Shop, rolling_out: bool, deleted: list[tuple[str, str]]
) -> None:
    labels = {LABEL_POOL: "p", LABEL_VARIANT: "main"}
    metadata = deployment("p-main-options-old", ownerReferences=[OWNER], labels=labels)["metadata"]
    shop.view.put(CONFIG_MAPS, {"metadata": metadata})
    assert await shop.prune(rolling_out=rolling_out) == deleted


async def test_no_pods_are_made_that_would_start_with_what_was_there_before(shop: Shop) -> None:
    shop.cluster.refusals["ConfigMap"] = Forbidden("a policy", status=403)
    await shop.apply(desired("ConfigMap"), desired("Service"), desired("Deployment", "p-main", spec={}))
    assert [body["kind"] for _, body in shop.cluster.written] == ["Service"]


async def test_a_deletion_that_is_refused_is_told(shop: Shop) -> None:
    shop.view.put(DEPLOYMENTS, deployment("p-old", ownerReferences=[OWNER]))
    shop.cluster.refusals["delete"] = Forbidden("not by you", status=403)
    await shop.prune()
    assert shop.refusals.lasting == ["Deployment p-old: not by you"]


async def test_a_pool_that_is_gone_is_forgotten(shop: Shop) -> None:
    await shop.apply(desired("Service"))
    shop.applier.forget("pool")
    shop.applier.forget("uid-Service")
    assert shop.applier._writer._right == {}
    shop.view.remove(SERVICES, shop.view.owned(KEY)[0])
    await shop.apply(desired("Service"))
    assert shop.events == []
