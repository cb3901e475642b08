"""Pools that name a SpeculativePair, from the caches to the plan, and over a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import ANNOTATION_LAST_VALID_PAIR, Reason
from mixserve.apply.resources import DEPLOYMENTS, PAIRS, POOLS, SERVICE_ACCOUNTS
from mixserve.controller.object_cache import key_of
from mixserve.observe.model_files import ModelConfigReader
from mixserve.plan.speed_up import expected_speed_up
from support.manifests import LLAMA_8B
from support.pairs import DRAFT_CONFIG, pair_manifest
from support.planners import planner_on, stored, view_of_catalog
from support.pool_manifests import pool

if TYPE_CHECKING:
    from pathlib import Path

    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.planning import Planner
    from mixserve.controller.pool_plan import Assessment, PoolPlan


def pair(method: str = "NGram", *, version: int = 1, **spec: Any) -> Any:
    return stored(pair_manifest(method, **spec), version=version, generation=version)


@pytest.fixture
def view() -> ClusterView:
    return view_of_catalog()


@pytest.fixture
def planner(view: ClusterView) -> Planner:
    return planner_on(view)


async def assess(planner: Planner, view: ClusterView, **spec: Any) -> Assessment:
    raw = stored(pool(speculativePairRef={"name": "pair"}, **spec))
    view.put(POOLS, raw)
    return await planner.assess(key_of(raw), raw)


def planned(found: Assessment) -> PoolPlan:
    assert found.violations == ()
    assert found.plan is not None
    return found.plan


def command_of(plan: PoolPlan) -> list[str]:
    (deployment,) = (one.body for one in plan.objects if one.kind == "Deployment")
    words: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return words


def apply(view: ClusterView, plan: PoolPlan, **changes: Any) -> None:
    """Make the pool's ServiceAccount, which notes what it was made from."""
    body = plan.objects[0].body
    metadata = {**body["metadata"], "uid": "uid-account", "resourceVersion": "7"}
    annotations = {**metadata["annotations"], **changes}
    view.put(SERVICE_ACCOUNTS, {**body, "metadata": {**metadata, "annotations": annotations}})


async def test_a_pool_with_a_pair_speculates(planner: Planner, view: ClusterView) -> None:
    view.put(PAIRS, pair())
    plan = planned(await assess(planner, view))
    assert "--speculative-config" in command_of(plan)
    speed = plan.speeds["main"]
    assert speed is not None
    assert expected_speed_up(speed, batch=1).factor > 1


async def test_a_pool_without_one_does_not(planner: Planner, view: ClusterView) -> None:
    view.put(PAIRS, pair())
    raw = stored(pool())
    view.put(POOLS, raw)
    plan = planned(await planner.assess(key_of(raw), raw))
    assert plan.speeds == {}
    assert ANNOTATION_LAST_VALID_PAIR not in plan.objects[0].body["metadata"]["annotations"]


async def test_without_numbers_there_is_no_speed(planner: Planner, view: ClusterView) -> None:
    view.put(PAIRS, pair())
    plan = planned(await assess(planner, view, model={"facts": None}))
    assert plan.speeds == {"main": None}


async def test_a_pair_of_another_namespace_is_none(planner: Planner, view: ClusterView) -> None:
    elsewhere = pair()
    elsewhere["metadata"]["namespace"] = "other"
    view.put(PAIRS, elsewhere)
    assert [one.reason for one in (await assess(planner, view)).violations] == [Reason.UNKNOWN_SPECULATIVE_PAIR]


async def test_a_pair_that_cannot_be_read_is_as_good_as_none(planner: Planner, view: ClusterView) -> None:
    view.put(PAIRS, pair(fromTheFuture=True))
    assert [one.reason for one in (await assess(planner, view)).violations] == [Reason.UNKNOWN_SPECULATIVE_PAIR]


async def test_a_changed_pair_is_planned_anew_and_a_status_is_not(planner: Planner, view: ClusterView) -> None:
    view.put(PAIRS, pair(tokens=2))
    before = await assess(planner, view)
    view.put(
        PAIRS, {**pair(tokens=2), "status": {"pools": []}, "metadata": {**pair()["metadata"], "resourceVersion": "2"}}
    )
    assert await assess(planner, view) is before
    view.put(PAIRS, pair(tokens=5, version=3))
    assert any('"num_speculative_tokens":5' in word for word in command_of(planned(await assess(planner, view))))


