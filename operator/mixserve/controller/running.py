"""The operator's process: connect, wait for the Lease, work, and give the Lease back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.aio.dynamic import DynamicClient
from prometheus_client import disable_created_metrics

from mixserve.apply.connection import Connection
from mixserve.controller.leadership import Leadership
from mixserve.controller.operator import Operator
from mixserve.controller.stopping import StopSignals, cancel_all, first_to_end
from mixserve.controller.telemetry import Telemetry
from mixserve.controller.web import serve_web
from mixserve.controller.webhook.running import Webhook
from mixserve.observe.scrape import scrape_session

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mixserve.controller.settings import Settings

_log = structlog.get_logger(__name__)

# A worker writes a pool's objects at the same time; with two variants these are five.
_CONNECTIONS_PER_WORKER = 4
# Beside those of the workers: the Lease, the lists, events and logs, and what the webhook reads.
_SPARE_CONNECTIONS = 20


class StartError(Exception):
    """The operator does not know how to reach a cluster."""


async def run_operator(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        StartError: there is no cluster to connect to.
        ListenError: the port for /metrics or for the webhook is taken.
        LeadershipLostError: the Lease was lost.
    """
    signals = StopSignals()
    signals.install()
    # No "..._created" series: nobody reads them, and they are as many as the counters. A setting of the whole process.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    telemetry = Telemetry()
    connections = _CONNECTIONS_PER_WORKER * settings.workers + _SPARE_CONNECTIONS
    configuration = await connect_to(settings.kubeconfig, connections=connections)
    async with ApiClient(configuration) as client, scrape_session() as session:
        connection = Connection(DynamicClient(client), telemetry.count_api_call)
        leadership = Leadership(connection, settings)
        telemetry.leader.set_function(leadership.acquired.is_set)
        operator = Operator(
            settings,
            configuration=configuration,
            connection=connection,
            session=session,
            telemetry=telemetry,
        )
        webhook = Webhook(settings, connection=connection, telemetry=telemetry)

        def unready() -> str | None:
            listed = operator.synced or leadership.stands_by
            return webhook.problem() if listed else "the first lists are not there yet"

        async with (
            serve_web(
                host=settings.http_host,
                port=settings.http_port,
                registry=telemetry.registry,
                healthy=operator.problem,
                ready=unready,
            ),
            webhook.serve() as beside,
        ):
            await _lead(leadership, operator, signals=signals, beside=beside)
    _log.info("operator_stopped")


async def _lead(
    leadership: Leadership,
    operator: Operator,
    *,
    signals: StopSignals,
    beside: Iterable[asyncio.Task[None]],
) -> None:
    """Work while the Lease is ours and nothing beside it ends. It is given back when nothing is written any more."""
    stopped = asyncio.create_task(signals.received.wait(), name="stop signal")
    election = asyncio.create_task(leadership.keep(), name="leader election")
    acquired = asyncio.create_task(leadership.acquired.wait(), name="wait for the lease")
    tasks = [stopped, election, acquired, *beside]
    try:
        await first_to_end(tasks)
        if acquired.done() and not stopped.done():
            work = asyncio.create_task(operator.run(watching=signals.install), name="work")
            tasks.append(work)
            await first_to_end([stopped, election, work, *beside])
    finally:
        await cancel_all(reversed(tasks))
        await leadership.release()


async def connect_to(kubeconfig: Path | None, *, connections: int) -> Configuration:
    """Credentials of the kubeconfig that is named, else of the pod's ServiceAccount, else of the usual kubeconfig.

    Args:
        kubeconfig: the file; None if none is named.
        connections: the most at the same time.

    Raises:
        StartError: there are none.
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = connections
    # Else each call asks a thread for ~/.netrc. A proxy belongs into the kubeconfig; kopf looks nowhere else either.
    configuration.client_session_kwargs = {"trust_env": False}
    try:
        if kubeconfig is not None:
            await load_kube_config(str(kubeconfig), client_configuration=configuration, persist_config=False)
            return configuration
        try:
            load_incluster_config(client_configuration=configuration)
        except ConfigException:  # not in a pod
            await load_kube_config(client_configuration=configuration, persist_config=False)
    except (ConfigException, OSError, ValueError, TypeError, yaml.YAMLError) as error:  # ... and what is none
        raise StartError(f"no cluster to connect to: {error}; set MIXSERVE_KUBECONFIG or KUBECONFIG") from error
    return configuration
