"""Two operators on one cluster: one works, the other stands by and takes over."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster.processes import GuardedProcess
from support.operator_numbers import number
from support.pool_manifests import pool
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve_devcluster.installation import Installation
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.integration


class Second:
    """Another operator with the same rights, under a name of its own; it decides how long a Lease counts for it."""

    def __init__(self, installation: Installation, directory: Path, lease_duration_s: int) -> None:
        program = shutil.which("mixserve", path=str(Path(sys.executable).parent))
        assert program is not None
        self._log = directory / "second.log"
        settings = {
            "MIXSERVE_KUBECONFIG": str(installation.operator_kubeconfig),
            "MIXSERVE_IDENTITY": "second",
            "MIXSERVE_LEASE_DURATION_S": str(lease_duration_s),
            "MIXSERVE_HTTP_HOST": "127.0.0.1",
            "MIXSERVE_HTTP_PORT": "0",
            "MIXSERVE_LOG_FORMAT": "json",
        }
        self.process = GuardedProcess.start(
            "the second operator",
            [program, "operator", "run"],
            log_file=self._log,
            environment={**os.environ, **settings},
        )

    def events(self) -> dict[str, dict[str, object]]:
        """What it has logged, the last of each event."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return {entry["event"]: entry for entry in entries}

    def is_ready(self) -> bool:
        started = self.events().get("web_started")
        if started is None:
            return False
        with contextlib.suppress(urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{started['port']}/readyz", timeout=5)
            return True
        return False

    def leads(self) -> bool:
        return "lease_acquired" in self.events()


@pytest.fixture
def second(installation: Installation, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Second]:
    """A second operator beside a first one that leads; afterwards the first one is alone again."""
    eventually(lambda: number(installation, "mixserve_leader") == 1.0, "leader")
    other = Second(installation, tmp_path, request.param)
    yield other
    other.process.stop(10.0)
    installation.stop_operator()
    installation.start_operator()


@pytest.mark.parametrize("second", [30], indirect=True)
def test_the_second_is_ready_without_leading_and_takes_over(
    second: Second, installation: Installation, sandbox: PoolSandbox
) -> None:
    eventually(second.is_ready, "second operator that stands by")
    assert not second.leads()
    installation.stop_operator()
    # The Lease was given back: no need to wait until it expires; the second looks every 4 s.
    eventually(second.leads, "take-over", 15.0)
    sandbox.apply([pool()])
    sandbox.wait_until_ready("chat")


@pytest.mark.parametrize("second", [3], indirect=True)
def test_after_a_crash_it_takes_over_when_the_lease_has_expired(
    second: Second, installation: Installation, sandbox: PoolSandbox
) -> None:
    eventually(second.is_ready, "second operator that stands by")
    installation.kill_operator()
    eventually(second.leads, "take-over", 10.0)
    sandbox.apply([pool()])
    sandbox.wait_until_ready("chat")
