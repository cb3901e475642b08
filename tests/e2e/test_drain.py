"""Nobody's stream is cut short, however often the pool shrinks and rolls out while it is served."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.plan.pod_template import SHUTDOWN_TIMEOUT_S
from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.gpu_nodes import l4_nodes
from mixserve_devcluster.images import simulated_images
from mixserve_devcluster.installation import installed
from support.pool_manifests import pool, variant
from support.pool_sandbox import PoolSandbox
from support.pool_watch import PoolWatch
from support.streams import StreamLoad, stream_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.streams import Stream

# About two minutes on a quiet machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# The larger the pool, the more of it drains at a time: four of sixteen, two of ten, one of five.
LARGE, SMALL = 16, 8
# Slow, so that long streams have few tokens and cost this machine little: an 8B model makes one in 77 ms on an L4.
TIME_SCALE = 4.0
TOKEN_S = 0.077 * TIME_SCALE
# Longer than what an engine grants by itself after SIGTERM: only a drain can save a stream that has just begun.
SHORTEST, LONGEST = (round((SHUTDOWN_TIMEOUT_S + extra_s) / TOKEN_S) for extra_s in (1, 3))
USERS, STREAMS = 36, 200


@dataclass(frozen=True)
class Story:
    """What happened."""

    streams: list[Stream]
    watch: PoolWatch


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolSandbox]:
    """The default namespace of a cluster with enough GPUs for pods that drain beside those that replace them."""
    images = simulated_images(time_scale=TIME_SCALE, cold_start_s=1.0 / TIME_SCALE)
    nodes = {"nodes": [l4_nodes(3, gpus=16)], "images": images}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        with (
            Cluster.start("drain", node_config=nodes) as cluster,
            installed(cluster.kubeconfig, settings={"MIXSERVE_SCRAPE_INTERVAL_S": "0.5"}),
        ):
            yield PoolSandbox(cluster, "default")


def chat(replicas: int, batched_tokens: int) -> dict[str, Any]:
    """A pool that its load keeps at its minimum; another number of batched tokens makes another template."""
    return pool(
        "chat",
        variant(accelerator="l4", least=replicas, most=LARGE),
        engine={"batching": {"maxBatchedTokens": batched_tokens}},
        autoscaling={"scaleDown": {"stabilization": "1s"}},
        drainTimeout="3m",
    )


async def steer(sandbox: PoolSandbox, watch: PoolWatch) -> None:
    """Shrink the pool and roll it out in the midst of it, grow it while it rolls out, shrink it again."""

    async def apply(replicas: int, batched_tokens: int) -> None:
        await asyncio.to_thread(sandbox.apply, [chat(replicas, batched_tokens)])

    def is_busy() -> bool:
        return watch.has_size(LARGE) and all(watch.in_flight[name] for name in watch.endpoints)

    await watch.until(is_busy, "pool whose pods all have streams")
    await apply(SMALL, 1024)
    await watch.until(lambda: watch.scale_downs >= 2 and bool(watch.draining), "pod that drains after two scale-downs")
    await apply(SMALL, 2048)
    await watch.until(lambda: watch.rollouts == 1 and watch.has_size(SMALL), "small pool of the second template")
    await apply(LARGE, 4096)
    await watch.until(lambda: watch.rollouts == 2 and is_busy(), "large pool of the third template")
    await apply(SMALL, 4096)
    await watch.until(lambda: watch.has_size(SMALL), "small pool of the third template")


async def tell(sandbox: PoolSandbox) -> Story:
    chance = random.Random(7)  # noqa: S311 - lengths, not secrets
    async with (
        PoolWatch.follow(sandbox.cluster.kubeconfig, namespace=sandbox.namespace, pool="chat") as watch,
        stream_session() as session,
    ):
        await watch.until(lambda: watch.has_size(LARGE) and len(watch.endpoints) == LARGE, "large pool")
        load = StreamLoad(session, model="chat", watch=watch)
        async with asyncio.TaskGroup() as tasks:
            steering = tasks.create_task(steer(sandbox, watch))

            def enough() -> bool:
                return steering.done() and len(load.streams) + watch.in_flight.total() >= STREAMS

            for user in range(USERS):
                lengths = iter(lambda: chance.randint(SHORTEST, LONGEST), None)
                tasks.create_task(load.use(lengths, enough=enough, first_at_s=user * LONGEST * TOKEN_S / USERS))
        return Story(load.streams, watch)


@pytest.fixture(scope="module")
def story(sandbox: PoolSandbox) -> Story:
    sandbox.apply([chat(LARGE, 1024)])
    return asyncio.run(tell(sandbox))


def test_no_stream_is_cut_short(story: Story) -> None:
    assert [stream for stream in story.streams if not stream.is_complete] == []
    assert len(story.streams) >= STREAMS


def test_the_pool_shrank_ten_times_and_rolled_out_twice(story: Story) -> None:
    assert story.watch.scale_downs >= 10
    assert story.watch.rollouts == 2


def test_it_did_not_shrink_in_a_rollout(story: Story) -> None:
    assert story.watch.scale_downs_in_rollouts == 0


def test_pods_went_while_they_had_streams(story: Story) -> None:
    busy = [departure.drained for departure in story.watch.departures if departure.streams]
    assert busy.count(True) >= 10
    assert busy.count(False) >= SMALL
