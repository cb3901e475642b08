from __future__ import annotations

import re

import pytest
import yaml

from mixserve.api.accelerator import NodeOperator, NodeRequirement
from mixserve.api.engine import EngineType
from mixserve.catalog.built_in import ACCELERATORS_FOLDER, FOLDERS, built_in_catalog, manifests

CATALOG = built_in_catalog()

# What GPU Feature Discovery says of each GPU: compute capability, memory in MiB.
LABELS = {
    "L4": ("8.9", 23034),
    "RTX 4090": ("8.9", 24564),
    "L40S": ("8.9", 46068),
    "A10G": ("8.6", 23028),
    "A100 40 GB": ("8.0", 40960),
    "A100 80 GB": ("8.0", 81920),
    "H100": ("9.0", 81559),
    "H100 NVL": ("9.0", 95830),
    "H200": ("9.0", 143771),
    "B200": ("10.0", 183359),
}


def labels(gpu: str, **more: str) -> dict[str, str]:
    version, memory = LABELS[gpu]
    major, minor = version.split(".")
    names = {"compute.major": major, "compute.minor": minor, "memory": str(memory), "sharing-strategy": "none", **more}
    return {f"nvidia.com/gpu.{name}": value for name, value in names.items()}


def satisfied(requirement: NodeRequirement, node: dict[str, str]) -> bool:
    """As the scheduler decides it, for the operators that the catalogue uses."""
    value = node.get(requirement.key)
    match requirement.operator:
        case NodeOperator.IN:
            return value in requirement.values
        case NodeOperator.NOT_IN:
            return value not in requirement.values
        case NodeOperator.GREATER:
            return value is not None and int(value) > int(requirement.values[0])
        case NodeOperator.LESS:
            return value is not None and int(value) < int(requirement.values[0])
    raise AssertionError(requirement.operator)


def classes_of(node: dict[str, str]) -> list[str]:
    entries = CATALOG.accelerators.items()
    return [name for name, e in entries if all(satisfied(r, node) for r in e.spec.node_requirements)]


def test_the_first_formats_and_gpus_are_there() -> None:
    assert set(CATALOG.formats) == {"bf16", "fp8", "int4-awq"}
    assert set(CATALOG.accelerators) == {"l4", "a100-80gb", "h100-80gb"}


@pytest.mark.parametrize(
    ("gpu", "classes"),
    [
        ("L4", ["l4"]),
        ("A100 80 GB", ["a100-80gb"]),
        ("H100", ["h100-80gb"]),
        *((gpu, []) for gpu in LABELS if gpu not in {"L4", "A100 80 GB", "H100"}),
    ],
)
def test_a_gpu_is_found_by_its_own_class_only(gpu: str, classes: list[str]) -> None:
    assert classes_of(labels(gpu)) == classes


def test_a_shared_gpu_is_not_taken_for_a_whole_one() -> None:
    assert classes_of(labels("H100", **{"sharing-strategy": "time-slicing"})) == []


def test_a_node_that_does_not_say_whether_it_shares_is_taken() -> None:
    node = {key: value for key, value in labels("H100").items() if not key.endswith("sharing-strategy")}
    assert classes_of(node) == ["h100-80gb"]


def test_a_process_gets_less_memory_than_the_driver_reports() -> None:
    memory = {"l4": "L4", "a100-80gb": "A100 80 GB", "h100-80gb": "H100"}
    for name, gpu in memory.items():
        assert 0.95 < CATALOG.accelerators[name].spec.memory / (LABELS[gpu][1] * 2**20) < 1


@pytest.mark.parametrize("name", ["bf16", "int4-awq"])
def test_sixteen_bit_arithmetic_is_native_wherever_the_format_runs(name: str) -> None:
    spec = CATALOG.formats[name].spec
    assert spec.compute_bits == 16
    assert all(row.native_compute_capability == row.minimum_compute_capability for row in spec.engines)


def test_every_format_runs_on_every_engine() -> None:
    for entry in CATALOG.formats.values():
        assert {row.type for row in entry.spec.engines} == set(EngineType)


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
