from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.engine.errors import ConfigurationError
from mixserve_devcluster.engine.trtllm_command_line import parse

if TYPE_CHECKING:
    from pathlib import Path

    from mixserve_devcluster.engine.command_line import ServeOptions


def parsed(directory: Path, file: str, *arguments: str) -> ServeOptions:
    path = directory / "options.yaml"
    path.write_text(file)
    return parse(["org/model", *arguments, "--extra_llm_api_options", str(path)])


def test_the_defaults_are_those_of_trtllm_serve() -> None:
    options = parse(["org/model"])
    assert (options.host, options.port, options.tensor_parallel_size) == ("localhost", 8000, 1)
    assert (options.max_num_seqs, options.max_num_batched_tokens, options.max_model_len) == (2048, 8192, None)
    assert options.trtllm is not None
    assert options.trtllm.free_gpu_memory_fraction == 0.9
    assert not options.trtllm.iteration_statistics


def test_the_file_says_what_has_no_option(tmp_path: Path) -> None:
    file = (
        "kv_cache_config: {dtype: fp8, enable_block_reuse: false, free_gpu_memory_fraction: 0.5}\n"
        "enable_iter_perf_stats: true\nreturn_perf_metrics: true\nrevision: abc\n"
    )
    options = parsed(tmp_path, file, "--trust_remote_code")
    assert (options.kv_cache_dtype, options.enable_prefix_caching) == ("fp8", False)
    assert options.trtllm is not None
    assert options.trtllm.free_gpu_memory_fraction == 0.5
    assert (options.trtllm.iteration_statistics, options.trtllm.performance_metrics) == (True, True)
    assert options.ignored == ("--trust_remote_code", "revision")


def test_a_directory_is_served_by_its_name(tmp_path: Path) -> None:
    assert parse([str(tmp_path)]).served_model_name == (tmp_path.name,)
    assert parse(["org/model"]).served_model_name == ("org/model",)


@pytest.mark.parametrize("file", ["- a list", "no_such_key: 1", "kv_cache_config: {no_such_key: 1}", "a: [", "''"])
def test_a_file_that_the_engine_would_not_take_is_refused(tmp_path: Path, file: str) -> None:
    with pytest.raises(ConfigurationError):
        parsed(tmp_path, file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        parse(["org/model", "--extra_llm_api_options", str(tmp_path / "none")])


@pytest.mark.parametrize(
    ("argument", "said"),
    [("--no_such=1", "Error: No such option: --no_such"), ("--port=x", "Error: Invalid value")],
)
def test_what_it_does_not_know_is_an_error_in_clicks_words(
    argument: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(["org/model", argument])
    assert said in capsys.readouterr().err
