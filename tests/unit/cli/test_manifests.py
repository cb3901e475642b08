from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from mixserve.cli.manifest_files import ManifestFile
from mixserve.cli.manifests import Manifests, read_manifests
from support import pool_manifests
from support.manifests import accelerator_like, format_like
from support.pairs import pair, pair_manifest


def read(*contents: Any, namespace: str = "default") -> Manifests:
    """Each content is a file: bytes as they are, else its documents as a JSON text each."""
    texts = (
        one if isinstance(one, bytes) else b"\n---\n".join(json.dumps(d).encode() for d in one) for one in contents
    )
    return read_manifests([ManifestFile(f"{n}.yaml", text) for n, text in enumerate(texts, 1)], namespace=namespace)


def refusals(found: Manifests) -> list[tuple[str, str, str]]:
    return [(str(one.what.place), str(one.what), each.message) for one in found.refused for each in one.violations]


def test_pools_are_read_with_their_places_and_namespaces() -> None:
    elsewhere = pool_manifests.pool("b")
    elsewhere["metadata"]["namespace"] = "other"

    found = read([pool_manifests.pool("a"), elsewhere], [pool_manifests.pool("a2")], namespace="llm")

    assert [(str(what.place), str(what)) for what, _ in found.pools] == [
        ("1.yaml, document 1", "LLMServingPool llm/a"),
        ("1.yaml, document 2", "LLMServingPool other/b"),
        ("2.yaml, document 1", "LLMServingPool llm/a2"),
    ]
    assert [pool.metadata.namespace for _, pool in found.pools] == ["llm", "other", "llm"]
    assert found.refused == []


def test_what_kubectl_prints_can_be_read_back() -> None:
    printed = pool_manifests.pool("a") | {"status": {"a field of": "another version"}}
    found = read([{"apiVersion": "v1", "kind": "List", "items": [printed, pool_manifests.pool("b")]}])

    assert [what.name for what, _ in found.pools] == ["a", "b"]


def test_entries_of_the_catalogue_come_on_top_and_win() -> None:
    mine = accelerator_like("mine").to_wire()
    found = read([mine, accelerator_like("l4", "l4", pricePerHour="0.10").to_wire(), format_like("fp9").to_wire()])

    catalog = found.catalog()
    assert {"mine", "l4", "h100-80gb"} <= catalog.accelerators.keys()
    assert {"fp9", "bf16"} <= catalog.formats.keys()
    assert catalog.accelerators["l4"].spec.price_per_hour == Decimal("0.10")
    assert not found.is_empty


def test_a_refused_entry_is_not_taken_for_the_built_in_one_of_its_name() -> None:
    wrong = accelerator_like("l4", "l4").to_wire()
    wrong["spec"]["pricePerHour"] = 5
    catalog = read([wrong, {"kind": "QuantizationFormat", "metadata": {"name": "l40s"}}]).catalog()
    assert "l4" not in catalog.accelerators
    assert "l40s" in catalog.accelerators


def test_the_first_of_two_entries_counts() -> None:
    mine = accelerator_like("l4", "l4", pricePerHour="0.10").to_wire()
    found = read([mine, mine])
    assert found.refused
    assert found.catalog().accelerators["l4"].spec.price_per_hour == Decimal("0.10")


def test_other_kinds_are_counted_and_left_alone() -> None:
    service = {"apiVersion": "v1", "kind": "Service"}
    found = read([service, service, {"apiVersion": "v1", "kind": "ConfigMap"}, {"a": 1}], b"\n---\n")

    assert found.ignored == {"1.yaml": {"Service": 2, "ConfigMap": 1, "no kind": 1}}
    assert found.is_empty


def test_a_pool_that_is_there_twice_is_refused_with_the_place_of_the_first() -> None:
    found = read([pool_manifests.pool("a")], [pool_manifests.pool("a")])

    assert len(found.pools) == 1
    assert refusals(found) == [
        (
            "2.yaml, document 1",
            "LLMServingPool default/a",
            "metadata.name: it is in 1.yaml, document 1 as well; keep one of the two",
        )
    ]


