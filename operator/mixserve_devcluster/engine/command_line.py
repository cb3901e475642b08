"""The command line, `serve MODEL` with flags of `vllm serve`; an unknown flag is an error, as it is there."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve_devcluster.engine import speculation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mixserve_devcluster.engine.speculation import SpeculationOptions

# Flags of vLLM that change nothing which is simulated: accepted with their value.
_IGNORED_WITH_VALUE = (
    "chat-template",
    "chat-template-content-format",
    "convert",
    "distributed-executor-backend",
    "download-dir",
    "dtype",
    "generation-config",
    "hf-config-path",
    "hf-overrides",
    "load-format",
    "max-cpu-loras",
    "max-logprobs",
    "max-lora-rank",
    "override-generation-config",
    "reasoning-parser",
    "revision",
    "root-path",
    "seed",
    "tokenizer",
    "tokenizer-mode",
    "tokenizer-revision",
)
# The same for switches; each also as --no-....
_IGNORED_SWITCHES = (
    "async-scheduling",
    "disable-custom-all-reduce",
    "disable-log-stats",
    "disable-uvicorn-access-log",
    "enable-chunked-prefill",
    "enable-log-requests",
    "enforce-eager",
    "trust-remote-code",
)
# As vLLM reads them: lower case counts in thousands, upper case in powers of 1024.
_MULTIPLIERS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A LoRA adapter, one of `--lora-modules`: the model name that it answers for, and where its files are."""

    name: str
    path: str


