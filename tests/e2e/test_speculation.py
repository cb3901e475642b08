"""Pools that name a SpeculativePair: every method on both engines comes up or is refused with the reason."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from support.pairs import HEAD_CONFIG, pair_manifest
from support.pool_manifests import pool
from support.pool_questions import get, wait_for_condition
from support.pool_sandbox import complete
from support.simulated_server import sample
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.pool_sandbox import PoolSandbox

pytestmark = pytest.mark.e2e

DEADLINE_S = 120.0
ENGINES: dict[str, dict[str, Any]] = {
    "vllm": {"type": "vllm"},
    "trtllm 1.1": {"type": "tensorrt-llm", "version": "1.1.0"},
    "trtllm 1.2": {"type": "tensorrt-llm", "version": "1.2.1"},
    "trtllm 1.3": {"type": "tensorrt-llm", "version": "1.3.0"},
}
# A draft on the hub needs no volume.
DRAFT = {"draft": {"source": "hf://example/draft", "revision": "0123456789abcdef0123456789abcdef01234567"}}
METHODS: dict[str, dict[str, Any]] = {"DraftModel": DRAFT, "EAGLE3": DRAFT, "MTP": {}, "NGram": {}, "Suffix": {}}
SUFFIX_IS_REFUSED = {
    "vllm": "vLLM needs the package arctic-inference",
    **{name: f"TensorRT-LLM {name[-3:]} has no method Suffix" for name in ENGINES if name != "vllm"},
}


def pair(method: str = "NGram", *, name: str = "pair", **spec: Any) -> dict[str, Any]:
    manifest = pair_manifest(method, name=name, **spec)
    del manifest["metadata"]["namespace"]
    return manifest


def speculating(name: str = "chat", *, of: str = "pair", **spec: Any) -> dict[str, Any]:
    return pool(name, speculativePairRef={"name": of}, **spec)


def arguments(sandbox: PoolSandbox, name: str = "chat") -> list[str]:
    deployment = get(sandbox, "deployment", f"{name}-main")
    found: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def proposed(sandbox: PoolSandbox) -> int:
    """Tokens per step on the command line of the pool's Deployment; 0 without speculation."""
    words = arguments(sandbox)
    if "--speculative-config" not in words:
        return 0
    return int(json.loads(words[words.index("--speculative-config") + 1])["num_speculative_tokens"])


def metric(pod: Mapping[str, Any], name: str) -> float:
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8000/metrics", timeout=10) as page:
        return sample(page.read().decode(), name)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_method_comes_up_or_says_why_not(engine: str, sandbox: PoolSandbox) -> None:
    """All at once: they start at the same time."""
    for method, spec in METHODS.items():
        name = method.lower()
        sandbox.apply([pair(method, name=name, **spec), speculating(name, of=name, engine=ENGINES[engine])])
    for method in METHODS:
        if method != "Suffix":
            sandbox.wait_until_ready(method.lower())
            [pod] = sandbox.items("pods", pool=method.lower())
            answer = complete(pod, model=method.lower(), max_tokens=20, ignore_eos=True)
            assert answer["usage"]["completion_tokens"] == 20
    refused = wait_for_condition(sandbox, "suffix", "Validated", status="False", reason="UnsupportedSpeculation")
    assert SUFFIX_IS_REFUSED[engine] in refused["message"]


def test_a_changed_pair_rolls_out_and_counts(sandbox: PoolSandbox) -> None:
    sandbox.apply([pair(tokens=2), speculating()])
    sandbox.wait_until_ready("chat")
    [pod] = sandbox.items("pods", pool="chat")
    complete(pod, model="chat", max_tokens=100, ignore_eos=True)
    drafts, tokens = metric(pod, "spec_decode_num_drafts_total"), metric(pod, "spec_decode_num_draft_tokens_total")
    assert drafts < tokens <= 2 * drafts
    assert 0 < metric(pod, "spec_decode_num_accepted_tokens_total") < tokens
    sandbox.apply([pair(tokens=5)])
    eventually(lambda: proposed(sandbox) == 5, "five proposed tokens", DEADLINE_S)


def test_a_pair_that_is_gone_leaves_the_pool_as_it_was(sandbox: PoolSandbox) -> None:
    sandbox.apply([pair(tokens=2), speculating()])
    sandbox.wait_until_ready("chat")
    sandbox.kubectl("delete", "spair", "pair")
    seen = wait_for_condition(sandbox, "chat", "Validated", status="False", reason="UnknownSpeculativePair")
    assert "there is no SpeculativePair pair in the namespace" in seen["message"]
    assert proposed(sandbox) == 2
    assert len(sandbox.items("pods", pool="chat")) == 1
    sandbox.apply([pair(tokens=4)])
    eventually(lambda: proposed(sandbox) == 4, "four proposed tokens", DEADLINE_S)
    sandbox.apply([pool("chat")])
    eventually(lambda: proposed(sandbox) == 0, "no speculation", DEADLINE_S)


def test_a_pool_waits_for_its_pair(sandbox: PoolSandbox) -> None:
    """Tools apply kinds in the order of their names."""
    sandbox.apply([speculating()])
    wait_for_condition(sandbox, "chat", "Validated", status="False", reason="UnknownSpeculativePair")
    sandbox.apply([pair()])
    sandbox.wait_until_ready("chat")


@pytest.mark.parametrize("gpus", [1, 2])
def test_a_draft_shares_the_gpus_of_its_pool(gpus: int, sandbox: PoolSandbox) -> None:
    facts = {
        "parameters": 424_673_280,
        "layers": 1,
        "hiddenSize": 4096,
        "attentionHeads": 32,
        "keyValueHeads": 8,
        "headSize": 128,
        "vocabularySize": HEAD_CONFIG["draft_vocab_size"],
        "maxPositionEmbeddings": 8192,
        "tiedEmbeddings": True,
    }
    sandbox.apply([pair("EAGLE3", draft={**DRAFT["draft"], "facts": facts})])
    manifest = speculating()
    manifest["spec"]["variants"][0]["tensorParallel"] = gpus
    sandbox.apply([manifest])
    sandbox.wait_until_ready("chat")
    words = arguments(sandbox)
    options = json.loads(words[words.index("--speculative-config") + 1])
    assert (options["model"], options["draft_tensor_parallel_size"]) == ("example/draft", gpus)
