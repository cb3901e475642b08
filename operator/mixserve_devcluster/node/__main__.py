"""The local node's process: `python -m mixserve_devcluster.node --kubeconfig FILE --config FILE`.

It prints `ready` once its nodes take pods, and runs until SIGTERM or SIGINT. However it ends, the processes of its
pods end with it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TextIO, cast

import structlog

from mixserve_devcluster.node.addresses import NoAddressError
from mixserve_devcluster.node.api_server import ApiError
from mixserve_devcluster.node.config import ConfigError, NodeConfig, read_config
from mixserve_devcluster.node.local_node import run_nodes
from mixserve_devcluster.node.log_stream import LogStream
from mixserve_devcluster.node.spawner.client import SpawnerGoneError
from mixserve_devcluster.node.waiting import causes

_log = structlog.get_logger()


def main() -> int:
    """Run the nodes; the exit code: 0 after a signal, 1 if they cannot run, 2 for a wrong configuration."""
    parser = argparse.ArgumentParser(prog="python -m mixserve_devcluster.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of a user with the rights of a kubelet")
    parser.add_argument("--config", type=Path, required=True, help="what nodes and images there are (JSON)")
    arguments = parser.parse_args()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", LogStream())),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    try:
        config = read_config(arguments.config)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return asyncio.run(_run(config, arguments.kubeconfig))


async def _run(config: NodeConfig, kubeconfig: Path) -> int:
    nodes = asyncio.create_task(run_nodes(config, kubeconfig, lambda: print("ready", flush=True)))  # noqa: T201
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, nodes.cancel)
    await asyncio.wait([nodes])
    if nodes.cancelled():
        _log.info("node_stopped")
        return 0
    try:
        nodes.result()
    except* (ApiError, NoAddressError, SpawnerGoneError) as errors:
        for error in causes(errors):
            sys.stderr.write(f"{error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
