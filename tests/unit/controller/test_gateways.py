from __future__ import annotations

import copy
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mixserve.api.gateway_names import GATEWAY
from mixserve.api.names import LABEL_GATEWAY, Reason
from mixserve.api.routing_policy_status import RoutingPolicyStatus
from mixserve.apply.errors import ApiError, Conflict, Forbidden, NotFound, Rejected, Terminating, Unavailable
from mixserve.apply.resources import (
    DEPLOYMENTS,
    PODS,
    POLICIES,
    POOLS,
    SERVICE_ACCOUNTS,
    SERVICES,
    WRITTEN_BY_KIND,
    Resource,
)
from mixserve.controller import policy_status, repairs
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.gateway_parts import GatewayParts
from mixserve.controller.object_cache import GatewayKey, PoolKey
from mixserve.controller.parsed_specs import ParsedSpecs
from mixserve.controller.refusals import RefusedError
from mixserve.controller.telemetry import Telemetry
from mixserve.plan.gateway_options import GatewayOptions
from support.kube_objects import pod
from support.policies import stored_policy
from support.pool_manifests import pool
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from mixserve.status.events import Event

KEY = GatewayKey("llm")
KINDS = ["ServiceAccount", "Role", "RoleBinding", "Service", "PodDisruptionBudget", "Deployment"]


class Cluster:
    """Stands for the API server: keeps what is created and applied, refuses what it is told to."""

    def __init__(self) -> None:
        self.refusals: dict[str, ApiError] = {}
        self.written: list[tuple[str, str]] = []
        self.bodies: dict[str, Any] = {}
        self.events: list[tuple[Event, str]] = []
        self.version = 100
        self.view = ClusterView(gone=self._gone, routes_said=self._said)
        self.news = 0
        self.parts = self.operator()

    def operator(self, **options: Any) -> GatewayParts:
        self.parts = GatewayParts.of(
            GatewayOptions(image="mixserve:1", **options),
            connection=self,  # type: ignore[arg-type]
            view=self.view,
            specs=ParsedSpecs(),
            session=None,  # type: ignore[arg-type]
            events=self,  # type: ignore[arg-type]
            telemetry=Telemetry(),
        )
        return self.parts

    async def look(self) -> list[tuple[str, str]]:
        """One look; what was written by it."""
        before = len(self.written)
        await self.parts.reconcile(KEY)
        return self.written[before:]

    async def status(self, name: str = "auto") -> RoutingPolicyStatus:
        assert self.parts.reporter is not None
        await self.parts.reporter.write_all()
        raw = self.view.get(POLICIES, PoolKey("llm", name))
        assert raw is not None
        return RoutingPolicyStatus.parse(raw["status"])

    async def create(self, resource: Resource, body: Any, **_: Any) -> Any:
        return self._write("create", resource, body)

    async def apply(self, resource: Resource, body: Any, **_: Any) -> Any:
        return self._write("apply", resource, body)

    async def get(self, resource: Resource, *, namespace: str, name: str) -> Any:
        found = self.view.get(resource, PoolKey(namespace, name))
        if found is None:
            raise NotFound("no")
        return found

    async def delete(self, resource: Resource, **_: str) -> None:
        if "delete" in self.refusals:
            raise self.refusals["delete"]
        self.written.append(("delete", resource.kind))

    async def patch(self, resource: Resource, patch: Any, *, namespace: str, name: str, **_: Any) -> Any:
        if "status" in self.refusals:
            raise self.refusals["status"]
        self.written.append(("status", name))
        self.version += 1
        now = copy.deepcopy(dict(self.view.get(resource, PoolKey(namespace, name)) or {}))
        now["status"], now["metadata"]["resourceVersion"] = patch[1]["value"], str(self.version)
        return now

    def put(self, event: Event, about: Any) -> None:
        self.events.append((event, about["metadata"]["name"]))

    def _write(self, verb: str, resource: Resource, body: Any) -> Any:
        if resource.kind in self.refusals:
            raise self.refusals[resource.kind]
        self.written.append((verb, resource.kind))
        self.version += 1
        extra = {"uid": f"uid-{resource.kind}", "resourceVersion": str(self.version)}
        self.bodies[resource.kind] = {**body, "metadata": {**body["metadata"], **extra}}
        return self.bodies[resource.kind]

    def _gone(self, uid: str) -> None:
        for forget in self.parts.forgetters:
            forget(uid)

    def _said(self) -> None:
        self.news += 1


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster()
    found.view.put(POLICIES, stored_policy())
    return found


def change(cluster: Cluster, kind: str, **fields: Any) -> None:
    """Somebody has changed an object."""
    now = {**cluster.bodies[kind], **fields}
    cluster.version += 1
    now["metadata"] = {**now["metadata"], "resourceVersion": str(cluster.version)}
    cluster.view.put(WRITTEN_BY_KIND[kind], now)


