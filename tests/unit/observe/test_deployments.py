from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.observation import Missing, MissingReason
from mixserve.observe.deployments import is_rolling_out, observe_variant
from mixserve.observe.pods import observe_pod
from support.kube_objects import deployment, pod


def test_without_a_deployment_there_are_no_replicas() -> None:
    seen = observe_variant("v", deployment=None, pods=[])
    assert (seen.replicas, seen.rolling_out) == (None, False)


def test_pods_come_oldest_first() -> None:
    missing = Missing(MissingReason.NOT_SCRAPED)
    stamps = {"a": "2026-01-02T03:04:06Z", "b": "2026-01-02T03:04:05Z", "c": "2026-01-02T03:04:06Z"}
    pods = [
        observe_pod(pod(name, creationTimestamp=stamp), sample=missing, log_tail="") for name, stamp in stamps.items()
    ]
    seen = observe_variant("v", deployment=deployment(), pods=reversed(pods))
    assert [one.name for one in seen.pods] == ["b", "a", "c"]
    assert seen.replicas == 2


@pytest.mark.parametrize(
    ("conditions", "refused"),
    [
        ([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}], "exceeded quota"),
        ([{"type": "ReplicaFailure", "status": "True"}], "no reason given"),
        ([{"type": "ReplicaFailure", "status": "False", "message": "before"}], ""),
        ([{"type": "Available", "status": "True", "message": "fine"}], ""),
        (None, ""),
    ],
)
def test_what_kubernetes_refuses_is_seen(conditions: list[dict[str, str]] | None, refused: str) -> None:
    obj = deployment(status={"observedGeneration": 3, "conditions": conditions})
    assert observe_variant("v", deployment=obj, pods=[]).refused == refused


@pytest.mark.parametrize(
    ("status", "rolling_out"),
    [
        ({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2}, False),
        ({"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1}, False),
        ({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 1}, True),
        ({"observedGeneration": 3, "replicas": 2}, True),
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2}, True),
        ({}, False),
    ],
)
def test_a_rollout_goes_on_while_old_replicas_are_left_or_the_latest_template_was_not_seen(
    status: dict[str, Any],
    rolling_out: bool,
) -> None:
    assert is_rolling_out(deployment() | {"status": status}) is rolling_out


@pytest.mark.parametrize(
    ("status", "unseen"),
    [({"observedGeneration": 2}, True), ({"observedGeneration": 3}, False), ({}, False)],
)
def test_a_change_is_unseen_until_the_controller_has_looked(status: dict[str, Any], unseen: bool) -> None:
    assert observe_variant("v", deployment=deployment() | {"status": status}, pods=[]).unseen is unseen
