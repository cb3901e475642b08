"""What went wrong at the API server in one look at a pool: it holds up nothing else, and is told afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from mixserve.apply.errors import Conflict, Terminating, Unavailable

if TYPE_CHECKING:
    from mixserve.apply.errors import ApiError

_log = structlog.get_logger(__name__)

_INTERNAL_ERROR = 500
"""What a broken admission webhook causes: it lasts, and people should know."""


class RefusedError(Exception):
    """The API server refused something of the pool; its status says so, and the pool is to be looked at again later."""


class Refusals:
    """Errors of one look.

    Attributes:
        lasting: what the API server will refuse again until somebody changes something, one sentence each.
        passing: the first error that will pass by itself, or None.
    """

    def __init__(self) -> None:
        self.lasting: list[str] = []
        self.passing: ApiError | None = None

    def take(self, what: str, error: ApiError) -> None:
        """Note an error.

        Args:
            what: what was being written, for people: "Deployment chat-main".
            error: what the API server answered.

        Raises:
            Terminating: the namespace is going, and the pool with it; nothing else is worth trying.
        """
        if isinstance(error, Terminating):
            raise error
        if isinstance(error, Conflict) or (isinstance(error, Unavailable) and error.status != _INTERNAL_ERROR):
            self.passing = self.passing or error
        else:
            _log.warning("write_refused", what=what, error=str(error))
            self.lasting.append(f"{what}: {error}")

    def ensure_none(self) -> None:
        """Ask for another look if anything went wrong.

        Raises:
            ApiError: it will pass; look again soon.
            RefusedError: it lasts; look again later.
        """
        if self.passing is not None:
            raise self.passing
        if self.lasting:
            raise RefusedError("; ".join(self.lasting))
