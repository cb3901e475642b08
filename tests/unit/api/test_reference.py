from __future__ import annotations

from mixserve.api.base import ObjectMeta, StrictModel
from mixserve.api.kinds import KINDS, Kind
from mixserve.api.reference import reference_page

POOL, FORMAT, ACCELERATOR, PAIR, POLICY = (reference_page(kind) for kind in KINDS)


class BareSpec(StrictModel):
    """What it says."""

    number: int = 1
    """Any."""


class Bare(StrictModel):
    """A kind without a status."""

    metadata: ObjectMeta
    spec: BareSpec


def row(page: str, field: str) -> list[str]:
    (line,) = (line for line in page.splitlines() if line.startswith(f"| `{field}` |"))
    return [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")][1:]


def test_a_page_says_how_to_get_the_kind() -> None:
    assert "`mixserve.dev/v1alpha1`, namespaced, `kubectl get llmservingpools` or `kubectl get lsp`." in POOL
    assert "`mixserve.dev/v1alpha1`, cluster-wide, `kubectl get acceleratorclasses`" in ACCELERATOR


def test_a_row_says_type_default_bounds_and_meaning() -> None:
    kind, default, allowed, text = row(POOL, "spec.engine.kvCache.memoryUtilizationPercent")
    assert (kind, default, allowed) == ("integer", "`92`", "10 to 99")
    assert text.startswith("Share of a GPU's memory")


def test_what_is_needed_is_marked() -> None:
    assert row(POOL, "spec.variants[].name")[:3] == [
        "string",
        "needed",
        "`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`; at most 20 characters",
    ]


def test_lists_say_what_tells_their_entries_apart() -> None:
    assert row(POOL, "spec.variants")[:3] == ["list by name of objects", "needed", "1 to 8 entries"]
    assert row(POOL, "spec.servedNames")[0] == "set of strings"
    assert row(POOL, "spec.engine.args")[0] == "list of strings"
    assert row(PAIR, "spec.batchSchedule")[0] == "list by maxBatch of objects"
    assert row(POLICY, "spec.tiers")[0] == "list by name of objects"
    assert row(POOL, "status.conditions")[:3] == ["list by type of objects", "", ""]


def test_an_object_has_no_default_of_its_own() -> None:
    assert row(POOL, "spec.autoscaling")[1] == ""


def test_enums_are_listed() -> None:
    assert row(POOL, "spec.autoscaling.mode")[1:3] == ["`Native`", "`Native`, `External`, `Advisory`"]
    assert row(FORMAT, "spec.computeBits")[2] == "`4`, `8`, `16`"


def test_a_pipe_does_not_end_a_cell() -> None:
    assert r"(Mi\|Gi)$`" in ACCELERATOR


def test_only_kinds_with_a_status_describe_one() -> None:
    bare = reference_page(Kind(Bare, "bares", "b", namespaced=True, has_status=False, columns=()))
    assert "## status" in FORMAT
    assert "## spec" in bare
    assert "## status" not in bare


def test_rules_say_where_they_hold() -> None:
    assert "- `spec.variants[].replicas`: min must not be greater than max" in POOL
    assert "\n- metadata.name must be at most 40 characters" in POOL
