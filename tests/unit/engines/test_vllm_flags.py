import pytest

from mixserve.engines.vllm_flags import OWNED_FLAGS, owner_of


@pytest.mark.parametrize(
    "argument",
    [
        "--tensor-parallel-size=2",
        "--tensor_parallel_size=2",
        "--tensor-parallel_size",
        "--tensor-parallel-size 2",
        "--tensor-par=2",  # the parser completes what is unique
    ],
)
def test_every_spelling_of_an_owned_flag_is_found(argument):
    assert owner_of(argument) == "use spec.variants[].tensorParallel"


@pytest.mark.parametrize(
    "argument",
    ["--enable-prefix-caching", "--no-enable-prefix-caching", "--disable-prefix-caching", "--no_enable_prefix_caching"],
)
def test_switches_are_found_with_their_negation(argument):
    assert owner_of(argument) == "use spec.engine.prefixCaching"


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ("--model=x", "spec.model.source"),
        ("--revision=main", "spec.model.revision"),
        ("--hf-token=hf_x", "spec.model.tokenSecretRef"),
        ("--served-model-name=a", "spec.servedNames"),
        ("--quantization=fp8", "spec.variants[].quantization"),
        ("--max-model-len=1k", "spec.engine.maxModelLen"),
        ("--max-num-seqs=4", "spec.engine.batching.maxSequences"),
        ("--max-num-batched-tokens=4", "spec.engine.batching.maxBatchedTokens"),
        ("--kv-cache-dtype=fp8", "spec.engine.kvCache.format"),
        ("--gpu-memory-utilization=0.5", "spec.engine.kvCache.memoryUtilizationPercent"),
        ("--device-memory-utilization=0.5", "spec.engine.kvCache.memoryUtilizationPercent"),
        ("--shutdown-timeout=5", "spec.drainTimeout"),
        ("--pipeline-parallel-size=2", "spec.variants[].tensorParallel"),
        ("--port=80", "port 8000"),
        ("--config=f.yaml", "spec.engine.args"),
        ("--api-key=secret", "can be read by everyone"),
        ("--disable-log-stats", "metrics"),
    ],
)
def test_the_advice_names_the_field_or_the_reason(argument, field):
    assert field in owner_of(argument)


@pytest.mark.parametrize(
    "argument",
    [
        "--dtype=float16",
        "--enforce-eager",
        "--no-enable-chunked-prefill",
        "--load-format=dummy",
        "--quantization-config.method=x",
        "--kv-cache-dtype-skip-layers=1",
        "--revision-of-something",
        "--compilation-config.level=3",
        "--chat-template={% model %}--model=",
    ],
)
def test_other_flags_may_be_given(argument):
    assert owner_of(argument) is None


@pytest.mark.parametrize("argument", ["--no-", "--m"])
def test_abbreviations_that_several_flags_share_are_refused_as_the_engine_would(argument):
    assert owner_of(argument) is not None


def test_owned_flags_are_written_as_the_engine_prints_them():
    assert all(flag == flag.strip("-").lower() and "_" not in flag for flag in OWNED_FLAGS)
