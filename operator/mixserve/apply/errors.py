"""What can go wrong at the API server.

ApiError
├── Unavailable       no answer, too many requests, or a fault of the server: the same call may succeed later
├── Rejected          the server refuses what was sent, and will refuse it again until somebody changes something
│   ├── NotFound      404
│   ├── Conflict      409, or a precondition that does not hold any more: look again
│   ├── Expired       410: what was read is too old to go on from
│   ├── Forbidden     401 and 403
│   └── Terminating   403, because the namespace is being deleted
└── NotOwned          an object of this name exists and belongs to somebody else
"""


class ApiError(Exception):
    """A call to the API server did not do what it should.

    Attributes:
        status: the HTTP status, or None where there was no answer.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Unavailable(ApiError):  # noqa: N818 - reads as what the server is
    """No answer, too many requests, or a fault of the server: the same call may succeed later.

    Attributes:
        retry_after_s: how long the server asks to wait, or None.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after_s = retry_after_s


class Rejected(ApiError):  # noqa: N818 - reads as what happened
    """The server refuses what was sent, and will refuse it again until somebody changes something."""


class NotFound(Rejected):
    """There is no such object."""


class Conflict(Rejected):
    """The object exists already, or is not as it was expected to be: look again."""


class Expired(Rejected):
    """The version to go on from is older than what the API server remembers: list anew."""


class Forbidden(Rejected):
    """The operator's ServiceAccount may not do this, or its token is not valid."""


class Terminating(Rejected):
    """Nothing can be made any more in this namespace: it is being deleted, and so is all that is in it."""


class NotOwned(ApiError):  # noqa: N818 - reads as what the object is
    """An object of this name exists and belongs to somebody else."""
