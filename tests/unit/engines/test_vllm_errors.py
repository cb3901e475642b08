"""Against recorded logs (`logs/README.md`), and against wordings of vLLM's source that need a GPU to be seen."""

from pathlib import Path

import pytest

from mixserve.engines.vllm_errors import STARTUP_ERRORS, startup_advice
from mixserve.simulate.startup_errors import (
    ContextDoesNotFitError,
    FreeMemoryError,
    NoKVCacheMemoryError,
    WeightsDoNotFitError,
)

LOGS = Path(__file__).parent / "logs"

# Log, a part of the cause, a part of the remedy.
RECORDED = {
    "adapter_missing": ("no adapter law at /adapters/adapters-0/law", "spec.model.adapters"),
    "adapter_rank": ("an adapter has rank 64", "set its rank there to 64"),
    "batched_tokens_below_context": ("4096 tokens", "spec.engine.batching.maxBatchedTokens to 4096"),
    "batched_tokens_below_sequences": ("64 requests", "spec.engine.batching.maxBatchedTokens to 64 or more"),
    "config_not_json": ("/models/tiny/config.json is not JSON", "config.json"),
    "context_exceeds_kv_cache": ("1048576 tokens", "spec.engine.maxModelLen to 524160 or less"),
    "context_exceeds_model": ("4096 tokens, and the pool asks for 8192", "spec.engine.maxModelLen to 4096 or less"),
    "cpu_memory_taken": ("less memory free", "spec.engine.kvCache.memoryUtilizationPercent"),
    "gated_repository": ("gated", "spec.model.tokenSecretRef"),
    "gpu_memory_taken": ("another process", "the next restart succeeds"),
    "hub_unreachable": ("can't reach the Hugging Face Hub", "pvc://"),
    "indivisible_heads": ("3 GPUs can't share the model's 4", "tensorParallel to a divisor of 4"),
    "invalid_choice": ("argument --kv-cache-dtype: invalid choice: 'int3'", "spec.engine.args"),
    "invalid_value": ("invalid int value: 'many'", "spec.engine.args"),
    "model_path_empty": ("no model at /models/tiny", "spec.model.source"),
    "model_path_missing": ("no model at /models/tiny", "spec.model.source"),
    "no_kv_cache_memory": ("leave no memory for the KV cache", "spec.engine.kvCache.memoryUtilizationPercent"),
    "no_weights": ("no weights at /models/tiny", "safetensors"),
    "port_in_use": ("port", "container"),
    "quantization_config_missing": ("the quantization format says awq", "QuantizationFormat"),
    "quantization_dtype": ("fp8 does not compute in float32", "--dtype"),
    "quantization_mismatch": ("compressed-tensors, and the quantization format says fp8", "QuantizationFormat"),
    "unknown_architecture": ("'NoSuchForCausalLM'", "spec.engine.version"),
    "unknown_model_type": ("nosuchtype", "spec.engine.version"),
    "unknown_repository": ("no such repository", "spec.model.source"),
    "unknown_revision": ("no such revision", "spec.model.revision"),
    "unrecognized_arguments": ("does not know --no-such-flag 3", "spec.engine.args"),
}

