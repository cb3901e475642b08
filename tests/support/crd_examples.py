"""What a machine can't guess: texts for and against each pattern, values for and against each rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixserve.api import accelerator, model, pod_inputs, quantization, scalars
from support.crd_manifests import REVISION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Path = tuple[str | int, ...]

REMOVED = object()
"""In place of a value: the field is taken away."""


def _repeat_last(text: str) -> Callable[[int], str]:
    return lambda length: text + text[-1] * (length - len(text))


@dataclass(frozen=True)
class Examples:
    """Texts for and against a pattern; `long` makes one of a given length, which `may_be_long` at the bound."""

    good: tuple[str, ...]
    bad: tuple[str, ...]
    long: Callable[[int], str]
    may_be_long: bool = True


# The two dialects differ most easily in: the end of the text and newlines, what a digit or a space is, upper case.
_BAD_LABELS = ("", "-a", "a-", "A", "a_b", "a.b", "a b", "ä", "a\n", "\na", "\u0663")

PATTERNS: Mapping[str, Examples] = {
    scalars.LABEL_PATTERN: Examples(("a", "0", "a-b", "l4", "int4-awq"), _BAD_LABELS, _repeat_last("a")),
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": Examples(
        ("a", "a.b-c", "0"), ("", ".a", "a.", "A", "a_b", "a\n"), _repeat_last("a")
    ),
    pod_inputs.ENVIRONMENT_NAME_PATTERN: Examples(
        ("NCCL_DEBUG", "a", "_0"), ("", "0A", "A-B", "A.B", "A B", "A\n", "\u00c4"), _repeat_last("A")
    ),
    pod_inputs.ENVIRONMENT_VALUE_PATTERN: Examples(
        ("", "INFO", "a b=c,$(POD_IP)"), ("a\n", "a\tb", "\u00e4", "a\u00a0b"), _repeat_last("a")
    ),
    pod_inputs.DATA_KEY_PATTERN: Examples(
        ("token", ".netrc", "A_b-1", "-", "a..b"),
        ("", ".", "..", "..data", "a/b", "a b", "a\n", "é"),
        _repeat_last("a"),
    ),
    quantization.QUANT_METHOD_PATTERN: Examples(
        ("awq", "compressed-tensors:w4a16", "gpt_oss_mxfp4", "a", "a:b"),
        ("", "AWQ", "-a", "a_", "a b", "a.b", "a\n", "ä", "a:", ":a", "a:b_", "a:b:c"),
        _repeat_last("a"),
    ),
    scalars.DURATION_PATTERN: Examples(
        ("1s", "90s", "15m", "1h30m", "1h0m30s", "24h", "5m5m"),
        ("", "5", "1d", "1.5h", "-5m", "5 m", "5M", "1h2m3s4s", "123456s", "5m\n", "\u0663s", "1ms"),
        lambda length: "1" * (length - 1) + "s",
        may_be_long=False,
    ),
    scalars.MEMORY_PATTERN: Examples(
        ("1Mi", "22528Mi", "80Gi", "999999999Gi"),
        ("", "0Mi", "08Gi", "80G", "80", "80gi", "1.5Gi", "-1Gi", "1000000000Gi", "80Gi\n", " 80Gi"),
        _repeat_last("1"),
    ),
    "^auto$": Examples(("auto",), ("", "Auto", "auto\n", " auto", "autos", "8"), _repeat_last("auto")),
    scalars.DECIMAL_PATTERN: Examples(
        ("1", "4.156", "16.5", "32.0000", "08.0"),
        ("", "-1", "+1", "1e1", ".5", "1.", "1,5", "1.23456", "1234567", "NaN", "1\n", "\u0663", "1_0"),
        lambda length: "0" * (length - 6) + "1.0000",
    ),
    r"^[0-9]{1,2}\.[0-9]$": Examples(
        ("0.0", "8.9", "10.0", "99.9"),
        ("", "8", "8.", "8.10", "100.0", "8,9", "8.9\n", "v8.9"),
        lambda length: "1" * (length - 2) + ".1",
    ),
    r"^[0-9]+\.[0-9]+\.[0-9]+$": Examples(
        ("0.33.0", "10.200.3000"),
        ("", "0.33", "v0.33.0", "0.33.0rc1", "0.33.0\n", "0.33.x", "\u0661.1.2"),
        _repeat_last("1.2.3"),
    ),
    r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$": Examples(
        ("vllm", "a.example:5000/b/c:v1", "a/b@sha256:0f"),
        ("", "/a", "a b", "a\n", "a\u00a0b", "ä", ":a"),
        _repeat_last("a"),
    ),
    "^[0-9a-f]{40}$": Examples(
        ("0" * 40, REVISION), ("", "0" * 39, "0" * 41, "g" * 40, "A" * 40, "0" * 40 + "\n", "main"), _repeat_last("a")
    ),
    model.SOURCE_PATTERN: Examples(
        (
            "hf://a/b",
            "hf://example/Llama-3.3-70B_x",
            "pvc://models",
            "pvc://models/a/.cache/b_c",
            "pvc://my.claim/x",
            f"pvc://{'a' * 253}/x",
            "host:///models/a.b",
        ),
        (
            "",
            "a/b",
            "hf://a",
            "hf://a/b/c",
            "hf:///b",
            "s3://a/b",
            "HF://a/b",
            "pvc://",
            "pvc://Models",
            "pvc://.claim",
            f"pvc://{'a' * 254}/x",
            "pvc://models/",
            "pvc://models/../other",
            "host://models",
            "host:///",
            "host:///models/..",
            "host:///models/../../etc",
            "hf://a/b\n",
            "hf://a/ b",
            "hf://ä/b",
        ),
        lambda length: "hf://a/" + "b" * (length - 7),
    ),
    r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$": Examples(
        ("a", "Llama-3.3:70b", "org/name_1"), ("", "-a", "a b", "a\n", "ä", "/a"), _repeat_last("a")
    ),
    r"^--[a-z][A-Za-z0-9._-]*(=.*)?$": Examples(
        ("--a", "--seed=1", "--max_num.x-y=", "--template={{ x }}", "--text=späte Grüße"),
        ("", "-a", "--", "---a", "--A", "seed", "--seed 1", "--seed=1\n", "--seed=a\nb", " --a", "--ä=1"),
        lambda length: "--a=" + "b" * (length - 4),
    ),
    accelerator.RESOURCE_NAME_PATTERN: Examples(
        ("nvidia.com/gpu", "amd.com/gpu.shared", "a/B_c", "a/" + "b" * 63),
        (
            *("", "gpu", "/gpu", "nvidia.com/", "NVIDIA.com/gpu", "a/b/c", "a/b\n", "a b/c"),
            *("-/_", "../x", "a..b/c", "a./b", "nvidia.com/-gpu", "a/" + "b" * 64),
        ),
        lambda length: "a" * (length - 2) + "/b",
    ),
    accelerator.LABEL_KEY_PATTERN: Examples(
        ("a", "nvidia.com/gpu.memory", "A_b.c-d", "a/" + "b" * 63),
        ("", "/a", "a/", "-a", "a-", "A/b", "a/b/c", "a b", "a\n", "a/" + "b" * 64, "ä", "a..b/c", "a./b", "-a/b"),
        lambda length: "a" * 253 + "/" + "b" * (length - 254),
    ),
    accelerator.LABEL_VALUE_PATTERN: Examples(
        ("a", "8", "NVIDIA-L4", "a_b.c"), ("-a", "a-", "a b", "a/b", "a\n", "ä"), _repeat_last("a")
    ),
}
"""Texts for each pattern of the schemas."""


def companions(field: str, value: Any) -> Mapping[Path, Any]:
    """What else has to change so that a good value of a field keeps the rules that span it."""
    for prefix in (("spec", "model"), ("spec", "model", "adapters", 0), ("spec", "variants", 0), ("spec", "draft")):
        where = ".".join(str(part) for part in prefix).replace(".0", "[0]")
        is_hub = isinstance(value, str) and value.startswith("hf://")
        if field == f"{where}.source" and not is_hub:
            return {(*prefix, "revision"): REMOVED}
        if field == f"{where}.revision" and value in (None, REMOVED):
            return {(*prefix, "source"): "pvc://models"}
    if field in _COMPANIONS and value in _COMPANIONS[field][0]:
        return _COMPANIONS[field][1]
    requirement = ("spec", "nodeRequirements", 0)
    if field.endswith("[0].operator") and value in ("Exists", "DoesNotExist"):
        return {(*requirement, "values"): REMOVED}
    if field.endswith("[0].values") and (value in (None, REMOVED, [])):
        return {(*requirement, "operator"): "Exists"}
    return {}


_NAME: Path = ("metadata", "name")
_PLACES_OF_FACTS: tuple[Path, ...] = (("spec", "model", "facts"), ("spec", "draft", "facts"))
_BATCHING: Path = ("spec", "engine", "batching")


def _companions_in(facts: Path) -> Mapping[str, tuple[tuple[Any, ...], Mapping[Path, Any]]]:
    where = ".".join(str(part) for part in facts)
    return {
        f"{where}.parameters": (
            (2,),
            {
                **{(*facts, one): 1 for one in ("hiddenSize", "vocabularySize")},
                **{(*facts, f"{part}Parameters"): REMOVED for part in ("active", "expert", "attention", "vision")},
            },
        ),
        f"{where}.slidingWindow.layers": ((10000,), {(*facts, "layers"): 10000}),
    }


_TIER: dict[str, Any] = {"name": "large", "maxComplexity": 5, "targets": [{"poolRef": {"name": "llama-70b"}}]}

FULL_LISTS: Mapping[str, list[Any]] = {
    "spec.tiers": [{**_TIER, "name": f"n{number}", "maxComplexity": number} for number in range(1, 6)],
    "spec.tiers[0].targets": [{"poolRef": {"name": f"n{number}"}} for number in range(8)],
}
"""By field: as many entries as it may have, where rules span them."""

_WITHOUT_DRAFT = {("spec", "draft"): REMOVED}

_COMPANIONS: Mapping[str, tuple[tuple[Any, ...], Mapping[Path, Any]]] = {
    **{field: entry for facts in _PLACES_OF_FACTS for field, entry in _companions_in(facts).items()},
    "spec.method": (("MTP", "NGram", "Suffix"), _WITHOUT_DRAFT),
    "spec.draft": ((None, REMOVED), {("spec", "method"): "MTP"}),
    "spec.classifier.type": ((None, REMOVED, "Heuristic", "Embedding"), {("spec", "classifier", "llm"): REMOVED}),
    "spec.classifier.llm": ((None, REMOVED), {("spec", "classifier", "type"): "Embedding"}),
    "spec.tiers[0].maxComplexity": ((5,), {("spec", "tiers"): [{**_TIER, "maxComplexity": 5}]}),
    "spec.batchSchedule[0].tokens": ((32,), {("spec", "tokens"): 32}),
    "spec.engine.batching.maxSequences": ((65536,), {(*_BATCHING, "maxBatchedTokens"): 65536}),
    "spec.engine.type": (("tensorrt-llm",), {("spec", "engine", "version"): "1.2.1"}),
    "spec.engine.batching.maxBatchedTokens": ((1,), {(*_BATCHING, "maxSequences"): 1}),
    "spec.target": (("KVCache",), {_NAME: "kv-corpus", ("spec", "checkpoint"): REMOVED}),
    "spec.engines[0].nativeComputeCapability": (
        (None, REMOVED),
        {("spec", "engines", 0, "fallbackKernel"): REMOVED},
    ),
}
"""By field: values that most others do not go with, and what goes with them."""

_KV_CACHE_SPEC: Mapping[str, Any] = {
    "target": "KVCache",
    "bits": "8",
    "engines": [{"type": "vllm", "minimumComputeCapability": "8.0"}],
}

_VOLUME = {("model", "source"): "pvc://models", ("model", "revision"): REMOVED}
_NO_PAIR = {("speculativePairRef",): REMOVED, ("model", "adapters"): REMOVED}
_ADAPTER = {"name": "law", "source": "hf://example/law", "revision": REVISION}
_OWN_VOLUME = {("variants", 0, "source"): "pvc://models", ("variants", 0, "revision"): REMOVED}

_TYPE: Path = ("engine", "type")
_VERSION: Path = ("engine", "version")

Patches = dict[Path, Any]

_PARTS = 8192 * 128256 + 1 + 2 + 3
_EVERY_PART: Mapping[Path, Any] = {
    ("tiedEmbeddings",): True,
    ("activeParameters",): REMOVED,
    ("expertParameters",): 1,
    ("attentionParameters",): 2,
    ("visionParameters",): 3,
}
_NO_PART: Mapping[Path, Any] = {(f"{part}Parameters",): REMOVED for part in ("active", "expert", "attention", "vision")}

RULES: Mapping[str, tuple[tuple[Patches, Patches], ...]] = {
    "must be at most 24h": (
        ({(): "24h"}, {(): "24h1s"}),
        ({(): "1439m60s"}, {(): "1440m1s"}),
        ({(): "23h60m"}, {(): "99999h99999h99999h"}),
    ),
    "must be at least 1s": (({(): "1s"}, {(): "0s"}), ({(): "0h0m1s"}, {(): "0h0m0s"})),
    "metadata.name must be at most 40 characters of a-z, 0-9 and -, and begin with a letter: "
    "the Service is called so": (
        ({_NAME: "a" * 40}, {_NAME: "a" * 41}),
        ({_NAME: "a-0"}, {_NAME: "0-a"}),
        ({_NAME: "a"}, {_NAME: "a.b"}),
    ),
    "metadata.name must not be default or kubernetes: Kubernetes has a ServiceAccount or a Service of that name": (
        ({_NAME: "default-2"}, {_NAME: "default"}),
        ({_NAME: "a-kubernetes"}, {_NAME: "kubernetes"}),
    ),
    "metadata.name must be at most 63 characters of a-z, 0-9 and -: other objects name it so": (
        ({_NAME: "0" * 63}, {_NAME: "0" * 64}),
        ({_NAME: "a-0"}, {_NAME: "a.b"}),
    ),
    "llm is needed for LLM and has no meaning for others": (
        ({}, {("llm",): REMOVED}),
        ({("type",): "Heuristic", ("llm",): REMOVED}, {("type",): "Heuristic"}),
    ),
    "targets must name each pool once": (
        ({("targets", 1, "poolRef", "name"): "other"}, {("targets", 1, "poolRef", "name"): "qwen-8b"}),
    ),
    "the last tier's maxComplexity must be 5, so that every request has a tier": (
        ({("tiers", 1, "maxComplexity"): 5}, {("tiers", 1, "maxComplexity"): 4}),
        ({("tiers",): [_TIER]}, {("tiers",): [{**_TIER, "maxComplexity": 4}]}),
    ),
    "tiers must be in the order of growing maxComplexity": (
        ({("tiers", 0, "maxComplexity"): 4}, {("tiers", 0, "maxComplexity"): 5}),
        (
            {("tiers",): [{**_TIER, "name": "a", "maxComplexity": 1}, _TIER]},
            {
                ("tiers",): [
                    {**_TIER, "name": "a", "maxComplexity": 3},
                    {**_TIER, "name": "b", "maxComplexity": 2},
                    _TIER,
                ]
            },
        ),
    ),
    "at least one variant needs replicas.min of 1 or more": (
        (
            {("variants", 0, "replicas", "min"): 0},
            {("variants", 0, "replicas", "min"): 0, ("variants", 1, "replicas"): {"min": 0}},
        ),
    ),
    "revision is needed for hf:// sources and has no meaning for others": (
        ({("source",): "hf://a/b"}, {("revision",): REMOVED}),
        ({("source",): "pvc://a", ("revision",): REMOVED}, {("source",): "pvc://a"}),
    ),
    "revision is needed beside an hf:// source and has no meaning otherwise": (
        ({("source",): "hf://a/b"}, {("revision",): REMOVED}),
        ({("source",): "pvc://a", ("revision",): REMOVED}, {("source",): "pvc://a"}),
        ({("source",): REMOVED, ("revision",): REMOVED}, {("source",): REMOVED}),
    ),
    "model.tokenSecretRef has no meaning unless a variant, an adapter or the draft of speculativePairRef has an hf:// "
    "source": (
        # The other variant takes the model's.
        ({**_OWN_VOLUME}, {**_OWN_VOLUME, **_VOLUME, **_NO_PAIR}),
        ({**_VOLUME}, {**_OWN_VOLUME, **_VOLUME, **_NO_PAIR}),
        ({**_OWN_VOLUME, **_VOLUME}, {**_OWN_VOLUME, **_VOLUME, **_NO_PAIR}),
        (
            {**_OWN_VOLUME, **_VOLUME, **_NO_PAIR, ("model", "tokenSecretRef"): REMOVED},
            {**_OWN_VOLUME, **_NO_PAIR, ("variants", 1, "source"): "host:///models"},
        ),
        (
            {**_OWN_VOLUME, **_VOLUME, **_NO_PAIR, ("model", "adapters"): [_ADAPTER]},
            {
                **_OWN_VOLUME,
                **_VOLUME,
                **_NO_PAIR,
                ("model", "adapters"): [{"name": "law", "source": "pvc://law"}],
            },
        ),
    ),
    "parameters must not be fewer than those of embeddings, experts, attention and vision together": (
        (
            {("parameters",): _PARTS, **_EVERY_PART},
            {("parameters",): _PARTS - 1, **_EVERY_PART},
        ),
        (
            {("parameters",): _PARTS - 3, **_EVERY_PART, ("visionParameters",): REMOVED},
            {("parameters",): _PARTS - 4, **_EVERY_PART, ("visionParameters",): REMOVED},
        ),
        (
            {("parameters",): _PARTS - 2, **_EVERY_PART, ("attentionParameters",): REMOVED},
            {("parameters",): _PARTS - 3, **_EVERY_PART, ("attentionParameters",): REMOVED},
        ),
    ),
    "activeParameters must not be more than parameters": (
        (
            {("parameters",): _PARTS, **_EVERY_PART, ("activeParameters",): _PARTS},
            {("parameters",): _PARTS, **_EVERY_PART, ("activeParameters",): _PARTS + 1},
        ),
        ({("activeParameters",): REMOVED}, {("activeParameters",): 10**13, ("parameters",): 10**13 - 1}),
    ),
    "slidingWindow.layers must not be more than layers": (
        ({("layers",): 7, ("slidingWindow", "layers"): 7}, {("layers",): 7, ("slidingWindow", "layers"): 8}),
        ({("layers",): 1, ("slidingWindow",): REMOVED}, {("layers",): 1, ("slidingWindow", "layers"): 2}),
    ),
    "parameters must be more than the embeddings alone have, which is vocabularySize x hiddenSize, "
    "twice unless tiedEmbeddings": (
        (
            {("parameters",): 8192 * 128256 + 1, **_NO_PART, ("tiedEmbeddings",): True},
            {("parameters",): 8192 * 128256, **_NO_PART, ("tiedEmbeddings",): True},
        ),
        # The default counts as well.
        (
            {("parameters",): 2 * 8192 * 128256 + 1, **_NO_PART, ("tiedEmbeddings",): REMOVED},
            {("parameters",): 2 * 8192 * 128256, **_NO_PART, ("tiedEmbeddings",): REMOVED},
        ),
    ),
    "maxBatchedTokens must not be less than maxSequences: each request of a batch takes a token a step": (
        ({("maxSequences",): 64, ("maxBatchedTokens",): 64}, {("maxSequences",): 64, ("maxBatchedTokens",): 63}),
        ({("maxSequences",): 65536, ("maxBatchedTokens",): REMOVED}, {("maxSequences",): 8193}),
        ({("maxSequences",): REMOVED, ("maxBatchedTokens",): 1}, {("maxBatchedTokens",): 1}),
    ),
    "engine.version must be one of TensorRT-LLM, such as 1.2.1: the default is a version of vLLM": (
        ({_TYPE: "tensorrt-llm", _VERSION: "1.2.1"}, {_TYPE: "tensorrt-llm", _VERSION: "0.33.0"}),
        # The default counts as well.
        ({_TYPE: "vllm", _VERSION: REMOVED}, {_TYPE: "tensorrt-llm", _VERSION: REMOVED}),
        ({_TYPE: REMOVED, _VERSION: "1.0.0"}, {_TYPE: "tensorrt-llm", _VERSION: "0.1.0"}),
    ),
    "key must have at most 253 characters before the slash": (
        ({("key",): "a" * 253 + "/b"}, {("key",): "a" * 254 + "/b"}),
    ),
    "keyValueHeads must divide attentionHeads": (
        (
            {("attentionHeads",): 32, ("keyValueHeads",): 8},
            {("attentionHeads",): 32, ("keyValueHeads",): 9},
        ),
        ({("attentionHeads",): 8, ("keyValueHeads",): 8}, {("attentionHeads",): 8, ("keyValueHeads",): 16}),
    ),
    "draft is needed for DraftModel and EAGLE3 and has no meaning for others": (
        ({("method",): "DraftModel"}, {("draft",): REMOVED}),
        ({("method",): "MTP", ("draft",): REMOVED}, {("method",): "MTP"}),
        ({("method",): "Suffix", ("draft",): REMOVED}, {("method",): "Suffix"}),
        ({("method",): "NGram", ("draft",): REMOVED}, {("method",): "NGram"}),
    ),
    "ngram has no meaning unless method is NGram": (
        ({("method",): "NGram", ("draft",): REMOVED, ("ngram",): {}}, {("ngram",): {}}),
        ({("method",): "Suffix", ("draft",): REMOVED}, {("method",): "Suffix", ("draft",): REMOVED, ("ngram",): {}}),
    ),
    "minLookup must not be greater than maxLookup": (
        ({("minLookup",): 3, ("maxLookup",): 3}, {("minLookup",): 4, ("maxLookup",): 3}),
        # The defaults count as well.
        ({("minLookup",): 4, ("maxLookup",): REMOVED}, {("minLookup",): 5, ("maxLookup",): REMOVED}),
        ({("minLookup",): REMOVED, ("maxLookup",): 2}, {("minLookup",): REMOVED, ("maxLookup",): 1}),
    ),
    "batchSchedule must be in the order of growing maxBatch": (
        (
            {("batchSchedule",): [{"maxBatch": 9, "tokens": 2}, {"maxBatch": 10, "tokens": 1}]},
            {("batchSchedule",): [{"maxBatch": 10, "tokens": 2}, {"maxBatch": 9, "tokens": 1}]},
        ),
    ),
    "batchSchedule[].tokens must not grow with maxBatch: larger batches leave less arithmetic to spare": (
        (
            {("batchSchedule",): [{"maxBatch": 9, "tokens": 2}, {"maxBatch": 10, "tokens": 2}]},
            {("batchSchedule",): [{"maxBatch": 9, "tokens": 2}, {"maxBatch": 10, "tokens": 3}]},
        ),
    ),
    "batchSchedule[].tokens must not be more than tokens": (
        ({("tokens",): 2, ("batchSchedule", 0, "tokens"): 2}, {("tokens",): 2, ("batchSchedule", 0, "tokens"): 3}),
        # The default counts as well.
        ({("tokens",): REMOVED}, {("tokens",): REMOVED, ("batchSchedule", 0, "tokens"): 4}),
    ),
    "min must not be greater than max": (
        ({("min",): 3, ("max",): 3}, {("min",): 4, ("max",): 3}),
        # The default of the one counts as well.
        ({("min",): 0, ("max",): REMOVED}, {("min",): 2, ("max",): REMOVED}),
    ),
    "nativeComputeCapability must not be older than minimumComputeCapability": (
        (
            {("minimumComputeCapability",): "9.0", ("nativeComputeCapability",): "10.0"},
            {("minimumComputeCapability",): "10.0", ("nativeComputeCapability",): "9.0"},
        ),
        (
            {("minimumComputeCapability",): "8.9", ("nativeComputeCapability",): "8.9"},
            {("minimumComputeCapability",): "8.9", ("nativeComputeCapability",): "8.8"},
        ),
    ),
    "bits must be from 1 to 32": (
        ({("bits",): "1"}, {("bits",): "0.9999"}),
        ({("bits",): "32"}, {("bits",): "32.0001"}),
        ({("bits",): "1.58"}, {("bits",): "0"}),
    ),
    "computeBits and checkpoint are about weights: leave them out where target is KVCache": (
        # One that keeps it with target KVCache needs another name: see companions and the rule about the name.
        ({("computeBits",): 8}, {(): {**_KV_CACHE_SPEC, "computeBits": 8}}),
        ({("checkpoint",): {}}, {(): {**_KV_CACHE_SPEC, "checkpoint": {}}}),
    ),
    "metadata.name must begin with kv- where target is KVCache, and only there": (
        ({("spec",): _KV_CACHE_SPEC, _NAME: "kv-a"}, {("spec",): _KV_CACHE_SPEC, _NAME: "fp8"}),
        ({_NAME: "fp8-kv"}, {_NAME: "kv-a"}),
    ),
    "fallbackKernel is only for formats with a nativeComputeCapability": (
        (
            {("nativeComputeCapability",): REMOVED, ("fallbackKernel",): REMOVED},
            {("nativeComputeCapability",): REMOVED, ("fallbackKernel",): "Marlin"},
        ),
    ),
    "refused[].fromComputeCapability must not be older than minimumComputeCapability": (
        (
            {("minimumComputeCapability",): "9.0", ("refused",): [{"fromComputeCapability": "10.0", "reason": "a"}]},
            {("minimumComputeCapability",): "9.0", ("refused",): [{"fromComputeCapability": "8.9", "reason": "a"}]},
        ),
        (
            {("minimumComputeCapability",): "9.0", ("refused",): []},
            {("minimumComputeCapability",): "10.0", ("refused",): [{"fromComputeCapability": "9.0", "reason": "a"}]},
        ),
    ),
    "values must be given, except for Exists and DoesNotExist": (
        ({("operator",): "NotIn", ("values",): ["a", "b"]}, {("operator",): "NotIn", ("values",): REMOVED}),
        ({("operator",): "Exists", ("values",): REMOVED}, {("operator",): "Exists", ("values",): ["a"]}),
        ({("operator",): "DoesNotExist", ("values",): []}, {("operator",): "In", ("values",): []}),
    ),
    "Gt and Lt need one integer in values": (
        ({("operator",): "Gt", ("values",): ["22000"]}, {("operator",): "Gt", ("values",): ["22Gi"]}),
        ({("operator",): "Lt", ("values",): ["0"]}, {("operator",): "Lt", ("values",): ["1", "2"]}),
        ({("operator",): "Gt", ("values",): ["9" * 9]}, {("operator",): "Gt", ("values",): ["9" * 10]}),
    ),
}
"""By the message of the rule: pairs of changes, the first keeping and the second breaking it, relative to its place."""
