"""Numbers that come after the pods were made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mixserve.api.names import ANNOTATION_MEMORY_PLAN
from mixserve.apply.last_valid import LastValid
from mixserve.apply.late_facts import MadeWith, numbers_for_objects
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.facts import UnknownFacts
from mixserve.plan.memory import memory_plan
from mixserve.plan.placement import placement_of
from mixserve.plan.speculation import without_files
from support.manifests import LLAMA_8B, pool, variant
from support.pairs import pair, speculations

KNOWN = {"a": LLAMA_8B, "b": LLAMA_8B}
PAIR_REF = {"name": "pair"}
POOL = pool(variant("a"), variant("b"), speculativePairRef=PAIR_REF)
EDITED = pool(variant("a"), variant("b"), speculativePairRef=PAIR_REF, engine={"maxModelLen": 4096})


def deployment(annotations: dict[str, str] | None) -> dict[str, Any]:
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


def facts_for_objects(served: Any, deployments: dict[str, Any]) -> Any:
    return numbers_for_objects(
        POOL,
        catalog=built_in_catalog(),
        known=MadeWith(KNOWN, {}),
        served=None if served is None else LastValid(served, {}),
        deployments=deployments,
    ).facts


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
    assert facts_for_objects(served, deployments) == KNOWN


@pytest.mark.parametrize("template", [WITHOUT, deployment({}), {"spec": {"template": {}}}])
def test_they_are_no_reason_to_replace_pods(template: dict[str, Any]) -> None:
    found = facts_for_objects(POOL, {"chat-a": template, "chat-b": WITH})
    assert isinstance(found["a"], UnknownFacts)
    assert found["b"] is LLAMA_8B


DRAFTED = pair("DraftModel")
SPECULATION = speculations(POOL, DRAFTED)


def noted(*, with_draft: bool) -> dict[str, Any]:
    """A Deployment whose pods were made when the draft's numbers were known, or not."""
    known = SPECULATION["a"]
    plan = memory_plan(
        LLAMA_8B,
        engine=POOL.spec.engine,
        placement=placement_of(POOL, variant=POOL.spec.variants[0], catalog=built_in_catalog()),
        speculation=known if with_draft else without_files(known),
    )
    return deployment({ANNOTATION_MEMORY_PLAN: plan.to_annotation()})


def speculation_for_objects(deployments: dict[str, Any], *, served_with: Any = DRAFTED, catalog: Any = None) -> Any:
    return numbers_for_objects(
        POOL,
        catalog=built_in_catalog() if catalog is None else catalog,
        known=MadeWith(KNOWN, SPECULATION),
        served=LastValid(POOL, {} if served_with is None else {"pair": served_with}),
        deployments=deployments,
    ).speculation


def test_those_of_a_draft_are_no_reason_to_replace_pods_either() -> None:
    deployments = {"chat-a": noted(with_draft=False), "chat-b": noted(with_draft=True)}
    found = speculation_for_objects(deployments)
    assert isinstance(found["a"].draft_facts, UnknownFacts)
    assert found["b"] is SPECULATION["b"]


@pytest.mark.parametrize("served_with", [None, pair("DraftModel", tokens=5)])
def test_those_of_a_draft_count_when_another_pair_replaces_the_pods_anyway(served_with: Any) -> None:
    deployments = {"chat-a": noted(with_draft=False), "chat-b": noted(with_draft=False)}
    assert speculation_for_objects(deployments, served_with=served_with) == SPECULATION


def test_those_of_a_draft_count_where_there_are_no_pods_yet() -> None:
    assert speculation_for_objects({}) == SPECULATION


def test_what_can_not_be_placed_is_no_error_here() -> None:
    nothing = replace(built_in_catalog(), accelerators={})
    assert speculation_for_objects({"chat-a": noted(with_draft=False)}, catalog=nothing) == SPECULATION
