from __future__ import annotations

import pytest

from mixserve_devcluster.engine.command_line import ServeOptions, parse


def options(*flags: str) -> ServeOptions:
    return parse(["serve", "some/model", *flags])


def test_without_flags_the_defaults_are_vllms() -> None:
    chosen = options()
    assert (chosen.host, chosen.port, chosen.block_size) == ("0.0.0.0", 8000, 16)
    assert (chosen.gpu_memory_utilization, chosen.enable_prefix_caching) == (0.92, True)
    assert (chosen.max_model_len, chosen.max_num_seqs, chosen.max_num_batched_tokens) == (None, None, None)
    assert (chosen.shutdown_timeout_s, chosen.api_key, chosen.ignored) == (0.0, (), ())


def test_the_model_is_its_own_name_unless_others_are_given() -> None:
    assert options().served_model_name == ("some/model",)
    assert options("--served-model-name", "a", "b").served_model_name == ("a", "b")


@pytest.mark.parametrize(
    ("text", "tokens"), [("4096", 4096), ("16k", 16000), ("16K", 16384), ("1.5k", 1500), ("auto", 0), ("-1", 0)]
)
def test_lengths_are_read_as_vllm_reads_them(text: str, tokens: int) -> None:
    assert options(f"--max-model-len={text}").max_model_len == tokens


def test_underscores_are_dashes_in_flags_but_not_in_values() -> None:
    chosen = options("--max_model_len=1k", "--kv_cache_dtype=fp8_e4m3")
    assert (chosen.max_model_len, chosen.kv_cache_dtype) == (1000, "fp8_e4m3")


def test_switches_have_a_no_form() -> None:
    assert options("--no-enable-prefix-caching").enable_prefix_caching is False


def test_what_changes_nothing_here_is_accepted_and_named() -> None:
    chosen = options("--revision", "abc", "--dtype=bfloat16", "--no-enable-log-requests", "--enforce-eager")
    assert chosen.ignored == ("--dtype", "--revision", "--enable-log-requests", "--enforce-eager")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--no-such-flag", "3"], "vllm: error: unrecognized arguments: --no-such-flag 3"),
        (["--max-num-seq", "3"], "unrecognized arguments: --max-num-seq 3"),
        (["--max-num-seqs", "many"], "argument --max-num-seqs: invalid int value: 'many'"),
        (["--max-num-seqs", "0"], "invalid int value: '0'"),
        (["--port", "http"], "invalid int value: 'http'"),
        (["--uvicorn-log-level", "loud"], "invalid choice: 'loud'"),
    ],
)
def test_a_wrong_flag_ends_the_process_with_a_complaint(
    flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options(*flags)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_model_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["serve"])
    assert "the following arguments are required: model" in capsys.readouterr().err
