from __future__ import annotations

from fractions import Fraction

import pytest

from mixserve_devcluster.node.quantities import parse_quantity, resource_value


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2),
        ("1.5", Fraction(3, 2)),
        ("100m", Fraction(1, 10)),
        ("128Mi", 128 * 2**20),
        ("1Ei", 2**60),
        ("2k", 2000),
        ("1e3", 1000),
        ("5n", Fraction(5, 10**9)),
    ],
)
def test_parse(text: str, number: Fraction) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "1gb", "Gi"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


CONTAINER = {"resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}, "requests": {"cpu": "250m"}}}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "1", "2"),
        ("limits.cpu", "1m", "1500"),
        ("limits.memory", "1Mi", "1024"),
        ("limits.memory", "0", "1073741824"),
        ("requests.cpu", "1", "1"),
        ("requests.memory", "1", "0"),
        ("limits.ephemeral-storage", "1Gi", "10"),
    ],
)
def test_resource_values_are_rounded_up_and_limited_by_the_node(resource: str, divisor: str, value: str) -> None:
    reference = {"resource": resource, "divisor": divisor}
    assert resource_value(CONTAINER, reference, {"ephemeral-storage": "10Gi"}) == value
