from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from mixserve.api.engine import EngineType
from mixserve.api.quantization import (
    Checkpoint,
    QuantizationEngine,
    QuantizationFormat,
    QuantizationFormatSpec,
    is_at_least,
)

ROW = QuantizationEngine(type=EngineType.VLLM, minimum_compute_capability="7.5", native_compute_capability="8.9")


@pytest.mark.parametrize(
    ("found", "needed", "enough"),
    [("10.0", "9.0", True), ("9.0", "10.0", False), ("8.9", "8.9", True), ("8.6", "8.9", False), ("12.1", "8.9", True)],
)
def test_compute_capabilities_compare_as_versions(found: str, needed: str, enough: bool) -> None:
    assert is_at_least(found, needed) is enough


@pytest.mark.parametrize(
    ("gpu", "runs", "is_native"), [("7.0", False, False), ("7.5", True, False), ("8.9", True, True)]
)
def test_a_format_runs_on_more_gpus_than_it_is_native_on(gpu: str, runs: bool, is_native: bool) -> None:
    assert (ROW.runs_on(gpu), ROW.is_native_on(gpu)) == (runs, is_native)


def test_a_checkpoint_that_is_not_quantized_is_another_than_one_that_nobody_describes() -> None:
    spec: dict[str, Any] = {"bitsPerWeight": "8", "computeBits": 8, "engines": [ROW.to_wire()]}
    assert QuantizationFormatSpec.parse(spec).checkpoint is None
    assert QuantizationFormatSpec.parse({**spec, "checkpoint": {}}).checkpoint == Checkpoint(quant_methods=())


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
