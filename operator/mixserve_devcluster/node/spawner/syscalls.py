"""The system calls that Python 3.11 has no functions for. Each raises OSError."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

# From linux/sched.h.
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

# From linux/mount.h.
MS_RDONLY = 0x1
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` for new ones; for CLONE_NEWPID, the next children do."""
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def setns(descriptor: int, flags: int) -> None:
    """Enter the namespace behind an open /proc/PID/ns file; for CLONE_NEWPID, the next children do."""
    _check(_libc.setns(descriptor, flags), f"setns {flags:#x}")


def mount(source: str, target: str, kind: str, *, flags: int = 0, data: str = "") -> None:
    """Mount a file system or change how one is mounted; see the manual page of the same name."""
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode())
    _check(result, f"mount {source} on {target}")


def die_with_parent() -> None:
    """Have the kernel send SIGKILL to this process when its parent dies; survives exec."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl PR_SET_PDEATHSIG")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl PR_SET_CHILD_SUBREAPER")


def kill_group(leader: int, number: int) -> None:
    """Signal a whole process group, if there is still somebody in it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
