"""`mixserve dev forward`: one address of this machine for the pods behind a Service of an embedded cluster."""

import contextlib
from typing import Annotated

import typer

from mixserve.cli.embedded import clear_errors
from mixserve.cli.output import note

_HOST = "127.0.0.1"
_LOOK_EVERY_S = 1.0


def forward(
    service: Annotated[str, typer.Argument(help="Name of the Service.")],
    *,
    name: Annotated[str, typer.Option("--name", help="Name of the cluster.")] = "dev",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the Service.")] = "default",
    port: Annotated[str, typer.Option(help="Port of the Service, by number or name; by default its first.")] = "",
    listen: Annotated[int, typer.Option(help="Port to listen on; 0: any free one.", min=0, max=65535)] = 0,
) -> None:
    """Listen on 127.0.0.1 and hand each connection to a ready pod of a Service, until Ctrl-C."""
    with clear_errors(), contextlib.suppress(KeyboardInterrupt):
        import asyncio

        from mixserve_devcluster import records
        from mixserve_devcluster.api_connection import ApiConnection
        from mixserve_devcluster.cluster import ended_by_signals
        from mixserve_devcluster.errors import PortError
        from mixserve_devcluster.forwarding import Forwarder
        from mixserve_devcluster.service_endpoints import read

        paths, _ = records.find(name)
        api = ApiConnection.from_kubeconfig(paths.kubeconfig)
        forwarder = Forwarder(lambda: read(api, namespace=namespace, service=service, port=port))

        async def run() -> None:
            async with forwarder.listening(_HOST, listen) as number:
                note(f"http://{_HOST}:{number} is Service {service!r} in namespace {namespace!r}; end it with Ctrl-C")
                while records.read(paths) is not None:  # noqa: ASYNC110 - the cluster tells nobody when it ends
                    await asyncio.sleep(_LOOK_EVERY_S)
            note(f"cluster {name!r} is gone, and nothing is forwarded any more")

        with ended_by_signals():
            try:
                asyncio.run(run())
            except OSError as error:
                raise PortError(f"cannot listen on {_HOST}:{listen}: {error.strerror}") from error
