from __future__ import annotations

import pytest
from pydantic import ValidationError

from mixserve.api.accelerator import NodeOperator, NodeRequirement


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        (NodeOperator.IN, ("8", "9")),
        (NodeOperator.NOT_IN, ("mps",)),
        (NodeOperator.EXISTS, ()),
        (NodeOperator.DOES_NOT_EXIST, ()),
        (NodeOperator.GREATER, ("22000",)),
        (NodeOperator.LESS, ("0",)),
    ],
)
def test_each_operator_has_its_number_of_values(operator: NodeOperator, values: tuple[str, ...]) -> None:
    assert NodeRequirement(key="a", operator=operator, values=values).values == values


@pytest.mark.parametrize(
    ("operator", "values"),
    [(NodeOperator.IN, ()), (NodeOperator.EXISTS, ("a",)), (NodeOperator.DOES_NOT_EXIST, ("a",))],
)
def test_values_without_meaning_or_missing_ones_are_refused(operator: NodeOperator, values: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="values must be given, except for Exists and DoesNotExist"):
        NodeRequirement(key="a", operator=operator, values=values)


@pytest.mark.parametrize("values", [("1", "2"), ("22Gi",), ("-1",), ("9" * 10,)])
@pytest.mark.parametrize("operator", [NodeOperator.GREATER, NodeOperator.LESS])
def test_a_bound_is_one_integer(operator: NodeOperator, values: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        NodeRequirement(key="a", operator=operator, values=values)
