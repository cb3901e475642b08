import re

import pytest

from mixserve.api.names import Reason
from mixserve.plan.absence import Outlook
from mixserve.plan.facts import InvalidFacts, UnknownFacts
from mixserve.validate.model_checks import (
    auto_without_facts,
    checkpoint_not_there,
    context_exceeds_model,
    does_not_fit,
    indivisible_heads,
    invalid_facts,
    step_too_narrow,
)
from support.manifests import LLAMA_8B, LLAMA_70B, accelerator_like, pool, subjects, variant

NO_FACTS = UnknownFacts("nobody knows")
SMALL_CONTEXT = {"maxModelLen": 16384}


def subject(facts=LLAMA_8B, *, engine=None, model=None, entries=(), **fields):
    manifest = pool(variant(**fields), engine=SMALL_CONTEXT if engine is None else engine, model=model)
    return subjects(manifest, *entries, facts=facts)[0]


class TestFacts:
    def test_every_problem_is_a_violation_of_the_source(self):
        first, second = invalid_facts(subject(InvalidFacts(("a is wrong", "b is missing"))))

        assert first.reason is Reason.INVALID_MODEL_FACTS
        assert first.field_path == "spec.model.source"
        assert (first.cause, second.cause) == ("a is wrong", "b is missing")
        assert "spec.model.facts" in first.remedy

    def test_a_variants_own_source_is_named(self):
        (found,) = invalid_facts(subject(InvalidFacts(("x",)), source="host:///other"))

        assert found.field_path == "spec.variants[0].source"

    @pytest.mark.parametrize("facts", [LLAMA_8B, NO_FACTS])
    def test_right_or_unknown_facts_are_no_violation(self, facts):
        assert list(invalid_facts(subject(facts))) == []


class TestHeads:
    @pytest.mark.parametrize("gpus", [1, 2, 4, 8, 16, 32])
    def test_divisors_are_right(self, gpus):
        assert list(indivisible_heads(subject(tensorParallel=gpus))) == []

    @pytest.mark.parametrize("gpus", [3, 5, 6, 64])
    def test_others_are_refused_with_the_right_ones(self, gpus):
        (found,) = indivisible_heads(subject(tensorParallel=gpus))

        assert found.reason is Reason.INDIVISIBLE_HEADS
        assert found.field_path == "spec.variants[0].tensorParallel"
        assert found.cause == f"{gpus} GPUs can't share 32 attention heads and 8 key-value heads evenly"
        assert found.remedy == "choose one of 1, 2, 4, 8"

    def test_key_value_heads_have_to_be_shared_or_copied_evenly_too(self):
        facts = LLAMA_8B.model_copy(update={"attention_heads": 40, "key_value_heads": 8})

        (found,) = indivisible_heads(subject(facts, tensorParallel=5))

        assert found.remedy == "choose one of 1, 2, 4, 8"

    def test_unknown_heads_are_not_checked(self):
        assert list(indivisible_heads(subject(NO_FACTS, tensorParallel=3))) == []


class TestCheckpoint:
    def test_one_that_is_not_there_is_refused(self):
        facts = UnknownFacts("the hub has no hf://a/b", "correct the name", Outlook.NOT_THERE)

        (found,) = checkpoint_not_there(subject(facts))

        assert found.reason is Reason.CHECKPOINT_NOT_FOUND
        assert found.message == "spec.model.source: the hub has no hf://a/b; correct the name"

    @pytest.mark.parametrize("facts", [LLAMA_8B, NO_FACTS, UnknownFacts("down", outlook=Outlook.LATER)])
    def test_one_that_nobody_knows_is_not(self, facts):
        assert list(checkpoint_not_there(subject(facts))) == []


class TestAuto:
    def test_needs_the_models_numbers(self):
        (found,) = auto_without_facts(subject(NO_FACTS, tensorParallel="auto"))

        assert found.reason is Reason.UNKNOWN_MODEL_FACTS
        assert found.field_path == "spec.variants[0].tensorParallel"
        assert found.cause == "auto needs the model's numbers, and nobody knows"
        assert found.remedy == "give them in spec.model.facts, or a number of GPUs here"

    @pytest.mark.parametrize("outlook", [Outlook.SOON, Outlook.LATER, Outlook.NOT_THERE])
    def test_waits_where_waiting_helps_and_is_not_told_twice_where_there_is_no_model(self, outlook):
        facts = UnknownFacts("not yet", outlook=outlook)

        assert list(auto_without_facts(subject(facts, tensorParallel="auto"))) == []

    @pytest.mark.parametrize("facts", [LLAMA_8B, InvalidFacts(("wrong",))])
    def test_is_right_with_them_and_not_told_twice_where_they_are_wrong(self, facts):
        assert list(auto_without_facts(subject(facts, tensorParallel="auto"))) == []

    def test_a_number_needs_nothing(self):
        assert list(auto_without_facts(subject(NO_FACTS, tensorParallel=2))) == []


