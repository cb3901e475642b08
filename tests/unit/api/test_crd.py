from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.crd import custom_resource_definition, wire_text
from mixserve.api.kinds import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CRDS = POOL, FORMAT, ACCELERATOR, PAIR, POLICY = tuple(custom_resource_definition(kind) for kind in KINDS)


def test_the_names_are_those_that_people_type() -> None:
    names = [(crd["metadata"]["name"], crd["spec"]["names"]["shortNames"]) for crd in CRDS]
    assert names == [
        ("llmservingpools.mixserve.dev", ["lsp"]),
        ("quantizationformats.mixserve.dev", ["qf"]),
        ("acceleratorclasses.mixserve.dev", ["ac"]),
        ("speculativepairs.mixserve.dev", ["spair"]),
        ("routingpolicies.mixserve.dev", ["rp"]),
    ]


def test_pools_and_pairs_are_namespaced_and_the_catalogue_is_not() -> None:
    assert [crd["spec"]["scope"] for crd in (POOL, PAIR, POLICY)] == ["Namespaced"] * 3
    assert [crd["spec"]["scope"] for crd in (FORMAT, ACCELERATOR)] == ["Cluster", "Cluster"]


def test_all_have_a_status_and_none_can_be_scaled() -> None:
    for crd in CRDS:
        assert crd["spec"]["versions"][0]["subresources"] == {"status": {}}


def test_a_kind_without_a_status_has_no_subresource() -> None:
    bare = custom_resource_definition(replace(KINDS[0], has_status=False))
    assert "subresources" not in bare["spec"]["versions"][0]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_every_column_shows_a_field_that_exists(kind: Kind) -> None:
    version = custom_resource_definition(kind)["spec"]["versions"][0]
    for column in version["additionalPrinterColumns"]:
        node = version["schema"]["openAPIV3Schema"]
        for part in re.sub(r'\[\?\(@\.type=="[^"]+"\)\]', "[*]", column["jsonPath"]).lstrip(".").split("."):
            if part == "creationTimestamp":
                break
            node = node["properties"][part.removesuffix("[*]")]
            node = node["items"] if part.endswith("[*]") else node
            node = {"properties": {"creationTimestamp": {}}} if part == "metadata" else node


def test_wide_columns_are_for_wide_output_only() -> None:
    columns = POOL["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in columns if column.get("priority")] == ["Model", "Engine", "USD/h"]


def test_descriptions_say_default_and_bounds() -> None:
    spec = POOL["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    engine = spec["engine"]["properties"]
    assert engine["kvCache"]["properties"]["memoryUtilizationPercent"]["description"].endswith(
        " Default: 92. From 10 to 99."
    )
    assert engine["prefixCaching"]["description"].endswith(" Default: true.")
    assert engine["maxModelLen"]["description"].endswith(". From 128 to 16777216.")
    assert "Default" not in spec["engine"]["description"]
    assert spec["variants"]["items"]["properties"]["tensorParallel"]["description"].endswith(
        " Default: 1. From 1 to 64."
    )


def defaults_in_lists(schema: Mapping[str, Any], path: str = "", *, in_list: bool = False) -> Iterator[str]:
    if in_list and "default" in schema:
        yield path
    if "items" in schema:
        yield from defaults_in_lists(schema["items"], f"{path}[]", in_list=True)
    for name, member in schema.get("properties", {}).items():
        yield from defaults_in_lists(member, f"{path}.{name}", in_list=in_list)


@pytest.mark.parametrize("crd", CRDS, ids=[kind.name for kind in KINDS])
def test_entries_of_lists_have_no_default_in_the_schema(crd: dict[str, Any]) -> None:
    assert list(defaults_in_lists(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])) == []


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (3, "3"), ("a", "a")])
def test_scalars_are_shown_as_in_yaml(value: object, text: str) -> None:
    assert wire_text(value) == text
