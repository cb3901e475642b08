from __future__ import annotations

import socket

import pytest

from mixserve_devcluster import pod_ports
from mixserve_devcluster.errors import PortError


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_program_that_listens_on_all_addresses_is_in_the_way(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family, dualstack_ipv6=":" in address) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortError, match=rf"all addresses at port {port}.*'sport = :{port}'.*127\.0\.0\.1 alone"):
            pod_ports.require_free(port)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.64.0.1"])
def test_one_that_listens_on_an_address_of_its_own_is_not(address: str) -> None:
    with socket.create_server((address, 0)) as server:
        pod_ports.require_free(server.getsockname()[1])
