"""NVIDIA's number for what a GPU can do, such as 8.9."""

from typing import Annotated

from pydantic import Field

COMPUTE_CAPABILITY_PATTERN = r"^[0-9]{1,2}\.[0-9]$"

ComputeCapability = Annotated[str, Field(max_length=4, pattern=COMPUTE_CAPABILITY_PATTERN)]


def cel_is_at_least(found: str, needed: str) -> str:
    """CEL for `is_at_least` of two fields; true also where one of them is no number, which its pattern says."""
    are_numbers = " && ".join(f"{field}.matches(r'{COMPUTE_CAPABILITY_PATTERN}')" for field in (found, needed))
    return f"(!({are_numbers}) || double({found}) >= double({needed}))"


def is_at_least(found: str, needed: str) -> bool:
    """Whether compute capability `found` is not older than `needed`, as numbers: "10.0" is newer than "9.0"."""
    return _numbers(found) >= _numbers(needed)


def _numbers(compute_capability: str) -> tuple[int, int]:
    major, _, minor = compute_capability.partition(".")
    return int(major), int(minor)
