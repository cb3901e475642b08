"""The HTTP server's routes, authentication and errors."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING

from aiohttp import web

from mixserve_devcluster.engine.generation import CHAT, COMPLETION, Api, Generations
from mixserve_devcluster.engine.metrics import CONTENT_TYPE
from mixserve_devcluster.engine.request_errors import RequestError

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from mixserve_devcluster.engine.deployment import Deployment
    from mixserve_devcluster.engine.engine_loop import EngineLoop
    from mixserve_devcluster.engine.metrics import EngineMetrics
    from mixserve_devcluster.engine.trtllm_metrics import TrtllmMetrics

# What is imitated; the local part of the version says that this is not it.
VERSION = "0.32.0+simulated"
TRTLLM_VERSION = "1.2.1+simulated"
# Prompts of a million tokens are some megabytes; aiohttp's own limit is one.
_LARGEST_BODY_BYTES = 64 * 1024**2


class Server:
    """The endpoints of one simulated engine.

    Args:
        deployment: what is simulated.
        loop: answers requests.
        metrics: counts them, and has vLLM's page.
        trtllm: has the pages of TensorRT-LLM instead, for an engine that behaves so.
    """

    def __init__(
        self,
        deployment: Deployment,
        loop: EngineLoop,
        metrics: EngineMetrics,
        *,
        trtllm: TrtllmMetrics | None = None,
    ) -> None:
        self.generations = Generations(deployment.options, loop, metrics)
        self._deployment = deployment
        self._loop = loop
        self._metrics = metrics
        self._trtllm = trtllm
        self._started_at = int(time.time())

    def application(self) -> web.Application:
        """The server as aiohttp runs it."""
        application = web.Application(
            middlewares=[self._errors_as_json, self._authenticated], client_max_size=_LARGEST_BODY_BYTES
        )
        application.add_routes(
            [
                *self._task_routes(),
                web.get("/v1/models", self._models),
                web.get("/health", _empty),
                web.get("/version", self._version),
                *(self._vllm_routes() if self._trtllm is None else self._trtllm.routes()),
            ]
        )
        return application

    def _task_routes(self) -> list[web.RouteDef]:
        """As in vLLM, a model that makes embeddings has no route for texts, and the other way round."""
        if self._deployment.options.runner == "pooling":
            return [web.post("/v1/embeddings", self.generations.embed)]
        return [web.post("/v1/chat/completions", self._chat), web.post("/v1/completions", self._completion)]

    def _vllm_routes(self) -> list[web.RouteDef]:
        return [web.get("/ping", _empty), web.post("/ping", _empty), web.get("/metrics", self._exposition)]

    async def _answer(self, http: web.Request, api: Api) -> web.StreamResponse:
        if self._trtllm is not None:
            self._trtllm.request_submitted()
        return await self.generations.answer(http, api)

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        return await self._answer(http, CHAT)

    async def _completion(self, http: web.Request) -> web.StreamResponse:
        return await self._answer(http, COMPLETION)

    async def _models(self, _http: web.Request) -> web.Response:
        card = {
            "object": "model",
            "created": self._started_at,
            "owned_by": "mixserve-simulated",
            "root": self._deployment.options.model,
            "parent": None,
            "max_model_len": self._deployment.settings.max_model_len,
            "permission": [],
        }
        names = self._deployment.options.served_model_name
        # An adapter has no length of its own.
        adapters = [
            {"id": adapter.name, **card, "root": adapter.path, "parent": names[0], "max_model_len": None}
            for adapter in self._deployment.options.adapters
        ]
        return web.json_response({"object": "list", "data": [*({"id": name, **card} for name in names), *adapters]})

    async def _exposition(self, _http: web.Request) -> web.Response:
        page = self._metrics.exposition(self._loop.core)
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})

    async def _version(self, _http: web.Request) -> web.Response:
        return web.json_response({"version": VERSION if self._trtllm is None else TRTLLM_VERSION})

    @web.middleware
    async def _errors_as_json(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RequestError as error:
            return self._refused(error)
        except web.RequestPayloadError:
            return self._unreadable(request)
        except web.HTTPRequestEntityTooLarge as error:
            message = f"The body is larger than {_LARGEST_BODY_BYTES} bytes."
            return self._refused(RequestError(message, status=error.status))
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            # FastAPI's own form: no route, so nobody of the API is asked.
            return web.json_response({"detail": error.reason}, status=error.status, headers=_allowed(error))

    def _refused(self, error: RequestError) -> web.Response:
        body = error.body() if self._trtllm is None else error.trtllm_body()
        return web.json_response(body, status=error.status)

    def _unreadable(self, request: web.Request) -> web.Response:
        """Refuse a body that is not encoded as its headers say; nobody knows where it ends, so neither goes on."""
        # Otherwise aiohttp would read on to the end, and fail a second time.
        request.content.feed_eof()
        response = self._refused(RequestError("The body is not encoded as its headers say."))
        response.force_close()
        return response

    @web.middleware
    async def _authenticated(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/v1") and not self._may_enter(request.headers.get("Authorization", "")):
            return web.json_response({"error": "Unauthorized"}, status=401)
        return await handler(request)

    def _may_enter(self, authorization: str) -> bool:
        keys = self._deployment.api_keys
        given = authorization.encode("utf-8", "surrogateescape")
        # Compared in constant time, as keys should be, also where they are made up.
        return not keys or any(hmac.compare_digest(given, f"Bearer {key}".encode()) for key in keys)


def _allowed(error: web.HTTPException) -> dict[str, str]:
    return {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}


async def _empty(_http: web.Request) -> web.Response:
    return web.Response()
