"""The operator may die at any moment of a scale-up: the pool ends as if it had not, and no engine notices."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.gpu_nodes import l4_nodes
from mixserve_devcluster.images import simulated_images
from mixserve_devcluster.installation import Installation, installed
from support.operator_numbers import number, writes
from support.pool_manifests import pool, variant
from support.pool_questions import versions, wait_for_condition
from support.pool_sandbox import PoolSandbox
from support.pool_state import state
from support.pool_watch import PoolWatch
from support.streams import StreamLoad, stream_session
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.streams import Stream

# About two minutes on a quiet machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KILLS = 10
# What a replica carries, and so the streams that ask for one more.
SEQUENCES = 2
FINAL_SIZE = 1 + KILLS
# So slow that no stream ends before its test does: then the number of streams is what the test says, at any moment.
TIME_SCALE, ENDLESS = 20.0, 1000
# Two scrapes a second; the Lease as short as it may be.
SETTINGS = {"MIXSERVE_SCRAPE_INTERVAL_S": "0.5", "MIXSERVE_LEASE_DURATION_S": "3"}


@dataclass(frozen=True)
class Growth:
    """How a pool grew under its load.

    Attributes:
        state: what it came to.
        watch: what happened on the way.
        ended: streams that ended, though none should have.
        sizes_at_kills: replicas that were asked for when the operator was killed.
    """

    state: list[str]
    watch: PoolWatch
    ended: list[Stream]
    sizes_at_kills: list[int]


@pytest.fixture(scope="module")
def crash_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    nodes = {
        "nodes": [l4_nodes(1, gpus=16)],
        "images": simulated_images(time_scale=TIME_SCALE, cold_start_s=1.0 / TIME_SCALE),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        with Cluster.start("crashes", node_config=nodes) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def installation(crash_cluster: Cluster) -> Iterator[Installation]:
    with installed(crash_cluster.kubeconfig, settings=SETTINGS) as mixserve:
        yield mixserve


@pytest.fixture(scope="module")
def sandbox(crash_cluster: Cluster, installation: Installation) -> PoolSandbox:
    return PoolSandbox(crash_cluster, "default")


def growing(name: str) -> dict[str, Any]:
    return pool(
        name,
        variant(accelerator="l4", most=FINAL_SIZE + 2),
        engine={"batching": {"maxSequences": SEQUENCES}},
        autoscaling={"targets": {"waitingRequestsPerReplica": 0}},
    )


class Crashes:
    """Kills the operator again and again: just after it has made the pool larger, and at moments left to chance."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._chance = random.Random(5)  # noqa: S311 - moments, not secrets
        self.sizes: list[int] = []

    async def strike(self, number: int, watch: PoolWatch) -> None:
        """Kill and restart the operator while one more replica is asked for than before."""
        if number % 2:
            await watch.until(lambda: watch.sizes[-1] >= 2 + number, f"replica number {2 + number}")
        else:
            await asyncio.sleep(self._chance.uniform(0.0, 1.0))  # not to wait for anything: the moment of the crash
        self.sizes.append(watch.sizes[-1])
        self._installation.kill_operator()
        await asyncio.to_thread(self._installation.start_operator)


async def grow(sandbox: PoolSandbox, name: str, crashes: Crashes | None = None) -> Growth:
    """Load a pool with one replica's worth of streams after the other, which stay; after each the operator may die."""
    await asyncio.to_thread(sandbox.apply, [growing(name)])
    async with (
        PoolWatch.follow(sandbox.cluster.kubeconfig, namespace=sandbox.namespace, pool=name) as watch,
        stream_session() as session,
        asyncio.TaskGroup() as tasks,
    ):
        load = StreamLoad(session, model=name, watch=watch)

        def add_streams() -> list[asyncio.Task[None]]:
            return [tasks.create_task(load.stream(ENDLESS)) for _ in range(SEQUENCES)]

        await watch.until(lambda: watch.has_size(1) and bool(watch.endpoints), "first replica")
        streams = add_streams()
        for number in range(KILLS):
            streams += add_streams()
            if crashes:
                await crashes.strike(number, watch)
        await watch.until(lambda: watch.has_size(FINAL_SIZE), f"{FINAL_SIZE} replicas")
        final = await asyncio.to_thread(settled_state, sandbox, name)
        ended = list(load.streams)
        for stream in streams:
            stream.cancel()
    return Growth(final, watch, ended, crashes.sizes if crashes else [])


def settled_state(sandbox: PoolSandbox, name: str) -> list[str]:
    """The pool's state once its status says that all of it is there."""

    def all_there() -> bool:
        status = sandbox.pool(name).get("status", {})
        return status.get("ready") == FINAL_SIZE and all(each["status"] == "True" for each in status["conditions"])

    sandbox.wait_until_ready(name)
    eventually(all_there, f"status of {name} without a fault", 240.0)
    return state(sandbox, name)


@pytest.fixture(scope="module")
def calm(sandbox: PoolSandbox) -> Growth:
    """A pool that grew in peace; it is gone again."""
    growth = asyncio.run(grow(sandbox, "calm"))
    sandbox.delete_pool("calm")
    return growth


@pytest.fixture(scope="module")
def shaken(sandbox: PoolSandbox, installation: Installation, calm: Growth) -> Growth:
    """A pool that grew while the operator died ten times."""
    return asyncio.run(grow(sandbox, "shaken", Crashes(installation)))


def test_a_restart_leaves_a_pool_that_serves_as_it_is(sandbox: PoolSandbox, installation: Installation) -> None:
    sandbox.apply([pool("resting", variant(accelerator="l4"))])
    sandbox.wait_until_ready("resting")
    wait_for_condition(sandbox, "resting", "MetricsFresh", status="True", reason="Fresh")
    rested = versions(sandbox, "resting")

    def rests() -> bool:
        nonlocal rested
        before, rested = rested, versions(sandbox, "resting")
        return before == rested

    eventually(rests, "a pool at rest")
    installation.kill_operator()
    installation.start_operator()
    # Three scrapes of each pool.
    eventually(lambda: number(installation, "mixserve_scrape_turns_total") >= 60, "three beats")
    assert versions(sandbox, "resting") == rested
    assert set(writes(installation)) == {"leases"}
    sandbox.delete_pool("resting")


def test_the_operator_died_while_the_pool_grew(shaken: Growth) -> None:
    assert len(shaken.sizes_at_kills) == KILLS
    assert len(set(shaken.sizes_at_kills)) >= KILLS / 2
    assert max(shaken.sizes_at_kills[:-1]) < FINAL_SIZE


def test_the_pool_ends_as_if_nothing_had_happened(calm: Growth, shaken: Growth) -> None:
    assert shaken.state == calm.state


def test_nothing_is_made_twice_or_taken_away_on_the_way(shaken: Growth) -> None:
    assert len(shaken.watch.seen) == FINAL_SIZE
    assert shaken.watch.departures == []
    assert shaken.watch.sizes == sorted(shaken.watch.sizes)
    assert shaken.watch.rollouts == 0


def test_no_engine_notices(shaken: Growth) -> None:
    assert shaken.ended == []


def test_a_pool_that_is_deleted_while_the_operator_is_dead_takes_its_engines_along(
    shaken: Growth, sandbox: PoolSandbox, installation: Installation
) -> None:
    installation.kill_operator()
    sandbox.delete_pool("shaken")
