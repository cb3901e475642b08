"""`mixserve plan`: what manifests of pools would become and cost, without a cluster."""

from __future__ import annotations

import os
import re
import sys
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool
    from mixserve.api.speculative_pair import SpeculativePair
    from mixserve.cli.manifests import Manifests
    from mixserve.cli.plan_against import Cluster
    from mixserve.cli.plan_report import Report
    from mixserve.plan.cost import ApiPrice

_LONGEST = 2**24
"""Tokens; what maxModelLen allows."""

_RATE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_PRICES = re.compile(rf"({_RATE.pattern}),({_RATE.pattern})")
_TIME = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s)")
_UNIT_S = {"ms": 0.001, "s": 1.0}


class PlanOutput(StrEnum):
    """How the plan is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"


def plan(
    *,
    filename: Annotated[
        list[str],
        typer.Option(
            "--filename",
            "-f",
            metavar="PATH",
            help="Manifests: a file, a directory with all that is below it, or - for standard input. May be repeated.",
        ),
    ],
    output: Annotated[PlanOutput, typer.Option("--output", "-o", help="Form of the answer.")] = PlanOutput.TABLE,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of pools that name none.")] = "default",
    prompt_tokens: Annotated[
        int,
        typer.Option(
            min=1, max=_LONGEST, help="Mean length of a prompt; by default that of Azure's conversations of 2023."
        ),
    ] = 1155,
    answer_tokens: Annotated[
        int,
        typer.Option(min=1, max=_LONGEST, help="Mean length of an answer; by default that of the same conversations."),
    ] = 211,
    rate: Annotated[
        str | None, typer.Option(metavar="REQUESTS", help="Requests per second: adds what a month of them costs.")
    ] = None,
    api_price: Annotated[
        str | None,
        typer.Option(metavar="INPUT,OUTPUT", help="USD per 1M tokens of an API, as in 0.15,0.60: adds the break-even."),
    ] = None,
    ttft: Annotated[
        str | None, typer.Option(metavar="TIME", help="Longest time to the first token, as in 500ms or 2s.")
    ] = None,
    tpot: Annotated[str | None, typer.Option(metavar="TIME", help="Longest time per output token, as in 50ms.")] = None,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Leave the Hugging Face hub alone; HF_HUB_OFFLINE=1 does the same."),
    ] = False,
    against: Annotated[
        bool,
        typer.Option(
            "--against", help="Say what would change in the cluster of the kubeconfig as well, by its own catalogue."
        ),
    ] = False,
    context: Annotated[
        str | None, typer.Option(metavar="NAME", help="The context of the kubeconfig for --against, which it implies.")
    ] = None,
) -> None:
    """Say what pools would become: do they fit, how fast are they, what do they cost, what is wrong with them.

    Needs no cluster, unless --against asks for one. The numbers of models on the hub are read there, with HF_TOKEN and
    HF_ENDPOINT, and kept. Exit code 1 where something is wrong with the manifests.
    """
    from mixserve.cli.hub_files import is_offline
    from mixserve.cli.manifest_files import UnreadableError, manifest_files
    from mixserve.cli.manifests import read_manifests
    from mixserve.cli.plan_files import PlanFiles
    from mixserve.cli.plan_report import report_on
    from mixserve.plan.forecast import Question
    from mixserve.plan.prediction import Workload

    question = Question(
        workload=Workload(prompt_tokens=prompt_tokens, answer_tokens=answer_tokens),
        requests_per_s=_rate(rate),
        api=_api_price(api_price),
        longest_ttft_s=_time_s(ttft, "--ttft"),
        longest_tpot_s=_time_s(tpot, "--tpot"),
    )
    try:
        manifests = read_manifests(manifest_files(filename), namespace=namespace)
    except UnreadableError as error:
        raise typer.BadParameter(str(error), param_hint="--filename") from error
    if manifests.is_empty:
        raise typer.BadParameter(f"there is nothing of Mixserve in {', '.join(filename)}", param_hint="--filename")
    cluster = _cluster(context, manifests) if against or context is not None else None
    files = PlanFiles(_with_pairs(manifests, cluster), offline=offline or is_offline())
    report = report_on(manifests, files=files, question=question, cluster=cluster)
    typer.echo(_text(report, output), nl=False)
    raise typer.Exit(0 if report.is_valid else 1)


def _with_pairs(
    manifests: Manifests,
    cluster: Cluster | None,
) -> list[tuple[LLMServingPool, SpeculativePair | None]]:
    from mixserve.plan.speculation import pair_of

    pools = [pool for _, pool in manifests.pools]
    live = [{}] * len(pools) if cluster is None else [one.pairs for one in cluster.pools]
    return [(pool, pair_of(pool, manifests.pairs_for(pool, base))) for pool, base in zip(pools, live, strict=True)]


def _cluster(context: str | None, manifests: Manifests) -> Cluster:
    from mixserve.cli.plan_against import NoClusterError, look

    try:
        return look(context, [pool for _, pool in manifests.pools])
    except NoClusterError as error:
        # Not 1: that would say that something is wrong with the manifests.
        raise typer.BadParameter(f"no cluster to compare with: {error}", param_hint="--against") from error


def _text(report: Report, output: PlanOutput) -> str:
    match output:
        case PlanOutput.TABLE:
            from mixserve.cli.plan_table import table

            return table(report, _painted if _is_colourful() else str)
        case PlanOutput.MARKDOWN:
            from mixserve.cli.plan_markdown import markdown

            return markdown(report)
        case PlanOutput.JSON:
            import json

            from mixserve.cli.plan_wire import wire

            return f"{json.dumps(wire(report), indent=2, ensure_ascii=False)}\n"
        case PlanOutput.YAML:
            import yaml

            from mixserve.cli.plan_wire import wire

            return yaml.safe_dump(wire(report), sort_keys=False, width=120, allow_unicode=True)


def _is_colourful() -> bool:
    # https://no-color.org: any value but an empty one.
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _painted(cell: str) -> str:
    colours = {"yes": typer.colors.GREEN, "no": typer.colors.RED, "unknown": typer.colors.YELLOW}
    colour = colours.get(cell.strip())
    return cell if colour is None else typer.style(cell, fg=colour)


def _rate(text: str | None) -> Decimal | None:
    if text is None:
        return None
    if not _RATE.fullmatch(text) or not Decimal(text):
        raise typer.BadParameter(f"{text!r} is not a number above 0, as in 2.5", param_hint="--rate")
    return Decimal(text)


def _api_price(text: str | None) -> ApiPrice | None:
    from mixserve.plan.cost import ApiPrice

    if text is None:
        return None
    found = _PRICES.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not INPUT,OUTPUT in USD, as in 0.15,0.60", param_hint="--api-price")
    prompt, answer = text.split(",")
    return ApiPrice(prompt=Decimal(prompt), answer=Decimal(answer))


def _time_s(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a time, as in 500ms or 2s", param_hint=option)
    return float(found[1]) * _UNIT_S[found[2]]
