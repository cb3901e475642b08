from __future__ import annotations

import pytest

from mixserve.api.pool import Variant
from mixserve.plan.resources import memory_quantity, resources, shared_memory_bytes
from support.manifests import variant

GPU = "nvidia.com/gpu"


def asked(gpus=1, **fields):
    one = Variant.parse(variant(tensorParallel=gpus, resources=fields))
    return resources(one, gpu_resource=GPU)


@pytest.mark.parametrize(
    ("gpus", "cpu", "memory"), [(1, "3", "8Gi"), (2, "4", "20Gi"), (4, "6", "28Gi"), (8, "10", "52Gi")]
)
def test_a_replica_reserves_what_its_processes_need_and_may_have_more(gpus, cpu, memory):
    assert asked(gpus) == {"requests": {"cpu": cpu, "memory": memory}, "limits": {GPU: str(gpus)}}


def test_memory_that_the_pool_gives_is_a_limit_with_shared_memory_on_top():
    assert asked(2, memory="64Gi") == {
        "requests": {"cpu": "4", "memory": "72Gi"},
        "limits": {"memory": "72Gi", GPU: "2"},
    }


def test_cpu_that_the_pool_gives_is_no_limit():
    assert asked(cpu=12) == {"requests": {"cpu": "12", "memory": "8Gi"}, "limits": {GPU: "1"}}


@pytest.mark.parametrize(("gpus", "gib"), [(1, 0), (2, 8), (4, 8), (5, 16), (8, 16), (64, 16)])
def test_more_processes_share_more_memory(gpus, gib):
    assert shared_memory_bytes(gpus) == gib * 2**30


@pytest.mark.parametrize(
    ("value", "text"), [(2**30, "1Gi"), (1536 * 2**20, "1536Mi"), (2**20, "1Mi"), (2**20 + 1, "1Mi")]
)
def test_memory_is_written_in_the_largest_whole_unit(value, text):
    assert memory_quantity(value) == text
