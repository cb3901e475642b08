"""What a SpeculativePair does to a pool's plan: memory, parallelism, objects, prediction, forecast."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mixserve.api.engine import Batching, Engine
from mixserve.api.names import ANNOTATION_LAST_VALID_PAIR
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.facts import UnknownFacts
from mixserve.plan.forecast import Question, forecast
from mixserve.plan.memory import memory_plan
from mixserve.plan.objects import desired_objects
from mixserve.plan.parallelism import draft_shares_heads, smallest_tensor_parallel, with_tensor_parallel
from mixserve.plan.prediction import Workload, predict
from mixserve.validate.alternatives import alternatives
from support.manifests import LLAMA_8B, LLAMA_70B, REVISION, facts_for, placement, pool, subjects, variant
from support.pairs import DRAFT_CONFIG, HEAD_CONFIG, pair, speculations

REF = {"name": "pair"}
ENGINE = Engine(max_model_len=16384)
CHAT = Workload()


def one(method: str = "DraftModel", *, draft: Any = DRAFT_CONFIG, **spec: Any) -> Any:
    return speculations(pool(speculativePairRef=REF), pair(method, **spec), draft=draft)["main"]


class TestMemory:
    def test_a_draft_takes_its_weights_and_its_keys_and_values(self) -> None:
        without = memory_plan(LLAMA_8B, engine=ENGINE, placement=placement())
        beside = memory_plan(LLAMA_8B, engine=ENGINE, placement=placement(), speculation=one())
        assert without.draft_bytes == 0
        assert beside.draft_bytes == 2 * 1_235_814_400
        assert without.kv_budget_bytes - beside.kv_budget_bytes == beside.draft_bytes
        assert beside.kv_bytes_per_token - without.kv_bytes_per_token == 2 * 16 * 8 * 64 * 2
        assert beside.kv_capacity_tokens < without.kv_capacity_tokens
        assert "2.3 GiB of a draft" in beside.sentence
        assert json.loads(beside.to_annotation())["draftBytes"] == beside.draft_bytes
        assert "draftBytes" not in json.loads(without.to_annotation())

    def test_n_grams_take_nothing(self) -> None:
        without = memory_plan(LLAMA_8B, engine=ENGINE, placement=placement())
        beside = memory_plan(LLAMA_8B, engine=ENGINE, placement=placement(), speculation=one("NGram"))
        assert beside.kv_capacity_tokens == without.kv_capacity_tokens
        assert beside.sentence == without.sentence

    def test_a_draft_that_nobody_knows_counts_for_nothing(self) -> None:
        without = memory_plan(LLAMA_8B, engine=ENGINE, placement=placement())
        assert memory_plan(LLAMA_8B, engine=ENGINE, placement=placement(), speculation=one(draft=None)) == without


class TestParallelism:
    def test_auto_counts_the_draft(self) -> None:
        """70B in FP8 with 4 B of draft on H200: what one GPU holds alone, it does not hold with a large draft."""
        large = {**DRAFT_CONFIG, "num_hidden_layers": 80, "hidden_size": 8192, "intermediate_size": 28672}
        large |= {"num_attention_heads": 64, "head_dim": 128, "tie_word_embeddings": False}
        place = placement("fp8", "h200")
        assert smallest_tensor_parallel(LLAMA_70B, engine=ENGINE, placement=place) == 1
        assert smallest_tensor_parallel(LLAMA_70B, engine=ENGINE, placement=place, speculation=one(draft=large)) == 2

    def test_auto_takes_no_number_that_the_draft_cannot_share(self) -> None:
        place, long = placement("bf16", "l4"), Engine(max_model_len=65536)
        for heads, gpus in ((6, 2), (3, None)):
            draft = one(draft={**DRAFT_CONFIG, "num_attention_heads": heads, "num_key_value_heads": heads})
            assert smallest_tensor_parallel(LLAMA_8B, engine=long, placement=place, speculation=draft) == gpus

    @pytest.mark.parametrize(
        ("speculation", "shares"),
        [
            (None, True),
            (one("NGram"), True),
            (one(draft=None), True),
            (one(), True),
            (
                one(draft={**DRAFT_CONFIG, "num_attention_heads": 3, "num_key_value_heads": 3, "hidden_size": 192}),
                False,
            ),
        ],
    )
    def test_heads_of_drafts_are_shared_like_those_of_models(self, speculation: Any, shares: bool) -> None:
        assert draft_shares_heads(speculation, 4) is shares

    def test_the_pools_auto_is_worked_out_with_its_pair(self) -> None:
        manifest = pool(variant(quantization="bf16", accelerator="l4", tensorParallel="auto"), speculativePairRef=REF)
        found = with_tensor_parallel(
            manifest,
            catalog=built_in_catalog(),
            facts_by_variant=facts_for(manifest),
            speculation=speculations(manifest, pair("DraftModel")),
        )
        assert found.spec.variants[0].tensor_parallel == 4


class TestObjects:
    def objects(self, of: Any, **spec: Any) -> dict[str, Any]:
        manifest = pool(speculativePairRef=REF, **spec)
        desired = desired_objects(
            manifest,
            catalog=built_in_catalog(),
            facts_by_variant=facts_for(manifest),
            speculation=speculations(manifest, of),
        ).objects
        return {one.kind: dict(one.body) for one in desired}

    def test_a_draft_from_the_hub_gets_the_pools_token(self) -> None:
        token = {"name": "hf", "key": "token"}
        draft = {"source": "hf://org/draft", "revision": REVISION}
        model = {"source": "pvc://models/llama", "tokenSecretRef": token}
        (engine,) = self.objects(pair("EAGLE3", draft=draft), model=model)["Deployment"]["spec"]["template"]["spec"][
            "containers"
        ]
        names = [variable["name"] for variable in engine["env"]]
        assert "HF_TOKEN" in names
        assert "HF_HUB_OFFLINE" not in names
        options = json.loads(engine["args"][engine["args"].index("--speculative-config") + 1])
        assert (options["model"], options["revision"]) == ("org/draft", REVISION)

    def test_the_pair_is_noted_where_a_restarted_operator_finds_it(self) -> None:
        of = pair("NGram", tokens=5)
        annotations = self.objects(of)["ServiceAccount"]["metadata"]["annotations"]
        assert json.loads(annotations[ANNOTATION_LAST_VALID_PAIR]) == of.spec.to_wire()

    def test_the_options_file_has_it_too(self) -> None:
        found = self.objects(pair("NGram"), engine={"type": "tensorrt-llm", "version": "1.2.1"})
        assert "decoding_type: NGram" in found["ConfigMap"]["data"]["engine-options.yaml"]


class TestPrediction:
    def predicted(self, speculation: Any = None, *, engine: Engine = ENGINE, place: Any = None) -> Any:
        place = place or placement("bf16")
        plan = memory_plan(LLAMA_8B, engine=engine, placement=place, speculation=speculation)
        spec = None if speculation is None else speculation.spec
        return predict(plan, accelerator=place.accelerator, engine=engine, workload=CHAT, pair=spec)

    def test_a_request_alone_is_as_much_faster_as_expected(self) -> None:
        without, beside = self.predicted(), self.predicted(one("EAGLE3", draft=HEAD_CONFIG))
        assert without.speed_up is without.speed_up_alone is None
        assert without.tpot_alone_s / beside.tpot_alone_s == pytest.approx(beside.speed_up_alone.factor, rel=0.01)
        assert beside.speed_up_alone.factor > 1.5

    def test_a_full_replica_gains_what_is_left(self) -> None:
        small = Engine(max_model_len=16384, batching=Batching(max_sequences=16, max_batched_tokens=8192))
        without, beside = self.predicted(engine=small), self.predicted(one("EAGLE3", draft=HEAD_CONFIG), engine=small)
        assert without.batch == beside.batch == 16
        assert 1 < beside.requests_per_s / without.requests_per_s < beside.speed_up.factor

    def test_a_schedule_that_is_over_costs_nothing(self) -> None:
        off = one("NGram", batchSchedule=[{"maxBatch": 4, "tokens": 3}])
        without, beside = self.predicted(), self.predicted(off)
        assert beside.speed_up.tokens == 0
        assert (beside.tpot_s, beside.requests_per_s) == (without.tpot_s, without.requests_per_s)
        assert beside.tpot_alone_s < without.tpot_alone_s

    def test_a_draft_that_nobody_knows_is_left_out(self) -> None:
        beside = self.predicted(one(draft=None))
        assert beside.speed_up is None
        assert beside.tpot_s == self.predicted().tpot_s

    def test_steps_have_to_have_room_for_what_is_proposed(self) -> None:
        narrow = Engine(max_model_len=16384, batching=Batching(max_sequences=256, max_batched_tokens=256))
        without, beside = self.predicted(engine=narrow), self.predicted(one("NGram", tokens=8), engine=narrow)
        assert beside.batch < without.batch


class TestForecast:
    def test_variants_say_what_proposes_tokens_to_them(self) -> None:
        manifest = pool(variant("a"), variant("b", accelerator="unheard-of"), speculativePairRef=REF)
        found = forecast(
            manifest,
            catalog=built_in_catalog(),
            facts_by_variant=facts_for(manifest),
            wrong_variants=frozenset(),
            question=Question(workload=CHAT),
            speculation=speculations(manifest, pair("NGram")),
        )
        known, unknown = found.variants
        assert known.speculation is not None
        assert unknown.speculation is not None
        assert known.outlook is not None
        assert known.outlook.prediction.speed_up is not None


class TestAlternatives:
    def test_a_model_that_fits_without_its_draft_can_go_without(self) -> None:
        manifest = pool(
            variant(accelerator="l4", quantization="fp8"), engine={"maxModelLen": 8192}, speculativePairRef=REF
        )
        large = {**DRAFT_CONFIG, "num_hidden_layers": 64, "hidden_size": 4096, "intermediate_size": 14336}
        (subject,) = subjects(manifest, speculation=speculations(manifest, pair("DraftModel"), draft=large))
        found = alternatives(subject, LLAMA_8B)
        assert found is not None
        assert found.endswith("or take spec.speculativePairRef out")

    def test_one_that_fits_neither_way_can_not(self) -> None:
        manifest = pool(variant(accelerator="l4", quantization="bf16"), speculativePairRef=REF)
        (subject,) = subjects(manifest, facts=LLAMA_70B, speculation=speculations(manifest, pair("DraftModel")))
        assert "speculativePairRef" not in str(alternatives(subject, LLAMA_70B))

    def test_nor_one_whose_names_mean_nothing(self) -> None:
        manifest = pool(variant(accelerator="unheard-of"), speculativePairRef=REF)
        (subject,) = subjects(manifest, speculation=speculations(manifest, pair("DraftModel")))
        assert "speculativePairRef" not in str(alternatives(subject, LLAMA_8B))


def test_a_model_that_nobody_knows_has_no_memory_with_a_pair_either() -> None:
    manifest = pool(variant(tensorParallel="auto"), speculativePairRef=REF)
    found = with_tensor_parallel(
        manifest,
        catalog=built_in_catalog(),
        facts_by_variant=facts_for(manifest, UnknownFacts("unread")),
        speculation=speculations(manifest, pair("NGram")),
    )
    assert found is manifest
