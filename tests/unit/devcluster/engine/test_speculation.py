from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.simulate.engine import SimulatedEngineCore
from mixserve.simulate.speculation import SimulatedSpeculation
from mixserve_devcluster.engine.errors import ConfigurationError
from mixserve_devcluster.engine.metrics import EngineMetrics
from mixserve_devcluster.engine.speculation import from_trtllm, from_vllm
from support.simulated_server import annotations, resolved, sample, served
from support.simulation import engine_settings, request, run_until_idle

if TYPE_CHECKING:
    from pathlib import Path

NGRAM = {"method": "ngram", "num_speculative_tokens": 3}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("[]", "must be an object"),
        ("{", "Expecting"),
        (json.dumps({**NGRAM, "no_such_key": 1}), "does not know no_such_key"),
        (json.dumps({**NGRAM, "method": "guess"}), "method: must be one of"),
        (json.dumps({**NGRAM, "num_speculative_tokens": 0}), "num_speculative_tokens: must be a positive integer"),
        (json.dumps({**NGRAM, "num_speculative_tokens": True}), "num_speculative_tokens: must be a positive integer"),
    ],
)
def test_what_vllm_would_not_take_is_refused(value: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_vllm(value)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (["a"], "must be an object"),
        ({"decoding_type": "NGram", "no_such_key": 1}, "does not know no_such_key"),
        ({"decoding_type": "Guess", "max_draft_len": 1}, "Invalid decoding type: Guess"),
        ({"decoding_type": "MTP"}, "num_nextn_predict_layers: must be a positive integer"),
    ],
)
def test_what_tensorrt_llm_would_not_take_is_refused(value: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"speculative_config: .*{complaint}"):
        from_trtllm(value)


def test_a_wrong_flag_ends_the_engine_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        resolved("--speculative-config", '{"method": "guess"}')
    assert "cannot be used: method: must be one of" in capsys.readouterr().err


def test_flags_and_environment_become_settings() -> None:
    plan = annotations(draftBytes=850_000_000)
    settings = resolved("--speculative-config", json.dumps(NGRAM), pod_annotations=plan, acceptance=0.9).settings
    assert settings.speculation == SimulatedSpeculation(tokens=3, acceptance=0.9, draft_bytes=850_000_000)
    own = resolved("--speculative-config", json.dumps(NGRAM)).settings.speculation
    assert own is not None
    assert own.acceptance == 0.4
    assert resolved().settings.speculation is None


def test_counters_are_vllms_and_only_there_where_something_proposes() -> None:
    def metrics(tokens: int) -> EngineMetrics:
        return EngineMetrics(model_name="m", max_model_len=32, time_scale=1, cache_config={}, proposed_tokens=tokens)

    core = SimulatedEngineCore(engine_settings(speculation=SimulatedSpeculation(tokens=3, acceptance=1.0)))
    core.submit(request(answer=9), 0.0)
    counted = metrics(3)
    for step in run_until_idle(core):
        counted.step_done(step)
    page = counted.exposition(core).decode()
    assert sample(page, "spec_decode_num_drafts_total") == 2
    assert sample(page, "spec_decode_num_draft_tokens_total") == 6
    assert sample(page, "spec_decode_num_accepted_tokens_total") == 6
    assert page.count("vllm:spec_decode_num_accepted_tokens_per_pos_total{") == 3
    assert sample(page, "generation_tokens_total") == 9
    assert "spec_decode" not in metrics(0).exposition(core).decode()


async def test_statistics_of_iterations_have_what_was_proposed(tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("enable_iter_perf_stats: true\nspeculative_config: {decoding_type: NGram, max_draft_len: 2}\n")
    async with served("--config", str(file), trtllm=True) as engine:
        await engine.post("/v1/completions", prompt="a", model="any", max_tokens=30, ignore_eos=True)
        async with engine.client.get("/metrics") as response:
            found = [one["specDecodingStats"] for one in await response.json()]
    drafted = [one for one in found if one["numRequestsWithDraftTokens"]]
    assert sum(one["numAcceptedTokens"] for one in found) + len(found) == 30
    assert all(one["acceptanceLength"] == 1 + one["numAcceptedTokens"] for one in drafted)
    assert {one["numDraftTokens"] for one in drafted} <= {1, 2}
    assert found[0] == {
        "acceptanceLength": 0.0,
        "numAcceptedTokens": 0,
        "numDraftTokens": 0,
        "numRequestsWithDraftTokens": 0,
    }
