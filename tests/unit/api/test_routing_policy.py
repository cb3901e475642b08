from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mixserve.api.problems import problems
from mixserve.api.routing_policy import ClassifierType, FallbackReason, Overrides, RoutingPolicy
from support.crd_manifests import MANIFESTS

SMALLEST = """
apiVersion: mixserve.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: auto, namespace: llm}
spec:
  tiers:
    - {name: small, maxComplexity: 2, targets: [{poolRef: {name: qwen-8b}}]}
    - {name: large, maxComplexity: 5, targets: [{poolRef: {name: llama-70b}}]}
"""


def smallest() -> dict[str, Any]:
    return dict(yaml.safe_load(SMALLEST))


def test_the_smallest_policy_has_every_default() -> None:
    policy = RoutingPolicy.parse(smallest())
    assert policy.served_names == ("auto",)
    assert policy.spec.classifier.type is ClassifierType.HEURISTIC
    assert policy.spec.fallback.when == tuple(FallbackReason)
    assert policy.spec.fallback.first_byte_timeout == timedelta(seconds=60)
    assert policy.spec.overrides is Overrides.ALLOWED
    assert policy.spec.pools == {"qwen-8b", "llama-70b"}


def test_every_pool_that_gets_requests_is_named() -> None:
    policy = RoutingPolicy.parse(MANIFESTS["RoutingPolicy"])
    assert policy.served_names == ("auto", "Auto:1")
    assert policy.spec.pools == {"qwen-8b", "llama-8b", "llama-70b", "llama-70b-fp8"}


def test_a_tier_for_the_hardest_is_asked_for() -> None:
    manifest = smallest()
    manifest["spec"]["tiers"][1]["maxComplexity"] = 4
    with pytest.raises(ValidationError) as refused:
        RoutingPolicy.parse(manifest)
    [problem] = problems(refused.value)
    assert "the last tier's maxComplexity must be 5" in str(problem)
