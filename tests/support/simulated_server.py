"""The simulated engine server: inside the test's own event loop, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp.test_utils import TestClient, TestServer

from mixserve.simulate.engine import SimulatedEngineCore
from mixserve_devcluster.engine import command_line, deployment, trtllm_command_line
from mixserve_devcluster.engine.engine_loop import EngineLoop
from mixserve_devcluster.engine.environment import SimulationEnvironment
from mixserve_devcluster.engine.lifecycle import engine_metrics, trtllm_metrics
from mixserve_devcluster.engine.server import Server
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mixserve_devcluster.engine.deployment import Deployment

# A small model with large keys and values: an L4 has some 1,000 blocks of 16 tokens for it.
SMALL_PLAN = {"parameters": 10**9, "weightsBytes": 10**9, "kvBytesPerToken": 2**20}


def annotations(**changes: Any) -> dict[str, str]:
    """A pod's annotations with a memory plan."""
    return {"mixserve.dev/memory-plan": json.dumps({**SMALL_PLAN, **changes})}


def resolved(*flags: str, trtllm: bool = False, **environment: Any) -> Deployment:
    """What the server would run with these flags, of vLLM or TensorRT-LLM; fast, unless told otherwise."""
    chosen: dict[str, Any] = {"node_labels": {}, "pod_annotations": annotations(), "time_scale": 0.01}
    options = (
        trtllm_command_line.parse(["some/model", "--max_seq_len", "2048", *flags])
        if trtllm
        else command_line.parse(["serve", "some/model", "--max-model-len", "2048", *flags])
    )
    return deployment.resolve(options, SimulationEnvironment(**{**chosen, **environment}))


@dataclass
class Served:
    """A server in the test's event loop."""

    client: TestClient[Any, Any]
    server: Server
    loop: EngineLoop

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:
        """POST a JSON body; status and decoded answer."""
        async with self.client.post(path, json=body) as response:
            return response.status, await response.json()

    async def until_running(self, requests: int) -> None:
        """Wait until so many requests are in the batch."""
        async with asyncio.timeout(30):
            while self.loop.core.running != requests:  # noqa: ASYNC110 - the engine announces nothing
                await asyncio.sleep(0.001)

    async def sample(self, name: str) -> float:
        """The value of the first sample on the metrics page that begins with vllm:`name`."""
        async with self.client.get("/metrics") as response:
            return sample(await response.text(), name)


def sample(page: str, beginning: str) -> float:
    """The value of the first sample of a metrics page that begins with vllm:`beginning`."""
    for line in page.splitlines():
        if line.startswith(f"vllm:{beginning}"):
            return float(line.rsplit(" ", 1)[1])
    raise KeyError(beginning)


@contextlib.asynccontextmanager
async def served(*flags: str, **environment: Any) -> AsyncIterator[Served]:
    """Serve inside the test's event loop."""
    chosen = resolved(*flags, **environment)
    core = SimulatedEngineCore(chosen.settings)
    metrics = engine_metrics(chosen, core)
    trtllm = trtllm_metrics(chosen, core)
    loop = EngineLoop(core, time_scale=chosen.time_scale, on_step=(trtllm or metrics).step_done)
    server = Server(chosen, loop, metrics, trtllm=trtllm)
    steps = asyncio.create_task(loop.run())
    test_server = TestServer(server.application())
    try:
        async with TestClient(test_server) as client:
            yield Served(client, server, loop)
    finally:
        steps.cancel()


@dataclass
class ServerProcess:
    """A server in a process of its own."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text()

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        match = re.search(r"event=engine_ready .*port=(\d+)", self.log)
        return int(match[1]) if match else 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """Wait until it listens; fails early if it ends."""
        eventually(lambda: self.port or self.process.poll() is not None, "simulated engine")
        assert self.process.poll() is None, self.log

    def metric(self, name: str) -> float:
        """The first sample that begins with vllm:`name`."""
        with urllib.request.urlopen(f"{self.url}/metrics") as response:  # noqa: S310 - our own server
            return sample(response.read().decode(), name)


@contextlib.contextmanager
def server_process(directory: Path, *flags: str, **environment: str) -> Iterator[ServerProcess]:
    """Start a server without cold start; it is killed at the end, if it still runs."""
    log_file = directory / "engine.log"
    defaults = {
        "MIXSERVE_SIMULATED_POD_ANNOTATIONS": json.dumps(annotations()),
        "MIXSERVE_SIMULATED_COLD_START_S": "0",
    }
    command = [sys.executable, "-m", "mixserve_devcluster.engine", "serve", "some/model"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", "0", "--max-model-len", "2048", *flags],
            env={**os.environ, **defaults, **environment},
            stderr=log,
            stdout=log,
        )
    try:
        yield ServerProcess(process, log_file)
    finally:
        process.kill()
        process.wait()
