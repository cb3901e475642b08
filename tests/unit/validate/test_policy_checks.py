from __future__ import annotations

from mixserve.api.names import Reason
from mixserve.validate.policies_in_force import policies_in_force
from mixserve.validate.policy_checks import judge_policy
from support.manifests import pool
from support.policies import policy

OLD, YOUNG = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
POOLS = (pool(name="small"), pool(name="large"))


class TestJudging:
    def test_a_policy_whose_pools_are_there_is_right(self):
        found = judge_policy(policy(), pools=POOLS, policies=[policy()])
        assert (found.violations, found.notes) == ((), ())

    def test_pools_that_are_not_there_are_notes_with_their_fields(self):
        asks = policy(
            classifier={"type": "LLM", "llm": {"poolRef": {"name": "judge"}}},
            shadow={"poolRef": {"name": "new"}},
            large="huge",
        )
        found = judge_policy(asks, pools=POOLS, policies=[])
        assert {note.reason for note in found.notes} == {Reason.TARGET_NOT_FOUND}
        assert [note.field_path for note in found.notes] == [
            "spec.classifier.llm.poolRef.name",
            "spec.tiers[1].targets[0].poolRef.name",
            "spec.shadow.poolRef.name",
        ]
        assert {note.remedy.partition("; ")[2] for note in found.notes} == {"until then the policy works without it"}
        assert found.violations == ()

    def test_a_name_that_is_nearly_right_is_guessed(self):
        [note] = judge_policy(policy(small="smal"), pools=POOLS, policies=[]).notes
        assert note.message == (
            "spec.tiers[0].targets[0].poolRef.name: there is no LLMServingPool smal in this namespace; did you mean "
            "small? correct the name, or apply the pool; until then the policy works without it"
        )

    def test_a_shadow_that_answers_anyway_is_wrong(self):
        found = judge_policy(policy(shadow={"poolRef": {"name": "large"}}), pools=POOLS, policies=[])
        [wrong] = found.violations
        assert (wrong.reason, wrong.field_path) == (Reason.SHADOW_IS_TARGET, "spec.shadow.poolRef.name")
        assert "a target of the tier large" in wrong.cause

    def test_a_shadow_beside_the_tiers_is_right(self):
        shadow = policy(shadow={"poolRef": {"name": "new"}})
        assert judge_policy(shadow, pools=(*POOLS, pool(name="new")), policies=[]).violations == ()

    def test_pools_of_different_tasks_are_a_note(self):
        pools = (pool(name="small"), pool(name="large", task="Embed"))
        found = judge_policy(policy(), pools=pools, policies=[])
        [note] = found.notes
        assert note.message == (
            "spec.tiers: the task of the pool large is Embed and that of small Generate: an engine answers 404 to "
            "requests that come to it and are for the other; give each task a policy of its own"
        )
        assert (found.violations, note.reason) == ((), Reason.VALID)

    def test_pools_of_the_same_task_are_none(self):
        pools = (pool(name="small", task="Embed"), pool(name="large", task="Embed"))
        assert judge_policy(policy(), pools=pools, policies=[]).notes == ()

    def test_a_policy_does_not_stand_in_its_own_way(self):
        edited = policy(generation=2)
        assert judge_policy(edited, pools=POOLS, policies=[policy()]).violations == ()

    def test_names_that_others_have_are_wrong(self):
        young = policy(created=YOUNG)
        other = policy("first", created=OLD, servedNames=["auto"])
        [wrong] = judge_policy(young, pools=POOLS, policies=[young, other]).violations
        assert wrong.reason is Reason.SERVED_NAME_TAKEN


class TestInForce:
    def test_a_valid_policy_is_followed_as_it_is_written(self):
        before, after = policy(), policy(overrides="Denied")
        [found] = policies_in_force([after], pools=POOLS, before={"uid-auto": before})
        assert (found.policy, found.served_names) == (after, ("auto",))

    def test_a_bad_one_is_followed_as_it_was(self):
        before, after = policy(), policy(shadow={"poolRef": {"name": "large"}})
        [found] = policies_in_force([after], pools=POOLS, before={"uid-auto": before})
        assert found.policy == before

    def test_one_that_never_was_valid_is_not_followed(self):
        assert policies_in_force([policy(shadow={"poolRef": {"name": "large"}})], pools=POOLS, before={}) == ()

    def test_one_that_can_not_be_read_any_more_is_followed_as_it_was(self):
        before = policy()
        assert [one.policy for one in policies_in_force([], pools=POOLS, before={"uid-auto": before})] == [before]

    def test_what_was_valid_before_loses_the_names_that_are_somebody_elses_by_now(self):
        before = policy(created=YOUNG, servedNames=["auto", "chat"])
        older = policy("older", created=OLD, servedNames=["chat"])
        found = policies_in_force([older, before], pools=POOLS, before={"uid-auto": before})
        assert [(one.policy.metadata.name, one.served_names) for one in found] == [
            ("older", ("chat",)),
            ("auto", ("auto",)),
        ]
