"""The local node's way to the API server: plain decoded JSON, which is much cheaper than the client's models.

ApiError: a call failed.
|- NotFoundError: 404, there is no such object.
|- ConflictError: 409, the object exists already, or is another one than the caller meant.
|- GoneError: 410, a watch must start anew.
|- UnreachableError: there was no answer.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.config import kube_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

# Everything is on this machine; an answer that takes longer will not come.
_TIMEOUT_S = 15.0
# The API server ends a watch after this time, so a broken connection is not waited for forever.
_WATCH_S = 300
# Requests in flight: enough for hundreds of pods at once, and few enough for the API server's own limits.
_CONNECTIONS = 32
STRATEGIC_MERGE = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """A call to the API server failed."""


class NotFoundError(ApiError):
    """There is no such object."""


class ConflictError(ApiError):
    """The object exists already, or is another one than the caller meant."""


class GoneError(ApiError):
    """The resource version is too old for a watch."""


class UnreachableError(ApiError):
    """There was no answer."""


_BY_STATUS: dict[int, type[ApiError]] = {404: NotFoundError, 409: ConflictError, 410: GoneError}


class ApiServer:
    """Calls to the API server of a kubeconfig; made by `ApiServer.connect`."""

    def __init__(self, api: Any) -> None:
        self._api = api

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, kubeconfig: Path) -> AsyncIterator[Self]:
        """Use the current context of a kubeconfig."""
        configuration = client.Configuration()
        configuration.connection_pool_maxsize = _CONNECTIONS
        await kube_config.load_kube_config(str(kubeconfig), client_configuration=configuration)
        async with client.ApiClient(configuration) as api:
            yield cls(api)

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """GET an object or a list."""
        return await self._call("GET", path, query=query)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST to a collection or subresource."""
        return await self._call("POST", path, body=body)

    async def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PATCH with a strategic merge patch."""
        return await self._call("PATCH", path, body=body, content_type=STRATEGIC_MERGE)

    async def delete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """DELETE with delete options."""
        return await self._call("DELETE", path, body=body)

    async def watch(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """The events of a watch, until the server ends it.

        Raises:
            GoneError: the resource version is too old.
        """
        query |= {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_S)}
        response = await self._send("GET", path, query=query, timeout_s=_WATCH_S + _TIMEOUT_S)
        try:
            async for event in _json_lines(response):
                if event["type"] == "ERROR":
                    raise _error(f"watch {path}", event["object"].get("code", 0), json.dumps(event["object"]))
                yield event
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(f"watch {path}: {error!r}") from error
        finally:
            response.close()

    async def _call(self, method: str, path: str, **details: Any) -> dict[str, Any]:
        response = await self._send(method, path, timeout_s=_TIMEOUT_S, **details)
        try:
            content: dict[str, Any] = await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(f"{method} {path}: {error!r}") from error
        return content

    async def _send(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        request = await self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Content-Type": content_type, "Accept": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        method, url, headers, content, _ = request
        try:
            answer = await self._api.call_api(
                method, url, headers, content, _request_timeout=aiohttp.ClientTimeout(timeout_s)
            )
            response: aiohttp.ClientResponse = answer.response
            if not response.ok:
                raise _error(f"{method} {path}", response.status, await response.text())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(f"{method} {path}: {error!r}") from error
        return response


def _error(call: str, status: int, text: str) -> ApiError:
    return _BY_STATUS.get(status, ApiError)(f"{call}: {status}: {text}")


async def _json_lines(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)
