"""The command line `mixserve`.

Here belong: one file for each command or group of commands, which reads arguments, calls the room that does the
work, and prints. Here does not belong: the work itself. What a command needs is imported when it runs, so that
`mixserve --help` and completion are quick.
"""

import typer

from mixserve.cli import dev, operator
from mixserve.cli.facts import facts
from mixserve.cli.gateway import gateway
from mixserve.cli.plan import plan

app = typer.Typer(
    name="mixserve",
    help="Serve many language models as one service on Kubernetes.",
    no_args_is_help=True,
    # The traceback of a bug is for its report, in full and without the values of variables, which may be secret.
    pretty_exceptions_enable=False,
)
app.command()(plan)
app.command()(facts)
app.command()(gateway)
app.add_typer(dev.app, name="dev")
app.add_typer(operator.app, name="operator")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mixserve {version('mixserve')}")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Show the version."),
) -> None:
    """Take the options that stand before a command."""