@dataclass(frozen=True, kw_only=True)
class TrtllmOptions:
    """What `trtllm-serve` is told besides what has a name in vLLM, too.

    Attributes:
        free_gpu_memory_fraction: share for the KV cache of what weights and overhead leave.
        iteration_statistics: keep statistics of iterations.
        performance_metrics: have a page for Prometheus.
    """

    free_gpu_memory_fraction: float
    iteration_statistics: bool
    performance_metrics: bool


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What the command line says; None where it says nothing.

    Attributes:
        max_model_len: tokens, or 0 for "auto", the longest that fits.
        max_num_queued_reqs: most requests in the engine, running or waiting, before new ones get a 503.
        max_num_queued_tokens: most prompt tokens whose prefill is not done before new requests get a 503.
        runner: "pooling" for embeddings, else the model makes texts.
        tool_call_parser: how calls of tools are written; None: they can't be read.
        adapters: LoRA adapters.
        max_loras: most adapters in one batch; here only a label of a metric.
        ignored: flags that were given and change nothing here.
        trtllm: for an engine that behaves as TensorRT-LLM; None for vLLM.
        speculation: what proposes tokens; None without speculative decoding.
    """

    model: str
    host: str
    port: int
    served_model_name: tuple[str, ...]
    api_key: tuple[str, ...]
    tensor_parallel_size: int
    max_model_len: int | None
    max_num_seqs: int | None
    max_num_batched_tokens: int | None
    gpu_memory_utilization: float
    block_size: int
    kv_cache_dtype: str
    quantization: str | None
    enable_prefix_caching: bool
    max_num_queued_reqs: int | None
    max_num_queued_tokens: int | None
    enable_force_include_usage: bool
    enable_prompt_tokens_details: bool
    shutdown_timeout_s: float
    log_level: str
    simulated_gpu: str | None
    ignored: tuple[str, ...]
    runner: str = "auto"
    enable_auto_tool_choice: bool = True
    tool_call_parser: str | None = ""
    adapters: tuple[Adapter, ...] = ()
    enable_lora: bool = False
    max_loras: int = 1
    trtllm: TrtllmOptions | None = None
    speculation: SpeculationOptions | None = None


def parse(arguments: Sequence[str]) -> ServeOptions:
    """Read the command line; prints usage and exits with 2 where it is wrong."""
    values = vars(_parser().parse_args([_with_dashes(argument) for argument in arguments]))
    values.pop("command")
    ignored = tuple(
        f"--{name}"
        for name in (*_IGNORED_WITH_VALUE, *_IGNORED_SWITCHES)
        if values.pop(name.replace("-", "_")) is not None
    )
    adapters = tuple(_adapters(values.pop("lora_modules") or []))
    return ServeOptions(
        served_model_name=tuple(values.pop("served_model_name") or [values["model"]]),
        adapters=adapters if values["enable_lora"] else (),
        api_key=tuple(values.pop("api_key") or []),
        ignored=ignored,
        **values,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vllm",  # so that errors read the same
        description="A simulated inference engine with the command line and HTTP API of vLLM.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve simulated answers", allow_abbrev=False)
    _add_server_flags(serve)
    _add_engine_flags(serve)
    for name in _IGNORED_WITH_VALUE:
        serve.add_argument(f"--{name}", help=argparse.SUPPRESS)
    for name in _IGNORED_SWITCHES:
        serve.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=argparse.SUPPRESS)
    return parser


def _add_server_flags(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("model", help="Hugging Face id, or a directory with a config.json")
    serve.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - vLLM's default
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--served-model-name", nargs="+", help="names to answer for; the first labels the metrics")
    serve.add_argument("--api-key", nargs="+", help="keys that /v1 asks for; also VLLM_API_KEY")
    serve.add_argument("--max-num-queued-reqs", type=_count, help="503 from this many requests on")
    serve.add_argument("--max-num-queued-tokens", type=_count, help="503 from this many tokens to prefill on")
    serve.add_argument("--enable-auto-tool-choice", action=argparse.BooleanOptionalAction, default=False)
    serve.add_argument("--tool-call-parser", metavar="NAME", help="calls of tools are refused without")
    serve.add_argument("--enable-force-include-usage", action=argparse.BooleanOptionalAction, default=False)
    serve.add_argument("--enable-prompt-tokens-details", action=argparse.BooleanOptionalAction, default=False)
    serve.add_argument(
        "--shutdown-timeout",
        dest="shutdown_timeout_s",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="after SIGTERM: finish requests for so long; 0 aborts them",
    )
    serve.add_argument(
        "--uvicorn-log-level",
        dest="log_level",
        choices=("critical", "error", "warning", "info", "debug", "trace"),
        default="info",
    )


def _add_engine_flags(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--tensor-parallel-size", "-tp", type=_count, default=1)
    serve.add_argument("--max-model-len", type=_model_length, help='tokens, "16k", or "auto"')
    serve.add_argument("--max-num-seqs", type=_count)
    serve.add_argument("--max-num-batched-tokens", type=_count)
    serve.add_argument("--gpu-memory-utilization", type=float, default=0.92)
    serve.add_argument("--block-size", type=_count, default=16)
    serve.add_argument("--kv-cache-dtype", default="auto")
    serve.add_argument("--quantization", "-q")
    serve.add_argument("--enable-prefix-caching", action=argparse.BooleanOptionalAction, default=True)
    serve.add_argument("--speculative-config", "-sc", dest="speculation", type=_speculation, metavar="JSON")
    serve.add_argument("--runner", choices=("auto", "draft", "generate", "pooling"), default="auto")
    serve.add_argument("--enable-lora", action=argparse.BooleanOptionalAction, default=False)
    serve.add_argument("--lora-modules", nargs="+", metavar="NAME=PATH", help="adapters to answer for, by name")
    serve.add_argument("--max-loras", type=_count, default=1)
    serve.add_argument("--simulated-gpu", metavar="NAME", help="the GPU where no node label says it, such as L4")


def _adapters(modules: Sequence[str]) -> Iterator[Adapter]:
    """As vLLM reads them: name=path, or JSON where there is a comma in it."""
    for module in modules:
        name, equals, path = module.partition("=")
        if equals and "," not in module:
            yield Adapter(name=name, path=path)
            continue
        try:
            fields = json.loads(module)
            yield Adapter(name=fields["name"], path=fields["path"])
        except (ValueError, LookupError, TypeError) as error:
            raise SystemExit(f"vllm: error: Invalid JSON format for --lora-modules: {module}") from error


def _with_dashes(argument: str) -> str:
    """As vLLM does, take --max_model_len for --max-model-len."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    return flag.replace("_", "-") + equals + value


def _count(text: str) -> int:
    """A positive integer, possibly with vLLM's multipliers."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgKMG]?)", text)
    number = int(float(match[1]) * _MULTIPLIERS[match[2]]) if match else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"invalid int value: {text!r}")
    return number


def _speculation(text: str) -> SpeculationOptions:
    try:
        return speculation.from_vllm(text)
    except (ValueError, TypeError) as error:  # the second one: a range that is no triple
        raise argparse.ArgumentTypeError(f"{text} cannot be used: {error}") from error


def _model_length(text: str) -> int:
    return 0 if text in {"auto", "-1"} else _count(text)
