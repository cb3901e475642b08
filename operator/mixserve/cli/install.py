"""`mixserve dev install`: Mixserve on a cluster that `mixserve dev up` has started."""

import contextlib
from typing import Annotated

import typer

from mixserve.cli.embedded import clear_errors
from mixserve.cli.output import note

_LOOK_EVERY_S = 1.0


def install(name: Annotated[str, typer.Option("--name", help="Name of the cluster.")] = "dev") -> None:
    """Install the chart on an embedded cluster, and run the operator for it until Ctrl-C."""
    with clear_errors(), contextlib.suppress(KeyboardInterrupt):
        from mixserve_devcluster import records
        from mixserve_devcluster.cluster import ended_by_signals
        from mixserve_devcluster.installation import installed, sole_operator

        paths, _ = records.find(name)
        with (
            ended_by_signals(),
            sole_operator(paths.kubeconfig),
            installed(paths.kubeconfig, webhook=True) as mixserve,
        ):
            note(f"Mixserve is on cluster {name!r}; its operator logs to {mixserve.operator_log}; end it with Ctrl-C")
            while records.read(paths) is not None:
                mixserve.operator.ensure_running()
                mixserve.operator.wait(_LOOK_EVERY_S)
            note(f"cluster {name!r} is gone, and the operator with it")
