"""Manifests of SpeculativePairs, and what is known of their files: a test names only what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixserve.api.speculative_pair import SpeculativePair
from mixserve.catalog.built_in import built_in_catalog
from mixserve.plan.model_source import Repository, draft_repository, repository_of
from mixserve.plan.speculation import Speculation, speculation_by_variant
from support.model_configs import LLAMA_3_1_8B

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool

TOKENIZER = {"sha256": "0" * 64, "specialTokens": {"bos_token": "<s>", "eos_token": "</s>"}}

# The config.json of Llama-3.1-8B, of Llama-3.2-1B and of an EAGLE-3 head for the first, as far as they matter.
MODEL_CONFIG: Mapping[str, Any] = {
    **LLAMA_3_1_8B,
    "architectures": ["LlamaForCausalLM"],
    "tokenizer.json": TOKENIZER,
}
DRAFT_CONFIG: Mapping[str, Any] = {
    **MODEL_CONFIG,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "head_dim": 64,
    "tie_word_embeddings": True,
}
HEAD_CONFIG: Mapping[str, Any] = {
    **MODEL_CONFIG,
    "architectures": ["LlamaForCausalLMEagle3"],
    "num_hidden_layers": 1,
    "draft_vocab_size": 32000,
}
MTP_CONFIG: Mapping[str, Any] = {**MODEL_CONFIG, "num_nextn_predict_layers": 1}


def pair_manifest(method: str = "NGram", *, name: str = "pair", namespace: str = "llm", **spec: Any) -> dict[str, Any]:
    """A pair as it stands in a manifest: n-grams, or a draft on a volume where the method needs one."""
    draft = {"draft": {"source": "pvc://drafts/one"}} if method in {"DraftModel", "EAGLE3"} else {}
    return {
        "apiVersion": "mixserve.dev/v1alpha1",
        "kind": "SpeculativePair",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"method": method, **draft, **spec},
    }


def pair(method: str = "NGram", *, name: str = "pair", **spec: Any) -> SpeculativePair:
    """The same, parsed."""
    return SpeculativePair.parse(pair_manifest(method, name=name, **spec))


def speculations(
    manifest: LLMServingPool,
    of: SpeculativePair,
    *,
    target: Mapping[str, Any] | None = MODEL_CONFIG,
    draft: Mapping[str, Any] | None = DRAFT_CONFIG,
) -> dict[str, Speculation]:
    """What proposes tokens to each variant of a pool that names the pair, all of one checkpoint."""
    configs: dict[Repository, Mapping[str, Any] | None] = {
        repository_of(manifest, one): target for one in manifest.spec.variants
    }
    where = draft_repository(of.spec)
    if where is not None:
        configs[where] = draft
    return speculation_by_variant(
        manifest,
        pairs={of.metadata.name: of},
        configs=configs,
        catalog=built_in_catalog(),
    )
