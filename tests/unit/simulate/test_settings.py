from __future__ import annotations

import dataclasses

import pytest

from support.simulation import HARDWARE, MODEL, engine_settings


@pytest.mark.parametrize("field", ["memory_bytes", "memory_bandwidth_bytes_per_s", "flops", "gpus"])
def test_hardware_without_a_positive_number_is_refused_with_the_fields_name(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}: must be above 0, is 0"):
        dataclasses.replace(HARDWARE, **{field: 0})


@pytest.mark.parametrize("field", ["parameters", "active_parameters", "weights_bytes", "kv_bytes_per_token"])
def test_a_model_without_a_positive_number_is_refused_with_the_fields_name(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}: must be above 0, is -1"):
        dataclasses.replace(MODEL, **{field: -1})


def test_nan_is_not_a_positive_number() -> None:
    with pytest.raises(ValueError, match="flops: must be above 0, is nan"):
        dataclasses.replace(HARDWARE, flops=float("nan"))


def test_a_model_cannot_use_more_parameters_than_it_has() -> None:
    with pytest.raises(ValueError, match="active_parameters: 1073741825 is more than parameters"):
        dataclasses.replace(MODEL, active_parameters=MODEL.parameters + 1)


def test_an_engine_cannot_take_more_than_all_memory() -> None:
    with pytest.raises(ValueError, match=r"gpu_memory_utilization: must be at most 1, is 1\.01"):
        engine_settings(gpu_memory_utilization=1.01)


def test_every_running_request_needs_a_token_in_the_step() -> None:
    with pytest.raises(ValueError, match=r"max_num_batched_tokens \(3\) must be greater than or equal to"):
        engine_settings(max_num_batched_tokens=3, max_num_seqs=4)


def test_prefix_caching_may_be_off() -> None:
    assert engine_settings(enable_prefix_caching=False).enable_prefix_caching is False
