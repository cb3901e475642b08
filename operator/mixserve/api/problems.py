"""What is wrong with a manifest, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError


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
    return tuple(Problem(_path(detail["loc"]), _cause(detail)) for detail in details)


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
        case _:
            return str(detail["msg"]).removeprefix("Value error, ")
