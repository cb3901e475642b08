import pytest
import yaml

from mixserve.api.engine import Batching, Engine, EngineType, KVCache
from mixserve.api.quantization_engine import QuantizationEngine
from mixserve.api.speculative_pair import SpeculationMethod, SpeculativePairSpec
from mixserve.engines.protocol import Launch, LaunchedPair, MetricsFormat
from mixserve.engines.tensorrt_llm import TensorRTLLMAdapter, free_memory_fraction

ADAPTER = TensorRTLLMAdapter()


def engine(version="1.2.1", **fields) -> Engine:
    return Engine(type=EngineType.TENSORRT_LLM, version=version, **fields)


def launch(of=None, **changes) -> Launch:
    given = {
        "engine": of or engine(),
        "model": "example/Model",
        "revision": "a" * 40,
        "served_names": ("chat",),
        "quantization": QuantizationEngine(
            type=EngineType.TENSORRT_LLM,
            minimum_compute_capability="8.9",
            native_compute_capability="8.9",
            arguments=("--trust_remote_code",),
        ),
        "kv_cache": None,
        "tensor_parallel": 1,
        "shutdown_timeout_s": 15,
        "cache_path": "/cache",
        "options_path": "/etc/options.yaml",
        "occupied_share": None,
    }
    return Launch(**{**given, **changes})


def kv_cache_row(*arguments) -> QuantizationEngine:
    return QuantizationEngine(
        type=EngineType.TENSORRT_LLM,
        minimum_compute_capability="8.9",
        arguments=("--kv_cache_dtype=fp8", *arguments),
    )


def options(of=None, **changes):
    return yaml.safe_load(ADAPTER.options_file(launch(of, **changes)))


def test_the_smallest_command_line_has_only_what_is_always_right():
    assert ADAPTER.command(launch()) == (
        *("trtllm-serve", "example/Model", "--host", "0.0.0.0", "--port", "8000", "--tp_size", "1"),
        *("--extra_llm_api_options", "/etc/options.yaml", "--trust_remote_code"),
    )


def test_limits_are_on_the_command_line_and_what_the_user_adds_comes_last():
    full = engine(
        max_model_len=4096,
        batching=Batching(max_sequences=64, max_batched_tokens=2048),
        args=("--ep_size=2",),
    )
    command = ADAPTER.command(launch(full, tensor_parallel=4))

    assert command[6:16] == (
        *("--tp_size", "4", "--max_batch_size", "64", "--max_num_tokens", "2048", "--max_seq_len", "4096"),
        *("--extra_llm_api_options", "/etc/options.yaml"),
    )
    assert command[-1] == "--ep_size=2"


def test_the_file_has_the_cache_the_statistics_and_the_revision():
    assert options() == {
        "enable_chunked_prefill": True,
        "enable_iter_perf_stats": True,
        "kv_cache_config": {"enable_block_reuse": True, "free_gpu_memory_fraction": 0.92},
        "revision": "a" * 40,
    }


def test_the_cache_is_as_the_pool_says():
    cache = KVCache(format="fp8", memory_utilization_percent=80)
    found = options(engine(prefix_caching=False, kv_cache=cache), kv_cache=kv_cache_row(), occupied_share=0.5)

    assert found["kv_cache_config"] == {
        "dtype": "fp8",
        "enable_block_reuse": False,
        "free_gpu_memory_fraction": 0.6,
    }


def test_a_format_of_the_cache_gives_its_type_in_the_file_and_the_rest_on_the_command_line():
    found = launch(kv_cache=kv_cache_row("--log_level=info"))

    assert yaml.safe_load(ADAPTER.options_file(found))["kv_cache_config"]["dtype"] == "fp8"
    assert ADAPTER.command(found)[-1] == "--log_level=info"
    assert not any("kv_cache_dtype" in word for word in ADAPTER.command(found))


