from __future__ import annotations

import re

import pytest
import yaml

from mixserve.api.accelerator import NodeOperator, NodeRequirement
from mixserve.api.engine import EngineType
from mixserve.catalog.built_in import ACCELERATORS_FOLDER, FOLDERS, built_in_catalog, manifests
from mixserve.plan.quant_method import quant_method
from support.quantized_checkpoints import QUANTIZATION_CONFIGS

CATALOG = built_in_catalog()

# What GPU Feature Discovery says of each GPU: compute capability, memory in MiB, product.
LABELS = {
    "L4": ("8.9", 23034, "NVIDIA-L4"),
    "RTX 4090": ("8.9", 24564, "NVIDIA-GeForce-RTX-4090"),
    "L40": ("8.9", 46068, "NVIDIA-L40"),
    "L40S": ("8.9", 46068, "NVIDIA-L40S"),
    "RTX 6000 Ada": ("8.9", 49140, "NVIDIA-RTX-6000-Ada-Generation"),
    "A10": ("8.6", 23028, "NVIDIA-A10"),
    "A10G": ("8.6", 23028, "NVIDIA-A10G"),
    "RTX 3090": ("8.6", 24576, "NVIDIA-GeForce-RTX-3090"),
    "A30": ("8.0", 24576, "NVIDIA-A30"),
    "A100 40 GB": ("8.0", 40960, "NVIDIA-A100-SXM4-40GB"),
    "A100 80 GB": ("8.0", 81920, "NVIDIA-A100-SXM4-80GB"),
    "A100 80 GB PCIe": ("8.0", 81920, "NVIDIA-A100-80GB-PCIe"),
    "H100": ("9.0", 81559, "NVIDIA-H100-80GB-HBM3"),
    "H100 NVL": ("9.0", 95830, "NVIDIA-H100-NVL"),
    "H200": ("9.0", 143771, "NVIDIA-H200"),
    "B200": ("10.0", 183359, "NVIDIA-B200"),
    "GB200": ("10.0", 189471, "NVIDIA-GB200"),
    "RTX 5090": ("12.0", 32607, "NVIDIA-GeForce-RTX-5090"),
    "RTX PRO 6000": ("12.0", 97887, "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition"),
    # MIG with one kind of slice per node: product and memory are those of the slice.
    "1g.10gb of an H100": ("9.0", 9984, "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"),
    "3g.40gb of an A100": ("8.0", 40192, "NVIDIA-A100-SXM4-80GB-MIG-3g.40gb"),
    "7g.80gb of an H100": ("9.0", 81152, "NVIDIA-H100-80GB-HBM3-MIG-7g.80gb"),
}
CLASSES = {
    "L4": "l4",
    "A10G": "a10g",
    "L40S": "l40s",
    "A100 40 GB": "a100-40gb",
    "A100 80 GB": "a100-80gb",
    "A100 80 GB PCIe": "a100-80gb",
    "H100": "h100-80gb",
    "H200": "h200",
    "B200": "b200",
    "RTX PRO 6000": "rtx-pro-6000",
}


def labels(gpu: str, **more: str) -> dict[str, str]:
    version, memory, product = LABELS[gpu]
    major, minor = version.split(".")
    compute = {"compute.major": major, "compute.minor": minor}
    names = {**compute, "memory": str(memory), "product": product, "sharing-strategy": "none", **more}
    if "-MIG-" in product:
        names["slices.gi"] = product.partition("-MIG-")[2][0]
    return {f"nvidia.com/gpu.{name}": value for name, value in names.items()}


def satisfied(requirement: NodeRequirement, node: dict[str, str]) -> bool:
    """As the scheduler decides it, for the operators that the catalogue uses."""
    value = node.get(requirement.key)
    match requirement.operator:
        case NodeOperator.IN:
            return value in requirement.values
        case NodeOperator.NOT_IN:
            return value not in requirement.values
        case NodeOperator.DOES_NOT_EXIST:
            return value is None
        case NodeOperator.GREATER:
            return value is not None and int(value) > int(requirement.values[0])
        case NodeOperator.LESS:
            return value is not None and int(value) < int(requirement.values[0])
    raise AssertionError(requirement.operator)


def classes_of(node: dict[str, str]) -> list[str]:
    entries = CATALOG.accelerators.items()
    return [name for name, e in entries if all(satisfied(r, node) for r in e.spec.node_requirements)]


def runs_on(engine: EngineType) -> set[str]:
    return {name for name, e in CATALOG.formats.items() if any(row.type is engine for row in e.spec.engines)}


def test_the_formats_and_gpus_are_there() -> None:
    assert set(CATALOG.formats) == {
        *("bf16", "fp16", "fp8", "fp8-online", "fp8-block", "mxfp8", "nvfp4", "mxfp4", "int4-awq", "int4-gptq"),
        *("int8-smoothquant", "w4a8-fp8", "kv-fp8", "kv-nvfp4"),
    }
    assert set(CATALOG.accelerators) == set(CLASSES.values())


@pytest.mark.parametrize("gpu", LABELS)
def test_a_gpu_is_found_by_its_own_class_only(gpu: str) -> None:
    assert classes_of(labels(gpu)) == ([CLASSES[gpu]] if gpu in CLASSES else [])


