"""What the exit code of an engine says that ended while it served."""

import re
from dataclasses import dataclass

_EXIT_CODE = re.compile(r"exit code (\d+)\b")


@dataclass(frozen=True)
class Ending:
    """What happened, as a clause, and what to do; `{variant}` in the remedy stands for the variant's field path."""

    cause: str
    remedy: str


_OUT_OF_MEMORY = Ending(
    "the container reached its memory limit (exit code 137, OOMKilled)",
    "raise {variant}.resources.memory",
)
_TOLD_TO_END = "it was told to end (exit code {}, as after SIGTERM), as the kubelet does when the liveness probe fails"
_STANDS_STILL = "see in the events whether its liveness probe failed, and in the log what it did last"
_ENDINGS = {
    "0": Ending(_TOLD_TO_END.format("0"), _STANDS_STILL),
    "137": Ending(
        "it was killed (exit code 137, SIGKILL), often for want of memory: of the container's limit or of the node",
        "raise {variant}.resources.memory where the events tell of memory; they also tell of a failed liveness probe",
    ),
    "139": Ending(
        "a segmentation fault (exit code 139, SIGSEGV), which is an error of the engine, its libraries or the driver",
        "try another spec.engine.version",
    ),
    "143": Ending(_TOLD_TO_END.format("143"), _STANDS_STILL),
}


def ending_of(message: str) -> Ending | None:
    """What is known of an ending; None for exit codes that engines choose themselves.

    Args:
        message: how the container ended: "... exit code 137, signal 9 (OOMKilled)".
    """
    if "OOMKilled" in message:
        return _OUT_OF_MEMORY
    found = _EXIT_CODE.search(message)
    return None if found is None else _ENDINGS.get(found[1])
