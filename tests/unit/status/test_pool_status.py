from decimal import Decimal

import pytest

from mixserve.api.observation import Missing, MissingReason, PoolObservation
from mixserve.api.pool import LLMServingPoolSpec
from mixserve.api.pool_status import Condition, LastDecision, PoolStatus, ScaleTerm, VariantStatus
from mixserve.autoscale.decision import decide
from mixserve.autoscale.memory import ScaleMemory
from mixserve.status.pool_status import Outcome, build_status
from mixserve.status.rfc3339 import to_rfc3339
from support.pools import NOW_S, SILENT, bounds, pod, pool, sample, seen, starting, variant

CONDITION = Condition(
    type="Ready",
    status="True",
    reason="Ready",
    message="",
    last_transition_time=to_rfc3339(NOW_S),
    observed_generation=3,
)
UNREAD = Missing(MissingReason.NOT_SCRAPED)


def build(
    observation: PoolObservation,
    *,
    spec: LLMServingPoolSpec | None = None,
    previous: PoolStatus | None = None,
    written: bool = False,
    prices: dict[str, Decimal] | None = None,
) -> PoolStatus:
    spec = spec or pool()
    decision, _ = decide(spec, observation, ScaleMemory(), {one.name: 8.0 for one in spec.variants})
    return build_status(
        previous=previous,
        generation=3,
        conditions=(CONDITION,),
        variants=spec.variants,
        outcome=Outcome(observation=observation, decision=decision, replicas_written=written),
        deployments={one.name: f"chat-{one.name}" for one in spec.variants},
        prices={"l4": Decimal("0.8")} if prices is None else prices,
        now_s=observation.now_s,
    )


def busy(running: int = 8, *, now_s: float = NOW_S, waiting: int = 0, kv: float = 0.0) -> PoolObservation:
    return seen(variant(pod("a", sample(running, waiting, kv, at_s=now_s))), now_s=now_s)


def test_the_status_says_what_was_seen_and_decided() -> None:
    observation = seen(variant(pod("a", sample(8, 16)), starting(), pod("d", draining_since_s=NOW_S)))
    assert build(observation) == PoolStatus(
        observed_generation=3,
        conditions=(CONDITION,),
        desired=3,
        ready=1,
        starting=1,
        limited_by="running",
        cost_per_hour="2.40",
        variants=(VariantStatus(name="main", deployment="chat-main", desired=3, replicas=3, ready=1),),
        last_decision=LastDecision(
            time=to_rfc3339(NOW_S),
            current=2,
            desired=3,
            binding_term="running",
            terms=(
                ScaleTerm(name="minimum", replicas="1.00", detail="the sum of replicas.min of the variants"),
                ScaleTerm(
                    name="running",
                    replicas="2.50",
                    detail="8 running and 12 waiting beyond the target; requests that a replica carries: main 8",
                ),
                ScaleTerm(
                    name="kvCache",
                    replicas="0.00",
                    detail="KV-cache usage of the replicas fills 0.00 at the target of 85 %",
                ),
            ),
            message="ScaleUp 2 -> 3 main: running 20/8 = 2.5, kv 0.0",
        ),
    )


def test_a_load_that_changes_nothing_writes_nothing() -> None:
    before = build(busy(10, kv=0.3))
    assert build(busy(12, kv=0.2, waiting=3, now_s=NOW_S + 60), previous=before) == before


def test_a_status_read_back_from_the_api_server_is_the_same() -> None:
    status = build(busy(10))
    assert PoolStatus.parse(status.to_wire()) == status
    assert build(busy(10), previous=PoolStatus.parse(status.to_wire())) == status


@pytest.mark.parametrize(
    "changed",
    [
        busy(30, now_s=NOW_S + 60),  # the desired size
        busy(3, kv=0.9, now_s=NOW_S + 60),  # the binding term
    ],
)
def test_another_size_or_binding_term_is_a_new_decision(changed: PoolObservation) -> None:
    before = build(busy(8))
    after = build(changed, previous=before)
    assert after.last_decision != before.last_decision
    assert after.last_decision is not None
    assert after.last_decision.time == to_rfc3339(NOW_S + 60)


