"""Speculative decoding in TensorRT-LLM: `speculative_config` of the options file. Never run here, for want of a GPU.

Read from `llmapi/llm_args.py`: `DecodingBaseConfig` and its heirs, in public copies of about 1.1 and 1.2 and of the
main branch of 2026 for 1.3. docs/engines.md says what was checked against what.

What differs: names (`DraftTarget` became `Draft_Target`, `Eagle` became `Eagle3`); since 1.2 `draft_len_schedule`, at
first from a batch size on and for methods whose draft is a model of its own, since 1.3 up to a batch size and for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.engines.protocol import Caveat, Obstacle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mixserve.api.speculative_pair import SpeculativePairSpec
    from mixserve.engines.protocol import LaunchedPair

_MODEL_OF_ITS_OWN = frozenset({SpeculationMethod.DRAFT_MODEL, SpeculationMethod.NGRAM})
"""In 1.1 and 1.2 these propose outside of the model's own forward pass, and can be left out of a step."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One version's options.

    Attributes:
        decoding_types: its names of the methods that it has.
        scheduled: the methods that `draft_len_schedule` works for.
        cut_off: the methods that `max_concurrency` works for, where there is no schedule.
        is_up_to: whether a schedule's batch sizes are the largest of an entry; else the smallest.
        mtp_length: the key for MTP's tokens.
    """

    decoding_types: Mapping[SpeculationMethod, str]
    scheduled: frozenset[SpeculationMethod]
    cut_off: frozenset[SpeculationMethod] = frozenset()
    is_up_to: bool = False
    mtp_length: str = "num_nextn_predict_layers"


_TYPES_OF_1_1 = {
    SpeculationMethod.DRAFT_MODEL: "DraftTarget",
    SpeculationMethod.EAGLE3: "Eagle",
    SpeculationMethod.MTP: "MTP",
    SpeculationMethod.NGRAM: "NGram",
}
_TYPES_OF_1_2 = {**_TYPES_OF_1_1, SpeculationMethod.DRAFT_MODEL: "Draft_Target"}
_TYPES_OF_1_3 = {**_TYPES_OF_1_2, SpeculationMethod.EAGLE3: "Eagle3"}

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "1.1": Table(decoding_types=_TYPES_OF_1_1, scheduled=frozenset(), cut_off=_MODEL_OF_ITS_OWN),
        "1.2": Table(decoding_types=_TYPES_OF_1_2, scheduled=_MODEL_OF_ITS_OWN),
        "1.3": Table(
            decoding_types=_TYPES_OF_1_3,
            scheduled=frozenset(_TYPES_OF_1_3),
            is_up_to=True,
            mtp_length="max_draft_len",
        ),
    }
)
"""One table per line, oldest first."""

_NEWEST_DRAFT = Caveat(
    cause="TensorRT-LLM has no option for the draft's revision, and downloads the newest files of its repository",
    remedy="put the draft's files on a volume (pvc://) to have the same ones in every replica",
)
_SHORTEST_LOOKUP = Caveat(
    cause="TensorRT-LLM proposes tokens as soon as one token occurred before, whatever ngram.minLookup says",
    remedy="nothing has to be done; proposals after short matches are kept less often",
)


def speculative_config(pair: LaunchedPair, *, line: str) -> dict[str, Any]:
    """The value of `speculative_config`.

    Args:
        pair: what proposes tokens.
        line: the version's, or the nearest one with a table.
    """
    spec, table = pair.spec, TABLES[line]
    # The first entry of a schedule has to be the length itself.
    tokens = spec.batch_schedule[0].tokens if spec.batch_schedule else spec.tokens
    length = table.mtp_length if spec.method is SpeculationMethod.MTP else "max_draft_len"
    options: dict[str, Any] = {"decoding_type": table.decoding_types[spec.method], length: tokens}
    if pair.draft is not None:
        # Its name in 1.1, and a second one since.
        options["speculative_model_dir"] = pair.draft
    if spec.method is SpeculationMethod.NGRAM:
        options["max_matching_ngram_size"] = spec.lookup.max_lookup
    return options | _schedule(spec, table)


def _schedule(spec: SpeculativePairSpec, table: Table) -> dict[str, Any]:
    if not spec.batch_schedule:
        return {}
    if spec.method not in table.scheduled:
        return {"max_concurrency": spec.batches[-1]}
    if table.is_up_to:
        return {"draft_len_schedule": {step.max_batch: step.tokens for step in spec.batch_schedule}}
    tokens = [*(step.tokens for step in spec.batch_schedule), 0]
    starts = [1, *(last + 1 for last in spec.batches)]
    return {"draft_len_schedule": dict(zip(starts, tokens, strict=True))}


def obstacles(pair: SpeculativePairSpec, *, line: str, tensor_parallel: int) -> Iterator[Obstacle]:
    """Why TensorRT-LLM does not start with a pair."""
    table = TABLES[line]
    if pair.method not in table.decoding_types:
        yield Obstacle(
            "spec.method",
            f"TensorRT-LLM {line} has no method {pair.method}",
            f"choose one that it has: {', '.join(sorted(table.decoding_types))}",
        )
        return
    yield from _unscheduled(pair, line)
    if pair.draft is not None and pair.draft.gpus_beside(tensor_parallel) != tensor_parallel:
        yield Obstacle(
            "spec.draft.tensorParallel",
            f"TensorRT-LLM runs the draft on as many GPUs as the model, which are {tensor_parallel} and not "
            f"{pair.draft.gpus_beside(tensor_parallel)}",
            "leave it out",
        )


def _unscheduled(pair: SpeculativePairSpec, line: str) -> Iterator[Obstacle]:
    """A schedule that this version can't follow; one entry needs no more than a batch size to stop at."""
    table = TABLES[line]
    if not pair.batch_schedule or pair.method in table.scheduled:
        return
    if pair.method not in table.cut_off:
        yield Obstacle(
            "spec.batchSchedule",
            f"TensorRT-LLM {line} proposes as many tokens at every batch size with {pair.method}",
            "leave it out, or choose version 1.3 in spec.engine.version of the pool",
        )
    elif len(pair.batch_schedule) > 1:
        yield Obstacle(
            "spec.batchSchedule",
            f"TensorRT-LLM {line} can stop at a batch size and not change the number of tokens before",
            "leave one entry, or choose version 1.2 or newer in spec.engine.version of the pool",
        )


def caveats(pair: SpeculativePairSpec) -> tuple[Caveat, ...]:
    """What is different from what the pair says."""
    from_hub = pair.draft is not None and pair.draft.revision is not None
    is_ngram = pair.method is SpeculationMethod.NGRAM and pair.lookup.min_lookup > 1
    return (*((_NEWEST_DRAFT,) if from_hub else ()), *((_SHORTEST_LOOKUP,) if is_ngram else ()))
