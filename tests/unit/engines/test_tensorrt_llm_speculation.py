from __future__ import annotations

from typing import Any

import pytest

from mixserve.api.engine import Engine, EngineType
from mixserve.engines.protocol import LaunchedPair
from mixserve.engines.tensorrt_llm import TensorRTLLMAdapter
from mixserve.engines.tensorrt_llm_speculation import TABLES, speculative_config
from support.pairs import pair

ADAPTER = TensorRTLLMAdapter()
DRAFT = "/drafts/drafts/one"
ONE_STEP = [{"maxBatch": 16, "tokens": 3}]
SCHEDULE = [*ONE_STEP, {"maxBatch": 64, "tokens": 1}]


def written(method: str = "NGram", *, line: str = "1.2", **spec: Any) -> dict[str, Any]:
    of = pair(method, **spec).spec
    draft = None if of.draft is None else DRAFT
    return speculative_config(LaunchedPair(spec=of, draft=draft, draft_revision=None, draft_gpus=1), line=line)


def engine(version: str = "1.2.1") -> Engine:
    return Engine(type=EngineType.TENSORRT_LLM, version=version)


def obstacles(method: str = "NGram", *, version: str = "1.2.1", tensor_parallel: int = 1, **spec: Any) -> list[str]:
    found = ADAPTER.speculation_obstacles(
        pair(method, **spec).spec, engine=engine(version), tensor_parallel=tensor_parallel, adapters=False
    )
    return [f"{one.field_path}: {one.cause}" for one in found]


def test_there_is_a_table_for_every_line() -> None:
    assert tuple(TABLES) == ADAPTER.supported_versions


@pytest.mark.parametrize(
    ("method", "line", "options"),
    [
        ("NGram", "1.2", {"decoding_type": "NGram", "max_draft_len": 3, "max_matching_ngram_size": 4}),
        ("MTP", "1.1", {"decoding_type": "MTP", "num_nextn_predict_layers": 3}),
        ("MTP", "1.3", {"decoding_type": "MTP", "max_draft_len": 3}),
        (
            "EAGLE3",
            "1.2",
            {"decoding_type": "Eagle", "max_draft_len": 3, "speculative_model_dir": DRAFT},
        ),
        (
            "EAGLE3",
            "1.3",
            {"decoding_type": "Eagle3", "max_draft_len": 3, "speculative_model_dir": DRAFT},
        ),
        (
            "DraftModel",
            "1.1",
            {"decoding_type": "DraftTarget", "max_draft_len": 3, "speculative_model_dir": DRAFT},
        ),
        (
            "DraftModel",
            "1.2",
            {"decoding_type": "Draft_Target", "max_draft_len": 3, "speculative_model_dir": DRAFT},
        ),
    ],
)
def test_each_method_has_its_options(method: str, line: str, options: dict[str, Any]) -> None:
    assert written(method, line=line) == options


@pytest.mark.parametrize(
    ("line", "schedule", "options"),
    [
        ("1.1", ONE_STEP, {"max_draft_len": 3, "max_concurrency": 16}),
        ("1.2", ONE_STEP, {"max_draft_len": 3, "draft_len_schedule": {1: 3, 17: 0}}),
        ("1.2", SCHEDULE, {"max_draft_len": 3, "draft_len_schedule": {1: 3, 17: 1, 65: 0}}),
        ("1.3", SCHEDULE, {"max_draft_len": 3, "draft_len_schedule": {16: 3, 64: 1}}),
    ],
)
def test_a_schedule_is_written_as_the_version_reads_it(
    line: str, schedule: list[dict[str, int]], options: dict[str, Any]
) -> None:
    found = written(line=line, tokens=5, batchSchedule=schedule)
    assert found == {"decoding_type": "NGram", "max_matching_ngram_size": 4, **options}


class TestObstacles:
    @pytest.mark.parametrize("version", ["1.1.0", "1.2.1", "1.3.0"])
    @pytest.mark.parametrize("method", ["NGram", "MTP", "EAGLE3", "DraftModel"])
    def test_most_methods_start_as_they_are(self, method: str, version: str) -> None:
        assert obstacles(method, version=version, tensor_parallel=4) == []

    def test_there_is_no_suffix_decoding(self) -> None:
        assert obstacles("Suffix", batchSchedule=SCHEDULE) == ["spec.method: TensorRT-LLM 1.2 has no method Suffix"]

    @pytest.mark.parametrize(
        ("method", "version", "schedule", "cause"),
        [
            ("NGram", "1.1.0", ONE_STEP, None),
            ("NGram", "1.1.0", SCHEDULE, "can stop at a batch size and not change the number of tokens before"),
            ("EAGLE3", "1.1.0", ONE_STEP, "proposes as many tokens at every batch size with EAGLE3"),
            ("MTP", "1.2.1", SCHEDULE, "proposes as many tokens at every batch size with MTP"),
            ("DraftModel", "1.2.1", SCHEDULE, None),
            ("MTP", "1.3.0", SCHEDULE, None),
        ],
    )
    def test_a_schedule_is_not_for_every_method_and_version(
        self, method: str, version: str, schedule: list[dict[str, int]], cause: str | None
    ) -> None:
        found = obstacles(method, version=version, batchSchedule=schedule)
        assert len(found) == (cause is not None)
        assert cause is None or cause in found[0]

    def test_a_draft_shares_the_models_gpus(self) -> None:
        draft = {"source": "pvc://drafts/one", "tensorParallel": 1}
        assert obstacles("EAGLE3", tensor_parallel=4, draft=draft) == [
            "spec.draft.tensorParallel: TensorRT-LLM runs the draft on as many GPUs as the model, which are 4 and not 1"
        ]


@pytest.mark.parametrize(
    ("method", "spec", "said"),
    [
        ("NGram", {"ngram": {"minLookup": 1}}, []),
        ("NGram", {}, ["as soon as one token occurred before"]),
        ("MTP", {}, []),
        ("EAGLE3", {}, []),
        ("EAGLE3", {"draft": {"source": "hf://a/b", "revision": "a" * 40}}, ["no option for the draft's revision"]),
    ],
)
def test_what_the_options_cannot_say_is_said(method: str, spec: dict[str, Any], said: list[str]) -> None:
    found = ADAPTER.speculation_caveats(pair(method, **spec).spec, engine=engine())
    assert len(found) == len(said)
    assert all(part in one.cause for part, one in zip(said, found, strict=True))


def test_raw_options_are_refused_with_the_field_to_use() -> None:
    assert ADAPTER.owner_of("--speculative_config={}") == "use spec.speculativePairRef"
