"""How a start fails: the same words, in the same order and at the same length, as vLLM logs them.

The cause is followed by the traceback of the process above, so it is not at the end of the log.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from mixserve.simulate.startup_errors import (
    ContextDoesNotFitError,
    EngineStartError,
    FreeMemoryError,
    NoKVCacheMemoryError,
    WeightsDoNotFitError,
)
from mixserve_devcluster.engine.environment import ForcedFailure

if TYPE_CHECKING:
    from mixserve.simulate.settings import EngineSettings
    from mixserve_devcluster.engine.errors import AddressError

# The frames between the command line and the engine, outermost first, as in vLLM.
_SERVER_FRAMES = (
    ("vllm/entrypoints/cli/main.py", "main", "args.dispatch_function(args)"),
    ("vllm/entrypoints/cli/serve.py", "cmd", "uvloop.run(run_server(args))"),
    ("uvloop/__init__.py", "run", "return runner.run(wrapper())"),
    ("asyncio/runners.py", "run", "return self._loop.run_until_complete(task)"),
    ("uvloop/__init__.py", "wrapper", "return await main"),
    ("vllm/entrypoints/openai/api_server.py", "run_server", "await run_server_worker(listen_address, sock, args)"),
    ("vllm/entrypoints/openai/api_server.py", "run_server_worker", "async with build_async_engine_client(args)"),
    ("contextlib.py", "__aenter__", "return await anext(self.gen)"),
    ("vllm/entrypoints/openai/api_server.py", "build_async_engine_client", "async with build_from_args(args)"),
    ("vllm/v1/engine/async_llm.py", "from_vllm_config", "return cls("),
    ("vllm/v1/engine/async_llm.py", "__init__", "self.engine_core = EngineCoreClient.make_async_mp_client("),
    ("vllm/v1/engine/core_client.py", "make_async_mp_client", "return AsyncMPClient(*client_args)"),
    ("vllm/v1/engine/core_client.py", "__init__", "super().__init__("),
    ("vllm/v1/engine/core_client.py", "__init__", "with launch_core_engines(vllm_config, executor_class) as engines:"),
    ("contextlib.py", "__exit__", "next(self.gen)"),
    ("vllm/v1/engine/utils.py", "launch_core_engines", "wait_for_engine_startup("),
    ("vllm/v1/engine/utils.py", "wait_for_engine_startup", "raise RuntimeError("),
)
_CORE_FRAMES = (
    ("vllm/v1/engine/core.py", "run_engine_core", "engine_core = EngineCoreProc(*args, **kwargs)"),
    ("vllm/v1/engine/core.py", "__init__", "kv_cache_config = self._initialize_kv_caches(vllm_config)"),
)


# The same for an address that can't be had: vLLM takes it before it starts the engine.
_ADDRESS_FRAMES = (
    *_SERVER_FRAMES[:5],
    ("vllm/entrypoints/openai/api_server.py", "run_server", "listen_address, sock = setup_server(args)"),
    ("vllm/entrypoints/openai/api_server.py", "setup_server", "sock = create_server_socket(sock_addr)"),
    ("vllm/entrypoints/openai/api_server.py", "create_server_socket", "sock.bind(addr)"),
)


def forced(failure: ForcedFailure, settings: EngineSettings) -> EngineStartError:
    """The error that a test asks for, with numbers that could be this engine's."""
    memory_bytes = settings.hardware.memory_bytes
    if failure is ForcedFailure.NO_KV_MEMORY:
        return NoKVCacheMemoryError()
    if failure is ForcedFailure.CUDA_OOM:
        return WeightsDoNotFitError(memory_bytes=memory_bytes)
    if failure is ForcedFailure.FREE_MEMORY:
        return FreeMemoryError(
            memory_bytes=memory_bytes,
            free_bytes=memory_bytes // 8,
            gpu_memory_utilization=settings.gpu_memory_utilization,
        )
    needed_bytes = settings.max_model_len * settings.model.kv_bytes_per_token / settings.hardware.gpus
    return ContextDoesNotFitError(
        max_model_len=settings.max_model_len,
        needed_bytes=needed_bytes,
        available_bytes=needed_bytes / 2,
        estimated_max_model_len=settings.max_model_len // 2 // settings.block_size * settings.block_size,
    )


def log(error: EngineStartError) -> None:
    """Print what vLLM prints when its engine core fails to start."""
    pid = os.getpid()
    stamp = time.strftime("%m-%d %H:%M:%S")
    prefix = f"(EngineCore pid={pid}) ERROR {stamp} [simulated] "
    cause = f"{error.exception}: {error}"
    traceback = ["Traceback (most recent call last):", *_frames(_CORE_FRAMES), cause]
    lines = [
        f"{prefix}EngineCore failed to start.",
        *(f"{prefix}{line}" for line in traceback),
        "Process EngineCore:",
        *traceback,
        "Traceback (most recent call last):",
        *_frames(_SERVER_FRAMES),
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201 - the format is vLLM's, not a structured log


def log_address(error: AddressError) -> None:
    """Print what vLLM prints when its address is taken."""
    lines = ["Traceback (most recent call last):", *_frames(_ADDRESS_FRAMES), str(error)]
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201 - the format is vLLM's, not a structured log


def _frames(frames: tuple[tuple[str, str, str], ...]) -> list[str]:
    return [
        text
        for path, function, line in frames
        for text in (f'  File "/usr/local/lib/python3.12/dist-packages/{path}", in {function}', f"    {line}")
    ]
