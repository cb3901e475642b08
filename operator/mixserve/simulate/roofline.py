"""The step times of a simulated engine: the formula that planning uses, with the numbers that the engine was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixserve.plan.roofline import BANDWIDTH_EFFICIENCY, Roofline
from mixserve.plan.speed_up import DRAFT_STEP_OVERHEAD_S

if TYPE_CHECKING:
    from mixserve.simulate.settings import EngineSettings, HardwareFacts, ModelFactsForSimulation


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


def draft_step_s(settings: EngineSettings) -> float:
    """Seconds to propose one token to each request: its weights are read; 0 for what works on the CPU."""
    if not settings.draft_bytes:
        return 0.0
    hardware = settings.hardware
    bytes_per_s = hardware.gpus * hardware.memory_bandwidth_bytes_per_s * BANDWIDTH_EFFICIENCY
    return settings.draft_bytes / bytes_per_s + DRAFT_STEP_OVERHEAD_S