class TestContextOfTheModel:
    def test_a_longer_one_is_refused(self):
        (found,) = context_exceeds_model(subject(engine={"maxModelLen": 131073}))

        assert found.reason is Reason.CONTEXT_TOO_LONG
        assert found.field_path == "spec.engine.maxModelLen"
        assert found.cause == "the model was made for 131072 tokens, which is less than 131073"
        assert found.remedy == "set it to 131072 or less, or leave it out"

    @pytest.mark.parametrize("engine", [{"maxModelLen": 131072}, {"prefixCaching": True}])
    def test_the_models_own_is_right(self, engine):
        assert list(context_exceeds_model(subject(engine=engine))) == []

    def test_a_model_for_less_than_a_pool_may_ask_for_has_no_number_to_set(self):
        tiny = LLAMA_8B.model_copy(update={"max_position_embeddings": 100})

        (found,) = context_exceeds_model(subject(tiny, engine={"maxModelLen": 128}))

        assert found.remedy == "leave it out"

    def test_an_unknown_model_is_not_checked(self):
        assert list(context_exceeds_model(subject(NO_FACTS, engine={"maxModelLen": 16777216}))) == []


class TestFit:
    def test_what_fits_is_no_violation(self):
        assert list(does_not_fit(subject())) == []

    def test_a_model_that_is_too_large_gets_the_smallest_changes_that_help(self):
        (found,) = does_not_fit(subject(LLAMA_70B, quantization="bf16"))

        assert found.reason is Reason.DOES_NOT_FIT
        assert found.field_path == "spec.variants[0]"
        assert found.cause.startswith("the model does not fit: 131.4 GiB of weights and 2.5 GiB of overhead on 1 GPU")
        assert found.remedy == (
            "choose tensorParallel 2 or quantization int4-awq (with a checkpoint in it) or accelerator b200 in "
            "spec.variants[0]"
        )

    def test_a_larger_gpu_is_a_change_that_helps(self):
        (found,) = does_not_fit(subject(LLAMA_70B, quantization="int4-awq", accelerator="l4"))

        assert found.remedy == "choose tensorParallel 4 or accelerator rtx-pro-6000 in spec.variants[0]"

    def test_where_no_single_change_helps_the_smallest_combination_is_named(self):
        wide = LLAMA_70B.model_copy(update={"parameters": 250_000_000_000})

        (found,) = does_not_fit(subject(wide, quantization="bf16", accelerator="l4"))

        assert found.remedy == (
            "choose quantization int4-awq (with a checkpoint in it), accelerator b200 and tensorParallel 1 in "
            "spec.variants[0]"
        )

    def test_a_combination_with_the_same_format_needs_no_other_checkpoint(self):
        huge = LLAMA_70B.model_copy(update={"parameters": 1_000_000_000_000})

        (found,) = does_not_fit(subject(huge, quantization="int4-awq", accelerator="l4"))

        assert found.remedy == (
            "choose quantization int4-awq, accelerator h200 and tensorParallel 4 in spec.variants[0]"
        )

    def test_a_small_share_of_the_gpu_is_to_be_raised_before_anything_else(self):
        def engine(percent):
            return {**SMALL_CONTEXT, "kvCache": {"memoryUtilizationPercent": percent}}

        (found,) = does_not_fit(subject(engine=engine(10), tensorParallel=1))

        before, percent, rest = re.split(r"(\d+), ", found.remedy, maxsplit=1)
        assert before == "raise spec.engine.kvCache.memoryUtilizationPercent to "
        assert rest == "or choose tensorParallel 2 or accelerator h200 in spec.variants[0]"
        assert list(does_not_fit(subject(engine=engine(int(percent))))) == []
        assert list(does_not_fit(subject(engine=engine(int(percent) - 1)))) != []

    def test_where_only_a_larger_share_helps_no_combination_is_looked_for(self):
        kv_cache = {"memoryUtilizationPercent": 10}

        (found,) = does_not_fit(subject(LLAMA_70B, engine={**SMALL_CONTEXT, "kvCache": kv_cache}, tensorParallel=2))

        assert found.remedy == "raise spec.engine.kvCache.memoryUtilizationPercent to 50"

    def test_a_context_that_a_larger_share_would_hold_names_both(self):
        engine = {"maxModelLen": 32768, "kvCache": {"memoryUtilizationPercent": 16}}

        (found,) = does_not_fit(subject(engine=engine))

        assert found.reason is Reason.CONTEXT_TOO_LONG
        assert re.match(
            r"set it to \d+ or less, or raise spec.engine.kvCache.memoryUtilizationPercent to \d+, or choose ",
            found.remedy,
        )

    def test_where_nothing_helps_that_is_said(self):
        huge = LLAMA_70B.model_copy(update={"parameters": 5_000_000_000_000})

        (found,) = does_not_fit(subject(huge))

        assert found.remedy.startswith("add an AcceleratorClass that is large enough")

    def test_a_context_that_does_not_fit_gets_the_longest_that_does(self):
        (found,) = does_not_fit(subject(engine={}, accelerator="l4"))

        assert found.reason is Reason.CONTEXT_TOO_LONG
        assert found.field_path == "spec.engine.maxModelLen"
        assert found.cause.startswith("the longest context does not fit in variant main: 8.5 GiB of weights")
        longest = int(found.remedy.removeprefix("set it to ").split(" ")[0])
        assert list(does_not_fit(subject(engine={"maxModelLen": longest}, accelerator="l4"))) == []
        assert list(does_not_fit(subject(engine={"maxModelLen": longest + 1}, accelerator="l4"))) != []
        assert found.remedy.endswith("or less, or choose tensorParallel 2 or accelerator l40s in spec.variants[0]")

    def test_a_context_that_nothing_holds_gets_only_the_longest_that_fits(self):
        endless = LLAMA_8B.model_copy(update={"max_position_embeddings": 10**9})

        (found,) = does_not_fit(subject(endless, engine={"maxModelLen": 16_000_000}))

        assert found.remedy.startswith("set it to ")
        assert found.remedy.endswith("or less")

    def test_a_context_too_short_to_be_set_counts_as_no_fit(self):
        tight = accelerator_like("tight", memory="12010Mi")  # a few MiB remain beside the weights

        (found,) = does_not_fit(subject(accelerator="tight", entries=[tight]))

        assert "of weights" in found.cause
        assert found.reason is Reason.DOES_NOT_FIT

    def test_gpus_that_can_not_run_the_format_are_not_proposed(self):
        large_and_old = accelerator_like("old", memory="999Gi", computeCapability="7.0", pricePerHour="0.01")

        (found,) = does_not_fit(subject(LLAMA_70B, quantization="bf16", entries=[large_and_old]))

        assert "old" not in found.remedy

    def test_groups_that_can_not_share_the_heads_are_not_proposed(self):
        (found,) = does_not_fit(subject(LLAMA_70B, quantization="fp8", accelerator="l4", tensorParallel=3))

        assert found.remedy == "choose tensorParallel 8 in spec.variants[0]"

    @pytest.mark.parametrize("names", [{"quantization": "fp9"}, {"accelerator": "h999"}])
    def test_what_does_not_exist_is_not_checked(self, names):
        assert list(does_not_fit(subject(LLAMA_70B, **names))) == []

    def test_an_unknown_model_is_not_checked(self):
        assert list(does_not_fit(subject(NO_FACTS))) == []


