from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster import processes
from mixserve_devcluster.errors import PlatformError, ProcessError
from mixserve_devcluster.processes import GuardedProcess
from support.processes import is_alive, program_of
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLEEP = ["sleep", "60"]


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[GuardedProcess]:
    with GuardedProcess.running("sleeper", SLEEP, log_file=tmp_path / "log") as process:
        yield process


def test_a_process_is_gone_at_the_end_of_its_context(tmp_path: Path) -> None:
    with GuardedProcess.running("sleeper", SLEEP, log_file=tmp_path / "log") as process:
        process.ensure_running()
    assert process.exit_code == -signal.SIGKILL
    assert not is_alive(process.pid)


def test_a_process_that_ended_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = ["sh", "-c", "seq 1 30; echo the reason >&2; exit 3"]
    process = GuardedProcess.start("server", command, log_file=tmp_path / "log")
    assert process.wait(30.0) == 3
    with pytest.raises(ProcessError, match="server ended with exit code 3") as error:
        process.ensure_running()
    assert str(error.value).endswith("30\nthe reason")
    assert "\n11\n" not in str(error.value)


def test_a_process_that_was_killed_is_named_with_the_signal(sleeper: GuardedProcess) -> None:
    sleeper.kill()
    sleeper.wait(None)
    with pytest.raises(ProcessError, match="was ended by SIGKILL"):
        sleeper.ensure_running()


def test_a_program_that_is_not_there_is_an_error_in_the_log(tmp_path: Path) -> None:
    process = GuardedProcess.start("server", ["/no/such/program"], log_file=tmp_path / "log")
    assert process.wait(30.0) == 1
    assert "/no/such/program" in process.log_tail()


def test_a_process_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; echo deaf; while :; do sleep 0.05; done"
    process = GuardedProcess.start("deaf", ["sh", "-c", script], log_file=tmp_path / "log")
    eventually(lambda: "deaf" in process.log_tail(), "deaf process")
    process.stop(grace_s=0.1)
    assert process.exit_code == -signal.SIGKILL


def test_a_process_that_stops_when_asked_is_not_killed(tmp_path: Path) -> None:
    script = "trap 'exit 5' TERM; echo listening; while :; do sleep 0.05; done"
    process = GuardedProcess.start("listener", ["sh", "-c", script], log_file=tmp_path / "log")
    eventually(lambda: "listening" in process.log_tail(), "listening process")
    process.stop(grace_s=30.0)
    assert process.exit_code == 5


def test_stopping_a_process_that_ended_by_itself_is_no_error(tmp_path: Path) -> None:
    process = GuardedProcess.start("short", ["true"], log_file=tmp_path / "log")
    process.wait(30.0)
    process.stop(grace_s=1.0)
    assert process.exit_code == 0


@pytest.mark.parametrize("end", [GuardedProcess.kill, functools.partial(GuardedProcess.stop, grace_s=0.0)])
def test_what_it_has_started_is_killed_with_it(tmp_path: Path, end: Callable[[GuardedProcess], None]) -> None:
    script = "trap '' TERM; sleep 600 & echo $!; wait"
    process = GuardedProcess.start("parent", ["sh", "-c", script], log_file=tmp_path / "log")
    child = int(eventually(process.log_tail, "child"))
    end(process)
    process.wait(None)
    eventually(lambda: not is_alive(child), "end of the child", timeout_s=5)


def test_a_process_whose_end_was_noticed_is_not_killed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = GuardedProcess.start("short", ["true"], log_file=tmp_path / "log")
    assert process.wait(30.0) == 0
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("its number may be somebody else's"))
    process.kill()


def test_ctrl_c_in_the_terminal_does_not_reach_it(sleeper: GuardedProcess) -> None:
    assert os.getsid(sleeper.pid) == sleeper.pid != os.getsid(0)


def test_it_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    started: list[GuardedProcess] = []

    def start() -> None:
        process = GuardedProcess.start("sleeper", SLEEP, log_file=tmp_path / "log")
        eventually(lambda: program_of(process.pid) == "sleep", "sleeping program")
        started.append(process)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    eventually(lambda: not Path(f"/proc/self/task/{thread.native_id}").exists(), "end of the thread")
    (process,) = started
    # The kernel kills at once the children that are tied to a thread that ends.
    assert process.wait(0.5) is None
    processes.kill_all([process])


PARENT = """
import sys, time
from pathlib import Path
from mixserve_devcluster.processes import GuardedProcess
child = GuardedProcess.start("sleeper", ["sleep", "60"], log_file=Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_dies_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        eventually(lambda: program_of(child) == "sleep", "sleeping program")
        parent.send_signal(number)
        parent.wait(30)
    eventually(lambda: not is_alive(child), "end of the child")


def test_the_guard_does_not_start_the_program_of_a_parent_that_is_gone(tmp_path: Path) -> None:
    command = processes.guarded(["touch", str(tmp_path / "made")])
    command[command.index(str(os.getpid()))] = "1"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "the parent is gone" in done.stderr
    assert not (tmp_path / "made").exists()


def test_other_systems_are_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(PlatformError, match=r"needs Linux, this is Darwin.*kind.*docs/install\.md"):
        processes.guarded(["true"])
