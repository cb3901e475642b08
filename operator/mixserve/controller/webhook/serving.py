"""The HTTPS endpoint that the API server calls; anybody in the cluster can, so nothing that is sent is trusted."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from mixserve.apply.errors import ApiError
from mixserve.controller.web import listen
from mixserve.controller.webhook.errors import BadReviewError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from typing import Any

    Answer = Callable[[bytes], Awaitable[Mapping[str, Any]]]

_log = structlog.get_logger(__name__)

PATH = "/validate-llmservingpool"

# The API server takes requests of 3 MiB, and a review has the object as it was and as it shall be.
MAX_BODY_BYTES = 8 * 2**20
# The chart's shortest timeout of the API server is 4 s.
LIMIT_S = 3.0
# Each of them reads three lists from the API server.
AT_ONCE = 4
_SHUTDOWN_S = 1.0


@contextlib.asynccontextmanager
async def serve_webhook(*, host: str, port: int, context: ssl.SSLContext, answer: Answer) -> AsyncIterator[int]:
    """Serve while the context lasts.

    Args:
        host: address to listen on.
        port: port to listen on, 0 for a free one.
        context: with the certificate.
        answer: from the body of a request to that of its answer.

    Yields:
        The port.

    Raises:
        ListenError: the port is taken, or the address is none of this machine.
    """
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post(PATH, _Handler(answer).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await listen(runner, host=host, port=port, variable="MIXSERVE_WEBHOOK_PORT", context=context)
        bound = int(runner.addresses[0][1])
        _log.info("webhook_started", host=host, port=bound)
        yield bound
    finally:
        await runner.cleanup()


class _Handler:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._free = asyncio.Semaphore(AT_ONCE)

    async def handle(self, request: web.Request) -> web.Response:
        response = await self._respond(request)
        # One review for each connection: it is seldom that one comes, a new certificate counts at once, and kopf would
        # wait for idle connections when the operator ends.
        response.force_close()
        return response

    async def _respond(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(LIMIT_S):
                body = await request.read()  # who sends it slowly holds nobody up
                async with self._free:
                    return web.json_response(await self._answer(body))
        except web.HTTPRequestEntityTooLarge:
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MAX_BODY_BYTES} bytes")
        except BadReviewError as error:
            return _refusal(HTTPStatus.BAD_REQUEST, str(error))
        except TimeoutError:
            return _failure(f"no answer within {LIMIT_S:g} s")
        except ApiError as error:
            return _failure(str(error))


def _refusal(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")


def _failure(text: str) -> web.Response:
    """What is none of the pool's fault: the API server does what the configuration's failure policy says."""
    _log.warning("review_failed", error=text)
    return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, text)
