"""What is wrong with a manifest, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

_PYDANTICS = "Input should be "


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        field_path: where, in the form of the API server: spec.variants[0].replicas; empty for the whole object.
        cause: what is wrong there, without a period.
    """

    field_path: str
    cause: str

    def __str__(self) -> str:
        return f"{self.field_path or 'the object'}: {self.cause}"


def problems(error: ValidationError) -> tuple[Problem, ...]:
    """Everything that `StrictModel.parse` found, in the order of the fields."""
    details = error.errors(include_url=False, include_input=False)
    places = {detail["loc"] for detail in details}
    return tuple(Problem(_path(d["loc"]), _cause(d)) for d in details if not _only_echoes(d, places))


def _only_echoes(detail: Mapping[str, Any], places: set[tuple[int | str, ...]]) -> bool:
    """A list is also called too short when its entries are there, but wrong."""
    depth = len(detail["loc"])
    return detail["type"] == "too_short" and any(p[:depth] == detail["loc"] and len(p) > depth for p in places)


def _path(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _cause(detail: Mapping[str, Any]) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "there is no such field"
        case "missing":
            return "is needed"
        case "string_pattern_mismatch":
            return f"must match {detail['ctx']['pattern']}"
        case "too_short" | "too_long":
            return _as_a_size(detail["ctx"])
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be an object"
        case _:
            return _as_a_rule(str(detail["msg"]))


def _as_a_size(bounds: Mapping[str, Any]) -> str:
    side, count = ("least", bounds["min_length"]) if "min_length" in bounds else ("most", bounds["max_length"])
    return f"must have at {side} {count} {'entry' if count == 1 else 'entries'}"


def _as_a_rule(message: str) -> str:
    """In the form of our own rules: must be less than ..., as "must not be greater than max"."""
    said = message.removeprefix("Value error, ")
    return f"must be {said.removeprefix(_PYDANTICS)}" if said.startswith(_PYDANTICS) else said
