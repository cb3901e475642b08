"""Amounts of extended resources, such as nvidia.com/gpu: whole numbers in the notation of Kubernetes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The API server writes 1000 as 1k, and takes 1Ki as it is. Extended resources have no fractions.
_NOTATION = re.compile(r"([0-9]{1,18})(k|M|G|Ki|Mi|Gi)?", re.ASCII)
_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def whole_amount(text: object) -> int:
    """The number that a quantity stands for; 0 for what is no whole number, which no extended resource is."""
    match = _NOTATION.fullmatch(str(text))
    return 0 if match is None else int(match[1]) * _FACTORS[match[2] or ""]


def extended(resources: Mapping[str, object]) -> dict[str, int]:
    """The extended resources among all resources, none of which there is nothing of.

    They are those with a domain of somebody else than Kubernetes (`IsExtendedResourceName`).
    """
    found = {name: whole_amount(text) for name, text in resources.items() if _is_extended(name)}
    return {name: amount for name, amount in found.items() if amount}


def _is_extended(name: str) -> bool:
    domain, slash, _ = name.partition("/")
    return bool(slash) and domain != "kubernetes.io" and not domain.endswith(".kubernetes.io")
