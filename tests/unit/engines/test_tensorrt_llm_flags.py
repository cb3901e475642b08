import pytest

from mixserve.engines.tensorrt_llm_flags import owner_of


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ("--tp_size=2", "spec.variants[].tensorParallel"),
        ("--tensor_parallel_size=2", "spec.variants[].tensorParallel"),
        ("--pp_size=2", "one replica is one pod"),
        ("--max_batch_size", "spec.engine.batching.maxSequences"),
        ("--max_num_tokens", "spec.engine.batching.maxBatchedTokens"),
        ("--max_seq_len=4096", "spec.engine.maxModelLen"),
        ("--max-seq-len=4096", "spec.engine.maxModelLen"),
        ("--kv_cache_free_gpu_memory_fraction=0.5", "spec.engine.kvCache.memoryUtilizationPercent"),
        ("--kv_cache_dtype=fp8", "spec.engine.kvCache.format"),
        ("--extra_llm_api_options=/tmp/mine.yaml", "the operator writes this file"),
        ("--config=/tmp/mine.yaml", "the operator writes this file"),
        ("--revision=main", "spec.model.revision"),
        ("--no-telemetry", "the operator switches it off"),
        ("--port=1", "port 8000"),
    ],
)
def test_an_owned_option_says_what_to_use_instead(argument, field):
    assert field in owner_of(argument)


@pytest.mark.parametrize(
    "argument", ["--trust_remote_code", "--ep_size=2", "--reasoning_parser=qwen3", "--max_seq", "--tokenizer=/t"]
)
def test_others_may_be_given(argument):
    assert owner_of(argument) is None
