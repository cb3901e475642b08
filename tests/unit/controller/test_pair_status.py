from __future__ import annotations

import asyncio
import copy
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from mixserve.api.names import LABEL_VARIANT, Reason
from mixserve.api.observation import EngineSample, SpeculationCounts
from mixserve.api.speculative_pair import SpeculationMethod, SpeculativePairSpec
from mixserve.apply.resources import PAIRS, PODS, POOLS
from mixserve.controller import pair_status
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import PoolKey, key_of
from mixserve.controller.pair_status import PairReporter
from mixserve.controller.parsed_specs import ParsedSpecs
from mixserve.controller.speculation import SpeculationWatch
from mixserve.controller.speculation_gauges import SpeculationGauges
from mixserve.plan.roofline import Roofline
from mixserve.plan.speed_up import SpeculationSpeed
from mixserve.status.pair_status import PairAssessment
from mixserve.validate.violation import Violation
from support.kube_objects import pod
from support.pool_manifests import pool as manifest
from support.pool_manifests import variant
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from mixserve.apply.resources import Resource

P = PoolKey("ns", "p")
ROOFLINE = Roofline(
    weights_s=0.02, experts_s=0.0, unused_share=0.0, kv_s_per_context_token=0.0, compute_s_per_batch_token=0.001
)
SPEED = SpeculationSpeed(
    pair=SpeculativePairSpec(method=SpeculationMethod.NGRAM), model=ROOFLINE, draft=None, context_tokens=1000
)
VALID = PairAssessment(generations=(1, 1), tokenizers_match="True", speeds={"first": SPEED, "second": SPEED})


def pair(version: int = 1, **metadata: Any) -> dict[str, Any]:
    named = {"name": "lookup", "namespace": "ns", "uid": "pair", "generation": 1, "resourceVersion": str(version)}
    return {"metadata": {**named, **metadata}, "spec": {"method": "NGram"}}


def pool(name: str = "p", namespace: str = "ns", *, names: str | None = "lookup", version: int = 1) -> dict[str, Any]:
    spec = {} if names is None else {"speculativePairRef": {"name": names}}
    raw = manifest(name, variant("first"), variant("second"), **spec)
    metadata = {"namespace": namespace, "uid": f"{namespace}-{name}", "generation": version}
    return {**raw, "metadata": {**raw["metadata"], **metadata, "resourceVersion": str(version)}}


class Cluster:
    """Keeps the statuses that it gets; assesses pools as it is told to."""

    def __init__(self) -> None:
        self.view, self.watch, self.gauges = ClusterView(), SpeculationWatch(), SpeculationGauges()
        self.assessments: dict[PoolKey, PairAssessment | None] = {P: VALID}
        self.written: list[Any] = []
        self.version = 100
        self.reporter = self.operator()

    def operator(self) -> PairReporter:
        return PairReporter(
            self, view=self.view, planner=self, watch=self.watch, gauges=self.gauges, specs=ParsedSpecs()
        )  # type: ignore[arg-type]

    def pair_assessment(self, key: PoolKey) -> PairAssessment | None:
        return self.assessments.get(key)

    async def patch(self, resource: Any, patch: Any, *, namespace: str, name: str, **_: Any) -> Any:
        self.written.append(patch[1]["value"])
        self.version += 1
        known = self.view.get(resource, PoolKey(namespace, name))
        assert known is not None
        now = {**copy.deepcopy(dict(known)), "status": patch[1]["value"]}
        now["metadata"]["resourceVersion"] = str(self.version)
        return now

    def run_engine(self, *, kept: int = 2, running: int = 4) -> None:
        now_s = time.time()
        for at_s, drafts in ((now_s - 5, 0), (now_s, 100)):
            counts = SpeculationCounts(drafts, 3 * drafts, kept * drafts, since_last_read=False)
            self.watch.take(P, variant="second", uid=str(kept), sample=EngineSample(at_s, running, 0, 0.1, counts))

    async def entry(self) -> Any:
        await self.reporter.write_all()
        [entry] = self.written[-1]["pools"]
        return entry


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster()
    found.view.put(PAIRS, pair())
    found.view.put(POOLS, pool())
    return found


