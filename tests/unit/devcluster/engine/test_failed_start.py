from __future__ import annotations

import pytest

from mixserve.simulate.startup_errors import EngineStartError, NoKVCacheMemoryError
from mixserve_devcluster.engine.environment import ForcedFailure
from mixserve_devcluster.engine.failed_start import forced, log
from support.simulated_server import resolved

CAUSES = {
    ForcedFailure.NO_KV_MEMORY: "ValueError: No available memory for the cache blocks.",
    ForcedFailure.MAX_SEQ_LEN: "ValueError: To serve at least one request with the model's max seq len (2048), (2.0",
    ForcedFailure.CUDA_OOM: "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate",
    ForcedFailure.FREE_MEMORY: "ValueError: Free memory on device cuda:0 (2.75/22.0 GiB) on startup is less than",
}


def logged(error: EngineStartError, capsys: pytest.CaptureFixture[str]) -> list[str]:
    log(error)
    return capsys.readouterr().err.splitlines()


def test_every_failure_that_can_be_forced_has_its_cause() -> None:
    assert set(CAUSES) == set(ForcedFailure)


@pytest.mark.parametrize("failure", ForcedFailure)
def test_the_log_names_the_cause(failure: ForcedFailure, capsys: pytest.CaptureFixture[str]) -> None:
    lines = logged(forced(failure, resolved().settings), capsys)
    assert sum(CAUSES[failure] in line for line in lines) == 2


def test_a_forced_context_error_names_a_length_that_would_fit() -> None:
    assert "estimated maximum model length is 1024." in str(forced(ForcedFailure.MAX_SEQ_LEN, resolved().settings))


def test_the_cause_is_far_from_the_end_as_in_vllms_log(capsys: pytest.CaptureFixture[str]) -> None:
    lines = logged(NoKVCacheMemoryError(), capsys)
    assert lines[0].endswith("[simulated] EngineCore failed to start.")
    assert lines[-1].startswith("RuntimeError: Engine core initialization failed. See root cause above.")
    last_cause = max(index for index, line in enumerate(lines) if "No available memory" in line)
    assert len(lines) - last_cause > 30
    assert sum(len(line) for line in lines[last_cause + 1 :]) > 2048
