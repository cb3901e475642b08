"""What vLLM's start-up errors mean for a pool, and which field to change.

The wordings are those of vLLM 0.32 and 0.33, PyTorch, transformers and huggingface_hub.
"""

from __future__ import annotations

import re

from mixserve.api.engine import SHORTEST_CONTEXT
from mixserve.engines.protocol import StartupAdvice
from mixserve.engines.startup_errors import HUB_ERRORS, StartupError, always, first_advice

_LESS_KV = (
    "or make room: spec.engine.kvCache.format fp8, a larger spec.engine.kvCache.memoryUtilizationPercent, or a larger "
    "tensorParallel, another quantization or another accelerator in the variant"
)


def startup_advice(log: str) -> StartupAdvice | None:
    """The advice for the first known error, the more telling ones first; None if there is none."""
    return first_advice(log, STARTUP_ERRORS)


def _context_exceeds_cache(found: re.Match[str]) -> StartupAdvice:
    context, largest = found.groups()
    shorter = "set spec.engine.maxModelLen to what fits"
    if largest is not None and int(largest) >= SHORTEST_CONTEXT:
        shorter = f"set spec.engine.maxModelLen to {largest} or less"
    return StartupAdvice(
        cause=f"one request of {context} tokens needs more memory for keys and values than the weights leave",
        remedy=f"{shorter}, {_LESS_KV}",
    )


MEMORY_ERRORS = (
    StartupError(
        re.compile(
            r"model's max seq len \((\d+)\), \([\d.]+ GiB KV cache is needed, which is larger than the available KV "
            r"cache memory \([\d.]+ GiB\)\.(?: Based on the available memory, the estimated maximum model length "
            r"is (\d+))?"
        ),
        _context_exceeds_cache,
    ),
    always(
        r"No available memory for the cache blocks",
        "the weights and the engine's own needs leave no memory for the KV cache",
        "raise spec.engine.kvCache.memoryUtilizationPercent, or choose a larger tensorParallel, another quantization "
        "or another accelerator in the variant",
    ),
    always(
        r"Free memory on device .* on startup is less than desired GPU memory utilization",
        "another process holds some of the GPU's memory",
        "if a pod that is going still holds it, the next restart succeeds; otherwise find what else uses the GPU, or "
        "lower spec.engine.kvCache.memoryUtilizationPercent",
    ),
    always(
        r"Available memory on node .* on startup is less than desired CPU memory utilization",
        "the node has less memory free than the engine may take",
        "lower spec.engine.kvCache.memoryUtilizationPercent, or free memory on the node",
    ),
    always(
        r"OutOfMemoryError|CUDA out of memory",
        "the GPU's memory ran out while the model was loaded or warmed up",
        "choose a larger tensorParallel, another quantization or another accelerator in the variant, or lower "
        "spec.engine.batching.maxBatchedTokens, spec.engine.batching.maxSequences or "
        "spec.engine.kvCache.memoryUtilizationPercent",
    ),
)
"""The GPU's memory is not enough."""

SOURCE_ERRORS = (
    *HUB_ERRORS,
    always(
        r"Invalid repository ID or local directory specified: '([^']+)'|Repo id must be in the form .*?: '([^']+)'",
        "there is no model at {1}{2}",
        "correct the path in spec.model.source, or the variant's source: its directory needs a config.json",
    ),
    always(
        r"Cannot find any model weights with `([^`]+)`",
        "there are no weights at {1}",
        "put the model's *.safetensors files beside its config.json, or correct spec.model.source",
    ),
    always(
        r"Loading lora (\S+) failed: No adapter found for (?!<path>)(\S+?)[',]?(?=[,\s]|$)",
        "there is no adapter {1} at {2}",
        "correct its source in spec.model.adapters: the directory needs an adapter_config.json",
    ),
    always(
        r"LoRA rank (\d+) is greater than max_lora_rank",
        "an adapter has rank {1}, which is more than spec.model.adapters says",
        "set its rank there to {1}, the r of its adapter_config.json",
    ),
    always(
        r"config file at '([^']+)' is not a valid JSON file",
        "{1} is not JSON",
        "put the model's own config.json there",
    ),
    always(
        r"has model type `([^`]+)` but Transformers does not recognize",
        "this version of the engine does not know the model type {1}",
        "choose a newer spec.engine.version, or another model in spec.model.source",
    ),
    always(
        r"Model architectures \[([^\]]+)\] are not supported",
        "this version of the engine does not run the architecture {1}",
        "choose a newer spec.engine.version, or another model in spec.model.source",
    ),
)
"""The model is not where, or not what, the pool says."""

