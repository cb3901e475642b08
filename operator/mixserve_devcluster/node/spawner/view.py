"""The file system as a pod's process sees it, built in the process's own mount namespace.

A mount path that the host does not have must not appear there. So the deepest directory of the path that
exists is *shadowed*: a tmpfs covers it, holding a bind mount (or a copy, for symbolic links) of everything in
it, and the missing rest is made in the tmpfs. All of it is gone with the last process of the namespace.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mixserve_devcluster.node.spawner.syscalls import (
    CLONE_NEWNS,
    MS_BIND,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
    setns,
    unshare,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mixserve_devcluster.node.spawner.messages import Mount


def new_view(mounts: Iterable[Mount], directory: str, stage: str) -> None:
    """Give this process, the first of its process namespace, a view of its own; end up in `directory`.

    Raises:
        OSError: a source is missing, or a file would come upon a directory or the other way round.
    """
    unshare(CLONE_NEWNS)
    mount("none", "/", "", flags=MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc")
    ordered = sorted(mounts, key=lambda each: each.target)
    view = _View()
    # Opened first: a mount may cover the place where the source of another lies.
    sources = [os.open(each.source, os.O_PATH) for each in ordered]
    if any(_is_missing_at_root(path) for path in (directory, *(each.target for each in ordered))):
        view.shadow_root(stage)
    for each, source in zip(ordered, sources, strict=True):
        view.show(source, each.target, read_only=each.read_only)
        os.close(source)
    os.chdir(view.ensure(directory, is_directory=True))


def join_view(pid: int, directory: str) -> None:
    """Take over the view of a running process; end up in `directory`."""
    root = os.open(f"/proc/{pid}/root", os.O_PATH)
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    setns(namespace, CLONE_NEWNS)
    os.fchdir(root)
    os.chroot(".")
    os.chdir(directory)


class _View:
    def __init__(self) -> None:
        # Directories of the tmpfs mounts that were made here, where anything may be added.
        self._own: set[str] = set()
        self._shown: list[PurePosixPath] = []

    def shadow_root(self, stage: str) -> None:
        """Shadow `/`. A mount on it would be out of reach, so the root is changed instead."""
        root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        mount("tmpfs", stage, "tmpfs", data="mode=755")
        _show_entries(root, stage)
        os.close(root)
        os.chroot(stage)
        os.chdir("/")
        self._own.add("/")

    def show(self, source: int, target: str, *, read_only: bool) -> None:
        """Bind what the descriptor `source` points to at `target`."""
        is_directory = stat.S_ISDIR(os.fstat(source).st_mode)
        place = self.ensure(target, is_directory=is_directory)
        mount(f"/proc/self/fd/{source}", place, "", flags=MS_BIND | MS_REC)
        if read_only:
            # The flags that the mount has must be repeated: an unprivileged user may not drop them.
            flags = os.statvfs(place).f_flag & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)
            mount("none", place, "", flags=MS_REMOUNT | MS_BIND | MS_RDONLY | flags)
        self._shown.append(PurePosixPath(place))

    def ensure(self, path: str, *, is_directory: bool) -> str:
        """Make `path` exist in this view; return it without symbolic links."""
        place = os.path.realpath(path)
        if os.path.lexists(place):
            if Path(place).is_dir() != is_directory:
                raise OSError(f"{path} is {'no' if is_directory else 'a'} directory here")
            return place
        missing = [PurePosixPath(place)]
        while not os.path.lexists(missing[-1].parent):
            missing.append(missing[-1].parent)
        self._make_room(missing[-1].parent)
        for parent in reversed(missing[1:]):
            self._make_directory(str(parent))
        if is_directory:
            self._make_directory(place)
        else:
            _make_file(place)
        return place

    def _make_room(self, parent: PurePosixPath) -> None:
        if str(parent) in self._own or any(parent.is_relative_to(shown) for shown in self._shown):
            return  # a volume within a volume: container runtimes make its directory in the outer one, too
        original = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        mode = stat.S_IMODE(os.fstat(original).st_mode)
        mount("tmpfs", str(parent), "tmpfs", data=f"mode={mode:o}")
        _show_entries(original, str(parent))
        os.close(original)
        self._own.add(str(parent))

    def _make_directory(self, path: str) -> None:
        Path(path).mkdir()
        self._own.add(path)


def _is_missing_at_root(path: str) -> bool:
    top = PurePosixPath(path).parts[:2]
    return not os.path.lexists("/".join(top))


def _show_entries(directory: int, into: str) -> None:
    for name in os.listdir(directory):
        # Something may be removed meanwhile; then it is not there for the pod either.
        with contextlib.suppress(FileNotFoundError):
            _show_entry(f"/proc/self/fd/{directory}/{name}", f"{into}/{name}")


def _show_entry(original: str, copy: str) -> None:
    mode = os.lstat(original).st_mode
    if stat.S_ISLNK(mode):
        Path(copy).symlink_to(Path(original).readlink())
        return
    if stat.S_ISDIR(mode):
        Path(copy).mkdir()
    else:
        _make_file(copy)
    mount(original, copy, "", flags=MS_BIND | MS_REC)


def _make_file(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
