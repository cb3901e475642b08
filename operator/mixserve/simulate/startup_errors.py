"""Why an engine does not start, in the words that vLLM 0.32 and PyTorch log, so that readers of logs can be tested.

EngineStartError
    WeightsDoNotFitError    the weights alone exceed a GPU's memory
    FreeMemoryError         another process holds the GPU's memory
    NoKVCacheMemoryError    nothing is left for the KV cache
    ContextDoesNotFitError  the KV cache can't hold one request of max_model_len
"""

from __future__ import annotations

from typing import ClassVar

from mixserve.simulate.settings import GIB

_MIB = 1024**2
_DOCUMENTATION = "https://docs.vllm.ai/en/latest/configuration/conserving_memory/"


class EngineStartError(Exception):
    """The engine can't start; `exception` is the class that the engine's own log names."""

    exception: ClassVar[str] = "ValueError"


class WeightsDoNotFitError(EngineStartError):
    """CUDA out of memory while loading the weights."""

    exception = "torch.OutOfMemoryError"

    def __init__(self, *, memory_bytes: int) -> None:
        # The last allocation that failed is a layer's matrix; its size, and what is left, stand for any.
        total, free = memory_bytes / GIB, 0.25
        super().__init__(
            "CUDA out of memory. Tried to allocate 896.00 MiB. "
            f"GPU 0 has a total capacity of {total:.2f} GiB of which {free * GIB / _MIB:.2f} MiB is free. "
            f"Including non-PyTorch memory, this process has {total - free:.2f} GiB memory in use. "
            f"Of the allocated memory {total - 2 * free:.2f} GiB is allocated by PyTorch, "
            "and 21.16 MiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is large "
            "try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  "
            "See documentation for Memory Management  "
            "(https://pytorch.org/docs/stable/notes/cuda.html#environment-variables)"
        )


class FreeMemoryError(EngineStartError):
    """Another process, often the previous pod, still holds the GPU's memory."""

    def __init__(
        self,
        *,
        memory_bytes: int,
        free_bytes: int,
        gpu_memory_utilization: float,
    ) -> None:
        desired = memory_bytes * gpu_memory_utilization
        super().__init__(
            f"Free memory on device cuda:0 ({_gib(free_bytes)}/{_gib(memory_bytes)} GiB) on startup is less than "
            f"desired GPU memory utilization ({gpu_memory_utilization}, {_gib(desired)} GiB). "
            "Decrease GPU memory utilization or reduce GPU memory used by other processes."
        )


class NoKVCacheMemoryError(EngineStartError):
    """Weights and overhead take all the memory that the engine may use."""

    def __init__(self) -> None:
        super().__init__(
            "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the "
            "engine (this flag also controls CPU memory reservation on the CPU backend, despite its name). "
            f"See {_DOCUMENTATION} for more details."
        )


class ContextDoesNotFitError(EngineStartError):
    """The KV cache is smaller than one request of max_model_len.

    Attributes:
        estimated_max_model_len: the longest that would fit, 0 if not even one block does.
    """

    def __init__(
        self,
        *,
        max_model_len: int,
        needed_bytes: float,
        available_bytes: float,
        estimated_max_model_len: int,
    ) -> None:
        self.estimated_max_model_len = estimated_max_model_len
        estimate = (
            f"Based on the available memory, the estimated maximum model length is {estimated_max_model_len}. "
            if estimated_max_model_len
            else ""
        )
        # The unbalanced parenthesis is vLLM's.
        super().__init__(
            f"To serve at least one request with the model's max seq len ({max_model_len}), "
            f"({_gib(needed_bytes)} GiB KV cache is needed, which is larger than the available KV cache memory "
            f"({_gib(available_bytes)} GiB). {estimate}Try increasing `gpu_memory_utilization` (which also controls "
            "CPU memory on the CPU backend) or decreasing `max_model_len` when initializing the engine. "
            f"See {_DOCUMENTATION} for more details."
        )


def _gib(size_bytes: float) -> str:
    return f"{round(size_bytes / GIB, 2)}"
