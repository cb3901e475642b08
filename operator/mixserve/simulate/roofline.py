"""The step times of a simulated engine: the formula that planning uses, with the numbers that the engine was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.plan.roofline import Roofline

if TYPE_CHECKING:
    from mixserve.simulate.settings import HardwareFacts, ModelFactsForSimulation


def roofline_of(hardware: HardwareFacts, model: ModelFactsForSimulation) -> Roofline:
    """The formula's coefficients for a simulated engine."""
    return Roofline.of(
        gpus=hardware.gpus,
        memory_bandwidth_bytes_per_s=hardware.memory_bandwidth_bytes_per_s,
        flops=hardware.flops,
        parameters=model.parameters,
        active_parameters=model.active_parameters,
        weights_bytes=model.weights_bytes,
        active_weights_bytes=model.weights_bytes * model.active_parameters / model.parameters,
        kv_bytes_per_token=model.kv_bytes_per_token,
    )
