"""Speculative decoding in vLLM: `--speculative-config`, and what vLLM refuses with it.

Read from `config/speculative.py`, `config/vllm.py`, `v1/spec_decode` and `sampling_params.py` of the packages 0.30.0 to
0.33.0, which are alike in most of this.
"""

from __future__ import annotations

import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.engines.protocol import Caveat, Obstacle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mixserve.api.engine import Engine
    from mixserve.api.speculative_pair import SpeculativePairSpec
    from mixserve.engines.protocol import LaunchedPair

_NAMES: Mapping[SpeculationMethod, str] = MappingProxyType(
    {
        SpeculationMethod.DRAFT_MODEL: "draft_model",
        SpeculationMethod.EAGLE3: "eagle3",
        SpeculationMethod.MTP: "mtp",
        SpeculationMethod.NGRAM: "ngram",
        SpeculationMethod.SUFFIX: "suffix",
    }
)
METHODS: Mapping[str, Mapping[SpeculationMethod, str]] = MappingProxyType(
    {"0.30": _NAMES, "0.31": _NAMES, "0.32": _NAMES, "0.33": _NAMES}
)
"""vLLM's own names of the methods that a version has, one table per line."""

# `VllmConfig.__post_init__`: "async scheduling is only supported with EAGLE/MTP/Draft Model/NGram GPU ...". Since 0.33
# that is so for what the second model runner does not run.
_ON_THE_CPU = frozenset({SpeculationMethod.NGRAM, SpeculationMethod.SUFFIX})
_WITHOUT_ASYNC_SCHEDULING: Mapping[str, frozenset[SpeculationMethod]] = MappingProxyType(
    {"0.30": _ON_THE_CPU, "0.31": _ON_THE_CPU, "0.32": _ON_THE_CPU, "0.33": frozenset({SpeculationMethod.SUFFIX})}
)

_REFUSED_PARAMETERS = Caveat(
    cause="vLLM answers requests with min_p or logit_bias with an error while it speculates",
    remedy="serve clients that need them from a pool without speculativePairRef",
)


def speculative_config(pair: LaunchedPair, *, line: str) -> str:
    """The value of `--speculative-config`: JSON with sorted keys.

    Args:
        pair: what proposes tokens.
        line: the version's, or the nearest one with a table.
    """
    spec = pair.spec
    options: dict[str, Any] = {"method": METHODS[line][spec.method], "num_speculative_tokens": spec.tokens}
    if pair.draft is not None:
        options |= {"model": pair.draft, "draft_tensor_parallel_size": pair.draft_gpus}
    if pair.draft_revision is not None:
        options["revision"] = pair.draft_revision
    if spec.method is SpeculationMethod.NGRAM:
        options |= {"prompt_lookup_min": spec.lookup.min_lookup, "prompt_lookup_max": spec.lookup.max_lookup}
    if spec.batch_schedule:
        options["num_speculative_tokens_per_batch_size"] = _ranges(spec)
    return json.dumps(options, sort_keys=True, separators=(",", ":"))


def _ranges(spec: SpeculativePairSpec) -> list[list[int]]:
    """First and last batch size with the tokens of each entry. What follows the last one goes on with its tokens."""
    starts = [1, *(last + 1 for last in spec.batches)]
    ranges = [[first, step.max_batch, step.tokens] for first, step in zip(starts, spec.batch_schedule, strict=False)]
    return [*ranges, [starts[-1], starts[-1], 0]]


def obstacles(
    pair: SpeculativePairSpec,
    *,
    line: str,
    engine: Engine,
    tensor_parallel: int,
    adapters: bool,
) -> Iterator[Obstacle]:
    """Why vLLM does not start with a pair.

    Args:
        pair: the pair.
        line: the version's, or the nearest one with a table.
        engine: the pool's engine section.
        tensor_parallel: GPUs of one replica.
        adapters: whether LoRA adapters are served as well.
    """
    if pair.method is SpeculationMethod.SUFFIX and engine.image is None:
        yield Obstacle(
            "spec.method",
            "vLLM needs the package arctic-inference for suffix decoding, which is not in its own image",
            "build an image with it and name that in spec.engine.image of the pool, or choose NGram",
        )
    yield from _draft_gpus(pair, tensor_parallel)
    for index, argument in enumerate(engine.args):
        flag, field_path = _flag(argument), f"spec.engine.args[{index}]"
        if flag == "--async-scheduling" and pair.method in _WITHOUT_ASYNC_SCHEDULING[line]:
            cause = f"vLLM {line} does not schedule asynchronously with {pair.method}"
            yield Obstacle(field_path, cause, f"take {flag} out")
    if adapters:
        yield from _narrow_steps(pair, engine)


def _flag(argument: str) -> str:
    return re.split(r"[=\s]", argument, maxsplit=1)[0].replace("_", "-")


def _draft_gpus(pair: SpeculativePairSpec, tensor_parallel: int) -> Iterator[Obstacle]:
    if pair.draft is None or pair.draft.gpus_beside(tensor_parallel) == tensor_parallel:
        return
    gpus, field_path = pair.draft.gpus_beside(tensor_parallel), "spec.draft.tensorParallel"
    if pair.method is SpeculationMethod.DRAFT_MODEL:
        # `DraftModelProposer._raise_if_draft_tp_mismatch`.
        yield Obstacle(
            field_path,
            f"vLLM runs a draft model on as many GPUs as the model, which are {tensor_parallel} and not {gpus}",
            "leave it out",
        )
    elif gpus != 1:
        yield Obstacle(
            field_path,
            f"the draft can share 1 GPU or the {tensor_parallel} of the model, and not {gpus}",
            "leave it out, or set it to 1",
        )


def _narrow_steps(pair: SpeculativePairSpec, engine: Engine) -> Iterator[Obstacle]:
    """With LoRA, `create_engine_config` wants max_num_batched_tokens >= max_num_seqs x (tokens + 1)."""
    requests, tokens = engine.batching.max_sequences, engine.batching.max_batched_tokens
    if requests and tokens and tokens < requests * (pair.tokens + 1):
        needed = requests * (pair.tokens + 1)
        yield Obstacle(
            "spec.engine.batching.maxBatchedTokens",
            f"with adapters and {pair.tokens} proposed tokens, {requests} requests need {needed} tokens a step, and "
            f"not {tokens}",
            f"set it to {needed} or more, or lower spec.engine.batching.maxSequences",
        )


def caveats() -> tuple[Caveat, ...]:
    """What is different for clients: `SamplingParams._validate_spec_decode`."""
    return (_REFUSED_PARAMETERS,)
