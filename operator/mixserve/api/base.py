"""What all kinds share: strict parsing, CEL rules beside their Python twin, scalar types of the API."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

DURATION_PATTERN = r"^([0-9]{1,6}[smh]){1,3}$"
LONGEST_DURATION = timedelta(hours=24)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}

MEMORY_PATTERN = r"^[1-9][0-9]{0,8}(Mi|Gi)$"
_UNIT_BYTES = {"Mi": 2**20, "Gi": 2**30}

DECIMAL_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,4})?$"


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
        """Read a decoded JSON or YAML mapping with JSON's own types: "3" is no integer, a list is a tuple.

        Raises:
            pydantic.ValidationError: with every violation, each with its path.
        """
        return cls.model_validate_json(json.dumps(value, default=str))

    def to_wire(self) -> dict[str, Any]:
        """The value as the API server gets it: camelCase, without unset optional fields."""
        wire: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return wire


def _parse_duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(DURATION_PATTERN, value, re.ASCII):
        message = f"{value!r} is not a duration such as 90s, 15m or 1h30m"
        raise ValueError(message)
    parts = re.findall(r"([0-9]+)([smh])", value)
    duration = timedelta(seconds=sum(int(number) * _UNIT_SECONDS[unit] for number, unit in parts))
    if duration > LONGEST_DURATION:
        message = "must be at most 24h"
        raise ValueError(message)
    return duration


def format_duration(value: timedelta) -> str:
    """Whole seconds in the API's form: 90 s is "1m30s", zero is "0s"."""
    hours, rest = divmod(int(value.total_seconds()), 3600)
    minutes, seconds = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": DURATION_PATTERN,
            "maxLength": 21,
            "x-kubernetes-validations": [
                {"rule": "duration(self) <= duration('24h')", "message": "must be at most 24h"}
            ],
        }
    ),
]
"""A duration such as 90s, 15m or 1h30m, at most 24h; a `timedelta` in Python."""


def _parse_memory(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(MEMORY_PATTERN, value, re.ASCII):
        message = f"{value!r} is not an amount of memory such as 22528Mi or 80Gi"
        raise ValueError(message)
    return int(value[:-2]) * _UNIT_BYTES[value[-2:]]


def _format_memory(value: int) -> str:
    return f"{value // 2**20}Mi"


Memory = Annotated[
    int,
    BeforeValidator(_parse_memory),
    PlainSerializer(_format_memory, return_type=str),
    WithJsonSchema({"type": "string", "pattern": MEMORY_PATTERN}),
]
"""An amount of memory such as 22528Mi or 80Gi; bytes in Python."""


def _parse_decimal(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(DECIMAL_PATTERN, value, re.ASCII):
        message = f"{value!r} is not a decimal number in quotes such as '4.156'"
        raise ValueError(message)
    return Decimal(value)


DecimalString = Annotated[
    Decimal,
    BeforeValidator(_parse_decimal),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DECIMAL_PATTERN}),
]
"""A decimal number as a quoted string: the API has no floats."""

ObjectName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""The name of another object: an RFC 1123 label."""


class ObjectMeta(BaseModel):
    """The part of an object's metadata that decisions read; the rest is the API server's."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    """RFC 3339, so that older sorts before newer."""
    deletion_timestamp: str | None = None
