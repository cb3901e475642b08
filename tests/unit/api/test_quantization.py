from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from mixserve.api.compute_capability import is_at_least
from mixserve.api.engine import EngineType
from mixserve.api.quantization import Checkpoint, FormatTarget, ModelPart, QuantizationFormat, QuantizationFormatSpec
from mixserve.api.quantization_engine import QuantizationEngine, Refusal

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
    spec: dict[str, Any] = {"bits": "8", "computeBits": 8, "engines": [ROW.to_wire()]}
    assert QuantizationFormatSpec.parse(spec).checkpoint is None
    assert QuantizationFormatSpec.parse({**spec, "checkpoint": {}}).checkpoint == Checkpoint(quant_methods=())


def test_native_must_not_come_before_the_minimum() -> None:
    with pytest.raises(ValidationError, match="nativeComputeCapability must not be older"):
        QuantizationEngine(type=EngineType.VLLM, minimum_compute_capability="10.0", native_compute_capability="9.0")


@pytest.mark.parametrize("bits", ["0.9999", "32.0001"])
def test_a_weight_has_1_to_32_bits(bits: str) -> None:
    with pytest.raises(ValidationError, match="bits must be from 1 to 32"):
        QuantizationFormatSpec(bits=Decimal(bits), compute_bits=16, engines=(ROW,))


@pytest.mark.parametrize("name", ["a.b", "a" * 64, "A", ""])
def test_a_format_is_called_so_that_a_pool_can_name_it(name: str) -> None:
    spec: dict[str, Any] = {"bits": "8", "computeBits": 8, "engines": [ROW.to_wire()]}
    with pytest.raises(ValidationError, match="at most 63 characters of a-z, 0-9 and -"):
        QuantizationFormat.parse({"metadata": {"name": name}, "spec": spec})
    assert QuantizationFormat.parse({"metadata": {"name": "a-1"}, "spec": spec}).spec.bits_per_weight == 8


@pytest.mark.parametrize(
    ("gpu", "runs", "refused"),
    [("7.0", False, False), ("9.0", True, False), ("10.0", False, True), ("12.0", False, True)],
)
def test_gpus_that_are_new_enough_can_be_refused_all_the_same(gpu: str, runs: bool, refused: bool) -> None:
    row = QuantizationEngine(
        type=EngineType.VLLM,
        minimum_compute_capability="7.5",
        refused=(Refusal(from_compute_capability="10.0", reason="there are no kernels"),),
    )
    assert row.runs_on(gpu) is runs
    assert (row.refusal_on(gpu) is not None) is refused
    assert row.is_native_on(gpu) is (gpu != "7.0")


def test_what_is_too_old_need_not_be_refused() -> None:
    early = Refusal(from_compute_capability="8.9", reason="there are no kernels")
    with pytest.raises(ValidationError, match="must not be older than minimumComputeCapability"):
        QuantizationEngine(type=EngineType.VLLM, minimum_compute_capability="9.0", refused=(early,))


def test_only_a_format_that_is_not_native_everywhere_falls_back() -> None:
    with pytest.raises(ValidationError, match="fallbackKernel is only for formats"):
        QuantizationEngine(type=EngineType.VLLM, minimum_compute_capability="9.0", fallback_kernel="Marlin")


def test_embeddings_and_output_matrix_stay_at_16_bits_unless_told() -> None:
    spec = QuantizationFormatSpec.parse({"bits": "4.25", "engines": [ROW.to_wire()]})
    assert spec.unquantized == (ModelPart.EMBEDDINGS, ModelPart.OUTPUT_MATRIX)
    assert spec.target is FormatTarget.WEIGHTS


@pytest.mark.parametrize("about_weights", [{"computeBits": 8}, {"checkpoint": {}}])
def test_a_format_of_the_kv_cache_says_nothing_about_weights(about_weights: dict[str, Any]) -> None:
    spec = {"target": "KVCache", "bits": "8", "engines": [{"type": "vllm", "minimumComputeCapability": "8.0"}]}
    assert QuantizationFormatSpec.parse(spec).compute_bits == 16
    with pytest.raises(ValidationError, match="are about weights"):
        QuantizationFormatSpec.parse({**spec, **about_weights})


@pytest.mark.parametrize(("name", "target"), [("fp8", "KVCache"), ("kv-fp8", "Weights")])
def test_the_name_says_whether_a_format_is_one_of_the_kv_cache(name: str, target: str) -> None:
    spec = {"target": target, "bits": "8", "engines": [{"type": "vllm", "minimumComputeCapability": "8.0"}]}
    with pytest.raises(ValidationError, match="must begin with kv-"):
        QuantizationFormat.parse({"metadata": {"name": name}, "spec": spec})