def test_another_blocking_reason_is_a_new_decision() -> None:
    before = build(busy(8))
    after = build(seen(variant(pod("a", SILENT))), previous=before)
    assert (after.limited_by, before.limited_by) == ("MetricsMissing", "minimum")
    assert after.last_decision is not None
    assert after.last_decision.blocked_by == "MetricsMissing"
    assert [term.replicas for term in after.last_decision.terms] == ["1.00", "unknown", "unknown"]


def test_the_first_data_is_a_new_decision() -> None:
    before = build(seen(variant(pod("a", UNREAD))))
    after = build(busy(1, now_s=NOW_S + 60), previous=before)
    assert before.last_decision is not None
    assert after.last_decision is not None
    assert "unknown" in {term.replicas for term in before.last_decision.terms}
    assert [term.replicas for term in after.last_decision.terms] == ["1.00", "0.12", "0.00"]
    assert (after.desired, after.limited_by) == (before.desired, before.limited_by)


def test_engines_that_were_not_asked_yet_do_not_overwrite_the_last_decision() -> None:
    two = seen(variant(pod("a", sample(8, 4)), pod("b", sample(8, 4))))
    before = build(two)
    restarted = build(seen(variant(pod("a", UNREAD), pod("b", UNREAD))), previous=before)
    assert restarted == before
    assert build(seen(variant(pod("a", UNREAD)))).limited_by == "minimum"


def test_a_raised_minimum_is_a_new_decision_even_before_engines_were_asked() -> None:
    before = build(busy(10))
    after = build(seen(variant(pod("a", UNREAD))), spec=pool(bounds(3, 9)), previous=before)
    assert after.last_decision is not None
    assert (after.desired, after.last_decision.desired) == (3, 3)


def test_the_time_of_the_last_change_of_size_stays() -> None:
    before = build(busy(8), written=True)
    assert before.last_scale == to_rfc3339(NOW_S)
    assert build(busy(8, now_s=NOW_S + 60), previous=before).last_scale == to_rfc3339(NOW_S)


def test_the_cost_counts_the_gpus_of_the_wanted_replicas() -> None:
    wide = bounds(2, name="a", accelerator="h100").model_copy(update={"tensor_parallel": 4})
    spec = pool(wide, bounds(1, name="b"))
    observation = seen(variant(pod("a"), pod("c"), name="a"), variant(pod("b"), name="b"))
    prices = {"h100": Decimal("2.99"), "l4": Decimal("0.805")}
    assert build(observation, spec=spec, prices=prices).cost_per_hour == "24.72"
    assert build(observation, spec=spec, prices={"l4": Decimal(1)}).cost_per_hour is None


def test_only_pods_that_will_serve_are_starting() -> None:
    gone = pod("d", SILENT, ready=False, draining_since_s=NOW_S)
    assert build(seen(variant(pod("a"), starting(), gone, pod("t", terminating=True)))).starting == 1


def test_a_missing_deployment_has_no_replicas() -> None:
    status = build(seen(variant(replicas=None)))
    assert status.variants[0].replicas == 0
    assert status.desired == 1


def test_without_an_outcome_the_sizes_stay_and_the_conditions_are_new() -> None:
    before = build(busy(8))
    bad = replace_condition(before, generation=4)
    after = build_status(
        previous=before,
        generation=4,
        conditions=bad,
        variants=(),
        outcome=None,
        deployments={},
        prices={},
        now_s=NOW_S + 60,
    )
    assert after == before.model_copy(update={"observed_generation": 4, "conditions": bad})


def test_a_new_pool_without_an_outcome_has_conditions_only() -> None:
    status = build_status(
        previous=None,
        generation=1,
        conditions=(CONDITION,),
        variants=(),
        outcome=None,
        deployments={},
        prices={},
        now_s=NOW_S,
    )
    assert status == PoolStatus(observed_generation=1, conditions=(CONDITION,))


def replace_condition(status: PoolStatus, *, generation: int) -> tuple[Condition, ...]:
    return tuple(one.model_copy(update={"observed_generation": generation}) for one in status.conditions)
