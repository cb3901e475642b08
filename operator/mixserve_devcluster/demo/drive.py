"""Sends the ramp to a pool that is Ready and records it until the pool is small again."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from mixserve_devcluster import open_files
from mixserve_devcluster.demo.client import Client
from mixserve_devcluster.demo.recording import Recording, Sample
from mixserve_devcluster.demo.watching import Target, Watcher
from mixserve_devcluster.demo.workload import Arrival
from mixserve_devcluster.errors import DevClusterError

# A request may wait in a queue for most of the ramp; nothing takes longer than this.
_REQUEST_TIMEOUT_S = 240.0
_LOOK_EVERY_S = 0.5


class DriveError(DevClusterError):
    """The pool did not get Ready; the message says what its conditions say."""


async def drive(
    *,
    kubeconfig: Path,
    target: Target,
    model: str,
    arrivals: Iterable[Arrival],
    recording: Recording,
    show: Callable[[Sample], None],
    settle_s: float,
) -> None:
    """Send everything, record it into `recording`, and stay until the pool has its first size again.

    Args:
        kubeconfig: of a user who may see pods, Deployments and pools.
        target: the pool.
        model: its served name.
        arrivals: what to send, in order.
        recording: gets samples, decisions and results.
        show: called with every sample.
        settle_s: how long the pool may take to shrink after the last request has ended, > 0.

    Raises:
        WatchError: the API server does not answer, or refuses.
    """
    async with client_session() as session:
        client = Client(model=model, session=session, results=recording.results)
        watcher = await Watcher.connect(kubeconfig=kubeconfig, session=session, target=target)
        try:
            first = await watcher.look(client, time.monotonic())
            recorder = asyncio.create_task(watcher.record(client=client, recording=recording, show=show))
            await _beside(recorder, client.run(arrivals))
            await _beside(recorder, _shrunk(recording, first.replicas, settle_s))
            recorder.cancel()
        finally:
            await watcher.connection.close()


def client_session() -> aiohttp.ClientSession:
    """A session for as many requests at once as there are; only in an event loop."""
    open_files.raise_limit()
    # A connection for each request: one that is kept may be closed by the engine just when the next request goes out.
    limits = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(connector=limits, timeout=aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S))


async def _beside(recorder: asyncio.Task[None], work: Coroutine[Any, Any, None]) -> None:
    """Do the work; a recorder that fails in the meantime ends it with its error."""
    task = asyncio.create_task(work)
    await asyncio.wait({recorder, task}, return_when=asyncio.FIRST_COMPLETED)
    if recorder.done():
        task.cancel()
        recorder.result()
    task.result()


async def _shrunk(recording: Recording, replicas: int, settle_s: float) -> None:
    """Wait until the pool is small and nothing drains any more, or the time is over."""
    deadline_s = time.monotonic() + settle_s
    while time.monotonic() < deadline_s:
        newest = recording.samples[-1] if recording.samples else None
        if newest and newest.replicas == replicas and not newest.draining:
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def wait_until_ready(
    *,
    kubeconfig: Path,
    target: Target,
    deadline_s: float,
) -> None:
    """Wait for the pool's Ready condition.

    Raises:
        DriveError: the deadline passed; the message has the conditions that are not True.
        WatchError: the API server does not answer, or refuses.
    """
    end_s = time.monotonic() + deadline_s
    async with aiohttp.ClientSession() as session:
        watcher = await Watcher.connect(kubeconfig=kubeconfig, session=session, target=target)
        try:
            while True:
                conditions = ((await watcher.pool()).get("status") or {}).get("conditions") or []
                if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
                    return
                if time.monotonic() > end_s:
                    raise DriveError(f"the pool is not Ready after {deadline_s:.0f} s; {_not_true(conditions)}")
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            await watcher.connection.close()


def _not_true(conditions: Sequence[Mapping[str, str]]) -> str:
    """The conditions that say what is wrong, in one line."""
    wrong = [f"{one['type']}: {one['reason']}: {one['message']}" for one in conditions if one["status"] != "True"]
    return "; ".join(wrong) or "it has no status yet: does the operator run?"
