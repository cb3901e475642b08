from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mixserve.api.speculative_pair import Draft, NGram, SpeculativePair, SpeculativePairSpec

VOLUME = {"source": "pvc://models/draft"}


def pair(**spec: Any) -> SpeculativePair:
    return SpeculativePair.parse({"metadata": {"name": "pair"}, "spec": {"method": "NGram", **spec}})


def test_the_smallest_one_needs_its_method_only() -> None:
    spec = pair().spec
    assert (spec.tokens, spec.batch_schedule, spec.lookup) == (3, (), NGram(min_lookup=2, max_lookup=4))


@pytest.mark.parametrize("method", ["DraftModel", "EAGLE3"])
def test_a_method_with_a_draft_needs_one(method: str) -> None:
    assert pair(method=method, draft=VOLUME).spec.draft == Draft(source="pvc://models/draft")
    with pytest.raises(ValidationError, match="draft is needed for DraftModel and EAGLE3"):
        pair(method=method)


@pytest.mark.parametrize("method", ["MTP", "NGram", "Suffix"])
def test_a_method_without_a_draft_takes_none(method: str) -> None:
    with pytest.raises(ValidationError, match="draft is needed for DraftModel and EAGLE3 and has no meaning"):
        pair(method=method, draft=VOLUME)


def test_without_a_schedule_the_batch_does_not_matter() -> None:
    assert [pair(tokens=5).spec.tokens_at(batch) for batch in (0.5, 1, 4096)] == [5, 5, 5]


@pytest.mark.parametrize(
    ("batch", "tokens"), [(0.3, 3), (16, 3), (16.5, 1), (17, 1), (64, 1), (64.1, 0), (65, 0), (1000, 0)]
)
def test_a_schedule_ends_with_no_speculation(batch: float, tokens: int) -> None:
    schedule = [{"maxBatch": 16, "tokens": 3}, {"maxBatch": 64, "tokens": 1}]
    assert pair(batchSchedule=schedule).spec.tokens_at(batch) == tokens


@pytest.mark.parametrize(("said", "gpus"), [(1, 1), (2, 2), ("auto", 4)])
def test_a_draft_takes_the_gpus_of_the_model_unless_told(said: int | str, gpus: int) -> None:
    assert Draft.parse({**VOLUME, "tensorParallel": said}).gpus_beside(4) == gpus
    assert Draft.parse(VOLUME).gpus_beside(4) == 4


def test_larger_batches_get_no_more_tokens() -> None:
    with pytest.raises(ValidationError, match="must not grow with maxBatch"):
        pair(batchSchedule=[{"maxBatch": 8, "tokens": 1}, {"maxBatch": 16, "tokens": 2}])


def test_a_spec_reads_back_what_it_wrote() -> None:
    spec = pair(method="EAGLE3", draft=VOLUME, batchSchedule=[{"maxBatch": 8, "tokens": 2}]).spec
    assert SpeculativePairSpec.parse(spec.to_wire()) == spec
