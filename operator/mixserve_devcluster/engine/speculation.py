"""What the options of both dialects say about speculative decoding; what neither engine would take is an error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mixserve_devcluster.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

# By method, the probability that a proposed token is kept if the one before it was. Not what planning assumes, so that
# what is measured can be told from it.
_ACCEPTANCE: Mapping[str, float] = {
    "draft_model": 0.75,
    "eagle3": 0.72,
    "mtp": 0.85,
    "ngram": 0.4,
    "suffix": 0.5,
}
_TRTLLM_METHODS: Mapping[str, str] = {
    "DraftTarget": "draft_model",
    "Draft_Target": "draft_model",
    "Eagle": "eagle3",
    "Eagle3": "eagle3",
    "MTP": "mtp",
    "NGram": "ngram",
}

_VLLM_KEYS = frozenset(
    {
        "draft_tensor_parallel_size",
        "method",
        "model",
        "num_speculative_tokens",
        "num_speculative_tokens_per_batch_size",
        "prompt_lookup_max",
        "prompt_lookup_min",
        "revision",
    }
)
_TRTLLM_KEYS = frozenset(
    {
        "decoding_type",
        "draft_len_schedule",
        "max_concurrency",
        "max_draft_len",
        "max_matching_ngram_size",
        "num_nextn_predict_layers",
        "speculative_model_dir",
    }
)


@dataclass(frozen=True, kw_only=True)
class SpeculationOptions:
    """How tokens are proposed.

    Attributes:
        method: vLLM's name.
        tokens: proposed per request and step.
        schedule: largest batch sizes and the tokens up to them, growing; larger batches get none. Empty: no schedule.
    """

    method: str
    tokens: int
    schedule: tuple[tuple[int, int], ...] = ()

    @property
    def acceptance(self) -> float:
        """The method's, where nobody says another one."""
        return _ACCEPTANCE[self.method]


def from_vllm(text: str) -> SpeculationOptions:
    """Read the value of `--speculative-config`.

    Raises:
        ValueError: it is none.
    """
    values: Any = json.loads(text)
    _known(values, _VLLM_KEYS)
    method = values.get("method")
    if method not in _ACCEPTANCE:
        raise ValueError(f"method: must be one of {', '.join(_ACCEPTANCE)}, is {method!r}")
    ranges = values.get("num_speculative_tokens_per_batch_size") or []
    # The last one goes on for ever; here it is the one of none.
    schedule = tuple((last, tokens) for _, last, tokens in ranges if tokens)
    return SpeculationOptions(method=method, tokens=_count(values, "num_speculative_tokens"), schedule=schedule)


def from_trtllm(values: Any) -> SpeculationOptions:
    """Read `speculative_config` of the options file, of any version.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return _of_decoding_type(values)
    except ValueError as error:
        raise ConfigurationError(f"speculative_config: {error}") from error


def _of_decoding_type(values: Any) -> SpeculationOptions:
    _known(values, _TRTLLM_KEYS)
    method = _TRTLLM_METHODS.get(values.get("decoding_type"))
    if method is None:
        raise ValueError(f"Invalid decoding type: {values.get('decoding_type')}")
    length = "max_draft_len" if "max_draft_len" in values else "num_nextn_predict_layers"
    tokens = _count(values, length)
    return SpeculationOptions(method=method, tokens=tokens, schedule=_schedule(values, tokens))


def _schedule(values: Mapping[str, Any], tokens: int) -> tuple[tuple[int, int], ...]:
    """Before 1.3 from batch sizes on, with 0 for the last; since then up to batch sizes."""
    if "max_concurrency" in values:
        return ((_count(values, "max_concurrency"), tokens),)
    said: Mapping[int, int] = values.get("draft_len_schedule") or {}
    if 0 not in said.values():
        return tuple(sorted(said.items()))
    starts = sorted(said)
    return tuple((after - 1, said[start]) for start, after in pairwise(starts))


def _known(values: Any, keys: frozenset[str]) -> None:
    if not isinstance(values, dict):
        raise ValueError(f"must be an object, is {values!r}")  # noqa: TRY004 - reported like every other wrong value
    unknown = sorted(str(key) for key in values if key not in keys)
    if unknown:
        raise ValueError(f"the simulated engine does not know {', '.join(unknown)}")


def _count(values: Mapping[str, Any], key: str) -> int:
    value = values.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{key}: must be a positive integer, is {value!r}")
    return value
