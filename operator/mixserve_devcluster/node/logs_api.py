"""The part of the kubelet's API that the API server needs for `kubectl logs`.

Only who has a certificate of the cluster's authority is let in. `timestamps` and `sinceTime` are not known here: a
log is what the process has written, no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mixserve_devcluster.node.config import NodeConfig
    from mixserve_devcluster.node.logs import LogDirectory, LogReader

# Names of Kubernetes objects, which cannot lead out of the log directory.
_NAME = "[a-z0-9][-a-z0-9.]*"
_ROUTE = f"/containerLogs/{{namespace:{_NAME}}}/{{pod:{_NAME}}}/{{container:{_NAME}}}"
# How often a followed log is looked at: there is no portable way to be told.
_FOLLOW_S = 0.2
_CHUNK_BYTES = 1 << 16
# For those who follow a log when the node stops; 0 would mean without end.
_SHUTDOWN_S = 0.1


class RunningContainers(Protocol):
    """Knows which containers run."""

    def running_id(self, namespace: str, pod: str, container: str) -> str | None:
        """Tells the process of a container from the ones before and after it; None while it has none."""
        ...


class LogsApi:
    """Serves log files."""

    def __init__(self, logs: LogDirectory, containers: RunningContainers) -> None:
        self._logs = logs
        self._containers = containers

    @contextlib.asynccontextmanager
    async def serve(self, config: NodeConfig) -> AsyncIterator[int | None]:
        """Listen on a free port of 127.0.0.1; it is None where the configuration has no certificate to serve with."""
        if config.serving_certificate_file is None:
            yield None
            return
        application = web.Application()
        application.router.add_get(_ROUTE, self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_tls(config))
            await site.start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        names = request.match_info["namespace"], request.match_info["pod"], request.match_info["container"]
        previous = request.query.get("previous") == "true"
        follow = request.query.get("follow") == "true" and not previous
        try:
            lines, limit = _number(request, "tailLines"), _number(request, "limitBytes")
            log = self._logs.open(*names, previous=previous)
        except FileNotFoundError:
            raise web.HTTPNotFound(text=f"there is no log of {'/'.join(names)} on this node") from None
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        with log:
            if lines is not None:
                log.skip_to_last(max(0, lines))
            await response.prepare(request)
            await self._send(log, limit, names if follow else None, response)
        await response.write_eof()
        return response

    async def _send(
        self,
        log: LogReader,
        limit: int | None,
        followed: tuple[str, str, str] | None,
        response: web.StreamResponse,
    ) -> None:
        process = followed and self._containers.running_id(*followed)
        while limit is None or limit > 0:
            may_grow = followed and process and self._containers.running_id(*followed) == process
            chunk = log.read(_CHUNK_BYTES if limit is None else min(limit, _CHUNK_BYTES))
            if chunk:
                await response.write(chunk)
                limit = None if limit is None else limit - len(chunk)
            elif may_grow:
                await asyncio.sleep(_FOLLOW_S)
            else:
                return


def _number(request: web.Request, parameter: str) -> int | None:
    return int(request.query[parameter]) if parameter in request.query else None


def _tls(config: NodeConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(config.ca_file))
    context.verify_mode = ssl.CERT_REQUIRED
    assert config.serving_certificate_file is not None
    context.load_cert_chain(config.serving_certificate_file, config.serving_key_file)
    return context