async def test_the_draft_is_read_as_well(planner: Planner, view: ClusterView, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "vocab_size": 32000}')
    view.put(PAIRS, pair("DraftModel", draft={"source": f"host://{tmp_path}"}))
    found = await assess(planner, view)
    assert Reason.DRAFT_MISMATCH in {one.reason for one in found.violations}


class Late(ModelConfigReader):
    """Knows a draft as soon as it is told to."""

    config: dict[str, Any] | None = None

    async def read(self, *_: Any) -> dict[str, Any] | None:
        return self.config


async def test_a_draft_that_is_read_late_leaves_the_pods_as_they_are(view: ClusterView) -> None:
    view.put(PAIRS, pair("DraftModel"))
    reader = Late()
    planner = planner_on(view, reader)
    before = planned(await assess(planner, view))
    apply(view, before)
    for one in before.objects:
        if one.kind == DEPLOYMENTS.kind:
            metadata = {**one.body["metadata"], "uid": "uid-deployment", "resourceVersion": "8"}
            view.put(DEPLOYMENTS, {**one.body, "metadata": metadata})
    reader.config = dict(DRAFT_CONFIG)
    after = planned(await assess(planner, view))
    assert after.objects == before.objects
    assert after.priors != before.priors, "what is decided takes the draft's memory into account"
    assert planned(await assess(planner_on(view, reader), view)).objects == before.objects, "after a restart as well"


@pytest.mark.parametrize("becomes", ["gone", "another", "wrong"])
async def test_a_restarted_operator_goes_on_with_the_pair_that_runs(view: ClusterView, becomes: str) -> None:
    draft = {"source": "pvc://drafts/one", "facts": LLAMA_8B.to_wire()}
    view.put(PAIRS, pair("DraftModel", draft=draft))
    before = planned(await assess(planner_on(view), view))
    apply(view, before)
    if becomes == "gone":
        view.remove(PAIRS, pair())
    else:
        other = pair(tokens=9, version=2) if becomes == "another" else pair(fromTheFuture=True, version=2)
        view.put(PAIRS, other)
    restarted = await planner_on(view).recover(stored(pool(speculativePairRef={"name": "pair"})))
    assert restarted is not None
    assert restarted.objects == before.objects


@pytest.mark.parametrize("noted", ["{", '{"fromTheFuture": true}', "null"])
async def test_a_note_that_cannot_be_read_leaves_what_runs_as_it_is(view: ClusterView, noted: str) -> None:
    view.put(PAIRS, pair())
    apply(
        view,
        planned(await assess(planner_on(view), view)),
        **{ANNOTATION_LAST_VALID_PAIR: noted},
    )
    raw = stored(pool(speculativePairRef={"name": "pair"}))
    assert await planner_on(view).recover(raw) is None


class TestView:
    def test_a_pair_concerns_the_pools_of_its_namespace_that_name_it(self, view: ClusterView) -> None:
        named, other, elsewhere = (stored(pool(name, speculativePairRef={"name": "pair"})) for name in "abc")
        other["spec"]["speculativePairRef"] = {"name": "another"}
        elsewhere["metadata"]["namespace"] = "other"
        for raw in (named, other, elsewhere, stored(pool("d"))):
            view.put(POOLS, raw)
        assert view.put(PAIRS, pair()) == {key_of(named)}
        assert view.put(PAIRS, pair(tokens=2, version=2)) == {key_of(named)}
        assert view.remove(PAIRS, pair(tokens=2, version=2)) == {key_of(named)}

    def test_a_status_of_a_pair_concerns_nobody(self, view: ClusterView) -> None:
        view.put(POOLS, stored(pool(speculativePairRef={"name": "pair"})))
        view.put(PAIRS, pair())
        written = {**pair(), "status": {"pools": []}}
        written["metadata"] = {**written["metadata"], "resourceVersion": "9"}
        assert view.put(PAIRS, written) == set()
        assert view.pairs_in("ns") == [written]
        assert view.pairs_in("other") == []

    def test_a_pair_of_the_same_name_is_another_one(self, view: ClusterView) -> None:
        view.put(POOLS, stored(pool(speculativePairRef={"name": "pair"})))
        view.put(PAIRS, pair())
        other = pair()
        other["metadata"] = {**other["metadata"], "uid": "another", "resourceVersion": "9"}
        assert len(view.put(PAIRS, other)) == 1
