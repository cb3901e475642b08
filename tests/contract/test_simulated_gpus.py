"""The simulated engine's GPUs are those that the catalogue plans with."""

from __future__ import annotations

import pytest

from mixserve.catalog.built_in import built_in_catalog
from mixserve_devcluster.engine.hardware import GPUS

ACCELERATORS = built_in_catalog().accelerators


@pytest.mark.parametrize("name", ACCELERATORS)
def test_a_gpu_of_the_catalogue_is_simulated_with_the_same_memory(name: str) -> None:
    spec = ACCELERATORS[name].spec
    gpu = GPUS[name.split("-", maxsplit=1)[0].upper()]
    assert gpu.memory_bytes == pytest.approx(spec.memory, rel=0.001)
