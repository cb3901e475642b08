"""Carries out what probes and lifecycle hooks ask for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# From the kubelet: a status from 200 to 399 is success.
_FIRST_SUCCESS = 200
_FIRST_FAILURE = 400


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Whether an action succeeded, and what to say if not."""

    success: bool
    message: str = ""


class Executor(Protocol):
    """Runs commands in a running container."""

    async def execute(self, argv: Sequence[str], timeout_s: float) -> Outcome:
        """Run a command; failure is an exit code other than 0, or no end in time, when it is killed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """The container that an action is for.

    Attributes:
        address: of its pod.
        ports: its named ports.
    """

    address: str
    ports: Mapping[str, int]
    executor: Executor
    http: aiohttp.ClientSession

    def port(self, port: int | str) -> int:
        """The number of a port, which may be given by name; -1 for a name that the container does not declare."""
        return port if isinstance(port, int) else self.ports.get(port, -1)


async def perform(action: Mapping[str, Any], target: Target, timeout_s: float) -> Outcome:
    """Carry out an action; a redirection counts as success and is not followed.

    Whatever goes wrong is a failure of the action, and none of the pod that it is for.
    """
    try:
        return await _perform(action, target, timeout_s)
    except Exception as error:  # noqa: BLE001 - what may be wrong with a manifest's hosts and ports has no end
        return Outcome(success=False, message=repr(error))


async def _perform(action: Mapping[str, Any], target: Target, timeout_s: float) -> Outcome:
    match action:
        case {"exec": {"command": command}}:
            return await target.executor.execute(command, timeout_s)
        case {"httpGet": request}:
            return await _http_get(request, target, timeout_s)
        case {"tcpSocket": request}:
            host = request.get("host") or target.address
            return await _connect(host, target.port(request["port"]), timeout_s)
        case {"sleep": {"seconds": seconds}}:
            await asyncio.sleep(min(seconds, timeout_s))
            return Outcome(success=True)
    return Outcome(success=False, message=f"the local node cannot do {', '.join(action) or 'nothing'}")


async def _http_get(request: Mapping[str, Any], target: Target, timeout_s: float) -> Outcome:
    scheme, host = request.get("scheme", "HTTP").lower(), request.get("host") or target.address
    url = f"{scheme}://{host}:{target.port(request['port'])}/{request.get('path', '/').removeprefix('/')}"
    headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*"}
    headers |= {header["name"]: header["value"] for header in request.get("httpHeaders", [])}
    try:
        async with target.http.get(
            url,
            headers=headers,
            timeout=aiohttp.ClientTimeout(timeout_s),
            allow_redirects=False,
            ssl=False,  # as a kubelet: the certificate is not verified
        ) as response:
            code = response.status
    except TimeoutError:
        return Outcome(success=False, message=f'Get "{url}": no answer within {timeout_s:g} s')
    except (aiohttp.ClientError, ValueError) as error:  # ValueError: no URL, such as with port -1
        return Outcome(success=False, message=f'Get "{url}": {error}')
    if _FIRST_SUCCESS <= code < _FIRST_FAILURE:
        return Outcome(success=True)
    return Outcome(success=False, message=f"HTTP probe failed with statuscode: {code}")


async def _connect(host: str, port: int, timeout_s: float) -> Outcome:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(success=False, message=f"dial tcp {host}:{port}: no answer within {timeout_s:g} s")
    except (OSError, OverflowError) as error:  # OverflowError: no port number
        return Outcome(success=False, message=f"dial tcp {host}:{port}: {error}")
    writer.close()
    return Outcome(success=True)
