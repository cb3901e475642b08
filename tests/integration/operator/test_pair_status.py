"""The status of a SpeculativePair follows the pools that name it, and what their engines count."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mixserve.api.names import ENGINE_PORT_NAME
from support.operator_numbers import number, writes
from support.pool_manifests import pool
from support.pool_questions import get, wait_for_condition
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve_devcluster.installation import Installation
    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.integration

REFERENCE = {"speculativePairRef": {"name": "lookup"}}


def pair(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "mixserve.dev/v1alpha1",
        "kind": "SpeculativePair",
        "metadata": {"name": "lookup"},
        "spec": {"method": "NGram", "tokens": 3, **spec},
    }


def status(sandbox: PoolSandbox) -> dict[str, Any]:
    return dict(get(sandbox, "spair", "lookup").get("status", {}))


def wait_for_reason(sandbox: PoolSandbox, value: str, reason: str) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        seen = status(sandbox)
        found = [(each["status"], each["reason"]) for each in seen.get("conditions", ())]
        return seen if found == [(value, reason)] else {}

    return eventually(look, f"Ready {value} {reason}")


class Engine(http.server.BaseHTTPRequestHandler):
    """An engine that runs six requests and keeps half of what is proposed to them."""

    drafts: ClassVar[int] = 5000

    def do_GET(self) -> None:
        type(self).drafts += 100
        counts = {
            "vllm:num_requests_running": 6,
            "vllm:num_requests_waiting": 0,
            "vllm:kv_cache_usage_perc": 0.1,
            "vllm:spec_decode_num_drafts_total": self.drafts,
            "vllm:spec_decode_num_draft_tokens_total": 3 * self.drafts,
            "vllm:spec_decode_num_accepted_tokens_total": 3 * self.drafts // 2,
        }
        page = "".join(f'{name}{{engine="0"}} {value}\n' for name, value in counts.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine(sandbox: PoolSandbox) -> Iterator[PoolSandbox]:
    """A pool with a pair, whose one replica has an engine that says something."""
    sandbox.apply([pair(), pool(**REFERENCE)])
    sandbox.wait_until_ready("chat")
    [replica] = sandbox.items("pods", pool="chat")
    [container] = replica["spec"]["containers"]
    port = next(each["containerPort"] for each in container["ports"] if each["name"] == ENGINE_PORT_NAME)
    server = http.server.ThreadingHTTPServer((replica["status"]["podIP"], port), Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield sandbox
    server.shutdown()
    server.server_close()


def test_a_pair_that_no_pool_names_is_not_judged(sandbox: PoolSandbox) -> None:
    sandbox.apply([pair()])
    assert wait_for_reason(sandbox, "Unknown", "NotUsed")["pools"] == []


def test_what_engines_count_is_told(engine: PoolSandbox, installation: Installation) -> None:
    wait_for_reason(engine, "True", "Ready")
    eventually(lambda: status(engine)["pools"][0].get("acceptanceRate"), "acceptance", 60.0)
    [found] = status(engine)["pools"]
    assert (found["name"], found["variant"], found["tokenizersMatch"]) == ("chat", "main", "True")
    assert (found["acceptanceRate"], found["acceptedLength"], found["batch"]) == ("0.50", "2.50", "6.0")
    # Six requests leave a step on an H100 bound by memory: what is kept is won.
    assert float(found["expectedSpeedUp"]) == pytest.approx(2.5, abs=0.1)
    labels = {"namespace": engine.namespace, "pool": "chat", "variant": "main"}
    assert number(installation, "mixserve_speculation_acceptance_ratio", **labels) == pytest.approx(0.5)
    assert number(installation, "mixserve_speculation_accepted_length", **labels) == pytest.approx(2.5)
    assert number(installation, "mixserve_speculation_expected_speed_up", **labels) == pytest.approx(2.5, abs=0.1)


def test_numbers_that_do_not_move_are_not_written_and_a_restart_forgets_none(
    engine: PoolSandbox, installation: Installation
) -> None:
    wait_for_reason(engine, "True", "Ready")
    eventually(lambda: status(engine)["pools"][0].get("acceptanceRate"), "acceptance", 60.0)
    before = get(engine, "spair", "lookup")
    installation.stop_operator()
    installation.start_operator()
    labels = {"namespace": engine.namespace, "pool": "chat", "variant": "main"}
    eventually(
        lambda: number(installation, "mixserve_speculation_accepted_length", **labels), "a new measurement", 60.0
    )
    assert get(engine, "spair", "lookup") == before
    assert "speculativepairs" not in writes(installation)


def test_a_pair_that_a_pool_can_not_use_says_so(sandbox: PoolSandbox) -> None:
    small = {
        "parameters": 500_000_000,
        "layers": 24,
        "hiddenSize": 896,
        "attentionHeads": 14,
        "keyValueHeads": 2,
        "headSize": 64,
        "vocabularySize": 1000,
        "maxPositionEmbeddings": 8192,
    }
    sandbox.apply(
        [pair(method="DraftModel", draft={"source": "pvc://models/small", "facts": small}), pool(**REFERENCE)]
    )
    wait_for_condition(sandbox, "chat", "Validated", status="False", reason="DraftMismatch")
    seen = wait_for_reason(sandbox, "False", "DraftMismatch")
    assert "LLMServingPool chat: spec.speculativePairRef.name: spec.draft.source" in seen["conditions"][0]["message"]
    sandbox.kubectl("delete", "lsp", "chat")
    assert wait_for_reason(sandbox, "Unknown", "NotUsed")["pools"] == []


def test_kubectl_get_shows_it(sandbox: PoolSandbox) -> None:
    sandbox.apply([pair(), pool(**REFERENCE)])
    sandbox.wait_until_ready("chat")
    eventually(lambda: status(sandbox).get("pools", [{}])[0].get("expectedSpeedUp"), "a speed-up", 60.0)
    header, row = sandbox.kubectl("get", "spair", "lookup").splitlines()
    assert header.split()[:5] == ["NAME", "METHOD", "TOKENS", "POOLS", "TOKENIZERS-MATCH"]
    assert row.split()[:5] == ["lookup", "NGram", "3", "chat", "True"]
