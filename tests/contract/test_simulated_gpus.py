"""The simulated engine's GPUs are those that the catalogue plans with."""

from __future__ import annotations

import pytest

from mixserve.catalog.built_in import built_in_catalog
from mixserve_devcluster.engine.hardware import GPUS
from support.simulated_gpus import simulated_gpu

ACCELERATORS = built_in_catalog().accelerators


@pytest.mark.parametrize("name", ACCELERATORS)
def test_a_gpu_of_the_catalogue_is_simulated_as_it_is(name: str) -> None:
    spec, gpu = ACCELERATORS[name].spec, simulated_gpu(name)
    units = spec.dense_teraflops
    assert gpu.memory_bytes == pytest.approx(spec.memory, rel=0.001)
    assert gpu.bandwidth == pytest.approx(spec.memory_bandwidth * 1e9)
    expected = {16: units.bits16, 8: units.bits8, 4: units.bits4}
    assert gpu.flops == {bits: value * 1e12 for bits, value in expected.items() if value is not None}


def test_no_gpu_is_simulated_that_the_catalogue_lacks() -> None:
    simulated = [id(simulated_gpu(name)) for name in ACCELERATORS]
    assert sorted(simulated) == sorted(map(id, GPUS.values()))
