"""`mixserve gateway`: the process beside Envoy in a gateway's pod."""

from typing import Annotated

import typer

from mixserve.cli.output import exit_on


def gateway(
    write_bootstrap: Annotated[
        bool, typer.Option("--write-bootstrap", help="Only write what Envoy starts with, and end.")
    ] = False,
) -> None:
    """Configure the pod's Envoy and decide for it until SIGTERM; settings are variables (MIXSERVE_GATEWAY_...)."""
    import signal
    import sys

    # Before the rest is imported, which takes seconds: the first process of a container has no handler of its own, so a
    # pod that is deleted that early would stay until its grace period is over.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    import uvloop

    from mixserve.controller.logs import configure_logs
    from mixserve.controller.running import StartError
    from mixserve.controller.settings import SettingsError
    from mixserve.controller.web import ListenError
    from mixserve.envoy_module import ModuleMissingError
    from mixserve.gateway import process
    from mixserve.gateway.settings import read_gateway_settings

    with exit_on(SettingsError):
        settings = read_gateway_settings()
    configure_logs(settings.log_level, settings.log_format)
    if write_bootstrap:
        with exit_on(ModuleMissingError):
            process.write_bootstrap(settings)
        return
    with exit_on(StartError, ListenError):
        uvloop.run(process.run_gateway(settings))
