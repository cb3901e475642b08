from __future__ import annotations

from typing import Any

import pytest

from mixserve.apply.errors import Conflict
from mixserve.apply.resources import DEPLOYMENTS, PODS
from mixserve.autoscale.actions import Action, Drain, Restore, SetReplicas
from mixserve.controller.acting import Actor
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import PoolKey
from mixserve.observe.deployments import is_rolling_out
from support.kube_objects import deployment, pod
from support.recording_connection import RecordingConnection

KEY = PoolKey("ns", "p")


async def act(connection: RecordingConnection, view: ClusterView, *actions: Action) -> bool:
    return await Actor(connection, view=view).act(KEY, actions, deployments={"v": "p-v"}, now_s=7.0)


@pytest.fixture
def view() -> ClusterView:
    view = ClusterView()
    view.put(DEPLOYMENTS, deployment())
    view.put(PODS, pod("a"))
    return view


def scale(replicas: int | None) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "9"}, "spec": {} if replicas is None else {"replicas": replicas}}


@pytest.mark.parametrize(("answer", "replicas"), [(5, 5), (None, 0)])
async def test_replicas_are_written_and_known_at_once(view: ClusterView, answer: int | None, replicas: int) -> None:
    connection = RecordingConnection(patch=scale(answer))
    assert await act(connection, view, SetReplicas(variant="v", seen=2, replicas=replicas, reason="more"))
    live = view.get(DEPLOYMENTS, PoolKey("ns", "p-v"))
    assert live is not None
    assert live["spec"]["replicas"] == replicas
    assert live["metadata"]["resourceVersion"] == "9"
    # Until the Deployment controller has seen it.
    assert is_rolling_out(live)


async def test_what_changed_meanwhile_is_not_overwritten(view: ClusterView) -> None:
    with pytest.raises(Conflict):
        await act(RecordingConnection(patch=Conflict("no")), view, SetReplicas("v", 2, 5, "more"))


async def test_pods_drain_and_come_back(view: ClusterView) -> None:
    drained = pod("a", resourceVersion="2", labels={"mixserve.dev/pool": "p"})
    connection = RecordingConnection(patch=drained)
    assert not await act(connection, view, Drain("v", ("a",)))
    where, body = connection.calls[0][1]
    assert where == {"resource": "pods", "namespace": "ns", "name": "a"}
    assert body["metadata"]["uid"] == "uid-a"
    live = view.pods.get(PoolKey("ns", "a"))
    assert live is not None
    assert "mixserve.dev/routable" not in live["metadata"]["labels"]

    connection.answers["patch"] = pod("a", resourceVersion="3")
    await act(connection, view, Restore("v", ("a",)))
    live = view.pods.get(PoolKey("ns", "a"))
    assert live is not None
    assert live["metadata"]["labels"]["mixserve.dev/routable"] == "true"


async def test_a_pod_that_is_gone_is_left_in_peace(view: ClusterView) -> None:
    connection = RecordingConnection()
    await act(connection, view, Drain("v", ("gone",)), Restore("v", ("gone",)))
    assert connection.calls == []
