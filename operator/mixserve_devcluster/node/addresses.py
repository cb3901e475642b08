"""Loopback addresses for pods. Every address of 127.0.0.0/8 works on Linux without being set up."""

from __future__ import annotations

import contextlib
import itertools
import socket
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Below lie 127.0.0.0/16, which everybody uses, and what people tend to pick by hand.
_FIRST_NETWORK = 64


class NoAddressError(Exception):
    """All addresses, or all networks, are taken."""


@contextlib.contextmanager
def claimed_network() -> Iterator[IPv4Network]:
    """A network 127.x.0.0/16 that no other local node on this machine has while the context lasts.

    The claim is the name of an abstract socket: like the addresses it belongs to the machine's network namespace,
    and the kernel gives it back when this process ends, however it ends.

    Raises:
        NoAddressError: every network is claimed.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
        for number in range(_FIRST_NETWORK, 255):
            network = IPv4Network(f"127.{number}.0.0/16")
            try:
                claim.bind(f"\0mixserve-devcluster-pods-{network}")
            except OSError:
                continue
            yield network
            return
    raise NoAddressError("every network 127.x.0.0/16 is claimed by another local node")


class AddressPool:
    """The addresses of a network. One that was given back is not given out again for as long as possible."""

    def __init__(self, network: IPv4Network) -> None:
        self._network = network
        self._taken: set[IPv4Address] = set()
        self._next = 0

    def take(self) -> str:
        """A free address.

        Raises:
            NoAddressError: there is none.
        """
        for offset in itertools.islice(itertools.count(self._next), self._network.num_addresses):
            address = self._network[offset % self._network.num_addresses]
            # Addresses that end in 0 and 255 look like a network's and its broadcast address to some programs.
            if address not in self._taken and address.packed[-1] not in {0, 255}:
                self._taken.add(address)
                self._next = offset + 1
                return str(address)
        raise NoAddressError(f"every address of {self._network} is taken by a pod")

    def give_back(self, address: str) -> None:
        """Let the address be taken again."""
        self._taken.discard(IPv4Address(address))
