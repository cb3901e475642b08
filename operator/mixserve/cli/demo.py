"""`mixserve dev demo`: the main job, watched live."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mixserve.cli.embedded import clear_errors
from mixserve.cli.output import note


class Engine(StrEnum):
    """What serves in the demo."""

    SIMULATED = "simulated"
    VLLM = "vllm"


def demo(
    engine: Annotated[Engine, typer.Option(help="simulated, or vllm: the real one on the CPU.")] = Engine.SIMULATED,
    example: Annotated[
        Path | None,
        typer.Option(
            help="YAML file or directory of them: an LLMServingPool, or several and a RoutingPolicy in front of them; "
            "without it examples/routing, or examples/quickstart for vllm.",
            exists=True,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="CSV (or .csv.gz) with ContextTokens and GeneratedTokens; without it, lengths are generated.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Directory for the timeline.")] = Path("out/demo"),
) -> None:
    """Send a ramp of requests through the gateway to pools on the embedded cluster; fails if none grows and shrinks."""
    with clear_errors():
        from mixserve_devcluster.processes import require_linux

        # Before the import of what draws the picture, which looks for fonts and writes down what it has found.
        require_linux()
        from rich.console import Console

        from mixserve_devcluster.demo.profiles import PROFILES
        from mixserve_devcluster.demo.run import run_demo

        profile = PROFILES[engine.value]
        result = run_demo(
            profile=profile, example=example or profile.example, trace=trace, output=output, console=Console()
        )
    typer.echo("Files")
    for path in result.files:
        typer.echo(f"  {path}")
    if result.failures:
        note("the demo failed: " + "; ".join(result.failures))
        raise typer.Exit(1)
    typer.echo(NEXT)


NEXT = """What next
  timeline.html                       in a browser: every decision with its reason
  examples/routing/README.md          the same by hand, on a cluster that stays
  examples/quickstart/README.md       one pool without a gateway
  examples/mixed-precision/README.md  FP8 on H100 beside INT4 AWQ on L4
  make demo ENGINE=vllm               one pool of real vLLM on the CPU
  docs/install.md                     Mixserve on your own cluster, with Helm"""
