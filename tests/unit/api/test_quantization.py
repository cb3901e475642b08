from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from mixserve.api.engine import EngineType
from mixserve.api.quantization import QuantizationEngine, QuantizationFormat, QuantizationFormatSpec, capability

ROW = QuantizationEngine(type=EngineType.VLLM, minimum_compute_capability="7.5", native_compute_capability="8.9")


def test_compute_capabilities_compare_as_versions() -> None:
    assert sorted(["10.0", "9.0", "8.9", "12.1"], key=capability) == ["8.9", "9.0", "10.0", "12.1"]


def test_native_must_not_come_before_the_minimum() -> None:
    with pytest.raises(ValidationError, match="nativeComputeCapability must not be older"):
        QuantizationEngine(type=EngineType.VLLM, minimum_compute_capability="10.0", native_compute_capability="9.0")


@pytest.mark.parametrize("bits", ["0.9999", "32.0001"])
def test_a_weight_has_1_to_32_bits(bits: str) -> None:
    with pytest.raises(ValidationError, match="bitsPerWeight must be from 1 to 32"):
        QuantizationFormatSpec(bits_per_weight=Decimal(bits), compute_bits=16, engines=(ROW,))


@pytest.mark.parametrize("name", ["a.b", "a" * 64, "A", ""])
def test_a_format_is_called_so_that_a_pool_can_name_it(name: str) -> None:
    spec: dict[str, Any] = {"bitsPerWeight": "8", "computeBits": 8, "engines": [ROW.to_wire()]}
    with pytest.raises(ValidationError, match="at most 63 characters of a-z, 0-9 and -"):
        QuantizationFormat.parse({"metadata": {"name": name}, "spec": spec})
    assert QuantizationFormat.parse({"metadata": {"name": "a-1"}, "spec": spec}).spec.bits_per_weight == 8
