"""Command lines of pools with a SpeculativePair go through vLLM's own parser and its SpeculativeConfig."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.speculative_pair import SpeculationMethod
from mixserve.catalog.built_in import built_in_catalog
from mixserve.engines.vllm_speculation import METHODS
from mixserve.plan.objects import desired_objects
from mixserve.validate.judgement import judge
from mixserve_devcluster.real_vllm.installation import VERSION
from support.manifests import pool, variant
from support.pairs import pair
from support.vllm_arguments import checkpoint, judged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mixserve.api.pool import LLMServingPool
    from mixserve.api.speculative_pair import SpeculativePair

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1200)]

SCHEDULE = [{"maxBatch": 16, "tokens": 2}, {"maxBatch": 64, "tokens": 1}]
BY_BATCH = [0, *[2] * 16, *[1] * 48, *[0] * 36]
# Keys of config.json in the place of the tiny model's.
CHANGES: dict[str, dict[str, Any]] = {
    "plain": {},
    "other-vocabulary": {"vocab_size": 1024},
    "head": {"architectures": ["LlamaForCausalLMEagle3"], "num_hidden_layers": 1, "draft_vocab_size": 64},
    **{
        f"mtp{layers}": {
            "architectures": ["Glm4MoeForCausalLM"],
            "model_type": "glm4_moe",
            "num_nextn_predict_layers": layers,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 64,
            "n_shared_experts": 1,
            "first_k_dense_replace": 1,
        }
        for layers in (1, 2)
    },
}
DRAFTS = {"DraftModel": "plain", "EAGLE3": "head"}
TARGETS = {"MTP": "mtp1"}
ADAPTERS = [{"name": "law", "source": "pvc://adapters/law"}]


@dataclass(frozen=True)
class Case:
    """A pool that names a pair, checkpoints of model and draft (keys of CHANGES), and what vLLM shall understand."""

    pool: LLMServingPool
    pair: SpeculativePair
    target: str
    draft: str | None
    expected: dict[str, Any] = field(default_factory=dict)

    def command_line(self, files: dict[str, Path]) -> list[str]:
        """The container's arguments as they are planned, with directories of this machine in the place of the pod's."""
        judgement = judge(self.pool, catalog=built_in_catalog(), configs={}, pairs={"pair": self.pair})
        desired = desired_objects(
            judgement.resolved,
            catalog=judgement.catalog,
            facts_by_variant=judgement.facts,
            speculation=judgement.speculation,
        ).objects
        (deployment,) = (one.body for one in desired if one.body["kind"] == "Deployment")
        serve, _, *flags = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        where = flags.index("--speculative-config") + 1
        options = json.loads(flags[where])
        if self.draft is not None:
            options["model"] = str(files[self.draft])
        return [serve, str(files[self.target]), *flags[:where], json.dumps(options), *flags[where + 1 :]]


def case(method: str, *, gpus: int = 1, target: str | None = None, draft: str | None = None, **given: Any) -> Case:
    expected, engine, adapters = (given.pop(name, {}) for name in ("expected", "engine", "adapters"))
    return Case(
        pool=pool(
            variant(quantization="bf16", tensorParallel=gpus),
            model={"source": "pvc://models/tiny", "adapters": list(adapters)},
            engine={"version": VERSION, "maxModelLen": 512, **engine},
            speculativePairRef={"name": "pair"},
        ),
        pair=pair(method, **given),
        target=target or TARGETS.get(method, "plain"),
        draft=draft or DRAFTS.get(method),
        expected=expected,
    )


def cases() -> Iterator[tuple[str, Case]]:
    names = METHODS[VERSION.rpartition(".")[0]]
    for method in names:
        if method is SpeculationMethod.SUFFIX:
            continue
        for gpus in (1, 2):
            expected = {
                "method": names[method],
                "tokens": 2,
                "draft_gpus": None if method is SpeculationMethod.NGRAM else gpus,
                "lookup": [2, 4] if method is SpeculationMethod.NGRAM else None,
                "by_batch": None,
            }
            of = {"gpus": gpus, "tokens": 2}
            yield f"{method} on {gpus}", case(method, **of, expected=expected)
            scheduled = {**expected, "by_batch": BY_BATCH}
            yield f"{method} on {gpus} by batch", case(method, **of, batchSchedule=SCHEDULE, expected=scheduled)
    room = {"batching": {"maxSequences": 64, "maxBatchedTokens": 256}}
    yield "NGram with adapters", case("NGram", tokens=3, adapters=ADAPTERS, engine=room, expected={"tokens": 3})
    lookup = {"minLookup": 1, "maxLookup": 9}
    yield "NGram with bounds", case("NGram", ngram=lookup, expected={"lookup": [1, 9], "tokens": 3})
    alone = pair("EAGLE3", draft={"source": "pvc://drafts/one", "tensorParallel": 1})
    yield "EAGLE3 on one of two", replace(case("EAGLE3", gpus=2, expected={"draft_gpus": 1}), pair=alone)


CASES = dict(cases())
WRONG = {
    "suffix decoding without its package": (case("Suffix"), "Arctic Inference is required"),
    "a draft with another vocabulary": (
        case("DraftModel", draft="other-vocabulary"),
        "should have the same vocabulary size",
    ),
    "a checkpoint without layers for MTP": (case("MTP", target="plain"), "Unsupported speculative method: 'mtp'"),
    "tokens that are no multiple of the layers": (
        case("MTP", target="mtp2", tokens=3),
        "must be divisible by n_predict",
    ),
    "n-grams and asynchronous scheduling": (
        case("NGram", engine={"args": ["--async-scheduling"]}),
        "async scheduling is only supported",
    ),
    "LoRA without room for proposals": (
        case(
            "NGram",
            tokens=3,
            adapters=ADAPTERS,
            engine={"batching": {"maxSequences": 64, "maxBatchedTokens": 255}},
        ),
        "Consider increasing max_num_batched_tokens or decreasing num_speculative_tokens",
    ),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    scratch = tmp_path_factory.mktemp("checkpoints")
    files = {name: checkpoint(scratch, name, None, **changes) for name, changes in CHANGES.items()}
    lines = {name: one.command_line(files) for name, one in CASES.items()}
    lines |= {name: one.command_line(files) for name, (one, _) in WRONG.items()}
    return dict(zip(lines, judged(list(lines.values()), scratch), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_vllm_takes_what_mixserve_writes(name: str, answers: dict[str, dict[str, Any]]) -> None:
    assert answers[name]["error"] is None
    assert CASES[name].expected.items() <= answers[name]["speculation"].items()


@pytest.mark.parametrize("name", WRONG)
def test_vllm_refuses_what_mixserve_refuses(name: str, answers: dict[str, dict[str, Any]]) -> None:
    assert WRONG[name][1] in answers[name]["error"].replace("\n", " ")
