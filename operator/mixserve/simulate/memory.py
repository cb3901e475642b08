"""How much memory is left for keys and values, and whether that is enough to start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.simulate.startup_errors import ContextDoesNotFitError, NoKVCacheMemoryError, WeightsDoNotFitError

if TYPE_CHECKING:
    from mixserve.simulate.settings import EngineSettings


@dataclass(frozen=True, kw_only=True)
class KVBudget:
    """The KV cache of one engine.

    Attributes:
        bytes_per_gpu: memory for keys and values on each GPU.
        blocks: whole blocks that fit, over all GPUs together.
    """

    bytes_per_gpu: int
    blocks: int


def kv_budget(settings: EngineSettings) -> KVBudget:
    """Size the KV cache: memory x utilization - weights - overhead, per GPU.

    Raises:
        WeightsDoNotFitError: the weights alone exceed the GPUs' memory.
        NoKVCacheMemoryError: nothing is left for keys and values.
        ContextDoesNotFitError: not even one request of max_model_len fits.
    """
    hardware, model = settings.hardware, settings.model
    weights_per_gpu = (model.weights_bytes + settings.draft_bytes) / hardware.gpus
    if weights_per_gpu > hardware.memory_bytes:
        raise WeightsDoNotFitError(memory_bytes=hardware.memory_bytes)
    usable = hardware.memory_bytes * settings.gpu_memory_utilization
    available = int(usable - weights_per_gpu - settings.memory_overhead_bytes)
    if available <= 0:
        raise NoKVCacheMemoryError
    blocks = available * hardware.gpus // (settings.block_size * model.kv_bytes_per_token)
    _require_one_request(settings, available, blocks)
    return KVBudget(bytes_per_gpu=available, blocks=blocks)


def _require_one_request(settings: EngineSettings, available_bytes: int, blocks: int) -> None:
    needed_blocks = blocks_for(settings.max_model_len, settings.block_size)
    if needed_blocks <= blocks:
        return
    block_bytes_per_gpu = settings.block_size * settings.model.kv_bytes_per_token / settings.hardware.gpus
    raise ContextDoesNotFitError(
        max_model_len=settings.max_model_len,
        needed_bytes=needed_blocks * block_bytes_per_gpu,
        available_bytes=available_bytes,
        estimated_max_model_len=blocks * settings.block_size,
    )


def blocks_for(tokens: int, block_size: int) -> int:
    """Blocks that `tokens` tokens occupy."""
    return -(-tokens // block_size)
