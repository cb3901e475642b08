"""`make bench-reconcile`: reaction time, 500 pools against 500 bare Deployments, the cost of an idle fleet."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import idle as idle_fleet
import reaction
import scale
from cluster_client import ClusterClient
from idle import IdleCost
from idle_engines import idle_engines
from process_cost import cpu_s, peak_resident_bytes

from mixserve_devcluster.cluster import Cluster
from mixserve_devcluster.demo.recording import percentile
from mixserve_devcluster.gpu_nodes import l4_nodes
from mixserve_devcluster.installation import Installation, installed

# A GPU for every round of the reaction.
_PROCESS_NODES = l4_nodes(2, gpus=16)
_HOLLOW_NODES = {**l4_nodes(1, gpus=16), "name": "hollow", "mode": "hollow"}
_GPUS_PER_NODE = 16
# After the last pool is Ready its controllers still have something to say for a few seconds.
_REST_S = 30.0

# A scrape every 5 s, and a second to decide and write.
_REACTION_GOAL_S = 6.0
# Time until all pools are Ready, in times that bare Deployments take.
_RATIO_GOAL = 1.5


@dataclass(frozen=True)
class Figure:
    """A line of the table; `met` is None where there is no goal."""

    name: str
    value: str
    goal: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: "  met", False: "  missed"}[self.met]
        return f"{self.name:52} {self.value:>12}  {self.goal}{verdict}".rstrip()


@dataclass
class Report:
    """All figures of one run."""

    reactions_s: list[float] = field(default_factory=list)
    pools: int = 0
    bare_s: list[float] = field(default_factory=list)
    pools_s: list[float] = field(default_factory=list)
    operator_cpu_s_per_pool: list[float] = field(default_factory=list)
    peak_resident_bytes: int = 0
    idle: IdleCost | None = None

    def figures(self) -> list[Figure]:
        """The table."""
        return [*self._reaction(), *self._scale(), *self._idle()]

    def _reaction(self) -> Iterator[Figure]:
        if self.reactions_s:
            p50, p95 = percentile(self.reactions_s, 0.5), percentile(self.reactions_s, 0.95)
            yield Figure(f"reaction p50, {len(self.reactions_s)} rounds", f"{p50:.2f} s")
            yield Figure("reaction p95", f"{p95:.2f} s", f"<= {_REACTION_GOAL_S:g} s", p95 <= _REACTION_GOAL_S)

    def _scale(self) -> Iterator[Figure]:
        if self.pools_s:
            ratio = median(pools / bare for pools, bare in zip(self.pools_s, self.bare_s, strict=True))
            yield Figure(f"{self.pools} bare Deployments Ready, median", f"{median(self.bare_s):.1f} s")
            yield Figure(f"{self.pools} pools Ready, median", f"{median(self.pools_s):.1f} s")
            yield Figure(
                "ratio, median of the repetitions", f"{ratio:.2f}", f"<= {_RATIO_GOAL:g}", ratio <= _RATIO_GOAL
            )
            yield Figure("operator CPU per pool, median", f"{1000 * median(self.operator_cpu_s_per_pool):.1f} ms")
            yield Figure("operator memory at most", f"{self.peak_resident_bytes / 2**20:.0f} MiB")

    def _idle(self) -> Iterator[Figure]:
        if self.idle:
            minutes, writes = self.idle.seconds / 60, self.idle.writes
            name = f"idle, {self.pools} pools: writes per minute but the Lease"
            yield Figure(name, f"{writes / minutes:.1f}", "0", writes == 0)
            yield Figure("idle: writes of the Lease per minute", f"{self.idle.lease_writes / minutes:.1f}")
            yield Figure("idle: other API calls per minute", f"{self.idle.reads / minutes:.1f}")
            yield Figure("idle: operator CPU, share of one core", f"{self.idle.cpu_percent:.1f} %")
            yield Figure("idle: operator memory", f"{self.idle.resident_bytes / 2**20:.0f} MiB")


@contextlib.contextmanager
def _cluster(node_config: dict[str, Any]) -> Iterator[tuple[Path, Installation]]:
    with (
        Cluster.start(f"bench-{os.getpid()}", node_config=node_config) as cluster,
        installed(cluster.kubeconfig) as mixserve,
    ):
        yield cluster.kubeconfig, mixserve


def _images(load_file: Path) -> list[dict[str, Any]]:
    engine = [sys.executable, str(Path(__file__).with_name("metered_engine.py")), str(load_file)]
    executables = {"vllm": engine, "python3": [sys.executable]}
    return [{"pattern": "vllm/vllm-openai:*", "executables": executables}]


async def _reaction(kubeconfig: Path, load_file: Path, rounds: int) -> list[float]:
    print(f"reaction: {rounds} rounds", file=sys.stderr)
    client = await ClusterClient.connect(kubeconfig)
    try:
        return await _reaction_rounds(client, load_file, rounds)
    finally:
        await client.close()


async def _reaction_rounds(client: ClusterClient, load_file: Path, rounds: int) -> list[float]:
    namespace = "bench-reaction"
    await client.create_namespace(namespace)
    reaction.write_load(load_file, running=0, waiting=0)
    await client.create(reaction.pool("metered", rounds=rounds), namespace=namespace)
    await client.wait("mixserve.dev/v1alpha1", "LLMServingPool", namespace=namespace, holds=_one_is_ready)
    return await reaction.measure(
        client,
        namespace=namespace,
        deployment="metered-bf16",
        load_file=load_file,
        rounds=rounds,
        seed=1,
    )


def _one_is_ready(pools: Sequence[Mapping[str, Any]]) -> bool:
    return any(map(scale.is_ready, pools))


async def _scale(client: ClusterClient, mixserve: Installation, report: Report, repetition: int) -> str:
    """One repetition; returns the namespace that still holds the pools."""
    bare, pools = f"bench-bare-{repetition}", f"bench-pools-{repetition}"
    for namespace in (bare, pools):
        await client.create_namespace(namespace)
    template = await _template(client, pools)
    report.bare_s.append(await scale.bare(client, namespace=bare, count=report.pools, template=template))
    await client.delete_namespace(bare)
    before_s = cpu_s(mixserve.operator.pid)
    report.pools_s.append(await scale.pools(client, namespace=pools, count=report.pools))
    report.operator_cpu_s_per_pool.append((cpu_s(mixserve.operator.pid) - before_s) / report.pools)
    report.peak_resident_bytes = max(report.peak_resident_bytes, peak_resident_bytes(mixserve.operator.pid))
    return pools


async def _template(client: ClusterClient, namespace: str) -> dict[str, Any]:
    """The pod template of a pool's Deployment, so that both sides start the same pod."""
    await client.create(scale.pool("template"), namespace=namespace)
    found = await client.wait("apps/v1", "Deployment", namespace=namespace, holds=bool)
    await client.delete("mixserve.dev/v1alpha1", "LLMServingPool", namespace=namespace, name="template")
    template: dict[str, Any] = found[0]["spec"]["template"]
    template["spec"].pop("serviceAccount", None)
    template["spec"]["serviceAccountName"] = "default"
    return template


