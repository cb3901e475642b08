from __future__ import annotations

from mixserve.simulate.settings import GIB
from mixserve.simulate.startup_errors import (
    ContextDoesNotFitError,
    FreeMemoryError,
    NoKVCacheMemoryError,
    WeightsDoNotFitError,
)


def test_a_context_that_does_not_fit_reads_as_in_a_log_of_vllm() -> None:
    # The numbers of a real log: Qwen3-0.6B at gpu_memory_utilization 0.2.
    error = ContextDoesNotFitError(
        max_model_len=40960,
        needed_bytes=40960 * 114688,
        available_bytes=1.31 * GIB,
        estimated_max_model_len=12288,
    )
    assert str(error) == (
        "To serve at least one request with the model's max seq len (40960), (4.38 GiB KV cache is needed, which "
        "is larger than the available KV cache memory (1.31 GiB). Based on the available memory, the estimated "
        "maximum model length is 12288. Try increasing `gpu_memory_utilization` (which also controls CPU memory "
        "on the CPU backend) or decreasing `max_model_len` when initializing the engine. See "
        "https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."
    )
    assert error.exception == "ValueError"


def test_no_length_is_estimated_where_none_fits() -> None:
    error = ContextDoesNotFitError(max_model_len=16, needed_bytes=GIB, available_bytes=1, estimated_max_model_len=0)
    assert "(0.0 GiB). Try increasing" in str(error)


def test_no_memory_for_blocks_reads_as_in_a_log_of_vllm() -> None:
    assert str(NoKVCacheMemoryError()) == (
        "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the "
        "engine (this flag also controls CPU memory reservation on the CPU backend, despite its name). See "
        "https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."
    )


def test_taken_memory_reads_as_in_a_log_of_vllm() -> None:
    error = FreeMemoryError(memory_bytes=int(23.56 * GIB), free_bytes=int(12.18 * GIB), gpu_memory_utilization=0.92)
    assert str(error) == (
        "Free memory on device cuda:0 (12.18/23.56 GiB) on startup is less than desired GPU memory utilization "
        "(0.92, 21.68 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
    )


def test_out_of_memory_is_pytorchs_own_exception() -> None:
    error = WeightsDoNotFitError(memory_bytes=22 * GIB)
    assert error.exception == "torch.OutOfMemoryError"
    assert str(error).startswith(
        "CUDA out of memory. Tried to allocate 896.00 MiB. GPU 0 has a total capacity of 22.00 GiB of which "
        "256.00 MiB is free."
    )
