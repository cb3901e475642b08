from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mixserve.api.kinds import KINDS, Kind
from mixserve.api.problems import Problem, problems
from support.crd_manifests import MANIFESTS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value in a manifest."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


def reasons_against(kind: Kind, manifest: Any) -> tuple[Problem, ...]:
    try:
        kind.model.parse(manifest)
    except ValidationError as error:
        return problems(error)
    return ()


def survives_the_wire(kind: Kind, manifest: Any) -> bool:
    parsed = kind.model.parse(manifest)
    return kind.model.parse(parsed.to_wire()) == parsed


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
@given(data=st.data())
def test_whatever_stands_in_a_manifest_is_taken_or_refused_with_a_reason(kind: Kind, data: st.DataObject) -> None:
    manifest: Any = copy.deepcopy(MANIFESTS[kind.name])
    *parents, last = data.draw(st.sampled_from(places(manifest)[1:]))
    node = manifest
    for part in parents:
        node = node[part]
    node[last] = data.draw(JSON)
    reasons = reasons_against(kind, manifest)
    assert all(reason.cause for reason in reasons)
    assert reasons or survives_the_wire(kind, manifest)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_full_manifest_survives_the_wire(kind: Kind) -> None:
    wire = kind.model.parse(MANIFESTS[kind.name]).to_wire()
    assert wire["spec"] == MANIFESTS[kind.name]["spec"] | with_defaults(kind)


def with_defaults(kind: Kind) -> dict[str, Any]:
    """What a pool's second variant and a policy's tiers leave to defaults."""
    if kind.name == "RoutingPolicy":
        small, large = MANIFESTS[kind.name]["spec"]["tiers"]
        return {"tiers": [_weighted(small), _weighted(large)]}
    if kind.name != "LLMServingPool":
        return {}
    first, second = MANIFESTS[kind.name]["spec"]["variants"]
    return {"variants": [first, {**second, "tensorParallel": 1, "replicas": {"min": 1, "max": 1}, "resources": {}}]}


def _weighted(tier: dict[str, Any]) -> dict[str, Any]:
    return {**tier, "targets": [{"priority": 0, "weight": 100, **target} for target in tier["targets"]]}
