"""`mixserve dev demo`, as `make demo` runs it: the main job, what it leaves, and what its exit code says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.e2e

# The script that the distribution installs, beside the interpreter.
MIXSERVE = Path(sys.executable).with_name("mixserve")
EXAMPLES = Path(__file__).parents[2] / "examples"
QUICKSTART = EXAMPLES / "quickstart/pool.yaml"
TIERS = ("small", "mid", "large")
SAVED_PERCENT = 60


@dataclass(frozen=True)
class Demo:
    """A demo that has ended."""

    exit_code: int
    said: str
    complaint: str
    directory: Path

    @property
    def output(self) -> Path:
        """Where its files are."""
        return self.directory / "out" / "demo"

    @property
    def recording(self) -> dict[str, Any]:
        """What it saw."""
        return dict(json.loads((self.output / "recording.json").read_text()))


def demo(directory: Path, *options: str) -> Demo:
    """Run it with generated lengths, for a user without clusters."""
    done = subprocess.run(
        [MIXSERVE, "dev", "demo", *options],
        cwd=directory,
        env={**os.environ, "XDG_STATE_HOME": str(directory / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert "Traceback" not in done.stderr
    assert not list((directory / "state").glob("mixserve/clusters/*"))
    return Demo(done.returncode, done.stdout, done.stderr, directory)


def test_the_gateway_saves_a_pool_grows_and_shrinks_and_the_pictures_show_it(tmp_path: Path) -> None:
    run = demo(tmp_path, "--example", str(EXAMPLES / "routing"))

    assert run.exit_code == 0, run.said + run.complaint
    assert {path.name for path in run.output.iterdir()} == {"timeline.png", "timeline.html", "recording.json"}
    assert all(f"  out/demo/{path.name}\n" in run.said for path in run.output.iterdir())
    assert re.search(r"^  Requests +2\d\d, 0 failed$", run.said, re.MULTILINE)
    assert re.search(r"^  Replicas +small 1 to [2-4], 1 at the end; mid ", run.said, re.MULTILINE)
    assert re.search(r"^  TTFT +median \d+\.\d\d s, p95 \d+\.\d\d s$", run.said, re.MULTILINE)
    assert re.search(r"^ +\d+ s  small: ScaleUp 1 -> \d awq-l4: ", run.said, re.MULTILINE)
    assert re.search(r"^ +\d+ s  small: ScaleDown \d -> \d awq-l4: ", run.said, re.MULTILINE)
    assert re.search(r"^ +predicted for full replicas, from the prices of GPUs", run.said, re.MULTILINE)
    saved = re.search(r"^  Cost +\d\.\d+ USD; always large: \d\.\d+ USD; saved (\d+) %$", run.said, re.MULTILINE)
    assert saved
    assert int(saved[1]) > SAVED_PERCENT
    assert "\nWhat next\n" in run.said
    check_accounts(run.recording)


def check_accounts(recording: dict[str, Any]) -> None:
    """The gateways have counted by tier what the clients have got, and both of them have worked."""
    results = recording["results"]
    assert list(recording["spending"]) == list(TIERS)
    for tier, spent in recording["spending"].items():
        answered = [result for result in results if result["tier"] == tier]
        assert spent["requests"] == len(answered)
        assert spent["completion_tokens"] == sum(result["answer_tokens"] for result in answered)
    assert len({result["pod"] for result in results}) == 2


def test_a_pool_that_may_not_grow_is_a_failure_with_the_reason_and_the_logs(tmp_path: Path) -> None:
    pool = yaml.safe_load(QUICKSTART.read_text())
    pool["spec"]["variants"][0]["replicas"]["max"] = 1
    (tmp_path / "pool.yaml").write_text(yaml.safe_dump(pool))
    run = demo(tmp_path, "--example", "pool.yaml")

    assert run.exit_code == 1, run.said + run.complaint
    assert "the demo failed: no pool scaled up: qwen-small stayed at 1" in run.complaint
    assert "What next" not in run.said
    assert run.recording["results"]
    [logs] = (run.output / "logs").iterdir()
    assert f"  out/demo/logs/{logs.name}\n" in run.said
    assert '"event"' in (logs / "operator.log").read_text()
    assert (logs / "node.log").exists()
    [engine] = (logs / "pods").glob("default_qwen-small-*/*.log")
    assert "event=engine_ready" in engine.read_text()
