from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.simulate.memory import blocks_for, kv_budget
from mixserve.simulate.settings import GIB, EngineSettings, HardwareFacts, ModelFactsForSimulation
from mixserve.simulate.startup_errors import (
    ContextDoesNotFitError,
    NoKVCacheMemoryError,
    WeightsDoNotFitError,
)
from support.simulation import HARDWARE, MODEL, engine_settings

# Llama-3.1-8B in FP8: 32 layers x 8 KV heads x 128 x 2 (key and value) x 2 bytes.
LLAMA_8B_FP8 = ModelFactsForSimulation(
    parameters=8_030_000_000,
    active_parameters=8_030_000_000,
    weights_bytes=int(8.5 * GIB),
    kv_bytes_per_token=131072,
)
L4 = HardwareFacts(memory_bytes=22 * GIB, memory_bandwidth_bytes_per_s=300e9, flops=242e12)


def test_what_weights_and_overhead_leave_becomes_blocks() -> None:
    budget = kv_budget(EngineSettings(hardware=L4, model=LLAMA_8B_FP8, max_model_len=8192))
    assert budget.bytes_per_gpu == int((22 * 0.92 - 8.5 - 2.5) * GIB)
    assert budget.blocks == budget.bytes_per_gpu // (16 * 131072) == 4730


def test_two_gpus_share_weights_and_blocks() -> None:
    settings = EngineSettings(hardware=dataclasses.replace(L4, gpus=2), model=LLAMA_8B_FP8, max_model_len=8192)
    budget = kv_budget(settings)
    assert budget.bytes_per_gpu == int((22 * 0.92 - 8.5 / 2 - 2.5) * GIB)
    assert budget.blocks == 2 * budget.bytes_per_gpu // (16 * 131072)


def test_weights_beyond_the_gpu_run_out_of_memory() -> None:
    with pytest.raises(WeightsDoNotFitError):
        kv_budget(engine_settings(model=dataclasses.replace(MODEL, weights_bytes=HARDWARE.memory_bytes + 1)))


def test_weights_that_leave_nothing_are_an_error_of_their_own() -> None:
    with pytest.raises(NoKVCacheMemoryError):
        kv_budget(engine_settings(memory_overhead_bytes=9 * GIB))


def test_exactly_one_request_of_the_longest_context_is_enough() -> None:
    assert kv_budget(engine_settings(blocks=8, max_model_len=32)).blocks == 8


def test_one_token_more_than_fits_names_the_longest_that_fits() -> None:
    with pytest.raises(ContextDoesNotFitError, match=r"max seq len \(33\), \(0\.04 GiB KV cache") as error:
        kv_budget(engine_settings(blocks=8, max_model_len=33))
    assert error.value.estimated_max_model_len == 32
    assert "estimated maximum model length is 32." in str(error.value)


@given(tokens=st.integers(0, 10_000), size=st.integers(1, 256))
def test_blocks_hold_the_tokens_with_less_than_a_block_to_spare(tokens: int, size: int) -> None:
    assert tokens <= blocks_for(tokens, size) * size < tokens + size


@given(utilization=st.floats(0.1, 0.99))
def test_more_utilization_never_means_fewer_blocks(utilization: float) -> None:
    def blocks(share: float) -> int:
        try:
            return kv_budget(
                engine_settings(gpu_memory_utilization=share, memory_overhead_bytes=GIB, max_model_len=4)
            ).blocks
        except (NoKVCacheMemoryError, ContextDoesNotFitError):
            return 0

    assert blocks(utilization) <= blocks(utilization + 0.01)