class TestStep:
    @staticmethod
    def found(batching, **fields):
        engine = {"batching": batching, **{key: fields.pop(key) for key in ("args",) if key in fields}}
        return list(step_too_narrow(subject(engine=engine, **fields)))

    def test_more_requests_than_the_engines_own_step_has_tokens_are_refused(self):
        (found,) = self.found({"maxSequences": 65536})

        assert found.reason is Reason.INVALID_SPEC
        assert found.field_path == "spec.engine.batching.maxSequences"
        assert found.cause == (
            "unless told, vllm computes 8192 tokens per step on h100-80gb, which are fewer than one for each of 65536 "
            "requests"
        )
        assert found.remedy == ("set spec.engine.batching.maxBatchedTokens to 65536 or more, or this to 8192 or less")

    @pytest.mark.parametrize(("accelerator", "tokens"), [("l4", 2048), ("a100-80gb", 2048), ("h100-80gb", 8192)])
    def test_the_gpu_decides(self, accelerator, tokens):
        assert self.found({"maxSequences": tokens}, accelerator=accelerator) == []
        assert len(self.found({"maxSequences": tokens + 1}, accelerator=accelerator)) == 1

    @pytest.mark.parametrize(
        "fields",
        [
            {"batching": {}},
            {"batching": {"maxSequences": 65536, "maxBatchedTokens": 65536}},
            {"batching": {"maxSequences": 65536}, "accelerator": "no-such-gpu"},
            {"batching": {"maxSequences": 65536}, "args": ["--performance-mode=throughput"]},
        ],
    )
    def test_what_is_given_or_not_known_is_not_checked(self, fields):
        assert self.found(**fields) == []
