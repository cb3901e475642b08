from __future__ import annotations

import pytest
from pydantic import ValidationError

from mixserve.api.accelerator import AcceleratorClassSpec, DenseTeraflops, NodeOperator, NodeRequirement


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


@pytest.mark.parametrize("key", ["a..b/c", "-a/b", "a-/b", "a/b/c", "a" * 254 + "/b"])
def test_a_key_that_no_label_has_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        NodeRequirement(key=key, operator=NodeOperator.EXISTS)
    NodeRequirement(key="a" * 253 + "/b", operator=NodeOperator.EXISTS)


@pytest.mark.parametrize("name", ["-/_", "../x", "a./b", "gpu", "nvidia.com/-gpu", "a" * 243 + "/b"])
def test_a_name_that_no_resource_has_is_refused(name: str) -> None:
    spec = {"memory": "80Gi", "computeCapability": "9.0", "memoryBandwidth": 3350, "pricePerHour": "1"}
    spec["denseTeraflops"] = {"bits16": 989}
    requirements = [{"key": "gpu", "operator": "Exists"}]
    with pytest.raises(ValidationError):
        AcceleratorClassSpec.parse({**spec, "nodeRequirements": requirements, "resourceName": name})
    AcceleratorClassSpec.parse({**spec, "nodeRequirements": requirements, "resourceName": "a" * 242 + "/b"})


@pytest.mark.parametrize(
    ("units", "bits", "tflops"),
    [
        (DenseTeraflops(bits16=2250, bits8=4500, bits4=9000), 4, 9000),
        (DenseTeraflops(bits16=989, bits8=1979), 4, 1979),
        (DenseTeraflops(bits16=989, bits8=1979), 8, 1979),
        (DenseTeraflops(bits16=312), 4, 312),
        (DenseTeraflops(bits16=312), 8, 312),
        (DenseTeraflops(bits16=312), 16, 312),
    ],
)
def test_arithmetic_without_units_is_done_in_the_next_wider_format(
    units: DenseTeraflops, bits: int, tflops: int
) -> None:
    assert units.at(bits) == tflops
