from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mixserve.api.engine import EngineType
from mixserve.api.observation import EngineSample, Missing, MissingReason, SpeculationCounts
from mixserve.engines.protocol import SpeculationNames
from mixserve.engines.registry import adapter_for
from mixserve.observe.iteration_statistics import read_iteration_statistics

NAMES = adapter_for(EngineType.TENSORRT_LLM).metrics_page("1.2.0").names

# From a PyTorch backend of 1.0 (issue 6364 of the project), cut down.
ITERATION = {
    "inflightBatchingStats": {"numContextRequests": 0, "numGenRequests": 1, "numScheduledRequests": 1},
    "iter": 587,
    "iterLatencyMS": 3.3,
    "kvCacheStats": {"freeNumBlocks": 30, "maxNumBlocks": 40, "tokensPerBlock": 32, "usedNumBlocks": 10},
    "numActiveRequests": 3,
    "numQueuedRequests": 7,
    "specDecodingStats": None,
}


def read(page: Any) -> EngineSample | Missing:
    content = page if isinstance(page, bytes) else json.dumps(page).encode()
    return read_iteration_statistics(content, NAMES, scraped_at_s=5.0)


def with_blocks(**blocks: Any) -> dict[str, Any]:
    return {**ITERATION, "kvCacheStats": {**ITERATION["kvCacheStats"], **blocks}}


def test_the_newest_iteration_counts() -> None:
    older = {**ITERATION, "numActiveRequests": 1}
    found = read([older, ITERATION])
    assert isinstance(found, EngineSample)
    assert (found.scraped_at_s, found.running, found.waiting, found.kv_cache_usage) == (5.0, 3, 7, 0.25)


def test_no_iteration_means_that_nothing_runs() -> None:
    found = read([])
    assert isinstance(found, EngineSample)
    assert (found.running, found.waiting, found.kv_cache_usage) == (0, 0, 0.0)
    assert isinstance(found.speculation, Missing)


def speculating(drafts: Any, proposed: Any, kept: Any) -> dict[str, Any]:
    counts = {"numRequestsWithDraftTokens": drafts, "numDraftTokens": proposed, "numAcceptedTokens": kept}
    return {**ITERATION, "specDecodingStats": {**counts, "acceptanceLength": 1.0}}


def speculation(*iterations: dict[str, Any]) -> object:
    found = read([*iterations])
    assert isinstance(found, EngineSample)
    return found.speculation


def test_all_iterations_since_the_last_read_count_for_speculative_decoding() -> None:
    found = speculation(speculating(8, 24, 12), ITERATION, speculating(2, 6, 6))
    assert found == SpeculationCounts(10, 30, 18, since_last_read=True)


@pytest.mark.parametrize(
    ("iteration", "reason"),
    [
        (ITERATION, MissingReason.METRIC_ABSENT),
        (speculating(None, 24, 12), MissingReason.METRIC_ABSENT),
        (speculating(8, "24", 12), MissingReason.UNPARSABLE),
        ({**ITERATION, "specDecodingStats": []}, MissingReason.METRIC_ABSENT),
    ],
)
def test_without_its_counters_the_other_signals_count(iteration: dict[str, Any], reason: MissingReason) -> None:
    found = speculation(iteration)
    assert isinstance(found, Missing)
    assert found.reason is reason


@pytest.mark.parametrize("names", [None, SpeculationNames(drafts=None, proposed="a", kept="b")])
def test_a_page_that_never_has_them_is_not_searched(names: SpeculationNames | None) -> None:
    page = json.dumps([speculating(8, 24, 12)]).encode()
    found = read_iteration_statistics(page, replace(NAMES, speculation=names), scraped_at_s=5.0)
    assert isinstance(found, EngineSample)
    assert isinstance(found.speculation, Missing)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (b"", MissingReason.UNPARSABLE),
        (b"# HELP a page of Prometheus", MissingReason.UNPARSABLE),
        (b"\xff", MissingReason.UNPARSABLE),
        (b"[" * 100_000, MissingReason.UNPARSABLE),
        ({}, MissingReason.UNPARSABLE),
        (None, MissingReason.UNPARSABLE),
        ([None], MissingReason.METRIC_ABSENT),
        ([[]], MissingReason.METRIC_ABSENT),
        ([{**ITERATION, "numActiveRequests": None}], MissingReason.METRIC_ABSENT),
        ([{**ITERATION, "numQueuedRequests": -1}], MissingReason.UNPARSABLE),
        ([{**ITERATION, "numQueuedRequests": 1.5}], MissingReason.UNPARSABLE),
        ([{**ITERATION, "numQueuedRequests": True}], MissingReason.UNPARSABLE),
        ([{**ITERATION, "kvCacheStats": None}], MissingReason.METRIC_ABSENT),
        ([with_blocks(usedNumBlocks=None)], MissingReason.METRIC_ABSENT),
        ([with_blocks(maxNumBlocks="40")], MissingReason.UNPARSABLE),
        ([with_blocks(usedNumBlocks=41)], MissingReason.UNPARSABLE),
        ([with_blocks(usedNumBlocks=0, maxNumBlocks=0)], MissingReason.UNPARSABLE),
    ],
)
def test_what_makes_no_sense_is_no_data(page: Any, reason: MissingReason) -> None:
    found = read(page)
    assert isinstance(found, Missing)
    assert found.reason is reason
