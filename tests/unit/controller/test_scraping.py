from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import ANNOTATION_DRAINING_SINCE
from mixserve.api.observation import EngineSample, SpeculationCounts
from mixserve.apply.resources import PODS
from mixserve.controller import scraping
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import PoolKey
from mixserve.controller.samples import Samples
from mixserve.controller.scraping import MetricsEndpoint, Scraper
from mixserve.controller.speculation import SpeculationWatch
from support.kube_objects import pod
from support.metrics_pages import GAUGES
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from yarl import URL

KEY = PoolKey("ns", "p")
SAMPLE = EngineSample(scraped_at_s=1e12, running=1, waiting=0, kv_cache_usage=0.5)


class Engines:
    """A scraper over pods whose scrapes are noted and answered at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.view, self.samples, self.speculation = ClusterView(), Samples(), SpeculationWatch()
        self.sample = SAMPLE
        self.scraped: list[str] = []
        self.turns: list[PoolKey] = []
        monkeypatch.setattr(scraping, "scrape", self._scrape)
        self.scraper = Scraper(
            view=self.view,
            samples=self.samples,
            speculation=self.speculation,
            session=None,
            interval_s=0.02,
            scraped=self.turns.append,
            turned=lambda: None,
        )
        self.scraper.endpoints[KEY] = MetricsEndpoint(port=8000, page=GAUGES)

    async def _scrape(self, _: object, *, url: URL, **__: Any) -> EngineSample:
        self.scraped.append(str(url))
        return self.sample

    def has(self, obj: dict[str, Any], address: str | None) -> None:
        obj["status"]["podIP"] = address
        self.view.put(PODS, obj)


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    return Engines(monkeypatch)


async def test_only_pods_that_may_have_something_to_say_are_scraped(engines: Engines) -> None:
    engines.has(pod("ready"), "127.0.0.1")
    engines.has(pod("starting", ready=False), "127.0.0.2")
    engines.has(pod("draining", ready=False, annotations={ANNOTATION_DRAINING_SINCE: "1"}), "127.0.0.3")
    engines.has(pod("once-ready", ready=False), "127.0.0.4")
    engines.has(pod("going", deletionTimestamp="now"), "127.0.0.5")
    engines.has(pod("placeless"), None)
    engines.samples.take("uid-once-ready", SAMPLE)
    await engines.scraper._scrape_pool(KEY)
    assert sorted(engines.scraped) == [f"http://127.0.0.{last}:8000/metrics" for last in (1, 3, 4)]
    assert engines.samples.newest("uid-ready", now_s=1e12) == SAMPLE
    assert engines.turns == [KEY]


async def test_each_scrape_counts_once_for_speculative_decoding(engines: Engines) -> None:
    engines.has(pod("ready"), "127.0.0.1")
    counts = SpeculationCounts(100, 300, 150, since_last_read=True)
    for _ in range(2):
        engines.sample = replace(SAMPLE, speculation=counts)
        await engines.scraper._scrape_pool(KEY)
    window = engines.speculation._windows[(KEY, "v")]
    assert sum(each.proposed for each in window.tallies) == 600


async def test_a_pod_is_scraped_before_the_first_look_at_it_and_not_before_the_second(engines: Engines) -> None:
    engines.has(pod("ready"), "127.0.0.1")
    await engines.scraper.scrape_new(KEY)
    await engines.scraper.scrape_new(KEY)
    assert len(engines.scraped) == 1
    assert engines.turns == []


async def test_a_pod_that_goes_meanwhile_leaves_nothing_behind(engines: Engines) -> None:
    engines.has(pod("ready"), "127.0.0.1")

    async def scrape(*_: Any, **__: Any) -> EngineSample:
        engines.view.remove(PODS, pod("ready"))
        return SAMPLE

    engines.scraper._scrape = scrape  # type: ignore[method-assign]
    await engines.scraper.scrape_new(KEY)
    assert not engines.samples.tried("uid-ready")


async def test_a_pool_that_goes_meanwhile_is_not_scraped(engines: Engines) -> None:
    engines.has(pod("ready"), "127.0.0.1")
    engines.scraper.endpoints.clear()
    await engines.scraper._scrape_pool(KEY)
    assert engines.scraped == []


async def test_every_pool_has_its_turn_again_and_again(engines: Engines) -> None:
    endpoint = engines.scraper.endpoints[KEY]
    keys = [PoolKey("ns", str(number)) for number in range(50)]
    engines.scraper.endpoints = dict.fromkeys(keys, endpoint)
    async with running(engines.scraper.run()):
        await until(lambda: all(engines.turns.count(key) >= 3 for key in keys))
        assert engines.scraper.silent_for_s < 1
    most, least = (pick(engines.turns.count(key) for key in keys) for pick in (max, min))
    assert most - least <= 1


async def test_a_scrape_that_hangs_is_not_started_twice(engines: Engines) -> None:
    engines.has(pod("ready"), "127.0.0.1")
    engines.has(other := pod("other", labels={"mixserve.dev/pool": "q"}), "127.0.0.2")
    engines.scraper.endpoints[PoolKey("ns", "q")] = engines.scraper.endpoints[KEY]
    started: list[str] = []

    async def hang(one: dict[str, Any], *_: Any) -> EngineSample:
        started.append(one["metadata"]["name"])
        if one["metadata"]["name"] != other["metadata"]["name"]:
            await asyncio.sleep(10)
        return SAMPLE

    engines.scraper._scrape = hang  # type: ignore[method-assign]
    async with running(engines.scraper.run()):
        await until(lambda: started.count("other") == 5)
    assert started.count("ready") == 1
