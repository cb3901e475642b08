"""`mixserve dev`: the embedded cluster."""

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixserve.cli.demo import demo
from mixserve.cli.embedded import clear_errors
from mixserve.cli.forward import forward
from mixserve.cli.generate import generate
from mixserve.cli.install import install
from mixserve.cli.output import Output, note, print_json, print_table

if TYPE_CHECKING:
    from mixserve_devcluster.cluster_status import ClusterStatus

app = typer.Typer(help="A Kubernetes cluster of local processes, to try things on.", no_args_is_help=True)
app.command()(generate)
app.command()(demo)
app.command()(install)
app.command()(forward)

Name = Annotated[str, typer.Option("--name", help="Name of the cluster; several can run side by side.")]
OutputForm = Annotated[Output, typer.Option("--output", "-o", help="Form of the answer.")]


@app.command()
def up(
    name: Name = "dev",
    nodes: Annotated[
        Path | None,
        typer.Option(
            help="YAML file: which nodes there are, what runs an image. By default two nodes with an L4, one with "
            "eight H100, and simulated engines.",
            dir_okay=False,
            exists=True,
        ),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option("--detach/--foreground", help="Leave it in the background, or run until Ctrl-C."),
    ] = True,
) -> None:
    """Start a cluster. The first time its binaries are built, which takes minutes."""
    with clear_errors():
        from mixserve_devcluster import binaries, component_flags, records, supervisor
        from mixserve_devcluster.processes import require_linux

        require_linux()
        record = records.read(records.ClusterPaths(name=name))
        if record and record.alive:
            if not record.ready:
                note(f"cluster {name!r} is being started; waiting for it")
                supervisor.wait_until_up(name)
            note(f"cluster {name!r} is up already")
            return
        _warn_of_taken_ports()
        for binary in (*component_flags.COMPONENTS, "kubectl"):
            binaries.find(binary)
        note(f"starting cluster {name!r}")
        if detach:
            supervisor.start(name, nodes)
            _introduce(name)
        else:
            _run(name, nodes)


@app.command()
def down(name: Name = "dev") -> None:
    """Stop a cluster and remove everything that it has stored."""
    with clear_errors():
        from mixserve_devcluster import supervisor

        stopped = supervisor.stop(name)
        note(f"cluster {name!r} is gone" if stopped else f"cluster {name!r} had crashed; what it left is gone")


@app.command()
def status(
    name: Annotated[str | None, typer.Option("--name", help="One cluster; without it, all of them.")] = None,
    output: OutputForm = Output.TABLE,
) -> None:
    """Show the clusters, their nodes and pods."""
    with clear_errors():
        from dataclasses import asdict

        from mixserve_devcluster import cluster_status

        found = [cluster_status.read(name)] if name else cluster_status.read_all()
        if output is Output.JSON:
            print_json([asdict(each) for each in found])
        elif found:
            columns = ("NAME", "STATE", "UP", "NODES READY", "GPUS", "PODS", "SERVER")
            print_table(columns, [_row(each) for each in found])
        else:
            note("no cluster is up; start one: mixserve dev up")


@app.command()
def kubeconfig(
    name: Name = "dev",
    raw: Annotated[bool, typer.Option("--raw", help="Print the content of the file.")] = False,
) -> None:
    """Print the path of the administrator's kubeconfig."""
    with clear_errors():
        from mixserve_devcluster import records

        paths, _ = records.find(name)
        typer.echo(paths.kubeconfig.read_text() if raw else paths.kubeconfig, nl=not raw)


@app.command()
def logs(
    pod: Annotated[str, typer.Argument(help="Name of the pod.")],
    *,
    name: Name = "dev",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the pod.")] = "default",
    container: Annotated[str | None, typer.Option("--container", "-c", help="If the pod has several.")] = None,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Of the process before the last restart.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
) -> None:
    """Print what a container of a pod has said, also after the pod is gone."""
    with clear_errors(), contextlib.suppress(KeyboardInterrupt):
        from mixserve_devcluster import container_logs, records

        paths, _ = records.find(name)
        path = container_logs.find(paths.container_logs, namespace=namespace, pod=pod, container=container)
        if previous:
            path = container_logs.previous(path)
        for block in container_logs.read(path, follow=follow):
            sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()


@app.command(name="binaries")
def show_binaries(output: OutputForm = Output.TABLE) -> None:
    """Build the binaries that are not there yet, and show where each is."""
    with clear_errors():
        from mixserve_devcluster import binaries

        found = {name: binaries.get(name) for name in binaries.NAMES}
        if output is Output.JSON:
            print_json({name: {"path": str(binary.path), "origin": binary.origin} for name, binary in found.items()})
        else:
            rows = [(name, str(binary.origin), str(binary.path)) for name, binary in found.items()]
            print_table(("NAME", "ORIGIN", "PATH"), rows)


def _run(name: str, nodes: Path | None) -> None:
    from mixserve_devcluster.cluster import Cluster, ended_by_signals
    from mixserve_devcluster.default_nodes import default_nodes

    with (
        contextlib.suppress(KeyboardInterrupt),
        ended_by_signals(),
        Cluster.start(name, node_config=nodes or default_nodes()) as cluster,
    ):
        _introduce(name)
        note("stop it with Ctrl-C")
        cluster.run_until_stopped()


def _warn_of_taken_ports() -> None:
    """A cluster is of use without engines, so this is no error."""
    from mixserve.engines.registry import ADAPTERS
    from mixserve_devcluster import pod_ports
    from mixserve_devcluster.errors import PortError

    for adapter in ADAPTERS.values():
        try:
            pod_ports.require_free(adapter.port)
        except PortError as error:
            note(f"warning: {error}")


def _introduce(name: str) -> None:
    from mixserve_devcluster import binaries, records

    typer.echo(f"cluster {name!r} is up:")
    typer.echo(f"  export KUBECONFIG={shlex.quote(str(records.ClusterPaths(name=name).kubeconfig))}")
    typer.echo(f"  {shlex.quote(str(binaries.find('kubectl')))} get nodes")


def _row(status: "ClusterStatus") -> tuple[str, ...]:
    ready = sum(node.ready for node in status.nodes)
    pods = ", ".join(f"{count} {phase}" for phase, count in sorted(status.pods.items()))
    return (
        status.name,
        status.state,
        "-" if status.uptime_s is None else f"{status.uptime_s:.0f}s",
        f"{ready}/{len(status.nodes)}",
        str(sum(node.gpus for node in status.nodes)),
        pods or "none",
        status.server or "-",
    )