def serve(cluster: Cluster, which: str, version: int = 1, *, ready: bool = True) -> None:
    labels = {"mixserve.dev/pool": "p", "mixserve.dev/routable": "true", LABEL_VARIANT: which}
    cluster.view.put(PODS, pod(which, labels=labels, ready=ready, resourceVersion=str(version)))


async def test_numbers_are_those_of_the_first_variant_that_serves(cluster: Cluster) -> None:
    assert "variant" not in await cluster.entry()
    serve(cluster, "second")
    serve(cluster, "first", ready=False)
    cluster.run_engine()
    entry = await cluster.entry()
    assert (entry["variant"], entry["acceptanceRate"], entry["acceptedLength"]) == ("second", "0.67", "3.00")
    assert (entry["batch"], entry["expectedSpeedUp"]) == ("4.0", "3.0")
    serve(cluster, "first", version=2)
    entry = await cluster.entry()
    assert (entry["variant"], "acceptanceRate" in entry) == ("first", False)


@pytest.mark.parametrize("edited", [PAIRS, POOLS])
async def test_an_edit_is_not_answered_with_what_was_known_before(cluster: Cluster, edited: Resource) -> None:
    await cluster.entry()
    raw, generations = (pair(500, generation=2), (1, 2)) if edited is PAIRS else (pool(version=2), (2, 1))
    cluster.view.put(edited, raw)
    cluster.assessments[P] = replace(VALID, tokenizers_match="False")
    assert not await cluster.reporter.write_all()
    assert len(cluster.written) == 1, "that would be said of the wrong generation, and written twice"
    cluster.assessments[P] = replace(VALID, tokenizers_match="False", generations=generations)
    assert (await cluster.entry())["tokenizersMatch"] == "False"


