"""Start-up errors that an engine's log shows, and those of libraries that all engines load models with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixserve.engines.protocol import StartupAdvice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# A message of a condition should stay readable whatever the log says.
_LONGEST_QUOTE = 200


@dataclass(frozen=True)
class StartupError:
    """One known error.

    Attributes:
        pattern: what the log contains.
        advice: from the match to cause and remedy.
    """

    pattern: re.Pattern[str]
    advice: Callable[[re.Match[str]], StartupAdvice]


def first_advice(log: str, errors: Iterable[StartupError]) -> StartupAdvice | None:
    """The advice for the first of the errors that the log contains; None if there is none."""
    for error in errors:
        found = error.pattern.search(log)
        if found:
            return error.advice(found)
    return None


def always(pattern: str, cause: str, remedy: str) -> StartupError:
    """An error whose advice takes nothing from the log but the groups that `cause` and `remedy` name as {1}, {2}."""

    def advice(found: re.Match[str]) -> StartupAdvice:
        words = ("", *((group or "")[:_LONGEST_QUOTE] for group in found.groups()))
        return StartupAdvice(cause=cause.format(*words), remedy=remedy.format(*words))

    return StartupError(re.compile(pattern), advice)


HUB_ERRORS = (
    always(
        r"GatedRepoError|access a gated repo|is restricted and you are not in the authorized list",
        "the repository is gated, and its licence was not accepted for the token, or there is no token",
        "accept the licence on the repository's page and name a token of that account in spec.model.tokenSecretRef",
    ),
    always(
        r"Invalid (?:user token|credentials|username or password)",
        "the Hugging Face Hub refuses the token",
        "put a valid token into the Secret of spec.model.tokenSecretRef",
    ),
    always(
        r"Revision Not Found|RevisionNotFoundError|(\S+) is not a valid git identifier",
        "the repository has no such revision",
        "set spec.model.revision, or the variant's revision, to a commit of the repository",
    ),
    always(
        r"Repository Not Found|RepositoryNotFoundError|is not a valid model identifier listed on",
        "the Hugging Face Hub has no such repository, or it is private and the token may not see it",
        "correct spec.model.source, or the variant's source, or name a token in spec.model.tokenSecretRef",
    ),
    always(
        r"couldn't connect to '([^']+)'|LocalEntryNotFoundError|thrown while requesting (?:HEAD|GET) (https?://[^/\s]+)",
        "the pod can't reach the Hugging Face Hub",
        "allow it in the network, or put the files on a volume and use a pvc:// source",
    ),
)
"""The Hugging Face Hub does not give the model; in the words of huggingface_hub and transformers."""
