"""Envoy's administration interface, on a Unix socket in the shared directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import aiohttp

from mixserve.plan.envoy.routes import NAME as ROUTES

if TYPE_CHECKING:
    from types import TracebackType

_MEMBERS = ".membership_total"
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

    async def end_draining(self) -> None:
        """Let it answer probes as if it had never been told to drain.

        Raises:
            EnvoyAdminError: it can't be told.
        """
        await self._call("POST", "/healthcheck/ok")

    async def active_requests(self, stat_prefix: str) -> int:
        """Requests of clients that are under way.

        Args:
            stat_prefix: of the listeners' connection managers.

        Raises:
            EnvoyAdminError: it does not say.
        """
        name = f"http.{stat_prefix}.downstream_rq_active"
        text = await self._statistics(f"^{name}$")
        try:
            return int(text[name])
        except (KeyError, ValueError) as error:
            raise EnvoyAdminError(f"{name} is no number: {text}") from error

    async def routes_version(self) -> str:
        """The version of the routes that it has; empty where it has none.

        Raises:
            EnvoyAdminError: it does not say.
        """
        found = await self._statistics(f"rds.{ROUTES}.version_text$")
        # Its listeners share the routes.
        return next(iter(found.values()), "").strip('"')

    async def pools_with_endpoints(self) -> set[str]:
        """The pools of which it has at least one endpoint.

        Raises:
            EnvoyAdminError: it does not say.
        """
        found = await self._statistics(f"^cluster.*{_MEMBERS}$")
        return {name.removeprefix("cluster.").removesuffix(_MEMBERS) for name, count in found.items() if count != "0"}

    async def _statistics(self, names: str) -> dict[str, str]:
        """The statistics whose name fits the regular expression."""
        text = await self._call("GET", f"/stats?filter={names}")
        return {name: value for name, colon, value in (line.partition(": ") for line in text.splitlines()) if colon}

    async def _call(self, method: str, path: str) -> str:
        try:
            async with self._session.request(method, f"http://envoy{path}") as response:
                text = await response.text()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise EnvoyAdminError(f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status != 200:  # noqa: PLR2004 - OK
            raise EnvoyAdminError(f"{method} {path}: {response.status}: {text[:200]}")
        return text
