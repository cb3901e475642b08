from __future__ import annotations

import pytest

from mixserve.api.observation import EngineSample, Missing, MissingReason, SpeculationCounts
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.speculation import NOTHING_LATELY, SpeculationWatch
from mixserve.status.acceptance import WINDOW_S, Acceptance

P = PoolKey("ns", "p")


def sample(at_s: float, drafts: int, *, running: int = 0, kept: int | None = None) -> EngineSample:
    counts = SpeculationCounts(drafts, 3 * drafts, 2 * drafts if kept is None else kept, since_last_read=False)
    return EngineSample(at_s, running, 0, 0.0, counts)


@pytest.fixture
def watch() -> SpeculationWatch:
    return SpeculationWatch()


def take(watch: SpeculationWatch, uid: str, found: EngineSample | Missing, variant: str = "v") -> None:
    watch.take(P, variant=variant, uid=uid, sample=found)


def test_replicas_of_a_variant_add_up(watch: SpeculationWatch) -> None:
    for uid, most in (("a", 40), ("b", 60)):
        take(watch, uid, sample(0.0, 0))
        take(watch, uid, sample(5.0, most, running=most // 10))
    lately = watch.lately(P, "v", now_s=5.0)
    assert lately.acceptance == Acceptance(rate=2 / 3, length=3.0)
    assert lately.batch == 5.0


def test_variants_do_not_mix(watch: SpeculationWatch) -> None:
    take(watch, "a", sample(0.0, 0))
    take(watch, "a", sample(5.0, 100, running=4))
    assert watch.lately(P, "other", now_s=5.0) == NOTHING_LATELY
    assert watch.lately(PoolKey("ns", "q"), "v", now_s=5.0) == NOTHING_LATELY


def test_what_ran_before_the_operator_did_is_not_counted(watch: SpeculationWatch) -> None:
    take(watch, "a", sample(0.0, 1000, kept=0))
    take(watch, "a", sample(5.0, 1100, kept=300))
    assert watch.lately(P, "v", now_s=5.0).acceptance == Acceptance(rate=1.0, length=4.0)


def test_what_is_long_ago_is_forgotten(watch: SpeculationWatch) -> None:
    take(watch, "a", sample(0.0, 0))
    take(watch, "a", sample(5.0, 100, running=4))
    assert watch.lately(P, "v", now_s=6.0 + WINDOW_S) == NOTHING_LATELY
    take(watch, "a", sample(1000.0, 200, running=8))
    assert watch.lately(P, "v", now_s=1000.0).batch == 8.0
    assert len(watch._windows[(P, "v")].tallies) == 1


def test_an_idle_engine_has_no_batch(watch: SpeculationWatch) -> None:
    take(watch, "a", sample(0.0, 0, running=0))
    assert watch.lately(P, "v", now_s=0.0) == NOTHING_LATELY


@pytest.mark.parametrize(
    "found", [Missing(MissingReason.TIMEOUT), EngineSample(0.0, 3, 0, 0.1)], ids=["no answer", "no speculation"]
)
def test_engines_that_do_not_speculate_are_of_no_interest(
    watch: SpeculationWatch, found: EngineSample | Missing
) -> None:
    take(watch, "a", found)
    assert watch._windows == {}


def test_what_is_gone_is_forgotten(watch: SpeculationWatch) -> None:
    take(watch, "a", sample(0.0, 0, running=1))
    watch.forget("a")
    take(watch, "a", sample(5.0, 100))  # another engine, as far as we know
    assert watch.lately(P, "v", now_s=5.0).acceptance is None
    take(watch, "a", sample(10.0, 200))
    watch.keep([(P, "v"), (P, "w")])
    assert watch.lately(P, "v", now_s=10.0).acceptance is not None
    watch.keep([(PoolKey("ns", "q"), "v"), (P, "w")])
    assert watch.lately(P, "v", now_s=5.0) == NOTHING_LATELY