async def test_what_is_not_judged_yet_is_looked_at_again_soon(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_SETTLE_S", 0.0), ("_INTERVAL_S", 3600.0), ("_UNJUDGED_INTERVAL_S", 0.0)):
        monkeypatch.setattr(pair_status, name, value)
    cluster.assessments[P] = None
    async with running(cluster.reporter.run()):
        cluster.reporter.look()
        await until(lambda: not cluster.reporter._news.is_set())
        cluster.assessments[P] = VALID
        await until(lambda: cluster.written)


async def test_a_pair_that_can_not_be_read_is_one_that_its_pools_miss(cluster: Cluster) -> None:
    cluster.view.put(PAIRS, {**pair(2, generation=2), "spec": {"fromTheFuture": True}})
    cluster.assessments[P] = replace(VALID, generations=(1, None))
    await cluster.entry()


async def test_a_pool_that_is_being_deleted_does_not_use_it_any_more(cluster: Cluster) -> None:
    raw = pool(version=2)
    cluster.view.put(POOLS, {**raw, "metadata": {**raw["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    await cluster.reporter.write_all()
    assert cluster.written[-1]["conditions"][0]["reason"] == "NotUsed", "nobody looks at it any more"


async def test_only_pools_of_its_namespace_that_name_it_use_it(cluster: Cluster) -> None:
    for other in (pool("other", names=None), pool("third", names="else"), pool("p", "elsewhere")):
        cluster.view.put(POOLS, other)
        cluster.assessments[key_of(other)] = VALID
    assert (await cluster.entry())["name"] == "p"


async def test_a_pool_that_can_not_be_read_uses_nothing(cluster: Cluster) -> None:
    cluster.view.put(POOLS, {**pool(version=2), "spec": {"speculativePairRef": {"name": "lookup"}}})
    await cluster.reporter.write_all()
    assert cluster.written[-1]["conditions"][0]["reason"] == "NotUsed"


async def test_a_pool_that_was_not_assessed_yet_is_no_news(cluster: Cluster) -> None:
    cluster.assessments[P] = None
    await cluster.reporter.write_all()
    assert cluster.written == []


async def test_what_is_wrong_is_told(cluster: Cluster) -> None:
    wrong = Violation(Reason.DRAFT_MISMATCH, "spec.speculativePairRef.name", "no", "change it")
    cluster.assessments[P] = PairAssessment(generations=(1, 1), tokenizers_match="False", violations=(wrong,))
    entry = await cluster.entry()
    assert entry["tokenizersMatch"] == "False"
    assert cluster.written[-1]["conditions"][0]["reason"] == "DraftMismatch"


async def test_numbers_are_written_once_a_minute_and_only_if_they_move(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(cluster, "second")
    cluster.run_engine()
    await cluster.reporter.write_all()
    await cluster.reporter.write_all()
    assert len(cluster.written) == 1
    cluster.run_engine(kept=0)
    await cluster.reporter.write_all()
    assert len(cluster.written) == 1
    monkeypatch.setattr(pair_status, "_NUMBERS_REST_S", 0.0)
    assert (await cluster.entry())["acceptanceRate"] == "0.33"
    await cluster.reporter.write_all()
    assert len(cluster.written) == 2


async def test_a_restart_writes_nothing(cluster: Cluster) -> None:
    serve(cluster, "second")
    cluster.run_engine()
    await cluster.reporter.write_all()
    cluster.watch = SpeculationWatch()
    await cluster.operator().write_all()
    assert len(cluster.written) == 1


async def test_a_pair_of_the_same_name_is_another_one(cluster: Cluster) -> None:
    await cluster.reporter.write_all()
    [known] = list(cluster.view.pairs.all())
    cluster.view.remove(PAIRS, known)
    cluster.reporter.forget("pair")
    cluster.view.put(PAIRS, pair(900, uid="another"))
    cluster.version = 900
    await cluster.reporter.write_all()
    assert len(cluster.written) == 2


async def test_it_looks_when_there_is_news_and_from_time_to_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_status, "_SETTLE_S", 0.0)
    async with running(cluster.reporter.run()):
        cluster.reporter.look()
        await until(lambda: len(cluster.written) == 1)
    monkeypatch.setattr(pair_status, "_INTERVAL_S", 0.0)
    cluster.assessments[P] = PairAssessment(generations=(1, 1), tokenizers_match="Unknown")
    async with running(cluster.reporter.run()):
        await until(lambda: len(cluster.written) == 2)
        await asyncio.sleep(0)


async def test_a_mistake_of_our_own_stops_nothing(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_status, "_SETTLE_S", 0.0)
    monkeypatch.setattr(pair_status, "_INTERVAL_S", 0.0)
    right = pair_status.build_pair_status
    looks: list[None] = []

    def stumble(**_: Any) -> None:
        looks.append(None)
        raise ZeroDivisionError

    monkeypatch.setattr(pair_status, "build_pair_status", stumble)
    with capture_logs() as logs:
        async with running(cluster.reporter.run()):
            await until(lambda: len(looks) > 1)
            monkeypatch.setattr(pair_status, "build_pair_status", right)
            await until(lambda: cluster.written)
    assert logs[0]["event"] == "pair_look_failed"


async def test_live_numbers_are_metrics(cluster: Cluster) -> None:
    registry = CollectorRegistry()
    registry.register(cluster.gauges)
    serve(cluster, "second")
    await cluster.reporter.write_all()
    labels = '{namespace="ns",pool="p",variant="second"}'
    idle = generate_latest(registry).decode()
    assert f"mixserve_speculation_acceptance_ratio{labels}" not in idle
    assert f"mixserve_speculation_expected_speed_up{labels}" in idle
    cluster.run_engine()
    await cluster.reporter.write_all()
    shown = generate_latest(registry).decode()
    assert f"mixserve_speculation_accepted_length{labels} 3.0" in shown
    cluster.view.remove(POOLS, pool())
    await cluster.reporter.write_all()
    assert labels not in generate_latest(registry).decode()
