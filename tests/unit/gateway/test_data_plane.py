"""That all parts of the data plane have the same news."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mixserve.api.observation import Missing, MissingReason
from mixserve.api.pool import RoutingStrategy
from mixserve.gateway.accounting.ledger import Ledger
from mixserve.gateway.accounting.totals import Totals
from mixserve.gateway.data_plane import DataPlane
from mixserve.gateway.discovery import EndpointDiscovery
from mixserve.gateway.envoy_files import EnvoyFiles
from mixserve.gateway.routing import Router
from mixserve.gateway.unix_server import Request
from mixserve.plan.envoy.settings import EnvoySettings
from mixserve.route.complexity.llm import NoAnswer
from mixserve.route.table import PoolEntry, RoutingTable

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

CHAT = PoolEntry(name="chat", served_names=("chat",), strategy=RoutingStrategy.LEAST_LOAD, endpoints=("10.0.0.1:8000",))
TABLE = RoutingTable(namespace="llm", pools=(CHAT,))


def data_plane(directory: Path, discovery: EndpointDiscovery) -> DataPlane:
    async def ask(*_: Any) -> NoAnswer:
        return NoAnswer.UNAVAILABLE

    return DataPlane(
        files=EnvoyFiles(EnvoySettings(directory=str(directory))),
        discovery=discovery,
        router=Router(classifiers={}, ask=ask),
        ledger=Ledger(Totals()),
        sample=lambda _: Missing(MissingReason.NOT_SCRAPED),
    )


async def told(discovery: EndpointDiscovery) -> tuple[bytes, Any]:
    """Status line and endpoints of an answer to a question for those of the pool."""
    question = {"version_info": "", "resource_names": ["chat"]}
    answer = await discovery.handle(Request("/v3/discovery:endpoints", {}, json.dumps(question).encode()))
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b" ")[1], json.loads(body)["resources"][0]["endpoints"] if body else None


async def test_a_look_at_the_engines_before_there_is_a_table_takes_no_endpoints_from_envoy(tmp_path: Path) -> None:
    discovery = EndpointDiscovery(hold_s=0.01)
    plane = data_plane(tmp_path, discovery)
    plane.see()
    assert await told(discovery) == (b"503", None)
    await plane.apply(TABLE)
    status, [locality] = await told(discovery)
    assert status == b"200"
    assert len(locality["lb_endpoints"]) == 1
