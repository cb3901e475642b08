"""What the node and the spawner say to each other: one JSON object a line, over a socket.

node -> spawner: {"id", "start": Program} or {"id", "signal": number, "pid"}.
spawner -> node: first {"isolated": bool}; then an answer to each request, {"id", "pid"} or {"id", "error"};
and {"exited": pid, "code"} when a started process has ended, always after the answer that named it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Mount:
    """Show `source` (file or directory of the host) at the absolute path `target`."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process to start.

    Attributes:
        argv: the command; its first word is looked up in the environment's PATH.
        environment: the whole environment.
        directory: where it starts; made in the process's own view, if it has one, where it does not exist.
        output: the file that its stdout and stderr are appended to.
        older_output: where `output` is put when it has grown long, for a new one; None: it takes no more then.
        mounts: its view of the file system; none are made where the spawner has no right to.
        stage: an empty directory of the host that may be mounted on.
        join: the process whose view and process namespace it shares, instead of getting its own.
    """

    argv: list[str]
    environment: dict[str, str]
    directory: str
    output: str
    older_output: str | None = None
    mounts: list[Mount] = dataclasses.field(default_factory=list)
    stage: str = "/"
    join: int | None = None

    def encode(self) -> dict[str, Any]:
        """What `decode` takes."""
        return dataclasses.asdict(self)

    @classmethod
    def decode(cls, content: dict[str, Any]) -> Program:
        """Undo `encode`."""
        return cls(**{**content, "mounts": [Mount(**mount) for mount in content["mounts"]]})


def encode_line(message: dict[str, Any]) -> bytes:
    """One message as it goes over the socket."""
    return json.dumps(message).encode() + b"\n"
