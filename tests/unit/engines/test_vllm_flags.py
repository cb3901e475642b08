import pytest

from mixserve.engines.vllm_flags import OWNED_FAMILIES, OWNED_FLAGS, may_stand_for, owner_of


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
        ("--chat-template=/t.jinja", "spec.engine.chatTemplate"),
        ("--disable-custom-all-reduce", "peerToPeer of the AcceleratorClass"),
        ("--runner=pooling", "spec.task"),
        ("--convert=embed", "spec.task"),
        ("--enable-force-include-usage", "tokens of every request"),
        ("--no-enable-prompt-tokens-details", "tokens of every request"),
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
        "--chat-template-content-format=openai",
        "--generation-config={% model %}--model=",
    ],
)
def test_other_flags_may_be_given(argument):
    assert owner_of(argument) is None


@pytest.mark.parametrize("flag", OWNED_FLAGS)
def test_every_owned_flag_has_its_own_advice(flag):
    spellings = (f"--{flag}", f"--{flag}=1", f"--{flag.replace('-', '_')} 1", f"--no-{flag}", f"--{flag}.key=1")

    assert {owner_of(spelling) for spelling in spellings} == {OWNED_FLAGS[flag]}


@pytest.mark.parametrize(
    "flag",
    ["data-parallel-size", "data-parallel-rank=1", "data_parallel_address", "no-data-parallel-hybrid-lb", "data-par"],
)
def test_families_of_flags_are_owned_whatever_they_are_called(flag):
    assert owner_of(f"--{flag}") == OWNED_FAMILIES["data-parallel-"]


@pytest.mark.parametrize(
    "flag", ["node-rank=1", "master-addr=a", "master-port=1", "api-server-count=2", "help", "version"]
)
def test_flags_that_make_another_kind_of_process_are_owned(flag):
    assert owner_of(f"--{flag}") is not None


@pytest.mark.parametrize(
    ("argument", "flags"),
    [
        ("--h", "--headless, --help, --hf-token, --host"),
        ("--max-num", "--max-num-batched-tokens, --max-num-seqs"),
        ("--no-", "--api-key, --api-server-count, --chat-template, --config and more"),
    ],
)
def test_abbreviations_that_several_flags_share_are_refused_as_the_engine_would(argument, flags):
    assert owner_of(argument) == f"write the flag out: this may stand for {flags}"


@pytest.mark.parametrize("argument", ["--dtype=half", "--no-dtype", "--dt"])
def test_an_argument_may_stand_for_a_flag_in_several_spellings(argument):
    assert may_stand_for(argument, "dtype")
    assert not may_stand_for(argument, "seed")


def test_owned_flags_are_written_as_the_engine_prints_them():
    assert all(flag == flag.strip("-").lower() and "_" not in flag for flag in OWNED_FLAGS)
