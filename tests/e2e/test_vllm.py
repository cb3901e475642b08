"""The operator runs real vLLM on the CPU: requests wait, the pool grows, shrinks again, and none of them fails."""

from __future__ import annotations

import asyncio
import urllib.request
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mixserve.api.engine import EngineType
from mixserve.engines.registry import adapter_for
from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.demo.drive import drive, wait_until_ready
from mixserve_devcluster.demo.recording import Recording
from mixserve_devcluster.demo.watching import Target, WatchedPool
from mixserve_devcluster.demo.workload import Arrival, Lengths
from mixserve_devcluster.gpu_nodes import l4_nodes
from mixserve_devcluster.images import real_vllm_images
from mixserve_devcluster.installation import installed
from mixserve_devcluster.real_vllm import installation as real_vllm
from support.pairs import pair_manifest
from support.pool_sandbox import PoolSandbox, complete
from support.simulated_server import sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Two starts of vLLM, each up to some minutes on a busy machine with two cores, and the load between them.
pytestmark = [pytest.mark.vllm, pytest.mark.e2e, pytest.mark.timeout(1200)]

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "pool.yaml"
SEQUENCES = 2
BURST = 30
LENGTHS = Lengths(prompt_tokens=64, answer_tokens=100)
# After the burst: three requests at once, one more than a replica takes, until the second replica has answered one.
EVERY_S, LONGEST_S = 2.0, 400.0


@pytest.fixture(scope="module")
def vllm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    nodes = {"nodes": [l4_nodes(2)], "images": real_vllm_images(real_vllm.find())}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        with Cluster.start("vllm", node_config=nodes) as cluster, installed(cluster.kubeconfig):
            yield cluster


@pytest.fixture(scope="module")
def pool(vllm_cluster: Cluster) -> Iterator[dict[str, Any]]:
    """The quickstart's pool, smaller and quicker to shrink; deleted at the end."""
    manifest: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text())
    manifest["spec"]["engine"]["batching"]["maxSequences"] = SEQUENCES
    manifest["spec"]["variants"][0]["replicas"] = {"min": 1, "max": 2}
    # Longer than a start, so that the second replica has something to do before it goes.
    manifest["spec"]["autoscaling"] = {"scaleDown": {"stabilization": "75s"}}
    sandbox = PoolSandbox(vllm_cluster, "default")
    sandbox.apply([manifest])
    yield manifest
    sandbox.delete_pool(manifest["metadata"]["name"])


def arrivals(recording: Recording) -> Iterator[Arrival]:
    for _ in range(BURST):
        yield Arrival(0.0, LENGTHS)
    at_s = EVERY_S
    while len({result.pod for result in recording.results}) < 2 and at_s < LONGEST_S:
        for _ in range(SEQUENCES + 1):
            yield Arrival(at_s, LENGTHS)
        at_s += EVERY_S


@pytest.fixture(scope="module")
def recording(vllm_cluster: Cluster, pool: dict[str, Any]) -> Recording:
    """What happened to the pool and to its requests, from a burst until the pool was small again."""
    name = pool["metadata"]["name"]
    target = Target("default", (WatchedPool(name, adapter_for(EngineType.VLLM), "0.32.0"),))
    recording = Recording(engine="real vLLM on the CPU", workload="a burst")

    async def burst() -> None:
        await wait_until_ready(kubeconfig=vllm_cluster.kubeconfig, target=target, deadline_s=400.0)
        await drive(
            kubeconfig=vllm_cluster.kubeconfig,
            target=target,
            model=name,
            arrivals=arrivals(recording),
            recording=recording,
            show=lambda _: None,
            settle_s=300.0,
        )

    asyncio.run(burst())
    return recording


def test_the_burst_makes_requests_wait(recording: Recording) -> None:
    [waiting] = recording.of_pools("waiting").values()
    assert max(waiting) > BURST / 2


def test_the_pool_goes_from_one_to_two_and_back(recording: Recording) -> None:
    [replicas] = recording.of_pools("replicas").values()
    assert [size for size, _ in groupby(replicas)] == [1, 2, 1]


def test_both_replicas_answer_and_no_request_fails(recording: Recording) -> None:
    assert Counter(result.error for result in recording.results) == {"": len(recording.results)}
    assert len(recording.results) > BURST
    assert len({result.pod for result in recording.results}) == 2


@pytest.fixture
def ngram_pool(vllm_cluster: Cluster) -> Iterator[tuple[PoolSandbox, str]]:
    """The quickstart's pool with a pair that proposes what stood in the request before; deleted at the end."""
    manifest: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text())
    manifest["metadata"]["name"] = name = "qwen-ngram"
    manifest["spec"]["variants"][0]["replicas"] = {"min": 1, "max": 1}
    manifest["spec"]["speculativePairRef"] = {"name": "ngram"}
    sandbox = PoolSandbox(vllm_cluster, "default")
    schedule = [{"maxBatch": 4, "tokens": 3}, {"maxBatch": 8, "tokens": 1}]
    pair = pair_manifest("NGram", name="ngram", batchSchedule=schedule, ngram={"minLookup": 1, "maxLookup": 3})
    del pair["metadata"]["namespace"]
    sandbox.apply([pair, manifest])
    yield sandbox, name
    sandbox.delete_pool(name)
    sandbox.kubectl("delete", "speculativepair", "ngram")


def test_ngram_speculation_proposes_tokens_and_counts_what_was_kept(ngram_pool: tuple[PoolSandbox, str]) -> None:
    sandbox, name = ngram_pool
    sandbox.wait_until_ready(name, timeout_s=600.0)
    [pod] = sandbox.items("pods", pool=name)
    answer = complete(pod, model=name, prompt="one two one two one two ", max_tokens=200, temperature=0)
    assert answer["usage"]["completion_tokens"] == 200
    counted = {
        one: metric(pod, f"spec_decode_num_{one}_total") for one in ("drafts", "draft_tokens", "accepted_tokens")
    }
    assert 0 < counted["drafts"] <= counted["draft_tokens"] <= 3 * counted["drafts"]
    assert 0 < counted["accepted_tokens"] <= counted["draft_tokens"]


def metric(pod: Mapping[str, Any], name: str) -> float:
    """A counter on the page of a pod's engine."""
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8000/metrics", timeout=10) as page:
        return sample(page.read().decode(), name)
