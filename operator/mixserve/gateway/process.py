"""The gateway's process: watch, configure Envoy, decide, account, and let Envoy finish before it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import structlog
from kubernetes.aio.client import ApiClient
from kubernetes.aio.dynamic import DynamicClient
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from mixserve.api.routing_policy import ClassifierType
from mixserve.apply.connection import Connection
from mixserve.controller.running import connect_to
from mixserve.controller.stopping import StopSignals, cancel_all, first_to_end
from mixserve.controller.web import serve_web
from mixserve.gateway import deciding, discovery
from mixserve.gateway.accounting.bookkeeping import keep_books
from mixserve.gateway.accounting.exposition import LedgerCollector
from mixserve.gateway.accounting.following import LogFollower
from mixserve.gateway.asking import Asker
from mixserve.gateway.data_plane import DataPlane
from mixserve.gateway.draining import drain, resume
from mixserve.gateway.envoy_admin import EnvoyAdmin
from mixserve.gateway.envoy_files import EnvoyFiles, prepare
from mixserve.gateway.namespace_view import NamespaceView
from mixserve.gateway.routing import Router
from mixserve.gateway.scraping import EngineScraper
from mixserve.gateway.unix_server import UnixServer
from mixserve.observe.scrape import scrape_session
from mixserve.plan.envoy.listener import STAT_PREFIX
from mixserve.plan.envoy.module_filter import DECISION_PATH
from mixserve.route.complexity.embedding import Embedding
from mixserve.route.complexity.heuristic import Heuristic

if TYPE_CHECKING:
    from mixserve.gateway.settings import GatewaySettings

_log = structlog.get_logger(__name__)

# Three watches, and a read now and then.
_API_CONNECTIONS = 8

# It is looked into twice a second; a disk may be slow.
_LOG_LOST_S = 60.0
# A watch ends after four and a half minutes, and a pause takes one.
_API_LOST_S = 600.0

_LET_GO_S = 1.0


def write_bootstrap(settings: GatewaySettings) -> None:
    """Write what Envoy starts with."""
    prepare(settings.envoy())


async def run_gateway(settings: GatewaySettings) -> None:
    """Run until SIGTERM or SIGINT, and then until Envoy has finished what it carries.

    Raises:
        StartError: there is no cluster to connect to.
        ListenError: the port for /metrics is taken.
    """
    signals = StopSignals()
    signals.install()
    configuration = await connect_to(settings.kubeconfig, connections=_API_CONNECTIONS)
    async with (
        ApiClient(configuration) as client,
        scrape_session() as scrapes,
        aiohttp.ClientSession() as questions,
        EnvoyAdmin(settings.envoy().admin_path) as envoy,
    ):
        connection = Connection(DynamicClient(client), lambda *_: None)
        gateway = Gateway(
            settings,
            view=NamespaceView(connection, settings.namespace),
            scrapes=scrapes,
            questions=questions,
            envoy=envoy,
        )
        await gateway.run(signals.received)
    _log.info("gateway_stopped")


class Gateway:
    """The parts of the process, put together.

    Args:
        settings: how it runs.
        view: what there is in the namespace.
        scrapes: carries the scrapes of engines.
        questions: carries what pools are asked.
        envoy: this pod's.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        view: NamespaceView,
        scrapes: aiohttp.ClientSession,
        questions: aiohttp.ClientSession,
        envoy: EnvoyAdmin,
    ) -> None:
        self._settings = settings
        self._view = view
        self._envoy = envoy
        self._informed = asyncio.Event()
        self._follower = LogFollower(settings.directory)
        asker = Asker(questions, settings.envoy_url)
        router = Router(
            classifiers={ClassifierType.HEURISTIC: Heuristic(), ClassifierType.EMBEDDING: Embedding()},
            ask=asker.ask,
        )
        endpoints = discovery.EndpointDiscovery()
        prepare(settings.envoy())
        self._scraper = EngineScraper(
            scrapes, interval_s=settings.scrape_interval_s, engines=view.engines, scraped=self._see
        )
        self._plane = DataPlane(
            files=EnvoyFiles(settings.envoy(), envoy),
            discovery=endpoints,
            router=router,
            ledger=self._follower.ledger,
            sample=self._scraper.sample,
        )
        self._server = UnixServer(
            settings.envoy().socket_path,
            {DECISION_PATH: deciding.deciding(router.decide), discovery.PATH: endpoints.handle},
        )

    async def run(self, stopped: asyncio.Event) -> None:
        """Work until `stopped`, then drain."""
        await resume(self._envoy)
        await self._view.recall()
        await self._server.start()
        work = [
            *(asyncio.create_task(feed, name="watch") for feed in self._view.feeds()),
            asyncio.create_task(self._follow(), name="follow news"),
            asyncio.create_task(self._let_go(), name="let go"),
            asyncio.create_task(self._scraper.run(), name="scrape"),
            asyncio.create_task(self._account(), name="account"),
        ]
        end = asyncio.create_task(stopped.wait(), name="stop signal")
        try:
            async with serve_web(
                host=self._settings.host,
                port=self._settings.web_port,
                registry=self._registry(),
                healthy=lambda: self.problem,
                ready=lambda: self._view.problem,
            ):
                await first_to_end([end, *work])
                # What it carries may still need decisions, endpoints and an account.
                draining = asyncio.create_task(self._drain(), name="drain")
                await first_to_end([draining, *work])
        finally:
            await cancel_all([end, *work])
            await self._server.stop()

    @property
    def problem(self) -> str | None:
        """Why the process should be restarted, or None.

        What counts is that it tries: while the API server is away, or Envoy, no restart would help, and all gateways
        would restart at once.
        """
        if self._follower.silent_for_s > _LOG_LOST_S:
            return "the log of requests is not read any more"
        if self._view.silent_for_s > _API_LOST_S:
            return "the API server is not asked any more"
        return None

    async def _drain(self) -> None:
        await drain(self._envoy, stat_prefix=STAT_PREFIX, most_s=self._settings.drain_s)

    async def _follow(self) -> None:
        while True:
            await self._view.news()
            try:
                table = self._view.table()
                if table is not None:
                    await self._plane.apply(table)
                    self._informed.set()
                    _log.info("table_applied", pools=len(table.pools), policies=len(table.policies))
            except Exception:  # noqa: BLE001 - an odd object must not end what serves: the last table stays in force
                _log.exception("table_not_applied")

    async def _let_go(self) -> None:
        while True:
            await asyncio.sleep(_LET_GO_S)
            try:
                await self._plane.let_go()
            except Exception:  # noqa: BLE001 - as above; it is tried again
                _log.exception("pools_not_let_go")

    async def _account(self) -> None:
        """What came before this process knew prices waits for them in the log."""
        await self._informed.wait()
        await keep_books(self._follower, self._envoy)

    def _see(self) -> None:
        self._plane.see()

    def _registry(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        registry.register(LedgerCollector(self._follower.ledger))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        return registry
