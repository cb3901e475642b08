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
    """What the process has written to its termination log or, if the container wants that, the end of its log."""
    message = message_file.read_bytes()[:_LONGEST_MESSAGE]
    wants_log = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if not message and exit_code != 0 and wants_log:
        message = tail(log, lines=_LOG_LINES, size_bytes=_LONGEST_LOG)
    return message.decode(errors="replace")
