"""Requests with real lengths on a ramp: what the demo sends and when."""

import csv
import gzip
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from mixserve_devcluster.errors import DevClusterError

# Log-normal fits to the conversation trace of the Azure Public Dataset (2023, CC-BY): mean and deviation of the
# logarithm of prompt and answer tokens.
_PROMPT_LOG_MEAN, _PROMPT_LOG_DEVIATION = 6.63, 0.985
_ANSWER_LOG_MEAN, _ANSWER_LOG_DEVIATION = 5.02, 0.86
_SAMPLE_SIZE = 2000


class WorkloadError(DevClusterError):
    """The trace can't be used; the message says why."""


@dataclass(frozen=True)
class Lengths:
    """Token counts of one request, both at least 1."""

    prompt_tokens: int
    answer_tokens: int


@dataclass(frozen=True)
class Phase:
    """A stretch of the ramp: the rate goes linearly from one value to another.

    Attributes:
        duration_s: seconds, > 0.
        from_rps: requests per second at the beginning, >= 0.
        to_rps: requests per second at the end, >= 0.
    """

    name: str
    duration_s: float
    from_rps: float
    to_rps: float


@dataclass(frozen=True)
class Arrival:
    """One request: when it is sent (seconds from the start) and how long it is."""

    at_s: float
    lengths: Lengths


def generated_lengths(seed: int) -> list[Lengths]:
    """A sample with the length distribution of the public conversation trace."""
    rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
    return [
        Lengths(
            prompt_tokens=max(1, min(4096, round(rng.lognormvariate(_PROMPT_LOG_MEAN, _PROMPT_LOG_DEVIATION)))),
            answer_tokens=max(1, min(1000, round(rng.lognormvariate(_ANSWER_LOG_MEAN, _ANSWER_LOG_DEVIATION)))),
        )
        for _ in range(_SAMPLE_SIZE)
    ]


def trace_lengths(path: Path) -> list[Lengths]:
    """Lengths of a CSV (or .csv.gz) with the columns ContextTokens and GeneratedTokens.

    Raises:
        WorkloadError: the file can't be read, or has no such columns or rows.
    """
    try:
        with _open_text(path) as lines:
            rows = [
                Lengths(prompt_tokens=int(row["ContextTokens"]), answer_tokens=int(row["GeneratedTokens"]))
                for row in csv.DictReader(lines)
            ]
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        # A text that can't be decoded has all of it in its repr.
        cause = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else repr(error)
        message = f"{path} is no trace: {cause}; expected CSV columns ContextTokens and GeneratedTokens"
        raise WorkloadError(message) from error
    usable = [row for row in rows if row.prompt_tokens > 0 and row.answer_tokens > 0]
    if not usable:
        raise WorkloadError(f"{path} holds no request")
    return usable


def _open_text(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def arrivals(
    *,
    phases: Sequence[Phase],
    lengths: Sequence[Lengths],
    seed: int,
) -> Iterator[Arrival]:
    """Poisson arrivals along the phases (thinning), lengths taken from the sample in order."""
    rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
    peak_rps = max(max(phase.from_rps, phase.to_rps) for phase in phases)
    end_s = sum(phase.duration_s for phase in phases)
    now_s, taken = 0.0, 0
    while (now_s := now_s + rng.expovariate(peak_rps)) < end_s:
        if rng.random() * peak_rps < rate_at(phases, now_s):
            yield Arrival(at_s=now_s, lengths=lengths[taken % len(lengths)])
            taken += 1


def rate_at(phases: Sequence[Phase], at_s: float) -> float:
    """Requests per second at a time since the start; 0 after the end."""
    for phase in phases:
        if at_s < phase.duration_s:
            return phase.from_rps + (phase.to_rps - phase.from_rps) * at_s / phase.duration_s
        at_s -= phase.duration_s
    return 0.0
