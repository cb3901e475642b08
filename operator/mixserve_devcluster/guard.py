"""Become another program that the kernel kills when the parent dies.

Run as a script: `python guard.py PARENT_PID PROGRAM [ARGUMENT...]`. It must import nothing but the standard
library, since it runs isolated (`-I -S`) for a quick start.
"""

import ctypes
import os
import signal
import sys

# From linux/prctl.h. The setting survives execve of a program that is not set-user-ID.
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for SIGKILL at the parent's death, then replace this process by the program."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        sys.exit(f"guard: prctl failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        # The parent died before prctl took effect, so its signal will never come.
        sys.exit("guard: the parent is gone")
    try:
        os.execvp(command[0], command)  # noqa: S606 - replacing this process without a shell is the purpose
    except OSError as error:
        sys.exit(f"guard: cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
