from __future__ import annotations

import subprocess
import sys

LIMITS = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
RAISE = "from mixserve_devcluster import open_files; open_files.raise_limit(); "


def limits(script: str) -> list[str]:
    """Soft and hard limit in a process that has been given 64 of the 99 that it may have."""
    command = ["sh", "-c", 'ulimit -Sn 64; ulimit -Hn 99; exec "$@"', "sh", sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_the_soft_limit_becomes_the_hard_one() -> None:
    assert limits(LIMITS) == ["64", "99"]
    assert limits(RAISE + LIMITS) == ["99", "99"]
