"""A cluster by name: a control plane and the local node, in a directory of the user's own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import filelock
import yaml

from mixserve_devcluster import records
from mixserve_devcluster.control_plane import NODE_GROUP, ControlPlane
from mixserve_devcluster.errors import ClusterError
from mixserve_devcluster.processes import GuardedProcess, require_linux
from mixserve_devcluster.records import ClusterPaths, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from mixserve_devcluster.component_flags import ControlPlaneSettings

# A Python process that registers some hundred nodes, on a machine with too much to do.
_NODE_START_S = 180.0
# The node ends its pods without their grace when it is told to stop.
_NODE_STOP_S = 10.0
_POLL_S = 0.05
# How soon the end of a component is noticed.
_WATCH_S = 1.0


class Cluster:
    """A running cluster; made by `Cluster.start`.

    Attributes:
        name: unique among the clusters of this user.
        paths: where it keeps its files.
        plane: its control plane.
    """

    def __init__(self, paths: ClusterPaths, plane: ControlPlane) -> None:
        self.name = paths.name
        self.paths = paths
        self.plane = plane
        self._node: GuardedProcess | None = None

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        name: str,
        *,
        node_config: Mapping[str, Any] | Path | None = None,
        settings: ControlPlaneSettings | None = None,
        when_locked: Callable[[], None] = lambda: None,
    ) -> Iterator[Cluster]:
        """Run a cluster, whose nodes are registered when the context is entered; nothing is left afterwards.

        If the context ends with an exception, its directory stays, for its logs, until the next start or `down`.

        Args:
            name: a DNS label.
            node_config: what the local node runs, as a mapping or a YAML file; None: a control plane only.
            settings: of the control plane.
            when_locked: called once, as soon as nobody else can run or start a cluster of this name.

        Raises:
            PlatformError: this is not Linux.
            ClusterError: a cluster of this name runs, or the node configuration is no mapping.
            DevClusterError: it did not come up; see `ControlPlane.start`.
        """
        require_linux()
        paths = ClusterPaths(name=name)
        nodes = None if node_config is None else _loaded(node_config)
        with locked(paths), contextlib.ExitStack() as stack:
            when_locked()
            _make_directory(paths, stack)
            record = Record.of_this_process()
            record.write(paths)
            plane = stack.enter_context(ControlPlane.start(paths.control_plane, settings))
            cluster = cls(paths, plane)
            if nodes is not None:
                cluster._start_node(nodes, stack)
            replace(record, ready=True).write(paths)
            yield cluster

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.plane.kubeconfig

    def check(self) -> None:
        """Raise ProcessError, with the end of its log, if the node or a component of the control plane has ended."""
        self.plane.check()
        if self._node is not None:
            self._node.ensure_running()

    def run_until_stopped(self) -> NoReturn:
        """Watch over the processes; ends by the exception of a signal, or by ProcessError when one has ended."""
        while True:
            self.check()
            time.sleep(_WATCH_S)

    def _start_node(self, nodes: Mapping[str, Any], stack: contextlib.ExitStack) -> None:
        config = self.paths.directory / "node.json"
        config.write_text(json.dumps({**nodes, **self._node_surroundings()}))
        identity = self.plane.kubeconfig_for(user="mixserve-devcluster:node", groups=[NODE_GROUP])
        module = [sys.executable, "-m", "mixserve_devcluster.node"]
        self._node = GuardedProcess.start(
            "the local node",
            [*module, "--kubeconfig", str(identity), "--config", str(config)],
            log_file=self.paths.directory / "node.log",
            environment={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        stack.callback(self._node.stop, _NODE_STOP_S)
        self._wait_until_registered(self._node)

    def _node_surroundings(self) -> dict[str, str]:
        certificate, key = self.plane.serving_certificate("local-node", ["127.0.0.1"])
        return {
            "servingCertificateFile": str(certificate),
            "servingKeyFile": str(key),
            "logDirectory": str(self.paths.container_logs),
            "workDirectory": str(self.paths.directory / "node"),
            "apiServer": self.plane.server,
            "caFile": str(self.plane.ca_file),
        }

    def _wait_until_registered(self, node: GuardedProcess) -> None:
        deadline = time.monotonic() + _NODE_START_S
        while "ready" not in node.log_file.read_text(errors="replace").splitlines():
            self.check()
            if time.monotonic() > deadline:
                raise ClusterError(f"the local node does not get ready; its log ends with:\n{node.log_tail()}")
            time.sleep(_POLL_S)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """End the context by SystemExit on SIGTERM and SIGHUP, as Ctrl-C does by KeyboardInterrupt; main thread only."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        # The exit status that a shell gives a program that the signal ended.
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def locked(paths: ClusterPaths) -> Iterator[None]:
    """Keep others from starting or removing the cluster; leaves no lock file.

    Raises:
        ClusterError: somebody runs it, or is just starting or stopping it.
    """
    paths.lock.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(paths.lock)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise ClusterError(f"cluster {paths.name!r} runs already, or is just starting or stopping") from error
    try:
        yield
    finally:
        # While it is still held: filelock does not take a lock on a file that is gone, so there are never two.
        paths.lock.unlink(missing_ok=True)
        lock.release()


def _make_directory(paths: ClusterPaths, stack: contextlib.ExitStack) -> None:
    """Make an empty directory, to be removed unless `stack` ends with an error; then its logs are wanted."""
    records.remove(paths)
    paths.directory.mkdir(mode=0o700)

    def leave(kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, Exception):
            records.remove(paths)

    stack.push(leave)


def _loaded(node_config: Mapping[str, Any] | Path) -> Mapping[str, Any]:
    if not isinstance(node_config, Path):
        return node_config
    try:
        loaded = yaml.safe_load(node_config.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(f"cannot read the node configuration {node_config}: {error}") from error
    if not isinstance(loaded, dict):
        raise ClusterError(f"{node_config}: a node configuration is a mapping with `nodes` and `images`")
    return loaded