@pytest.mark.parametrize("strategy", ["time-slicing", "mps"])
@pytest.mark.parametrize("gpu", CLASSES)
def test_a_shared_gpu_is_not_taken_for_a_whole_one(gpu: str, strategy: str) -> None:
    assert classes_of(labels(gpu, product=f"{LABELS[gpu][2]}-SHARED", **{"sharing-strategy": strategy})) == []


def test_a_node_that_does_not_say_whether_it_shares_is_taken() -> None:
    node = {key: value for key, value in labels("H100").items() if not key.endswith("sharing-strategy")}
    assert classes_of(node) == ["h100-80gb"]


def test_a_process_gets_less_memory_than_the_driver_reports() -> None:
    for gpu, name in CLASSES.items():
        assert 0.95 < CATALOG.accelerators[name].spec.memory / (LABELS[gpu][1] * 2**20) < 1


@pytest.mark.parametrize("name", [name for name, entry in CATALOG.formats.items() if entry.spec.compute_bits == 16])
def test_sixteen_bit_arithmetic_is_native_wherever_the_format_runs(name: str) -> None:
    assert all(row.native_compute_capability is None for row in CATALOG.formats[name].spec.engines)


@pytest.mark.parametrize("name", CATALOG.formats)
def test_what_falls_back_says_to_which_kernel(name: str) -> None:
    for row in CATALOG.formats[name].spec.engines:
        assert (row.native_compute_capability is None) == (row.fallback_kernel is None)


def test_throughput_grows_with_fewer_bits_and_units_are_those_of_the_generation() -> None:
    for entry in CATALOG.accelerators.values():
        units, capability = entry.spec.dense_teraflops, float(entry.spec.compute_capability)
        assert units.at(4) >= units.at(8) >= units.at(16)
        assert (units.bits8 is not None) == (capability >= 8.9)
        assert (units.bits4 is not None) == (capability >= 10)


def test_only_a_checkpoint_that_needs_no_flag_is_read_from_its_config() -> None:
    """Engines refuse a flag that contradicts quantization_config, so who describes a checkpoint gives none."""
    for entry in CATALOG.formats.values():
        if entry.spec.checkpoint is not None and entry.spec.checkpoint.quant_methods:
            assert all(row.arguments == () for row in entry.spec.engines)


def test_vllm_runs_every_format() -> None:
    assert runs_on(EngineType.VLLM) == set(CATALOG.formats)


def test_tensorrt_llm_runs_what_nvidias_support_matrix_has() -> None:
    assert runs_on(EngineType.TENSORRT_LLM) == {
        *("bf16", "fp8", "fp8-block", "nvfp4", "mxfp4", "int4-awq", "kv-fp8", "kv-nvfp4"),
    }


@pytest.mark.parametrize(
    ("name", "capabilities"),
    [
        ("bf16", ["8.0", "8.6", "8.9", "9.0", "10.0", "10.3", "12.0"]),
        ("fp8", ["8.9", "9.0", "10.0", "10.3", "12.0"]),
        ("fp8-block", ["9.0", "10.0", "10.3"]),
        ("nvfp4", ["10.0", "10.3", "12.0"]),
        ("mxfp4", ["10.0", "10.3", "12.0"]),
        ("int4-awq", ["8.0", "8.6", "8.9", "9.0"]),
    ],
)
def test_the_rows_of_tensorrt_llm_say_what_the_matrix_says(name: str, capabilities: list[str]) -> None:
    row = next(row for row in CATALOG.formats[name].spec.engines if row.type is EngineType.TENSORRT_LLM)
    matrix = ["7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "10.3", "12.0"]

    assert [capability for capability in matrix if row.runs_on(capability)] == capabilities


def test_a_file_is_called_as_its_object() -> None:
    for folder in FOLDERS:
        for file, text in manifests(folder).items():
            assert file == f"{yaml.safe_load(text)['metadata']['name']}.yaml"


def test_a_price_names_its_source_and_date() -> None:
    for text in manifests(ACCELERATORS_FOLDER).values():
        assert re.search(r"# .*list price, 20\d\d-\d\d.*\n  pricePerHour: ", text)


def test_the_catalogue_is_read_once_and_can_not_be_changed() -> None:
    assert built_in_catalog() is CATALOG
    with pytest.raises(TypeError):
        CATALOG.formats["fp8"] = CATALOG.formats["bf16"]  # type: ignore[index]


METHODS = {
    name: entry.spec.checkpoint.quant_methods for name, entry in CATALOG.formats.items() if entry.spec.checkpoint
}


@pytest.mark.parametrize("method", QUANTIZATION_CONFIGS)
def test_a_published_checkpoint_is_recognised(method: str) -> None:
    assert quant_method({"quantization_config": QUANTIZATION_CONFIGS[method]}) == method


def test_each_method_of_the_catalogue_has_a_published_checkpoint() -> None:
    assert {method for methods in METHODS.values() for method in methods} == set(QUANTIZATION_CONFIGS)


def test_only_formats_of_the_same_bits_share_a_method() -> None:
    for method in QUANTIZATION_CONFIGS:
        assert len({CATALOG.formats[name].spec.bits for name, methods in METHODS.items() if method in methods}) == 1
