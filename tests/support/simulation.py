"""Small simulated engines whose numbers can be worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.simulate.requests import Request
from mixserve.simulate.settings import GIB, EngineSettings, HardwareFacts, ModelFactsForSimulation

if TYPE_CHECKING:
    from mixserve.simulate.engine import SimulatedEngineCore, Step

# Without efficiency and overhead a step would read these weights in 1 s and compute 1000 tokens in 1 s.
HARDWARE = HardwareFacts(memory_bytes=10 * GIB, memory_bandwidth_bytes_per_s=GIB, flops=2000 * GIB)
MODEL = ModelFactsForSimulation(parameters=GIB, active_parameters=GIB, weights_bytes=GIB, kv_bytes_per_token=1024**2)
BLOCK_SIZE = 4


def engine_settings(*, blocks: int = 64, **changes: Any) -> EngineSettings:
    """An engine with exactly `blocks` blocks of 4 tokens."""
    kv_bytes = blocks * BLOCK_SIZE * MODEL.kv_bytes_per_token
    chosen: dict[str, Any] = {
        "hardware": HARDWARE,
        "model": MODEL,
        "max_model_len": 32,
        "max_num_seqs": 4,
        "max_num_batched_tokens": 16,
        "gpu_memory_utilization": 1.0,
        "block_size": BLOCK_SIZE,
        "memory_overhead_bytes": HARDWARE.memory_bytes - MODEL.weights_bytes - kv_bytes,
    }
    return EngineSettings(**{**chosen, **changes})


def request(
    request_id: str = "r",
    *,
    prompt: int = 4,
    answer: int = 3,
    hashes: tuple[int, ...] = (),
) -> Request:
    """A request by its lengths."""
    return Request(request_id=request_id, prompt_tokens=prompt, answer_tokens=answer, block_hashes=hashes)


def run_until_idle(engine: SimulatedEngineCore, now_s: float = 0.0) -> list[Step]:
    """All steps until nothing is left to do, back to back."""
    steps = []
    while engine.has_work:
        step = engine.step(now_s)
        now_s = step.ended_at_s
        steps.append(step)
    return steps
