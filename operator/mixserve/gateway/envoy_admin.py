"""Envoy's administration interface, on a Unix socket in the shared directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import aiohttp

if TYPE_CHECKING:
    from types import TracebackType

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)


class EnvoyAdminError(Exception):
    """Envoy does not answer, or refuses."""


class EnvoyAdmin:
    """Asks and tells this pod's Envoy; to be used as an asynchronous context.

    Args:
        path: of the socket.
    """

    def __init__(self, path: str) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=path), timeout=_TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def reopen_logs(self) -> None:
        """Let it open its log anew, after the file was given another name.

        Raises:
            EnvoyAdminError: it can't be told.
        """
        await self._call("POST", "/reopen_logs")

    async def begin_to_drain(self) -> None:
        """Let it answer probes with 503 and ask clients to close their connections; it goes on taking requests.

        Raises:
            EnvoyAdminError: it can't be told.
        """
        await self._call("POST", "/healthcheck/fail")

    async def active_requests(self, stat_prefix: str) -> int:
        """Requests of clients that are under way.

        Args:
            stat_prefix: of the listeners' connection managers.

        Raises:
            EnvoyAdminError: it does not say.
        """
        name = f"http.{stat_prefix}.downstream_rq_active"
        text = await self._call("GET", f"/stats?filter=^{name}$")
        try:
            return int(text.rpartition(":")[2])
        except ValueError as error:
            raise EnvoyAdminError(f"{name}: {text[:100]!r} is no number") from error

    async def _call(self, method: str, path: str) -> str:
        try:
            async with self._session.request(method, f"http://envoy{path}") as response:
                text = await response.text()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise EnvoyAdminError(f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status != 200:  # noqa: PLR2004 - OK
            raise EnvoyAdminError(f"{method} {path}: {response.status}: {text[:200]}")
        return text