CONFIGURATION_ERRORS = (
    always(
        r"VLLM_PORT '([^']+)' appears to be a URI",
        "the variable VLLM_PORT is {1}: Kubernetes sets it for a Service named vllm",
        "set enableServiceLinks of the pod to false again (Mixserve sets it so), or rename the Service",
    ),
    always(
        r"not supported for the current GPU\. (?:Min(?:imum)?|Required) capability: (\d+)\. Current capability: (\d+)",
        "the checkpoint's quantization needs compute capability {1} (in tenths) and the GPU has {2}",
        "choose another quantization or another accelerator in the variant",
    ),
    always(
        r"Bfloat16 is only supported on GPUs with compute capability of at least 8\.0",
        "the GPU has no BF16",
        "choose another accelerator in the variant, or add --dtype=half to spec.engine.args",
    ),
    always(
        r"specified in the model config \(([^)]+)\) does not match the quantization method specified in the "
        r"`quantization` argument \(([^)]+)\)",
        "the checkpoint is quantized with {1}, and the quantization format says {2}",
        "choose the QuantizationFormat of the checkpoint in the variant's quantization, or another source",
    ),
    always(
        r"Cannot find the config file for (\S+)",
        "the quantization format says {1}, and the checkpoint is not quantized",
        "choose the QuantizationFormat of the checkpoint in the variant's quantization, or another source",
    ),
    always(
        r"torch\.(\S+) is not supported for quantization method (\S+?)\.",
        "the quantization method {2} does not compute in {1}",
        "take --dtype out of spec.engine.args, or choose another quantization in the variant",
    ),
    always(
        r"Total number of attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)",
        "{2} GPUs can't share the model's {1} attention heads evenly",
        "set the variant's tensorParallel to a divisor of {1}",
    ),
    always(
        r"max_model_len \((\d+)\) is greater than the derived max_model_len \([a-z_]+=(\d+)",
        "the model was made for {2} tokens, and the pool asks for {1}",
        "set spec.engine.maxModelLen to {2} or less, or leave it out",
    ),
    always(
        r"max_num_batched_tokens \((\d+)\) must be greater than or equal to max_num_seqs \((\d+)\)",
        "a step of {1} tokens has no token for each of {2} requests",
        "set spec.engine.batching.maxBatchedTokens to {2} or more, or lower spec.engine.batching.maxSequences",
    ),
    always(
        r"max_num_batched_tokens \((\d+)\) is smaller than max_model_len \((\d+)\)",
        "without chunked prefill a prompt of {2} tokens does not fit into a step of {1} tokens",
        "take --no-enable-chunked-prefill out of spec.engine.args, or set spec.engine.batching.maxBatchedTokens to {2}",
    ),
    always(
        r"unrecognized arguments: (.+)",
        "this version of the engine does not know {1}",
        "correct or remove it in spec.engine.args, or choose another spec.engine.version",
    ),
    always(
        r"vllm(?: serve)?: error: (.+)",
        "the engine refuses its arguments: {1}",
        "correct spec.engine.args, or choose another spec.engine.version",
    ),
    always(
        r"Address already in use",
        "something in the pod listens on the engine's port already",
        "remove the container that was added to the pod, or give it another port",
    ),
    always(
        r"Timed out waiting for (?:new )?engine core processes to start",
        "the model was not loaded in time",
        "raise spec.engine.startupTimeout, or put the files on a faster volume",
    ),
)
"""The pool asks for what the engine, the GPU or the model does not do."""

SPECULATION_ERRORS = (
    always(
        r"Arctic Inference is required for suffix decoding",
        "the image has no Arctic Inference, which suffix decoding needs",
        "name an image with the package arctic-inference in spec.engine.image, or another method in the "
        "SpeculativePair",
    ),
    always(
        r"Target model vocab_size=(\d+)\. Draft model vocab_size=(\d+)",
        "the model's vocabulary has {1} tokens, and the draft's {2}",
        "name a draft that was made for the model in the SpeculativePair",
    ),
    always(
        r"Unsupported speculative method: 'mtp'",
        "the checkpoint has no layers for multi-token prediction",
        "choose another method in the SpeculativePair, or another checkpoint",
    ),
    always(
        r"num_speculative_tokens:(\d+) must be divisible by n_predict=(\d+)",
        "{2} layers predict a token each, and {1} proposed tokens are no multiple of that",
        "set tokens of the SpeculativePair to a multiple of {2}",
    ),
)
"""The pool's SpeculativePair does not go with it: found before, where the operator can read the files."""

# A lack of memory is often followed by other errors, and a source that fails by complaints about the configuration.
STARTUP_ERRORS = (*MEMORY_ERRORS, *SOURCE_ERRORS, *SPECULATION_ERRORS, *CONFIGURATION_ERRORS)
