"""The API's scalar types: strings with a pattern, since it has neither floats nor durations."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from mixserve.api.base import CelRule

# Five digits: a day in seconds. With six, CEL could not add up the hours any more.
DURATION_PATTERN = r"^([0-9]{1,5}[smh]){1,3}$"
LONGEST_DURATION = timedelta(hours=24)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}

GIB = 2**30
MEMORY_PATTERN = r"^[1-9][0-9]{0,8}(Mi|Gi)$"
_UNIT_BYTES = {"Mi": 2**20, "Gi": GIB}

DECIMAL_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,4})?$"

LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""An RFC 1123 label, its length aside."""
LONGEST_LABEL = 63

SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""An RFC 1123 subdomain as a part of patterns, its length (253) aside."""
LABEL_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
"""What comes after the slash of a label's key and of a resource's name, as a part of patterns."""


def _parse_duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(DURATION_PATTERN, value, re.ASCII):
        raise ValueError(f"{value!r} is not a duration such as 90s, 15m or 1h30m")
    parts = re.findall(r"([0-9]+)([smh])", value)
    return timedelta(seconds=sum(int(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def _at_most_a_day(value: timedelta) -> timedelta:
    if value > LONGEST_DURATION:
        raise ValueError("must be at most 24h")
    return value


def _at_least_a_second(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("must be at least 1s")
    return value


def format_duration(value: timedelta) -> str:
    """Whole seconds in the API's form: 90 s is "1m30s", zero is "0s"."""
    hours, rest = divmod(int(value.total_seconds()), 3600)
    minutes, seconds = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


# A text that is no duration is the pattern's business; the conversion would fail on it, and say so beside the pattern.
_NO_DURATION = f"!self.matches(r'{DURATION_PATTERN}')"
_AT_MOST_A_DAY = {"rule": f"{_NO_DURATION} || duration(self) <= duration('24h')", "message": "must be at most 24h"}
_AT_LEAST_A_SECOND = {"rule": f"{_NO_DURATION} || duration(self) >= duration('1s')", "message": "must be at least 1s"}


def _duration_schema(*rules: dict[str, str]) -> dict[str, Any]:
    # 18: three parts of five digits and a unit; the bound keeps the cost of the rules small.
    return {
        "type": "string",
        "pattern": DURATION_PATTERN,
        "maxLength": 18,
        "x-kubernetes-validations": list(rules),
    }


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    AfterValidator(_at_most_a_day),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_duration_schema(_AT_MOST_A_DAY)),
]
"""A duration such as 90s, 15m or 1h30m, from 0s to 24h; a `timedelta` in Python."""

PositiveDuration = Annotated[
    Duration,
    AfterValidator(_at_least_a_second),
    WithJsonSchema(_duration_schema(_AT_MOST_A_DAY, _AT_LEAST_A_SECOND)),
]
"""A duration from 1s to 24h."""


def _parse_memory(value: object, info: ValidationInfo) -> object:
    if info.mode == "python" and not isinstance(value, str):
        return value
    if not isinstance(value, str) or not re.fullmatch(MEMORY_PATTERN, value, re.ASCII):
        raise ValueError(f"{value!r} is not an amount of memory such as 22528Mi or 80Gi")
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
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not re.fullmatch(DECIMAL_PATTERN, value, re.ASCII):
        raise ValueError(f"{value!r} is not a decimal number in quotes such as '4.156'")
    return Decimal(value)


DecimalString = Annotated[
    Decimal,
    BeforeValidator(_parse_decimal),
    PlainSerializer(str, return_type=str),
    # Six digits, a point and four more; the bound keeps the cost of rules small.
    WithJsonSchema({"type": "string", "pattern": DECIMAL_PATTERN, "maxLength": 11}),
]
"""A decimal number as a quoted string: the API has no floats."""

AUTO: Literal["auto"] = "auto"
"""What stands for a number that the operator works out."""

_MOST_GPUS = 64


def _parse_gpus(value: object) -> object:
    if value == AUTO:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_GPUS:
        return value
    raise ValueError(f"{value!r} is neither {AUTO} nor an integer from 1 to {_MOST_GPUS}")


GpuCount = Annotated[
    int | Literal["auto"],
    PlainValidator(_parse_gpus),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "pattern": f"^{AUTO}$",
            "minimum": 1,
            "maximum": _MOST_GPUS,
        }
    ),
]
"""A number of GPUs, or auto."""

ObjectName = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL, pattern=LABEL_PATTERN)]
"""The name of another object: an RFC 1123 label."""

NAME_IS_A_LABEL = CelRule(
    rule=f"size(self.metadata.name) <= {LONGEST_LABEL} && self.metadata.name.matches('{LABEL_PATTERN}')",
    message="metadata.name must be at most 63 characters of a-z, 0-9 and -: other objects name it so",
    holds=lambda entry: (
        len(entry.metadata.name) <= LONGEST_LABEL
        and re.fullmatch(LABEL_PATTERN, entry.metadata.name, re.ASCII) is not None
    ),
)
"""For kinds that an `ObjectName` refers to."""

EngineArgument = Annotated[str, Field(min_length=3, max_length=1024, pattern=r"^--[a-z][A-Za-z0-9._-]*(=.*)?$")]
"""One argument of an engine: --flag or --flag=value."""
