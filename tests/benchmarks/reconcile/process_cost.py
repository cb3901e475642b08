"""CPU time and memory of one process, from /proc."""

import os
from pathlib import Path


def cpu_s(pid: int) -> float:
    """User and system time so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def peak_resident_bytes(pid: int) -> int:
    """The most resident memory so far, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    message = f"process {pid} has no memory"
    raise ProcessLookupError(message)


def resident_bytes(pid: int) -> int:
    """Resident memory, bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
