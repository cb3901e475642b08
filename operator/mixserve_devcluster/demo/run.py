"""The demo from an empty machine to the last picture."""

import asyncio
import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mixserve.api.gateway_names import HTTP_PORT, READY_PORT, WEB_PORT
from mixserve.api.scalars import format_duration
from mixserve.engines.registry import adapter_for
from mixserve_devcluster import binaries, kubectl, pod_ports
from mixserve_devcluster.cluster import Cluster, ended_by_signals
from mixserve_devcluster.demo import kept_logs
from mixserve_devcluster.demo.drive import drive, wait_until_ready
from mixserve_devcluster.demo.manifests import Manifests
from mixserve_devcluster.demo.manifests import read as read_manifests
from mixserve_devcluster.demo.profiles import Profile
from mixserve_devcluster.demo.recording import Recording
from mixserve_devcluster.demo.spending import Spending
from mixserve_devcluster.demo.summary import failures, summarise, summary_rows
from mixserve_devcluster.demo.table import live_table
from mixserve_devcluster.demo.timeline import write_html, write_png
from mixserve_devcluster.demo.watching import Target, WatchedPool
from mixserve_devcluster.demo.workload import Arrival, arrivals, generated_lengths, trace_lengths
from mixserve_devcluster.errors import DevClusterError
from mixserve_devcluster.installation import installed
from mixserve_devcluster.processes import require_linux
from mixserve_devcluster.records import ClusterPaths

CLUSTER = "demo"
"""The cluster's name: the same for each run, so that what a killed one has left goes when the next one begins."""
NAMESPACE = "default"
# The same arrivals every time, so that two runs can be compared.
_SEED = 20231116


class NotShownError(DevClusterError):
    """The run went to its end and did not show what it has to show."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo leaves.

    Attributes:
        failures: why it did not show what it has to show; empty if it did.
        files: the pictures and the data and, where it failed, the directory with the logs.
    """

    failures: tuple[str, ...]
    files: tuple[Path, ...]


def run_demo(
    *,
    profile: Profile,
    example: Path,
    trace: Path | None,
    output: Path,
    console: Console,
) -> DemoResult:
    """Start a cluster, install Mixserve, apply the example, send the ramp, draw the timeline, clean up.

    Args:
        profile: the engine that serves, and the load that fits it.
        example: YAML of one LLMServingPool, or of several and the RoutingPolicy in front of them; file or directory.
        trace: lengths to send; None: generated ones.
        output: directory for the pictures and the data, made if missing.
        console: where progress and the live table go.

    Raises:
        DevClusterError: something did not come up; the message says what, and the console where the logs are.
    """
    require_linux()
    sample = _workload(profile, trace)
    recording = Recording(engine=profile.title, workload=sample.description)
    run = _Run(read_manifests(example, stabilization=profile.stabilization), profile, sample, recording)
    for port in run.ports:
        pod_ports.require_free(port)
    # Now, because one that can't be written would lose everything at the end.
    output.mkdir(parents=True, exist_ok=True)
    console.print(f"Workload: {sample.description}", highlight=False, soft_wrap=True)
    logs = _run_on_cluster(run, output / "logs", console)
    return _finish(recording, output=output, logs=logs, console=console)


@dataclass(frozen=True)
class _Sample:
    description: str
    arrivals: tuple[Arrival, ...]


def _workload(profile: Profile, trace: Path | None) -> _Sample:
    lengths = trace_lengths(trace) if trace else generated_lengths(_SEED)
    source = f"lengths of {trace.name}" if trace else "generated lengths in the style of a public conversation trace"
    limited = [profile.limit(item) for item in lengths]
    planned = tuple(arrivals(phases=profile.phases, lengths=limited, seed=_SEED))
    most = f"at most {profile.most.prompt_tokens} and {profile.most.answer_tokens} tokens"
    return _Sample(f"{len(planned)} requests, {source}, {most}", planned)


