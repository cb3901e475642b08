"""Command lines that Mixserve writes for vLLM go through vLLM's own argument parser and configuration classes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.engine import EngineType
from mixserve.catalog.built_in import built_in_catalog
from mixserve.engines.registry import adapter_for
from mixserve.plan.kv_cache import is_for_kv_cache
from mixserve.plan.launch import CHAT_TEMPLATE_DIRECTORY, CHAT_TEMPLATE_FILE
from mixserve.plan.objects import desired_objects
from mixserve.plan.placement import engine_row
from mixserve.validate import violations
from mixserve_devcluster.real_vllm.installation import VERSION
from support.manifests import LLAMA_8B, REVISION, accelerator_like, catalog_with, facts_for, pool, variant
from support.quantized_checkpoints import QUANTIZATION_CONFIGS
from support.vllm_arguments import checkpoint, judged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mixserve.api.pool import LLMServingPool

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1200)]

BUILT_IN = built_in_catalog()
# Each GPU once more, without peer-to-peer.
CATALOG = catalog_with(*(accelerator_like(f"{name}-vm", name, peerToPeer=False) for name in BUILT_IN.accelerators))
WEIGHTS = [name for name, entry in CATALOG.formats.items() if not is_for_kv_cache(entry)]
KV_CACHES = ["auto", *(name.removeprefix("kv-") for name, entry in CATALOG.formats.items() if is_for_kv_cache(entry))]

KNOBS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "all": {
        "maxModelLen": 4096,
        "prefixCaching": False,
        "batching": {"maxSequences": 64, "maxBatchedTokens": 2048},
        "args": ["--seed=1"],
        "chatTemplate": {"name": "templates", "key": "llama.jinja"},
    },
}


@dataclass(frozen=True)
class Case:
    """A pool, its checkpoint's method (None: not quantized), and what its engine is started with."""

    name: str
    method: str | None
    pool: LLMServingPool
    expected: dict[str, Any]

    def command_line(self, model: Path) -> list[str]:
        """The container's arguments as they are planned, with files of this machine in the place of the pod's."""
        desired = desired_objects(self.pool, catalog=CATALOG, facts_by_variant=facts_for(self.pool)).objects
        (deployment,) = (one.body for one in desired if one.body["kind"] == "Deployment")
        serve, _, *flags = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        template = f"{CHAT_TEMPLATE_DIRECTORY}/{CHAT_TEMPLATE_FILE}"
        return [serve, str(model), *(str(model.parent / CHAT_TEMPLATE_FILE) if f == template else f for f in flags)]


def methods_of(quantization: str) -> tuple[str | None, ...]:
    described = CATALOG.formats[quantization].spec.checkpoint
    assert described is not None
    refused = adapter_for(EngineType.VLLM).refused_checkpoint
    # What is left out here is ModelOpt's INT4, which TensorRT-LLM reads.
    return tuple(method for method in described.quant_methods if refused(method) is None) or (None,)


def accelerator_for(quantization: str) -> str:
    row = engine_row(CATALOG.formats[quantization].spec, EngineType.VLLM)
    assert row is not None
    entries = BUILT_IN.accelerators.items()
    return next(name for name, entry in entries if row.runs_on(entry.spec.compute_capability))


def cases() -> Iterator[Case]:
    for quantization, kv_cache, knobs, tensor_parallel in product(WEIGHTS, KV_CACHES, KNOBS, (1, 2)):
        manifest = pool(
            variant(
                quantization=quantization,
                accelerator=accelerator_for(quantization) + ("-vm" if tensor_parallel > 1 else ""),
                tensorParallel=tensor_parallel,
            ),
            engine={**KNOBS[knobs], "version": VERSION, "kvCache": {"format": kv_cache}},
            servedNames=["chat", "talk"],
        )
        expected = {"kv_cache_dtype": kv_cache, "tensor_parallel_size": tensor_parallel, "chat_template": None}
        expected |= {"counts_tokens": True, "runner": "generate", "adapters": None}
        expected |= {"disable_custom_all_reduce": tensor_parallel > 1}
        if knobs == "all":
            expected |= {"max_model_len": 4096, "prefix_caching": False, "max_num_seqs": 64}
            expected |= {"max_num_batched_tokens": 2048}
            expected |= {"chat_template": CHAT_TEMPLATE_FILE}
        for method in methods_of(quantization):
            yield Case(f"{quantization} {method} kv-{kv_cache} {knobs} tp{tensor_parallel}", method, manifest, expected)


