"""The command line and the options file of `trtllm-serve`; what it does not know is an error, in click's words."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from mixserve_devcluster.engine import speculation
from mixserve_devcluster.engine.command_line import ServeOptions, TrtllmOptions
from mixserve_devcluster.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "trtllm-serve"

# Options that change nothing which is simulated: accepted with their value.
_IGNORED_WITH_VALUE = (
    "chat_template",
    "custom_tokenizer",
    "ep_size",
    "max_beam_width",
    "num_postprocess_workers",
    "reasoning_parser",
    "tokenizer",
    "tool_parser",
)
_IGNORED_SWITCHES = ("trust_remote_code", "fail_fast_on_attention_window_too_large")
# The file's keys that are read here, and those that change nothing.
_FILE_KEYS = frozenset({"enable_iter_perf_stats", "kv_cache_config", "return_perf_metrics", "speculative_config"})
_IGNORED_FILE_KEYS = frozenset(
    {"allreduce_strategy", "cuda_graph_config", "enable_chunked_prefill", "revision", "trust_remote_code"}
)
_CACHE_KEYS = frozenset({"dtype", "enable_block_reuse", "free_gpu_memory_fraction", "tokens_per_block"})

# Uvicorn answers what is in flight, however long that takes; the pod's grace period is the limit.
_SHUTDOWN_TIMEOUT_S = 3600.0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        text = f"Invalid value: {message}" if unknown == message else f"No such option: {unknown.split('=')[0]}"
        print(f"Usage: {PROGRAM} serve [OPTIONS] MODEL\n\nError: {text}", file=sys.stderr)  # noqa: T201 - click's form
        raise SystemExit(2)


def parse(arguments: Sequence[str]) -> ServeOptions:
    """Read the command line, which begins with the model; prints usage and exits with 2 where it is wrong.

    Raises:
        ConfigurationError: the options file can't be used.
    """
    values = vars(_parser().parse_args(arguments))
    file = _file(values["extra_llm_api_options"])
    cache = _known(file.get("kv_cache_config", {}), _CACHE_KEYS, "kv_cache_config")
    ignored = [f"--{name}" for name in (*_IGNORED_WITH_VALUE, *_IGNORED_SWITCHES) if values[name]]
    return ServeOptions(
        model=values["model"],
        host=values["host"],
        port=values["port"],
        # There is no option for it: a directory's name, or the whole id.
        served_model_name=(Path(values["model"]).name if Path(values["model"]).is_dir() else values["model"],),
        api_key=(),
        tensor_parallel_size=values["tp_size"],
        max_model_len=values["max_seq_len"],
        max_num_seqs=values["max_batch_size"],
        max_num_batched_tokens=values["max_num_tokens"],
        gpu_memory_utilization=1.0,
        block_size=cache.get("tokens_per_block", 32),
        kv_cache_dtype=cache.get("dtype", "auto"),
        quantization=None,
        enable_prefix_caching=cache.get("enable_block_reuse", True),
        max_num_queued_reqs=None,
        max_num_queued_tokens=None,
        enable_force_include_usage=False,
        enable_prompt_tokens_details=True,
        shutdown_timeout_s=_SHUTDOWN_TIMEOUT_S,
        log_level="info",
        simulated_gpu=values["simulated_gpu"],
        ignored=(*ignored, *sorted(file.keys() & _IGNORED_FILE_KEYS)),
        trtllm=TrtllmOptions(
            free_gpu_memory_fraction=cache.get("free_gpu_memory_fraction", 0.9),
            iteration_statistics=file.get("enable_iter_perf_stats", False),
            performance_metrics=file.get("return_perf_metrics", False),
        ),
        speculation=speculation.from_trtllm(file["speculative_config"]) if "speculative_config" in file else None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, allow_abbrev=False)
    parser.add_argument("model")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--tp_size", "--tensor_parallel_size", type=int, default=1)
    parser.add_argument("--max_batch_size", type=int, default=2048)
    parser.add_argument("--max_num_tokens", type=int, default=8192)
    parser.add_argument("--max_seq_len", type=int)
    parser.add_argument("--extra_llm_api_options", "--config")
    parser.add_argument("--simulated_gpu", metavar="NAME", help="the GPU where no node label says it, such as L4")
    for name in _IGNORED_WITH_VALUE:
        parser.add_argument(f"--{name}")
    for name in _IGNORED_SWITCHES:
        parser.add_argument(f"--{name}", action="store_true")
    return parser


def _file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(f"--extra_llm_api_options: {error}") from error
    return _known(content, _FILE_KEYS | _IGNORED_FILE_KEYS, path)


def _known(content: Any, keys: frozenset[str], where: str) -> dict[str, Any]:
    """As pydantic does there, refuse what is no mapping, and keys that nobody knows."""
    if not isinstance(content, dict):
        raise ConfigurationError(f"{where}: must be a mapping, is {content!r}")
    unknown = sorted(str(key) for key in content if key not in keys)
    if unknown:
        raise ConfigurationError(f"{where}: the simulated engine does not know {', '.join(unknown)}")
    return content