def test_everything_that_the_schema_refuses_is_told_at_once() -> None:
    wrong = pool_manifests.pool("a", replicas=3)
    wrong["spec"]["variants"][0]["tensorParallel"] = float("nan")

    ((_, what, first), (_, _, second)) = refusals(read([wrong]))

    assert what == "LLMServingPool default/a"
    assert first.startswith("spec.variants[0].tensorParallel: 'NaN' is neither auto nor an integer from 1 to 64")
    assert second.startswith("spec.replicas: there is no such field")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1, 2], "it is no object"),
        ("a text", "it is no object"),
        (7, "it is no object"),
        ({"apiVersion": "mixserve.dev/v1alpha1", "kind": "LLMServingPol"}, "kind: there is no such kind"),
        ({"apiVersion": "v1", "kind": "LLMServingPool", "metadata": {"name": "a"}}, "apiVersion: must be"),
        ({"apiVersion": "mixserve.dev/v1alpha1", "kind": "AcceleratorClass", "metadata": 3}, "metadata: "),
    ],
)
def test_what_is_no_object_of_mixserve_is_refused(document: Any, message: str) -> None:
    found = read([document])

    assert any(message in text for _, _, text in refusals(found))
    assert not found.is_empty


def test_a_name_does_nothing_to_a_terminal() -> None:
    hostile = {"apiVersion": "mixserve.dev/v1alpha1", "kind": "LLMServingPool", "metadata": {"name": "a\x1b[2J\r"}}

    assert {str(one.what) for one in read([hostile]).refused} == {r"LLMServingPool default/a\x1b[2J\r"}


def test_objects_without_names_are_not_taken_for_one_object() -> None:
    nameless = {"apiVersion": "mixserve.dev/v1alpha1", "kind": "LLMServingPool"}

    assert not any("as well" in text for _, _, text in refusals(read([nameless, nameless])))


@pytest.mark.parametrize("extra", [b"2026-01-01: x", b"x: 0x" + b"f" * 4000])
def test_what_json_can_not_say_is_refused(extra: bytes) -> None:
    text = b"apiVersion: mixserve.dev/v1alpha1\nkind: LLMServingPool\nmetadata: {name: a}\n" + extra

    ((_, _, message),) = refusals(read(text))

    assert message.startswith(": it can't be written as JSON: ")


def test_files_that_can_not_be_read_are_refused_as_a_whole() -> None:
    found = read_manifests([ManifestFile("a.yaml", b"["), ManifestFile("b.yaml", None)], namespace="default")

    (first, second) = refusals(found)
    assert first[0] == "a.yaml"
    assert "it is not YAML" in first[2]
    assert second == ("b.yaml", "", ": it has more than 8 MiB; split it, or name the files with the pools only")


def test_pairs_are_read_by_namespace() -> None:
    here, elsewhere = pair_manifest(name="a"), pair_manifest(name="b", namespace="other")
    del here["metadata"]["namespace"]
    found = read([here, elsewhere, pool_manifests.pool("p", speculativePairRef={"name": "a"})], namespace="llm")

    assert {namespace: list(pairs) for namespace, pairs in found.pairs.items()} == {"llm": ["a"], "other": ["b"]}
    assert not found.is_empty
    [(_, pool)] = found.pools
    assert list(found.pairs_for(pool, {})) == ["a"]


def test_pairs_of_the_files_win_over_those_of_the_cluster() -> None:
    found = read(
        [pair_manifest(name="a", tokens=5), pool_manifests.pool(speculativePairRef={"name": "a"})], namespace="llm"
    )
    [(_, pool)] = found.pools
    pairs = found.pairs_for(pool, {name: pair(name=name, tokens=1) for name in ("a", "b")})

    assert {name: one.spec.tokens for name, one in pairs.items()} == {"a": 5, "b": 1}


def test_a_pool_that_names_no_pair_is_given_none() -> None:
    found = read([pair_manifest(), pool_manifests.pool()], namespace="llm")
    [(_, pool)] = found.pools
    assert found.pairs_for(pool, {"pair": pair()}) == {}


def test_a_pair_that_the_api_server_would_refuse_is_refused() -> None:
    bad = pair_manifest("DraftModel")
    del bad["spec"]["draft"]
    [(place, what, message)] = refusals(read([bad]))

    assert (place, what) == ("1.yaml, document 1", "SpeculativePair llm/pair")
    assert message == (
        "spec: draft is needed for DraftModel and EAGLE3 and has no meaning for others; correct it as "
        "docs/reference/speculativepair.md says"
    )
