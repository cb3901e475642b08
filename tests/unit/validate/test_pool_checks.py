import json

import pytest

from mixserve.api.names import Reason
from mixserve.validate.pool_checks import (
    batch_too_narrow,
    given_facts_contradict,
    owned_flags,
    served_name_owners,
    served_names_taken,
)
from support.manifests import LLAMA_8B, pool


class TestServedNames:
    def test_the_oldest_pool_owns_a_name(self):
        young = pool(name="first-by-name", created="2026-02-01T00:00:00Z", servedNames=["a", "b"])
        old = pool(name="old", created="2026-01-01T00:00:00Z", servedNames=["b", "c"])

        assert served_name_owners([young, old]) == {"a": "first-by-name", "b": "old", "c": "old"}

    def test_of_two_of_one_age_the_first_by_name_owns_it(self):
        twins = [pool(name=name, servedNames=["same"]) for name in ("zeta", "alpha")]

        assert served_name_owners(twins) == {"same": "alpha"}

    def test_the_pools_own_name_counts_where_none_is_given(self):
        assert served_name_owners([pool(name="chat")]) == {"chat": "chat"}

    def test_a_name_of_an_older_pool_is_refused_with_its_owner(self):
        (found,) = served_names_taken(pool(name="young", servedNames=["a", "b"]), {"a": "young", "b": "old"})

        assert found.reason is Reason.SERVED_NAME_TAKEN
        assert found.field_path == "spec.servedNames[1]"
        assert found.cause == "the older pool old answers for the model name b"
        assert "take the name from the pool old" in found.remedy

    def test_a_pool_whose_own_name_is_taken_is_pointed_to_its_name(self):
        (found,) = served_names_taken(pool(name="young"), {"young": "old"})

        assert found.field_path == "metadata.name"
        assert "spec.servedNames" in found.remedy

    def test_names_that_nobody_owns_are_free(self):
        assert list(served_names_taken(pool(), {})) == []


class TestFlags:
    def test_every_owned_flag_is_refused_with_its_field_and_without_its_value(self):
        args = ["--dtype=half", "--max-model-len=10", "--hf-token=hf_secret"]

        first, second = owned_flags(pool(engine={"args": args}))

        assert first.reason is Reason.OWNED_FLAG
        assert first.field_path == "spec.engine.args[1]"
        assert first.cause == "--max-model-len is set by the operator"
        assert first.remedy == "use spec.engine.maxModelLen"
        assert second.field_path == "spec.engine.args[2]"
        assert "secret" not in second.message

    def test_other_flags_are_right(self):
        assert list(owned_flags(pool(engine={"args": ["--enforce-eager"]}))) == []


class TestBatching:
    def test_fewer_tokens_than_requests_are_refused(self):
        (found,) = batch_too_narrow(pool(engine={"batching": {"maxSequences": 64, "maxBatchedTokens": 63}}))

        assert found.reason is Reason.INVALID_SPEC
        assert found.field_path == "spec.engine.batching.maxBatchedTokens"
        assert found.cause == "63 tokens per step are fewer than one for each of 64 requests"
        assert found.remedy.startswith("set it to 64 or more")

    @pytest.mark.parametrize(
        "batching",
        [{}, {"maxSequences": 64}, {"maxBatchedTokens": 1}, {"maxSequences": 64, "maxBatchedTokens": 64}],
    )
    def test_enough_tokens_or_the_engines_own_choice_are_right(self, batching):
        assert list(batch_too_narrow(pool(engine={"batching": batching}))) == []


class TestGivenFacts:
    @staticmethod
    def with_parameters(parameters, **changes):
        facts = json.loads(LLAMA_8B.model_dump_json(by_alias=True)) | {"parameters": parameters} | changes
        return pool(model={"source": "pvc://weights", "facts": facts})

    def test_a_model_smaller_than_its_embeddings_is_refused(self):
        (found,) = given_facts_contradict(self.with_parameters(2 * 4096 * 128256))

        assert found.reason is Reason.INVALID_MODEL_FACTS
        assert found.field_path == "spec.model.facts.parameters"
        assert "1050673152 parameters are not more than the 1050673152 of the embeddings" in found.cause

    @pytest.mark.parametrize(
        "manifest",
        [
            with_parameters(2 * 4096 * 128256 + 1),
            with_parameters(2 * 4096 * 128256, tiedEmbeddings=True),
            pool(),
        ],
    )
    def test_larger_models_and_no_facts_are_right(self, manifest):
        assert list(given_facts_contradict(manifest)) == []
