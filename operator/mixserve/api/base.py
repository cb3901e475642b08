"""What all kinds share: strict parsing, and CEL rules beside their Python twins."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


@dataclass(frozen=True)
class CelRule:
    """A rule that spans fields, in two languages that a contract test holds together.

    `rule` is CEL for the API server; `holds` the same in Python; `message` is what both say when it is broken.
    """

    rule: str
    message: str
    holds: Callable[[Any], bool]


class StrictModel(BaseModel):
    """Base of everything in the API: unknown fields refused, no coercion, immutable, camelCase outside."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = ()
    """Become `x-kubernetes-validations` of the schema and are checked by pydantic as well."""

    @model_validator(mode="after")
    def _cel_rules_hold(self) -> Self:
        for rule in self.cel_rules:
            if not rule.holds(self):
                raise ValueError(rule.message)
        return self

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Self:
        """Read a decoded JSON or YAML mapping as the API server would: "3" is no integer, 3.0 is one, null is unset.

        Where a rule spans the fields of an object, the API server takes 3.0 for no integer there, and this does. It
        makes no difference to people: kubectl sends 3.

        Raises:
            pydantic.ValidationError: with every violation, each with its path; `mixserve.api.problems` words them.
        """
        return cls.model_validate_json(json.dumps(_as_api_server_reads(value), default=str))

    def to_wire(self) -> dict[str, Any]:
        """The value as the API server gets it: camelCase, without unset optional fields."""
        wire: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return wire

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        if cls.cel_rules:
            schema["x-kubernetes-validations"] = [{"rule": r.rule, "message": r.message} for r in cls.cel_rules]
        return schema


def _as_api_server_reads(value: object) -> object:
    """Without null members, which the API server prunes, and with whole floats as integers."""
    match value:
        case Mapping():
            return {key: _as_api_server_reads(member) for key, member in value.items() if member is not None}
        case list() | tuple():
            return [_as_api_server_reads(entry) for entry in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


class ObjectMeta(BaseModel):
    """The part of an object's metadata that decisions read; the rest is the API server's."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    """RFC 3339, so that older sorts before newer."""
