from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.pool import LLMServingPool
from mixserve.apply.errors import NotFound, Rejected, Unavailable
from mixserve.apply.resources import ACCELERATORS, POOLS
from mixserve.observe.live_pools import read_catalog, read_pools
from support import pool_manifests
from support.manifests import accelerator_like
from support.pairs import pair_manifest
from support.recording_connection import RecordingConnection


class Cluster(RecordingConnection):
    """Lists and objects by resource; other lists are empty."""

    def __init__(self, pool: Any, **answers: Any) -> None:
        super().__init__(**answers)
        self.by_plural: dict[str, Any] = {POOLS.plural: pool}

    async def get(self, resource: Any, *, namespace: str = "", name: str = "", **_: Any) -> Any:
        self.calls.append(("get", (resource.plural, namespace, name)))
        answer = self.by_plural.get(resource.plural, {"items": []})
        if isinstance(answer, Exception):
            raise answer
        return answer


def manifest() -> LLMServingPool:
    written = pool_manifests.pool()
    written["metadata"]["namespace"] = "llm"
    return LLMServingPool.parse(written)


async def test_a_pool_is_read_with_all_that_it_consists_of() -> None:
    cluster = Cluster({"kind": "LLMServingPool"})
    cluster.by_plural["services"] = {"items": [{"metadata": {"name": "chat"}}]}

    (found,) = await read_pools(cluster, [manifest()])

    assert found.pool == {"kind": "LLMServingPool"}
    assert found.objects == ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "chat"}},)
    assert found.refusal == ""


async def test_only_what_was_written_is_tried() -> None:
    cluster = Cluster(NotFound("none"))

    (found,) = await read_pools(cluster, [manifest()])

    assert found.pool is None
    ((_, body),) = [call for call in cluster.calls if call[0] == "try_apply"]
    assert body["metadata"] == {"name": "chat", "namespace": "llm"}
    assert body["spec"] == pool_manifests.pool()["spec"]


async def test_a_refusal_is_an_answer() -> None:
    (found,) = await read_pools(
        Cluster(None, try_apply=Rejected("dry-run /apis/x/chat: 422: not so", status=422)), [manifest()]
    )

    assert found.refusal == "not so"


async def test_no_answer_is_none() -> None:
    with pytest.raises(Unavailable):
        await read_pools(Cluster(None, try_apply=Unavailable("no answer")), [manifest()])


async def test_entries_of_the_catalogue_that_can_not_be_read_are_left_out() -> None:
    cluster = Cluster(None)
    mine = accelerator_like("mine").to_wire()
    cluster.by_plural[ACCELERATORS.plural] = {
        "items": [{key: mine[key] for key in ("metadata", "spec")}, {"metadata": {"name": "odd"}, "spec": {"x": 1}}]
    }

    found = await read_catalog(cluster)

    assert (found.formats, list(found.accelerators)) == ({}, ["mine"])


async def test_pairs_are_read_where_the_pool_names_one() -> None:
    written = pool_manifests.pool(speculativePairRef={"name": "pair"})
    written["metadata"]["namespace"] = "llm"
    cluster = Cluster(None)
    cluster.by_plural["speculativepairs"] = {
        "items": [pair_manifest(), {"metadata": {"name": "unreadable"}, "spec": {"fromTheFuture": True}}]
    }

    (found, without) = await read_pools(cluster, [LLMServingPool.parse(written), manifest()])

    assert list(found.pairs) == ["pair"]
    assert without.pairs == {}
    assert cluster.calls.count(("get", ("speculativepairs", "llm", ""))) == 1
