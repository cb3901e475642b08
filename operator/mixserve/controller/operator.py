"""The parts of the operator, put together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import kopf
import structlog

from mixserve.controller.acting import Actor
from mixserve.controller.applying import Applier
from mixserve.controller.beat import Beat
from mixserve.controller.catalog_status import CatalogReporter
from mixserve.controller.checkpoints.checkpoints import Checkpoints
from mixserve.controller.checkpoints.keeping import Keeper
from mixserve.controller.checkpoints.sources import hub_reader, sources
from mixserve.controller.cluster_view import WATCHED, WATCHED_FOR_GATEWAYS, ClusterView, pool_of
from mixserve.controller.event_poster import EventPoster
from mixserve.controller.gateway_parts import GatewayParts
from mixserve.controller.gathering import Gatherer
from mixserve.controller.listing import Lister
from mixserve.controller.object_cache import GatewayKey
from mixserve.controller.pair_status import PairReporter
from mixserve.controller.parsed_specs import ParsedSpecs
from mixserve.controller.planning import Planner
from mixserve.controller.queue import KeyedQueue
from mixserve.controller.reconciling import Reconciler
from mixserve.controller.reporting import Reporter
from mixserve.controller.samples import Samples
from mixserve.controller.scraping import Scraper
from mixserve.controller.speculation import SpeculationWatch
from mixserve.controller.stopping import cancel_all, first_to_end
from mixserve.controller.watching import watch_login, watch_registry, watch_settings
from mixserve.controller.workers import Workers
from mixserve.observe.chat_templates import ChatTemplates
from mixserve.observe.crash_logs import CrashLogs
from mixserve.observe.model_files import ModelConfigReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aiohttp
    from kubernetes.aio.client import Configuration

    from mixserve.apply.connection import Connection
    from mixserve.controller.object_cache import WorkKey
    from mixserve.controller.settings import Settings
    from mixserve.controller.telemetry import Telemetry

_log = structlog.get_logger(__name__)

# kopf ends within a second; who waits longer for it keeps the Lease from the next leader.
_WATCHES_END_S = 5.0
# The beat comes several times a second; without it for this long the event loop hangs or the beat has died.
_BEAT_LOST_S = 30.0


class Operator:
    """Everything that works while this process leads.

    Args:
        settings: how it runs.
        configuration: credentials, for kopf's own connections.
        connection: to the API server.
        session: for scrapes.
        telemetry: takes what is done.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        configuration: Configuration,
        connection: Connection,
        session: aiohttp.ClientSession,
        telemetry: Telemetry,
    ) -> None:
        self._settings = settings
        self._configuration = configuration
        self.synced = False
        self._view = ClusterView(
            gone=self._forget, said=self._look_at_what_pools_name, routes_said=self._look_at_policies
        )
        self._queue: KeyedQueue[WorkKey] = KeyedQueue()
        self._watched = (*WATCHED, *(WATCHED_FOR_GATEWAYS if settings.gateway else ()))
        speculation = SpeculationWatch()
        samples, logs = Samples(), CrashLogs(connection, read=self._log_read)
        beat = Beat(view=self._view, samples=samples, look=self._queue.add_unless_failing)
        self._scraper = Scraper(
            view=self._view,
            samples=samples,
            speculation=speculation,
            session=session,
            interval_s=settings.scrape_interval_s,
            scraped=beat.scraped,
            turned=telemetry.scrape_turns.inc,
        )
        self._lister = Lister(
            connection,
            view=self._view,
            namespaces=settings.watch_namespaces,
            enqueue=self._queue.add,
            resources=self._watched,
        )
        self._events = EventPoster(connection, instance=settings.identity)
        specs = ParsedSpecs()
        self._catalog = CatalogReporter(connection, self._view, specs)
        self._hub = hub_reader(settings)
        self._checkpoints = Checkpoints(
            self._view,
            host=ModelConfigReader(),
            sources=sources(settings, connection, self._hub),
            keeper=Keeper(connection, view=self._view),
            look=self._queue.add,
        )
        planner = Planner(self._view, self._checkpoints, specs)
        self._pairs = PairReporter(
            connection,
            view=self._view,
            planner=planner,
            watch=speculation,
            gauges=telemetry.speculation,
            specs=specs,
        )
        gatherer = Gatherer(view=self._view, samples=samples, logs=logs, templates=ChatTemplates(connection))
        applier = Applier(connection, view=self._view, events=self._events, telemetry=telemetry)
        reporter = Reporter(connection, view=self._view, events=self._events)
        reconciler = Reconciler(
            view=self._view,
            planner=planner,
            gatherer=gatherer,
            applier=applier,
            actor=Actor(connection, view=self._view),
            reporter=reporter,
            scraper=self._scraper,
            beat=beat,
            telemetry=telemetry,
        )
        self._gateways = GatewayParts.of(
            settings.gateway,
            connection=connection,
            view=self._view,
            specs=specs,
            session=session,
            events=self._events,
            telemetry=telemetry,
        )
        self._reconcile_pool = reconciler.reconcile
        self._workers = Workers(self._queue, reconcile=self._reconcile, telemetry=telemetry)
        self._forgetters: tuple[Callable[[str], None], ...] = (
            samples.forget,
            speculation.forget,
            logs.forget,
            specs.forget,
            self._checkpoints.forget,
            gatherer.forget,
            applier.forget,
            reporter.forget,
            self._catalog.forget,
            self._pairs.forget,
            *self._gateways.forgetters,
        )
        telemetry.pool_count.set_function(lambda: len(self._view.pools))

    def problem(self) -> str | None:
        """Why the process should be restarted, or None."""
        stuck = self._workers.stuck
        if stuck is not None:
            return f"a worker has looked at {stuck} for minutes"
        if self.synced and self._scraper.silent_for_s > _BEAT_LOST_S:
            return "the beat has stopped"
        return None

    async def run(self, watching: Callable[[], None]) -> None:
        """Work until cancelled, or until something that must not end does.

        Args:
            watching: called when kopf has started, and has taken the signals.
        """
        await self._lister.first()
        self.synced = True
        _log.info("caches_filled", pools=len(self._view.pools))
        # Tasks that are there before kopf are not among those that it waits for and cancels in the end.
        tasks = [
            asyncio.create_task(self._workers.run(self._settings.workers), name="workers"),
            asyncio.create_task(self._scraper.run(), name="scraper"),
            asyncio.create_task(self._events.run(), name="events"),
            asyncio.create_task(self._lister.repeat(self._settings.resync_interval_s), name="lister"),
            asyncio.create_task(self._pairs.run(), name="pairs"),
            *(asyncio.create_task(run, name="policies") for run in self._gateways.runs()),
        ]
        if self._settings.catalog_status:
            tasks.append(asyncio.create_task(self._catalog.run(), name="catalogue"))
        stop_watches = asyncio.Event()
        watches = asyncio.create_task(self._watch(stop_watches, watching), name="watches")
        try:
            await first_to_end([*tasks, watches])
        finally:
            self.synced = False
            await cancel_all(tasks)
            self._checkpoints.close()
            if self._hub is not None:
                await self._hub.close()
            stop_watches.set()
            await asyncio.wait({watches}, timeout=_WATCHES_END_S)
            await cancel_all({watches})

    async def _watch(self, stop: asyncio.Event, watching: Callable[[], None]) -> None:
        registry = watch_registry(self._view, self._queue, self._watched)
        watch_login(registry, self._configuration)
        others = asyncio.all_tasks()
        namespaces = self._settings.watch_namespaces
        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=watch_settings(),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=stop,
        )
        watching()
        await kopf.run_tasks(tasks, ignored=others)

    async def _reconcile(self, key: WorkKey) -> None:
        if isinstance(key, GatewayKey):
            await self._gateways.reconcile(key)
        else:
            await self._reconcile_pool(key)

    def _log_read(self, pod: Mapping[str, Any]) -> None:
        pool = pool_of(pod)
        if pool is not None:
            self._queue.add(pool)

    def _look_at_what_pools_name(self) -> None:
        self._catalog.look()
        self._pairs.look()

    def _look_at_policies(self) -> None:
        self._gateways.look()

    def _forget(self, uid: str) -> None:
        for forget in self._forgetters:
            forget(uid)