def test_a_path_has_no_revision_and_needs_no_hub():
    assert "revision" not in options(revision=None)
    assert ADAPTER.environment(launch(revision=None))["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in ADAPTER.environment(launch())


def test_nothing_is_said_on_the_command_line_and_in_the_file():
    full = engine(max_model_len=4096, batching=Batching(max_sequences=64, max_batched_tokens=2048))
    said = {word.lstrip("-") for word in ADAPTER.command(launch(full)) if word.startswith("--")}
    written = options(full)

    assert not said & {*written, *written["kv_cache_config"]}
    assert not {"tensor_parallel_size", "max_batch_size", "max_num_tokens", "max_seq_len"} & set(written)


@pytest.mark.parametrize(
    ("percent", "occupied", "fraction"),
    [(92, None, 0.92), (92, 0.0, 0.92), (92, 0.5, 0.84), (80, 0.75, 0.2), (90, 0.9, 0.0001), (50, 0.9, 0.0001)],
)
def test_a_share_of_all_memory_becomes_a_share_of_what_is_free(percent, occupied, fraction):
    assert free_memory_fraction(utilization_percent=percent, occupied_share=occupied) == fraction


@pytest.mark.parametrize("percent", [10, 37, 92, 99])
@pytest.mark.parametrize("occupied", [0.01, 0.05, 0.0999])
def test_both_engines_give_the_cache_the_same_memory(percent, occupied):
    fraction = free_memory_fraction(utilization_percent=percent, occupied_share=occupied)

    assert percent / 100 - occupied == pytest.approx(fraction * (1 - occupied), abs=1e-4)


@pytest.mark.parametrize("version", ["1.1.0", "1.2.1", "1.0.0"])
def test_older_versions_have_statistics_and_a_warning(version):
    page = ADAPTER.metrics_page(version)

    assert (page.path, page.format) == ("/metrics", MetricsFormat.ITERATION_STATISTICS)
    assert "return_perf_metrics" not in options(engine(version))
    assert "under steady load" in ADAPTER.caveats(version)[0].cause


@pytest.mark.parametrize("version", ["1.3.0", "2.0.0"])
def test_newer_versions_have_gauges(version):
    page = ADAPTER.metrics_page(version)

    assert (page.path, page.format) == ("/prometheus/metrics", MetricsFormat.PROMETHEUS)
    assert page.names.kv_cache_usage == ("trtllm_kv_cache_utilization",)
    assert options(engine(version))["return_perf_metrics"] is True
    assert ADAPTER.caveats(version) == ()


def test_statistics_may_take_longer_than_the_silence_that_ends_them():
    assert ADAPTER.metrics_page("1.2.0").timeout_s > 2


def test_the_environment_keeps_usage_private_and_downloads_writable():
    environment = ADAPTER.environment(launch())

    assert environment["TRTLLM_NO_USAGE_STATS"] == "1"
    assert environment["HF_HOME"].startswith("/cache/")


def test_the_image_is_nvidias_own():
    assert ADAPTER.image("1.2.1") == "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"


def test_the_default_batch_is_the_same_on_every_gpu():
    gpu = {"memory_bytes": 1, "compute_capability": "8.0"}

    assert ADAPTER.default_max_sequences(**gpu) == 2048
    assert ADAPTER.default_max_batched_tokens(engine(), **gpu) == 8192


@pytest.mark.parametrize(
    ("method", "refused"),
    [("awq", True), ("gptq:w4a16", True), ("quark:fp8", True), ("modelopt:w4a16", False), ("fp8:fp8", False)],
)
def test_checkpoints_that_the_loader_does_not_read_are_refused(method, refused):
    assert (ADAPTER.refused_checkpoint(method) is not None) is refused


@pytest.mark.parametrize(
    ("log", "remedy"),
    [
        ("Error: No such option: --max_batch (Possible options: --max_batch_size)", "spec.engine.args"),
        ("Error: No such option '--foo'.", "spec.engine.args"),
        ("Error: Invalid value for '--log_level': 'x' is not one of 'info'.", "spec.engine.args"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "memoryUtilizationPercent"),
        ("huggingface_hub.errors.GatedRepoError: 403 Client Error", "tokenSecretRef"),
        ("RuntimeError: Failed to bind socket to 0.0.0.0:8000: [Errno 98]", "another port"),
        ("NotImplementedError: Unsupported quantization_config: {'quant_method': 'awq'}", "ModelOpt"),
    ],
)
def test_known_errors_have_a_remedy(log, remedy):
    assert remedy in ADAPTER.advise(log).remedy


def test_owned_options_are_known():
    assert ADAPTER.owner_of("--port=1") is not None


def test_speculation_is_in_the_file():
    pair = LaunchedPair(
        spec=SpeculativePairSpec(method=SpeculationMethod.NGRAM), draft=None, draft_revision="b" * 40, draft_gpus=1
    )

    assert options(pair=pair)["speculative_config"]["decoding_type"] == "NGram"
    assert "speculative_config" not in options()
    assert "HF_HUB_OFFLINE" not in ADAPTER.environment(launch(revision=None, pair=pair))
