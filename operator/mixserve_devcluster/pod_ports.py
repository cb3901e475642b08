"""Whether pods can listen on a port.

Each pod has a loopback address of its own, but shares the machine's network: a program that listens on all addresses
takes its port from every pod.
"""

from __future__ import annotations

import errno
import socket

from mixserve_devcluster.errors import PortError

# Beyond the networks that local nodes claim for their pods, 127.64.0.0/16 to 127.254.0.0/16: only a program that
# listens on all addresses can be in the way here.
_ADDRESS = "127.255.0.1"


def require_free(port: int) -> None:
    """Raise PortError if no pod can listen on `port`."""
    with socket.socket() as probe:
        # As servers do; a connection that has just ended is not in their way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ADDRESS, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortError(
                f"something on this machine listens on all addresses at port {port}, where pods listen at "
                f"addresses of their own. `ss -Hltnp 'sport = :{port}'` shows what it is (as root, anybody's): end it, "
                "or let it listen on 127.0.0.1 alone."
            ) from error
