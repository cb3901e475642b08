from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.engine import Batching, Engine, EngineType, KVCache, Task
from mixserve.api.quantization_engine import QuantizationEngine
from mixserve.api.scalars import GIB
from mixserve.api.speculative_pair import SpeculationMethod, SpeculativePairSpec
from mixserve.engines.protocol import Launch, LaunchedPair
from mixserve.engines.vllm import VLLMAdapter
from support import launches

ADAPTER = VLLMAdapter()
NGRAM = SpeculativePairSpec(method=SpeculationMethod.NGRAM)


def launch(engine=None, **changes) -> Launch:
    native = QuantizationEngine(type=EngineType.VLLM, minimum_compute_capability="7.5", native_compute_capability="8.9")
    given = {"engine": engine or Engine(), "served_names": ("chat",), "quantization": native}
    return launches.launch(**{**given, **changes})


def words(flag, command):
    """The values that follow a flag."""
    rest = command[command.index(flag) + 1 :]
    return rest[: next((i for i, word in enumerate(rest) if word.startswith("--")), len(rest))]


def test_the_smallest_command_line_has_only_what_is_always_right():
    assert ADAPTER.command(launch()) == (
        *("vllm", "serve", "example/Model", "--host", "0.0.0.0", "--port", "8000"),
        *("--revision", "a" * 40, "--served-model-name", "chat", "--tensor-parallel-size", "1"),
        *("--enable-force-include-usage", "--enable-prompt-tokens-details"),
        *("--enable-prefix-caching", "--gpu-memory-utilization", "0.92", "--shutdown-timeout", "15"),
    )


def test_a_model_that_makes_embeddings_is_run_by_the_pooling_runner():
    command = ADAPTER.command(launch(task=Task.EMBED))

    assert words("--runner", command) == ("pooling",)
    assert "--enable-force-include-usage" not in command
    assert "--enable-prefix-caching" not in command
    assert "--no-enable-prefix-caching" in ADAPTER.command(launch(Engine(prefix_caching=False), task=Task.EMBED))


def test_a_path_has_no_revision():
    command = ADAPTER.command(launch(model="/models/m", revision=None))

    assert command[:3] == ("vllm", "serve", "/models/m")
    assert "--revision" not in command


def test_all_served_names_follow_one_flag():
    assert words("--served-model-name", ADAPTER.command(launch(served_names=("a", "b")))) == ("a", "b")


def test_every_knob_of_the_pool_becomes_a_flag():
    engine = Engine(
        max_model_len=4096,
        prefix_caching=False,
        batching=Batching(max_sequences=64, max_batched_tokens=2048),
        kv_cache=KVCache(format="fp8", memory_utilization_percent=9 + 1),
    )
    row = QuantizationEngine(
        type=EngineType.VLLM, minimum_compute_capability="8.0", arguments=("--kv-cache-dtype=fp8",)
    )
    command = ADAPTER.command(launch(engine, kv_cache=row, tensor_parallel=4))

    assert words("--max-model-len", command) == ("4096",)
    assert words("--max-num-seqs", command) == ("64",)
    assert words("--max-num-batched-tokens", command) == ("2048",)
    assert "--kv-cache-dtype=fp8" in command
    assert words("--gpu-memory-utilization", command) == ("0.10",)
    assert words("--tensor-parallel-size", command) == ("4",)
    assert "--no-enable-prefix-caching" in command
    assert "--enable-prefix-caching" not in command


def test_arguments_of_the_format_come_before_those_of_the_user():
    row = QuantizationEngine(
        type=EngineType.VLLM,
        minimum_compute_capability="7.5",
        native_compute_capability="8.9",
        arguments=("--quantization=fp8_per_tensor",),
    )
    command = ADAPTER.command(launch(Engine(args=("--dtype=half",)), quantization=row))

    assert command[-2:] == ("--quantization=fp8_per_tensor", "--dtype=half")


def test_the_environment_keeps_usage_private_and_caches_writable():
    environment = ADAPTER.environment(launch())

    assert environment["VLLM_NO_USAGE_STATS"] == environment["DO_NOT_TRACK"] == "1"
    assert environment["HF_HOME"].startswith("/cache/")
    assert environment["VLLM_CACHE_ROOT"].startswith("/cache/")


