"""What the vLLM adapter knows of vLLM is also true of the simulated engine: flags, defaults, log messages."""

from __future__ import annotations

import pytest

from mixserve.api.engine import Batching, Engine, EngineType, KVCache
from mixserve.catalog.built_in import built_in_catalog
from mixserve.engines.protocol import Launch
from mixserve.engines.registry import adapter_for
from mixserve_devcluster.engine import command_line, failed_start
from mixserve_devcluster.engine.environment import ForcedFailure
from support.simulated_gpus import simulated_gpu
from support.simulated_server import resolved

VLLM = adapter_for(EngineType.VLLM)
CATALOG = built_in_catalog()
ROWS = {
    name: next(row for row in entry.spec.engines if row.type is EngineType.VLLM)
    for name, entry in CATALOG.formats.items()
}
KV_CACHE_DTYPES = {None: "auto", "kv-fp8": "fp8", "kv-nvfp4": "nvfp4"}


@pytest.mark.parametrize("kv_cache", KV_CACHE_DTYPES)
@pytest.mark.parametrize("quantization", [name for name in ROWS if not name.startswith("kv-")])
def test_the_simulated_engine_takes_every_flag_that_the_adapter_writes(quantization: str, kv_cache: str | None) -> None:
    engine = Engine(
        max_model_len=4096,
        prefix_caching=False,
        batching=Batching(max_sequences=64, max_batched_tokens=2048),
        kv_cache=KVCache(format="fp8", memory_utilization_percent=80),
    )
    launch = Launch(
        engine=engine,
        model="example/Model",
        revision="a" * 40,
        served_names=("chat", "talk"),
        quantization=ROWS[quantization],
        kv_cache=None if kv_cache is None else ROWS[kv_cache],
        tensor_parallel=2,
        shutdown_timeout_s=15,
        cache_path="/cache",
        options_path="/options.yaml",
        occupied_share=None,
    )
    program, *arguments = VLLM.command(launch)
    options = command_line.parse(arguments)
    assert program == "vllm"
    assert (options.model, options.served_model_name) == ("example/Model", ("chat", "talk"))
    assert (options.host, options.port, options.shutdown_timeout_s) == ("0.0.0.0", VLLM.port, 15)
    assert (options.max_model_len, options.max_num_seqs, options.max_num_batched_tokens) == (4096, 64, 2048)
    assert (options.enable_prefix_caching, options.kv_cache_dtype) == (False, KV_CACHE_DTYPES[kv_cache])
    assert (options.gpu_memory_utilization, options.tensor_parallel_size) == (0.8, 2)
    assert "--revision" in options.ignored


@pytest.mark.parametrize("name", CATALOG.accelerators)
def test_the_default_batch_limits_are_those_that_the_adapter_expects(name: str) -> None:
    spec = CATALOG.accelerators[name].spec
    gpu = {"memory_bytes": spec.memory, "compute_capability": spec.compute_capability}
    expected = (VLLM.default_max_sequences(**gpu), VLLM.default_max_batched_tokens(Engine(), **gpu))
    settings = resolved(node_labels={"nvidia.com/gpu.product": simulated_gpu(name).product}).settings
    assert (settings.max_num_seqs, settings.max_num_batched_tokens) == expected


@pytest.mark.parametrize("failure", ForcedFailure)
def test_the_adapter_knows_what_a_simulated_failure_means(
    failure: ForcedFailure, capsys: pytest.CaptureFixture[str]
) -> None:
    failed_start.log(failed_start.forced(failure, resolved().settings))
    advice = VLLM.advise(capsys.readouterr().err)
    assert advice is not None
    assert advice.remedy


def test_the_adapter_knows_what_a_refused_flag_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.parse(["serve", "m", "--no-such-flag"])
    advice = VLLM.advise(capsys.readouterr().err)
    assert advice is not None
    assert "--no-such-flag" in advice.cause + advice.remedy
