"""The simulated engine's GPU of an accelerator of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve_devcluster.engine.hardware import GPUS

if TYPE_CHECKING:
    from mixserve_devcluster.engine.hardware import Gpu

# The simulation calls the 80 GB of A100 and H100 the usual ones.
_OTHER_NAMES = {"a100-80gb": "A100", "h100-80gb": "H100"}


def simulated_gpu(accelerator: str) -> Gpu:
    return GPUS[_OTHER_NAMES.get(accelerator, accelerator.upper())]
