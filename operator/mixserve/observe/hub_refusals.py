"""What it means that the hub does not give a checkpoint, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mixserve.plan.absence import Absence, Outlook

if TYPE_CHECKING:
    from mixserve.plan.model_source import Repository

_UNAUTHORIZED, _FORBIDDEN = 401, 403
_GIVE_FACTS = "or give the model's numbers in spec.model.facts"


def no_answer(endpoint: str, detail: str) -> Absence:
    """Nobody can tell."""
    return Absence(
        outlook=Outlook.LATER,
        detail=detail,
        remedy=f"let the operator reach {endpoint}, name a mirror in its chart's hub.endpoint, {_GIVE_FACTS}",
    )


def no_model(repository: Repository, problem: str) -> Absence:
    """The repository is there, and has no model that anybody could plan."""
    return Absence(
        outlook=Outlook.NEVER,
        detail=f"{repository} can't be used: {problem}",
        remedy=f"name a repository with a model for transformers, {_GIVE_FACTS}",
    )


def refusal(
    error: HfHubHTTPError,
    repository: Repository,
    *,
    endpoint: str,
    has_token: bool,
) -> Absence:
    """What the hub's refusal means.

    Args:
        error: as huggingface_hub reads it.
        repository: what was asked for.
        endpoint: the hub.
        has_token: whether a token was sent.
    """
    status = error.response.status_code
    # A gated repository is also one that is not found: as far as whoever asks is concerned.
    if isinstance(error, DisabledRepoError | GatedRepoError) or status in {_UNAUTHORIZED, _FORBIDDEN}:
        detail, remedy = _without_access(error, f"{repository} on {endpoint}", has_token=has_token)
        return Absence(outlook=Outlook.LATER, detail=detail, remedy=f"{remedy}, {_GIVE_FACTS}")
    if isinstance(error, RevisionNotFoundError):
        return Absence(
            outlook=Outlook.NOT_THERE,
            detail=f"{endpoint} has no revision {repository.revision} of {repository}",
            remedy="name a commit of this repository, as its page shows them under Files and versions",
        )
    if isinstance(error, RepositoryNotFoundError):
        return Absence(
            outlook=Outlook.NOT_THERE,
            detail=f"{endpoint} has no {repository}{', or none that this token may read' if has_token else ''}",
            remedy="correct the name of the repository",
        )
    return no_answer(endpoint, f"{endpoint} answers {status}")


def _without_access(error: HfHubHTTPError, what: str, *, has_token: bool) -> tuple[str, str]:
    """Detail and remedy."""
    accept = "accept its licence on the repository's page as the owner of the token"
    and_name = "name a Secret with a token in spec.model.tokenSecretRef"
    if isinstance(error, DisabledRepoError):
        return f"{what} is disabled there", "name another repository"
    if isinstance(error, GatedRepoError):
        return (
            f"{what} is for those who have accepted its licence",
            accept if has_token else f"{accept}, and {and_name}",
        )
    if error.response.status_code == _FORBIDDEN:
        return f"{what} may not be read", f"{accept}, or give the token the right to read it" if has_token else and_name
    if has_token:
        return f"{what} may not be read: the token is not valid", "renew the token in its Secret"
    return f"{what} is not there, or is private", f"correct the name, or {and_name}"
