"""`mixserve facts`: what Mixserve reads of a checkpoint, to be looked at or pasted into a pool."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.plan.facts import Facts

_ON_HUB = re.compile(r"(hf://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)(?:@([0-9a-f]{40}))?")


class FactsOutput(StrEnum):
    """How the facts are printed."""

    YAML = "yaml"
    JSON = "json"


class _NotReadError(Exception):
    """There is nothing to say of the source; the message says why."""


def facts(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A directory, host:///PATH, or hf://ORGANISATION/NAME@REVISION."),
    ],
    *,
    output: Annotated[
        FactsOutput, typer.Option("--output", "-o", help="yaml: spec.model.facts to paste; json: all that was read.")
    ] = FactsOutput.YAML,
) -> None:
    """Say what Mixserve reads of a checkpoint: the numbers that planning needs, how it is quantized, its tokenizer.

    For the hub, HF_TOKEN and HF_ENDPOINT count. Exit code 1 where it can't be read, or its numbers are not known.
    """
    from mixserve.plan.facts import facts_from_config

    try:
        config = _config(source)
    except _NotReadError as error:
        _fail(source, str(error), output)
    found = facts_from_config(config)
    typer.echo(_json(source, config, found) if output is FactsOutput.JSON else _yaml(source, config, found))


def _config(source: str) -> Mapping[str, Any]:
    """What was read of the source.

    Raises:
        _NotReadError: nothing.
    """
    if source.startswith("pvc://"):
        raise _NotReadError(
            "a volume is seen by pods only; the operator reads it with a Job, and here its directory can be named"
        )
    return _on_hub(source) if source.startswith("hf://") else _in_directory(source.removeprefix("host://"))


def _on_hub(source: str) -> Mapping[str, Any]:
    from mixserve.cli.hub_files import read_hub
    from mixserve.plan.absence import Absence
    from mixserve.plan.model_source import Repository

    matched = _ON_HUB.fullmatch(source)
    if matched is None or matched[2] is None:
        raise _NotReadError("on the hub it is hf://ORGANISATION/NAME@REVISION, with a commit of 40 hexadecimal digits")
    repository = Repository(matched[1], matched[2])
    found = read_hub([repository], with_tokenizer=[repository])[repository]
    if isinstance(found, Absence):
        raise _NotReadError(f"{found.detail}; {found.remedy}")
    return found


def _in_directory(path: str) -> Mapping[str, Any]:
    from pathlib import Path

    from mixserve.observe.checkpoint import NoConfigError
    from mixserve.observe.model_files import read_directory

    directory = Path(path)
    try:
        if directory.is_file():
            raise _NotReadError(f"it is a file; name the directory that it is in: {directory.parent}")
        if not directory.is_dir():
            raise _NotReadError("there is no such directory")
        return read_directory(directory)
    except (NoConfigError, OSError) as error:
        raise _NotReadError(str(error)) from error


def _fail(source: str, problem: str, output: FactsOutput) -> NoReturn:
    import json

    if output is FactsOutput.JSON:
        typer.echo(json.dumps({"source": source, "problem": problem}))
    else:
        typer.echo(f"error: {source}: {problem}", err=True)
    raise typer.Exit(1)


def _json(source: str, config: Mapping[str, Any], found: Facts) -> str:
    """On one line, for programs."""
    import json

    from mixserve.api.model_facts import ModelFacts
    from mixserve.observe.tokenizer import TOKENIZER
    from mixserve.plan.quant_method import quant_method

    known = found.to_wire() if isinstance(found, ModelFacts) else None
    return json.dumps(
        {
            "source": source,
            "facts": known,
            "problem": None if isinstance(found, ModelFacts) else _problem(found),
            "quantization": quant_method(config),
            "tokenizer": config.get(TOKENIZER),
            "config": config,
        }
    )


def _yaml(source: str, config: Mapping[str, Any], found: Facts) -> str:
    import yaml

    from mixserve.api.model_facts import ModelFacts
    from mixserve.plan.quant_method import UNQUANTIZED, quant_method

    if not isinstance(found, ModelFacts):
        _fail(source, f"{_problem(found)}; write its numbers into spec.model.facts by hand", FactsOutput.YAML)
    method = quant_method(config)
    stored = "in 16 or 32 bits" if method == UNQUANTIZED else f"as {method or 'nobody can tell'}"
    text = yaml.safe_dump({"facts": found.to_wire()}, sort_keys=False)
    return f"# {source}, stored {stored}. Under spec.model of a pool:\n{text.rstrip()}"


def _problem(found: Facts) -> str:
    from mixserve.plan.facts import InvalidFacts, UnknownFacts

    if isinstance(found, InvalidFacts):
        return "; ".join(found.problems)
    assert isinstance(found, UnknownFacts)
    return found.detail
