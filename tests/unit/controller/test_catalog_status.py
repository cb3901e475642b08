from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from structlog.testing import capture_logs

from mixserve.apply.errors import Conflict, NotFound, Unavailable
from mixserve.apply.resources import ACCELERATORS, FORMATS, POOLS
from mixserve.controller import catalog_status, status_writer
from mixserve.controller.catalog_status import CatalogReporter
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.parsed_specs import ParsedSpecs
from mixserve.observe import feed
from support.crd_manifests import MANIFESTS
from support.waiting_in_loop import running, until


class Cluster:
    """Has one node with 24 GPUs, and keeps the statuses that it gets."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []
        self.error: Exception | None = None
        self.version = 100
        self.lists = {"nodes": [node()], "pods": []}
        self.view = ClusterView()

    async def list_page(self, resource: Any, **_: Any) -> Any:
        items = self.lists[resource.plural]
        if isinstance(items, Exception):
            raise items
        return {"items": items, "metadata": {"resourceVersion": "5"}}

    async def watch(self, *_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()
        yield

    async def patch(self, resource: Any, patch: Any, *, name: str, **_: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.written.append((f"{resource.kind}/{name}", patch[1]["value"]))
        self.version += 1
        known = self.view.get(resource, catalog_status.key_of({"metadata": {"name": name}}))
        assert known is not None
        now = {**copy.deepcopy(dict(known)), "status": patch[1]["value"]}
        now["metadata"]["resourceVersion"] = str(self.version)
        return now

    def of(self, name: str) -> list[Any]:
        return [status for written, status in self.written if written == name]


def node() -> dict[str, Any]:
    return {
        "metadata": {"name": "n", "uid": "n", "labels": {"nvidia.com/gpu.compute.major": "8"}},
        "status": {"allocatable": {"nvidia.com/gpu": "24"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def entry(kind: str, version: int = 1, **metadata: Any) -> dict[str, Any]:
    manifest = {key: part for key, part in MANIFESTS[kind].items() if key != "status"}
    named = {"name": kind.lower(), "uid": kind, "generation": 1, "resourceVersion": str(version), **metadata}
    return {**manifest, "metadata": named}


def pool(version: int = 1, name: str = "p", **metadata: Any) -> dict[str, Any]:
    raw = entry("LLMServingPool", version, name=name, namespace="ns", uid=name, **metadata)
    [first, *_] = raw["spec"]["variants"]
    variant = {**first, "quantization": "quantizationformat", "accelerator": "acceleratorclass"}
    return {**raw, "spec": {**raw["spec"], "variants": [variant]}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_status, "_SETTLE_S", 0.0)
    monkeypatch.setattr(catalog_status, "_RETRY_S", 0.0)
    monkeypatch.setattr(feed, "_FIRST_PAUSE_S", 0.0)


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster()
    found.view.put(FORMATS, entry("QuantizationFormat"))
    found.view.put(ACCELERATORS, entry("AcceleratorClass"))
    found.view.put(POOLS, pool())
    return found


@pytest.fixture
def reporter(cluster: Cluster) -> CatalogReporter:
    return CatalogReporter(cluster, cluster.view, ParsedSpecs())  # type: ignore[arg-type]


async def test_it_says_what_there_is_and_who_uses_it(cluster: Cluster, reporter: CatalogReporter) -> None:
    async with running(reporter.run()):
        await until(lambda: len(cluster.written) == 2)
    [qf], [ac] = cluster.of("QuantizationFormat/quantizationformat"), cluster.of("AcceleratorClass/acceleratorclass")
    assert qf == {"observedGeneration": 1, "pools": 1, "usedBy": ["ns/p"]}
    assert (ac["nodes"], ac["readyNodes"], ac["gpus"], ac["freeGpus"]) == (1, 1, 24, 24)
    assert (ac["pools"], ac["usedBy"]) == (1, ["ns/p"])
    assert ac["conditions"][0]["reason"] == "NodesFound"


async def test_what_is_as_it_was_is_not_written(cluster: Cluster, reporter: CatalogReporter) -> None:
    async with running(reporter.run()):
        await until(lambda: len(cluster.written) == 2)
        assert await reporter.write_all()
        again = CatalogReporter(cluster, cluster.view, ParsedSpecs())  # type: ignore[arg-type]
        async with running(again.run()):
            await until(lambda: not isinstance(again._nodes.seen, feed.Unseen))
            assert await again.write_all()
    assert len(cluster.written) == 2


async def test_gpus_are_not_judged_before_nodes_and_pods_are_listed(
    cluster: Cluster, reporter: CatalogReporter
) -> None:
    assert await reporter.write_all()
    assert [name for name, _ in cluster.written] == ["QuantizationFormat/quantizationformat"]


async def test_the_end_of_a_pool_is_the_end_of_a_user(cluster: Cluster, reporter: CatalogReporter) -> None:
    await reporter.write_all()
    cluster.view.remove(POOLS, pool())
    await reporter.write_all()
    assert [status["pools"] for status in cluster.of("QuantizationFormat/quantizationformat")] == [1, 0]


async def test_a_pool_or_an_entry_that_can_not_be_read_does_not_count(
    cluster: Cluster, reporter: CatalogReporter
) -> None:
    cluster.view.put(POOLS, {**pool(2, "q"), "spec": {}})
    cluster.view.put(ACCELERATORS, {**entry("AcceleratorClass", 2, uid="b", name="bad"), "spec": {}})
    async with running(reporter.run()):
        await until(lambda: len(cluster.written) == 2)
    assert cluster.of("QuantizationFormat/quantizationformat")[0]["usedBy"] == ["ns/p"]


async def test_a_mistake_of_our_own_stops_nothing(
    cluster: Cluster, reporter: CatalogReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = catalog_status.build_format_status
    monkeypatch.setattr(catalog_status, "build_format_status", lambda **_: 1 / 0)
    with capture_logs() as logs:
        async with running(reporter.run()) as work:
            reporter.look()
            await until(lambda: "catalog_look_failed" in [entry["event"] for entry in logs])
            assert not work.done()
            monkeypatch.setattr(catalog_status, "build_format_status", right)
            await until(lambda: len(cluster.written) == 2)


@pytest.mark.parametrize("error", [NotFound("404", status=404), Conflict("422", status=422)])
async def test_an_entry_that_is_gone_is_left_to_its_watch(
    cluster: Cluster, reporter: CatalogReporter, error: Exception
) -> None:
    cluster.error = error
    assert await reporter.write_all()


async def test_what_could_not_be_written_is_tried_again(cluster: Cluster, reporter: CatalogReporter) -> None:
    cluster.error = Unavailable("500", status=500)
    assert not await reporter.write_all()
    async with running(reporter.run()):
        await until(lambda: reporter._nodes.seen)
        cluster.error = None
        await until(lambda: len(cluster.written) == 2)


async def test_each_failure_puts_off_the_next_try_instead_of_adding_one(
    cluster: Cluster, reporter: CatalogReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_status, "_RETRY_S", 3600.0)
    cluster.error = Unavailable("500", status=500)
    async with running(reporter.run()):
        await until(lambda: reporter._retry is not None)
        first = reporter._retry
        assert first is not None
        reporter.look()
        await until(lambda: reporter._retry is not first)
        assert first.cancelled()
        cluster.error = None
        reporter.look()
        await until(lambda: reporter._retry is None)


async def test_two_operators_do_not_correct_each_other_forever(
    cluster: Cluster, reporter: CatalogReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reporter.write_all()
    theirs = {"observedGeneration": 1, "pools": 7, "usedBy": []}
    cluster.view.put(FORMATS, {**entry("QuantizationFormat", 500), "status": theirs})
    await reporter.write_all()
    assert len(cluster.written) == 1
    # What has really changed is written.
    cluster.view.put(POOLS, pool(3, "q"))
    cluster.version = 600
    await reporter.write_all()
    assert [status["pools"] for _, status in cluster.written] == [1, 2]
    # And after a while what somebody else has written by mistake is put right.
    cluster.view.put(FORMATS, {**entry("QuantizationFormat", 700), "status": theirs})
    monkeypatch.setattr(status_writer, "_CORRECTED_AFTER_S", -1.0)
    await reporter.write_all()
    assert [status["pools"] for _, status in cluster.written] == [1, 2, 2]


async def test_an_entry_of_the_same_name_is_another_one(cluster: Cluster, reporter: CatalogReporter) -> None:
    await reporter.write_all()
    for known in list(cluster.view.formats.all()):
        cluster.view.remove(FORMATS, known)
    reporter.forget("QuantizationFormat")
    cluster.view.put(FORMATS, entry("QuantizationFormat", 900))
    cluster.version = 900
    await reporter.write_all()
    assert len(cluster.written) == 2
