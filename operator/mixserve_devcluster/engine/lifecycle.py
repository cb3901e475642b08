"""The process: start cold, serve, and end on a signal as vLLM does."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from mixserve.simulate.engine import SimulatedEngineCore
from mixserve.simulate.startup_errors import EngineStartError
from mixserve_devcluster import open_files
from mixserve_devcluster.engine import (
    command_line,
    deployment,
    environment,
    failed_start,
    listening_address,
    trtllm_command_line,
)
from mixserve_devcluster.engine.engine_loop import EngineLoop
from mixserve_devcluster.engine.environment import ForcedFailure
from mixserve_devcluster.engine.errors import AddressError, ConfigurationError
from mixserve_devcluster.engine.metrics import EngineMetrics
from mixserve_devcluster.engine.server import Server
from mixserve_devcluster.engine.trtllm_metrics import TrtllmMetrics

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from mixserve_devcluster.engine.deployment import Deployment

_LOG = structlog.get_logger("simulated-engine")
_LOG_LEVELS = {"critical": logging.CRITICAL, "error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}
# As many connections may wait to be accepted as in uvicorn: a burst is queued by the engine, not by the kernel.
_BACKLOG = 2048
# How long aiohttp lets handlers end by themselves once the decision to abort is made; 0 would mean for ever.
_ABORT_S = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    _configure_logs("info")
    open_files.raise_limit()
    trtllm = words[:1] == [trtllm_command_line.PROGRAM]
    try:
        options = trtllm_command_line.parse(words[1:]) if trtllm else command_line.parse(words)
        _configure_logs(options.log_level)
        simulation = environment.read(os.environ)
        chosen = deployment.resolve(options, simulation)
        if simulation.failure is ForcedFailure.FREE_MEMORY:
            raise failed_start.forced(simulation.failure, chosen.settings)
        return asyncio.run(_run(chosen, simulation.failure))
    except ConfigurationError as error:
        _LOG.error("configuration_refused", reason=str(error))
        return 2
    except (EngineStartError, AddressError) as error:
        _log_failure(error, trtllm=trtllm)
        return 1


def _log_failure(error: EngineStartError | AddressError, *, trtllm: bool) -> None:
    """In vLLM's words; those of TensorRT-LLM are not known here."""
    if trtllm:
        _LOG.error("engine_start_failed", simulated=True, reason=str(error))
    elif isinstance(error, EngineStartError):
        failed_start.log(error)
    else:
        failed_start.log_address(error)


async def _run(chosen: Deployment, failure: ForcedFailure | None) -> int:
    with listening_address.bound(chosen.options.host, chosen.options.port) as address:
        return await _start(chosen, failure, address)


async def _start(chosen: Deployment, failure: ForcedFailure | None, address: socket.socket) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    _log_start(chosen)
    if await _happened_within(stopping, chosen.cold_start_s * chosen.time_scale):
        return 0
    if failure is not None:
        raise failed_start.forced(failure, chosen.settings)
    return await _serve(chosen, SimulatedEngineCore(chosen.settings), address, stopping)


async def _serve(chosen: Deployment, core: SimulatedEngineCore, address: socket.socket, stopping: asyncio.Event) -> int:
    metrics = engine_metrics(chosen, core)
    trtllm = trtllm_metrics(chosen, core)
    loop = EngineLoop(core, time_scale=chosen.time_scale, on_step=(trtllm or metrics).step_done)
    server = Server(chosen, loop, metrics, trtllm=trtllm)
    runner = web.AppRunner(server.application(), handler_cancellation=True, access_log=None, shutdown_timeout=_ABORT_S)
    await runner.setup()
    try:
        with listening_address.clear_errors():
            await web.SockSite(runner, address, backlog=_BACKLOG).start()
        _LOG.info("engine_ready", simulated=True, port=runner.addresses[0][1], kv_blocks=core.kv_budget.blocks)
        async with asyncio.TaskGroup() as tasks:
            steps = tasks.create_task(loop.run())
            await stopping.wait()
            await _drain(server, chosen.options.shutdown_timeout_s)
            steps.cancel()
    finally:
        await runner.cleanup()
    _LOG.info("engine_stopped", simulated=True)
    return 0


def engine_metrics(chosen: Deployment, core: SimulatedEngineCore) -> EngineMetrics:
    """The metrics of an engine that behaves as vLLM; counted, and not shown, for others."""
    options = chosen.options
    return EngineMetrics(
        model_name=options.served_model_name[0],
        max_model_len=chosen.settings.max_model_len,
        time_scale=chosen.time_scale,
        cache_config=chosen.cache_config(core.kv_budget.blocks),
        proposed_tokens=0 if options.speculation is None else options.speculation.tokens,
        max_loras=options.max_loras if options.enable_lora else None,
        generates=options.runner != "pooling",
    )


def trtllm_metrics(chosen: Deployment, core: SimulatedEngineCore) -> TrtllmMetrics | None:
    """The metrics of an engine that behaves as TensorRT-LLM; None for vLLM."""
    options = chosen.options.trtllm
    return None if options is None else TrtllmMetrics(core, options, time_scale=chosen.time_scale)


async def _drain(server: Server, timeout_s: float) -> None:
    """Refuse new requests and let those in flight finish, for at most `timeout_s`."""
    server.generations.draining = True
    drained = await _happened_within(server.generations.idle, timeout_s)
    _LOG.info("engine_stopping", simulated=True, drained=drained)


async def _happened_within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _log_start(chosen: Deployment) -> None:
    settings = chosen.settings
    _LOG.info(
        "engine_starting",
        simulated=True,
        model=chosen.options.model,
        gpu=chosen.gpu,
        gpus=settings.hardware.gpus,
        max_model_len=settings.max_model_len,
        weights_bytes=settings.model.weights_bytes,
        kv_bytes_per_token=settings.model.kv_bytes_per_token,
        cold_start_s=chosen.cold_start_s,
        time_scale=chosen.time_scale,
    )
    if chosen.options.ignored:
        _LOG.info("flags_ignored", simulated=True, flags=" ".join(chosen.options.ignored))


def _configure_logs(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LOG_LEVELS.get(level, logging.DEBUG)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
