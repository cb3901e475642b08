from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.names import Reason
from mixserve.status.policy_status import GatewayObservation, PolicyObservation, build_policy_status
from mixserve.validate.policy_checks import PolicyFindings
from mixserve.validate.violation import Note, Violation
from support.policies import policy

if TYPE_CHECKING:
    from mixserve.api.routing_policy_status import RoutingPolicyStatus

UP = GatewayObservation(address="http://mixserve-gateway.llm.svc", ready_replicas=2)
BOTH = {"small": 1, "large": 2}
WRONG = PolicyFindings(violations=(Violation(Reason.SHADOW_IS_TARGET, "spec.shadow", "it is one", "take it out"),))
MISSING = PolicyFindings(notes=(Note(Reason.TARGET_NOT_FOUND, "spec.tiers[0]", "there is none", "apply it"),))


def seen(
    ready: dict[str, int] | None = None,
    *,
    findings: PolicyFindings | None = None,
    gateway: GatewayObservation = UP,
    answered: dict[tuple[str, str], int] | None = None,
    was_valid: bool = True,
    **spec: Any,
) -> PolicyObservation:
    return PolicyObservation(
        generation=3,
        findings=findings or PolicyFindings(),
        in_force=policy(**spec).spec if was_valid else None,
        gateway=gateway,
        ready_replicas=BOTH if ready is None else ready,
        answered=answered,
    )


def build(observation: PolicyObservation, previous: RoutingPolicyStatus | None = None) -> RoutingPolicyStatus:
    return build_policy_status(observation, previous=previous, now_s=1e9)


def said(status: RoutingPolicyStatus) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in status.conditions}


def message(status: RoutingPolicyStatus, kind: str) -> str:
    return next(one.message for one in status.conditions if one.type == kind)


def shares(status: RoutingPolicyStatus) -> list[int | None]:
    return [target.share_percent for tier in status.tiers for target in tier.targets]


class TestConditions:
    def test_all_is_well(self):
        status = build(seen())
        assert said(status) == {
            "Validated": ("True", "Valid"),
            "TargetsFound": ("True", "TargetsFound"),
            "Ready": ("True", "Ready"),
        }
        assert status.targets == "2/2"
        assert status.gateway is not None
        assert (status.gateway.address, status.gateway.ready_replicas) == (UP.address, 2)
        assert status.observed_generation == 3

    def test_a_bad_spec_is_not_ready_although_the_last_valid_one_is_followed(self):
        status = build(seen(findings=WRONG))
        assert said(status) == {
            "Validated": ("False", "ShadowIsTarget"),
            "TargetsFound": ("Unknown", "NotChecked"),
            "Ready": ("False", "ShadowIsTarget"),
        }
        assert message(status, "Ready").endswith("take it out. The gateway goes on with the last valid spec")

    def test_one_that_never_was_valid_has_no_tiers(self):
        status = build(seen(findings=WRONG, was_valid=False))
        assert (status.tiers, status.targets) == ((), None)
        assert "goes on" not in message(status, "Ready")

    def test_pools_that_are_missing_are_told_while_a_larger_tier_answers(self):
        status = build(seen({"large": 1}, findings=MISSING))
        assert said(status) == {
            "Validated": ("True", "Valid"),
            "TargetsFound": ("False", "TargetNotFound"),
            "Ready": ("True", "Ready"),
        }
        assert message(status, "TargetsFound") == "spec.tiers[0]: there is none; apply it"
        assert status.targets == "1/2"
        assert [target.health for tier in status.tiers for target in tier.targets] == ["NotFound", "Ready"]

    def test_what_else_there_is_to_know_is_said_where_the_spec_is_valid(self):
        mixed = Note(Reason.VALID, "spec.tiers", "tasks are mixed", "part them")
        status = build(seen(findings=PolicyFindings(notes=(mixed,))))
        assert said(status)["TargetsFound"] == ("True", "TargetsFound")
        assert said(status)["Validated"] == ("True", "Valid")
        assert message(status, "Validated") == "spec.tiers: tasks are mixed; part them"

    def test_all_pools_that_it_names_count_once_each(self):
        asks = {"type": "LLM", "llm": {"poolRef": {"name": "small"}}}
        status = build(seen({"small": 3, "large": 0}, classifier=asks, shadow={"poolRef": {"name": "new"}}))
        assert status.targets == "1/3"

    def test_a_tier_without_anybody_to_answer_is_not_ready(self):
        assert said(build(seen({"small": 1, "large": 0})))["Ready"] == ("False", "NoTargetReady")
        status = build(seen({"small": 1, "large": 0}))
        assert message(status, "Ready").startswith("No target takes the requests of large;")
        assert status.tiers[1].targets[0].health == "Unavailable"

    def test_where_no_pool_of_the_tier_exists_that_is_the_reason(self):
        assert said(build(seen({"small": 1})))["Ready"] == ("False", "TargetNotFound")

    def test_without_fallback_no_larger_tier_stands_in(self):
        status = build(seen({"small": 0, "large": 1}, fallback={"when": ["Overloaded"]}))
        assert said(status)["Ready"] == ("False", "NoTargetReady")
        assert "the requests of small;" in message(status, "Ready")

    def test_a_gateway_that_is_not_up_comes_first(self):
        for gateway in (GatewayObservation(address="a"), GatewayObservation(address="a", ready_replicas=0)):
            assert said(build(seen({}, gateway=gateway)))["Ready"] == ("False", "GatewayNotReady")
        assert build(seen(gateway=GatewayObservation(address="a"))).gateway is None

    def test_what_the_api_server_refuses_is_told(self):
        status = build(seen(gateway=GatewayObservation(address="a", refused=("Service x: no", "Role x: no"))))
        assert said(status)["Ready"] == ("False", "ApplyFailed")
        assert message(status, "Ready") == "Service x: no; Role x: no"

    def test_before_anything_is_followed_nothing_is_bare(self):
        assert said(build(seen(was_valid=False)))["Ready"] == ("True", "Ready")

    def test_a_condition_that_stays_keeps_its_time(self):
        first = build(seen())
        later = build_policy_status(seen(), previous=first, now_s=2e9)
        assert later == first


class TestShares:
    def test_they_are_rounded_to_five(self):
        assert shares(build(seen(answered={("small", "small"): 73, ("large", "large"): 27}))) == [75, 25]

    def test_there_are_none_before_anybody_has_asked(self):
        assert shares(build(seen())) == [None, None]
        assert shares(build(seen(answered={}))) == [None, None]

    def test_they_stay_until_one_has_moved_by_five(self):
        first = build(seen(answered={("small", "small"): 75, ("large", "large"): 25}))
        near = build(seen(answered={("small", "small"): 79, ("large", "large"): 21}), first)
        assert shares(near) == [75, 25]
        far = build(seen(answered={("small", "small"): 80, ("large", "large"): 20}), near)
        assert shares(far) == [80, 20]

    def test_they_stay_while_the_gateways_can_not_be_asked(self):
        first = build(seen(answered={("small", "small"): 1}))
        assert shares(build(seen(), first)) == [100, 0]

    def test_what_no_tier_of_the_spec_has_counts_for_the_sum_only(self):
        status = build(seen(answered={("small", "small"): 50, ("gone", "pool"): 50}))
        assert shares(status) == [50, 0]

    def test_a_policy_without_a_spec_in_force_has_none(self):
        assert build(seen(was_valid=False, answered={("small", "small"): 1})).tiers == ()

    def test_small_shares_are_written_as_well(self):
        many = {("small", "small"): 2, ("gone", "pool"): 98}
        assert shares(build(seen(answered=many))) == [0, 0]
