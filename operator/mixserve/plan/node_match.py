"""Which nodes an AcceleratorClass is about: the same comparison as the scheduler's of a pod's node affinity."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mixserve.api.accelerator import NodeOperator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mixserve.api.accelerator import NodeRequirement

# What Go's strconv.ParseInt(value, 10, 64) takes, by which the scheduler reads labels for Gt and Lt.
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_LEAST, _MOST = -(2**63), 2**63 - 1


def is_match(labels: Mapping[str, str], requirements: Iterable[NodeRequirement]) -> bool:
    """Whether a node with these labels satisfies all requirements."""
    return all(satisfies(labels.get(requirement.key), requirement) for requirement in requirements)


def satisfies(value: str | None, requirement: NodeRequirement) -> bool:
    """Whether a label's value, None for a node without the label, satisfies a requirement about it."""
    match requirement.operator:
        case NodeOperator.EXISTS:
            return value is not None
        case NodeOperator.DOES_NOT_EXIST:
            return value is None
        case NodeOperator.IN:
            return value in requirement.values
        case NodeOperator.NOT_IN:
            return value not in requirement.values
        case _:
            return _compares(_integer(value), requirement)


def _compares(number: int | None, requirement: NodeRequirement) -> bool:
    """Gt and Lt; both leave the bound itself out."""
    if number is None:
        return False
    bound = int(requirement.values[0])
    return number > bound if requirement.operator is NodeOperator.GREATER else number < bound


def _integer(value: str | None) -> int | None:
    """The label's number; None for what the scheduler takes for none."""
    if value is None or not _INTEGER.fullmatch(value):
        return None
    number = int(value)
    return number if _LEAST <= number <= _MOST else None