async def _scale_and_idle(
    kubeconfig: Path,
    mixserve: Installation,
    arguments: argparse.Namespace,
    report: Report,
) -> None:
    client = await ClusterClient.connect(kubeconfig)
    try:
        async with idle_engines():
            await _repetitions(client, mixserve, arguments.repetitions, report)
            print(f"idle: {arguments.idle_s:.0f} s after {_REST_S:.0f} s of rest", file=sys.stderr)
            await asyncio.sleep(_REST_S)
            report.idle = await idle_fleet.measure(
                pid=mixserve.operator.pid,
                metrics_url=mixserve.metrics_url,
                seconds=arguments.idle_s,
            )
    finally:
        await client.close()


async def _repetitions(client: ClusterClient, mixserve: Installation, count: int, report: Report) -> None:
    """Repeat, and leave the last one's pools for the measurement of an idle fleet."""
    for repetition in range(count):
        print(f"scale: {report.pools} objects, {repetition + 1} of {count}", file=sys.stderr)
        namespace = await _scale(client, mixserve, report, repetition)
        if repetition + 1 < count:
            await client.delete_namespace(namespace)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, default=500)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=20, help="rounds of the reaction, at most 31")
    parser.add_argument("--idle-s", type=float, default=60.0)
    parser.add_argument("--output", type=Path, default=Path("out/bench-reconcile.json"))
    return parser.parse_args()


def main() -> int:
    """Run, print the table with the goals, write the figures; 1 if a goal is missed."""
    arguments = _arguments()
    report = Report(pools=arguments.pools)
    with tempfile.TemporaryDirectory() as directory:
        load_file = Path(directory) / "load.json"
        with _cluster({"nodes": [_PROCESS_NODES], "images": _images(load_file)}) as (kubeconfig, _):
            report.reactions_s = asyncio.run(_reaction(kubeconfig, load_file, arguments.rounds))
    hollow = {**_HOLLOW_NODES, "count": -(-arguments.pools // _GPUS_PER_NODE) + 1}
    with _cluster({"nodes": [hollow], "images": []}) as (kubeconfig, mixserve):
        asyncio.run(_scale_and_idle(kubeconfig, mixserve, arguments, report))
    figures = report.figures()
    print(*figures, sep="\n")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(asdict(report), indent=2))
    return int(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
