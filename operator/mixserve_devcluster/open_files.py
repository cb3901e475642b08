"""How many files this process may have open: each connection is one."""

from __future__ import annotations

import contextlib


def raise_limit() -> None:
    """Raise the soft limit, often 1024, to the hard one: beyond it connections are not refused, they stall."""
    import resource  # noqa: PLC0415 - Unix alone has it, and elsewhere people are to be told what they need instead

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems have no hard limit and refuse that number as a soft one.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
