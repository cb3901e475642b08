"""Kubernetes quantities, as far as containers are told of their resources. Pure."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOTATION = re.compile(r"(-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_FACTORS = {
    "": Fraction(1),
    **{suffix: Fraction(f"1e{exponent}") for suffix, exponent in _DECIMAL.items()},
    **{suffix: Fraction(1 << exponent) for suffix, exponent in _BINARY.items()},
}


def parse_quantity(text: str) -> Fraction:
    """The number that a quantity stands for.

    Raises:
        ValueError: it is no quantity.
    """
    match = _NOTATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    return Fraction(match[1]) * _FACTORS[match[2] or ""]


def resource_value(container: Mapping[str, Any], reference: Mapping[str, Any], allocatable: Mapping[str, str]) -> str:
    """What a `resourceFieldRef` stands for: a whole number of its divisor, rounded up.

    A resource without a limit is limited by the node (`allocatable`); one without a request requests nothing.
    """
    kind, _, resource = reference["resource"].partition(".")
    fallback = allocatable.get(resource, "0") if kind == "limits" else "0"
    quantity = container.get("resources", {}).get(kind, {}).get(resource, fallback)
    divisor = parse_quantity(reference.get("divisor", "1"))
    return str(math.ceil(parse_quantity(quantity) / (divisor or 1)))
