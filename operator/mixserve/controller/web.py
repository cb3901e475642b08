"""/metrics, /healthz and /readyz."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

_log = structlog.get_logger(__name__)

# Whoever reads /metrics when the process ends gets this long to finish.
_SHUTDOWN_S = 1.0


class ListenError(Exception):
    """The address is not ours to listen on."""


@contextlib.asynccontextmanager
async def serve_web(
    *,
    host: str,
    port: int,
    registry: CollectorRegistry,
    healthy: Callable[[], str | None],
    ready: Callable[[], str | None],
) -> AsyncIterator[int]:
    """Serve while the context lasts.

    Args:
        host: address to listen on.
        port: port to listen on, 0 for a free one.
        registry: what /metrics shows.
        healthy: None, or why the process should be restarted.
        ready: None, or what it still waits for.

    Yields:
        The port.

    Raises:
        ListenError: the port is taken, or the address is none of this machine.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", _probe(healthy))
    app.router.add_get("/readyz", _probe(ready))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await listen(runner, host=host, port=port, variable="MIXSERVE_HTTP_PORT")
        bound = int(runner.addresses[0][1])
        _log.info("web_started", host=host, port=bound)
        yield bound
    finally:
        await runner.cleanup()


async def listen(
    runner: web.AppRunner,
    *,
    host: str,
    port: int,
    variable: str,
    context: ssl.SSLContext | None = None,
) -> None:
    """Begin to take requests; with a context by HTTPS.

    Raises:
        ListenError: it can't; says which variable to set.
    """
    try:
        await web.TCPSite(runner, host, port, ssl_context=context).start()
    except OSError as error:
        advice = f"set {variable} to a free port (0: any), or MIXSERVE_HTTP_HOST to an address of this machine"
        raise ListenError(f"can't listen on {host}:{port}: {error.strerror}; {advice}") from error


def _probe(problem: Callable[[], str | None]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        wrong = problem()
        return web.Response(text="ok\n") if wrong is None else web.Response(status=503, text=f"{wrong}\n")

    return answer
