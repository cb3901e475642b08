from __future__ import annotations

import json
from typing import Any

import pytest

from mixserve.api.engine import Batching, Engine
from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.engines.protocol import LaunchedPair
from mixserve.engines.vllm import VLLMAdapter
from mixserve.engines.vllm_speculation import METHODS, speculative_config
from support.pairs import pair

ADAPTER = VLLMAdapter()
SCHEDULE = [{"maxBatch": 16, "tokens": 3}, {"maxBatch": 64, "tokens": 1}]


def launched(method: str = "NGram", *, gpus: int = 1, revision: str | None = None, **spec: Any) -> LaunchedPair:
    of = pair(method, **spec).spec
    draft = None if of.draft is None else "/drafts/drafts/one"
    return LaunchedPair(spec=of, draft=draft, draft_revision=revision, draft_gpus=gpus)


def written(method: str = "NGram", *, line: str = "0.33", **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(speculative_config(launched(method, **given), line=line))
    return found


def obstacles(
    method: str = "NGram",
    *,
    tensor_parallel: int = 1,
    engine: Engine | None = None,
    adapters: bool = False,
    **spec: Any,
) -> list[Any]:
    found = ADAPTER.speculation_obstacles(
        pair(method, **spec).spec, engine=engine or Engine(), tensor_parallel=tensor_parallel, adapters=adapters
    )
    return [(one.field_path, one.cause) for one in found]


def test_every_line_has_a_name_for_every_method() -> None:
    assert tuple(METHODS) == ADAPTER.supported_versions
    assert all(set(names) == set(SpeculationMethod) for names in METHODS.values())


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("NGram", {"method": "ngram", "prompt_lookup_min": 2, "prompt_lookup_max": 4}),
        ("Suffix", {"method": "suffix"}),
        ("MTP", {"method": "mtp"}),
        ("EAGLE3", {"method": "eagle3", "model": "/drafts/drafts/one", "draft_tensor_parallel_size": 2}),
        ("DraftModel", {"method": "draft_model", "model": "/drafts/drafts/one", "draft_tensor_parallel_size": 2}),
    ],
)
def test_each_method_has_its_options(method: str, options: dict[str, Any]) -> None:
    assert written(method, gpus=2) == {"num_speculative_tokens": 3, **options}


def test_a_draft_from_the_hub_has_its_revision() -> None:
    assert written("EAGLE3", revision="a" * 40)["revision"] == "a" * 40


def test_bounds_of_the_lookup_are_passed_on() -> None:
    found = written(ngram={"minLookup": 3, "maxLookup": 7}, tokens=5)
    assert (found["prompt_lookup_min"], found["prompt_lookup_max"], found["num_speculative_tokens"]) == (3, 7, 5)


def test_a_schedule_has_ranges_and_ends_with_none() -> None:
    """What follows the last range goes on with its tokens, so one of none is added."""
    found = written(batchSchedule=SCHEDULE)
    assert found["num_speculative_tokens_per_batch_size"] == [[1, 16, 3], [17, 64, 1], [65, 65, 0]]


class TestObstacles:
    @pytest.mark.parametrize("method", ["NGram", "MTP", "EAGLE3", "DraftModel"])
    def test_most_methods_start_as_they_are(self, method: str) -> None:
        assert obstacles(method, tensor_parallel=4, batchSchedule=SCHEDULE) == []

    def test_suffix_decoding_needs_an_image_of_ones_own(self) -> None:
        assert obstacles("Suffix") == [
            (
                "spec.method",
                "vLLM needs the package arctic-inference for suffix decoding, which is not in its own image",
            )
        ]
        assert obstacles("Suffix", engine=Engine(image="registry.example/vllm-arctic:1")) == []

    @pytest.mark.parametrize(
        ("method", "gpus", "refused"),
        [
            ("DraftModel", 4, False),
            ("DraftModel", "auto", False),
            ("DraftModel", 1, True),
            ("DraftModel", 2, True),
            ("EAGLE3", 1, False),
            ("EAGLE3", 2, True),
        ],
    )
    def test_a_draft_shares_the_models_gpus(self, method: str, gpus: int | str, refused: bool) -> None:
        draft = {"source": "pvc://drafts/one", "tensorParallel": gpus}
        found = obstacles(method, tensor_parallel=4, draft=draft)
        assert [path for path, _ in found] == (["spec.draft.tensorParallel"] if refused else [])
        assert all("4" in cause for _, cause in found)

    @pytest.mark.parametrize(
        ("method", "argument", "version", "refused"),
        [
            ("NGram", "--async-scheduling", "0.32.0", True),
            ("NGram", "--async_scheduling", "0.30.1", True),
            ("NGram", "--async-scheduling", "0.33.0", False),
            ("NGram", "--no-async-scheduling", "0.32.0", False),
            ("MTP", "--async-scheduling", "0.32.0", False),
            ("Suffix", "--async-scheduling", "0.33.0", True),
        ],
    )
    def test_asynchronous_scheduling_does_not_go_with_every_method(
        self, method: str, argument: str, version: str, refused: bool
    ) -> None:
        found = obstacles(method, engine=Engine(version=version, image="my/vllm", args=("--seed=1", argument)))
        assert [path for path, _ in found] == (["spec.engine.args[1]"] if refused else [])

    @pytest.mark.parametrize(
        ("requests", "tokens", "refused"), [(64, 256, False), (64, 255, True), (None, 255, False), (64, None, False)]
    )
    def test_lora_needs_room_for_every_proposal(self, requests: int | None, tokens: int | None, refused: bool) -> None:
        engine = Engine(batching=Batching(max_sequences=requests, max_batched_tokens=tokens))
        assert obstacles("MTP", tokens=3, engine=engine) == []
        found = obstacles("MTP", tokens=3, engine=engine, adapters=True)
        assert [path for path, _ in found] == (["spec.engine.batching.maxBatchedTokens"] if refused else [])
        assert all("64 requests need 256 tokens a step" in cause for _, cause in found)


def test_clients_are_warned_of_what_is_refused() -> None:
    (found,) = ADAPTER.speculation_caveats(pair().spec, engine=Engine())
    assert "min_p or logit_bias" in found.cause


@pytest.mark.parametrize(
    "argument", ["--speculative-config={}", "--speculative_config.method=ngram", "--spec-method=ngram", "--specul={}"]
)
def test_raw_options_are_refused_with_the_field_to_use(argument: str) -> None:
    assert ADAPTER.owner_of(argument) == "use spec.speculativePairRef"
