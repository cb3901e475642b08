from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve.api.observation import EngineSample, Missing, MissingReason, PoolObservation
from mixserve.apply.resources import PODS
from mixserve.controller import beat as beats
from mixserve.controller.beat import Beat
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.samples import Samples
from mixserve.observe.deployments import observe_variant
from mixserve.observe.pods import observe_pod
from support.kube_objects import pod as raw_pod

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = PoolKey("ns", "p")
IDLE = (0, 0, 0.0)
NOW_S = 1000.0


class Fleet:
    """One pool with one pod, and the beat over it."""

    def __init__(self, clock: Callable[[float], None]) -> None:
        self.pass_s = clock
        self.view, self.samples = ClusterView(), Samples()
        self.looks: list[PoolKey] = []
        self.beat = Beat(view=self.view, samples=self.samples, look=self.looks.append)
        self.view.put(PODS, raw_pod())

    def says(self, running: int, waiting: int, usage: float) -> None:
        sample = EngineSample(scraped_at_s=NOW_S, running=running, waiting=waiting, kv_cache_usage=usage)
        self.samples.take("uid-p-0", sample)

    def looked(self, *, settled: bool = True) -> None:
        sample = self.samples.newest("uid-p-0", now_s=NOW_S)
        pods = [observe_pod(raw_pod(), sample=sample, log_tail="")]
        variant = observe_variant("v", deployment=None, pods=pods)
        self.beat.looked(KEY, PoolObservation(now_s=NOW_S, variants=(variant,)), settled=settled)

    def wakes(self) -> bool:
        self.looks.clear()
        self.beat.scraped(KEY)
        return self.looks == [KEY]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    passed = 0.0

    def clock(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(beats.time, "time", lambda: NOW_S)
    monkeypatch.setattr(beats.time, "monotonic", lambda: passed)
    return Fleet(clock)


def test_a_pool_that_was_never_looked_at_is(fleet: Fleet) -> None:
    assert fleet.wakes()


def test_an_idle_pool_rests(fleet: Fleet) -> None:
    fleet.says(*IDLE)
    fleet.looked()
    assert not fleet.wakes()


def test_a_pool_without_metrics_rests_as_well(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.samples.take("uid-p-0", Missing(MissingReason.UNREACHABLE, "refused"))
    fleet.looked()
    assert not fleet.wakes()
    fleet.samples.take("uid-p-0", Missing(MissingReason.TIMEOUT))
    assert fleet.wakes()


@pytest.mark.parametrize("load", [(1, 0, 0.0), (0, 1, 0.0), (0, 0, 0.1)])
def test_load_wakes_it(fleet: Fleet, load: tuple[int, int, float]) -> None:
    fleet.says(*IDLE)
    fleet.looked()
    fleet.says(*load)
    assert fleet.wakes()


@pytest.mark.parametrize("load", [(1, 0, 0.1), (0, 1, 0.0)])
def test_a_pool_under_load_does_not_rest(fleet: Fleet, load: tuple[int, int, float]) -> None:
    fleet.says(*load)
    fleet.looked()
    assert fleet.wakes()


def test_a_pool_where_something_goes_on_does_not_rest(fleet: Fleet) -> None:
    fleet.says(*IDLE)
    fleet.looked(settled=False)
    assert fleet.wakes()


def test_another_pod_wakes_it(fleet: Fleet) -> None:
    fleet.says(*IDLE)
    fleet.looked()
    fleet.view.put(PODS, raw_pod("p-1"))
    assert fleet.wakes()


def test_it_does_not_rest_for_ever(fleet: Fleet) -> None:
    fleet.says(*IDLE)
    fleet.looked()
    fleet.pass_s(beats.LONGEST_REST_S - 1)
    assert not fleet.wakes()
    fleet.pass_s(2)
    assert fleet.wakes()


def test_a_pool_that_is_gone_is_forgotten(fleet: Fleet) -> None:
    fleet.says(*IDLE)
    fleet.looked()
    fleet.beat.forget(KEY)
    assert fleet.wakes()
