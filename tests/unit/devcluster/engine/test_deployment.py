from __future__ import annotations

import pytest

from mixserve.simulate.memory import kv_budget
from mixserve.simulate.startup_errors import NoKVCacheMemoryError
from mixserve_devcluster.engine.errors import ConfigurationError
from support.simulated_server import annotations, resolved


def on(product: str) -> dict[str, dict[str, str]]:
    return {"node_labels": {"nvidia.com/gpu.product": product}}


def test_flags_become_settings() -> None:
    settings = resolved(
        *("--tensor-parallel-size", "2", "--max-num-seqs", "8", "--max-num-batched-tokens", "512"),
        *("--gpu-memory-utilization", "0.5", "--block-size", "32", "--no-enable-prefix-caching"),
    ).settings
    assert (settings.hardware.gpus, settings.max_num_seqs, settings.max_num_batched_tokens) == (2, 8, 512)
    assert (settings.gpu_memory_utilization, settings.block_size, settings.enable_prefix_caching) == (0.5, 32, False)
    assert settings.max_model_len == 2048


@pytest.mark.parametrize(
    ("product", "limits"),
    [
        ("NVIDIA-L4", (256, 2048)),
        ("NVIDIA-A100-SXM4-80GB", (256, 2048)),
        ("NVIDIA-H100-80GB-HBM3", (1024, 8192)),
        ("NVIDIA-B200", (1024, 16384)),
    ],
)
def test_batch_limits_follow_the_gpus_memory(product: str, limits: tuple[int, int]) -> None:
    settings = resolved(**on(product)).settings
    assert (settings.max_num_seqs, settings.max_num_batched_tokens) == limits


def test_few_tokens_per_step_bound_the_default_batch() -> None:
    assert resolved("--max-num-batched-tokens", "64").settings.max_num_seqs == 64


def test_a_batch_larger_than_the_default_step_is_refused_as_vllm_does() -> None:
    with pytest.raises(ConfigurationError, match=r"max_num_batched_tokens \(2048\) must be greater than or equal to"):
        resolved("--max-num-seqs", "4096")


def test_contradicting_batch_limits_are_refused_in_vllms_words() -> None:
    with pytest.raises(ConfigurationError, match=r"max_num_batched_tokens \(32\) must be greater than or equal to"):
        resolved("--max-num-seqs", "64", "--max-num-batched-tokens", "32")


def test_auto_is_the_longest_context_that_fits() -> None:
    settings = resolved("--max-model-len", "auto", pod_annotations=annotations(maxModelLen=10**6)).settings
    assert settings.max_model_len == kv_budget(settings).blocks * 16


def test_auto_is_never_longer_than_the_model_allows() -> None:
    settings = resolved("--max-model-len", "auto", pod_annotations=annotations(maxModelLen=4096)).settings
    assert settings.max_model_len == 4096


def test_auto_without_any_memory_left_does_not_start() -> None:
    with pytest.raises(NoKVCacheMemoryError):
        resolved("--max-model-len", "auto", pod_annotations=annotations(weightsBytes=20 * 2**30))


def test_without_a_memory_plan_more_gpus_than_kv_heads_keep_copies_of_the_cache() -> None:
    blocks = [
        kv_budget(
            resolved("--tensor-parallel-size", str(gpus), pod_annotations={}, **on("NVIDIA-B200")).settings
        ).blocks
        for gpus in (8, 16)
    ]
    # Half the weights per GPU leave a little more room; the keys and values of a token take as much as before.
    assert blocks[0] < blocks[1] < 1.05 * blocks[0]


def test_a_cold_start_reads_the_weights_unless_its_length_is_given() -> None:
    assert resolved(pod_annotations=annotations(weightsBytes=8 * 10**9)).cold_start_s == pytest.approx(4 + 20)
    assert resolved(cold_start_s=3.0).cold_start_s == 3.0


def test_keys_come_from_flag_and_environment() -> None:
    assert resolved("--api-key", "a", "b", api_key="c").api_keys == {"a", "b", "c"}
    assert resolved().api_keys == set()


def test_the_cache_config_says_what_the_engine_has() -> None:
    labels = resolved("--kv-cache-dtype", "fp8").cache_config(blocks=256)
    assert labels["num_gpu_blocks"] == "256"
    assert (labels["kv_cache_size_tokens"], labels["kv_cache_max_concurrency"]) == ("4096", "2.0")
    assert (labels["kv_cache_memory_bytes"], labels["cache_dtype"]) == (str(4096 * 2**20), "fp8")