def test_the_engine_gives_itself_longer_to_start_than_the_probe_does():
    environment = ADAPTER.environment(launch(Engine(startup_timeout=timedelta(minutes=30))))

    assert int(environment["VLLM_ENGINE_READY_TIMEOUT_S"]) > 1800


@pytest.mark.parametrize(("revision", "offline"), [(None, "1"), ("a" * 40, None)])
def test_only_a_path_is_served_without_asking_the_hub(revision, offline):
    assert ADAPTER.environment(launch(revision=revision)).get("HF_HUB_OFFLINE") == offline


def test_the_image_is_the_projects_own_for_the_version():
    assert ADAPTER.image("0.32.1") == "vllm/vllm-openai:v0.32.1"


@given(st.tuples(*(st.integers(0, 10**9) for _ in range(3))))
def test_every_version_has_a_table_and_an_image(parts):
    version = ".".join(map(str, parts))

    assert ADAPTER.metrics_page(version).names.running
    assert ADAPTER.image(version).endswith(version)
    assert ADAPTER.command(launch(Engine(version=version)))


@pytest.mark.parametrize("version", ["0.30.0", "0.31.1", "0.32.0", "0.33.0", "0.40.0", "0.10.0"])
def test_the_gauges_of_every_version_have_names(version):
    assert ADAPTER.metrics_page(version).path == "/metrics"
    names = ADAPTER.metrics_page(version).names

    assert names.running == ("vllm:num_requests_running",)
    assert names.waiting == ("vllm:num_requests_waiting",)
    assert names.kv_cache_usage[0] == "vllm:kv_cache_usage_perc"


@pytest.mark.parametrize(
    ("memory_gib", "capability", "sequences", "tokens"),
    [
        (22, "8.9", 256, 2048),
        (79, "8.0", 256, 2048),
        (69.9, "9.0", 256, 2048),
        (70, "9.0", 1024, 8192),
        (159.9, "9.0", 1024, 8192),
        (160, "10.0", 1024, 16384),
        (120, "12.1", 256, 2048),
        (95, "12.0", 1024, 8192),
    ],
)
def test_the_default_batch_depends_on_the_gpu(memory_gib, capability, sequences, tokens):
    gpu = {"memory_bytes": int(memory_gib * GIB), "compute_capability": capability}

    assert ADAPTER.default_max_sequences(**gpu) == sequences
    assert ADAPTER.default_max_batched_tokens(Engine(args=("--dtype=half",)), **gpu) == tokens


@pytest.mark.parametrize("argument", ["--performance-mode=throughput", "--no-enable-chunked-prefill", "--no_enable_ch"])
def test_the_default_step_is_not_known_where_an_argument_changes_it(argument):
    engine = Engine(args=(argument,))

    assert ADAPTER.default_max_batched_tokens(engine, memory_bytes=22 * GIB, compute_capability="8.9") is None


def test_everything_is_on_the_command_line():
    assert ADAPTER.options_file(launch()) is None


def test_no_version_needs_a_warning():
    assert ADAPTER.caveats("0.33.0") == ()


def test_int4_of_modelopt_is_the_other_engines():
    assert "LLM Compressor" in ADAPTER.refused_checkpoint("modelopt:w4a16")
    assert ADAPTER.refused_checkpoint("modelopt") is None


def test_owned_flags_and_start_up_errors_are_known():
    assert ADAPTER.owner_of("--port=1") is not None
    assert ADAPTER.advise("CUDA out of memory") is not None


def test_speculation_is_one_flag_before_those_of_the_user():
    pair = LaunchedPair(spec=NGRAM, draft=None, draft_revision=None, draft_gpus=1)
    command = ADAPTER.command(launch(Engine(args=("--seed=1",)), pair=pair))

    assert words("--speculative-config", command)[0].startswith('{"method":"ngram"')
    assert command[-1] == "--seed=1"
    assert "--speculative-config" not in ADAPTER.command(launch())


def test_a_draft_on_the_hub_is_asked_for_though_the_model_is_in_a_directory():
    pair = LaunchedPair(spec=NGRAM, draft=None, draft_revision="b" * 40, draft_gpus=1)

    assert "HF_HUB_OFFLINE" in ADAPTER.environment(launch(revision=None))
    assert "HF_HUB_OFFLINE" not in ADAPTER.environment(launch(revision=None, pair=pair))
