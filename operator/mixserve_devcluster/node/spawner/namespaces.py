"""Whether this process may give its children namespaces of their own, and how."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mixserve_devcluster.node.spawner.syscalls import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    MS_PRIVATE,
    MS_REC,
    die_with_parent,
    mount,
    setns,
    unshare,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class ProcessNamespaces:
    """Forks children into process namespaces other than this process's own."""

    def __init__(self) -> None:
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY)

    def fork_into_new(self) -> int:
        """Fork a child that is the first process of a new namespace, all of which ends with it."""
        unshare(CLONE_NEWPID)
        return self._fork()

    def fork_into(self, pid: int) -> int:
        """Fork a child into the namespace of the process `pid`."""
        namespace = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY)
        setns(namespace, CLONE_NEWPID)
        os.close(namespace)
        return self._fork()

    def _fork(self) -> int:
        child = -1
        try:
            child = os.fork()
        finally:
            if child != 0:  # the parent's further children are to be ordinary ones; a child may not go back
                setns(self._own, CLONE_NEWPID)
        return child


def isolate() -> bool:
    """Gain the right to make namespaces, in a user namespace if need be; whether that was possible.

    In a user namespace the rest of this process is done by a child, which then has a process namespace too: nobody
    may return into one that belongs to a user namespace further out.
    """
    if _succeeds(_try_namespaces):
        return True
    if not _succeeds(_try_user_namespace):
        return False
    _enter_user_namespace()
    return True


def _try_user_namespace() -> None:
    _enter_user_namespace()
    _try_namespaces()


def _enter_user_namespace() -> None:
    user, group = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID)
    # The order and `setgroups` are rules of user_namespaces(7) for the unprivileged.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    child = os.fork()
    if child != 0:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    die_with_parent()
    _mount_proc()


def _try_namespaces() -> None:
    unshare(CLONE_NEWPID)
    if not _succeeds(_try_mounts):
        raise PermissionError("no mounts")


def _try_mounts() -> None:
    unshare(CLONE_NEWNS)
    _mount_proc()
    mount("tmpfs", "/proc", "tmpfs")


def _mount_proc() -> None:
    mount("none", "/", "", flags=MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc")


def _succeeds(attempt: Callable[[], None]) -> bool:
    """Try it in a child, which ends with it: namespaces cannot be left again."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            attempt()
            code = 0
        except OSError:
            pass
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
