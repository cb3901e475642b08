"""Policies, and pools beside policies, as the webhook judges them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.controller.webhook.answering import Answerer
from mixserve.controller.webhook.judging import Judge
from support.admission import review_of
from support.policies import policy_manifest
from support.pool_manifests import pool

if TYPE_CHECKING:
    from mixserve.apply.resources import Resource


def stored(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        "namespace": "team",
        "uid": manifest["metadata"]["name"],
        "resourceVersion": "5",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {**manifest, "metadata": {**manifest["metadata"], **metadata}}


class Lists:
    """The reading half of `Connection`."""

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        self.objects = objects
        self.asked: set[str] = set()

    async def get(self, resource: Resource, **_: Any) -> Any:
        self.asked.add(resource.plural)
        items = [stored(each) for each in self.objects.get(resource.plural, ())]
        return {"metadata": {"resourceVersion": "9"}, "items": items}


async def ask(lists: Lists, manifest: dict[str, Any], *, policies: bool = True) -> dict[str, Any]:
    judge = Judge(lists, policies=policies)  # type: ignore[arg-type]
    answer = await Answerer(judge, lambda _: None).answer(json.dumps(review_of(manifest)).encode())
    response: dict[str, Any] = answer["response"]
    return response


def fields(response: dict[str, Any]) -> list[str]:
    return [cause["field"] for cause in response["status"]["details"]["causes"]]


async def test_a_good_policy_is_let_in() -> None:
    lists = Lists(llmservingpools=[pool("small"), pool("large")])
    assert await ask(lists, policy_manifest()) == {"uid": "question", "allowed": True}


async def test_pools_that_are_not_there_yet_are_warnings() -> None:
    response = await ask(Lists(), policy_manifest())
    assert response["allowed"]
    assert [warning.partition(":")[0] for warning in response["warnings"]] == [
        "spec.tiers[0].targets[0].poolRef.name",
        "spec.tiers[1].targets[0].poolRef.name",
    ]


async def test_a_new_policy_takes_no_name_from_what_is_there() -> None:
    lists = Lists(llmservingpools=[pool("chat")], routingpolicies=[policy_manifest("first", servedNames=["x"])])
    response = await ask(lists, policy_manifest(servedNames=["free", "chat", "x"]))
    assert fields(response) == ["spec.servedNames[1]", "spec.servedNames[2]"]
    assert response["status"]["details"]["kind"] == "RoutingPolicy"


async def test_a_new_pool_takes_no_name_from_a_policy() -> None:
    lists = Lists(routingpolicies=[policy_manifest("first", servedNames=["chat"])])
    broken = await ask(lists, pool("chat"))
    assert fields(broken)[0] == "metadata.name"


async def test_without_gateways_policies_are_not_even_looked_for() -> None:
    lists = Lists(routingpolicies=[policy_manifest("first", servedNames=["chat"])])
    response = await ask(lists, pool("chat"), policies=False)
    assert "metadata.name" not in fields(response)
    assert "routingpolicies" not in lists.asked


async def test_what_can_not_be_read_is_refused_before_anything_is_asked() -> None:
    lists = Lists()
    response = await ask(lists, policy_manifest(tiers=[]))
    assert fields(response) == ["spec.tiers"]
    assert lists.asked == set()


@pytest.mark.parametrize("kind", ["llmservingpools", "routingpolicies"])
async def test_others_that_can_not_be_read_are_left_out(kind: str) -> None:
    lists = Lists(**{kind: [{"metadata": {"name": "auto"}, "spec": {}}]})
    assert (await ask(lists, policy_manifest()))["allowed"]
