"""What holds for every pool, and where rows of decisions end on a *simulated* pool."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixserve.api.observation import (
    EngineSample,
    Missing,
    MissingReason,
    PodObservation,
    PodProblem,
    PoolObservation,
    Trouble,
    VariantObservation,
)
from mixserve.api.pool import LLMServingPoolSpec
from mixserve.autoscale.actions import Drain, Restore, SetReplicas
from mixserve.autoscale.decision import Decision, decide
from mixserve.autoscale.memory import ScaleMemory, Wish
from support.pools import NOW_S, bounds, pod, pool, seen
from support.simulated_replicas import SimulatedPool

NAMES = ("first", "second", "third")
PRIORS = {"first": 8.0, "second": 3.0, "third": 20.0}
OLD_S = NOW_S - 100_000
STEP_S = 5.0

signals = st.one_of(
    st.sampled_from([*(Missing(reason) for reason in MissingReason)]),
    st.builds(
        EngineSample,
        st.sampled_from([NOW_S, NOW_S - 10, NOW_S - 20]),
        st.integers(0, 30),
        st.integers(0, 30),
        st.floats(0, 1),
    ),
)
troubles = st.sampled_from([None, Trouble(PodProblem.UNSCHEDULABLE, ""), Trouble(PodProblem.CRASHING, "")])


@st.composite
def pods(draw: st.DrawFn, variant: str) -> tuple[PodObservation, ...]:
    """Pods of a variant; as in a cluster no other pod has their uid."""
    made = []
    for index in range(draw(st.integers(0, 7))):
        routable = draw(st.booleans())
        one = pod(f"p{index}", draw(signals), ready=draw(st.booleans()), terminating=draw(st.booleans()))
        since_s = None if routable else draw(st.sampled_from([None, NOW_S - 700, NOW_S - 20]))
        trouble = None if one.ready or one.terminating else draw(troubles)
        uid = f"uid-{variant}-{index}"
        made.append(replace(one, uid=uid, routable=routable, draining_since_s=since_s, trouble=trouble))
    return tuple(made)


@st.composite
def situations(draw: st.DrawFn) -> tuple[LLMServingPoolSpec, PoolObservation]:
    """Any pool in any state."""
    specs, variants = [], []
    for name in NAMES[: draw(st.integers(1, 3))]:
        low = draw(st.integers(0 if specs else 1, 3))
        specs.append(bounds(low, max(1, low) + draw(st.integers(0, 8)), name=name))
        some = draw(pods(name))
        replicas = draw(st.one_of(st.none(), st.integers(max(0, len(some) - 2), len(some) + 2)))
        variants.append(VariantObservation(name, replicas, draw(st.booleans()), some))
    spec = pool(*specs, stabilization_s=draw(st.sampled_from([0, 60, 300])))
    return spec, seen(*variants)


@st.composite
def memories(draw: st.DrawFn) -> ScaleMemory:
    sizes = st.fixed_dictionaries({name: st.integers(0, 9) for name in NAMES})
    times = sorted(draw(st.lists(st.floats(OLD_S, NOW_S), max_size=4)))
    return ScaleMemory(wishes=tuple(Wish(time_s, draw(sizes)) for time_s in times))


def lowered(decision: Decision, observation: PoolObservation) -> int:
    """Replicas that go now or begin to, beyond pods that drain already."""
    goes = 0
    for one, variant in zip(decision.variants, observation.variants, strict=True):
        draining = sum(not p.routable and p.draining_since_s is not None and not p.terminating for p in variant.pods)
        for action in decision.actions:
            if action.variant != one.name:
                continue
            if isinstance(action, Drain):
                goes += len(action.pods)
            if isinstance(action, SetReplicas):
                goes += max(0, action.seen - action.replicas - draining)
    return goes


@given(situation=situations(), memory=memories())
def test_the_wanted_size_is_within_the_bounds(
    situation: tuple[LLMServingPoolSpec, PoolObservation], memory: ScaleMemory
) -> None:
    spec, observation = situation
    decision, _ = decide(spec, observation, memory, PRIORS)
    for variant, one in zip(spec.variants, decision.variants, strict=True):
        assert variant.replicas.min <= one.wanted <= variant.replicas.max


@given(situation=situations(), memory=memories(), missing=st.sampled_from(list(MissingReason)))
def test_no_data_never_means_fewer_replicas_than_there_are(
    situation: tuple[LLMServingPoolSpec, PoolObservation], memory: ScaleMemory, missing: MissingReason
) -> None:
    spec, observation = situation
    variants = tuple(
        replace(one, pods=tuple(replace(each, sample=Missing(missing)) for each in one.pods))
        for one in observation.variants
    )
    decision, _ = decide(spec, replace(observation, variants=variants), memory, PRIORS)
    for variant, one, before in zip(spec.variants, decision.variants, variants, strict=True):
        assert one.wanted >= min(one.current, variant.replicas.max)
        if before.replicas is not None and before.replicas <= variant.replicas.max:
            assert all(
                action.replicas >= action.seen
                for action in decision.actions
                if isinstance(action, SetReplicas) and action.variant == one.name
            )


@given(situation=situations(), age_s=st.floats(0, 299))
def test_nothing_shrinks_before_a_whole_window_was_seen(
    situation: tuple[LLMServingPoolSpec, PoolObservation], age_s: float
) -> None:
    spec, observation = situation
    spec = pool(*spec.variants, stabilization_s=300)
    empty = dict.fromkeys(NAMES, 0)
    for memory in (ScaleMemory(), ScaleMemory(wishes=(Wish(NOW_S - age_s, empty),))):
        decision, _ = decide(spec, observation, memory, PRIORS)
        for variant, one in zip(spec.variants, decision.variants, strict=True):
            assert one.wanted >= min(one.current, variant.replicas.max)


@given(situation=situations(), memory=memories())
def test_no_more_goes_than_is_too_much(
    situation: tuple[LLMServingPoolSpec, PoolObservation], memory: ScaleMemory
) -> None:
    spec, observation = situation
    decision, _ = decide(spec, observation, memory, PRIORS)
    assert lowered(decision, observation) <= sum(max(0, one.current - one.wanted) for one in decision.variants)


@given(situation=situations(), memory=memories())
def test_the_same_seen_twice_is_decided_the_same(
    situation: tuple[LLMServingPoolSpec, PoolObservation], memory: ScaleMemory
) -> None:
    spec, observation = situation
    first, after = decide(spec, observation, memory, PRIORS)
    second, again = decide(spec, observation, after, PRIORS)
    # A Deployment that is missing comes back with the largest remembered wish, which the first time adds to.
    if all(one.replicas is not None for one in observation.variants):
        assert (second, again) == (first, after)


@given(
    situation=situations(), memory=memories(), more=st.integers(1, 40), where=st.integers(0, 30), usage=st.floats(0, 1)
)
def test_more_load_never_means_fewer_replicas(
    situation: tuple[LLMServingPoolSpec, PoolObservation], memory: ScaleMemory, more: int, where: int, usage: float
) -> None:
    spec, observation = situation

    def heavier(one: PodObservation, index: int) -> PodObservation:
        if index != where % 7 or isinstance(one.sample, Missing):
            return one
        kv = max(one.sample.kv_cache_usage, usage)
        grown = replace(one.sample, running=one.sample.running + more, waiting=one.sample.waiting + more)
        return replace(one, sample=replace(grown, kv_cache_usage=kv))

    variants = tuple(
        replace(one, pods=tuple(heavier(each, index) for index, each in enumerate(one.pods)))
        for one in observation.variants
    )
    few, _ = decide(spec, observation, memory, PRIORS)
    many, _ = decide(spec, replace(observation, variants=variants), memory, PRIORS)
    for light, heavy in zip(few.variants, many.variants, strict=True):
        assert heavy.wanted >= light.wanted


@given(situation=situations(), memory=memories())
def test_a_pod_gets_one_order_at_a_time(
    situation: tuple[LLMServingPoolSpec, PoolObservation], memory: ScaleMemory
) -> None:
    decision, _ = decide(*situation, memory, PRIORS)
    named = [
        (action.variant, name)
        for action in decision.actions
        if isinstance(action, Drain | Restore)
        for name in action.pods
        if not (isinstance(action, Drain) and _lost_its_label(situation[1], action.variant, name))
    ]
    assert len(named) == len(set(named))


def _lost_its_label(observation: PoolObservation, variant: str, name: str) -> bool:
    seen_pods = next(one.pods for one in observation.variants if one.name == variant)
    return not next(one.routable for one in seen_pods if one.name == name)


# Rows of decisions on a simulated pool


def run(
    spec: LLMServingPoolSpec, simulated: SimulatedPool, memory: ScaleMemory, *, load: int, steps: int
) -> tuple[ScaleMemory, list[Decision]]:
    decisions = []
    for _ in range(steps):
        simulated.tick(STEP_S, load=load)
        decision, memory = decide(spec, simulated.observe(), memory, dict.fromkeys(simulated.sizes, 8.0))
        simulated.execute(decision.actions)
        decisions.append(decision)
    return memory, decisions


def two_variants() -> LLMServingPoolSpec:
    return pool(bounds(1, 4, name="first"), bounds(0, 6, name="second"), stabilization_s=30, drain_timeout_s=60)


@settings(max_examples=25)
@given(
    loads=st.lists(st.integers(0, 90), min_size=1, max_size=3),
    start=st.tuples(st.integers(0, 4), st.integers(0, 6)),
)
def test_a_constant_load_ends_in_a_constant_size_that_carries_it(loads: list[int], start: tuple[int, int]) -> None:
    spec = two_variants()
    simulated = SimulatedPool(sizes={"first": start[0], "second": start[1]})
    memory = ScaleMemory()
    for load in loads:
        memory, decisions = run(spec, simulated, memory, load=load, steps=80)
        assert all(not decision.actions for decision in decisions[-20:])
        assert all(decision.current == decision.desired for decision in decisions[-20:])
        serving = {name: simulated.count(name) for name in simulated.sizes}
        assert serving == simulated.sizes  # nothing is left draining
        total = sum(serving.values())
        allowed = 4 * total
        assert total == 10 or total * 8 >= load - allowed - 1
        assert simulated.removed_busy == 0


def test_a_pool_with_one_variant_has_the_size_of_the_formula() -> None:
    spec = pool(bounds(1, 10), stabilization_s=30, drain_timeout_s=60)
    simulated = SimulatedPool(sizes={"main": 9})
    run(spec, simulated, ScaleMemory(), load=29, steps=80)
    assert simulated.sizes == {"main": 4}


def test_a_ramp_up_and_down_grows_and_shrinks_once() -> None:
    spec = pool(bounds(1, 10), stabilization_s=30, drain_timeout_s=60)
    simulated = SimulatedPool(sizes={"main": 1})
    memory, sizes = ScaleMemory(), []
    for load in (*range(0, 40, 4), *[40] * 20, *range(40, 0, -4), *[0] * 80):
        memory, decisions = run(spec, simulated, memory, load=load, steps=1)
        sizes.append(decisions[0].desired)
    turns = [b - a for a, b in pairwise(sizes) if a != b]
    assert turns == sorted(turns, reverse=True)  # all growth, then all shrinking
    assert max(sizes) == 5
    assert simulated.sizes == {"main": 1}
    assert simulated.removed_busy == 0


def test_silence_in_the_middle_of_a_drain_holds_everything() -> None:
    spec = pool(bounds(1, 10), stabilization_s=10, drain_timeout_s=60)
    simulated = SimulatedPool(sizes={"main": 5})
    memory, _ = run(spec, simulated, ScaleMemory(), load=10, steps=5)
    before = dict(simulated.sizes)
    simulated.silent = True
    memory, _ = run(spec, simulated, memory, load=10, steps=100)
    assert simulated.sizes == before
    simulated.silent = False
    run(spec, simulated, memory, load=10, steps=80)
    assert simulated.sizes == {"main": 2}


def test_a_restart_of_the_operator_changes_where_nothing_ends() -> None:
    spec = two_variants()
    simulated, same = (SimulatedPool(sizes={"first": 4, "second": 4}) for _ in range(2))
    memory = ScaleMemory()
    for _ in range(12):
        run(spec, simulated, ScaleMemory(), load=20, steps=10)
        memory, _ = run(spec, same, memory, load=20, steps=10)
    assert simulated.sizes == same.sizes


def test_unschedulable_replicas_are_given_up_when_the_load_goes() -> None:
    spec = pool(bounds(1, 10), stabilization_s=10, drain_timeout_s=60)
    simulated = SimulatedPool(sizes={"main": 1})
    memory, _ = run(spec, simulated, ScaleMemory(), load=8, steps=2)
    simulated.unschedulable = frozenset({"main"})
    memory, _ = run(spec, simulated, memory, load=60, steps=20)
    assert simulated.sizes == {"main": 7}
    assert sum(one.ready for one in simulated.pods["main"]) == 1
    run(spec, simulated, memory, load=4, steps=40)
    assert simulated.sizes == {"main": 1}


@pytest.mark.parametrize("low", [0, 2])
def test_a_variant_moves_to_the_bounds_of_an_edited_spec(low: int) -> None:
    simulated = SimulatedPool(sizes={"first": 4, "second": 6})
    edited = pool(
        bounds(1, 2, name="first"),
        bounds(low, 3, name="second"),
        stabilization_s=30,
        drain_timeout_s=60,
    )
    run(edited, simulated, ScaleMemory(), load=80, steps=60)
    assert simulated.sizes == {"first": 2, "second": 3}
    assert simulated.removed_busy == 0
