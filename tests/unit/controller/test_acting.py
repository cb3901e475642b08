from __future__ import annotations

from typing import Any

import pytest

from mixserve.apply.errors import ApiError, Conflict, Forbidden, NotFound
from mixserve.apply.resources import DEPLOYMENTS, PODS
from mixserve.autoscale.actions import Action, Drain, Restore, SetReplicas
from mixserve.controller.acting import Actor
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.refusals import Refusals
from mixserve.observe.deployments import is_rolling_out
from support.kube_objects import deployment, pod
from support.recording_connection import RecordingConnection

KEY = PoolKey("ns", "p")


class Stage:
    """An actor over a Deployment with two replicas and a pod called a."""

    def __init__(self, **answers: Any) -> None:
        self.connection = RecordingConnection(**answers)
        self.view, self.refusals = ClusterView(), Refusals()
        self.view.put(DEPLOYMENTS, deployment())
        self.view.put(PODS, pod("a"))

    async def act(self, *actions: Action) -> bool:
        actor = Actor(self.connection, view=self.view)
        return await actor.act(KEY, actions, deployments={"v": "p-v"}, refusals=self.refusals, now_s=7.0)

    @property
    def written(self) -> list[str]:
        """The names of the objects that were written, in order."""
        return [where["name"] for _, (where, _) in self.connection.calls]


def scale(replicas: int | None) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "9"}, "spec": {} if replicas is None else {"replicas": replicas}}


@pytest.mark.parametrize(("answer", "replicas"), [(5, 5), (None, 0)])
async def test_replicas_are_written_and_known_at_once(answer: int | None, replicas: int) -> None:
    stage = Stage(patch=scale(answer))
    assert await stage.act(SetReplicas(variant="v", seen=2, replicas=replicas, reason="more"))
    live = stage.view.get(DEPLOYMENTS, PoolKey("ns", "p-v"))
    assert live is not None
    assert live["spec"]["replicas"] == replicas
    assert live["metadata"]["resourceVersion"] == "9"
    # Until the Deployment controller has seen it.
    assert is_rolling_out(live)


@pytest.mark.parametrize("error", [Conflict("no"), NotFound("gone", status=404)])
async def test_where_the_decision_was_about_something_else_nothing_more_is_done(error: ApiError) -> None:
    stage = Stage(patch=error)
    assert not await stage.act(SetReplicas("v", 2, 5, "more"), Drain("v", ("a",)))
    assert isinstance(stage.refusals.passing, Conflict)
    assert stage.written == ["p-v"]


async def test_a_deployment_that_is_gone_is_not_written() -> None:
    stage = Stage()
    stage.view.remove(DEPLOYMENTS, deployment())
    assert not await stage.act(SetReplicas("v", 2, 5, "more"))
    assert (stage.written, type(stage.refusals.passing)) == ([], Conflict)


async def test_pods_drain_and_come_back() -> None:
    drained = pod("a", resourceVersion="2", labels={"mixserve.dev/pool": "p"})
    stage = Stage(patch=drained)
    assert not await stage.act(Drain("v", ("a",)))
    where, body = stage.connection.calls[0][1]
    assert where == {"resource": "pods", "namespace": "ns", "name": "a"}
    assert body["metadata"]["uid"] == "uid-a"
    live = stage.view.pods.get(PoolKey("ns", "a"))
    assert live is not None
    assert "mixserve.dev/routable" not in live["metadata"]["labels"]

    stage.connection.answers["patch"] = pod("a", resourceVersion="3")
    await stage.act(Restore("v", ("a",)))
    live = stage.view.pods.get(PoolKey("ns", "a"))
    assert live is not None
    assert live["metadata"]["labels"]["mixserve.dev/routable"] == "true"


async def test_a_pod_that_is_known_to_be_gone_is_left_in_peace() -> None:
    stage = Stage()
    await stage.act(Drain("v", ("gone",)), Restore("v", ("gone",)))
    assert stage.written == []


async def test_a_pod_that_turns_out_to_be_gone_is_forgotten_and_holds_nothing_up() -> None:
    stage = Stage(patch=NotFound("gone", status=404))
    stage.view.put(PODS, pod("b"))
    await stage.act(Drain("v", ("a", "b")))
    assert stage.written == ["a", "b"]
    assert list(stage.view.pods.all()) == []
    assert (stage.refusals.lasting, stage.refusals.passing) == ([], None)


async def test_a_refusal_is_told_and_holds_nothing_up() -> None:
    stage = Stage(patch=Forbidden("a policy", status=403))
    assert not await stage.act(Restore("v", ("a",)), SetReplicas("v", 2, 5, "more"))
    assert stage.refusals.lasting == [
        "the replicas of Deployment p-v: a policy",
        "the labels of Pod a: a policy",
    ]


async def test_growth_comes_first_and_new_drains_last() -> None:
    stage = Stage(patch=Forbidden("noted, and no more", status=403))
    grow, shrink = SetReplicas("v", 2, 5, "more"), SetReplicas("w", 2, 1, "fewer")
    actor = Actor(stage.connection, view=stage.view)
    stage.view.put(DEPLOYMENTS, deployment("p-w"))
    for name in ("b", "c"):
        stage.view.put(PODS, pod(name))
    actions = (Drain("v", ("b",)), shrink, Restore("v", ("c",)), grow)
    names = {"v": "p-v", "w": "p-w"}
    await actor.act(KEY, actions, deployments=names, refusals=stage.refusals, now_s=7.0)
    assert stage.written == ["p-v", "c", "p-w", "b"]
