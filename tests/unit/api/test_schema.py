from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import pytest
from pydantic import Field

from mixserve.api.base import CelRule, ObjectMeta, StrictModel
from mixserve.api.kinds import KINDS, Kind
from mixserve.api.scalars import Duration
from mixserve.api.schema import structural_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Colour(StrEnum):
    RED = "red"


class Ruled(StrictModel):
    """Has a rule."""

    least: int = 1
    most: int | None = None
    cel_rules: ClassVar[tuple[CelRule, ...]] = (CelRule("self.least > 0", "least must be positive", lambda _: True),)


class Plain(StrictModel):
    """Has defaults."""

    pause: Duration = timedelta(minutes=5)
    colour: Colour = Colour.RED


class Bare(StrictModel):
    """Has no defaults."""

    size: int | None = None


class Spec(StrictModel):
    """First line
    and second.

    Another paragraph:

        indented
          more
    """

    needed: Annotated[str, Field(min_length=1, max_length=9, pattern="^a$")]
    plain: Plain = Plain()
    slower: Plain = Plain(pause=timedelta(seconds=90))
    ruled: Ruled = Ruled()
    bare: Bare = Bare()
    texts: Annotated[tuple[str, ...], Field(max_length=3)] = ()
    flag: bool = False
    """Its own words."""


class Thing(StrictModel):
    """A kind."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta
    spec: Spec


SCHEMA = structural_schema(Thing)
FIELDS = SCHEMA["properties"]["spec"]["properties"]


def test_the_api_server_owns_type_and_metadata() -> None:
    assert SCHEMA["properties"]["metadata"] == {"type": "object"}
    assert SCHEMA["properties"]["apiVersion"]["type"] == "string"
    assert SCHEMA["required"] == ["spec"]


def test_paragraphs_are_joined_and_examples_are_kept() -> None:
    text = "First line and second.\n\nAnother paragraph:\n\n    indented\n      more"
    assert SCHEMA["properties"]["spec"]["description"] == text


def test_a_field_describes_itself_or_as_its_model_does() -> None:
    assert FIELDS["flag"]["description"] == "Its own words."
    assert FIELDS["plain"]["description"] == "Has defaults."


def test_bounds_are_kept() -> None:
    assert FIELDS["needed"] == {"type": "string", "pattern": "^a$", "minLength": 1, "maxLength": 9}
    assert SCHEMA["properties"]["spec"]["required"] == ["needed"]


def test_an_object_defaults_to_the_defaults_inside_it() -> None:
    assert FIELDS["plain"]["default"] == {}
    assert FIELDS["plain"]["properties"]["pause"]["default"] == "5m"
    assert FIELDS["plain"]["properties"]["colour"] == {
        "type": "string",
        "default": "red",
        "enum": ["red"],
    }


def test_an_object_that_differs_says_how() -> None:
    assert FIELDS["slower"]["default"] == {"pause": "1m30s"}


def test_an_object_with_rules_defaults_in_full_and_never_to_null() -> None:
    assert FIELDS["ruled"]["default"] == {"least": 1}
    assert FIELDS["ruled"]["x-kubernetes-validations"][0]["message"] == "least must be positive"


def test_nothing_defaults_to_nothing() -> None:
    assert "default" not in FIELDS["bare"]
    assert FIELDS["bare"]["properties"]["size"] == {"type": "integer"}
    assert "default" not in FIELDS["texts"]
    assert FIELDS["flag"]["default"] is False


def test_a_list_without_keys_is_atomic() -> None:
    assert FIELDS["texts"] == {
        "type": "array",
        "maxItems": 3,
        "x-kubernetes-list-type": "atomic",
        "items": {"type": "string"},
    }


class Unstructured(StrictModel):
    metadata: ObjectMeta
    spec: Annotated[int, Field(multiple_of=3)]


def test_what_is_not_known_to_be_structural_is_refused() -> None:
    with pytest.raises(ValueError, match="not known to be structural: multipleOf"):
        structural_schema(Unstructured)


def fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field.get("items", field), f"{path}.{name}")


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_every_field_of_every_kind_is_described(kind: Kind) -> None:
    found = dict(fields(structural_schema(kind.model), kind.name))
    assert [path for path, field in found.items() if "description" not in field] == [f"{kind.name}.metadata"]


def is_number(field: dict[str, Any]) -> bool:
    return field.get("type") == "integer" or "x-kubernetes-int-or-string" in field


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_every_number_of_a_spec_has_bounds(kind: Kind) -> None:
    spec = structural_schema(kind.model)["properties"]["spec"]
    numbers = {path: field for path, field in fields(spec, "spec") if is_number(field)}
    bounded = {"minimum", "maximum"}
    assert [path for path, field in numbers.items() if not ("enum" in field or bounded <= field.keys())] == []
