"""What the operator would do to the objects of a pool: pure, a comparison of the desired ones with the live ones."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mixserve.api.names import ANNOTATION_DESIRED_HASH, ANNOTATION_KEPT, ANNOTATION_LAST_VALID_SPEC
from mixserve.apply.drift import first_difference
from mixserve.apply.resources import OWNED_BY_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mixserve.plan.objects import DesiredObject

# They change with anything else, and say nothing that it doesn't.
_DERIVED = (ANNOTATION_DESIRED_HASH, ANNOTATION_LAST_VALID_SPEC)


class Action(StrEnum):
    """What would happen to an object."""

    CREATE = "create"
    ROLL_OUT = "roll out"
    """Its pods are replaced by ones of another template."""
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True)
class Change:
    """One object that would not stay as it is.

    Attributes:
        action: what would happen.
        kind: of the object.
        name: of the object.
        field_path: the first field that differs, for roll-outs and changes; else empty.
    """

    action: Action
    kind: str
    name: str
    field_path: str = ""


def changes(desired: Sequence[DesiredObject], live: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    """What would happen, in the order in which objects are made; deletions come last.

    Args:
        desired: all objects of the pool.
        live: all objects that the pool has, with their kinds.
    """
    there = {(one["kind"], one["metadata"]["name"]): one for one in live if one["kind"] in OWNED_BY_KIND}
    found = [change for one in desired for change in _change(one, there.pop((one.kind, one.name), None))]
    return (*found, *(Change(Action.DELETE, *name) for name, one in there.items() if not is_kept(one)))


def is_kept(obj: Mapping[str, Any]) -> bool:
    """Whether an object stays although its pool's spec does not ask for it."""
    return ANNOTATION_KEPT in (obj["metadata"].get("annotations") or {})


def _change(desired: DesiredObject, live: Mapping[str, Any] | None) -> Iterator[Change]:
    if live is None:
        yield Change(Action.CREATE, desired.kind, desired.name)
        return
    wanted = _without_derived(desired.body)
    template = wanted.get("spec", {}).get("template")
    if template is not None:
        path = first_difference({"spec": {"template": template}}, live)
        if path is not None:
            yield Change(Action.ROLL_OUT, desired.kind, desired.name, path)
            return
    path = first_difference(wanted, live)
    if path is not None:
        yield Change(Action.CHANGE, desired.kind, desired.name, path)


def _without_derived(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = body["metadata"]
    annotations = {key: value for key, value in metadata["annotations"].items() if key not in _DERIVED}
    return {**body, "metadata": {**metadata, "annotations": annotations}}