WORDINGS = {
    "ImportError: Arctic Inference is required for suffix decoding. Install via `pip install "
    "arctic-inference==0.1.1`.": ("no Arctic Inference", "spec.engine.image"),
    "Target and draft model should have the same vocabulary size. Target model vocab_size=97. Draft model "
    "vocab_size=1024. Using models with different tokenizers can cause out-of-bounds errors": (
        "vocabulary has 97 tokens, and the draft's 1024",
        "a draft that was made for the model",
    ),
    "NotImplementedError: Unsupported speculative method: 'mtp'": ("no layers for multi-token", "SpeculativePair"),
    "Value error, num_speculative_tokens:3 must be divisible by n_predict=2": ("2 layers predict", "a multiple of 2"),
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 896.00 MiB.": ("memory ran out", "tensorParallel"),
    "ValueError: VLLM_PORT 'tcp://10.0.0.1:8000' appears to be a URI. This may be caused by a Kubernetes service "
    "discovery issue": ("tcp://10.0.0.1:8000", "enableServiceLinks"),
    "huggingface_hub.errors.GatedRepoError: 403 Client Error. Access to model x is restricted and you are not in the "
    "authorized list.": ("gated", "spec.model.tokenSecretRef"),
    "huggingface_hub.errors.HfHubHTTPError: 401 Client Error. Invalid user token.": (
        "refuses the token",
        "spec.model.tokenSecretRef",
    ),
    "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 75. Current "
    "capability: 70.": ("capability 75 (in tenths) and the GPU has 70", "accelerator"),
    "RuntimeError: Quantization scheme is not supported for the current GPU. Min capability: 90. Current capability: "
    "80.": ("capability 90 (in tenths) and the GPU has 80", "accelerator"),
    "RuntimeError: Quantization scheme is not supported for the current GPU. Required capability: 100. Current "
    "capability: 90.": ("capability 100", "accelerator"),
    "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your T4 GPU has compute "
    "capability 7.5.": ("no BF16", "--dtype=half"),
    "TimeoutError: Timed out waiting for engine core processes to start. Waited 600s": (
        "not loaded in time",
        "spec.engine.startupTimeout",
    ),
}


def test_every_recorded_log_is_expected_to_mean_something():
    assert set(RECORDED) == {log.stem for log in LOGS.glob("*.txt")}


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recorded_log_is_understood(name):
    cause, remedy = RECORDED[name]
    advice = startup_advice((LOGS / f"{name}.txt").read_text())

    assert cause in advice.cause
    assert remedy in advice.remedy


@pytest.mark.parametrize("line", sorted(WORDINGS))
def test_a_known_wording_is_understood(line):
    cause, remedy = WORDINGS[line]
    advice = startup_advice(f"INFO 01-01 starting\n(EngineCore pid=7) ERROR {line}\nEngine core initialization failed.")

    assert cause in advice.cause
    assert remedy in advice.remedy


def test_every_known_error_occurs_in_a_test():
    texts = [log.read_text() for log in LOGS.glob("*.txt")] + list(WORDINGS)
    unseen = [error.pattern.pattern for error in STARTUP_ERRORS if not any(map(error.pattern.search, texts))]

    assert unseen == []


@pytest.mark.parametrize(
    ("estimate", "remedy"),
    [
        (4096, "set spec.engine.maxModelLen to 4096 or less"),
        (127, "set spec.engine.maxModelLen to what fits"),  # the field takes no less than 128
        (0, "set spec.engine.maxModelLen to what fits"),
    ],
)
def test_the_longest_context_that_fits_is_named_if_the_field_takes_it(estimate, remedy):
    error = ContextDoesNotFitError(
        max_model_len=8192, needed_bytes=2**31, available_bytes=2**30, estimated_max_model_len=estimate
    )

    assert startup_advice(str(error)).remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (WeightsDoNotFitError(memory_bytes=2**34), "memory ran out"),
        (FreeMemoryError(memory_bytes=2**34, free_bytes=2**30, gpu_memory_utilization=0.92), "another process"),
        (NoKVCacheMemoryError(), "leave no memory"),
    ],
)
def test_the_simulated_engine_fails_in_the_same_words(error, cause):
    assert cause in startup_advice(f"{error.exception}: {error}").cause


def test_advice_is_the_same_for_every_restart_of_one_cause():
    first, second = (
        FreeMemoryError(memory_bytes=2**34, free_bytes=free, gpu_memory_utilization=0.92) for free in (2**30, 2**31)
    )

    assert startup_advice(str(first)) == startup_advice(str(second))


def test_a_quote_from_the_log_is_cut():
    advice = startup_advice("vllm: error: unrecognized arguments: --x " + "y" * 5000)

    assert len(advice.cause) < 300


@pytest.mark.parametrize("log", ["", "INFO: Application startup complete.", "RuntimeError: something new"])
def test_an_unknown_log_has_no_advice(log):
    assert startup_advice(log) is None
