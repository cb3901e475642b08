"""Runs in vLLM's own environment: put command lines through its argument parser and its configuration classes.

Reads a JSON list of argument lists (what follows `vllm`) from stdin and writes a JSON list of objects to the file that
its argument names: `error` is what was refused, or null; the other members are what was understood.
It must import nothing of Mixserve, which that environment does not have.
"""

import argparse
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from vllm.engine.arg_utils import AsyncEngineArgs

# Where the two are defined differs from version to version.
from vllm.entrypoints.cli.serve import make_arg_parser, validate_parsed_serve_args
from vllm.usage.usage_lib import UsageContext
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.spec_decode.dynamic.utils import build_dynamic_sd_schedule_lookup


class _Parser(FlexibleArgumentParser):
    def error(self, message: str) -> Any:
        """Raise, where argparse ends the process."""
        raise argparse.ArgumentError(None, message)


def main() -> None:
    cases = json.load(sys.stdin)
    parser = make_arg_parser(_Parser())
    results = [_checked(parser, arguments) for arguments in cases]
    Path(sys.argv[1]).write_text(json.dumps(results))


def _checked(parser: FlexibleArgumentParser, arguments: list[str]) -> dict[str, Any]:
    try:
        return _understood(parser, arguments)
    except Exception as error:  # noqa: BLE001 - whatever vLLM raises is a refusal
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def _understood(parser: FlexibleArgumentParser, arguments: list[str]) -> dict[str, Any]:
    command, model, *flags = arguments
    if command != "serve":
        raise ValueError(f"not vllm serve: {arguments}")
    parsed = parser.parse_args([model, *flags])
    parsed.model = parsed.model_tag
    validate_parsed_serve_args(parsed)
    config = AsyncEngineArgs.from_cli_args(parsed).create_engine_config(usage_context=UsageContext.OPENAI_API_SERVER)
    quantization = config.quant_config
    return {
        "error": None,
        "speculation": _speculation(config),
        "quantization": config.model_config.quantization,
        # In tenths: 89 is 8.9. Of the method as a whole; single layers may need more.
        "minimum_capability": None if quantization is None else quantization.get_min_capability(),
        "dtype": str(config.model_config.dtype),
        "kv_cache_dtype": config.cache_config.cache_dtype,
        "max_model_len": config.model_config.max_model_len,
        "prefix_caching": config.cache_config.enable_prefix_caching,
        "max_num_seqs": config.scheduler_config.max_num_seqs,
        "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        "chat_template": parsed.chat_template and Path(parsed.chat_template).name,
        "adapters": None if config.lora_config is None else _adapters(config.lora_config, parsed.lora_modules),
        "runner": config.model_config.runner_type,
        "counts_tokens": parsed.enable_force_include_usage and parsed.enable_prompt_tokens_details,
        "disable_custom_all_reduce": parsed.disable_custom_all_reduce,
        "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
    }


def _adapters(lora: Any, modules: Any) -> dict[str, Any]:
    names = {module.name: module.path for module in modules}
    return {"slots": lora.max_loras, "rank": lora.max_lora_rank, "paths": names}


def _speculation(config: Any) -> dict[str, Any] | None:
    found = config.speculative_config
    if found is None:
        return None
    schedule = found.num_speculative_tokens_per_batch_size
    lookup = [found.prompt_lookup_min, found.prompt_lookup_max] if found.method == "ngram" else None
    return {
        "method": found.method,
        "tokens": found.num_speculative_tokens,
        "draft_gpus": found.draft_tensor_parallel_size,
        "lookup": lookup,
        # By batch size, as the scheduler looks it up.
        "by_batch": None if schedule is None else _by_batch(schedule, found.num_speculative_tokens),
    }


def _by_batch(schedule: Any, tokens: int) -> list[int]:
    return build_dynamic_sd_schedule_lookup(schedule, vllm_max_batch_size=100, vllm_num_speculative_tokens=tokens)


if __name__ == "__main__":
    main()
