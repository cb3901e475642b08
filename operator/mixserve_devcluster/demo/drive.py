"""Sends the ramp to pools that are Ready and records them until they are small again."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from mixserve_devcluster import open_files
from mixserve_devcluster.demo.client import Client
from mixserve_devcluster.demo.recording import Recording, Sample
from mixserve_devcluster.demo.spending import Spending, total
from mixserve_devcluster.demo.watching import Target, Watcher
from mixserve_devcluster.demo.workload import Arrival
from mixserve_devcluster.errors import DevClusterError

# A request may wait in a queue for most of the ramp; nothing takes longer than this.
_REQUEST_TIMEOUT_S = 240.0
_LOOK_EVERY_S = 0.5
# Envoy writes its access log once a second, and the gateway counts what it finds there.
_COUNTED_WITHIN_S = 10.0


class DriveError(DevClusterError):
    """Something did not get Ready; the message says what its conditions say."""


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
    """Send everything, record it into `recording`, and stay until all pools have their first sizes again.

    Args:
        kubeconfig: of a user who may see pods, Deployments, Services and our kinds.
        target: the pools.
        model: the name that is asked for.
        arrivals: what to send, in order.
        recording: gets samples, decisions, results and what they cost.
        show: called with every sample.
        settle_s: how long the pools may take to shrink after the last request has ended, > 0.

    Raises:
        WatchError: the API server does not answer, or refuses.
        SpendingError: a gateway does not say what it has counted.
    """
    async with client_session() as session:
        client = Client(model=model, session=session, results=recording.results)
        watcher = await Watcher.connect(kubeconfig=kubeconfig, session=session, target=target)
        try:
            first = await watcher.look(client, time.monotonic())
            recorder = asyncio.create_task(watcher.record(client=client, recording=recording, show=show))
            await _beside(recorder, client.run(arrivals))
            await _beside(recorder, _shrunk(recording, first, settle_s))
            recorder.cancel()
            recording.prices.update(await watcher.prices())
            recording.spending.update(await _counted(watcher, len(recording.results)))
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


async def _shrunk(recording: Recording, first: Sample, settle_s: float) -> None:
    """Wait until all pools are small and nothing drains any more, or the time is over."""
    deadline_s = time.monotonic() + settle_s
    while time.monotonic() < deadline_s:
        newest = recording.samples[-1].pools if recording.samples else {}
        if newest and all(
            one.replicas == first.pools[name].replicas and not one.draining for name, one in newest.items()
        ):
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _counted(watcher: Watcher, requests: int) -> Mapping[str, Spending]:
    """What the gateways have counted, once they have counted all requests, or the time is over."""
    deadline_s = time.monotonic() + _COUNTED_WITHIN_S
    while True:
        found = await watcher.spending()
        if not found or total(found.values()).requests >= requests or time.monotonic() > deadline_s:
            return found
        await asyncio.sleep(_LOOK_EVERY_S)


async def wait_until_ready(
    *,
    kubeconfig: Path,
    target: Target,
    deadline_s: float,
) -> None:
    """Wait for the Ready conditions of pools and policy, and for the pods of the gateway.

    Raises:
        DriveError: the deadline passed; the message has the conditions that are not True.
        WatchError: the API server does not answer, or refuses.
    """
    end_s = time.monotonic() + deadline_s
    async with aiohttp.ClientSession() as session:
        watcher = await Watcher.connect(kubeconfig=kubeconfig, session=session, target=target)
        try:
            while missing := await watcher.not_ready():
                if time.monotonic() > end_s:
                    raise DriveError(f"not Ready after {deadline_s:.0f} s; {'; '.join(missing)}")
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            await watcher.connection.close()
