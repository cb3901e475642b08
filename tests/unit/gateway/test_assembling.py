"""Objects of the API server become what the gateway knows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from mixserve.api.engine import Task
from mixserve.api.pool import RoutingStrategy
from mixserve.api.routing_policy import ClassifierType, FallbackReason
from mixserve.gateway.assembling import KnownReplica, assemble, know_policy, know_pool, know_replica
from mixserve.route.table import RoutingTable, ShadowEntry, TargetEntry
from mixserve.validate.policies_in_force import policies_in_force
from support.crd_manifests import MANIFESTS
from support.pool_manifests import pool as pool_manifest

CREATED = "2026-01-02T03:04:05Z"


def pool(name: str = "chat", *, created: str = CREATED, taken: bool = False, **spec: Any) -> dict[str, Any]:
    made = pool_manifest(name)
    condition = {"type": "Validated", "status": "False", "reason": "ServedNameTaken"}
    return {
        "metadata": {**made["metadata"], "creationTimestamp": created, "uid": name, "namespace": "llm"},
        "spec": {**made["spec"], **spec},
        "status": {"conditions": [condition] if taken else []},
    }


def policy(name: str = "auto", *, created: str = CREATED, **spec: Any) -> dict[str, Any]:
    tiers = [{"name": "only", "maxComplexity": 5, "targets": [{"poolRef": {"name": "chat"}}]}]
    return {"metadata": {"name": name, "creationTimestamp": created, "uid": name}, "spec": {"tiers": tiers, **spec}}


def pod(address: str = "10.0.0.1", **changes: Any) -> dict[str, Any]:
    labels = {"mixserve.dev/pool": "chat", "mixserve.dev/routable": "true"}
    port = {"name": "http", "containerPort": 8000}
    made: dict[str, Any] = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "sidecar"}, {"name": "engine", "ports": [{"containerPort": 1}, port]}]},
        "status": {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    return {**made, **changes}


def table(*objects: dict[str, Any], replicas: tuple[KnownReplica, ...] = ()) -> RoutingTable:
    pools = [know_pool(each) for each in objects if "variants" in each["spec"]]
    known = [each for each in pools if each]
    policies = [know_policy(each).written for each in objects if "tiers" in each["spec"]]
    followed = policies_in_force([each for each in policies if each], pools=[each.pool for each in known], before={})
    return assemble("llm", pools=known, policies=followed, replicas=replicas)


def names(made: RoutingTable) -> dict[str, tuple[str, ...]]:
    return {each.name: each.served_names for each in (*made.pools, *made.policies)}


def test_a_pool_has_the_replicas_that_take_requests() -> None:
    replicas = (KnownReplica(pool="chat", address="b:1"), KnownReplica(pool="chat", address="a:1"))
    [entry] = table(pool(), replicas=(*replicas, KnownReplica(pool="gone", address="c:1"))).pools
    assert entry.endpoints == ("a:1", "b:1")
    assert (entry.strategy, entry.prices) == (RoutingStrategy.PREFIX_AWARE, None)


def test_a_pool_is_for_its_task() -> None:
    entries = table(pool("text"), pool("vectors", task="Embed")).pools
    assert [entry.task for entry in entries] == [Task.GENERATE, Task.EMBED]


def test_a_pod_counts_while_it_is_ready_and_routable() -> None:
    assert know_replica(pod()) == KnownReplica(pool="chat", address="10.0.0.1:8000")
    assert know_replica(pod("fd00::1")) == KnownReplica(pool="chat", address="[fd00::1]:8000")
    assert know_replica(pod(metadata={"labels": {"mixserve.dev/pool": "chat"}})) is None
    assert know_replica(pod(metadata={})) is None
    assert know_replica(pod(status={})) is None
    assert know_replica(pod(spec={"containers": [{"name": "engine", "ports": []}]})) is None
    assert know_replica(pod(spec={})) is None


def test_given_prices_win_over_predicted_ones() -> None:
    predicted = {"promptPerMillion": "0.1", "cachedPromptPerMillion": "0.02", "completionPerMillion": "0.5"}
    made = pool()
    made["status"]["prices"] = predicted
    [entry] = table(made).pools
    assert entry.prices is not None
    assert (entry.prices.prompt, entry.prices.cached_prompt, entry.prices.completion) == (
        Decimal("0.1"),
        Decimal("0.02"),
        Decimal("0.5"),
    )
    made["spec"]["prices"] = {"prompt": "3", "completion": "9"}
    [entry] = table(made).pools
    assert entry.prices is not None
    assert (entry.prices.prompt, entry.prices.cached_prompt) == (3, 0)


@pytest.mark.parametrize("price", ["cheap", "", "NaN", "sNaN", "Infinity", "-Infinity", "-1", None])
def test_what_is_no_price_is_none(price: str | None) -> None:
    made = pool()
    made["status"]["prices"] = {
        "promptPerMillion": "1",
        "cachedPromptPerMillion": price,
        "completionPerMillion": "1",
    }
    assert table(made).pools[0].prices is None
    del made["status"]["prices"]["cachedPromptPerMillion"]
    assert table(made).pools[0].prices is None


def test_a_policy_is_taken_over_whole() -> None:
    manifest = MANIFESTS["RoutingPolicy"]
    made = {**manifest, "metadata": {**manifest["metadata"], "creationTimestamp": CREATED}}
    [entry] = table(made).policies
    assert entry.served_names == ("auto", "Auto:1")
    assert (entry.classifier, entry.classifier_pool, entry.classifier_timeout_s) == (
        ClassifierType.LLM,
        "qwen-8b",
        0.25,
    )
    assert entry.tiers[0].targets[0] == TargetEntry(pool="qwen-8b", priority=1, weight=90)
    assert entry.fallback_when == {FallbackReason.OVERLOADED}
    assert entry.first_byte_timeout_s == 30.0
    assert not entry.may_override
    assert entry.shadow == ShadowEntry(pool="llama-70b-fp8", percent=5)


def test_the_older_one_keeps_a_name() -> None:
    later = "2026-02-02T03:04:05Z"
    made = table(pool("one", servedNames=["gpt", "one"], created=later), policy("auto", servedNames=["gpt", "auto"]))
    assert names(made) == {"one": ("one",), "auto": ("gpt", "auto")}
    made = table(pool("one", servedNames=["gpt", "one"]), pool("two", servedNames=["gpt", "two"], created=later))
    assert names(made) == {"one": ("gpt", "one"), "two": ("two",)}


def test_who_was_refused_a_name_has_none_of_it_however_old() -> None:
    later = "2026-02-02T03:04:05Z"
    made = table(pool("old", servedNames=["gpt"], taken=True), pool("new", servedNames=["gpt"], created=later))
    assert names(made) == {"old": (), "new": ("gpt",)}


def test_what_cannot_be_read_is_left_out_and_told_of() -> None:
    with capture_logs() as logs:
        made = table(pool("one"), pool("two", model={"source": "nowhere"}), policy("auto", tiers=[]))
    assert names(made) == {"one": ("one",)}
    assert [(entry["event"], entry["kind"], entry["name"]) for entry in logs] == [
        ("object_unreadable", "LLMServingPool", "two"),
        ("object_unreadable", "RoutingPolicy", "auto"),
    ]


def test_adapters_are_names_of_their_pool() -> None:
    adapters = [{"name": "sql", "source": "pvc://adapters/sql"}, {"name": "auto", "source": "pvc://adapters/auto"}]
    manifest = pool_manifest("one")["spec"]["model"]
    older = policy("auto", created="2025-01-01T00:00:00Z")
    made = table(pool("one", model={**manifest, "adapters": adapters}), older)
    assert names(made) == {"one": ("one", "sql"), "auto": ("auto",)}
    assert made.pools[0].adapters == {"sql", "auto"}
