from __future__ import annotations

import pytest

from mixserve.simulate.settings import GIB
from mixserve_devcluster.engine.errors import ConfigurationError
from mixserve_devcluster.engine.hardware import GPUS, facts, find

H100_LABELS = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}


def test_the_nodes_label_says_which_gpu_it_is() -> None:
    assert find(H100_LABELS, "L4") is GPUS["H100"]


def test_a_shared_gpu_is_still_that_gpu() -> None:
    assert find({"nvidia.com/gpu.product": "NVIDIA-L4-SHARED"}, None) is GPUS["L4"]


def test_without_a_label_the_flag_says_it_and_else_it_is_the_smallest() -> None:
    assert find({"kubernetes.io/os": "linux"}, "b200") is GPUS["B200"]
    assert find({}, None) is GPUS["L4"]


def test_the_label_of_all_memory_does_not_make_more_of_it_usable() -> None:
    assert find({**H100_LABELS, "nvidia.com/gpu.memory": "81559"}, None).memory_bytes == GPUS["H100"].memory_bytes


def test_a_card_with_less_memory_has_less() -> None:
    assert find({**H100_LABELS, "nvidia.com/gpu.memory": "40960"}, None).memory_bytes == 40 * GIB


@pytest.mark.parametrize(
    ("labels", "name", "complaint"),
    [
        (
            {"nvidia.com/gpu.product": "Voodoo-2"},
            None,
            "gpu.product: the simulation knows no GPU 'Voodoo-2'",
        ),
        ({"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"}, None, "knows no GPU"),
        ({}, "Voodoo-2", "--simulated-gpu: unknown GPU 'Voodoo-2'; known: L4, A10G"),
        ({**H100_LABELS, "nvidia.com/gpu.memory": "80Gi"}, None, "nvidia.com/gpu.memory: must be a number of MiB"),
        ({**H100_LABELS, "nvidia.com/gpu.memory": "0"}, None, "nvidia.com/gpu.memory: must be a number of MiB"),
    ],
)
def test_an_unusable_gpu_is_refused_with_the_place_where_it_is_named(
    labels: dict[str, str], name: str | None, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        find(labels, name)


@pytest.mark.parametrize(
    ("gpu", "bits", "tflops"),
    [("H100", 16, 989), ("H100", 8, 1979), ("H100", 4, 1979), ("A100", 8, 312), ("B200", 4, 9000), ("L4", 32, 121)],
)
def test_arithmetic_falls_back_to_the_next_wider_format(gpu: str, bits: int, tflops: int) -> None:
    assert facts(GPUS[gpu], gpus=2, compute_bits=bits).flops == pytest.approx(tflops * 1e12)


def test_facts_are_of_one_gpu_and_say_how_many_there_are() -> None:
    hardware = facts(GPUS["L4"], gpus=4, compute_bits=8)
    assert (hardware.memory_bytes, hardware.memory_bandwidth_bytes_per_s, hardware.gpus) == (22 * GIB, 300e9, 4)
