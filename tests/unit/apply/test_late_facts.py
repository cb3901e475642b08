"""Numbers that come after the pods were made."""

from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.names import ANNOTATION_MEMORY_PLAN
from mixserve.apply.late_facts import facts_for_objects
from mixserve.plan.facts import UnknownFacts
from support.manifests import LLAMA_8B, pool, variant

KNOWN = {"a": LLAMA_8B, "b": LLAMA_8B}
POOL = pool(variant("a"), variant("b"))
EDITED = pool(variant("a"), variant("b"), engine={"maxModelLen": 4096})


def deployment(annotations: dict[str, str] | None) -> dict[str, Any]:
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


WITH, WITHOUT = deployment({ANNOTATION_MEMORY_PLAN: "{}"}), deployment(None)


@pytest.mark.parametrize(
    ("served", "deployments"),
    [
        (None, {"chat-a": WITHOUT}),
        (EDITED, {"chat-a": WITHOUT, "chat-b": WITHOUT}),
        (POOL, {}),
        (POOL, {"chat-a": WITH, "chat-b": WITH, "other": WITHOUT}),
    ],
    ids=["new", "edited", "not made yet", "made with numbers"],
)
def test_they_count_wherever_pods_are_made_anyway(served: Any, deployments: dict[str, Any]) -> None:
    assert facts_for_objects(POOL, KNOWN, served=served, deployments=deployments) == KNOWN


@pytest.mark.parametrize("template", [WITHOUT, deployment({}), {"spec": {"template": {}}}])
def test_they_are_no_reason_to_replace_pods(template: dict[str, Any]) -> None:
    found = facts_for_objects(POOL, KNOWN, served=POOL, deployments={"chat-a": template, "chat-b": WITH})
    assert isinstance(found["a"], UnknownFacts)
    assert found["b"] is LLAMA_8B