def embedding_case() -> Case:
    """The pooling runner takes the tiny model as one that makes embeddings of its last hidden state."""
    manifest = pool(
        variant(quantization="bf16", accelerator="l4"),
        engine={"version": VERSION, "maxModelLen": 4096},
        servedNames=["chat", "talk"],
        task="Embed",
    )
    # With a model that sees what came before only, prefixes are cached.
    expected = {"runner": "pooling", "max_model_len": 4096, "counts_tokens": False, "prefix_caching": True}
    return Case("bf16 None embeddings", None, manifest, expected)


def adapter_case() -> Case:
    adapters = [
        {"name": "law", "source": "hf://example/law", "revision": REVISION, "rank": 20},
        {"name": "Tax:2026", "source": "pvc://adapters/tax"},
    ]
    manifest = pool(
        variant(quantization="bf16", accelerator="l4"),
        model={"source": "hf://example/Model", "revision": REVISION, "adapters": adapters},
        engine={"version": VERSION, "maxModelLen": 4096},
        servedNames=["chat", "talk"],
    )
    law = f"/var/cache/mixserve/huggingface/hub/models--example--law/snapshots/{REVISION}"
    paths = {"law": law, "Tax:2026": "/adapters/adapters-0/tax"}
    return Case("bf16 None adapters", None, manifest, {"adapters": {"slots": 2, "rank": 32, "paths": paths}})


# Of two methods of one format the catalogue has the wider minimum; no GPU of the catalogue lies between the two.
NEEDS_MORE = {"modelopt:fp8", "modelopt:fp8-block"}
CASES = {case.name: case for case in (*cases(), embedding_case(), adapter_case())}
WRONG = {
    "a flag that contradicts the checkpoint": ("compressed-tensors:fp8", ["--quantization=fp8_per_tensor"]),
    "a method that there is not": (None, ["--quantization=fp9"]),
    "a KV cache that there is not": (None, ["--kv-cache-dtype=fp9"]),
    "a flag that there is not": (None, ["--no-such-flag"]),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """vLLM's answers to all cases; its imports take most of the time, so it is started once."""
    scratch = tmp_path_factory.mktemp("checkpoints")
    (scratch / CHAT_TEMPLATE_FILE).write_text("{{ messages }}")

    def model(method: str | None) -> Path:
        return checkpoint(scratch, method or "plain", None if method is None else QUANTIZATION_CONFIGS[method])

    lines = {name: case.command_line(model(case.method)) for name, case in CASES.items()}
    lines |= {name: ["serve", str(model(method)), *flags] for name, (method, flags) in WRONG.items()}
    return dict(zip(lines, judged(list(lines.values()), scratch), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_vllm_takes_what_mixserve_writes(name: str, answers: dict[str, dict[str, Any]]) -> None:
    case, answer = CASES[name], answers[name]
    facts = facts_for(case.pool, LLAMA_8B.model_copy(update={"max_position_embeddings": 4096}))
    assert (
        violations(case.pool, catalog=CATALOG, facts_by_variant=facts, quant_methods={"main": case.method or ""}) == ()
    )
    assert answer["error"] is None
    assert case.expected.items() <= answer.items()
    # "No quantization" for a quantized checkpoint would be an answer too.
    assert (answer["quantization"] is None) == name.startswith(("bf16 ", "fp16 "))
    assert answer["dtype"] == ("torch.float16" if name.startswith("fp16 ") else "torch.bfloat16")


@pytest.mark.parametrize("name", [name for name in CASES if "kv-auto defaults tp1" in name])
def test_vllm_needs_no_newer_gpu_than_the_catalogue_says(name: str, answers: dict[str, dict[str, Any]]) -> None:
    needed = answers[name].get("minimum_capability")
    row = engine_row(CATALOG.formats[name.partition(" ")[0]].spec, EngineType.VLLM)
    assert row is not None
    is_enough = needed is None or float(row.minimum_compute_capability) * 10 >= needed
    assert is_enough == (CASES[name].method not in NEEDS_MORE)
    assert all(float(entry.spec.compute_capability) * 10 >= (needed or 0) for entry in CATALOG.accelerators.values())


@pytest.mark.parametrize("name", WRONG)
def test_vllm_refuses_what_is_wrong(name: str, answers: dict[str, dict[str, Any]]) -> None:
    """Otherwise the tests above would say nothing."""
    assert answers[name]["error"] is not None