@dataclass(frozen=True)
class _Run:
    """What is run, and what it is recorded into."""

    manifests: Manifests
    profile: Profile
    sample: _Sample
    recording: Recording

    @property
    def target(self) -> Target:
        """The pools as they are watched."""
        engines = [(pool.metadata.name, pool.spec.engine) for pool in self.manifests.pools]
        watched = tuple(WatchedPool(name, adapter_for(engine.type), engine.version) for name, engine in engines)
        policy = self.manifests.policy
        return Target(NAMESPACE, watched, policy.metadata.name if policy else None)

    @property
    def ports(self) -> set[int]:
        """What pods listen on."""
        gateway = {HTTP_PORT, READY_PORT, WEB_PORT} if self.manifests.policy else set()
        return {pool.adapter.port for pool in self.target.pools} | gateway

    def on(self, cluster: Cluster, console: Console) -> None:
        """Install Mixserve, apply the example, send the ramp.

        Raises:
            NotShownError: no pool grew and shrank again, or requests failed.
        """
        what = "Installing CRDs, catalogue and RBAC of the chart; starting the operator under its ServiceAccount"
        console.print(what, soft_wrap=True)
        with installed(cluster.kubeconfig, webhook=True):
            window = format_duration(self.profile.stabilization)
            command = f"kubectl apply -f {shlex.quote(str(self.manifests.path))}"
            console.print(f"{command}  (with scaleDown.stabilization {window})", soft_wrap=True)
            kubectl.apply(cluster.kubeconfig, self.manifests.objects, namespace=NAMESPACE)
            asyncio.run(self.show(cluster.kubeconfig, console))
            kinds = "llmservingpools" + (",routingpolicies" if self.manifests.policy else "")
            console.print(f"kubectl get {kinds}")
            found = kubectl.run(cluster.kubeconfig, "get", kinds, "--namespace", NAMESPACE)
            console.print(found.rstrip(), highlight=False, soft_wrap=True)
        if reasons := failures(summarise(self.recording)):
            raise NotShownError("; ".join(reasons))

    async def show(self, kubeconfig: Path, console: Console) -> None:
        gateway = " and the gateway" if self.manifests.policy else ""
        console.print(f"Waiting for all pools{gateway} to be Ready: {self.profile.start_note}", soft_wrap=True)
        await wait_until_ready(kubeconfig=kubeconfig, target=self.target, deadline_s=self.profile.ready_deadline_s)
        with live_table(console, self.recording) as show:
            await drive(
                kubeconfig=kubeconfig,
                target=self.target,
                model=self.manifests.model,
                arrivals=self.sample.arrivals,
                recording=self.recording,
                show=show,
                settle_s=self.profile.settle_s,
            )
        self._in_order_of_tiers()

    def _in_order_of_tiers(self) -> None:
        """All tiers of the policy from the cheapest, those without requests too; what no tier got is left out."""
        if policy := self.manifests.policy:
            counted = self.recording.spending
            self.recording.spending = {tier.name: counted.get(tier.name, Spending()) for tier in policy.spec.tiers}


def _run_on_cluster(run: _Run, logs: Path, console: Console) -> Path | None:
    """Record the run on a cluster of its own; return where the logs are if it did not show what it has to show."""
    # Before there is a cluster: one that is missing is built, which takes minutes, or is an error.
    for name in binaries.NAMES:
        binaries.find(name)
    paths = ClusterPaths(name=CLUSTER)
    console.print("Starting a control plane and the local node")
    try:
        with ended_by_signals(), Cluster.start(paths.name, node_config=run.profile.node_config()) as cluster:
            run.on(cluster, console)
    except NotShownError:
        return kept_logs.keep(paths, logs)
    except Exception:
        if kept := kept_logs.keep(paths, logs):
            console.print(f"Logs of the operator, the node and the engines: {kept}", highlight=False, soft_wrap=True)
        raise
    return None


def _finish(recording: Recording, *, output: Path, logs: Path | None, console: Console) -> DemoResult:
    summary = summarise(recording)
    png, page, data = output / "timeline.png", output / "timeline.html", output / "recording.json"
    write_png(recording, png)
    write_html(recording, summary, page)
    data.write_text(recording.to_json(), encoding="utf-8")
    console.print(f"\nSummary ({recording.engine})", style="bold")
    for name, value in summary_rows(summary):
        console.print(f"  {name:14} {value}", highlight=False, soft_wrap=True)
    console.print("  Decisions")
    for decision in recording.decisions:
        console.print(
            f"    {decision.at_s:4.0f} s  {decision.pool}: {decision.message}", highlight=False, soft_wrap=True
        )
    files = (png, page, data, *([logs] if logs else []))
    return DemoResult(failures=tuple(failures(summary)), files=files)
