"""`mixserve operator`: the operator's own process."""

from __future__ import annotations

import typer

from mixserve.cli.output import exit_on

app = typer.Typer(help="The operator, as it runs in a cluster.", no_args_is_help=True)


@app.command()
def run() -> None:
    """Look after the pools of a cluster until SIGTERM. Settings are environment variables (MIXSERVE_...)."""
    import asyncio

    from mixserve.controller.leadership import LeadershipLostError
    from mixserve.controller.logs import configure_logs
    from mixserve.controller.running import StartError, run_operator
    from mixserve.controller.settings import SettingsError, read_settings
    from mixserve.controller.web import ListenError

    with exit_on(SettingsError):
        settings = read_settings()
    configure_logs(settings.log_level, settings.log_format)
    with exit_on(StartError, ListenError, LeadershipLostError):
        asyncio.run(run_operator(settings))