def gateway_pod(name: str, *, ready: bool = True, version: int = 1) -> dict[str, Any]:
    labels = {LABEL_GATEWAY: "true"}
    return pod(name, labels=labels, ready=ready, namespace="llm", resourceVersion=str(version))


def put_pool(cluster: Cluster, name: str, *, replicas: int = 1) -> None:
    raw = pool(name)
    metadata = {
        "name": name,
        "namespace": "llm",
        "uid": f"uid-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    cluster.view.put(POOLS, {**raw, "metadata": metadata})
    for number in range(replicas):
        labels = {"mixserve.dev/pool": name, "mixserve.dev/routable": "true"}
        cluster.view.put(PODS, pod(f"{name}-{number}", labels=labels, namespace="llm"))


class TestObjects:
    async def test_all_are_made_and_the_pods_last(self, cluster: Cluster) -> None:
        written = await cluster.look()
        assert sorted(kind for _, kind in written) == sorted(KINDS)
        assert written[-1] == ("create", "Deployment")
        kinds = [kind for _, kind in written]
        assert kinds.index("Role") < kinds.index("RoleBinding")
        assert cluster.bodies["Deployment"]["spec"]["replicas"] == 2

    async def test_what_is_as_planned_costs_nothing(self, cluster: Cluster) -> None:
        await cluster.look()
        assert await cluster.look() == []
        cluster.operator()
        assert await cluster.look() == []

    async def test_what_is_changed_is_put_back_and_told_to_every_policy(self, cluster: Cluster) -> None:
        cluster.view.put(POLICIES, stored_policy("other", servedNames=["x"]))
        await cluster.look()
        change(cluster, "Service", spec={"type": "NodePort"})
        assert await cluster.look() == [("apply", "Service")]
        assert [(event.reason, name) for event, name in cluster.events] == [
            (Reason.REPAIRED, "auto"),
            (Reason.REPAIRED, "other"),
        ]
        assert cluster.events[0][0].message == (
            "Service mixserve-gateway had been changed, and is as planned again. "
            "It belongs to the gateway of this namespace"
        )
        change(cluster, "Service", spec={"type": "NodePort"})
        await cluster.look()
        assert len(cluster.events) == 2  # once in a while is enough

    async def test_what_is_deleted_is_made_anew(self, cluster: Cluster) -> None:
        await cluster.look()
        cluster.view.remove(DEPLOYMENTS, cluster.bodies["Deployment"])
        assert await cluster.look() == [("create", "Deployment")]
        assert "Deployment mixserve-gateway had been deleted, and was made anew" in cluster.events[0][0].message

    async def test_other_options_are_applied(self, cluster: Cluster) -> None:
        await cluster.look()
        cluster.operator(replicas=5)
        assert await cluster.look() == [("apply", "Deployment")]
        assert cluster.bodies["Deployment"]["spec"]["replicas"] == 5
        assert cluster.events == []

    async def test_no_pods_without_what_they_need(self, cluster: Cluster) -> None:
        cluster.refusals["Role"] = Forbidden("no rights", status=403)
        with pytest.raises(RefusedError, match="Role mixserve-gateway: no rights"):
            await cluster.look()
        assert "Deployment" not in cluster.bodies
        cluster.refusals.clear()
        assert [kind for _, kind in await cluster.look()] == ["Role", "RoleBinding", "Deployment"]

    async def test_what_will_pass_is_tried_again(self, cluster: Cluster) -> None:
        cluster.refusals["Service"] = Unavailable("busy", status=503)
        with pytest.raises(Unavailable):
            await cluster.look()

    async def test_what_nobody_has_thought_of_is_not_swallowed(self, cluster: Cluster) -> None:
        cluster.refusals["Service"] = ValueError("bug")  # type: ignore[assignment]
        with pytest.raises(ValueError, match="bug"):
            await cluster.look()

    async def test_a_namespace_that_is_going_is_left_alone(self, cluster: Cluster) -> None:
        cluster.refusals["Service"] = Terminating("going")
        with pytest.raises(Terminating):
            await cluster.look()

    async def test_what_is_somebody_elses_is_left_alone(self, cluster: Cluster) -> None:
        metadata = {"name": GATEWAY, "namespace": "llm", "uid": "theirs", "resourceVersion": "1"}
        cluster.view.put(SERVICES, {"metadata": metadata, "spec": {}})
        cluster.refusals["Service"] = Conflict("exists", status=409)
        with pytest.raises(RefusedError, match="does not belong to this namespace's gateway"):
            await cluster.look()

    @pytest.mark.parametrize(
        ("labels", "owners"),
        [
            ({}, [{"kind": "RoutingPolicy", "name": "gone", "uid": "gone"}]),
            ({LABEL_GATEWAY: "true"}, []),
            ({LABEL_GATEWAY: "true"}, [{"kind": "RoutingPolicy", "name": "gone", "uid": "gone"}]),
        ],
    )
    async def test_what_was_the_gateways_is_taken_over(
        self, cluster: Cluster, labels: dict[str, str], owners: list[Any]
    ) -> None:
        metadata = {"name": GATEWAY, "namespace": "llm", "uid": "ours", "resourceVersion": "1"}
        metadata |= {"labels": labels, "ownerReferences": owners}
        cluster.view.put(SERVICES, {"metadata": metadata, "spec": {}})
        create = cluster.create

        async def refuse(resource: Resource, body: Any, **options: Any) -> Any:
            if resource is SERVICES:
                raise Conflict("exists", status=409)
            return await create(resource, body, **options)

        cluster.create = refuse  # type: ignore[method-assign]
        assert ("apply", "Service") in await cluster.look()


class TestTheLastPolicy:
    async def test_what_its_policies_own_is_left_to_kubernetes(self, cluster: Cluster) -> None:
        await cluster.look()
        cluster.view.remove(POLICIES, stored_policy())
        assert await cluster.look() == []

    async def test_what_has_no_owner_is_deleted(self, cluster: Cluster) -> None:
        await cluster.look()
        cluster.view.remove(POLICIES, stored_policy())
        service = cluster.bodies["Service"]
        change(cluster, "Service", metadata={**service["metadata"], "ownerReferences": []})
        gone = cluster.bodies["Role"]["metadata"] | {"ownerReferences": [], "deletionTimestamp": "now"}
        change(cluster, "Role", metadata=gone)
        assert await cluster.look() == [("delete", "Service")]
        cluster.refusals["delete"] = Rejected("no", status=403)
        with pytest.raises(RefusedError, match="Service mixserve-gateway"):
            await cluster.look()

    async def test_a_policy_that_is_being_deleted_is_gone(self, cluster: Cluster) -> None:
        going = stored_policy(version=2, generation=2)
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        cluster.view.put(POLICIES, going)
        assert await cluster.look() == []

    async def test_a_new_one_is_not_told_of_repairs(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(repairs, "_TOLD_AGAIN_S", 0.0)
        await cluster.look()
        change(cluster, "Service", spec={})
        await cluster.look()
        cluster.events.clear()
        cluster.view.remove(POLICIES, stored_policy())
        for kind in KINDS:
            cluster.view.remove(WRITTEN_BY_KIND[kind], cluster.bodies[kind])
        await cluster.look()
        cluster.view.put(POLICIES, stored_policy("other"))
        await cluster.look()
        assert cluster.events == []


class TestTheLastValidSpec:
    BAD: ClassVar[dict[str, Any]] = {"shadow": {"poolRef": {"name": "large"}}}

    def noted(self, cluster: Cluster) -> str:
        account = cluster.bodies["ServiceAccount"]
        return str(account["metadata"]["annotations"]["mixserve.dev/last-valid-policies"])

    async def test_it_stays_noted_also_over_a_restart(self, cluster: Cluster) -> None:
        await cluster.look()
        before = self.noted(cluster)
        cluster.view.put(POLICIES, stored_policy(version=2, generation=2, **self.BAD))
        assert await cluster.look() == []
        cluster.operator()
        assert await cluster.look() == []
        cluster.view.put(POLICIES, stored_policy(version=3, generation=3, overrides="Denied"))
        assert await cluster.look() == [("apply", "ServiceAccount")]
        assert self.noted(cluster) != before

    async def test_one_that_can_not_be_read_is_followed_as_it_was(self, cluster: Cluster) -> None:
        await cluster.look()
        cluster.view.put(POLICIES, {**stored_policy(version=2, generation=2), "spec": {"tiers": 5}})
        assert await cluster.look() == []
        status = await cluster.status()
        assert status.conditions[0].reason == "InvalidSpec"
        assert [tier.name for tier in status.tiers] == ["small", "large"]

    async def test_one_that_is_gone_is_forgotten(self, cluster: Cluster) -> None:
        await cluster.look()
        cluster.view.remove(POLICIES, stored_policy())
        cluster.view.remove(SERVICE_ACCOUNTS, cluster.bodies["ServiceAccount"])
        again = stored_policy(version=500, generation=1, **self.BAD)
        again["metadata"]["uid"] = "uid-again"
        cluster.view.put(POLICIES, again)
        await cluster.look()
        assert self.noted(cluster) == "{}"


class TestStatus:
    async def test_it_says_what_is_seen(self, cluster: Cluster) -> None:
        await cluster.look()
        put_pool(cluster, "small", replicas=2)
        put_pool(cluster, "large", replicas=0)
        cluster.view.put(PODS, gateway_pod("a", ready=False))
        status = await cluster.status()
        assert [(one.type, one.reason) for one in status.conditions] == [
            ("Validated", "Valid"),
            ("TargetsFound", "TargetsFound"),
            ("Ready", "GatewayNotReady"),
        ]
        assert status.targets == "1/2"
        [small, large] = [tier.targets[0] for tier in status.tiers]
        assert (small.health, small.ready_replicas, large.health) == ("Ready", 2, "Unavailable")
        assert status.gateway is not None
        assert (status.gateway.address, status.gateway.ready_replicas) == ("http://mixserve-gateway.llm.svc", 0)

    async def test_it_is_written_once_and_its_changes_are_events(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counts(monkeypatch, None)
        await cluster.look()
        put_pool(cluster, "small")
        put_pool(cluster, "large")
        await cluster.status()
        cluster.view.put(PODS, gateway_pod("a"))
        await cluster.status()
        await cluster.status()
        assert cluster.written.count(("status", "auto")) == 2
        assert [event.reason for event, _ in cluster.events] == [Reason.GATEWAY_NOT_READY, Reason.READY]

    async def test_what_can_not_be_written_is_no_event(self, cluster: Cluster) -> None:
        cluster.refusals["status"] = Unavailable("busy")
        assert cluster.parts.reporter is not None
        await cluster.parts.reporter.write_all()
        assert cluster.events == []

    async def test_refusals_are_told_until_they_end(self, cluster: Cluster) -> None:
        cluster.refusals["Role"] = Forbidden("no rights", status=403)
        with pytest.raises(RefusedError):
            await cluster.look()
        assert (await cluster.status()).conditions[-1].reason == "ApplyFailed"
        # That targets are missing as well does not go without saying, nor the other way round.
        assert [event.reason for event, _ in cluster.events] == [Reason.TARGET_NOT_FOUND, Reason.APPLY_FAILED]
        cluster.refusals.clear()
        await cluster.look()
        assert (await cluster.status()).conditions[-1].reason == "GatewayNotReady"

    async def test_with_a_certificate_the_address_is_that_of_tls(self, cluster: Cluster) -> None:
        cluster.operator(tls_secret_name="cert")
        await cluster.look()
        gateway = (await cluster.status()).gateway
        assert gateway is not None
        assert gateway.address == "https://mixserve-gateway.llm.svc"

    async def test_shares_are_those_of_all_gateways_together(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counts(monkeypatch, {"auto": Counter({("small", "small"): 3, ("large", "large"): 1})})
        await cluster.look()
        cluster.view.put(PODS, gateway_pod("a"))
        cluster.view.put(PODS, gateway_pod("b"))
        status = await cluster.status()
        assert [tier.targets[0].share_percent for tier in status.tiers] == [75, 25]

    async def test_they_are_not_told_where_one_gateway_says_nothing(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counts(monkeypatch, None)
        await cluster.look()
        cluster.view.put(PODS, gateway_pod("a"))
        status = await cluster.status()
        assert [tier.targets[0].share_percent for tier in status.tiers] == [None, None]

    async def test_news_are_looked_at_soon_and_a_look_that_fails_ends_nothing(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(policy_status, "_SETTLE_S", 0.0)
        [run] = cluster.parts.runs()
        async with running(run):
            looks = 0

            async def fail() -> None:
                nonlocal looks
                looks += 1
                raise ValueError("bug")

            assert cluster.parts.reporter is not None
            monkeypatch.setattr(cluster.parts.reporter, "write_all", fail)
            for expected in (1, 2):
                cluster.parts.look()
                await until(lambda expected=expected: looks >= expected)

    async def test_it_looks_now_and_then_without_news(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policy_status, "_SETTLE_S", 0.0)
        monkeypatch.setattr(policy_status, "_INTERVAL_S", 0.01)
        [run] = cluster.parts.runs()
        async with running(run):
            await until(lambda: ("status", "auto") in cluster.written)


def counts(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """What each gateway says."""

    async def read(*_: Any) -> Any:
        return answer

    monkeypatch.setattr(policy_status, "read_gateway", read)


async def test_without_gateways_there_is_nothing_to_do() -> None:
    nothing = GatewayParts.of(
        None,
        connection=None,  # type: ignore[arg-type]
        view=ClusterView(),
        specs=ParsedSpecs(),
        session=None,  # type: ignore[arg-type]
        events=None,  # type: ignore[arg-type]
        telemetry=Telemetry(),
    )
    nothing.look()
    await nothing.reconcile(KEY)
    assert (list(nothing.runs()), list(nothing.forgetters)) == ([], [])
