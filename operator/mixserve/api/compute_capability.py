"""NVIDIA's number for what a GPU can do, such as 8.9."""

from typing import Annotated

from pydantic import Field

ComputeCapability = Annotated[str, Field(pattern=r"^[0-9]{1,2}\.[0-9]$")]


def is_at_least(found: str, needed: str) -> bool:
    """Whether compute capability `found` is not older than `needed`, as numbers: "10.0" is newer than "9.0"."""
    return _numbers(found) >= _numbers(needed)


def _numbers(compute_capability: str) -> tuple[int, int]:
    major, _, minor = compute_capability.partition(".")
    return int(major), int(minor)
