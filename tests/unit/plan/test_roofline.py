from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.plan.roofline import STEP_OVERHEAD_S
from mixserve.simulate.roofline import roofline_of
from mixserve.simulate.settings import HardwareFacts, ModelFactsForSimulation

H100 = HardwareFacts(memory_bytes=85_000_000_000, memory_bandwidth_bytes_per_s=3350e9, flops=1979e12)
DENSE_8B = ModelFactsForSimulation(
    parameters=8_000_000_000,
    active_parameters=8_000_000_000,
    weights_bytes=8_000_000_000,
    kv_bytes_per_token=131072,
)
ROOFLINE = roofline_of(H100, DENSE_8B)
TOKENS = st.integers(1, 100_000)


def test_a_single_decode_reads_the_weights() -> None:
    step_s = ROOFLINE.step_s(batch_tokens=1, context_tokens=0)
    assert step_s == pytest.approx(8e9 / (3350e9 * 0.7) + STEP_OVERHEAD_S)


def test_a_full_context_costs_its_keys_and_values() -> None:
    step_s = ROOFLINE.step_s(batch_tokens=1, context_tokens=100_000)
    assert step_s == pytest.approx((8e9 + 100_000 * 131072) / (3350e9 * 0.7) + STEP_OVERHEAD_S)


def test_a_long_prefill_is_arithmetic() -> None:
    step_s = ROOFLINE.step_s(batch_tokens=8192, context_tokens=8192)
    assert step_s == pytest.approx(2 * 8e9 * 8192 / (1979e12 * 0.5) + STEP_OVERHEAD_S)


def test_compute_takes_over_at_the_batch_that_hardware_and_precision_imply() -> None:
    # FLOPS x bytes per weight / (2 x bandwidth) = 295 on H100 in FP8, times the ratio of the efficiencies.
    crossing = 1979e12 * 1 / (2 * 3350e9) * 0.5 / 0.7
    below, above = int(crossing) - 1, int(crossing) + 2
    assert ROOFLINE.step_s(batch_tokens=below, context_tokens=0) == ROOFLINE.step_s(batch_tokens=1, context_tokens=0)
    assert ROOFLINE.step_s(batch_tokens=above, context_tokens=0) > ROOFLINE.step_s(batch_tokens=1, context_tokens=0)


def test_experts_that_a_token_does_not_use_cost_no_time() -> None:
    mixture = dataclasses.replace(DENSE_8B, active_parameters=1_000_000_000)
    step_s = roofline_of(H100, mixture).step_s(batch_tokens=1, context_tokens=0)
    assert step_s == pytest.approx(1e9 / (3350e9 * 0.7) + STEP_OVERHEAD_S)


def test_a_batch_reads_the_experts_that_any_of_its_tokens_uses() -> None:
    mixture = roofline_of(H100, dataclasses.replace(DENSE_8B, active_parameters=1_000_000_000))
    bandwidth = 3350e9 * 0.7

    def read_bytes(batch_tokens: int) -> float:
        return (mixture.step_s(batch_tokens=batch_tokens, context_tokens=0) - STEP_OVERHEAD_S) * bandwidth

    # Of the seven eighths that the first token left alone, the second one leaves seven eighths.
    assert read_bytes(2) == pytest.approx(1e9 + 7e9 / 8)
    assert read_bytes(100) == pytest.approx(8e9, rel=1e-4)


@given(batch=TOKENS, more=TOKENS, context=TOKENS, longer=TOKENS)
def test_more_work_never_takes_less_time(batch: int, more: int, context: int, longer: int) -> None:
    step_s = ROOFLINE.step_s(batch_tokens=batch, context_tokens=context)
    assert ROOFLINE.step_s(batch_tokens=batch + more, context_tokens=context) >= step_s
    assert ROOFLINE.step_s(batch_tokens=batch, context_tokens=context + longer) >= step_s


@given(batch=TOKENS, context=TOKENS, gpus=st.integers(2, 8))
def test_more_or_faster_gpus_never_take_more_time(batch: int, context: int, gpus: int) -> None:
    step_s = ROOFLINE.step_s(batch_tokens=batch, context_tokens=context)
    for faster in (
        dataclasses.replace(H100, gpus=gpus),
        dataclasses.replace(H100, flops=H100.flops * gpus),
        dataclasses.replace(H100, memory_bandwidth_bytes_per_s=H100.memory_bandwidth_bytes_per_s * gpus),
    ):
        assert roofline_of(faster, DENSE_8B).step_s(batch_tokens=batch, context_tokens=context) <= step_s
