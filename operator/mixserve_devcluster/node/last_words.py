"""What a container that has ended says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve_devcluster.node.logs import tail

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The limits of Kubernetes: of the termination message, and of a log that stands in for it.
_LONGEST_MESSAGE = 4096
_LOG_LINES = 80
_LONGEST_LOG = 2048


def termination_message(container: Mapping[str, Any], message_file: Path, log: Path, exit_code: int) -> str:
    """What the process has written to its termination log or, if the container wants that, the end of its log.

    Where that cannot be read, the message says so, as a kubelet's does.
    """
    try:
        with message_file.open("rb") as file:  # which may hold anything, and any amount of it
            message = file.read(_LONGEST_MESSAGE)
    except OSError as error:
        return f"Error on reading termination log {message_file}: {error.strerror}"
    wants_log = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if not message and exit_code != 0 and wants_log:
        message = _end_of(log)
    return message.decode(errors="replace")


def _end_of(log: Path) -> bytes:
    try:
        return tail(log, lines=_LOG_LINES, size_bytes=_LONGEST_LOG)
    except OSError as error:
        return f"Error reading termination message from logs: {error.strerror}".encode()
