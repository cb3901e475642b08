from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from mixserve_devcluster.node import addresses
from mixserve_devcluster.node.addresses import AddressPool, NoAddressError, claimed_network


def test_clusters_get_different_networks_and_give_them_back(monkeypatch: pytest.MonkeyPatch) -> None:
    # Networks that clusters which run meanwhile do not reach.
    monkeypatch.setattr(addresses, "_FIRST_NETWORK", 250)
    with claimed_network() as one:
        with claimed_network() as two:
            assert one != two
            assert one.is_loopback
            assert one.prefixlen == 16
            assert not one.overlaps(IPv4Network("127.0.0.0/16"))
        with claimed_network() as three:
            assert three == two


def test_an_error_of_who_uses_the_network_is_not_hidden() -> None:
    with pytest.raises(OSError, match="disk full"), claimed_network():
        raise OSError("disk full")


def test_addresses_are_used_in_turn() -> None:
    pool = AddressPool(IPv4Network("127.9.0.0/16"))
    first = pool.take()
    assert first == "127.9.0.1"
    pool.give_back(first)
    assert [pool.take(), pool.take()] == ["127.9.0.2", "127.9.0.3"]


def test_every_address_is_taken_once_but_those_that_look_special() -> None:
    pool = AddressPool(IPv4Network("127.9.0.0/23"))
    taken = [pool.take() for _ in range(508)]
    assert len(set(taken)) == 508
    assert not {address.rpartition(".")[2] for address in taken} & {"0", "255"}
    with pytest.raises(NoAddressError, match=r"every address of 127\.9.0.0/23 is taken"):
        pool.take()
    pool.give_back("127.9.0.7")
    assert pool.take() == "127.9.0.7"
